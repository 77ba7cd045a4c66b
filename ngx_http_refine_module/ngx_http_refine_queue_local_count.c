
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


static void ngx_http_refine_local_ids(ngx_http_refine_queue_t *queue,
    ngx_http_refine_metrics_t *m);


void
ngx_http_refine_local_later(ngx_http_refine_queue_t *queue,
    ngx_http_refine_done_pt handler, void *data, ngx_int_t rc)
{
    ngx_http_refine_later_t  *later;

    if (handler == NULL) {
        return;
    }

    later = ngx_alloc(sizeof(ngx_http_refine_later_t), queue->log);

    if (later == NULL) {
        handler(data, NGX_ERROR);
        return;
    }

    later->handler = handler;
    later->data = data;
    later->rc = rc;

    ngx_queue_insert_tail(&queue->local->later, &later->queue);
    ngx_http_refine_local_post(queue);
}


void
ngx_http_refine_local_ack(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n)
{
    int64_t                         sent, bytes;
    ngx_uint_t                      i;
    ngx_http_refine_item_t         *item;
    ngx_http_refine_ledger_data_t  *data;

    sent = 0;
    bytes = 0;

    for (i = 0; i < n; i++) {
        item = ngx_http_refine_local_item(queue, &entries[i].id);

        if (item) {
            sent++;
            bytes += item->line.len;
            ngx_http_refine_local_finish(queue, item);
        }
    }

    data = queue->local->ledger.data;

    ngx_http_refine_ledger_lock(&queue->local->ledger);

    data->sent += sent;
    data->held -= sent;
    data->bytes -= bytes;

    ngx_http_refine_ledger_unlock(&queue->local->ledger);

    ngx_http_refine_local_finished(queue);
}


void
ngx_http_refine_local_pause(ngx_http_refine_queue_t *queue, ngx_uint_t pause)
{
    int64_t                         now;
    ngx_http_refine_ledger_data_t  *data;

    now = ngx_http_refine_local_now();
    data = queue->local->ledger.data;

    ngx_http_refine_ledger_lock(&queue->local->ledger);

    if (pause && data->paused == 0) {
        data->paused = now;
    }

    if (!pause && data->paused) {
        data->paused = 0;
        data->resumed = now;
    }

    ngx_http_refine_ledger_unlock(&queue->local->ledger);
}


void
ngx_http_refine_local_held(ngx_http_refine_queue_t *queue)
{
    queue->local->ledger.data->resumed = ngx_http_refine_local_now();
}


void
ngx_http_refine_local_deltas(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                      i;
    ngx_http_refine_ledger_t       *ledger;
    ngx_http_refine_ledger_data_t  *data;

    if (!queue->counted) {
        return;
    }

    ledger = &queue->local->ledger;
    data = ledger->data;

    ngx_http_refine_ledger_lock(ledger);

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {

        if (i == NGX_HTTP_REFINE_DROPPED_DISABLED
            || i == NGX_HTTP_REFINE_DROPPED_CONSENT)
        {
            data->accepted += queue->deltas[i];
            data->dropped += queue->deltas[i];
        }

        data->counters[ledger->index[i]].n += queue->deltas[i];
    }

    ngx_http_refine_ledger_unlock(ledger);

    ngx_memzero(queue->deltas, sizeof(queue->deltas));
    queue->counted = 0;
}


void
ngx_http_refine_local_row(ngx_http_refine_queue_t *queue)
{
    int64_t                           oldest;
    ngx_uint_t                        i;
    ngx_queue_t                      *q;
    ngx_http_refine_local_t          *local;
    ngx_http_refine_window_t         *window;
    ngx_http_refine_ledger_worker_t  *self;

    local = queue->local;
    self = local->ledger.self;

    oldest = local->unread ? local->unread_at : 0;
    q = ngx_queue_head(&local->windows);

    if (q != ngx_queue_sentinel(&local->windows)) {
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);

        for (i = 0; i < window->n; i++) {
            if (window->items[i].state != NGX_HTTP_REFINE_ITEM_FINISHED) {
                oldest = window->items[i].at;
                break;
            }
        }
    }

    self->claimed = local->nclaimed;
    self->oldest = oldest;
}


void
ngx_http_refine_local_metrics(ngx_http_refine_queue_t *queue)
{
    int64_t                         claimed, oldest, held;
    ngx_uint_t                      i;
    ngx_http_refine_ledger_t       *ledger;
    ngx_http_refine_metrics_t      *m;
    ngx_http_refine_ledger_data_t  *data;

    ngx_http_refine_local_deltas(queue);

    m = &queue->metrics;
    ledger = &queue->local->ledger;
    data = ledger->data;

    ngx_memzero(m, sizeof(ngx_http_refine_metrics_t));

    ngx_http_refine_ledger_lock(ledger);

    claimed = ngx_http_refine_ledger_claimed(ledger, &oldest);

    /*
     * Less than none: what a worker had written when it was killed, and not
     * counted any more, is sent; or what a replay puts back at this moment.
     */

    held = ngx_max(data->held, 0);

    m->accepted = data->accepted + (held - data->held);
    m->sent = data->sent;
    m->failed = data->failed;
    m->dropped = data->dropped;
    m->retrying = ngx_min(held, claimed);
    m->queued = held - m->retrying;
    m->dead = data->dead + data->dead_before;
    m->dead_trimmed = data->dead_trimmed;
    m->dead_replayed = data->dead_replayed;
    m->bytes = ngx_max(data->bytes, 0);
    m->paused = (data->paused != 0);
    ngx_memcpy(m->surfaces, data->surfaces, sizeof(m->surfaces));
    m->known = 1;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        m->counters[i] = data->counters[ledger->index[i]].n;
    }

    if (oldest && data->held > 0) {
        m->oldest_age = ngx_max(ngx_http_refine_local_now() - oldest, 0);
    }

    ngx_http_refine_local_ids(queue, m);

    ngx_http_refine_ledger_unlock(ledger);
}


/* as those of a stream: who waits for a flush compares them */

static void
ngx_http_refine_local_ids(ngx_http_refine_queue_t *queue,
    ngx_http_refine_metrics_t *m)
{
    ngx_http_refine_ledger_data_t  *data;

    data = queue->local->ledger.data;

    m->last_id.data = queue->last_id;
    m->last_id.len = ngx_sprintf(queue->last_id, "%L-0", data->entered)
                     - queue->last_id;

    m->first_id.data = queue->first_id;

    if (data->held > 0) {
        m->first_id.len = ngx_sprintf(queue->first_id, "%L-0",
                                      ngx_max(data->entered - data->held, 0)
                                      + 1)
                          - queue->first_id;
    }
}


/*
 * A worker that is killed may have written what it could not count any more, or
 * have sent what it will send again; and what is damaged is never sent.
 */

void
ngx_http_refine_local_heal(ngx_http_refine_queue_t *queue, ngx_uint_t alone)
{
    int64_t                         off;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_ledger_data_t  *data;

    local = queue->local;
    data = local->ledger.data;

    ngx_http_refine_ledger_lock(&local->ledger);

    off = queue->disk.totals.events - data->held;

    if (alone || (off && queue->disk.totals.segments == 0
                  && local->entered == data->entered))
    {
        data->held += off;
        data->accepted = data->sent + data->failed + data->dropped
                         + data->held;

        if (data->held == 0) {
            data->bytes = 0;
        }
    }

    local->entered = data->entered;

    ngx_http_refine_ledger_unlock(&local->ledger);
}
