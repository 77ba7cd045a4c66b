
/*
 * Level 6: the values of a serve: what its selectors find in the body of the
 * response, and what is text with variables.  design: 3.2.
 */


#ifndef _NGX_HTTP_REFINE_TAP_VALUE_H_INCLUDED_
#define _NGX_HTTP_REFINE_TAP_VALUE_H_INCLUDED_


#include "ngx_http_refine_capture.h"
#include "ngx_http_refine_items.h"
#include "ngx_http_refine_module.h"


/* of one response; it points into itself, so it must not be copied */

typedef struct {
    ngx_http_refine_catalog_t      *catalog;
    ngx_http_refine_serve_conf_t   *conf;
    ngx_pool_t                     *pool;
    ngx_http_refine_event_extra_t  *extras;     /* NULL: none */
    ngx_http_refine_capture_t      *captures;   /* NULL: none so far */
    unsigned                        failed:1;   /* no memory */
    unsigned                        list:1;     /* as the format has it */

    ngx_str_t                       id;         /* empty: not found yet */

    /* of what was found, and 1; 0: nothing */
    uint8_t                         ranks[NGX_HTTP_REFINE_SERVE_MAX_VALUES];
    ngx_http_refine_event_serve_t   serve;
    ngx_http_refine_items_t         items;
    ngx_http_refine_path_match_t    match;
} ngx_http_refine_tap_value_t;


/*
 * The location has a serve and a catalog; memory is the request's.  The body of
 * the request is read here, so that the header must not have been sent.
 */
void ngx_http_refine_tap_value_init(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf);

/*
 * The next bytes of the body; what is found is copied.  NGX_DECLINED: this is
 * not JSON; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_refine_tap_value_feed(ngx_http_refine_tap_value_t *values,
    u_char *p, size_t len);

/*
 * The body has ended.  NGX_DECLINED and NGX_ERROR as above; NGX_ABORT: it is
 * not what the format promises.
 */
ngx_int_t ngx_http_refine_tap_value_end(ngx_http_refine_tap_value_t *values);

/*
 * It was a right one: completes values->serve, but for its id, which is the
 * caller's.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_refine_tap_value_finish(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r);


#endif /* _NGX_HTTP_REFINE_TAP_VALUE_H_INCLUDED_ */
