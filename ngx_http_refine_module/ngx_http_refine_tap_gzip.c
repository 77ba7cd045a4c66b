
#include "ngx_http_refine_tap_gzip.h"


/* as much as zlib needs for a stream, and some 200k of JSON */
#define NGX_HTTP_REFINE_TAP_GZIP_HELD    (40 * 1024)

#define NGX_HTTP_REFINE_TAP_GZIP_FIRST   (8 * 1024)

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


ngx_int_t
ngx_http_refine_tap_gzip_read(ngx_http_refine_tap_gzip_t *gz, u_char *p,
    size_t len, ngx_uint_t last)
{
    ngx_int_t  rc;

    if (gz->stream == NULL) {
        rc = NGX_DECLINED;

        if (last && gz->len == 0) {
            rc = ngx_http_refine_tap_gzip_whole(gz, p, len);

        } else if (!gz->early) {
            rc = ngx_http_refine_tap_gzip_hold(gz, p, len);

            if (rc == NGX_OK) {

                if (!last) {
                    return NGX_OK;
                }

                len = 0;
                rc = ngx_http_refine_tap_gzip_whole(gz, gz->held, gz->len);
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
    size_t   size;
    u_char  *held;

    if (len > NGX_HTTP_REFINE_TAP_GZIP_HELD - gz->len) {
        return NGX_DECLINED;
    }

    if (len > gz->size - gz->len) {
        size = ngx_max(gz->size * 2, NGX_HTTP_REFINE_TAP_GZIP_FIRST);
        size = ngx_max(size, gz->len + len);
        size = ngx_min(size, NGX_HTTP_REFINE_TAP_GZIP_HELD);

        held = ngx_palloc(gz->pool, size);
        if (held == NULL) {
            return NGX_ERROR;
        }

        if (gz->held) {
            ngx_memcpy(held, gz->held, gz->len);
            (void) ngx_pfree(gz->pool, gz->held);
        }

        gz->held = held;
        gz->size = size;
    }

    if (len) {
        ngx_memcpy(gz->held + gz->len, p, len);
        gz->len += len;
    }

    return NGX_OK;
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

    gz->stream = ngx_http_refine_inflate_create(gz->pool);
    if (gz->stream == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_refine_tap_gzip_stream(gz, gz->held, gz->len);

    if (gz->held) {
        (void) ngx_pfree(gz->pool, gz->held);
        gz->held = NULL;
    }

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

    if (gz->held) {
        (void) ngx_pfree(gz->pool, gz->held);
        gz->held = NULL;
    }
}
