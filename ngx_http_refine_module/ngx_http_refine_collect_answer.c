
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_collect_core.h"
#include "ngx_http_refine_identity.h"


/* seconds, chosen at random so that browsers do not come back together */
#define NGX_HTTP_REFINE_COLLECT_RETRY  5


static ngx_int_t ngx_http_refine_collect_done(
    ngx_http_refine_collect_t *collect);
static ngx_int_t ngx_http_refine_collect_reject(
    ngx_http_refine_collect_t *collect, ngx_uint_t status, const char *error);


/* 2xx: the visitor was active, so the cookies are renewed */

ngx_int_t
ngx_http_refine_collect_accept(ngx_http_refine_collect_t *collect,
    const char *outcome)
{
    collect->ctx->outcome = outcome;

    if ((!collect->conf->trusted
         && ngx_http_refine_identity_renew(collect->request, collect->catalog,
                                           collect->ctx)
            != NGX_OK)
        || ngx_http_refine_identity_tell(collect->request, collect->consent,
                                         collect->bot)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_collect_done(collect);
}


ngx_int_t
ngx_http_refine_collect_drop(ngx_http_refine_collect_t *collect)
{
    ngx_uint_t                  enabled;
    ngx_http_refine_catalog_t  *catalog;

    static ngx_str_t  disabled = ngx_string("disabled");
    static ngx_str_t  consent = ngx_string("consent");

    collect->ctx->outcome = "dropped";

    catalog = collect->catalog;
    enabled = catalog->enabled;

    ngx_http_refine_queue_count(catalog->store,
                                enabled ? NGX_HTTP_REFINE_DROPPED_CONSENT
                                        : NGX_HTTP_REFINE_DROPPED_DISABLED,
                                collect->beacon.nevents);

    if (ngx_http_refine_header_add(collect->request, "X-Refine-Dropped",
                                   enabled ? &consent : &disabled)
        != NGX_OK
        || (enabled && !collect->conf->trusted
            && ngx_http_refine_identity_expire(collect->request, catalog,
                                               collect->ctx)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_collect_done(collect);
}


static ngx_int_t
ngx_http_refine_collect_done(ngx_http_refine_collect_t *collect)
{
    ngx_http_refine_beacon_t  *beacon;

    beacon = &collect->beacon;

    if (collect->pixel) {
        return ngx_http_refine_collect_image(collect->request);
    }

    if (beacon->nrejected == 0) {
        return ngx_http_refine_answer(collect->request, NGX_HTTP_NO_CONTENT,
                                      NULL);
    }

    return ngx_http_refine_collect_answer(collect, NGX_HTTP_OK,
                                          beacon->total - beacon->nrejected);
}


/* the request as a whole */

ngx_int_t
ngx_http_refine_collect_refuse(ngx_http_refine_collect_t *collect,
    ngx_uint_t status, const char *error, ngx_http_refine_counter_e reason)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    static ngx_str_t  gzip = ngx_string("gzip");

    r = collect->request;

    ngx_http_refine_queue_count(collect->catalog->store, reason, 1);

    collect->ctx->outcome = "rejected";
    rc = NGX_OK;

    if (status == NGX_HTTP_NOT_ALLOWED) {
        rc = ngx_http_refine_header_add(r, "Allow",
                                        ngx_http_refine_collect_methods(r));

    } else if (status == NGX_HTTP_UNSUPPORTED_MEDIA_TYPE) {
        rc = ngx_http_refine_header_add(r, "Accept-Encoding", &gzip);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_collect_reject(collect, status, error);
}


/* nothing was stored, or nobody knows: the browser keeps the events */

ngx_int_t
ngx_http_refine_collect_fail(ngx_http_refine_collect_t *collect,
    ngx_http_refine_stored_e rc)
{
    ngx_str_t                  seconds;
    ngx_uint_t                 full;
    ngx_http_refine_counter_e  reason;

    full = 1;

    switch (rc) {

    case NGX_HTTP_REFINE_FULL:
        reason = NGX_HTTP_REFINE_REJECTED_FULL;
        break;

    case NGX_HTTP_REFINE_FULL_BYTES:
        reason = NGX_HTTP_REFINE_REJECTED_BYTES;
        break;

    default: /* NGX_HTTP_REFINE_UNAVAILABLE */
        reason = NGX_HTTP_REFINE_REJECTED_UNAVAILABLE;
        full = 0;
    }

    if (collect->catalog->store) {
        ngx_http_refine_queue_count(collect->catalog->store, reason,
                                    collect->beacon.nevents);
    }

    collect->ctx->outcome = full ? "full" : "unavailable";

    seconds.len = 1;
    seconds.data = ngx_pnalloc(collect->request->pool, 1);
    if (seconds.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    seconds.data[0] = '1' + ngx_random() % NGX_HTTP_REFINE_COLLECT_RETRY;

    if (ngx_http_refine_header_add(collect->request, "Retry-After", &seconds)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_collect_reject(collect,
               NGX_HTTP_SERVICE_UNAVAILABLE,
               full ? "the queue is full, send the events again later"
                    : "nothing can be stored now, send the events again later");
}


static ngx_int_t
ngx_http_refine_collect_reject(ngx_http_refine_collect_t *collect,
    ngx_uint_t status, const char *error)
{
    ngx_int_t                  rc;
    ngx_http_refine_beacon_t  *beacon;

    rc = ngx_http_discard_request_body(collect->request);
    if (rc != NGX_OK) {
        return rc;
    }

    beacon = &collect->beacon;

    ngx_str_null(&beacon->error.field);
    beacon->error.error.data = (u_char *) error;
    beacon->error.error.len = ngx_strlen(error);

    ngx_http_refine_beacon_reject(beacon, -1, &beacon->error);

    return ngx_http_refine_collect_answer(collect, status, 0);
}


ngx_int_t
ngx_http_refine_collect_answer(ngx_http_refine_collect_t *collect,
    ngx_uint_t status, ngx_uint_t accepted)
{
    ngx_str_t               body;
    ngx_http_refine_buf_t   b, *rejected;

    rejected = &collect->beacon.rejected;

    if (ngx_http_refine_buf_init(&b, collect->request->pool,
                                 ngx_http_refine_buf_size(rejected) + 64,
                                 NGX_MAX_SIZE_T_VALUE)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_refine_buf_lit(&b, "{\"accepted\":");
    ngx_http_refine_buf_int(&b, accepted);
    ngx_http_refine_buf_lit(&b, ",\"rejected\":[");
    ngx_http_refine_buf_append(&b, rejected->start,
                               ngx_http_refine_buf_size(rejected));
    ngx_http_refine_buf_lit(&b, "]}\n");

    if (b.failed || rejected->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = b.start;
    body.len = ngx_http_refine_buf_size(&b);

    return ngx_http_refine_answer(collect->request, status, &body);
}
