
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_control_core.h"
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_guard.h"


static ngx_int_t ngx_http_refine_control_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_control_start(
    ngx_http_refine_control_t *control);
static void ngx_http_refine_control_pause(ngx_http_refine_control_t *control);
static void ngx_http_refine_control_paused(void *data, ngx_int_t done);
static void ngx_http_refine_control_answer(void *data, ngx_str_t *json);
static void ngx_http_refine_control_cleanup(void *data);


static ngx_int_t
ngx_http_refine_control_handler(ngx_http_request_t *r)
{
    const char                  *error;
    ngx_http_refine_control_t   *control;
    ngx_http_refine_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    error = lcf->any ? NULL : ngx_http_refine_guard_local(r);

    if (error == NULL) {

        if (r->method != NGX_HTTP_POST) {
            return ngx_http_refine_answer_method(r, "POST",
                                                 "the method must be POST");
        }

        error = ngx_http_refine_guard_control(r);
    }

    if (error) {
        return ngx_http_refine_answer_error(r, NGX_HTTP_FORBIDDEN, error);
    }

    control = ngx_pcalloc(r->pool, sizeof(ngx_http_refine_control_t));
    if (control == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    control->request = r;
    control->fd = r->connection->fd;

    error = ngx_http_refine_control_args(control);

    if (error) {
        return ngx_http_refine_answer_error(r, NGX_HTTP_BAD_REQUEST, error);
    }

    return ngx_http_refine_control_start(control);
}


static ngx_int_t
ngx_http_refine_control_start(ngx_http_refine_control_t *control)
{
    ngx_int_t            rc;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = control->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_refine_control_cleanup;
    cln->data = control;

    r->main->count++;

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    control->status = NGX_HTTP_OK;

    switch (control->action) {

    case NGX_HTTP_REFINE_CONTROL_FLUSH:
        ngx_http_refine_control_flush(control);
        break;

    case NGX_HTTP_REFINE_CONTROL_REPLAY:
        ngx_http_refine_control_replay(control);
        break;

    default: /* PAUSE, RESUME */
        ngx_http_refine_control_pause(control);
        break;
    }

    return NGX_DONE;
}


static void
ngx_http_refine_control_pause(ngx_http_refine_control_t *control)
{
    ngx_uint_t                        i;
    ngx_http_refine_control_row_t    *row;
    ngx_http_refine_control_pause_t  *pause;

    control->pending = 1;

    for (i = 0; i < control->nrows; i++) {
        row = &control->rows[i];

        pause = ngx_alloc(sizeof(ngx_http_refine_control_pause_t),
                          control->request->connection->log);

        if (pause == NULL
            || ngx_http_refine_flush_start(row->catalog,
                                           (ngx_cycle_t *) ngx_cycle)
               != NGX_OK)
        {
            if (pause) {
                ngx_free(pause);
            }

            ngx_http_refine_control_fail(control,
                                         NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "out of memory");
            continue;
        }

        pause->control = control;
        pause->catalog = row->catalog;
        pause->row = i;
        pause->pause = (control->action == NGX_HTTP_REFINE_CONTROL_PAUSE);

        row->pause = pause;
        control->pending++;

        ngx_http_refine_queue_pause(row->catalog->store, pause->pause,
                                    ngx_http_refine_control_paused, pause);
    }

    if (--control->pending == 0) {
        ngx_http_refine_control_finish(control);
    }
}


static void
ngx_http_refine_control_paused(void *data, ngx_int_t done)
{
    ngx_http_refine_control_pause_t *pause = data;

    ngx_http_refine_control_t  *control;

    if (done == NGX_OK) {
        ngx_http_refine_flush_pause(pause->catalog, pause->pause);
    }

    control = pause->control;

    if (control) {
        control->rows[pause->row].pause = NULL;
    }

    ngx_free(pause);

    if (control == NULL) {
        return;
    }

    if (done != NGX_OK) {
        ngx_http_refine_control_fail(control, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Redis did not confirm it");
    }

    if (--control->pending == 0) {
        ngx_http_refine_control_finish(control);
    }
}


void
ngx_http_refine_control_fail(ngx_http_refine_control_t *control,
    ngx_uint_t status, const char *error)
{
    control->status = status;
    control->outcome.error = error;
}


void
ngx_http_refine_control_finish(ngx_http_refine_control_t *control)
{
    ngx_http_refine_report(control->request, 0, NGX_HTTP_REFINE_REPORT_JSON,
                           &control->outcome,
                           ngx_http_refine_control_answer, control);
}


static void
ngx_http_refine_control_answer(void *data, ngx_str_t *json)
{
    ngx_http_refine_control_t *control = data;

    ngx_http_request_t  *r;

    r = control->request;

    if (json == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_refine_answer(r, control->status,
                                                        json));
}


static void
ngx_http_refine_control_cleanup(void *data)
{
    ngx_http_refine_control_t *control = data;

    ngx_uint_t                      i;
    ngx_http_refine_control_row_t  *row;

    if (control->timer.timer_set) {
        ngx_del_timer(&control->timer);
    }

    for (i = 0; i < control->nrows; i++) {
        row = &control->rows[i];

        if (row->waiting) {
            row->waiting = 0;
            ngx_http_refine_queue_metrics_forget(row->catalog->store, row);
        }

        if (row->pause) {
            row->pause->control = NULL;
            row->pause = NULL;
        }

        if (row->replay) {
            ngx_http_refine_control_replay_forget(row->replay);
            row->replay = NULL;
        }
    }
}


char *
ngx_http_refine_control(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_refine_srv_conf_t  *server;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "any") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of refine_control, "
                               "it must be \"any\"", &value[i]);

            return NGX_CONF_ERROR;
        }

        lcf->any = 1;
    }

    server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_refine_module);

    ngx_http_refine_conf_exact(cf, &server->control);

    return ngx_http_refine_answer_set(cf, ngx_http_refine_control_handler);
}
