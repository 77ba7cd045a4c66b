
/*
 * Level 6: refine_status: the metrics as JSON, for Prometheus, or as a
 * page.  design: 3.5.
 */


#ifndef _NGX_HTTP_REFINE_STATUS_H_INCLUDED_
#define _NGX_HTTP_REFINE_STATUS_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* the setter of the directive */
char *ngx_http_refine_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_REFINE_STATUS_H_INCLUDED_ */
