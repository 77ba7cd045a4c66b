
/*
 * Level 5: a serve: whether a response is one, its id, its header, its event.
 * design: 3.2.
 */


#ifndef _NGX_HTTP_REFINE_SERVE_H_INCLUDED_
#define _NGX_HTTP_REFINE_SERVE_H_INCLUDED_


#include "ngx_http_refine_module.h"


/*
 * Whether the response whose header is about to be sent is logged: NGX_OK, or
 * NGX_DECLINED with the reason to count; gzip: its body has to be inflated to
 * be read.  The location has a serve.
 */
ngx_int_t ngx_http_refine_serve_test(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_uint_t *gzip,
    ngx_http_refine_counter_e *reason);

/*
 * The last of these tests: the response is not one that a shared cache may
 * store, and consent is not denied.  The location may have no serve.
 */
ngx_int_t ngx_http_refine_serve_allowed(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf, ngx_http_refine_counter_e *reason);

/* whether if= comes to something: as everywhere, empty and "0" are false */
ngx_uint_t ngx_http_refine_serve_wanted(ngx_http_request_t *r,
    ngx_http_complex_value_t *condition);

/* writes the NGX_HTTP_REFINE_UUID_LEN bytes of a new serve id, of now */
ngx_int_t ngx_http_refine_serve_make(u_char *id);

/* ctx->serve_id, a UUIDv7 made on first use */
ngx_int_t ngx_http_refine_serve_id(ngx_http_request_t *r,
    ngx_http_refine_ctx_t *ctx);

/*
 * Of a response that is logged: the upstream's own X-Refine-Serve-Id, if it is
 * valid and fresh, becomes ctx->serve_id; others are taken out.  NGX_DECLINED:
 * there is none.
 */
ngx_int_t ngx_http_refine_serve_own(ngx_http_request_t *r,
    ngx_http_refine_ctx_t *ctx);

/* whether it does not come out of nginx's own cache */
ngx_uint_t ngx_http_refine_serve_fresh(ngx_http_request_t *r);

/* no upstream's: sets X-Refine-Serve-Id to ctx->serve_id, made on first use */
ngx_int_t ngx_http_refine_serve_header(ngx_http_request_t *r,
    ngx_http_refine_ctx_t *ctx);

/*
 * Of a response that is not logged: an id that nginx's own cache kept is taken
 * out of its header, for it was given to someone else.
 */
void ngx_http_refine_serve_unlogged(ngx_http_request_t *r);

/*
 * The value of a serve that is text with variables, decoded where it is one
 * $arg_NAME.  Empty when it is no text (not UTF-8, or a NUL), which is counted.
 */
ngx_int_t ngx_http_refine_serve_text(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_value_t *value,
    ngx_str_t *text);

/*
 * Makes the event of what was found and keeps it for the queue; counts what
 * became of it.  Its id is the caller's.  Texts over their limits are cut
 * between two characters.
 */
void ngx_http_refine_serve_log(ngx_http_request_t *r,
    ngx_http_refine_catalog_t *catalog, ngx_http_refine_event_serve_t *serve);

/* counts for the catalog; no harm when its queue is not there */
void ngx_http_refine_serve_count(ngx_http_refine_catalog_t *catalog,
    ngx_http_refine_counter_e counter);


#endif /* _NGX_HTTP_REFINE_SERVE_H_INCLUDED_ */
