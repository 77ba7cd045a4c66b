
/*
 * Level 6: the module's own answers, JSON unless another type is named, not to
 * be stored by a cache unless said otherwise.
 */


#ifndef _NGX_HTTP_REFINE_ANSWER_H_INCLUDED_
#define _NGX_HTTP_REFINE_ANSWER_H_INCLUDED_


#include "ngx_http_refine_module.h"


/*
 * Sends the whole response; returns what ngx_http_finalize_request() takes.
 * The body must live as long as r->pool; NULL: none.
 */
ngx_int_t ngx_http_refine_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body);

/*
 * The same as another type; type is constant, parameters of it end with the
 * charset.
 */
ngx_int_t ngx_http_refine_answer_as(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *body);

/* the same; Cache-Control is the caller's */
ngx_int_t ngx_http_refine_answer_cached(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_str_t *body);

/*
 * The same with {"error":"..."}; text is constant.  The request's body is
 * discarded when it was not read.
 */
ngx_int_t ngx_http_refine_answer_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);

/* 405 with the methods that are allowed; both texts are constant */
ngx_int_t ngx_http_refine_answer_method(ngx_http_request_t *r,
    const char *allow, const char *text);

/*
 * For the setter of a directive: makes the handler the one of the location.
 * NGX_CONF_OK, or a constant text: the location has one already.
 */
char *ngx_http_refine_answer_set(ngx_conf_t *cf, ngx_http_handler_pt handler);


#endif /* _NGX_HTTP_REFINE_ANSWER_H_INCLUDED_ */
