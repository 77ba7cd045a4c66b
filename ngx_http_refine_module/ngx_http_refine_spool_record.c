
#include "ngx_http_refine_spool_core.h"
#include "ngx_http_refine_surface.h"
#include <zlib.h>


static uint32_t ngx_http_refine_spool_crc(const u_char *p, size_t len);
static u_char *ngx_http_refine_spool_put(u_char *p, uint64_t n, size_t bytes);
static uint64_t ngx_http_refine_spool_get(const u_char *p, size_t bytes);
static ngx_uint_t ngx_http_refine_spool_mark_read(const u_char *p,
    ngx_http_refine_spool_mark_t *mark);
static ngx_int_t ngx_http_refine_spool_types(
    ngx_http_refine_spool_record_t *record);


static const u_char  ngx_http_refine_spool_magic[] = "RefineSp";
static const u_char  ngx_http_refine_spool_marker[] = { 0xff, 'R', 0xf5, '\n' };


static uint32_t
ngx_http_refine_spool_crc(const u_char *p, size_t len)
{
    return (uint32_t) crc32(0, p, (uInt) len);
}


static u_char *
ngx_http_refine_spool_put(u_char *p, uint64_t n, size_t bytes)
{
    while (bytes--) {
        *p++ = (u_char) n;
        n >>= 8;
    }

    return p;
}


static uint64_t
ngx_http_refine_spool_get(const u_char *p, size_t bytes)
{
    uint64_t  n;

    n = 0;

    while (bytes--) {
        n = n << 8 | p[bytes];
    }

    return n;
}


void
ngx_http_refine_spool_header(u_char *p)
{
    ngx_memzero(p, NGX_HTTP_REFINE_SPOOL_HEADER);
    ngx_memcpy(p, ngx_http_refine_spool_magic, 8);
    ngx_http_refine_spool_put(p + 8, NGX_HTTP_REFINE_SPOOL_VERSION, 4);
    ngx_http_refine_spool_put(p + 12, ngx_http_refine_spool_crc(p, 12), 4);
}


ngx_int_t
ngx_http_refine_spool_header_read(u_char *p, size_t len,
    ngx_http_refine_spool_segment_t *segment)
{
    u_char                        *mark;
    uint64_t                       version, crc;
    ngx_uint_t                     i;
    ngx_http_refine_spool_mark_t   cursor;

    ngx_memzero(&segment->written, sizeof(ngx_http_refine_spool_mark_t));
    ngx_memzero(&segment->cursor, sizeof(ngx_http_refine_spool_mark_t));

    segment->cursor.offset = NGX_HTTP_REFINE_SPOOL_HEADER;

    if (len < NGX_HTTP_REFINE_SPOOL_HEADER) {
        return NGX_ERROR;
    }

    (void) ngx_http_refine_spool_mark_read(p + NGX_HTTP_REFINE_SPOOL_WRITTEN,
                                           &segment->written);

    for (i = 0; i < 2; i++) {
        mark = p + NGX_HTTP_REFINE_SPOOL_CURSOR
               + i * NGX_HTTP_REFINE_SPOOL_MARK_ROOM;

        if (ngx_http_refine_spool_mark_read(mark, &cursor)
            && cursor.seq > segment->cursor.seq
            && cursor.offset >= NGX_HTTP_REFINE_SPOOL_HEADER)
        {
            segment->cursor = cursor;
        }
    }

    if (ngx_memcmp(p, ngx_http_refine_spool_magic, 8) != 0) {
        return NGX_ERROR;
    }

    version = ngx_http_refine_spool_get(p + 8, 4);
    crc = ngx_http_refine_spool_get(p + 12, 4);

    if (crc == ngx_http_refine_spool_crc(p, 12)) {
        return (version == NGX_HTTP_REFINE_SPOOL_VERSION) ? NGX_OK
                                                          : NGX_DECLINED;
    }

    /* those were CRC32C, here of nothing but the version */

    return ((version == 1 && crc == NGX_HTTP_REFINE_SPOOL_CRC_1)
            || (version == 2 && crc == NGX_HTTP_REFINE_SPOOL_CRC_2))
           ? NGX_DECLINED : NGX_ERROR;
}


void
ngx_http_refine_spool_mark(u_char *p, ngx_http_refine_spool_mark_t *mark)
{
    u_char  *last;

    last = ngx_http_refine_spool_put(p, mark->seq, 8);
    last = ngx_http_refine_spool_put(last, mark->offset, 8);
    last = ngx_http_refine_spool_put(last, mark->events, 8);

    ngx_http_refine_spool_put(last, ngx_http_refine_spool_crc(p, last - p), 4);
}


/* a mark of zeros was never written */

static ngx_uint_t
ngx_http_refine_spool_mark_read(const u_char *p,
    ngx_http_refine_spool_mark_t *mark)
{
    size_t  len;

    len = NGX_HTTP_REFINE_SPOOL_MARK - 4;

    if (ngx_http_refine_spool_get(p + len, 4)
        != ngx_http_refine_spool_crc(p, len))
    {
        return 0;
    }

    mark->seq = ngx_http_refine_spool_get(p, 8);
    mark->offset = ngx_http_refine_spool_get(p + 8, 8);
    mark->events = ngx_http_refine_spool_get(p + 16, 8);

    return 1;
}


size_t
ngx_http_refine_spool_length(ngx_http_refine_spool_record_t *record)
{
    size_t      len;
    ngx_uint_t  i;

    len = NGX_HTTP_REFINE_SPOOL_HEAD + 4 + record->nargs * 4 + record->n;

    for (i = 0; i < record->nargs; i++) {

        if (record->args[i].len > NGX_HTTP_REFINE_SPOOL_RECORD) {
            return 0;
        }

        len += record->args[i].len;
    }

    return (len > NGX_HTTP_REFINE_SPOOL_RECORD) ? 0 : len;
}


u_char *
ngx_http_refine_spool_encode(u_char *p, ngx_http_refine_spool_record_t *record)
{
    u_char      *last;
    ngx_uint_t   i;

    last = p + NGX_HTTP_REFINE_SPOOL_HEAD;

    last = ngx_http_refine_spool_put(last, record->nargs, 4);

    for (i = 0; i < record->nargs; i++) {
        last = ngx_http_refine_spool_put(last, record->args[i].len, 4);
    }

    last = ngx_cpymem(last, record->types, record->n);

    for (i = 0; i < record->nargs; i++) {
        if (record->args[i].len) {
            last = ngx_cpymem(last, record->args[i].data, record->args[i].len);
        }
    }

    ngx_memcpy(p, ngx_http_refine_spool_marker, 4);
    ngx_http_refine_spool_put(p + 4, last - p - NGX_HTTP_REFINE_SPOOL_HEAD, 4);
    ngx_http_refine_spool_put(p + 8,
              ngx_http_refine_spool_crc(p + NGX_HTTP_REFINE_SPOOL_HEAD,
                                        last - p - NGX_HTTP_REFINE_SPOOL_HEAD),
              4);
    ngx_http_refine_spool_put(p + 12, record->n, 4);
    ngx_http_refine_spool_put(p + 16, ngx_http_refine_spool_crc(p, 16), 4);

    return last;
}


ngx_http_refine_spool_found_e
ngx_http_refine_spool_find(u_char *p, u_char *last, size_t *len)
{
    size_t                          n;
    ngx_http_refine_spool_record_t  record;

    *len = NGX_HTTP_REFINE_SPOOL_HEAD;

    n = ngx_min((size_t) (last - p), 4);

    if (ngx_memcmp(p, ngx_http_refine_spool_marker, n) != 0) {
        return NGX_HTTP_REFINE_SPOOL_BAD;
    }

    if (last - p < NGX_HTTP_REFINE_SPOOL_HEAD) {
        return NGX_HTTP_REFINE_SPOOL_BEYOND;
    }

    if (ngx_http_refine_spool_get(p + 16, 4)
        != ngx_http_refine_spool_crc(p, 16))
    {
        return NGX_HTTP_REFINE_SPOOL_BAD;
    }

    n = ngx_http_refine_spool_get(p + 4, 4);

    if (n > NGX_HTTP_REFINE_SPOOL_RECORD) {
        return NGX_HTTP_REFINE_SPOOL_BAD;
    }

    *len += n;

    if ((size_t) (last - p) < *len) {
        return NGX_HTTP_REFINE_SPOOL_BEYOND;
    }

    if (ngx_http_refine_spool_get(p + 8, 4)
        != ngx_http_refine_spool_crc(p + NGX_HTTP_REFINE_SPOOL_HEAD, n)
        || ngx_http_refine_spool_decode(p, &record, NULL) != NGX_OK)
    {
        return NGX_HTTP_REFINE_SPOOL_BAD;
    }

    return NGX_HTTP_REFINE_SPOOL_FOUND;
}


u_char *
ngx_http_refine_spool_skip(u_char *p, u_char *last)
{
    p++;

    if (p < last) {
        p = memchr(p, ngx_http_refine_spool_marker[0], last - p);
    }

    return (p && p < last) ? p : last;
}


ngx_int_t
ngx_http_refine_spool_decode(u_char *p, ngx_http_refine_spool_record_t *record,
    ngx_str_t *args)
{
    size_t       len, left;
    u_char      *lengths;
    ngx_uint_t   i;

    left = ngx_http_refine_spool_get(p + 4, 4);
    record->n = ngx_http_refine_spool_get(p + 12, 4);

    p += NGX_HTTP_REFINE_SPOOL_HEAD;

    if (left < 4) {
        return NGX_ERROR;
    }

    record->nargs = ngx_http_refine_spool_get(p, 4);
    record->args = args;
    lengths = p + 4;
    left -= 4;

    if (record->n == 0
        || record->nargs < record->n
        || record->nargs > 2 * record->n
        || left / 4 < record->nargs
        || left - record->nargs * 4 < record->n)
    {
        return NGX_ERROR;
    }

    p = lengths + record->nargs * 4;
    record->types = p;

    if (ngx_http_refine_spool_types(record) != NGX_OK) {
        return NGX_ERROR;
    }

    p += record->n;
    left -= record->nargs * 4 + record->n;

    for (i = 0; i < record->nargs; i++) {
        len = ngx_http_refine_spool_get(lengths + i * 4, 4);

        if (len > left) {
            return NGX_ERROR;
        }

        if (args) {
            args[i].data = p;
            args[i].len = len;
        }

        p += len;
        left -= len;
    }

    return left ? NGX_ERROR : NGX_OK;
}


/* each event is an argument, and some have one more behind it: surface.h */

static ngx_int_t
ngx_http_refine_spool_types(ngx_http_refine_spool_record_t *record)
{
    ngx_uint_t  i, nargs;

    nargs = record->n;

    for (i = 0; i < record->n; i++) {

        if (record->types[i] < '0' || record->types[i] > '8') {
            return NGX_ERROR;
        }

        nargs += ngx_http_refine_surface_argued(record->types[i]);
    }

    return (nargs == record->nargs) ? NGX_OK : NGX_ERROR;
}
