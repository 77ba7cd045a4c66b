
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


static ngx_http_refine_call_t *ngx_http_refine_queue_done_call(
    ngx_http_refine_queue_t *queue, ngx_uint_t script, ngx_uint_t nargs,
    ngx_http_refine_done_pt handler, void *data);
static void ngx_http_refine_queue_done_handler(ngx_http_refine_call_t *call,
    redisReply *reply);


/*
 * What ends a claim, and the pause.  An acknowledgement that Redis did not
 * confirm is kept and sent again, for else the events would be delivered
 * twice; the scripts count only what was still there.
 */

static ngx_http_refine_call_t *
ngx_http_refine_queue_done_call(ngx_http_refine_queue_t *queue,
    ngx_uint_t script, ngx_uint_t nargs, ngx_http_refine_done_pt handler,
    void *data)
{
    ngx_http_refine_call_t  *call;

    call = ngx_http_refine_call_create(queue,
                                       ngx_http_refine_queue_done_handler);
    if (call == NULL) {

        /* there is nothing left to remember it by */

        if (handler) {
            handler(data, NGX_ERROR);
        }

        return NULL;
    }

    call->done = handler;
    call->data = data;

    ngx_http_refine_call_busy(call);
    ngx_http_refine_call_script(call, script, nargs);

    return call;
}


void
ngx_http_refine_queue_ack(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n,
    ngx_http_refine_done_pt handler, void *data)
{
    ngx_uint_t               i;
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_ack(queue, entries, n);
        ngx_http_refine_local_later(queue, handler, data, NGX_OK);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue, NGX_HTTP_REFINE_SCRIPT_ACK,
                                           n * 2, handler, data);
    if (call == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {
        ngx_http_refine_call_copy(call, &entries[i].id);
        ngx_http_refine_call_int(call, entries[i].line.len);
    }

    call->n = n;
    call->remember = 1;

    ngx_http_refine_call_send(call);
}


void
ngx_http_refine_queue_dead(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entry, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_done_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_dead(queue, entry, status, reason);
        ngx_http_refine_local_later(queue, handler, data, NGX_OK);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue, NGX_HTTP_REFINE_SCRIPT_DEAD,
                                           5, handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_copy(call, &entry->id);
    ngx_http_refine_call_int(call, status);
    ngx_http_refine_call_copy(call, reason);
    ngx_http_refine_call_int(call, entry->attempts);
    ngx_http_refine_call_int(call, queue->conf->dead_letters);

    call->n = 1;
    call->remember = 1;

    ngx_http_refine_call_send(call);
}


void
ngx_http_refine_queue_renew(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n,
    ngx_http_refine_done_pt handler, void *data)
{
    ngx_uint_t               i;
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_later(queue, handler, data, NGX_OK);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue, NGX_HTTP_REFINE_SCRIPT_RENEW,
                                           n + 1, handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);

    for (i = 0; i < n; i++) {
        ngx_http_refine_call_copy(call, &entries[i].id);
    }

    ngx_http_refine_call_send(call);
}


void
ngx_http_refine_queue_return(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n, ngx_uint_t counted,
    ngx_http_refine_done_pt handler, void *data)
{
    int64_t                  attempts;
    ngx_uint_t               i;
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_return(queue, entries, n, counted);
        ngx_http_refine_local_later(queue, handler, data, NGX_OK);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue,
                                           NGX_HTTP_REFINE_SCRIPT_RETURN,
                                           n * 2 + 2, handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);
    ngx_http_refine_call_int(call, queue->conf->claim_timeout);

    for (i = 0; i < n; i++) {
        attempts = entries[i].attempts;

        if (!counted && attempts > 0) {
            attempts--;
        }

        ngx_http_refine_call_copy(call, &entries[i].id);
        ngx_http_refine_call_int(call, attempts);
    }

    ngx_http_refine_call_send(call);
}


void
ngx_http_refine_queue_pause(ngx_http_refine_queue_t *queue, ngx_uint_t pause,
    ngx_http_refine_done_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_pause(queue, pause);
        ngx_http_refine_local_later(queue, handler, data, NGX_OK);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue, NGX_HTTP_REFINE_SCRIPT_PAUSE,
                                           1, handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_arg(call, pause ? "1" : "0", 1);

    ngx_http_refine_call_send(call);
}


void
ngx_http_refine_queue_held(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_held(queue);
        return;
    }

    call = ngx_http_refine_queue_done_call(queue, NGX_HTTP_REFINE_SCRIPT_PAUSE,
                                           1, NULL, NULL);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_lit(call, "2");

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_queue_done_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    ngx_int_t                 rc;
    ngx_http_refine_queue_t  *queue;
    ngx_http_refine_done_pt   done;

    queue = call->owner;
    done = call->done;
    call->done = NULL;

    if (call->replayed) {
        call->replayed = 0;
        queue->nreplays--;
    }

    rc = (reply && reply->type == REDIS_REPLY_INTEGER) ? NGX_OK : NGX_ERROR;

    if (done) {
        done(call->data, rc);
    }

    if (rc == NGX_OK
        || !call->remember
        || call->broken
        || queue->nlater + call->n > NGX_HTTP_REFINE_QUEUE_MAX_LATER
        || !ngx_http_refine_queue_unavailable(reply))
    {
        ngx_http_refine_call_free(call);
        return;
    }

    ngx_queue_insert_tail(&queue->later, &call->queue);
    queue->nlater += call->n;

    ngx_http_refine_queue_arm(queue);
}


void
ngx_http_refine_queue_replay(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t             *q, later;
    ngx_http_refine_call_t  *call;

    if (ngx_queue_empty(&queue->later)) {
        return;
    }

    /* a call that cannot be sent comes back to queue->later */

    ngx_queue_init(&later);
    ngx_queue_add(&later, &queue->later);
    ngx_queue_init(&queue->later);

    while (!ngx_queue_empty(&later)) {
        q = ngx_queue_head(&later);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_http_refine_call_t, queue);

        call->resent = 0;
        call->replayed = 1;

        queue->nlater -= call->n;
        queue->nreplays++;

        ngx_http_refine_call_send(call);
    }
}
