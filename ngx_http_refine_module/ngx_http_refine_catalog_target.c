
#include "ngx_http_refine_catalog_option.h"


#define NGX_HTTP_REFINE_REDIS_PORT  6379


static ngx_int_t ngx_http_refine_catalog_rediss(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);


/*
 * This waits for the end of http{}, since a resolver may stand anywhere in it.
 * Messages shall nevertheless name the line of the option.
 */

ngx_int_t
ngx_http_refine_catalog_targets(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_conf_t                 conf;
    ngx_msec_t                 timeout;
    ngx_conf_file_t            file;
    ngx_resolver_t            *resolver;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* without a resolver in http{}, core puts one there that knows no server */

    resolver = clcf->resolver;

    if (resolver && resolver->connections.nelts == 0) {
        resolver = NULL;
    }

    timeout = (clcf->resolver_timeout == NGX_CONF_UNSET_MSEC)
              ? 30000 : clcf->resolver_timeout;

    ngx_http_refine_catalog_at(cf, &conf, &file, &catalog->source.endpoint);

    if (ngx_http_refine_target_parse(&conf, &catalog->endpoint,
                                     &catalog->source.address,
                                     catalog->source.https ? 443 : 80,
                                     resolver, timeout)
        != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    if (catalog->source.https
        && ngx_http_refine_target_tls(&conf, &catalog->endpoint,
                                      &catalog->source.trusted_certificate,
                                      &catalog->source.ssl_name,
                                      catalog->source.ssl_verify)
           != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    if (catalog->queue.alone) {
        return NGX_OK;
    }

    ngx_http_refine_catalog_at(cf, &conf, &file, &catalog->source.queue);

    if (ngx_http_refine_target_parse(&conf, &catalog->queue.redis.target,
                                     &catalog->source.store,
                                     NGX_HTTP_REFINE_REDIS_PORT,
                                     resolver, timeout)
        != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    return catalog->source.rediss ? ngx_http_refine_catalog_rediss(&conf,
                                                                   catalog)
                                  : NGX_OK;
}


static ngx_int_t
ngx_http_refine_catalog_rediss(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_http_refine_target_t     *target;
    ngx_http_refine_queue_tls_t  *tls;

    target = &catalog->queue.redis.target;
    tls = &catalog->source.queue_tls;

    if (ngx_http_refine_target_tls(cf, target, &tls->trusted_certificate,
                                   &tls->name, 1)
        != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    if (tls->certificate.len
        && ngx_http_refine_target_certificate(cf, target, &tls->certificate,
                                              &tls->certificate_key)
           != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_refine_catalog_at(ngx_conf_t *cf, ngx_conf_t *conf,
    ngx_conf_file_t *file, ngx_http_refine_place_t *place)
{
    *conf = *cf;
    *file = *cf->conf_file;

    file->file.name = place->file;
    file->line = place->line;

    conf->conf_file = file;
}
