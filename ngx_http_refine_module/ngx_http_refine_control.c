
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_control.h"
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_guard.h"
#include "ngx_http_refine_report.h"


#define NGX_HTTP_REFINE_CONTROL_POLL      50        /* ms */
#define NGX_HTTP_REFINE_CONTROL_AGAIN     20        /* polls */
#define NGX_HTTP_REFINE_CONTROL_TIMEOUT   30        /* s */
#define NGX_HTTP_REFINE_CONTROL_MAX       300       /* s */


typedef struct ngx_http_refine_control_s  ngx_http_refine_control_t;

typedef enum {
    NGX_HTTP_REFINE_CONTROL_NONE = 0,
    NGX_HTTP_REFINE_CONTROL_FLUSH,
    NGX_HTTP_REFINE_CONTROL_PAUSE,
    NGX_HTTP_REFINE_CONTROL_RESUME
} ngx_http_refine_control_e;


/*
 * A pause that Redis has not confirmed yet.  It lives as long as the queue
 * needs it, which may be longer than the request.
 */

typedef struct {
    ngx_http_refine_control_t      *control;    /* NULL: has ended */
    ngx_http_refine_catalog_t      *catalog;
    ngx_uint_t                      row;
    ngx_uint_t                      pause;
} ngx_http_refine_control_pause_t;


typedef struct {
    ngx_http_refine_control_t        *control;
    ngx_http_refine_catalog_t        *catalog;
    ngx_http_refine_control_pause_t  *pause;
    uint64_t                          barrier[2];   /* a stream id */
    unsigned                          waiting:1;    /* for the metrics */
    unsigned                          started:1;
    unsigned                          done:1;
} ngx_http_refine_control_row_t;


struct ngx_http_refine_control_s {
    ngx_http_request_t               *request;
    ngx_http_refine_control_row_t    *rows;         /* catalogs concerned */
    ngx_uint_t                        nrows;
    ngx_socket_t                      fd;           /* for the timer's log */

    ngx_http_refine_control_e         action;
    ngx_str_t                         catalog;      /* empty: all */
    ngx_msec_t                        timeout;      /* 0: not given */

    ngx_event_t                       timer;
    ngx_msec_t                        end;
    ngx_uint_t                        polls;
    ngx_uint_t                        pending;

    ngx_uint_t                        status;       /* of the answer */
    const char                       *error;
};


static ngx_int_t ngx_http_refine_control_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_control_start(
    ngx_http_refine_control_t *control);
static const char *ngx_http_refine_control_args(
    ngx_http_refine_control_t *control);
static ngx_int_t ngx_http_refine_control_next(ngx_http_request_t *r,
    u_char **pos, ngx_str_t *name, ngx_str_t *value);
static const char *ngx_http_refine_control_arg(
    ngx_http_refine_control_t *control, ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_refine_control_is(ngx_str_t *text,
    const char *expected);
static const char *ngx_http_refine_control_rows(
    ngx_http_refine_control_t *control);
static void ngx_http_refine_control_pause(ngx_http_refine_control_t *control);
static void ngx_http_refine_control_paused(void *data, ngx_int_t done);
static void ngx_http_refine_control_flush(ngx_http_refine_control_t *control);
static void ngx_http_refine_control_flush_row(void *data,
    ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_control_flush_test(
    ngx_http_refine_control_row_t *row, ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_control_flushed(
    ngx_http_refine_control_t *control);
static void ngx_http_refine_control_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_refine_control_id(ngx_str_t *text, uint64_t *id);
static void ngx_http_refine_control_fail(ngx_http_refine_control_t *control,
    ngx_uint_t status, const char *error);
static void ngx_http_refine_control_finish(ngx_http_refine_control_t *control);
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

    if (error == NULL) {
        error = ngx_http_refine_control_rows(control);
    }

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

    if (control->action == NGX_HTTP_REFINE_CONTROL_FLUSH) {
        ngx_http_refine_control_flush(control);

    } else {
        ngx_http_refine_control_pause(control);
    }

    return NGX_DONE;
}


/* reads the query string; the text of what is wrong with it, or NULL */

static const char *
ngx_http_refine_control_args(ngx_http_refine_control_t *control)
{
    u_char              *pos;
    ngx_int_t            rc;
    ngx_str_t            name, value;
    const char          *error;
    ngx_http_request_t  *r;

    r = control->request;
    pos = r->args.data;

    for ( ;; ) {
        rc = ngx_http_refine_control_next(r, &pos, &name, &value);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return "out of memory";
        }

        error = ngx_http_refine_control_arg(control, &name, &value);

        if (error) {
            return error;
        }
    }

    if (control->action == NGX_HTTP_REFINE_CONTROL_NONE) {
        return "action must be given: flush, pause or resume";
    }

    if (control->timeout
        && control->action != NGX_HTTP_REFINE_CONTROL_FLUSH)
    {
        return "timeout is only for action=flush";
    }

    return NULL;
}


static ngx_int_t
ngx_http_refine_control_next(ngx_http_request_t *r, u_char **pos,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char  *p, *last, *end, *src, *dst;

    p = *pos;
    last = r->args.data + r->args.len;

    while (p < last && *p == '&') {
        p++;
    }

    if (p >= last) {
        return NGX_DONE;
    }

    end = ngx_strlchr(p, last, '&');

    if (end == NULL) {
        end = last;
    }

    *pos = end;

    name->data = p;

    p = ngx_strlchr(p, end, '=');

    if (p == NULL) {
        p = end;
    }

    name->len = p - name->data;

    value->data = ngx_pnalloc(r->pool, end - p + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    src = p < end ? p + 1 : p;
    dst = value->data;

    ngx_unescape_uri(&dst, &src, end - src, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


static const char *
ngx_http_refine_control_arg(ngx_http_refine_control_t *control,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_int_t  seconds;

    if (ngx_http_refine_control_is(name, "action")) {

        if (control->action != NGX_HTTP_REFINE_CONTROL_NONE) {
            return "action must not be given twice";
        }

        if (ngx_http_refine_control_is(value, "flush")) {
            control->action = NGX_HTTP_REFINE_CONTROL_FLUSH;

        } else if (ngx_http_refine_control_is(value, "pause")) {
            control->action = NGX_HTTP_REFINE_CONTROL_PAUSE;

        } else if (ngx_http_refine_control_is(value, "resume")) {
            control->action = NGX_HTTP_REFINE_CONTROL_RESUME;

        } else {
            return "action must be flush, pause or resume";
        }

        return NULL;
    }

    if (ngx_http_refine_control_is(name, "catalog")) {

        if (control->catalog.len) {
            return "catalog must not be given twice";
        }

        if (value->len == 0) {
            return "catalog must be the name of a refine_catalog";
        }

        control->catalog = *value;

        return NULL;
    }

    if (ngx_http_refine_control_is(name, "timeout")) {

        if (control->timeout) {
            return "timeout must not be given twice";
        }

        seconds = ngx_parse_time(value, 1);

        if (value->len == 0 || seconds < 1
            || seconds > NGX_HTTP_REFINE_CONTROL_MAX)
        {
            return "timeout must be from 1 to 300 seconds";
        }

        control->timeout = (ngx_msec_t) seconds * 1000;

        return NULL;
    }

    return "only the parameters action, catalog and timeout are known";
}


static ngx_uint_t
ngx_http_refine_control_is(ngx_str_t *text, const char *expected)
{
    return text->len == ngx_strlen(expected)
           && ngx_strncmp(text->data, expected, text->len) == 0;
}


/* the catalogs that are concerned; the text of what is wrong, or NULL */

static const char *
ngx_http_refine_control_rows(ngx_http_refine_control_t *control)
{
    ngx_uint_t                      i;
    ngx_http_refine_catalog_t     **catalogs, *catalog;
    ngx_http_refine_main_conf_t    *mcf;
    ngx_http_refine_control_row_t  *row;

    mcf = ngx_http_get_module_main_conf(control->request,
                                        ngx_http_refine_module);

    control->rows = ngx_pcalloc(control->request->pool,
                                mcf->catalogs.nelts
                                * sizeof(ngx_http_refine_control_row_t));
    if (control->rows == NULL) {
        return "out of memory";
    }

    catalogs = mcf->catalogs.elts;

    for (i = 0; i < mcf->catalogs.nelts; i++) {
        catalog = catalogs[i];

        if (control->catalog.len
            && (control->catalog.len != catalog->name.len
                || ngx_strncmp(control->catalog.data, catalog->name.data,
                               catalog->name.len)
                   != 0))
        {
            continue;
        }

        row = &control->rows[control->nrows++];
        row->control = control;
        row->catalog = catalog;
    }

    if (control->nrows == 0) {
        return "catalog must be the name of a refine_catalog";
    }

    return NULL;
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


/*
 * Asks each catalog that is not done for its metrics; the first time they
 * give the barrier: the last event stored before.
 */

static void
ngx_http_refine_control_flush(ngx_http_refine_control_t *control)
{
    ngx_uint_t                      i;
    ngx_http_refine_control_row_t  *row;

    if (control->polls++ == 0) {
        control->end = ngx_current_msec
                       + (control->timeout
                          ? control->timeout
                          : NGX_HTTP_REFINE_CONTROL_TIMEOUT * 1000);
    }

    control->pending = 1;

    for (i = 0; i < control->nrows; i++) {
        row = &control->rows[i];

        if (row->done) {
            continue;
        }

        if (ngx_http_refine_flush_start(row->catalog,
                                        (ngx_cycle_t *) ngx_cycle)
            != NGX_OK)
        {
            ngx_http_refine_control_fail(control,
                                         NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "out of memory");
            break;
        }

        row->waiting = 1;
        control->pending++;

        ngx_http_refine_queue_metrics(row->catalog->store, 0,
                                      ngx_http_refine_control_flush_row, row);
    }

    if (--control->pending == 0) {
        ngx_http_refine_control_flushed(control);
    }
}


static void
ngx_http_refine_control_flush_row(void *data,
    ngx_http_refine_metrics_t *metrics)
{
    ngx_http_refine_control_row_t *row = data;

    row->waiting = 0;

    ngx_http_refine_control_flush_test(row, metrics);

    if (--row->control->pending == 0) {
        ngx_http_refine_control_flushed(row->control);
    }
}


static void
ngx_http_refine_control_flush_test(ngx_http_refine_control_row_t *row,
    ngx_http_refine_metrics_t *metrics)
{
    uint64_t                         first[2];
    ngx_http_refine_control_t       *control;
    ngx_http_refine_shared_state_t   state;

    control = row->control;

    if (metrics->stale) {
        ngx_http_refine_control_fail(control, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Redis is away");
        return;
    }

    if (!row->started) {

        /* an empty stream that never had an event has no id */

        (void) ngx_http_refine_control_id(&metrics->last_id, row->barrier);
    }

    if (ngx_http_refine_control_id(&metrics->first_id, first) != NGX_OK
        || first[0] > row->barrier[0]
        || (first[0] == row->barrier[0] && first[1] > row->barrier[1]))
    {
        row->started = 1;
        row->done = 1;
        return;
    }

    ngx_http_refine_shared_state(row->catalog->zone, &state);

    if (metrics->paused) {
        ngx_http_refine_control_fail(control, NGX_HTTP_CONFLICT,
                                     "delivery is paused");
        return;
    }

    if (state.state == NGX_HTTP_REFINE_CIRCUIT_HELD) {
        ngx_http_refine_control_fail(control, NGX_HTTP_CONFLICT,
                              "delivery is held, see the error log for why");
        return;
    }

    /* also later: another worker may have given back what it had claimed */

    if (!row->started || control->polls % NGX_HTTP_REFINE_CONTROL_AGAIN == 0) {
        row->started = 1;
        ngx_http_refine_flush_now(row->catalog);
    }
}


static void
ngx_http_refine_control_flushed(ngx_http_refine_control_t *control)
{
    ngx_uint_t  i;

    if (control->status != NGX_HTTP_OK) {
        ngx_http_refine_control_finish(control);
        return;
    }

    for (i = 0; i < control->nrows; i++) {
        if (!control->rows[i].done) {
            break;
        }
    }

    if (i == control->nrows) {
        ngx_http_refine_control_finish(control);
        return;
    }

    /* a worker that exits does not wait for the rest */

    if (ngx_exiting || ngx_terminate
        || (ngx_msec_int_t) (control->end - ngx_current_msec) <= 0)
    {
        control->status = NGX_HTTP_ACCEPTED;
        ngx_http_refine_control_finish(control);
        return;
    }

    control->timer.handler = ngx_http_refine_control_timer;
    control->timer.data = control;
    control->timer.log = control->request->connection->log;

    ngx_add_timer(&control->timer, NGX_HTTP_REFINE_CONTROL_POLL);
}


static void
ngx_http_refine_control_timer(ngx_event_t *ev)
{
    ngx_http_refine_control_t *control = ev->data;

    ngx_http_refine_control_flush(control);
}


/* MS-SEQ; NGX_DECLINED and 0-0 when there is none */

static ngx_int_t
ngx_http_refine_control_id(ngx_str_t *text, uint64_t *id)
{
    u_char      *p;
    ngx_uint_t   part;

    id[0] = 0;
    id[1] = 0;
    part = 0;

    for (p = text->data; p < text->data + text->len; p++) {

        if (*p == '-' && part == 0) {
            part = 1;
            continue;
        }

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        id[part] = id[part] * 10 + (*p - '0');
    }

    return text->len ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_refine_control_fail(ngx_http_refine_control_t *control,
    ngx_uint_t status, const char *error)
{
    control->status = status;
    control->error = error;
}


static void
ngx_http_refine_control_finish(ngx_http_refine_control_t *control)
{
    ngx_http_refine_report(control->request, 0, NGX_HTTP_REFINE_REPORT_JSON,
                           control->error, ngx_http_refine_control_answer,
                           control);
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
    }
}


char *
ngx_http_refine_control(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

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

    return ngx_http_refine_answer_set(cf, ngx_http_refine_control_handler);
}
