
/*
 * Level 6: the variables.
 */


#ifndef _NGX_HTTP_REFINE_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_REFINE_VARIABLES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* for preconfiguration */
ngx_int_t ngx_http_refine_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_REFINE_VARIABLES_H_INCLUDED_ */
