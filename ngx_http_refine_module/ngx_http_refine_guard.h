
/*
 * Level 5: who may send events, see the status, use the control.
 */


#ifndef _NGX_HTTP_REFINE_GUARD_H_INCLUDED_
#define _NGX_HTTP_REFINE_GUARD_H_INCLUDED_


#include "ngx_http_refine_module.h"


/*
 * Each returns NULL when the request may pass, else a constant text that says
 * what is wrong, for the 403.
 */

/*
 * Sent by a page of this host: the host of Origin is the one of Host, scheme
 * and port ignored, for TLS may end in front of this server.  Or by one of the
 * origins, which may be NULL; then cross becomes the header, else NULL.
 */
const char *ngx_http_refine_guard_origin(ngx_http_request_t *r,
    ngx_array_t *origins, ngx_table_elt_t **cross);

/* asked from this machine, by no proxy, and not under a foreign name */
const char *ngx_http_refine_guard_local(ngx_http_request_t *r);

/*
 * Sent by a server of the shop: by no page, and unless "any" it has to pass the
 * two others as well.
 */
const char *ngx_http_refine_guard_trusted(ngx_http_request_t *r,
    ngx_uint_t any);

/* not sent by a page of another site: a form or script cannot pass this */
const char *ngx_http_refine_guard_control(ngx_http_request_t *r);


#endif /* _NGX_HTTP_REFINE_GUARD_H_INCLUDED_ */
