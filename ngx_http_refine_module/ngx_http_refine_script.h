
/*
 * Level 6: refine_script, which answers with refine.js.
 */


#ifndef _NGX_HTTP_REFINE_SCRIPT_H_INCLUDED_
#define _NGX_HTTP_REFINE_SCRIPT_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* setter of the directive */
char *ngx_http_refine_script(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_REFINE_SCRIPT_H_INCLUDED_ */
