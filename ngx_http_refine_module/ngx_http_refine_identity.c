
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_accept.h"
#include "ngx_http_refine_address.h"
#include "ngx_http_refine_consent.h"
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_identity.h"


/* two catalogs go by the same cookie */

#define ngx_http_refine_identity_same(a, b, cookie)                           \
    ((a)->cookie.name.len == (b)->cookie.name.len                             \
     && ((a)->cookie.name.len == 0                                            \
         || ngx_memcmp((a)->cookie.name.data, (b)->cookie.name.data,          \
                       (a)->cookie.name.len)                                  \
            == 0))


static void ngx_http_refine_ctx_cleanup(void *data);
static void ngx_http_refine_identity_cookie(ngx_str_t *cookie, u_char kind,
    ngx_str_t *id);
static ngx_int_t ngx_http_refine_identity_new(ngx_http_request_t *r,
    ngx_http_refine_cookie_t *cookie, u_char kind, ngx_str_t *id);
static ngx_int_t ngx_http_refine_identity_set(ngx_http_request_t *r,
    ngx_http_refine_cookie_t *cookie, ngx_str_t *id, ngx_uint_t secure);
static ngx_uint_t ngx_http_refine_identity_secure(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog);
static void ngx_http_refine_identity_start(ngx_http_refine_event_env_t *env);
static ngx_int_t ngx_http_refine_identity_person(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx,
    ngx_http_refine_event_env_t *env);
static ngx_int_t ngx_http_refine_identity_ip(ngx_http_request_t *r,
    ngx_uint_t anonymize, ngx_str_t *ip);


ngx_http_refine_ctx_t *
ngx_http_refine_ctx_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_refine_ctx_t  *ctx;

    ctx = ngx_http_refine_ctx_find(r);

    if (ctx) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->main->pool, sizeof(ngx_http_refine_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_refine_ctx_t));
    ctx->request = r->main;

    cln->handler = ngx_http_refine_ctx_cleanup;

    ngx_http_set_ctx(r->main, ctx, ngx_http_refine_module);

    return ctx;
}


ngx_http_refine_ctx_t *
ngx_http_refine_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_refine_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_refine_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    /* a redirect has wiped the contexts, the pool is the same */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_refine_ctx_cleanup) {
            ctx = cln->data;
            ngx_http_set_ctx(r, ctx, ngx_http_refine_module);
            break;
        }
    }

    return ctx;
}


/* nothing to do: the handler's address marks the context in the pool */

static void
ngx_http_refine_ctx_cleanup(void *data)
{
    ngx_http_refine_ctx_t  *ctx = data;

    ctx->request = NULL;
}


void
ngx_http_refine_identity_read(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx,
    ngx_str_t *visitor, ngx_str_t *session)
{
    ngx_str_t                  *cookies;
    ngx_http_refine_catalog_t  *known;

    cookies = ngx_http_refine_consent_cookies(r, catalog, ctx);
    known = ctx->identified;

    if (known && ngx_http_refine_identity_same(known, catalog, visitor)) {
        *visitor = ctx->visitor_id;

    } else {
        ngx_http_refine_identity_cookie(
            &cookies[NGX_HTTP_REFINE_COOKIE_VISITOR], 'v', visitor);
    }

    if (known && ngx_http_refine_identity_same(known, catalog, session)) {
        *session = ctx->session_id;

    } else {
        ngx_http_refine_identity_cookie(
            &cookies[NGX_HTTP_REFINE_COOKIE_SESSION], 's', session);
    }
}


static void
ngx_http_refine_identity_cookie(ngx_str_t *cookie, u_char kind, ngx_str_t *id)
{
    ngx_str_null(id);

    if (cookie->data
        && ngx_http_refine_id_cookie_check(cookie, kind) == NGX_OK)
    {
        *id = *cookie;
    }
}


ngx_int_t
ngx_http_refine_identity_mint(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_int_t  consent;
    ngx_str_t  visitor, session;

    consent = ngx_http_refine_consent_settle(r, catalog, ctx);

    if (consent != NGX_HTTP_REFINE_CONSENT_GRANTED) {
        return consent == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    ngx_http_refine_identity_read(r, catalog, ctx, &visitor, &session);

    ctx->visitor_id = visitor;
    ctx->session_id = session;
    ctx->identified = catalog;

    if (ngx_http_refine_identity_new(r, &catalog->visitor, 'v',
                                     &ctx->visitor_id)
        != NGX_OK
        || ngx_http_refine_identity_new(r, &catalog->session, 's',
                                        &ctx->session_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_identity_new(ngx_http_request_t *r,
    ngx_http_refine_cookie_t *cookie, u_char kind, ngx_str_t *id)
{
    u_char  *p;

    if (cookie->name.len == 0 || id->len) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->main->pool, NGX_HTTP_REFINE_COOKIE_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_refine_id_cookie(p, kind) != NGX_OK) {
        return NGX_ERROR;
    }

    id->data = p;
    id->len = NGX_HTTP_REFINE_COOKIE_LEN;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_identity_renew(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_int_t   consent;
    ngx_uint_t  secure;

    consent = ngx_http_refine_consent_settle(r, catalog, ctx);

    if (consent != NGX_HTTP_REFINE_CONSENT_GRANTED) {
        return consent == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    secure = ngx_http_refine_identity_secure(r, catalog);

    if (ngx_http_refine_identity_set(r, &catalog->visitor, &ctx->visitor_id,
                                     secure)
        != NGX_OK
        || ngx_http_refine_identity_set(r, &catalog->session,
                                        &ctx->session_id, secure)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_identity_expire(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx)
{
    ngx_str_t   *cookies;
    ngx_uint_t   secure;

    if (r != r->main) {
        return NGX_OK;
    }

    cookies = ngx_http_refine_consent_cookies(r, catalog, ctx);
    secure = ngx_http_refine_identity_secure(r, catalog);

    if (cookies[NGX_HTTP_REFINE_COOKIE_VISITOR].data
        && ngx_http_refine_identity_set(r, &catalog->visitor, NULL, secure)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cookies[NGX_HTTP_REFINE_COOKIE_SESSION].data
        && ngx_http_refine_identity_set(r, &catalog->session, NULL, secure)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* without an id it is to be forgotten */

static ngx_int_t
ngx_http_refine_identity_set(ngx_http_request_t *r,
    ngx_http_refine_cookie_t *cookie, ngx_str_t *id, ngx_uint_t secure)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   value, max_age;

    static ngx_str_t  empty = ngx_string("");
    static ngx_str_t  past = ngx_string("; Max-Age=0");

    max_age = cookie->max_age;

    if (id == NULL) {
        id = &empty;
        max_age = past;

    } else if (cookie->name.len == 0 || id->len == 0) {
        return NGX_OK;
    }

    len = cookie->name.len + 1 + id->len + max_age.len
          + cookie->attributes.len + sizeof("; Secure") - 1;

    value.data = ngx_pnalloc(r->pool, len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, cookie->name.data, cookie->name.len);
    *p++ = '=';
    p = ngx_cpymem(p, id->data, id->len);
    p = ngx_cpymem(p, max_age.data, max_age.len);
    p = ngx_cpymem(p, cookie->attributes.data, cookie->attributes.len);

    if (secure) {
        p = ngx_cpymem(p, "; Secure", sizeof("; Secure") - 1);
    }

    value.len = p - value.data;

    return ngx_http_refine_header_add(r, "Set-Cookie", &value);
}


static ngx_uint_t
ngx_http_refine_identity_secure(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_str_t        *value;
    ngx_table_elt_t  *h;

    if (catalog->cookie_secure != NGX_HTTP_REFINE_SECURE_AUTO) {
        return catalog->cookie_secure == NGX_HTTP_REFINE_SECURE_ON;
    }

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        return 1;
    }

#endif

    h = ngx_http_refine_header_find(r, "x-forwarded-proto");
    if (h == NULL) {
        return 0;
    }

    /* the first of a list is what the client used */

    value = &h->value;

    return value->len >= 5
           && ngx_strncasecmp(value->data, (u_char *) "https", 5) == 0
           && (value->len == 5 || value->data[5] == ','
               || value->data[5] == ' ');
}


ngx_int_t
ngx_http_refine_identity_env(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_event_env_t *env)
{
    ngx_int_t               consent;
    ngx_str_t               bot;
    ngx_http_refine_ctx_t  *ctx;

    ngx_http_refine_identity_start(env);

    ctx = ngx_http_refine_ctx_get(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    consent = ngx_http_refine_consent_settle(r, catalog, ctx);
    if (consent == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (catalog->bot) {
        if (ngx_http_complex_value(r, catalog->bot, &bot) != NGX_OK) {
            return NGX_ERROR;
        }

        env->bot = (bot.len && !(bot.len == 1 && bot.data[0] == '0'));
    }

    if (ngx_http_refine_consent_signals(r, ctx)
        & NGX_HTTP_REFINE_SIGNAL_PREFETCH)
    {
        env->prefetch = 1;
    }

    /* who it was is not even looked at where it must not be stored */

    if (consent != NGX_HTTP_REFINE_CONSENT_GRANTED) {
        env->anonymous = 1;
        return NGX_OK;
    }

    return ngx_http_refine_identity_person(r, catalog, ctx, env);
}


void
ngx_http_refine_identity_trusted(ngx_http_refine_catalog_t *catalog,
    ngx_int_t consent, ngx_http_refine_event_env_t *env)
{
    ngx_http_refine_identity_start(env);

    env->trusted = 1;
    env->anonymize = catalog->anonymize_ip ? 1 : 0;
    env->anonymous = (consent != NGX_HTTP_REFINE_CONSENT_GRANTED);
}


static void
ngx_http_refine_identity_start(ngx_http_refine_event_env_t *env)
{
    ngx_time_t  *tp;

    ngx_memzero(env, sizeof(ngx_http_refine_event_env_t));

    tp = ngx_timeofday();

    env->now = (uint64_t) tp->sec * 1000 + tp->msec;
    env->types = (1 << NGX_HTTP_REFINE_EVENT_TYPES) - 1;
}


static ngx_int_t
ngx_http_refine_identity_person(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx,
    ngx_http_refine_event_env_t *env)
{
    ngx_http_refine_identity_read(r, catalog, ctx, &env->visitor_id,
                                  &env->session_id);

    if (catalog->user_id
        && ngx_http_complex_value(r, catalog->user_id, &env->user_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_refine_identity_ip(r, catalog->anonymize_ip, &env->ip)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->headers_in.user_agent) {
        env->user_agent = r->headers_in.user_agent->value;
    }

    return NGX_OK;
}


/* the address that realip has settled on */

static ngx_int_t
ngx_http_refine_identity_ip(ngx_http_request_t *r, ngx_uint_t anonymize,
    ngx_str_t *ip)
{
    size_t                len;
    u_char               *addr;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (r->connection->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) r->connection->sockaddr;
        addr = (u_char *) &sin->sin_addr;
        len = 4;
        break;

#if (NGX_HAVE_INET6)

    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) r->connection->sockaddr;
        addr = (u_char *) &sin6->sin6_addr;
        len = 16;
        break;

#endif

    default:
        return NGX_OK;
    }

    ip->data = ngx_pnalloc(r->pool, NGX_HTTP_REFINE_ADDRESS_LEN);
    if (ip->data == NULL) {
        return NGX_ERROR;
    }

    ip->len = ngx_http_refine_address_text(ip->data, addr, len, anonymize);

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_identity_tell(ngx_http_request_t *r, ngx_int_t consent,
    ngx_uint_t bot)
{
    ngx_str_t  reason;

    static ngx_str_t  one = ngx_string("1");

    ngx_http_refine_consent_reason(consent, &reason);

    if (reason.len
        && ngx_http_refine_header_add(r, "X-Refine-Anonymous", &reason)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (bot && ngx_http_refine_header_add(r, "X-Refine-Bot", &one) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_header_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    return ngx_http_refine_header_push(r, name, value) ? NGX_OK : NGX_ERROR;
}


ngx_table_elt_t *
ngx_http_refine_header_push(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
    h->lowcase_key = NULL;
    ngx_http_refine_header_init(h);

    return h;
}


ngx_uint_t
ngx_http_refine_header_gzip(ngx_http_request_t *r)
{
    ngx_uint_t                 i;
    ngx_list_part_t           *part;
    ngx_table_elt_t           *h;
    ngx_http_refine_accept_t   gzip;

    static ngx_str_t  name = ngx_string("accept-encoding");

    ngx_memzero(&gzip, sizeof(ngx_http_refine_accept_t));
    ngx_str_set(&gzip.type, "gzip");

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                ngx_http_refine_accept_coding(&h[i].value, &gzip);
            }
        }
    }

    return gzip.quality != 0;
}


ngx_table_elt_t *
ngx_http_refine_header_find(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}
