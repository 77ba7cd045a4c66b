
#include "ngx_http_refine_consent.h"
#include "ngx_http_refine_cookie.h"


static ngx_uint_t ngx_http_refine_consent_header(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_refine_consent_prefetch(ngx_str_t *value);
static ngx_int_t ngx_http_refine_consent_value(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);
static ngx_int_t ngx_http_refine_consent_word(ngx_str_t *value);


ngx_uint_t
ngx_http_refine_consent_signals(ngx_http_request_t *r,
    ngx_http_refine_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ctx->signalled) {
        return ctx->signals;
    }

    /* one pass over all headers, for most of them only a look at the length */

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ctx->signals |= ngx_http_refine_consent_header(&h[i]);
        }
    }

    ctx->signalled = 1;

    return ctx->signals;
}


static ngx_uint_t
ngx_http_refine_consent_header(ngx_table_elt_t *h)
{
#define ngx_http_refine_consent_is(name)                                      \
    (ngx_memcmp(h->lowcase_key, name, sizeof(name) - 1) == 0)

    switch (h->key.len) {

    case 3:
        if (ngx_http_refine_consent_is("dnt")
            && h->value.len == 1 && h->value.data[0] == '1')
        {
            return NGX_HTTP_REFINE_SIGNAL_DNT;
        }

        return 0;

    case 5:
        return ngx_http_refine_consent_is("x-moz")
               ? ngx_http_refine_consent_prefetch(&h->value) : 0;

    case 7:
        if (ngx_http_refine_consent_is("sec-gpc")
            && h->value.len == 1 && h->value.data[0] == '1')
        {
            return NGX_HTTP_REFINE_SIGNAL_GPC;
        }

        return ngx_http_refine_consent_is("purpose")
               ? ngx_http_refine_consent_prefetch(&h->value) : 0;

    case 11:
        return ngx_http_refine_consent_is("sec-purpose")
               ? ngx_http_refine_consent_prefetch(&h->value) : 0;

    default:
        return 0;
    }

#undef ngx_http_refine_consent_is
}


/* as in "prefetch;prerender" */

static ngx_uint_t
ngx_http_refine_consent_prefetch(ngx_str_t *value)
{
    return ngx_strlcasestrn(value->data, value->data + value->len,
                            (u_char *) "prefetch", sizeof("prefetch") - 2)
           ? NGX_HTTP_REFINE_SIGNAL_PREFETCH : 0;
}


ngx_str_t *
ngx_http_refine_consent_cookies(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_str_t        *names[NGX_HTTP_REFINE_COOKIES];
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    static ngx_str_t  consent = ngx_string("refine_consent");

    if (ctx->named == catalog) {
        return ctx->cookies;
    }

    names[NGX_HTTP_REFINE_COOKIE_VISITOR] = &catalog->visitor.name;
    names[NGX_HTTP_REFINE_COOKIE_SESSION] = &catalog->session.name;
    names[NGX_HTTP_REFINE_COOKIE_CONSENT] = &consent;

    ngx_memzero(ctx->cookies, sizeof(ctx->cookies));

    h = NULL;

    for (i = 0; /* void */ ; i++) {
        h = ngx_http_refine_cookie_header(r->main, h, i);

        if (h == NULL) {
            break;
        }

        ngx_http_refine_cookie_find(&h->value, names, ctx->cookies,
                                    NGX_HTTP_REFINE_COOKIES);
    }

    ctx->named = catalog;

    return ctx->cookies;
}


ngx_int_t
ngx_http_refine_consent_get(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_int_t   consent;
    ngx_uint_t  signals;

    if (ctx->catalog == catalog) {
        return ctx->consent;
    }

    consent = ngx_http_refine_consent_value(r, catalog, ctx);

    if (consent == NGX_ERROR || consent == NGX_HTTP_REFINE_CONSENT_DENIED) {
        return consent;
    }

    signals = ngx_http_refine_consent_signals(r, ctx);

    if (signals & NGX_HTTP_REFINE_SIGNAL_GPC) {
        return NGX_HTTP_REFINE_CONSENT_GPC;
    }

    if (signals & NGX_HTTP_REFINE_SIGNAL_DNT) {
        return NGX_HTTP_REFINE_CONSENT_DNT;
    }

    return consent;
}


ngx_int_t
ngx_http_refine_consent_settle(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_int_t  consent;

    consent = ngx_http_refine_consent_get(r, catalog, ctx);

    /* a mirror or a redirect may lead to another catalog with its own rules */

    if (consent != NGX_ERROR && ctx->catalog == NULL) {
        ctx->catalog = catalog;
        ctx->consent = consent;
    }

    return consent;
}


ngx_int_t
ngx_http_refine_consent_trusted(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_str_t  value;

    if (catalog->consent == NULL) {
        return NGX_HTTP_REFINE_CONSENT_GRANTED;
    }

    if (ngx_http_complex_value(r, catalog->consent, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return value.len ? ngx_http_refine_consent_word(&value)
                     : NGX_HTTP_REFINE_CONSENT_GRANTED;
}


static ngx_int_t
ngx_http_refine_consent_value(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_str_t  value;

    if (catalog->consent == NULL) {
        value = ngx_http_refine_consent_cookies(r, catalog, ctx)
                    [NGX_HTTP_REFINE_COOKIE_CONSENT];

    } else if (ngx_http_complex_value(r, catalog->consent, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return catalog->require_consent ? NGX_HTTP_REFINE_CONSENT_PENDING
                                        : NGX_HTTP_REFINE_CONSENT_GRANTED;
    }

    return ngx_http_refine_consent_word(&value);
}


static ngx_int_t
ngx_http_refine_consent_word(ngx_str_t *value)
{
#define ngx_http_refine_consent_is(word)                                      \
    (value->len == sizeof(word) - 1                                           \
     && ngx_memcmp(value->data, word, sizeof(word) - 1) == 0)

    if (ngx_http_refine_consent_is("granted")
        || ngx_http_refine_consent_is("1"))
    {
        return NGX_HTTP_REFINE_CONSENT_GRANTED;
    }

    if (ngx_http_refine_consent_is("denied")
        || ngx_http_refine_consent_is("0"))
    {
        return NGX_HTTP_REFINE_CONSENT_DENIED;
    }

#undef ngx_http_refine_consent_is

    /* what is not understood is no consent */

    return NGX_HTTP_REFINE_CONSENT_PENDING;
}


void
ngx_http_refine_consent_reason(ngx_int_t consent, ngx_str_t *reason)
{
    switch (consent) {

    case NGX_HTTP_REFINE_CONSENT_PENDING:
        ngx_str_set(reason, "pending");
        break;

    case NGX_HTTP_REFINE_CONSENT_GPC:
        ngx_str_set(reason, "gpc");
        break;

    case NGX_HTTP_REFINE_CONSENT_DNT:
        ngx_str_set(reason, "dnt");
        break;

    default:
        ngx_str_null(reason);
    }
}
