
#include "ngx_http_refine_catalog_option.h"
#include "ngx_http_refine_origin.h"


#define NGX_HTTP_REFINE_ORIGIN_FORMS                                          \
    "https://host[:port] or http://host[:port], \"*.\" before a host of two "  \
    "names or more, capacitor://host or ionic://host; never \"*\" or \"null\""


char *
ngx_http_refine_option_origins(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_refine_origin_t  *rule;

    catalog->origins = ngx_array_create(cf->pool, cf->args->nelts,
                                        sizeof(ngx_http_refine_origin_t));
    if (catalog->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rule = ngx_array_push(catalog->origins);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_refine_origin_rule(&value[i], rule) != NGX_OK) {
            return ngx_http_refine_option_invalid(cf, catalog, option,
                       &value[i], NGX_HTTP_REFINE_ORIGIN_FORMS);
        }
    }

    return NGX_CONF_OK;
}
