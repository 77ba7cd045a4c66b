
/*
 * Level 5: what may be kept of a visitor: his consent, and what his browser
 * says of itself in headers.  design: 3.1, 4.
 *
 *     denied      nothing: an event is dropped, a response is not logged
 *     gpc, dnt    Sec-GPC: 1, DNT: 1: no identity, though consent is granted
 *     pending     no identity
 *     granted     everything
 *
 * The first that applies counts.
 */


#ifndef _NGX_HTTP_REFINE_CONSENT_H_INCLUDED_
#define _NGX_HTTP_REFINE_CONSENT_H_INCLUDED_


#include "ngx_http_refine_module.h"


#define NGX_HTTP_REFINE_SIGNAL_GPC       0x0001
#define NGX_HTTP_REFINE_SIGNAL_DNT       0x0002
#define NGX_HTTP_REFINE_SIGNAL_PREFETCH  0x0004


/*
 * Bits of NGX_HTTP_REFINE_SIGNAL_*: Sec-GPC: 1, DNT: 1 (W3C), and a purpose of
 * "prefetch" in Sec-Purpose, Purpose or X-Moz.  Looked for once a request.
 */
ngx_uint_t ngx_http_refine_consent_signals(ngx_http_request_t *r,
    ngx_http_refine_ctx_t *ctx);

/*
 * The request's cookies of that catalog by ngx_http_refine_cookie_e, unchecked;
 * data is NULL where there is none.  All are found in one pass over the header;
 * the array is ctx's, and good until another catalog asks.
 */
ngx_str_t *ngx_http_refine_consent_cookies(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/*
 * What holds for r and the catalog now, an ngx_http_refine_consent_e, or
 * NGX_ERROR: no memory.  What was settled before stays.
 */
ngx_int_t ngx_http_refine_consent_get(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/*
 * The same where something is decided by it: from then on it holds for the
 * whole request, so that one event, its answer and its log line agree.
 */
ngx_int_t ngx_http_refine_consent_settle(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_ctx_t *ctx);

/*
 * What the shop's own server says with its events: the value of "consent" and
 * nothing else, for the request's cookies and signals are not the visitor's.
 * Without a value it is granted.  Also NGX_ERROR; nothing is settled by it.
 */
ngx_int_t ngx_http_refine_consent_trusted(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog);

/* "pending", "gpc" or "dnt"; else empty */
void ngx_http_refine_consent_reason(ngx_int_t consent, ngx_str_t *reason);


#endif /* _NGX_HTTP_REFINE_CONSENT_H_INCLUDED_ */
