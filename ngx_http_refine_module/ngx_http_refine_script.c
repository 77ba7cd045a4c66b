
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_file.h"
#include "ngx_http_refine_script.h"


static ngx_int_t ngx_http_refine_script_handler(ngx_http_request_t *r);


static ngx_int_t
ngx_http_refine_script_handler(ngx_http_request_t *r)
{
    ngx_http_refine_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    return ngx_http_refine_file_send(r, lcf->script);
}


char *
ngx_http_refine_script(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    ngx_http_refine_srv_conf_t  *server;

    if (lcf->script) {
        return "is duplicate";
    }

    lcf->script = ngx_http_refine_file(cf, "refine.js");
    if (lcf->script == NULL) {
        return NGX_CONF_ERROR;
    }

    server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_refine_module);

    ngx_http_refine_conf_exact(cf, &server->script);

    return ngx_http_refine_answer_set(cf, ngx_http_refine_script_handler);
}
