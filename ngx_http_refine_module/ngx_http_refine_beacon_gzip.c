
#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_inflate.h"


/* for where client_max_body_size is off: 16 KB of input could be 16 MB */
#define NGX_HTTP_REFINE_BEACON_MAX_INFLATED  (1024 * 1024)

#define NGX_HTTP_REFINE_BEACON_INFLATE       4096


static ngx_int_t ngx_http_refine_beacon_grow(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, ngx_http_refine_inflate_t *gz, size_t max,
    ngx_str_t *text);
static ngx_int_t ngx_http_refine_beacon_inflated(
    ngx_http_refine_beacon_t *beacon, ngx_int_t rc);
static ngx_int_t ngx_http_refine_beacon_not_gzip(
    ngx_http_refine_beacon_t *beacon, const char *error);


ngx_int_t
ngx_http_refine_beacon_gzip(ngx_http_refine_beacon_t *beacon,
    ngx_http_request_t *r, ngx_str_t *text)
{
    size_t                      max;
    ngx_int_t                   rc;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_refine_inflate_t  *gz;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    max = NGX_HTTP_REFINE_BEACON_MAX_INFLATED;

    if (clcf->client_max_body_size) {
        max = ngx_min(clcf->client_max_body_size,
                      NGX_HTTP_REFINE_BEACON_MAX_BODY);
    }

    gz = ngx_http_refine_inflate_create(r->pool);
    if (gz == NULL) {
        return NGX_ERROR;
    }

    ngx_http_refine_inflate_feed(gz, text->data, text->len);

    rc = ngx_http_refine_beacon_grow(beacon, r->pool, gz, max, text);

    if (rc == NGX_AGAIN) {
        rc = ngx_http_refine_beacon_inflated(beacon,
                                             ngx_http_refine_inflate_end(gz));
    }

    ngx_http_refine_inflate_free(gz);

    return rc;
}


/*
 * What is read so far is copied to twice the room when it is used up, for no
 * field of gzip that a client has made can be trusted with its size.
 */

static ngx_int_t
ngx_http_refine_beacon_grow(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, ngx_http_refine_inflate_t *gz, size_t max,
    ngx_str_t *text)
{
    u_char     *p, *old;
    size_t      size, used, n;
    ngx_int_t   rc;

    old = NULL;
    used = 0;
    size = ngx_max(text->len * 4, NGX_HTTP_REFINE_BEACON_INFLATE);

    /* one more than is allowed, to see whether there is more */

    size = ngx_min(size, max + 1);

    for ( ;; ) {
        p = ngx_pnalloc(pool, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (old) {
            ngx_memcpy(p, old, used);
            (void) ngx_pfree(pool, old);
        }

        n = size - used;
        rc = ngx_http_refine_inflate_read(gz, p + used, &n);
        used += n;

        if (used > max) {
            return ngx_http_refine_beacon_refuse(beacon,
                       NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "",
                       "the inflated body is too large",
                       NGX_HTTP_REFINE_REJECTED_TOO_LARGE);
        }

        if (rc != NGX_OK) {
            break;
        }

        old = p;
        size = ngx_min(size * 2, max + 1);
    }

    text->data = p;
    text->len = used;

    return (rc == NGX_DECLINED)
           ? ngx_http_refine_beacon_not_gzip(beacon, "not gzip, or damaged")
           : rc;
}


/*
 * No byte of a request is left unread: what follows the end may be events that
 * a broken client takes for sent.
 */

static ngx_int_t
ngx_http_refine_beacon_inflated(ngx_http_refine_beacon_t *beacon,
    ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DONE:
        return ngx_http_refine_beacon_not_gzip(beacon,
                                              "gzip with bytes after its end");

    default:
        return ngx_http_refine_beacon_not_gzip(beacon,
                                               "gzip that is cut off");
    }
}


static ngx_int_t
ngx_http_refine_beacon_not_gzip(ngx_http_refine_beacon_t *beacon,
    const char *error)
{
    return ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST, "",
                                         error,
                                         NGX_HTTP_REFINE_REJECTED_NOT_GZIP);
}
