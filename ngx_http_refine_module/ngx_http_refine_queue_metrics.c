
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


#define NGX_HTTP_REFINE_METRICS_HEAD  7      /* before the stats' fields */


typedef struct {
    ngx_queue_t                      queue;
    ngx_http_refine_metrics_pt       handler;
    void                            *data;
    ngx_http_refine_call_t          *call;
} ngx_http_refine_waiter_t;


static ngx_int_t ngx_http_refine_queue_metrics_call(
    ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_metrics_handler(
    ngx_http_refine_call_t *call, redisReply *reply);
static ngx_int_t ngx_http_refine_queue_metrics_parse(
    ngx_http_refine_queue_t *queue, redisReply *reply);
static void ngx_http_refine_queue_metrics_field(ngx_http_refine_metrics_t *m,
    redisReply *name, redisReply *value);
static void ngx_http_refine_queue_metrics_counter(
    ngx_http_refine_metrics_t *m, redisReply *name, int64_t n);
static void ngx_http_refine_queue_metrics_id(ngx_str_t *id, u_char *dst,
    redisReply *reply);


void
ngx_http_refine_queue_metrics(ngx_http_refine_queue_t *queue,
    ngx_msec_t max_age, ngx_http_refine_metrics_pt handler, void *data)
{
    ngx_uint_t                 ready, fresh;
    ngx_http_refine_waiter_t  *waiter;

    ready = ngx_http_refine_queue_ready(queue);

    ngx_http_refine_queue_spool_count(queue);

    waiter = ngx_alloc(sizeof(ngx_http_refine_waiter_t), queue->log);
    if (waiter == NULL) {
        queue->metrics.stale = 1;
        queue->metrics.spooled = queue->disk.totals;
        handler(data, &queue->metrics);
        return;
    }

    waiter->handler = handler;
    waiter->data = data;
    waiter->call = NULL;

    fresh = max_age && queue->metrics.known && !queue->metrics_failed
            && ngx_current_msec - queue->metrics_at <= max_age;

    if (ready && !fresh) {

        /* one that asks for "now" does not join a call already under way */

        if ((max_age && queue->metrics_call)
            || ngx_http_refine_queue_metrics_call(queue) == NGX_OK)
        {
            waiter->call = queue->metrics_call;
            ngx_queue_insert_tail(&queue->waiters, &waiter->queue);
            return;
        }
    }

    ngx_queue_insert_tail(&queue->answers, &waiter->queue);

    if (!queue->closing) {
        ngx_post_event(&queue->settle, &ngx_posted_events);
    }
}


void
ngx_http_refine_queue_metrics_forget(ngx_http_refine_queue_t *queue,
    void *data)
{
    ngx_uint_t                 i;
    ngx_queue_t               *q, *next, *list;
    ngx_http_refine_waiter_t  *waiter;

    for (i = 0; i < 2; i++) {
        list = i ? &queue->answers : &queue->waiters;

        for (q = ngx_queue_head(list);
             q != ngx_queue_sentinel(list);
             q = next)
        {
            next = ngx_queue_next(q);
            waiter = ngx_queue_data(q, ngx_http_refine_waiter_t, queue);

            if (waiter->data == data) {
                ngx_queue_remove(q);
                ngx_free(waiter);
            }
        }
    }
}


static ngx_int_t
ngx_http_refine_queue_metrics_call(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t               n;
    ngx_http_refine_call_t  *call;

    call = ngx_http_refine_call_create(queue,
                                       ngx_http_refine_queue_metrics_handler);
    if (call == NULL) {
        return NGX_ERROR;
    }

    n = queue->counted ? ngx_http_refine_queue_deltas(queue) : 0;

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_SCRIPT_METRICS, n);

    if (n) {
        ngx_http_refine_queue_deltas_take(call);
    }

    queue->metrics_call = call;

    /* its answers come first */
    ngx_http_refine_queue_durable_read(queue, 0);

    ngx_http_refine_call_send(call);

    return NGX_OK;
}


static void
ngx_http_refine_queue_metrics_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    ngx_queue_t               *q, *next;
    ngx_http_refine_queue_t   *queue;
    ngx_http_refine_waiter_t  *waiter;

    queue = call->owner;

    if (ngx_http_refine_queue_metrics_parse(queue, reply) == NGX_OK) {
        queue->metrics_failed = 0;
        queue->metrics_at = ngx_current_msec;

        if (reply->element[0]->len) {
            ngx_http_refine_queue_deltas_undo(call);
        }

    } else {
        queue->metrics_failed = 1;
        ngx_http_refine_queue_deltas_undo(call);
    }

    for (q = ngx_queue_head(&queue->waiters);
         q != ngx_queue_sentinel(&queue->waiters);
         q = next)
    {
        next = ngx_queue_next(q);
        waiter = ngx_queue_data(q, ngx_http_refine_waiter_t, queue);

        if (waiter->call == call) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&queue->answers, q);
        }
    }

    if (queue->metrics_call == call) {
        queue->metrics_call = NULL;
    }

    ngx_http_refine_call_free(call);
    ngx_http_refine_queue_arm(queue);

    ngx_http_refine_queue_metrics_settle(queue);
}


void
ngx_http_refine_queue_metrics_settle(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t               *q;
    ngx_http_refine_waiter_t   waiter;

    if (queue->local && !ngx_queue_empty(&queue->answers)) {
        ngx_http_refine_local_metrics(queue);
    }

    while (!ngx_queue_empty(&queue->answers)) {
        q = ngx_queue_head(&queue->answers);
        ngx_queue_remove(q);

        waiter = *ngx_queue_data(q, ngx_http_refine_waiter_t, queue);
        ngx_free(ngx_queue_data(q, ngx_http_refine_waiter_t, queue));

        queue->metrics.stale = queue->metrics_failed
                               || !queue->metrics.known
                               || (queue->local == NULL
                                   && !ngx_http_refine_queue_ready(queue));
        queue->metrics.spooled = queue->disk.totals;

        waiter.handler(waiter.data, &queue->metrics);
    }
}


static ngx_int_t
ngx_http_refine_queue_metrics_parse(ngx_http_refine_queue_t *queue,
    redisReply *reply)
{
    size_t                      i;
    int64_t                     len, pending, first;
    redisReply                **e;
    ngx_http_refine_metrics_t  *m;

    static const int  types[NGX_HTTP_REFINE_METRICS_HEAD] = {
        REDIS_REPLY_STRING, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER,
        REDIS_REPLY_INTEGER, REDIS_REPLY_STRING, REDIS_REPLY_STRING,
        REDIS_REPLY_INTEGER
    };

    if (reply == NULL
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements < NGX_HTTP_REFINE_METRICS_HEAD)
    {
        return NGX_ERROR;
    }

    e = reply->element;

    for (i = 0; i < NGX_HTTP_REFINE_METRICS_HEAD; i++) {
        if (e[i]->type != types[i] || e[i]->integer < 0) {
            return NGX_ERROR;
        }
    }

    m = &queue->metrics;
    ngx_memzero(m, sizeof(ngx_http_refine_metrics_t));

    len = e[1]->integer;
    pending = e[2]->integer;

    m->retrying = ngx_min(len, pending);
    m->queued = len - m->retrying;
    m->dead = e[3]->integer;
    m->known = 1;

    ngx_http_refine_queue_metrics_id(&m->first_id, queue->first_id, e[4]);
    ngx_http_refine_queue_metrics_id(&m->last_id, queue->last_id, e[5]);

    for (i = NGX_HTTP_REFINE_METRICS_HEAD; i + 1 < reply->elements; i += 2) {
        ngx_http_refine_queue_metrics_field(m, e[i], e[i + 1]);
    }

    if (m->first_id.len) {
        first = strtoll((char *) m->first_id.data, NULL, 10);
        first = ngx_max(first, 0);
        m->oldest_age = ngx_max(e[6]->integer - first, 0);
    }

    return NGX_OK;
}


static void
ngx_http_refine_queue_metrics_field(ngx_http_refine_metrics_t *m,
    redisReply *name, redisReply *value)
{
    size_t            label;
    int64_t           n;
    ngx_uint_t        i;
    const ngx_str_t  *field;

    static const struct {
        ngx_str_t  name;
        size_t     offset;
    } fields[] = {
        { ngx_string("accepted"),
          offsetof(ngx_http_refine_metrics_t, accepted) },
        { ngx_string("sent"), offsetof(ngx_http_refine_metrics_t, sent) },
        { ngx_string("failed"), offsetof(ngx_http_refine_metrics_t, failed) },
        { ngx_string("bytes"), offsetof(ngx_http_refine_metrics_t, bytes) },
        { ngx_string("dead_trimmed"),
          offsetof(ngx_http_refine_metrics_t, dead_trimmed) },
        { ngx_string("dead_replayed"),
          offsetof(ngx_http_refine_metrics_t, dead_replayed) }
    };

    if (name->type != REDIS_REPLY_STRING
        || value->type != REDIS_REPLY_STRING)
    {
        return;
    }

    n = strtoll(value->str, NULL, 10);

    if (ngx_strcmp(name->str, "paused") == 0) {
        m->paused = 1;
        return;
    }

    label = ngx_http_refine_surface_field((u_char *) name->str, name->len,
                                          &i);
    if (label) {
        ngx_http_refine_surface_add(m->surfaces, i,
                                    (u_char *) name->str + label,
                                    name->len - label, n);
        return;
    }

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        field = &fields[i].name;

        if (field->len == (size_t) name->len
            && ngx_memcmp(field->data, name->str, field->len) == 0)
        {
            *(int64_t *) ((u_char *) m + fields[i].offset) = n;
            return;
        }
    }

    ngx_http_refine_queue_metrics_counter(m, name, n);
}


static void
ngx_http_refine_queue_metrics_counter(ngx_http_refine_metrics_t *m,
    redisReply *name, int64_t n)
{
    ngx_uint_t        i;
    const ngx_str_t  *field;

    if (ngx_strncmp(name->str, "dropped:", 8) == 0) {
        m->dropped = (int64_t) ((uint64_t) m->dropped + (uint64_t) n);
    }

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        field = &ngx_http_refine_counters[i].field;

        if (field->len == (size_t) name->len
            && ngx_memcmp(field->data, name->str, field->len) == 0)
        {
            m->counters[i] = n;
            return;
        }
    }
}


static void
ngx_http_refine_queue_metrics_id(ngx_str_t *id, u_char *dst,
    redisReply *reply)
{
    size_t  len;

    len = ngx_min((size_t) reply->len, NGX_HTTP_REFINE_QUEUE_ID - 1);

    ngx_memcpy(dst, reply->str, len);
    dst[len] = '\0';

    id->data = dst;
    id->len = len;
}
