
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_guard.h"
#include "ngx_http_refine_report.h"
#include "ngx_http_refine_status.h"


#define NGX_HTTP_REFINE_STATUS_AGE  1000    /* ms */


static ngx_int_t ngx_http_refine_status_handler(ngx_http_request_t *r);
static void ngx_http_refine_status_done(void *data, ngx_str_t *json);


static ngx_int_t
ngx_http_refine_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    const char                  *error;
    ngx_http_refine_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (!lcf->any) {
        error = ngx_http_refine_guard_local(r);

        if (error) {
            return ngx_http_refine_answer_error(r, NGX_HTTP_FORBIDDEN, error);
        }
    }

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return ngx_http_refine_answer_method(r, "GET, HEAD",
                                             "the method must be GET or HEAD");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++;

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    ngx_http_refine_report(r, NGX_HTTP_REFINE_STATUS_AGE, NULL,
                           ngx_http_refine_status_done, r);

    return NGX_DONE;
}


static void
ngx_http_refine_status_done(void *data, ngx_str_t *json)
{
    ngx_http_request_t *r = data;

    if (json == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_refine_answer(r, NGX_HTTP_OK, json));
}


char *
ngx_http_refine_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "json") == 0) {
            continue;
        }

        if (ngx_strcmp(value[i].data, "any") == 0) {
            lcf->any = 1;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of refine_status, "
                           "it must be \"json\" or \"any\"", &value[i]);

        return NGX_CONF_ERROR;
    }

    return ngx_http_refine_answer_set(cf, ngx_http_refine_status_handler);
}
