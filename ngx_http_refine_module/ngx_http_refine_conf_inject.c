
/* The directive refine_inject. */


#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_conf_serve.h"
#include "ngx_http_refine_embedded.h"


static ngx_int_t ngx_http_refine_conf_inject_parameter(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *param);
static ngx_int_t ngx_http_refine_conf_inject_uri(ngx_conf_t *cf,
    ngx_str_t *param, ngx_str_t *uri);
static ngx_int_t ngx_http_refine_conf_inject_nonce(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *text);
static ngx_int_t ngx_http_refine_conf_inject_default(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *uri, ngx_str_t *exact,
    const char *name);
static void ngx_http_refine_conf_inject_at(ngx_conf_t *cf, ngx_conf_t *at,
    ngx_conf_file_t *file, ngx_http_refine_inject_conf_t *inject);
static ngx_int_t ngx_http_refine_conf_inject_element(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject);


char *
ngx_http_refine_conf_inject(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *rlcf = conf;

    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_refine_main_conf_t    *rmcf;
    ngx_http_refine_inject_conf_t  *inject;

    if (rlcf->inject != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->inject = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"refine_inject\", "
                           "allowed: on, or off alone", &value[1]);
        return NGX_CONF_ERROR;
    }

    inject = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_inject_conf_t));
    if (inject == NULL) {
        return NGX_CONF_ERROR;
    }

    inject->place.file = cf->conf_file->file.name;
    inject->place.line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_refine_conf_inject_parameter(cf, inject, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    rlcf->inject = inject;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);
    rmcf->injects = 1;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_refine_conf_inject_parameter(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *param)
{
    u_char     *p;
    ngx_str_t   text;

    ngx_str_null(&text);

    p = ngx_strlchr(param->data, param->data + param->len, '=');

    if (p) {
        text.data = p + 1;
        text.len = param->data + param->len - text.data;
    }

    if (ngx_http_refine_conf_starts(param, "script=")) {

        if (inject->script.len == 0) {
            return ngx_http_refine_conf_inject_uri(cf, &text, &inject->script);
        }

    } else if (ngx_http_refine_conf_starts(param, "collect=")) {

        if (inject->collect.len == 0) {
            return ngx_http_refine_conf_inject_uri(cf, &text,
                                                   &inject->collect);
        }

    } else if (ngx_http_refine_conf_starts(param, "nonce=")) {

        if (inject->nonce == NULL) {
            return ngx_http_refine_conf_inject_nonce(cf, inject, &text);
        }

    } else if (ngx_http_refine_conf_starts(param, "if=")) {

        if (inject->condition == NULL) {
            inject->condition = ngx_http_refine_conf_if(cf, "refine_inject",
                                                        &text);
            return inject->condition ? NGX_OK : NGX_ERROR;
        }

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\" of \"refine_inject\", "
                           "allowed: script=, collect=, nonce= and if=",
                           param);
        return NGX_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "duplicate parameter \"%V\" of \"refine_inject\"",
                       param);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_inject_uri(ngx_conf_t *cf, ngx_str_t *param,
    ngx_str_t *uri)
{
    size_t  i;

    for (i = 0; i < param->len; i++) {
        if (param->data[i] <= ' ' || param->data[i] == 0x7f) {
            goto invalid;
        }
    }

    if (ngx_http_refine_conf_starts(param, "/")
        || ngx_http_refine_conf_starts(param, "https://")
        || ngx_http_refine_conf_starts(param, "http://"))
    {
        *uri = *param;
        return NGX_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid URI \"%V\" in \"refine_inject\", allowed: "
                       "/PATH, http:// or https://, without blanks", param);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_inject_nonce(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *text)
{
    ngx_http_compile_complex_value_t  ccv;

    inject->nonce = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (inject->nonce == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = inject->nonce;

    if (text->len && ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    /* one that is always the same protects from nothing */

    if (text->len == 0 || inject->nonce->lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"nonce=\" in "
                           "\"refine_inject\", allowed: text with a variable",
                           text);
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_refine_conf_inject_complete(ngx_conf_t *cf,
    ngx_http_refine_loc_conf_t *conf)
{
    void                           *server;
    ngx_http_refine_srv_conf_t     *rscf;
    ngx_http_refine_inject_conf_t  *inject;

    server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (conf->inject == NULL || conf->inject->server == server) {
        return NGX_CONF_OK;
    }

    inject = ngx_palloc(cf->pool, sizeof(ngx_http_refine_inject_conf_t));
    if (inject == NULL) {
        return NGX_CONF_ERROR;
    }

    *inject = *conf->inject;
    inject->server = server;

    rscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_refine_module);

    if (ngx_http_refine_conf_inject_default(cf, inject, &inject->script,
                                            &rscf->script, "script")
        != NGX_OK
        || ngx_http_refine_conf_inject_default(cf, inject, &inject->collect,
                                               &rscf->collect, "collect")
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    conf->inject = inject;

    return (ngx_http_refine_conf_inject_element(cf, inject) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_inject_default(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject, ngx_str_t *uri, ngx_str_t *exact,
    const char *name)
{
    ngx_conf_t                 at;
    ngx_conf_file_t            file;
    ngx_http_core_srv_conf_t  *cscf;

    if (uri->len) {
        return NGX_OK;
    }

    if (exact->len) {
        *uri = *exact;
        return NGX_OK;
    }

    cscf = inject->server;

    ngx_http_refine_conf_inject_at(cf, &at, &file, inject);

    ngx_conf_log_error(NGX_LOG_EMERG, &at, 0,
                       "\"refine_inject\" needs \"%s=URI\", or "
                       "\"location = URI { refine_%s; }\" in the server "
                       "in %s:%ui", name, name, cscf->file_name, cscf->line);

    return NGX_ERROR;
}


/* what is logged with it is about the directive, which was read long ago */

static void
ngx_http_refine_conf_inject_at(ngx_conf_t *cf, ngx_conf_t *at,
    ngx_conf_file_t *file, ngx_http_refine_inject_conf_t *inject)
{
    *at = *cf;
    *file = *cf->conf_file;

    file->file.name = inject->place.file;
    file->line = inject->place.line;

    at->conf_file = file;
}


/* the element, but for the nonce and its end */

static ngx_int_t
ngx_http_refine_conf_inject_element(ngx_conf_t *cf,
    ngx_http_refine_inject_conf_t *inject)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *version;

    version = &ngx_http_refine_embedded("refine.js")->version;

    len = sizeof("<script src=\"" "?v=" "\" async data-collect=\"" "\"") - 1
          + version->len
          + inject->script.len
          + ngx_escape_html(NULL, inject->script.data, inject->script.len)
          + inject->collect.len
          + ngx_escape_html(NULL, inject->collect.data, inject->collect.len);

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    inject->element.data = p;

    p = ngx_cpymem(p, "<script src=\"", sizeof("<script src=\"") - 1);
    p = (u_char *) ngx_escape_html(p, inject->script.data, inject->script.len);

    /* what has a query knows its version itself */

    if (ngx_strlchr(inject->script.data,
                    inject->script.data + inject->script.len, '?')
        == NULL)
    {
        p = ngx_sprintf(p, "?v=%V", version);
    }

    p = ngx_cpymem(p, "\" async data-collect=\"",
                   sizeof("\" async data-collect=\"") - 1);
    p = (u_char *) ngx_escape_html(p, inject->collect.data,
                                   inject->collect.len);
    *p++ = '"';

    inject->element.len = p - inject->element.data;

    return NGX_OK;
}
