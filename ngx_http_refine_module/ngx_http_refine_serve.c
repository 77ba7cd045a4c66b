
#include "ngx_http_refine_serve.h"
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_consent.h"
#include "ngx_http_refine_funnel.h"
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_response.h"


static ngx_table_elt_t *ngx_http_refine_serve_find(ngx_http_request_t *r,
    ngx_uint_t fresh);
static ngx_int_t ngx_http_refine_serve_expose(ngx_http_request_t *r);
static ngx_uint_t ngx_http_refine_serve_listed(ngx_str_t *list,
    ngx_str_t *name);
static ngx_int_t ngx_http_refine_serve_decode(ngx_pool_t *pool,
    ngx_str_t *text);
static void ngx_http_refine_serve_limit(ngx_str_t *text, size_t max);


static ngx_str_t  ngx_http_refine_serve_name =
    ngx_string("X-Refine-Serve-Id");


ngx_int_t
ngx_http_refine_serve_test(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_uint_t *gzip,
    ngx_http_refine_counter_e *reason)
{
    ngx_http_refine_response_coding_e  coding;

    if (!conf->catalog->enabled) {
        *reason = NGX_HTTP_REFINE_SKIPPED_DISABLED;
        return NGX_DECLINED;
    }

    if (conf->serve->condition
        && !ngx_http_refine_serve_wanted(r, conf->serve->condition))
    {
        *reason = NGX_HTTP_REFINE_SKIPPED_CONDITION;
        return NGX_DECLINED;
    }

    if (r->headers_out.status != NGX_HTTP_OK) {
        *reason = NGX_HTTP_REFINE_SKIPPED_STATUS;
        return NGX_DECLINED;
    }

    /* header_only is set for HEAD only later, by the last header filter */

    if (r->method == NGX_HTTP_HEAD || r->header_only) {
        *reason = NGX_HTTP_REFINE_SKIPPED_METHOD;
        return NGX_DECLINED;
    }

    if (ngx_http_refine_response_cut(r)) {
        *reason = NGX_HTTP_REFINE_SKIPPED_RANGE;
        return NGX_DECLINED;
    }

    if (!ngx_http_refine_response_json(r)) {
        *reason = NGX_HTTP_REFINE_SKIPPED_TYPE;
        return NGX_DECLINED;
    }

    coding = ngx_http_refine_response_coding(r);

    if (coding == NGX_HTTP_REFINE_RESPONSE_OTHER) {
        *reason = NGX_HTTP_REFINE_SKIPPED_ENCODING;
        return NGX_DECLINED;
    }

    *gzip = (coding == NGX_HTTP_REFINE_RESPONSE_GZIP);

    if (!*gzip && r->headers_out.content_length_n > conf->serve->max_length) {
        *reason = NGX_HTTP_REFINE_SKIPPED_TOO_LARGE;
        return NGX_DECLINED;
    }

    return ngx_http_refine_serve_allowed(r, conf, reason);
}


ngx_int_t
ngx_http_refine_serve_allowed(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_http_refine_counter_e *reason)
{
    ngx_http_refine_ctx_t  *ctx;

    if ((conf->serve == NULL || !conf->serve->cacheable)
        && ngx_http_refine_response_cacheable(r))
    {
        *reason = NGX_HTTP_REFINE_SKIPPED_CACHEABLE;
        return NGX_DECLINED;
    }

    /* the last test, so that what it counts would have been logged */

    ctx = ngx_http_refine_ctx_get(r);

    if (ctx == NULL) {
        *reason = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        return NGX_DECLINED;
    }

    switch (ngx_http_refine_consent_settle(r, conf->catalog, ctx)) {

    case NGX_ERROR:
        *reason = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        return NGX_DECLINED;

    case NGX_HTTP_REFINE_CONSENT_DENIED:
        *reason = NGX_HTTP_REFINE_SKIPPED_CONSENT;
        return NGX_DECLINED;

    default:
        return NGX_OK;
    }
}


/* as everywhere in nginx: empty and "0" are false */

ngx_uint_t
ngx_http_refine_serve_wanted(ngx_http_request_t *r,
    ngx_http_complex_value_t *condition)
{
    ngx_str_t  value;

    if (ngx_http_complex_value(r, condition, &value) != NGX_OK) {
        return 0;
    }

    return value.len && (value.len != 1 || value.data[0] != '0');
}


ngx_int_t
ngx_http_refine_serve_id(ngx_http_request_t *r, ngx_http_refine_ctx_t *ctx)
{
    u_char  *id;

    if (ctx->serve_id.len) {
        return NGX_OK;
    }

    id = ngx_pnalloc(r->pool, NGX_HTTP_REFINE_UUID_LEN);
    if (id == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_refine_serve_make(id) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->serve_id.data = id;
    ctx->serve_id.len = NGX_HTTP_REFINE_UUID_LEN;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_serve_make(u_char *id)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return ngx_http_refine_id_uuid7(id, (uint64_t) tp->sec * 1000 + tp->msec);
}


ngx_int_t
ngx_http_refine_serve_own(ngx_http_request_t *r, ngx_http_refine_ctx_t *ctx)
{
    ngx_table_elt_t  *own;

    own = ngx_http_refine_serve_find(r, ngx_http_refine_serve_fresh(r));

    if (own == NULL) {
        return NGX_DECLINED;
    }

    ctx->serve_id = own->value;

    return ngx_http_refine_serve_expose(r);
}


ngx_int_t
ngx_http_refine_serve_header(ngx_http_request_t *r, ngx_http_refine_ctx_t *ctx)
{
    if (ngx_http_refine_serve_id(r, ctx) != NGX_OK
        || ngx_http_refine_header_add(r,
                                    (char *) ngx_http_refine_serve_name.data,
                                    &ctx->serve_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_refine_serve_expose(r);
}


void
ngx_http_refine_serve_unlogged(ngx_http_request_t *r)
{
    /* a 304 would put it in the place of the one that the browser has got */

    if (!ngx_http_refine_serve_fresh(r)) {
        (void) ngx_http_refine_serve_find(r, 0);
    }
}


ngx_uint_t
ngx_http_refine_serve_fresh(ngx_http_request_t *r)
{
#if (NGX_HTTP_CACHE)
    return !r->cached;
#else
    return 1;
#endif
}


/*
 * The upstream's own id, the others are taken out; an id that comes out of a
 * cache, not "fresh", was given to someone else before.
 */

static ngx_table_elt_t *
ngx_http_refine_serve_find(ngx_http_request_t *r, ngx_uint_t fresh)
{
    ngx_table_elt_t                  *h, *own;
    ngx_http_refine_response_walk_t   walk;

    own = NULL;
    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, &ngx_http_refine_serve_name,
                                            &walk);
        if (h == NULL) {
            return own;
        }

        if (own == NULL && fresh
            && ngx_http_refine_id_serve_check(&h->value) == NGX_OK)
        {
            own = h;
            continue;
        }

        h->hash = 0;
    }
}


/* a script of another origin sees only the headers that are named to it */

static ngx_int_t
ngx_http_refine_serve_expose(ngx_http_request_t *r)
{
    u_char                           *p;
    ngx_str_t                        *name, value;
    ngx_table_elt_t                  *h, *last;
    ngx_http_refine_response_walk_t   walk;

    static ngx_str_t  allow = ngx_string("Access-Control-Allow-Origin");
    static ngx_str_t  expose = ngx_string("Access-Control-Expose-Headers");

    name = &ngx_http_refine_serve_name;
    walk.part = NULL;

    if (ngx_http_refine_response_header(r, &allow, &walk) == NULL) {
        return NGX_OK;
    }

    last = NULL;
    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, &expose, &walk);

        if (h == NULL) {
            break;
        }

        if (ngx_http_refine_serve_listed(&h->value, name)) {
            return NGX_OK;
        }

        last = h;
    }

    if (last == NULL) {
        return ngx_http_refine_header_add(r, (char *) expose.data, name);
    }

    value.len = last->value.len + sizeof(", ") - 1 + name->len;

    value.data = ngx_pnalloc(r->pool, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, last->value.data, last->value.len);
    p = ngx_cpymem(p, ", ", sizeof(", ") - 1);
    ngx_memcpy(p, name->data, name->len);

    last->value = value;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_serve_listed(ngx_str_t *list, ngx_str_t *name)
{
    u_char  *p, *end, *last;

    last = list->data + list->len;

    for (p = list->data; p < last; p = end + 1) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        end = p;

        while (end < last && *end != ',' && *end != ' ' && *end != '\t') {
            end++;
        }

        if ((size_t) (end - p) == name->len
            && ngx_strncasecmp(p, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_refine_serve_text(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_value_t *value,
    ngx_str_t *text)
{
    ngx_str_null(text);

    if (value->from != NGX_HTTP_REFINE_VALUE_TEXT
        && value->from != NGX_HTTP_REFINE_VALUE_ARG)
    {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, value->text, text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value->from == NGX_HTTP_REFINE_VALUE_ARG
        && ngx_http_refine_serve_decode(r->pool, text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ngx_http_refine_buf_is_text(text->data, text->len)) {
        ngx_http_refine_serve_count(catalog, NGX_HTTP_REFINE_SERVES_NOT_UTF8);
        ngx_str_null(text);
    }

    return NGX_OK;
}


/*
 * application/x-www-form-urlencoded; a % without two hex digits stays.
 * ngx_unescape_uri() would drop it.
 */

static ngx_int_t
ngx_http_refine_serve_decode(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char     *p, *src, *last;
    ngx_int_t   n;

    if (text->len == 0) {
        return NGX_OK;
    }

    src = text->data;
    last = src + text->len;

    p = ngx_pnalloc(pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    while (src < last) {

        if (*src == '%' && last - src > 2) {
            n = ngx_hextoi(src + 1, 2);

            if (n != NGX_ERROR) {
                *p++ = (u_char) n;
                src += 3;
                continue;
            }
        }

        *p++ = (*src == '+') ? ' ' : *src;
        src++;
    }

    text->len = p - text->data;

    return NGX_OK;
}


static void
ngx_http_refine_serve_limit(ngx_str_t *text, size_t max)
{
    if (text->len <= max) {
        return;
    }

    while (max && (text->data[max] & 0xc0) == 0x80) {
        max--;
    }

    text->len = max;
}


void
ngx_http_refine_serve_log(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_event_serve_t *serve)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_refine_event_t       event;
    ngx_http_refine_event_env_t   env;

    ngx_http_refine_serve_limit(&serve->surface,
                                NGX_HTTP_REFINE_EVENT_MAX_NAME);
    ngx_http_refine_serve_limit(&serve->source,
                                NGX_HTTP_REFINE_EVENT_MAX_NAME);
    ngx_http_refine_serve_limit(&serve->query,
                                NGX_HTTP_REFINE_EVENT_MAX_QUERY);
    ngx_http_refine_serve_limit(&serve->anchor, NGX_HTTP_REFINE_EVENT_MAX_ID);

    if (catalog->store == NULL
        || ngx_http_refine_identity_env(r, catalog, &env) != NGX_OK
        || ngx_http_refine_event_serve(r->pool, serve, &env, &event) != NGX_OK
        || ngx_http_refine_funnel_find(catalog->zone, r->pool, &event, 0)
           != NGX_OK)
    {
        ngx_http_refine_serve_count(catalog, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

    rc = ngx_http_refine_queue_keep(catalog->store, &event);

    if (rc != NGX_OK) {
        ngx_http_refine_serve_count(catalog,
                                    (rc == NGX_DECLINED)
                                    ? NGX_HTTP_REFINE_SKIPPED_SERVE_BUFFER
                                    : NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

    /* it is stored before anybody has seen the items */

    ngx_http_refine_funnel_stored(catalog->zone, &event, 1);

    ngx_http_refine_serve_count(catalog, NGX_HTTP_REFINE_SERVES_LOGGED);

    if (serve->truncated) {
        ngx_http_refine_serve_count(catalog, NGX_HTTP_REFINE_SERVES_CUT);
    }

    for (i = 0; i < serve->left_out; i++) {
        ngx_http_refine_serve_count(catalog, NGX_HTTP_REFINE_SERVES_LEFT_OUT);
    }
}


void
ngx_http_refine_serve_count(ngx_http_refine_catalog_t *catalog,
    ngx_http_refine_counter_e counter)
{
    if (catalog->store != NULL) {
        ngx_http_refine_queue_count(catalog->store, counter, 1);
    }
}
