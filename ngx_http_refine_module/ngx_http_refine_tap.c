
#include "ngx_http_refine_tap.h"
#include "ngx_http_refine_tap_gzip.h"
#include "ngx_http_refine_tap_hold.h"
#include "ngx_http_refine_tap_value.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_response.h"
#include "ngx_http_refine_serve.h"


/*
 * Of a response that is logged.  It is found through the cleanup of the
 * request's pool, which also tells when a response did not get to its end.
 */

typedef struct {
    ngx_http_refine_catalog_t      *catalog;
    ngx_http_refine_ctx_t          *ctx;
    ngx_http_refine_tap_hold_t     *hold;       /* NULL: the header is sent */
    off_t                           length;     /* of the plain body so far */
    off_t                           left;       /* of the body; < 0: unknown */
    unsigned                        active:1;
    unsigned                        gzip:1;
    ngx_http_refine_tap_gzip_t      packed;     /* if gzip */
    ngx_http_refine_tap_value_t     values;
} ngx_http_refine_tap_t;


static ngx_int_t ngx_http_refine_tap_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_tap_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_http_refine_tap_t *ngx_http_refine_tap_start(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_uint_t gzip);
static ngx_int_t ngx_http_refine_tap_id(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap, ngx_http_refine_serve_conf_t *serve);
static void ngx_http_refine_tap_look(ngx_event_t *ev);
static ngx_uint_t ngx_http_refine_tap_repeated(ngx_http_request_t *r);
static ngx_http_refine_tap_t *ngx_http_refine_tap_holds(
    ngx_http_request_t *r);
static ngx_http_refine_tap_t *ngx_http_refine_tap_find(ngx_http_request_t *r);
static void ngx_http_refine_tap_cleanup(void *data);
static void ngx_http_refine_tap_drop(ngx_http_refine_tap_t *tap,
    ngx_http_refine_counter_e reason);
static void ngx_http_refine_tap_stop(ngx_http_refine_tap_t *tap);
static ngx_int_t ngx_http_refine_tap_pass(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap, ngx_chain_t *in, ngx_uint_t last);
static ngx_int_t ngx_http_refine_tap_send_header(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap);
static ngx_uint_t ngx_http_refine_tap_read(ngx_http_refine_tap_t *tap,
    ngx_chain_t *in);
static void ngx_http_refine_tap_buf(ngx_http_refine_tap_t *tap, ngx_buf_t *b,
    ngx_uint_t last);
static void ngx_http_refine_tap_unpack(ngx_http_refine_tap_t *tap, u_char *p,
    size_t len, ngx_uint_t last);
static ngx_int_t ngx_http_refine_tap_plain(void *data, u_char *p, size_t len);
static void ngx_http_refine_tap_end(ngx_http_refine_tap_t *tap);
static void ngx_http_refine_tap_finish(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_refine_tap_header_filter(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_uint_t                   gzip;
    ngx_http_refine_tap_t       *tap;
    ngx_http_refine_counter_e    reason;
    ngx_http_refine_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_refine_tap_repeated(r)) {
        return NGX_OK;
    }

    /* a page is the other filter's */

    if (conf->serve == NULL || conf->catalog == NULL
        || (conf->inject && ngx_http_refine_response_page(r)))
    {
        return ngx_http_next_header_filter(r);
    }

    tap = NULL;

    if (ngx_http_refine_serve_test(r, conf, &gzip, &reason) == NGX_OK) {
        tap = ngx_http_refine_tap_start(r, conf, gzip);

        if (tap == NULL) {
            reason = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        }
    }

    if (tap == NULL) {
        ngx_http_refine_serve_unlogged(r);

    } else if (tap->hold) {
        return NGX_OK;
    }

    rc = ngx_http_next_header_filter(r);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* another response takes the place of this one, and is counted */

        if (tap != NULL) {
            ngx_http_refine_tap_stop(tap);
        }

        return rc;
    }

    if (tap == NULL) {
        ngx_http_refine_serve_count(conf->catalog, reason);
    }

    return rc;
}


static ngx_http_refine_tap_t *
ngx_http_refine_tap_start(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_uint_t gzip)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_refine_ctx_t  *ctx;
    ngx_http_refine_tap_t  *tap;

    ctx = ngx_http_refine_ctx_get(r);

    if (ctx == NULL) {
        return NULL;
    }

    /* the header filter may have run before for the same request */

    tap = ngx_http_refine_tap_find(r);

    if (tap == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_refine_tap_t));
        if (cln == NULL) {
            return NULL;
        }

        tap = cln->data;
        cln->handler = ngx_http_refine_tap_cleanup;

    } else {
        ngx_http_refine_tap_stop(tap);
    }

    ngx_memzero(tap, offsetof(ngx_http_refine_tap_t, values));

    tap->catalog = conf->catalog;
    tap->ctx = ctx;
    tap->gzip = gzip;
    tap->left = r->headers_out.content_length_n;

    if (ngx_http_refine_tap_id(r, tap, conf->serve) != NGX_OK) {
        return NULL;
    }

    tap->active = 1;

    ngx_http_refine_tap_value_init(&tap->values, r, conf);

    ngx_http_refine_tap_gzip_init(&tap->packed, tap->values.pool,
                                  ngx_http_refine_tap_plain, tap);
    tap->packed.early = (tap->hold != NULL);

    /* without it a body from a file would pass by as a descriptor */

    r->main_filter_need_in_memory = 1;

    return tap;
}


/* the upstream's header, the one in the body, one made here */

static ngx_int_t
ngx_http_refine_tap_id(ngx_http_request_t *r, ngx_http_refine_tap_t *tap,
    ngx_http_refine_serve_conf_t *serve)
{
    ngx_int_t  rc;

    rc = ngx_http_refine_serve_own(r, tap->ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (serve->values[NGX_HTTP_REFINE_SERVE_ID].from
        != NGX_HTTP_REFINE_VALUE_JSON
        || r->headers_out.content_length_n == 0
        || !ngx_http_refine_serve_fresh(r))
    {
        return ngx_http_refine_serve_header(r, tap->ctx);
    }

    tap->hold = ngx_http_refine_tap_hold_create(r, ngx_http_refine_tap_look);

    return tap->hold ? NGX_OK : NGX_ERROR;
}


/* what has come of a response that does not get to its end goes out */

static void
ngx_http_refine_tap_look(ngx_event_t *ev)
{
    ngx_buf_t              *b;
    ngx_chain_t             out;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_refine_tap_t  *tap;

    c = ev->data;
    r = c->data;
    r = r->main;

    tap = ngx_http_refine_tap_holds(r);

    if (tap == NULL || ngx_http_refine_tap_hold_look(tap->hold) != NGX_OK) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    b = ngx_calloc_buf(r->pool);

    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else {
        b->flush = 1;

        out.buf = b;
        out.next = NULL;

        if (ngx_http_refine_tap_pass(r, tap, &out, 1) == NGX_ERROR) {
            ngx_http_finalize_request(r, NGX_ERROR);

        } else {
            r->write_event_handler(r);
        }
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Whether the header that is to be sent is held already.  Another one, of an
 * error or of an internal redirect, takes its place.
 */

static ngx_uint_t
ngx_http_refine_tap_repeated(ngx_http_request_t *r)
{
    ngx_http_refine_tap_t  *tap;

    tap = ngx_http_refine_tap_holds(r);

    if (tap == NULL) {
        return 0;
    }

    if (ngx_http_refine_tap_hold_same(tap->hold)) {
        return 1;
    }

    ngx_http_refine_tap_hold_forget(tap->hold);
    ngx_http_refine_tap_stop(tap);

    tap->hold = NULL;

    return 0;
}


/* the one whose header is held; the bit could be another module's, too */

static ngx_http_refine_tap_t *
ngx_http_refine_tap_holds(ngx_http_request_t *r)
{
    ngx_http_refine_tap_t  *tap;

    if (!(r->buffered & NGX_HTTP_REFINE_TAP_HOLD_BUFFERED)) {
        return NULL;
    }

    tap = ngx_http_refine_tap_find(r);

    return (tap && tap->hold) ? tap : NULL;
}


static ngx_http_refine_tap_t *
ngx_http_refine_tap_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_refine_tap_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_refine_tap_cleanup(void *data)
{
    ngx_http_refine_tap_t  *tap = data;

    if (tap->hold) {
        ngx_http_refine_tap_hold_forget(tap->hold);
    }

    /* the client or the upstream went away before the end of the body */

    if (tap->active) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_ABORTED);
    }
}


static void
ngx_http_refine_tap_drop(ngx_http_refine_tap_t *tap,
    ngx_http_refine_counter_e reason)
{
    ngx_http_refine_tap_stop(tap);

    ngx_http_refine_serve_count(tap->catalog, reason);
}


/* the 40k for gzip need not wait for the last byte to be sent */

static void
ngx_http_refine_tap_stop(ngx_http_refine_tap_t *tap)
{
    tap->active = 0;

    ngx_http_refine_tap_gzip_free(&tap->packed);
}


static ngx_int_t
ngx_http_refine_tap_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                    rc;
    ngx_uint_t                   last;
    ngx_http_refine_tap_t       *tap;
    ngx_http_refine_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (conf->serve == NULL || r != r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    if (in == NULL) {
        return ngx_http_refine_tap_holds(r) ? NGX_OK
                                            : ngx_http_next_body_filter(r, in);
    }

    tap = ngx_http_refine_tap_find(r);

    if (tap == NULL || !tap->active) {
        return ngx_http_next_body_filter(r, in);
    }

    /* once passed on, the bytes may be sent and their memory used again */

    last = ngx_http_refine_tap_read(tap, in);

    if (last && tap->active) {
        ngx_http_refine_tap_end(tap);
    }

    rc = tap->hold ? ngx_http_refine_tap_pass(r, tap, in, last)
                   : ngx_http_next_body_filter(r, in);

    if (last && tap->active) {

        if (rc == NGX_ERROR) {
            ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_ABORTED);

        } else {
            ngx_http_refine_tap_finish(r, tap);
        }
    }

    return rc;
}


/* of a response whose header is held: it waits, or all goes out */

static ngx_int_t
ngx_http_refine_tap_pass(ngx_http_request_t *r, ngx_http_refine_tap_t *tap,
    ngx_chain_t *in, ngx_uint_t last)
{
    if (tap->active && !last && tap->values.id.len == 0
        && ngx_http_refine_tap_hold_test(tap->hold, in) == NGX_OK)
    {
        return ngx_http_refine_tap_hold_add(tap->hold, in);
    }

    in = ngx_http_refine_tap_hold_release(tap->hold, in);

    tap->hold = NULL;

    if (ngx_http_refine_tap_send_header(r, tap) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_body_filter(r, in);
}


/* one that turned out not to be logged has no id */

static ngx_int_t
ngx_http_refine_tap_send_header(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap)
{
    ngx_int_t  rc;

    if (tap->active) {

        if (tap->values.id.len) {
            tap->ctx->serve_id = tap->values.id;
        }

        if (ngx_http_refine_serve_header(r, tap->ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    rc = ngx_http_next_header_filter(r);

    /* a filter behind this one that wants another response comes too late */

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Whether the body ends here.  A client that has got all of a known length may
 * go away before nginx says that it was the last.
 */

static ngx_uint_t
ngx_http_refine_tap_read(ngx_http_refine_tap_t *tap, ngx_chain_t *in)
{
    ngx_uint_t  last;

    for ( /* void */ ; in && tap->active; in = in->next) {

        tap->left -= ngx_buf_size(in->buf);

        last = in->buf->last_buf || tap->left == 0;

        ngx_http_refine_tap_buf(tap, in->buf, last);

        if (last) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_refine_tap_buf(ngx_http_refine_tap_t *tap, ngx_buf_t *b,
    ngx_uint_t last)
{
    size_t  size;

    size = (size_t) ngx_buf_size(b);

    if (size && !ngx_buf_in_memory(b)) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_INTERNAL);

    } else if (tap->gzip) {
        ngx_http_refine_tap_unpack(tap, b->pos, size, last);

    } else if (size) {
        (void) ngx_http_refine_tap_plain(tap, b->pos, size);
    }
}


static void
ngx_http_refine_tap_unpack(ngx_http_refine_tap_t *tap, u_char *p, size_t len,
    ngx_uint_t last)
{
    ngx_int_t  rc;

    rc = ngx_http_refine_tap_gzip_read(&tap->packed, p, len, last);

    if (rc != NGX_OK && tap->active) {
        ngx_http_refine_tap_drop(tap, (rc == NGX_DECLINED)
                                      ? NGX_HTTP_REFINE_SKIPPED_NOT_GZIP
                                      : NGX_HTTP_REFINE_SKIPPED_INTERNAL);
    }
}


/* not NGX_OK: it is not logged, which is counted */

static ngx_int_t
ngx_http_refine_tap_plain(void *data, u_char *p, size_t len)
{
    ngx_http_refine_tap_t  *tap = data;

    ngx_int_t  rc;

    tap->length += len;

    if (tap->length > tap->values.conf->max_length) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_TOO_LARGE);
        return NGX_DECLINED;
    }

    rc = ngx_http_refine_tap_value_feed(&tap->values, p, len);

    if (rc != NGX_OK) {
        ngx_http_refine_tap_drop(tap, (rc == NGX_DECLINED)
                                      ? NGX_HTTP_REFINE_SKIPPED_NOT_JSON
                                      : NGX_HTTP_REFINE_SKIPPED_INTERNAL);
    }

    return rc;
}


/* whether the body was whole, before its last piece is passed on */

static void
ngx_http_refine_tap_end(ngx_http_refine_tap_t *tap)
{
    ngx_int_t  rc;

    rc = ngx_http_refine_tap_value_end(&tap->values);

    if (rc != NGX_OK) {
        ngx_http_refine_tap_drop(tap, (rc == NGX_DECLINED)
                                      ? NGX_HTTP_REFINE_SKIPPED_NOT_JSON
                                      : (rc == NGX_ABORT)
                                      ? NGX_HTTP_REFINE_SKIPPED_NOT_SEARCH
                                      : NGX_HTTP_REFINE_SKIPPED_INTERNAL);
    }
}


static void
ngx_http_refine_tap_finish(ngx_http_request_t *r, ngx_http_refine_tap_t *tap)
{
    if (ngx_http_refine_tap_value_finish(&tap->values, r) != NGX_OK) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

    ngx_http_refine_tap_stop(tap);

    tap->values.serve.serve_id = tap->ctx->serve_id;

    ngx_http_refine_serve_log(r, tap->catalog, &tap->values.serve);
}


ngx_int_t
ngx_http_refine_tap_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_refine_tap_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_refine_tap_body_filter;

    return NGX_OK;
}
