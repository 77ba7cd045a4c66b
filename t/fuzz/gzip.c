
/*
 * gzip: no cut of the input, and no size of the output, changes what is
 * inflated; it is what zlib makes of it at once; what was deflated comes out
 * again; and no body inflates to more than client_max_body_size.  The first
 * byte says whether the input is gzip or is deflated here.
 */


#include "fuzz.h"
#include <zlib.h>
#include "fuzz_beacon.h"
#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_inflate.h"


#define FUZZ_MAX    4096        /* client_max_body_size */
#define FUZZ_PLAIN  (1024 * 1024)


static size_t  fuzz_room;       /* of the output, at once */


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    size_t                      n;
    u_char                     *dst;
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    ngx_http_refine_inflate_t  *gz;

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    gz = ngx_http_refine_inflate_create(pool);
    fuzz_assert(gz != NULL);

    dst = malloc(fuzz_room);
    rc = NGX_AGAIN;

    while (rc == NGX_AGAIN && fuzz_next(in)) {
        ngx_http_refine_inflate_feed(gz, in->piece.data, in->piece.len);

        do {
            n = fuzz_room;
            rc = ngx_http_refine_inflate_read(gz, dst, &n);

            fuzz_assert(n <= fuzz_room);

            if (log->len < FUZZ_PLAIN) {
                fuzz_write(log, dst, n);
            }

        } while (rc == NGX_OK);
    }

    fuzz_assert(rc == NGX_AGAIN || rc == NGX_DECLINED);

    if (rc == NGX_AGAIN) {
        rc = ngx_http_refine_inflate_end(gz);
    }

    fuzz_print(log, "%c", "?ADX"[rc == NGX_AGAIN ? 1 : rc == NGX_DECLINED ? 2
                                 : rc == NGX_OK ? 3 : 0]);

    free(dst);
    ngx_http_refine_inflate_free(gz);
    ngx_destroy_pool(pool);
}


/* all members at once, by zlib; the bytes, or -1: not exactly that */

static ssize_t
fuzz_zlib(const u_char *p, size_t len, char *plain)
{
    int       rc;
    size_t    n;
    z_stream  stream;

    memset(&stream, 0, sizeof(z_stream));
    fuzz_assert(inflateInit2(&stream, MAX_WBITS + 16) == Z_OK);

    stream.next_in = (Bytef *) p;
    stream.avail_in = len;
    stream.next_out = (Bytef *) plain;
    stream.avail_out = FUZZ_PLAIN;

    do {
        rc = inflate(&stream, Z_FINISH);
    } while (rc == Z_STREAM_END && stream.avail_in
             && inflateReset(&stream) == Z_OK);

    n = FUZZ_PLAIN - stream.avail_out;
    inflateEnd(&stream);

    return (rc == Z_STREAM_END && stream.avail_in == 0) ? (ssize_t) n : -1;
}


/* one member at once is the same; what is anything else is not taken */

static void
fuzz_whole(u_char *p, size_t len, const char *plain, ssize_t n)
{
    ngx_str_t  text;

    if (ngx_http_refine_inflate_whole(p, len, &text) == NGX_OK) {
        fuzz_assert(n >= 0 && text.len == (size_t) n
                    && memcmp(text.data, plain, n) == 0);
    }
}


/* a body of a request, where client_max_body_size is FUZZ_MAX */

static void
fuzz_body(u_char *p, size_t len, const char *plain, ssize_t n)
{
    void                       *confs[1];
    ngx_int_t                   rc;
    ngx_str_t                   text;
    ngx_http_request_t          r;
    ngx_http_core_loc_conf_t    clcf;
    ngx_http_refine_beacon_t    beacon;

    memset(&clcf, 0, sizeof(ngx_http_core_loc_conf_t));
    clcf.client_max_body_size = FUZZ_MAX;
    confs[0] = &clcf;

    memset(&r, 0, sizeof(ngx_http_request_t));
    r.loc_conf = confs;
    r.pool = ngx_create_pool(1024, NULL);
    fuzz_assert(r.pool != NULL);

    text.data = p;
    text.len = len;

    ngx_http_refine_beacon_init(&beacon, r.pool);

    rc = ngx_http_refine_beacon_gzip(&beacon, &r, &text);

    if (rc == NGX_OK) {
        fuzz_assert(n >= 0 && text.len <= FUZZ_MAX);
        fuzz_assert(text.len == (size_t) n
                    && memcmp(text.data, plain, n) == 0);

    } else {
        fuzz_assert(rc == NGX_DECLINED && beacon.error.error.len);
        fuzz_assert(beacon.status == (n > FUZZ_MAX
                                      ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                      : NGX_HTTP_BAD_REQUEST)
                    || n < 0);
    }

    ngx_http_refine_beacon_free(&beacon);
    ngx_destroy_pool(r.pool);
}


static size_t
fuzz_deflate(const u_char *p, size_t len, ngx_uint_t level, u_char *dst,
    size_t size)
{
    z_stream   stream;
    gz_header  header;

    memset(&stream, 0, sizeof(z_stream));
    memset(&header, 0, sizeof(gz_header));

    fuzz_assert(deflateInit2(&stream, level % 10, Z_DEFLATED, MAX_WBITS + 16,
                             8, Z_DEFAULT_STRATEGY) == Z_OK);

    header.name = (Bytef *) "name";
    header.hcrc = 1;

    if (level >= 10) {
        fuzz_assert(deflateSetHeader(&stream, &header) == Z_OK);
    }

    stream.next_in = (Bytef *) p;
    stream.avail_in = len;
    stream.next_out = dst;
    stream.avail_out = size;

    fuzz_assert(deflate(&stream, Z_FINISH) == Z_STREAM_END);

    size -= stream.avail_out;
    deflateEnd(&stream);

    return size;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              half, len;
    u_char             *body;
    ssize_t             n;
    ngx_uint_t          built;

    static char         plain[FUZZ_PLAIN];
    static fuzz_log_t   log;

    if (size == 0 || size > 1000) {
        return 0;
    }

    built = data[0] & 0x20;
    fuzz_room = 1 + (data[0] & 0x1f) * 7;

    data++;
    size--;

    if (built) {

        /* two members */

        half = size / 2;
        body = malloc(2 * size + 256);
        fuzz_assert(body != NULL);

        len = fuzz_deflate(data, half, fuzz_room % 20, body, size + 128);
        len += fuzz_deflate(data + half, size - half, size % 20, body + len,
                            size + 128);
    } else {
        len = size;
        body = fuzz_copy(data, size);
    }

    n = fuzz_zlib(body, len, plain);

    fuzz_cuts(body, len, fuzz_run, &log);

    fuzz_assert((n >= 0) == (log.text[log.len - 1] == 'X'));

    fuzz_assert(n < 0 || ((size_t) n == log.len - 1
                          && memcmp(log.text, plain, n) == 0));

    fuzz_assert(!built || ((size_t) n == size
                           && memcmp(plain, data, size) == 0));

    fuzz_whole(body, len, plain, n);
    fuzz_body(body, len, plain, n);

    free(body);

    return 0;
}
