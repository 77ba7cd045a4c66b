
/*
 * Level 6: the header filter and the body filter of refine_inject, which put
 * the script and the serve ids into a page while it streams by.  design: 3.3.
 */


#ifndef _NGX_HTTP_REFINE_INJECT_H_INCLUDED_
#define _NGX_HTTP_REFINE_INJECT_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* for postconfiguration: installs the filters; only where it is in use */
ngx_int_t ngx_http_refine_inject_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_REFINE_INJECT_H_INCLUDED_ */
