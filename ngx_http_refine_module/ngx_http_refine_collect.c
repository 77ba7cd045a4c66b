
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_collect_core.h"
#include "ngx_http_refine_consent.h"
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_funnel.h"
#include "ngx_http_refine_guard.h"
#include "ngx_http_refine_identity.h"


static ngx_uint_t ngx_http_refine_collect_test(ngx_http_request_t *r,
    ngx_http_refine_collect_head_t *head);
static ngx_int_t ngx_http_refine_collect_deny(ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_refine_collect_head_t *head);
static const char *ngx_http_refine_collect_method(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_collect_encoding(ngx_http_request_t *r,
    ngx_uint_t *gzip);
static void ngx_http_refine_collect_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_collect_read(
    ngx_http_refine_collect_t *collect);
static ngx_int_t ngx_http_refine_collect_bad(
    ngx_http_refine_collect_t *collect, ngx_int_t rc);
static ngx_int_t ngx_http_refine_collect_check(
    ngx_http_refine_collect_t *collect);
static ngx_int_t ngx_http_refine_collect_identify(
    ngx_http_refine_collect_t *collect, ngx_http_refine_event_env_t *env);
static ngx_int_t ngx_http_refine_collect_store(
    ngx_http_refine_collect_t *collect);
static void ngx_http_refine_collect_stored(void *data,
    ngx_http_refine_stored_e rc);
static void ngx_http_refine_collect_cleanup(void *data);
static ngx_int_t ngx_http_refine_collect_log(ngx_http_request_t *r);


/* the outcome while the body is being read */
static const char  ngx_http_refine_collect_aborted[] = "aborted";


ngx_int_t
ngx_http_refine_collect_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_uint_t                       status;
    ngx_http_refine_ctx_t           *ctx;
    ngx_http_refine_loc_conf_t      *lcf;
    ngx_http_refine_collect_head_t   head;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (lcf->catalog == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_http_refine_flush_start(lcf->catalog, (ngx_cycle_t *) ngx_cycle)
        != NGX_OK)
    {
        return ngx_http_refine_collect_deny(r, 0, NULL);
    }

    status = ngx_http_refine_collect_test(r, &head);

    if (lcf->catalog->origins
        && ngx_http_refine_collect_cors(r, head.cross) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status) {
        return ngx_http_refine_collect_deny(r, status, &head);
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_refine_collect_preflight(r, head.cross);
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_refine_collect_pixel(r);
    }

    ctx = ngx_http_refine_ctx_get(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->outcome = ngx_http_refine_collect_aborted;
    ctx->gzip = head.gzip;
    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_refine_collect_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* what can be refused without the body; 0, or the status */

static ngx_uint_t
ngx_http_refine_collect_test(ngx_http_request_t *r,
    ngx_http_refine_collect_head_t *head)
{
    ngx_http_refine_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (lcf->collect->trusted) {
        head->cross = NULL;
        head->error = ngx_http_refine_guard_trusted(r,
                        lcf->collect->trusted == NGX_HTTP_REFINE_TRUST_ANY);
        head->reason = NGX_HTTP_REFINE_REJECTED_UNTRUSTED;

    } else {
        head->error = ngx_http_refine_guard_origin(r, lcf->catalog->origins,
                                                   &head->cross);
        head->reason = NGX_HTTP_REFINE_REJECTED_ORIGIN;
    }

    if (head->error) {
        return NGX_HTTP_FORBIDDEN;
    }

    head->error = ngx_http_refine_collect_method(r);

    if (head->error) {
        head->reason = NGX_HTTP_REFINE_REJECTED_METHOD;

        return NGX_HTTP_NOT_ALLOWED;
    }

    if (ngx_http_refine_collect_encoding(r, &head->gzip) != NGX_OK) {
        head->error = "Content-Encoding must be absent, identity or gzip";
        head->reason = NGX_HTTP_REFINE_REJECTED_ENCODING;

        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    return 0;
}


/* status 0: this worker has no queue */

static ngx_int_t
ngx_http_refine_collect_deny(ngx_http_request_t *r, ngx_uint_t status,
    ngx_http_refine_collect_head_t *head)
{
    ngx_http_refine_collect_t  *collect;

    collect = ngx_http_refine_collect_create(r);
    if (collect == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (status == 0)
           ? ngx_http_refine_collect_fail(collect, NGX_HTTP_REFINE_UNAVAILABLE)
           : ngx_http_refine_collect_refuse(collect, status, head->error,
                                            head->reason);
}


static const char *
ngx_http_refine_collect_method(ngx_http_request_t *r)
{
    ngx_http_refine_loc_conf_t  *lcf;

    if (r->method == NGX_HTTP_POST || r->method == NGX_HTTP_OPTIONS) {
        return NULL;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (!lcf->collect->pixel) {
        return "the method must be POST";
    }

    return (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           ? NULL : "the method must be GET or POST";
}


/* several headers are one list, and so several encodings over one another */

static ngx_int_t
ngx_http_refine_collect_encoding(ngx_http_request_t *r, ngx_uint_t *gzip)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    *gzip = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len != sizeof("content-encoding") - 1
                || ngx_memcmp(h[i].lowcase_key, "content-encoding",
                              h[i].key.len)
                   != 0)
            {
                continue;
            }

#define ngx_http_refine_collect_encoded(name)                                 \
    (h[i].value.len == sizeof(name) - 1                                       \
     && ngx_strncasecmp(h[i].value.data, (u_char *) name, h[i].value.len)     \
        == 0)

            if (h[i].value.len == 0
                || ngx_http_refine_collect_encoded("identity"))
            {
                continue;
            }

            if (*gzip || !(ngx_http_refine_collect_encoded("gzip")
                           || ngx_http_refine_collect_encoded("x-gzip")))
            {
                return NGX_DECLINED;
            }

#undef ngx_http_refine_collect_encoded

            *gzip = 1;
        }
    }

    return NGX_OK;
}


ngx_http_refine_collect_t *
ngx_http_refine_collect_create(ngx_http_request_t *r)
{
    ngx_http_refine_collect_t   *collect;
    ngx_http_refine_loc_conf_t  *lcf;

    collect = ngx_pcalloc(r->pool, sizeof(ngx_http_refine_collect_t));
    if (collect == NULL) {
        return NULL;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    collect->request = r;
    collect->conf = lcf->collect;
    collect->catalog = lcf->catalog;
    collect->ctx = ngx_http_refine_ctx_get(r);

    if (collect->ctx == NULL) {
        return NULL;
    }

    ngx_http_refine_beacon_init(&collect->beacon, r->pool);

    if (collect->conf->trusted) {
        collect->beacon.max = NGX_HTTP_REFINE_BEACON_MAX_TRUSTED;
    }

    return collect;
}


static void
ngx_http_refine_collect_body(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_refine_collect_t  *collect;

    collect = ngx_http_refine_collect_create(r);

    if (collect == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_http_refine_collect_read(collect);

    ngx_http_refine_beacon_free(&collect->beacon);

    if (rc == NGX_AGAIN) {
        return;
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_int_t
ngx_http_refine_collect_read(ngx_http_refine_collect_t *collect)
{
    ngx_int_t                  rc;
    ngx_str_t                  text;
    ngx_http_request_t        *r;
    ngx_http_refine_beacon_t  *beacon;

    r = collect->request;
    beacon = &collect->beacon;

    rc = ngx_http_refine_beacon_body(beacon, r, &text);

    if (rc == NGX_OK && collect->ctx->gzip) {
        rc = ngx_http_refine_beacon_gzip(beacon, r, &text);
    }

    return (rc == NGX_OK) ? ngx_http_refine_collect_text(collect, &text)
                          : ngx_http_refine_collect_bad(collect, rc);
}


ngx_int_t
ngx_http_refine_collect_text(ngx_http_refine_collect_t *collect,
    ngx_str_t *text)
{
    ngx_int_t  rc;

    rc = ngx_http_refine_beacon_parse(&collect->beacon,
                                      collect->request->pool,
                                      text->data, text->len);

    return (rc == NGX_OK) ? ngx_http_refine_collect_check(collect)
                          : ngx_http_refine_collect_bad(collect, rc);
}


/* NGX_DECLINED: the beacon's error is the answer */

static ngx_int_t
ngx_http_refine_collect_bad(ngx_http_refine_collect_t *collect, ngx_int_t rc)
{
    ngx_http_refine_beacon_t  *beacon;

    if (rc != NGX_DECLINED) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    beacon = &collect->beacon;

    ngx_http_refine_beacon_reject(beacon, -1, &beacon->error);
    ngx_http_refine_queue_count(collect->catalog->store,
                                beacon->error.reason, 1);

    collect->ctx->outcome = "rejected";

    return ngx_http_refine_collect_answer(collect, beacon->status, 0);
}


static ngx_int_t
ngx_http_refine_collect_check(ngx_http_refine_collect_t *collect)
{
    ngx_int_t                     consent;
    ngx_uint_t                    drop;
    ngx_http_request_t           *r;
    ngx_http_refine_beacon_t     *beacon;
    ngx_http_refine_catalog_t    *catalog;
    ngx_http_refine_event_env_t   env;

    r = collect->request;
    beacon = &collect->beacon;
    catalog = collect->catalog;

    consent = ngx_http_refine_collect_identify(collect, &env);
    if (consent == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    collect->consent = consent;

    drop = (!catalog->enabled || consent == NGX_HTTP_REFINE_CONSENT_DENIED);

    env.types = collect->conf->types;
    env.sent_at = beacon->sent_at;
    collect->bot = env.bot;

    if (ngx_http_refine_beacon_check(beacon, r->pool, &env, catalog->store,
                                     drop ? NULL : catalog->zone)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (beacon->nrejected == beacon->total) {
        collect->ctx->outcome = "rejected";

        return ngx_http_refine_collect_answer(collect, NGX_HTTP_BAD_REQUEST,
                                              0);
    }

    if (drop) {
        return ngx_http_refine_collect_drop(collect);
    }

    if (beacon->nevents == 0) {
        return ngx_http_refine_collect_accept(collect, "duplicate");
    }

    return ngx_http_refine_collect_store(collect);
}


/* who sends the events; the consent that holds for them, or NGX_ERROR */

static ngx_int_t
ngx_http_refine_collect_identify(ngx_http_refine_collect_t *collect,
    ngx_http_refine_event_env_t *env)
{
    ngx_int_t                   consent;
    ngx_http_request_t         *r;
    ngx_http_refine_catalog_t  *catalog;

    r = collect->request;
    catalog = collect->catalog;

    if (collect->conf->trusted) {
        consent = ngx_http_refine_consent_trusted(r, catalog);

        ngx_http_refine_identity_trusted(catalog, consent, env);

        return consent;
    }

    consent = ngx_http_refine_consent_settle(r, catalog, collect->ctx);

    if (consent == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* a subrequest, as of mirror, has no answer that could set a cookie */

    if ((r == r->main
         && ngx_http_refine_identity_mint(r, catalog, collect->ctx) != NGX_OK)
        || ngx_http_refine_identity_env(r, catalog, env) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return consent;
}


/*
 * The request is held until Redis has answered, which the queue's own deadline
 * bounds.  A client that goes away meanwhile is not looked for: its events are
 * stored all the same, and their ids have to be remembered for the time when
 * the browser, which saw no answer, sends them again.
 */

static ngx_int_t
ngx_http_refine_collect_store(ngx_http_refine_collect_t *collect)
{
    ngx_http_request_t  *r;
    ngx_http_cleanup_t  *cln;

    r = collect->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    collect->ticket = ngx_http_refine_queue_push(collect->catalog->store,
                                                 collect->beacon.events,
                                                 collect->beacon.nevents,
                                                ngx_http_refine_collect_stored,
                                                 collect);

    if (collect->ticket == NULL) {
        return ngx_http_refine_collect_fail(collect,
                                            NGX_HTTP_REFINE_UNAVAILABLE);
    }

    cln->handler = ngx_http_refine_collect_cleanup;
    cln->data = collect;

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


static void
ngx_http_refine_collect_stored(void *data, ngx_http_refine_stored_e rc)
{
    ngx_http_refine_collect_t *collect = data;

    ngx_int_t                  status;
    ngx_uint_t                 i;
    const char                *outcome;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_refine_beacon_t  *beacon;

    r = collect->request;
    c = r->connection;
    beacon = &collect->beacon;

    ngx_http_set_log_request(c->log, r);

    collect->ticket = NULL;

    if (rc == NGX_HTTP_REFINE_STORED || rc == NGX_HTTP_REFINE_SPOOLED) {

        for (i = 0; i < beacon->nevents; i++) {
            if (!beacon->events[i].made) {
                ngx_http_refine_shared_remember(collect->catalog->zone,
                                                &beacon->events[i].id);
            }
        }

        ngx_http_refine_funnel_stored(collect->catalog->zone, beacon->events,
                                      beacon->nevents);

        outcome = (rc == NGX_HTTP_REFINE_STORED) ? "stored" : "spooled";

        status = ngx_http_refine_collect_accept(collect,
                                    beacon->nrejected ? "partial" : outcome);

    } else {
        status = ngx_http_refine_collect_fail(collect, rc);
    }

    ngx_http_finalize_request(r, status);

    ngx_http_run_posted_requests(c);
}


/* the request is over before Redis has answered */

static void
ngx_http_refine_collect_cleanup(void *data)
{
    ngx_http_refine_collect_t *collect = data;

    if (collect->ticket) {
        ngx_http_refine_queue_forget(collect->ticket);
        collect->ticket = NULL;
    }
}


/*
 * What nginx refuses never comes back to the handler: a body over
 * client_max_body_size, or one that was cut off or came too slowly.
 */

static ngx_int_t
ngx_http_refine_collect_log(ngx_http_request_t *r)
{
    ngx_uint_t                   begun, status;
    ngx_http_refine_ctx_t       *ctx;
    ngx_http_refine_counter_e    reason;
    ngx_http_refine_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);
    ctx = ngx_http_refine_ctx_find(r);
    status = r->err_status ? r->err_status : r->headers_out.status;

    if (ctx && ctx->outcome) {

        /* begun, and perhaps redirected to an error page since */

        begun = (ctx->outcome == ngx_http_refine_collect_aborted);

    } else {
        begun = (r->content_handler == ngx_http_refine_collect_handler);
    }

    if (!begun || lcf->catalog == NULL || lcf->catalog->store == NULL) {
        return NGX_OK;
    }

    if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        reason = NGX_HTTP_REFINE_REJECTED_TOO_LARGE;

    } else if (r->request_body
               && (status == NGX_HTTP_BAD_REQUEST
                   || status == NGX_HTTP_REQUEST_TIME_OUT
                   || status == NGX_HTTP_CLIENT_CLOSED_REQUEST))
    {
        reason = NGX_HTTP_REFINE_REJECTED_ABORTED;

    } else {
        return NGX_OK;
    }

    ngx_http_refine_queue_count(lcf->catalog->store, reason, 1);

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_collect_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_refine_collect_log;

    return NGX_OK;
}
