
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_collect_core.h"
#include "ngx_http_refine_conf.h"


#define NGX_HTTP_REFINE_COLLECT_TYPES                                         \
    ((1 << NGX_HTTP_REFINE_EVENT_TYPES) - 1)


static ngx_int_t ngx_http_refine_collect_parameter(ngx_conf_t *cf,
    ngx_http_refine_collect_conf_t *collect, ngx_str_t *value);


char *
ngx_http_refine_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_http_refine_srv_conf_t      *server;
    ngx_http_refine_collect_conf_t  *collect;

    if (lcf->collect) {
        return "is duplicate";
    }

    collect = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_collect_conf_t));
    if (collect == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_refine_collect_parameter(cf, collect, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (collect->types == 0) {
        collect->types = NGX_HTTP_REFINE_COLLECT_TYPES;
    }

    /* whoever can only load an image is no server */

    if (collect->pixel && collect->trusted) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"pixel\" and \"%s\" of \"refine_collect\" "
                           "exclude each other, two locations can have them",
                           collect->trusted == NGX_HTTP_REFINE_TRUST_ANY
                               ? "trusted=any" : "trusted");
        return NGX_CONF_ERROR;
    }

    lcf->collect = collect;

    if (!collect->trusted) {
        server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_refine_module);

        ngx_http_refine_conf_exact(cf, &server->collect);
    }

    return ngx_http_refine_answer_set(cf, ngx_http_refine_collect_handler);
}


static ngx_int_t
ngx_http_refine_collect_parameter(ngx_conf_t *cf,
    ngx_http_refine_collect_conf_t *collect, ngx_str_t *value)
{
    ngx_uint_t                    twice;
    ngx_http_refine_event_type_e  type;

    if (ngx_strcmp(value->data, "pixel") == 0) {
        twice = collect->pixel;
        collect->pixel = 1;

    } else if (ngx_strcmp(value->data, "trusted") == 0) {
        twice = collect->trusted;
        collect->trusted = NGX_HTTP_REFINE_TRUST_LOCAL;

    } else if (ngx_strcmp(value->data, "trusted=any") == 0) {
        twice = collect->trusted;
        collect->trusted = NGX_HTTP_REFINE_TRUST_ANY;

    } else if (ngx_http_refine_event_type(value, &type) == NGX_OK) {
        twice = collect->types & ((ngx_uint_t) 1 << type);
        collect->types |= (ngx_uint_t) 1 << type;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"refine_collect\", "
                           "allowed: items_served, click, view, add_to_cart, "
                           "purchase, pixel, trusted and trusted=any", value);
        return NGX_ERROR;
    }

    if (twice) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\" of \"refine_collect\"",
                           value);
        return NGX_ERROR;
    }

    return NGX_OK;
}
