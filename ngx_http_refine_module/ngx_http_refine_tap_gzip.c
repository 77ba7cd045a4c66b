
#include "ngx_http_refine_tap_gzip.h"


/* as much as zlib needs for a stream, and some 200k of JSON */
#define NGX_HTTP_REFINE_TAP_GZIP_HELD    (40 * 1024)

/* inflated at a time, of the stack; zlib copies its window once a call */
#define NGX_HTTP_REFINE_TAP_GZIP_STREAM  (64 * 1024)


static ngx_int_t ngx_http_refine_tap_gzip_hold(ngx_http_refine_tap_gzip_t *gz,
    u_char *p, size_t len);
static ngx_int_t ngx_http_refine_tap_gzip_whole(
    ngx_http_refine_tap_gzip_t *gz, u_char *p, size_t len);
static ngx_int_t ngx_http_refine_tap_gzip_start(
    ngx_http_refine_tap_gzip_t *gz);
static ngx_int_t ngx_http_refine_tap_gzip_stream(
    ngx_http_refine_tap_gzip_t *gz, u_char *p, size_t len);


void
ngx_http_refine_tap_gzip_init(ngx_http_refine_tap_gzip_t *gz, ngx_pool_t *pool,
    ngx_http_refine_tap_gzip_pt handler, void *data)
{
    ngx_memzero(gz, sizeof(ngx_http_refine_tap_gzip_t));

    gz->handler = handler;
    gz->data = data;

    (void) ngx_http_refine_buf_init(&gz->held, pool, 0,
                                    NGX_HTTP_REFINE_TAP_GZIP_HELD);
}


ngx_int_t
ngx_http_refine_tap_gzip_read(ngx_http_refine_tap_gzip_t *gz, u_char *p,
    size_t len, ngx_uint_t last)
{
    ngx_int_t  rc;

    if (gz->stream == NULL) {
        rc = NGX_DECLINED;

        if (last && ngx_http_refine_buf_size(&gz->held) == 0) {
            rc = ngx_http_refine_tap_gzip_whole(gz, p, len);

        } else if (!gz->early) {
            rc = ngx_http_refine_tap_gzip_hold(gz, p, len);

            if (rc == NGX_OK) {

                if (!last) {
                    return NGX_OK;
                }

                len = 0;
                rc = ngx_http_refine_tap_gzip_whole(gz, gz->held.start,
                                       ngx_http_refine_buf_size(&gz->held));
            }
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }

        rc = ngx_http_refine_tap_gzip_start(gz);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_refine_tap_gzip_stream(gz, p, len);

    if (rc != NGX_OK || !last) {
        return rc;
    }

    /* what follows the last member is passed over, as browsers do */

    return (ngx_http_refine_inflate_end(gz->stream) == NGX_AGAIN)
           ? NGX_DECLINED : NGX_OK;
}


/* NGX_DECLINED: it would be too much */

static ngx_int_t
ngx_http_refine_tap_gzip_hold(ngx_http_refine_tap_gzip_t *gz, u_char *p,
    size_t len)
{
    if (len > NGX_HTTP_REFINE_TAP_GZIP_HELD
              - ngx_http_refine_buf_size(&gz->held))
    {
        return NGX_DECLINED;
    }

    ngx_http_refine_buf_append(&gz->held, p, len);

    return gz->held.failed ? NGX_ERROR : NGX_OK;
}


/* NGX_DECLINED: it is for the stream to read, or to say what is wrong */

static ngx_int_t
ngx_http_refine_tap_gzip_whole(ngx_http_refine_tap_gzip_t *gz, u_char *p,
    size_t len)
{
    ngx_int_t  rc;
    ngx_str_t  plain;

    rc = ngx_http_refine_inflate_whole(p, len, &plain);

    if (rc != NGX_OK) {
        return rc;
    }

    return (gz->handler(gz->data, plain.data, plain.len) == NGX_OK)
           ? NGX_OK : NGX_ABORT;
}


static ngx_int_t
ngx_http_refine_tap_gzip_start(ngx_http_refine_tap_gzip_t *gz)
{
    ngx_int_t  rc;

    gz->stream = ngx_http_refine_inflate_create(gz->held.pool);
    if (gz->stream == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_refine_tap_gzip_stream(gz, gz->held.start,
                                         ngx_http_refine_buf_size(&gz->held));

    ngx_http_refine_buf_free(&gz->held);

    return rc;
}


static ngx_int_t
ngx_http_refine_tap_gzip_stream(ngx_http_refine_tap_gzip_t *gz, u_char *p,
    size_t len)
{
    u_char     plain[NGX_HTTP_REFINE_TAP_GZIP_STREAM];
    size_t     size;
    ngx_int_t  rc;

    if (len == 0) {
        return NGX_OK;
    }

    ngx_http_refine_inflate_feed(gz->stream, p, len);

    do {
        size = sizeof(plain);

        rc = ngx_http_refine_inflate_read(gz->stream, plain, &size);

        if (size && gz->handler(gz->data, plain, size) != NGX_OK) {
            return NGX_ABORT;
        }

    } while (rc == NGX_OK);

    return (rc == NGX_AGAIN) ? NGX_OK : rc;
}


void
ngx_http_refine_tap_gzip_free(ngx_http_refine_tap_gzip_t *gz)
{
    if (gz->stream) {
        ngx_http_refine_inflate_free(gz->stream);
        gz->stream = NULL;
    }

    ngx_http_refine_buf_free(&gz->held);
}
