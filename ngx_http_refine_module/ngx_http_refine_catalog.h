
/*
 * Level 5: the refine_catalog block, and refine, which names one.  Every
 * mistake is an error of the configuration that quotes the value (never a key
 * or a password) and says what is allowed.
 */


#ifndef _NGX_HTTP_REFINE_CATALOG_H_INCLUDED_
#define _NGX_HTTP_REFINE_CATALOG_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* setter of refine_catalog; conf is the main configuration */
char *ngx_http_refine_catalog_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Setter of refine; conf is a location's configuration.  The catalog may stand
 * further down.
 */
char *ngx_http_refine_catalog_use(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * From postconfiguration: every catalog that is referred to exists, no two
 * share their keys; completes the targets, for which the resolver has to be
 * known.
 */
ngx_int_t ngx_http_refine_catalog_check(ngx_conf_t *cf);

/*
 * After a reload: logs which queues nobody here delivers any more.  Both are of
 * pointers to catalogs; now may be NULL.
 */
void ngx_http_refine_catalog_compare(ngx_array_t *before, ngx_array_t *now,
    ngx_log_t *log);


#endif /* _NGX_HTTP_REFINE_CATALOG_H_INCLUDED_ */
