
/*
 * Level 6: the header filter and the body filter of refine_serve: a tap, which
 * looks at the bytes of a response on their way and changes nothing; with id=
 * the header waits for an id in the body.
 * design: 3.2.
 */


#ifndef _NGX_HTTP_REFINE_TAP_H_INCLUDED_
#define _NGX_HTTP_REFINE_TAP_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* for postconfiguration: installs the filters; only where serves are in use */
ngx_int_t ngx_http_refine_tap_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_REFINE_TAP_H_INCLUDED_ */
