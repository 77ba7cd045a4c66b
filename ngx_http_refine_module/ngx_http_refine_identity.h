
/*
 * Level 5: who the visitor is: cookies, user id, address, user agent; and the
 * context of a request.  design: section 4.
 */


#ifndef _NGX_HTTP_REFINE_IDENTITY_H_INCLUDED_
#define _NGX_HTTP_REFINE_IDENTITY_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* the context of r's main request, made on first use; NULL: out of memory */
ngx_http_refine_ctx_t *ngx_http_refine_ctx_get(ngx_http_request_t *r);

/* the same without making it; NULL when there is none */
ngx_http_refine_ctx_t *ngx_http_refine_ctx_find(ngx_http_request_t *r);

/*
 * The two ids from valid cookies of the catalog, or as they were minted; empty:
 * there is none.  A mirror or a redirect may lead to another catalog with other
 * cookies.
 */
void ngx_http_refine_identity_read(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx,
    ngx_str_t *visitor, ngx_str_t *session);

/*
 * Fills in env: now, bot, prefetch, and where consent is granted ids, user id,
 * anonymized address, user agent, with texts from r->pool; else anonymous.
 * types = all, sent_at = 0.  It settles the consent: consent.h.
 */
ngx_int_t ngx_http_refine_identity_env(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_event_env_t *env);

/*
 * The same where the events themselves say who it was: now, types, trusted,
 * anonymize, and anonymous unless the consent is granted.
 */
void ngx_http_refine_identity_trusted(ngx_http_refine_catalog_t *catalog,
    ngx_int_t consent, ngx_http_refine_event_env_t *env);

/*
 * For collect: mints into the context what no valid cookie gave; to be called
 * before ngx_http_refine_identity_env().  No header is set: whether the
 * answer may carry cookies is known only once the events are stored.  Without
 * consent it does nothing, nor does the next one.
 */
ngx_int_t ngx_http_refine_identity_mint(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/* adds the Set-Cookie headers that renew both; before the header is sent */
ngx_int_t ngx_http_refine_identity_renew(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/*
 * Where consent is denied: adds Set-Cookie headers that make the browser forget
 * those of the two cookies that the request has brought; no script could, for
 * they are HttpOnly.  Does nothing in a subrequest.
 */
ngx_int_t ngx_http_refine_identity_expire(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/*
 * Adds X-Refine-Anonymous where identity was left out, X-Refine-Bot for a bot.
 */
ngx_int_t ngx_http_refine_identity_tell(ngx_http_request_t *r,
    ngx_int_t consent, ngx_uint_t bot);

/* adds a response header; value must live as long as r->pool */
ngx_int_t ngx_http_refine_header_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* the same, for what nginx's own filters have to find; NULL: no memory */
ngx_table_elt_t *ngx_http_refine_header_push(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);

/* whether the client takes gzip: RFC 9110, 12.5.3 */
ngx_uint_t ngx_http_refine_header_gzip(ngx_http_request_t *r);

/* the first request header of that name (lower case), or NULL */
ngx_table_elt_t *ngx_http_refine_header_find(ngx_http_request_t *r,
    const char *name);


#endif /* _NGX_HTTP_REFINE_IDENTITY_H_INCLUDED_ */
