
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_control_core.h"
#include "ngx_http_refine_flush.h"


#define NGX_HTTP_REFINE_CONTROL_ID  64      /* of a stream, and a bracket */


/* a catalog's; it lives until its step is answered, as a pause does */

struct ngx_http_refine_control_replay_s {
    ngx_http_refine_control_t  *control;            /* NULL: has ended */
    ngx_http_refine_catalog_t  *catalog;
    ngx_uint_t                  row;
    ngx_str_t                   next;
    ngx_str_t                   last;
    u_char                      ids[2][NGX_HTTP_REFINE_CONTROL_ID];
};


static void ngx_http_refine_control_replay_step(
    ngx_http_refine_control_replay_t *replay);
static void ngx_http_refine_control_replayed(void *data,
    ngx_http_refine_step_t *step);
static ngx_uint_t ngx_http_refine_control_replay_judge(
    ngx_http_refine_control_replay_t *replay, ngx_http_refine_step_t *step);
static ngx_int_t ngx_http_refine_control_replay_id(ngx_str_t *id, u_char *dst,
    ngx_str_t *src);


void
ngx_http_refine_control_replay(ngx_http_refine_control_t *control)
{
    ngx_uint_t                         i;
    ngx_http_refine_control_row_t     *row;
    ngx_http_refine_control_replay_t  *replay;

    control->outcome.replay = 1;
    control->pending = 1;

    for (i = 0; i < control->nrows; i++) {
        row = &control->rows[i];

        replay = ngx_calloc(sizeof(ngx_http_refine_control_replay_t),
                            control->request->connection->log);

        if (replay == NULL
            || ngx_http_refine_flush_start(row->catalog,
                                           (ngx_cycle_t *) ngx_cycle)
               != NGX_OK)
        {
            if (replay) {
                ngx_free(replay);
            }

            ngx_http_refine_control_fail(control,
                                         NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "out of memory");
            continue;
        }

        replay->control = control;
        replay->catalog = row->catalog;
        replay->row = i;

        row->replay = replay;
        control->pending++;

        ngx_http_refine_control_replay_step(replay);
    }

    if (--control->pending == 0) {
        ngx_http_refine_control_finish(control);
    }
}


static void
ngx_http_refine_control_replay_step(ngx_http_refine_control_replay_t *replay)
{
    ngx_http_refine_queue_revive(replay->catalog->store, &replay->next,
                                 &replay->last, &replay->control->reason,
                                 ngx_http_refine_control_replayed, replay);
}


static void
ngx_http_refine_control_replayed(void *data, ngx_http_refine_step_t *step)
{
    ngx_http_refine_control_replay_t *replay = data;

    ngx_http_refine_control_t  *control;

    control = replay->control;

    if (control) {
        control->outcome.replayed += step->n;

        if (ngx_http_refine_control_replay_judge(replay, step)) {
            ngx_http_refine_control_replay_step(replay);
            return;
        }

        control->rows[replay->row].replay = NULL;
    }

    ngx_free(replay);

    if (control && --control->pending == 0) {
        ngx_http_refine_control_finish(control);
    }
}


/* whether there is another step to do */

static ngx_uint_t
ngx_http_refine_control_replay_judge(ngx_http_refine_control_replay_t *replay,
    ngx_http_refine_step_t *step)
{
    ngx_http_refine_control_t  *control;

    control = replay->control;

    if (step->failed) {
        ngx_http_refine_control_fail(control, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Redis did not confirm it");
        return 0;
    }

    if (step->limit) {
        ngx_http_refine_control_fail(control, NGX_HTTP_CONFLICT, step->limit);
        return 0;
    }

    if (step->next.len == 0) {
        return 0;
    }

    /* a worker that exits does not wait for the rest */

    if (ngx_exiting || ngx_terminate
        || ngx_http_refine_control_replay_id(&replay->next, replay->ids[0],
                                             &step->next)
           != NGX_OK
        || ngx_http_refine_control_replay_id(&replay->last, replay->ids[1],
                                             &step->last)
           != NGX_OK)
    {
        control->status = NGX_HTTP_ACCEPTED;
        return 0;
    }

    return 1;
}


static ngx_int_t
ngx_http_refine_control_replay_id(ngx_str_t *id, u_char *dst, ngx_str_t *src)
{
    if (src->len > NGX_HTTP_REFINE_CONTROL_ID) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst, src->data, src->len);

    id->data = dst;
    id->len = src->len;

    return NGX_OK;
}


void
ngx_http_refine_control_replay_forget(ngx_http_refine_control_replay_t *replay)
{
    replay->control = NULL;
}
