
#include "ngx_http_refine_conf.h"


void *
ngx_http_refine_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_refine_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rmcf->serves = 0;
     *     rmcf->injects = 0;
     *     rmcf->collects = 0;
     */

    if (ngx_array_init(&rmcf->catalogs, cf->pool, 4,
                       sizeof(ngx_http_refine_catalog_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


void *
ngx_http_refine_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_refine_loc_conf_t  *rlcf;

    rlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_loc_conf_t));
    if (rlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rlcf->any = 0;
     *     rlcf->format = 0;
     *     rlcf->control = { 0, NULL };
     *     rlcf->collect = NULL;
     *     rlcf->script = NULL;
     */

    rlcf->catalog = NGX_CONF_UNSET_PTR;
    rlcf->serve = NGX_CONF_UNSET_PTR;
    rlcf->inject = NGX_CONF_UNSET_PTR;

    return rlcf;
}


void *
ngx_http_refine_conf_create_srv(ngx_conf_t *cf)
{
    /* zeros: no location known yet */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_srv_conf_t));
}


void
ngx_http_refine_conf_exact(ngx_conf_t *cf, ngx_str_t *uri)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->exact_match && uri->len == 0) {
        *uri = clcf->name;
    }
}


char *
ngx_http_refine_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_refine_loc_conf_t *prev = parent;
    ngx_http_refine_loc_conf_t *conf = child;

    const char                   *directive;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_refine_main_conf_t  *rmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    directive = NULL;

    if (conf->serve != NGX_CONF_UNSET_PTR && conf->serve != NULL) {
        directive = "refine_serve";
    }

    if (conf->collect) {
        directive = "refine_collect";

        rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);
        rmcf->collects = 1;
    }

    if (clcf->name.len && conf->inject != NGX_CONF_UNSET_PTR && conf->inject) {
        directive = "refine_inject";
    }

    ngx_conf_merge_ptr_value(conf->catalog, prev->catalog, NULL);
    ngx_conf_merge_ptr_value(conf->serve, prev->serve, NULL);
    ngx_conf_merge_ptr_value(conf->inject, prev->inject, NULL);

    if (clcf->noname) {

        /* "if" and "limit_except" are parts of their location */

        conf->any = prev->any;
        conf->format = prev->format;
        conf->control = prev->control;
        conf->collect = prev->collect;
        conf->script = prev->script;
    }

    if (conf->catalog) {
        return ngx_http_refine_conf_inject_complete(cf, conf);
    }

    if (directive) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" in location \"%V\" needs a catalog: "
                           "\"refine NAME\" in this location, its server or "
                           "http", directive, &clcf->name);
        return NGX_CONF_ERROR;
    }

    conf->serve = NULL;

    return NGX_CONF_OK;
}
