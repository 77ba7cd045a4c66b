
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


void
ngx_http_refine_queue_count(ngx_http_refine_queue_t *queue,
    ngx_http_refine_counter_e counter, ngx_uint_t n)
{
    queue->deltas[counter] += n;
    queue->counted = 1;

    ngx_http_refine_queue_arm(queue);
}


void
ngx_http_refine_queue_time(ngx_http_refine_queue_t *queue,
    ngx_http_refine_counter_e first, ngx_msec_t ms)
{
    ngx_uint_t      i;
    const int64_t  *bounds;

    bounds = ngx_http_refine_histogram_bounds(first);

    for (i = 0; i < NGX_HTTP_REFINE_HISTOGRAM_BOUNDS; i++) {
        if ((int64_t) ms <= bounds[i]) {
            break;
        }
    }

    queue->deltas[first + NGX_HTTP_REFINE_HISTOGRAM_SUM] += ms;

    ngx_http_refine_queue_count(queue, first + i, 1);
}


ngx_uint_t
ngx_http_refine_queue_deltas(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t  i, n;

    n = 2;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        if (queue->deltas[i]) {
            n += 2;
        }
    }

    return n;
}


void
ngx_http_refine_queue_deltas_take(ngx_http_refine_call_t *call)
{
    int64_t                   dropped;
    ngx_uint_t                i;
    const ngx_str_t          *field;
    ngx_http_refine_queue_t  *queue;

    if (call->broken) {
        return;
    }

    queue = call->owner;

    call->deltas = ngx_palloc(call->pool, sizeof(queue->deltas));
    if (call->deltas == NULL) {
        call->broken = 1;
        return;
    }

    ngx_memcpy(call->deltas, queue->deltas, sizeof(queue->deltas));
    ngx_memzero(queue->deltas, sizeof(queue->deltas));

    queue->counted = 0;
    queue->counted_at = ngx_current_msec;

    dropped = 0;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        if (call->deltas[i] == 0) {
            continue;
        }

        if (i == NGX_HTTP_REFINE_DROPPED_DISABLED
            || i == NGX_HTTP_REFINE_DROPPED_CONSENT)
        {
            dropped += call->deltas[i];
        }

        field = &ngx_http_refine_counters[i].field;
        ngx_http_refine_call_arg(call, field->data, field->len);
        ngx_http_refine_call_int(call, call->deltas[i]);
    }

    if (dropped) {
        ngx_http_refine_call_lit(call, "accepted");
        ngx_http_refine_call_int(call, dropped);
    }
}


void
ngx_http_refine_queue_deltas_undo(ngx_http_refine_call_t *call)
{
    ngx_uint_t                i;
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    if (call->deltas == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        queue->deltas[i] += call->deltas[i];
    }

    call->deltas = NULL;
    queue->counted = 1;
}
