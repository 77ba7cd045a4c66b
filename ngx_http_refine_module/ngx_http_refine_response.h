
/*
 * Level 1: what the header of a response says, while it passes the header
 * filters.
 */


#ifndef _NGX_HTTP_REFINE_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_REFINE_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* what a filter after gunzip finds the body to be */

typedef enum {
    NGX_HTTP_REFINE_RESPONSE_PLAIN = 0,
    NGX_HTTP_REFINE_RESPONSE_GZIP,
    NGX_HTTP_REFINE_RESPONSE_OTHER      /* another coding, or several */
} ngx_http_refine_response_coding_e;


/* where a walk over the headers stands; to start: part = NULL */

typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_refine_response_walk_t;


/*
 * The next header of that name, NULL: no more.  It reads the list, which is
 * the same in every nginx, unlike the typed pointers, and which also has what
 * other modules add by hand.
 */
ngx_table_elt_t *ngx_http_refine_response_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_http_refine_response_walk_t *walk);

/* a text/html of status 200 */
ngx_uint_t ngx_http_refine_response_page(ngx_http_request_t *r);

/* application/json, text/json, application/NAME+json; parameters ignored */
ngx_uint_t ngx_http_refine_response_json(ngx_http_request_t *r);

/* nginx itself is going to cut a range out of this 200 */
ngx_uint_t ngx_http_refine_response_cut(ngx_http_request_t *r);

ngx_http_refine_response_coding_e ngx_http_refine_response_coding(
    ngx_http_request_t *r);

/* Cache-Control says no-transform: RFC 9111, 5.2.2.6 */
ngx_uint_t ngx_http_refine_response_fixed(ngx_http_request_t *r);

/*
 * A response that a shared cache may store: RFC 9111, 3 and 5.2.2, or a CDN by
 * a header of its own: RFC 9213.
 */
ngx_uint_t ngx_http_refine_response_cacheable(ngx_http_request_t *r);


#endif /* _NGX_HTTP_REFINE_RESPONSE_H_INCLUDED_ */
