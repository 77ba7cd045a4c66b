
/*
 * Level 7: the table of directives and the wiring.
 */


#include "ngx_http_refine_catalog.h"
#include "ngx_http_refine_collect.h"
#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_control.h"
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_inflate.h"
#include "ngx_http_refine_inject.h"
#include "ngx_http_refine_script.h"
#include "ngx_http_refine_status.h"
#include "ngx_http_refine_tap.h"
#include "ngx_http_refine_variables.h"


static ngx_int_t ngx_http_refine_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_refine_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_refine_init_process(ngx_cycle_t *cycle);
static void ngx_http_refine_exit_process(ngx_cycle_t *cycle);
static ngx_array_t *ngx_http_refine_catalogs(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_refine_commands[] = {

    { ngx_string("refine_catalog"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_refine_catalog_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_refine_catalog_use,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_serve"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_refine_conf_serve,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_inject"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_refine_conf_inject,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_collect"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_refine_collect,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_script"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_refine_script,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE123,
      ngx_http_refine_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("refine_control"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_refine_control,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_refine_module_ctx = {
    ngx_http_refine_variables_add,         /* preconfiguration */
    ngx_http_refine_init,                  /* postconfiguration */

    ngx_http_refine_conf_create_main,      /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_refine_conf_create_srv,       /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_refine_conf_create_loc,       /* create location configuration */
    ngx_http_refine_conf_merge_loc         /* merge location configuration */
};


ngx_module_t  ngx_http_refine_module = {
    NGX_MODULE_V1,
    &ngx_http_refine_module_ctx,           /* module context */
    ngx_http_refine_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_refine_init_module,           /* init module */
    ngx_http_refine_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_refine_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_refine_init(ngx_conf_t *cf)
{
    ngx_http_refine_main_conf_t  *rmcf;

    if (ngx_http_refine_catalog_check(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what is not in use costs nothing */

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);

    if (rmcf->serves && ngx_http_refine_tap_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rmcf->injects && ngx_http_refine_inject_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rmcf->collects && ngx_http_refine_collect_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_cycle_t                  *old;
    ngx_http_refine_main_conf_t  *before, *now;

    old = cycle->old_cycle;

    if (old == NULL || old->conf_ctx == NULL) {
        return NGX_OK;
    }

    /* another build of the module may know its configuration otherwise */

    for (i = 0; i < old->modules_n; i++) {
        if (old->modules[i] == &ngx_http_refine_module) {
            break;
        }
    }

    if (i == old->modules_n) {
        return NGX_OK;
    }

    before = ngx_http_cycle_get_module_main_conf(old, ngx_http_refine_module);
    now = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_refine_module);

    if (before) {
        ngx_http_refine_catalog_compare(&before->catalogs,
                                        now ? &now->catalogs : NULL,
                                        cycle->log);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_array_t                 *catalogs;
    ngx_http_refine_catalog_t  **catalog;

    catalogs = ngx_http_refine_catalogs(cycle);

    if (catalogs == NULL) {
        return NGX_OK;
    }

    catalog = catalogs->elts;

    for (i = 0; i < catalogs->nelts; i++) {

        /* it is tried again by the first request: a worker has to start */

        if (ngx_http_refine_flush_start(catalog[i], cycle) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "refine: catalog \"%V\" could not be started",
                          &catalog[i]->name);
        }
    }

    return NGX_OK;
}


static void
ngx_http_refine_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_array_t                 *catalogs;
    ngx_http_refine_catalog_t  **catalog;

    ngx_http_refine_inflate_exit();

    catalogs = ngx_http_refine_catalogs(cycle);

    if (catalogs == NULL) {
        return;
    }

    catalog = catalogs->elts;

    for (i = 0; i < catalogs->nelts; i++) {
        ngx_http_refine_flush_stop(catalog[i]);
    }
}


/* NULL in the cache manager and the like, and without http{} */

static ngx_array_t *
ngx_http_refine_catalogs(ngx_cycle_t *cycle)
{
    ngx_http_refine_main_conf_t  *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NULL;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_refine_module);

    return (rmcf == NULL) ? NULL : &rmcf->catalogs;
}
