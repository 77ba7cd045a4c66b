
#include "ngx_http_refine_inject_core.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_response.h"
#include "ngx_http_refine_serve.h"


/* nothing to count */
#define NGX_HTTP_REFINE_INJECT_NONE  NGX_HTTP_REFINE_COUNTER_MAX


#define NGX_HTTP_REFINE_INJECT_CONSENT  " data-require-consent"

#define NGX_HTTP_REFINE_INJECT_META                                           \
    "<meta name=\"refine-serve-id\" content=\""


/* what becomes of a page, and of the serve that it is in its location */

typedef struct {
    ngx_http_refine_counter_e  page;
    ngx_http_refine_counter_e  serve;
    ngx_uint_t                 gzip;
} ngx_http_refine_inject_outcome_t;


static ngx_int_t ngx_http_refine_inject_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_inject_page(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf);
static ngx_int_t ngx_http_refine_inject_test(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf,
    ngx_http_refine_inject_outcome_t *outcome);
static ngx_http_refine_inject_t *ngx_http_refine_inject_start(
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf,
    ngx_http_refine_inject_outcome_t *outcome);
static ngx_int_t ngx_http_refine_inject_own_serve(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_http_refine_inject_t *inject);
static void ngx_http_refine_inject_header(ngx_http_request_t *r);
static void ngx_http_refine_inject_cleanup(void *data);
static void ngx_http_refine_inject_drop(ngx_http_refine_inject_t *inject,
    ngx_http_refine_counter_e reason);
static void ngx_http_refine_inject_stop(ngx_http_refine_inject_t *inject);
static ngx_int_t ngx_http_refine_inject_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_refine_inject_pass(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_chain_t *in);
static u_char *ngx_http_refine_inject_script(ngx_http_refine_inject_t *inject,
    ngx_str_t *nonce, u_char *p);
static void ngx_http_refine_inject_finish(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject);
static void ngx_http_refine_inject_log(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_http_refine_page_serve_t *found);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_refine_inject_header_filter(ngx_http_request_t *r)
{
    ngx_http_refine_ctx_t       *ctx;
    ngx_http_refine_loc_conf_t  *conf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    /* the header filter may have run before for the same request */

    ctx = ngx_http_refine_ctx_find(r);

    if (ctx && ctx->inject) {
        ngx_http_refine_inject_stop(ctx->inject);
        ctx->inject = NULL;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (conf->inject == NULL || conf->catalog == NULL
        || !ngx_http_refine_response_page(r))
    {
        return ngx_http_next_header_filter(r);
    }

    return ngx_http_refine_inject_page(r, conf);
}


static ngx_int_t
ngx_http_refine_inject_page(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf)
{
    ngx_int_t                          rc;
    ngx_http_refine_inject_t          *inject;
    ngx_http_refine_inject_outcome_t   outcome;

    inject = NULL;

    if (ngx_http_refine_inject_test(r, conf, &outcome) == NGX_OK) {
        inject = ngx_http_refine_inject_start(r, conf, &outcome);
    }

    if (conf->serve && (inject == NULL || inject->values == NULL)) {
        ngx_http_refine_serve_unlogged(r);

    } else {
        outcome.serve = NGX_HTTP_REFINE_INJECT_NONE;
    }

    rc = ngx_http_next_header_filter(r);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* another response takes the place of this one, and is counted */

        if (inject != NULL) {
            ngx_http_refine_inject_stop(inject);
        }

        return rc;
    }

    if (outcome.page != NGX_HTTP_REFINE_INJECT_NONE) {
        ngx_http_refine_serve_count(conf->catalog, outcome.page);
    }

    if (outcome.serve != NGX_HTTP_REFINE_INJECT_NONE) {
        ngx_http_refine_serve_count(conf->catalog, outcome.serve);
    }

    return rc;
}


/* NGX_DECLINED: the page passes unchanged */

static ngx_int_t
ngx_http_refine_inject_test(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf,
    ngx_http_refine_inject_outcome_t *outcome)
{
    ngx_http_refine_response_coding_e  coding;

    outcome->page = NGX_HTTP_REFINE_INJECT_NONE;
    outcome->serve = NGX_HTTP_REFINE_INJECT_NONE;

    if (!conf->catalog->enabled) {
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_DISABLED;
        return NGX_DECLINED;
    }

    if (conf->inject->condition
        && !ngx_http_refine_serve_wanted(r, conf->inject->condition))
    {
        outcome->page = NGX_HTTP_REFINE_PAGES_CONDITION;
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_CONDITION;
        return NGX_DECLINED;
    }

    if (ngx_http_refine_response_fixed(r)) {
        outcome->page = NGX_HTTP_REFINE_PAGES_NO_TRANSFORM;
        return NGX_DECLINED;
    }

    coding = ngx_http_refine_response_coding(r);

    if (coding == NGX_HTTP_REFINE_RESPONSE_OTHER) {
        outcome->page = NGX_HTTP_REFINE_PAGES_ENCODING;
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_ENCODING;
        return NGX_DECLINED;
    }

    outcome->gzip = (coding == NGX_HTTP_REFINE_RESPONSE_GZIP);

    /* header_only is set for HEAD only later, by the last header filter */

    if (r->method == NGX_HTTP_HEAD || r->header_only) {
        ngx_http_refine_inject_header(r);
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_METHOD;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_http_refine_inject_t *
ngx_http_refine_inject_start(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf,
    ngx_http_refine_inject_outcome_t *outcome)
{
    ngx_uint_t                 ids, own;
    ngx_pool_cleanup_t        *cln;
    ngx_http_refine_ctx_t     *ctx;
    ngx_http_refine_inject_t  *inject;

    ids = (ngx_http_refine_serve_allowed(r, conf, &outcome->serve) == NGX_OK);
    own = (ids && conf->serve);

    if (own && conf->serve->condition
        && !ngx_http_refine_serve_wanted(r, conf->serve->condition))
    {
        own = 0;
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_CONDITION;
    }

    ctx = ngx_http_refine_ctx_get(r);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_refine_inject_t));

    if (ctx == NULL || cln == NULL) {
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        return NULL;
    }

    inject = cln->data;
    ngx_memzero(inject, offsetof(ngx_http_refine_inject_t, page));

    cln->handler = ngx_http_refine_inject_cleanup;

    inject->conf = conf->inject;
    inject->catalog = conf->catalog;
    inject->ctx = ctx;
    inject->gzip = outcome->gzip;
    inject->last_out = &inject->out;

    if (own
        && ngx_http_refine_inject_own_serve(r, conf, inject) != NGX_OK)
    {
        outcome->serve = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        return NULL;
    }

    ngx_http_refine_page_init(&inject->page, r->pool, ids, own);
    ngx_http_refine_inject_header(r);

    /* without it a body from a file would pass by as a descriptor */

    r->main_filter_need_in_memory = 1;

    inject->active = 1;
    ctx->inject = inject;

    outcome->page = NGX_HTTP_REFINE_PAGES_INJECTED;

    return inject;
}


/* the page is a serve itself, by refine_serve of its location */

static ngx_int_t
ngx_http_refine_inject_own_serve(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_http_refine_inject_t *inject)
{
    ngx_int_t                     rc;
    ngx_http_refine_tap_value_t  *values;

    values = ngx_palloc(r->pool, sizeof(ngx_http_refine_tap_value_t));
    if (values == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_refine_serve_own(r, inject->ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_refine_serve_header(r, inject->ctx);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_refine_tap_value_init(values, r, conf);

    inject->values = values;

    return NGX_OK;
}


/* what does not hold for the page as it will be sent */

static void
ngx_http_refine_inject_header(ngx_http_request_t *r)
{
    ngx_table_elt_t                  *h;
    ngx_http_refine_response_walk_t   walk;

    static ngx_str_t  name = ngx_string("Content-Encoding");

    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, &name, &walk);

        if (h == NULL) {
            break;
        }

        h->hash = 0;
    }

    r->headers_out.content_encoding = NULL;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_weak_etag(r);
}


static void
ngx_http_refine_inject_cleanup(void *data)
{
    ngx_http_refine_inject_t  *inject = data;

    /* the client or the upstream went away before the end of the page */

    if (inject->active) {
        ngx_http_refine_inject_drop(inject, NGX_HTTP_REFINE_SKIPPED_ABORTED);
    }
}


/* each of the serves is counted */

static void
ngx_http_refine_inject_drop(ngx_http_refine_inject_t *inject,
    ngx_http_refine_counter_e reason)
{
    ngx_uint_t  n;

    ngx_http_refine_inject_stop(inject);

    n = inject->page.nserves + (inject->values != NULL);

    while (n) {
        ngx_http_refine_serve_count(inject->catalog, reason);
        n--;
    }
}


/* zlib's 40k need not wait for the last byte to be sent */

static void
ngx_http_refine_inject_stop(ngx_http_refine_inject_t *inject)
{
    inject->active = 0;

    if (inject->inflate) {
        ngx_http_refine_inflate_free(inject->inflate);
        inject->inflate = NULL;
    }
}


static ngx_int_t
ngx_http_refine_inject_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                    rc;
    ngx_http_refine_ctx_t       *ctx;
    ngx_http_refine_inject_t    *inject;
    ngx_http_refine_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (conf->inject == NULL || r != r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    ctx = ngx_http_refine_ctx_find(r);
    inject = ctx ? ctx->inject : NULL;

    if (inject == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (inject->failed) {
        return NGX_ERROR;
    }

    if (inject->ended) {
        rc = ngx_http_next_body_filter(r, in);
        ngx_http_refine_inject_sent(r, inject);
        return rc;
    }

    rc = ngx_http_refine_inject_pass(r, inject, in);

    if (rc == NGX_ERROR) {
        inject->failed = 1;
        r->buffered &= ~NGX_HTTP_REFINE_INJECT_BUFFERED;

        if (inject->active) {
            ngx_http_refine_inject_drop(inject,
                                        NGX_HTTP_REFINE_SKIPPED_ABORTED);
        }

    } else if (inject->ended && inject->active) {
        ngx_http_refine_inject_stop(inject);
        ngx_http_refine_inject_finish(r, inject);
    }

    return rc;
}


static ngx_int_t
ngx_http_refine_inject_pass(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_chain_t *in)
{
    ngx_int_t   rc, found;
    ngx_uint_t  asked, push;

    rc = NGX_OK;
    asked = (in == NULL);
    push = 1;

    for ( ;; ) {
        found = ngx_http_refine_inject_read(r, inject, in);
        in = NULL;

        if (found == NGX_ERROR) {
            return NGX_ERROR;
        }

        /*
         * Without anything new it makes those behind send what they have: so
         * little of it may be in all buffers that they wait for more.
         */

        if (inject->out || asked || (push && found == NGX_AGAIN)) {
            asked = 0;
            push = (inject->out != NULL);

            rc = ngx_http_next_body_filter(r, inject->out);
            ngx_http_refine_inject_sent(r, inject);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

        } else if (found == NGX_AGAIN) {
            r->buffered |= NGX_HTTP_REFINE_INJECT_BUFFERED;
            return NGX_AGAIN;
        }

        if (found == NGX_DECLINED) {
            ngx_http_refine_serve_count(inject->catalog,
                                        NGX_HTTP_REFINE_PAGES_NOT_GZIP);
            return NGX_ERROR;
        }

        if (found == NGX_OK) {
            r->buffered &= ~NGX_HTTP_REFINE_INJECT_BUFFERED;
            return rc;
        }

        /* NGX_AGAIN: there may be room now */
    }
}


ngx_int_t
ngx_http_refine_inject_head(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_str_t *text)
{
    size_t      len;
    u_char     *p;
    ngx_str_t   nonce, *id;

    ngx_str_null(text);
    ngx_str_null(&nonce);

    id = &inject->ctx->serve_id;

    if (!ngx_http_refine_page_whole(&inject->page)) {
        return NGX_OK;
    }

    if (inject->conf->nonce
        && ngx_http_complex_value(r, inject->conf->nonce, &nonce) != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(NGX_HTTP_REFINE_INJECT_META "\">") - 1 + id->len
          + inject->conf->element.len
          + sizeof(NGX_HTTP_REFINE_INJECT_CONSENT) - 1
          + sizeof(" nonce=\"" "\"></script>") - 1
          + nonce.len + ngx_escape_html(NULL, nonce.data, nonce.len);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    if (inject->values && !inject->page.meta) {
        p = ngx_cpymem(p, NGX_HTTP_REFINE_INJECT_META,
                       sizeof(NGX_HTTP_REFINE_INJECT_META) - 1);
        p = ngx_cpymem(p, id->data, id->len);
        p = ngx_cpymem(p, "\">", sizeof("\">") - 1);
    }

    if (!inject->page.script) {
        p = ngx_http_refine_inject_script(inject, &nonce, p);
    }

    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_http_refine_inject_script(ngx_http_refine_inject_t *inject,
    ngx_str_t *nonce, u_char *p)
{
    p = ngx_cpymem(p, inject->conf->element.data, inject->conf->element.len);

    /* what is in the script's own cookie the script can wait for */

    if (inject->catalog->require_consent && !inject->catalog->consent) {
        p = ngx_cpymem(p, NGX_HTTP_REFINE_INJECT_CONSENT,
                       sizeof(NGX_HTTP_REFINE_INJECT_CONSENT) - 1);
    }

    if (nonce->len) {
        p = ngx_cpymem(p, " nonce=\"", sizeof(" nonce=\"") - 1);
        p = (u_char *) ngx_escape_html(p, nonce->data, nonce->len);
        *p++ = '"';
    }

    return ngx_cpymem(p, "></script>", sizeof("></script>") - 1);
}


/* the page is complete: its serves are logged */

static void
ngx_http_refine_inject_finish(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject)
{
    ngx_http_refine_items_t       *items;
    ngx_http_refine_tap_value_t   *values;
    ngx_http_refine_page_serve_t  *found;

    values = inject->values;

    if (values && ngx_http_refine_tap_value_finish(values, r) != NGX_OK) {
        ngx_http_refine_inject_drop(inject, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

    /* whoever put the id of the page into it has logged it */

    if (values && !inject->page.meta) {
        items = &inject->page.items;

        values->serve.serve_id = inject->ctx->serve_id;
        values->serve.items = items->set.strings;
        values->serve.nitems = items->set.nstrings;
        values->serve.truncated = items->truncated;

        ngx_http_refine_serve_log(r, inject->catalog, &values->serve);
    }

    for (found = inject->page.serves; found; found = found->next) {
        ngx_http_refine_inject_log(r, inject, found);
    }
}


static void
ngx_http_refine_inject_log(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_http_refine_page_serve_t *found)
{
    ngx_http_refine_tap_value_t    *values;
    ngx_http_refine_event_serve_t   serve;

    ngx_memzero(&serve, sizeof(ngx_http_refine_event_serve_t));

    serve.total = -1;
    serve.offset = -1;

    serve.serve_id.data = found->id;
    serve.serve_id.len = NGX_HTTP_REFINE_UUID_LEN;
    serve.items = found->items.set.strings;
    serve.nitems = found->items.set.nstrings;
    serve.truncated = found->items.truncated;

    /* what the container does not say is as the page's, if that is a serve */

    values = inject->values;

    ngx_str_set(&serve.surface, "curated");
    ngx_str_set(&serve.source, "curated");

    if (values) {
        serve.surface = values->serve.surface;
        serve.source = values->serve.source;
    }

    if (found->surface.len) {
        serve.surface = found->surface;
    }

    if (found->source.len) {
        serve.source = found->source;
    }

    ngx_http_refine_serve_log(r, inject->catalog, &serve);
}


ngx_int_t
ngx_http_refine_inject_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_refine_inject_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_refine_inject_body_filter;

    return NGX_OK;
}
