
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_control_core.h"
#include "ngx_http_refine_flush.h"


#define NGX_HTTP_REFINE_CONTROL_POLL      50        /* ms */
#define NGX_HTTP_REFINE_CONTROL_AGAIN     20        /* polls */
#define NGX_HTTP_REFINE_CONTROL_TIMEOUT   30        /* s */


static void ngx_http_refine_control_flush_row(void *data,
    ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_control_flush_test(
    ngx_http_refine_control_row_t *row, ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_control_flushed(
    ngx_http_refine_control_t *control);
static void ngx_http_refine_control_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_refine_control_id(ngx_str_t *text, uint64_t *id);


/*
 * Asks each catalog that is not done for its metrics; the first time they
 * give the barrier: the last event stored before.
 */

void
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
