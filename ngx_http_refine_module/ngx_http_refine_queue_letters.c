
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


static ngx_http_refine_call_t *ngx_http_refine_queue_step_call(
    ngx_http_refine_queue_t *queue, ngx_uint_t script, ngx_uint_t nargs,
    ngx_http_refine_call_pt reply, ngx_http_refine_step_pt handler,
    void *data);
static void ngx_http_refine_queue_step_next(ngx_http_refine_call_t *call,
    ngx_str_t *next);
static void ngx_http_refine_queue_expired(ngx_http_refine_call_t *call,
    redisReply *reply);
static void ngx_http_refine_queue_revived(ngx_http_refine_call_t *call,
    redisReply *reply);


/*
 * What goes through many events or dead letters does so in steps, each a call
 * of its own, so that Redis serves others in between.
 */

static ngx_http_refine_call_t *
ngx_http_refine_queue_step_call(ngx_http_refine_queue_t *queue,
    ngx_uint_t script, ngx_uint_t nargs, ngx_http_refine_call_pt reply,
    ngx_http_refine_step_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;
    ngx_http_refine_step_t   step;

    call = ngx_http_refine_call_create(queue, reply);

    if (call == NULL) {
        ngx_memzero(&step, sizeof(ngx_http_refine_step_t));
        step.failed = 1;
        handler(data, &step);
        return NULL;
    }

    call->step = handler;
    call->data = data;

    ngx_http_refine_call_busy(call);
    ngx_http_refine_call_script(call, script, nargs);

    return call;
}


static void
ngx_http_refine_queue_step_next(ngx_http_refine_call_t *call, ngx_str_t *next)
{
    if (next->len) {
        ngx_http_refine_call_copy(call, next);

    } else {
        ngx_http_refine_call_lit(call, "-");
    }
}


void
ngx_http_refine_queue_expire(ngx_http_refine_queue_t *queue, ngx_str_t *next,
    ngx_msec_t window, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_step_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_expire(queue, window, status, reason, handler,
                                     data);
        return;
    }

    call = ngx_http_refine_queue_step_call(queue,
                                           NGX_HTTP_REFINE_SCRIPT_EXPIRE, 7,
                                           ngx_http_refine_queue_expired,
                                           handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);

    ngx_http_refine_queue_step_next(call, next);
    ngx_http_refine_call_int(call, window);
    ngx_http_refine_call_int(call, queue->conf->claim_timeout);
    ngx_http_refine_call_int(call, status);
    ngx_http_refine_call_copy(call, reason);
    ngx_http_refine_call_int(call, queue->conf->dead_letters);

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_queue_expired(ngx_http_refine_call_t *call, redisReply *reply)
{
    size_t                   i;
    redisReply              *e;
    ngx_http_refine_step_t   step;

    ngx_memzero(&step, sizeof(ngx_http_refine_step_t));

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements == 0)
    {
        goto failed;
    }

    step.ids = ngx_palloc(call->pool, reply->elements * sizeof(ngx_str_t));
    if (step.ids == NULL) {
        goto failed;
    }

    for (i = 0; i < reply->elements; i++) {
        e = reply->element[i];

        if (e->type != REDIS_REPLY_STRING) {
            goto failed;
        }

        if (i == 0) {
            step.next.data = (u_char *) e->str;
            step.next.len = e->len;
            continue;
        }

        step.ids[step.n].data = (u_char *) e->str;
        step.ids[step.n++].len = e->len;
    }

    goto done;

failed:

    ngx_memzero(&step, sizeof(ngx_http_refine_step_t));
    step.failed = 1;

done:

    call->step(call->data, &step);

    ngx_http_refine_call_free(call);
}


void
ngx_http_refine_queue_revive(ngx_http_refine_queue_t *queue, ngx_str_t *next,
    ngx_str_t *last, ngx_str_t *reason, ngx_http_refine_step_pt handler,
    void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_revive(queue, reason, handler, data);
        return;
    }

    call = ngx_http_refine_queue_step_call(queue,
                                           NGX_HTTP_REFINE_SCRIPT_REVIVE, 6,
                                           ngx_http_refine_queue_revived,
                                           handler, data);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_queue_step_next(call, next);
    ngx_http_refine_call_copy(call, last);
    ngx_http_refine_call_copy(call, reason);
    ngx_http_refine_call_int(call, queue->conf->max_size);
    ngx_http_refine_call_int(call, queue->conf->max_bytes);
    ngx_http_refine_call_int(call, NGX_HTTP_REFINE_QUEUE_ENTRY);

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_queue_revived(ngx_http_refine_call_t *call, redisReply *reply)
{
    redisReply              **e;
    ngx_http_refine_step_t    step;

    ngx_memzero(&step, sizeof(ngx_http_refine_step_t));

    e = reply ? reply->element : NULL;

    if (reply == NULL
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 4
        || e[0]->type != REDIS_REPLY_INTEGER
        || e[0]->integer < 0
        || e[1]->type != REDIS_REPLY_STRING
        || e[2]->type != REDIS_REPLY_STRING
        || e[3]->type != REDIS_REPLY_INTEGER)
    {
        step.failed = 1;

    } else {
        step.n = e[0]->integer;
        step.next.data = (u_char *) e[1]->str;
        step.next.len = e[1]->len;
        step.last.data = (u_char *) e[2]->str;
        step.last.len = e[2]->len;

        if (e[3]->integer) {
            step.limit = (e[3]->integer == 1)
                         ? "the queue is full by max_queue_size"
                         : "the queue is full by max_queue_bytes";
        }
    }

    call->step(call->data, &step);

    ngx_http_refine_call_free(call);
}
