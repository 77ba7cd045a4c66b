
#include <ngx_config.h>
#include <ngx_core.h>
#include <libdeflate.h>
#include <zlib.h>
#include "ngx_http_refine_inflate.h"


/* of a whole body; a process that inflates none has no page of it */
#define NGX_HTTP_REFINE_INFLATE_WHOLE  (512 * 1024)

/* a header's flags, and the one of its checksum: RFC 1952, 2.3.1 */
#define NGX_HTTP_REFINE_INFLATE_FLAGS  3
#define NGX_HTTP_REFINE_INFLATE_FHCRC  0x02


typedef enum {
    NGX_HTTP_REFINE_INFLATE_START = 0,  /* nothing has come */
    NGX_HTTP_REFINE_INFLATE_MEMBER,
    NGX_HTTP_REFINE_INFLATE_BETWEEN,    /* after a member */
    NGX_HTTP_REFINE_INFLATE_MAGIC,      /* after the first byte of another? */
    NGX_HTTP_REFINE_INFLATE_TRAILING,
    NGX_HTTP_REFINE_INFLATE_FAILED
} ngx_http_refine_inflate_e;


struct ngx_http_refine_inflate_s {
    z_stream                   stream;
    ngx_pool_t                *pool;
    ngx_int_t                  error;
    ngx_http_refine_inflate_e  state;
};


static ngx_int_t ngx_http_refine_inflate_member(
    ngx_http_refine_inflate_t *gz);
static ngx_int_t ngx_http_refine_inflate_between(
    ngx_http_refine_inflate_t *gz);
static ngx_int_t ngx_http_refine_inflate_again(
    ngx_http_refine_inflate_t *gz);
static ngx_int_t ngx_http_refine_inflate_failed(
    ngx_http_refine_inflate_t *gz, int rc);
static void *ngx_http_refine_inflate_alloc(void *opaque, u_int items,
    u_int size);
static void ngx_http_refine_inflate_release(void *opaque, void *address);


/* the first two bytes of a member, RFC 1952, 2.3.1 */
static u_char  ngx_http_refine_inflate_magic[] = { 0x1f, 0x8b };

static u_char  ngx_http_refine_inflate_plain[NGX_HTTP_REFINE_INFLATE_WHOLE];

static struct libdeflate_decompressor  *ngx_http_refine_inflate_whole_state;


ngx_http_refine_inflate_t *
ngx_http_refine_inflate_create(ngx_pool_t *pool)
{
    ngx_http_refine_inflate_t  *gz;

    gz = ngx_pcalloc(pool, sizeof(ngx_http_refine_inflate_t));
    if (gz == NULL) {
        return NULL;
    }

    gz->pool = pool;
    gz->stream.zalloc = ngx_http_refine_inflate_alloc;
    gz->stream.zfree = ngx_http_refine_inflate_release;
    gz->stream.opaque = pool;

    /* 16: with a gzip header only */

    if (inflateInit2(&gz->stream, MAX_WBITS + 16) != Z_OK) {
        return NULL;
    }

    return gz;
}


void
ngx_http_refine_inflate_free(ngx_http_refine_inflate_t *gz)
{
    (void) inflateEnd(&gz->stream);
}


void
ngx_http_refine_inflate_feed(ngx_http_refine_inflate_t *gz, u_char *p,
    size_t len)
{
    gz->stream.next_in = p;
    gz->stream.avail_in = (u_int) len;

    if (len && gz->state == NGX_HTTP_REFINE_INFLATE_START) {
        gz->state = NGX_HTTP_REFINE_INFLATE_MEMBER;
    }
}


ngx_int_t
ngx_http_refine_inflate_read(ngx_http_refine_inflate_t *gz, u_char *dst,
    size_t *len)
{
    size_t     size;
    z_stream  *stream;
    ngx_int_t  rc;

    size = *len;
    stream = &gz->stream;

    stream->next_out = dst;
    stream->avail_out = (u_int) size;

    do {

        switch (gz->state) {

        case NGX_HTTP_REFINE_INFLATE_MEMBER:
            rc = ngx_http_refine_inflate_member(gz);
            break;

        case NGX_HTTP_REFINE_INFLATE_BETWEEN:
        case NGX_HTTP_REFINE_INFLATE_MAGIC:
            rc = ngx_http_refine_inflate_between(gz);
            break;

        case NGX_HTTP_REFINE_INFLATE_FAILED:
            rc = gz->error;
            break;

        default: /* START: there is no input, TRAILING */
            stream->avail_in = 0;
            rc = NGX_AGAIN;
        }

    } while (rc == NGX_OK && stream->avail_out);

    *len = size - stream->avail_out;

    return rc;
}


/* NGX_OK: the output is full, or the member is over */

static ngx_int_t
ngx_http_refine_inflate_member(ngx_http_refine_inflate_t *gz)
{
    int        rc;
    z_stream  *stream;

    stream = &gz->stream;

    /* unlike others it keeps no window of a member that ends in this call */

    rc = inflate(stream, Z_FINISH);

    if (rc == Z_STREAM_END) {
        gz->state = NGX_HTTP_REFINE_INFLATE_BETWEEN;
        return NGX_OK;
    }

    /* Z_BUF_ERROR: the member goes on, which is no error */

    if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return ngx_http_refine_inflate_failed(gz, rc);
    }

    return stream->avail_out ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_http_refine_inflate_between(ngx_http_refine_inflate_t *gz)
{
    u_char     ch;
    z_stream  *stream;

    stream = &gz->stream;

    if (stream->avail_in == 0) {
        return NGX_AGAIN;
    }

    ch = *stream->next_in++;
    stream->avail_in--;

    if (gz->state == NGX_HTTP_REFINE_INFLATE_BETWEEN) {
        gz->state = (ch == ngx_http_refine_inflate_magic[0])
                         ? NGX_HTTP_REFINE_INFLATE_MAGIC
                         : NGX_HTTP_REFINE_INFLATE_TRAILING;
        return NGX_OK;
    }

    if (ch != ngx_http_refine_inflate_magic[1]) {
        gz->state = NGX_HTTP_REFINE_INFLATE_TRAILING;
        return NGX_OK;
    }

    return ngx_http_refine_inflate_again(gz);
}


/* another member, the first two bytes of which have gone by */

static ngx_int_t
ngx_http_refine_inflate_again(ngx_http_refine_inflate_t *gz)
{
    int        rc;
    Bytef     *next_in;
    uInt       avail_in;
    z_stream  *stream;

    stream = &gz->stream;

    next_in = stream->next_in;
    avail_in = stream->avail_in;

    stream->next_in = ngx_http_refine_inflate_magic;
    stream->avail_in = sizeof(ngx_http_refine_inflate_magic);

    rc = inflateReset(stream);

    if (rc == Z_OK) {
        rc = inflate(stream, Z_NO_FLUSH);
    }

    stream->next_in = next_in;
    stream->avail_in = avail_in;

    if (rc != Z_OK) {
        return ngx_http_refine_inflate_failed(gz, rc);
    }

    gz->state = NGX_HTTP_REFINE_INFLATE_MEMBER;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_inflate_failed(ngx_http_refine_inflate_t *gz, int rc)
{
    gz->state = NGX_HTTP_REFINE_INFLATE_FAILED;
    gz->error = (rc == Z_MEM_ERROR) ? NGX_ERROR : NGX_DECLINED;

    return gz->error;
}


ngx_int_t
ngx_http_refine_inflate_end(ngx_http_refine_inflate_t *gz)
{
    switch (gz->state) {

    case NGX_HTTP_REFINE_INFLATE_BETWEEN:
        return NGX_OK;

    case NGX_HTTP_REFINE_INFLATE_MAGIC:
    case NGX_HTTP_REFINE_INFLATE_TRAILING:
        return NGX_DONE;

    default:
        return NGX_AGAIN;
    }
}


ngx_int_t
ngx_http_refine_inflate_whole(u_char *p, size_t len, ngx_str_t *plain)
{
    size_t                  used;
    enum libdeflate_result  rc;

    /* libdeflate does not look at the checksum of the header, zlib does */

    if (len <= NGX_HTTP_REFINE_INFLATE_FLAGS
        || (p[NGX_HTTP_REFINE_INFLATE_FLAGS] & NGX_HTTP_REFINE_INFLATE_FHCRC))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_refine_inflate_whole_state == NULL) {
        ngx_http_refine_inflate_whole_state = libdeflate_alloc_decompressor();

        if (ngx_http_refine_inflate_whole_state == NULL) {
            return NGX_DECLINED;
        }
    }

    plain->data = ngx_http_refine_inflate_plain;

    rc = libdeflate_gzip_decompress_ex(ngx_http_refine_inflate_whole_state,
                                       p, len, plain->data,
                                       NGX_HTTP_REFINE_INFLATE_WHOLE, &used,
                                       &plain->len);

    /* more than used: another member, or what is no part of it */

    return (rc == LIBDEFLATE_SUCCESS && used == len) ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_refine_inflate_exit(void)
{
    libdeflate_free_decompressor(ngx_http_refine_inflate_whole_state);

    ngx_http_refine_inflate_whole_state = NULL;
}


static void *
ngx_http_refine_inflate_alloc(void *opaque, u_int items, u_int size)
{
    return ngx_palloc(opaque, (size_t) items * size);
}


static void
ngx_http_refine_inflate_release(void *opaque, void *address)
{
    /* what was too small for an allocation of its own goes with the pool */

    (void) ngx_pfree(opaque, address);
}
