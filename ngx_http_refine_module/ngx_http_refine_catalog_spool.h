
/*
 * Level 5: the directories of a catalog's spool.
 */


#ifndef _NGX_HTTP_REFINE_CATALOG_SPOOL_H_INCLUDED_
#define _NGX_HTTP_REFINE_CATALOG_SPOOL_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* for the names of files in it */
#define NGX_HTTP_REFINE_SPOOL_NAMES  80


/*
 * Has the directories made, or checked, when all of the configuration is known,
 * the worker's user among it.
 */
ngx_int_t ngx_http_refine_spool_dir(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_http_refine_catalog_t *catalog);


#endif /* _NGX_HTTP_REFINE_CATALOG_SPOOL_H_INCLUDED_ */
