
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


#define NGX_HTTP_REFINE_STORE_EVENTS   1000           /* of a call */
#define NGX_HTTP_REFINE_STORE_SIZE     (1024 * 1024)
#define NGX_HTTP_REFINE_STORE_WAITING  (16 * 1024 * 1024)
#define NGX_HTTP_REFINE_STORE_COUNT    100            /* ms between deltas */
#define NGX_HTTP_REFINE_STORE_CALM     5000           /* ms without refusal */


static ngx_int_t ngx_http_refine_queue_step(ngx_http_refine_queue_t *queue,
    ngx_queue_t *kept);
static ngx_uint_t ngx_http_refine_queue_step_take(
    ngx_http_refine_call_t *call, ngx_queue_t *from, ngx_uint_t *events,
    size_t *size);
static void ngx_http_refine_queue_step_args(ngx_http_refine_call_t *call,
    ngx_uint_t ntickets);
static void ngx_http_refine_queue_step_types(ngx_http_refine_call_t *call,
    ngx_uint_t ntickets);
static void ngx_http_refine_queue_stored_handler(ngx_http_refine_call_t *call,
    redisReply *reply);
static void ngx_http_refine_queue_stored(ngx_http_refine_queue_t *queue,
    redisReply **reply, ngx_uint_t stored, ngx_uint_t *refused);
static ngx_uint_t ngx_http_refine_queue_stored_valid(
    ngx_http_refine_call_t *call, redisReply *reply);
static void ngx_http_refine_queue_settle_ticket(
    ngx_http_refine_queue_t *queue, ngx_http_refine_ticket_t *ticket,
    ngx_http_refine_stored_e rc);
static void ngx_http_refine_queue_spool_rest(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_refused(ngx_http_refine_queue_t *queue,
    redisReply *reply);
static void ngx_http_refine_queue_accepted(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_fail_waiting(
    ngx_http_refine_queue_t *queue);


ngx_http_refine_ticket_t *
ngx_http_refine_queue_push(ngx_http_refine_queue_t *queue,
    ngx_http_refine_event_t *events, ngx_uint_t n,
    ngx_http_refine_stored_pt handler, void *data)
{
    ngx_uint_t                 ready, away;
    ngx_http_refine_ticket_t  *ticket;

    ready = ngx_http_refine_queue_ready(queue);
    away = !ready && !ngx_http_refine_queue_starting(queue);

    if ((away && !ngx_http_refine_queue_spool_ready(queue))
        || queue->waiting_size >= NGX_HTTP_REFINE_STORE_WAITING)
    {
        return NULL;
    }

    ticket = ngx_http_refine_ticket_create(queue, events, n);
    if (ticket == NULL) {
        return NULL;
    }

    ticket->handler = handler;
    ticket->data = data;

    queue->waiting_size += ticket->size;

    if (away) {
        ngx_http_refine_queue_spool_add(queue, ticket);
        return ticket;
    }

    ngx_queue_insert_tail(&queue->waiting, &ticket->queue);

    if (!ready) {

        /* right after a reload: the connection is a matter of milliseconds */

        if (!queue->hold.timer_set) {
            ngx_add_timer(&queue->hold,
                          ngx_min(queue->conf->redis.timeout,
                                  NGX_HTTP_REFINE_QUEUE_EXIT));
        }

        return ticket;
    }

    /* it runs when all that epoll reported in this turn has been handled */

    ngx_post_event(&queue->flush, &ngx_posted_events);

    return ticket;
}


void
ngx_http_refine_queue_forget(ngx_http_refine_ticket_t *ticket)
{
    ticket->handler = NULL;
}


ngx_int_t
ngx_http_refine_queue_keep(ngx_http_refine_queue_t *queue,
    ngx_http_refine_event_t *event)
{
    ngx_http_refine_ticket_t  *ticket;

    if (queue->closing
        || queue->kept_size + sizeof(ngx_http_refine_ticket_t)
           + sizeof(ngx_str_t) + event->line.len > queue->conf->serve_buffer)
    {
        return NGX_DECLINED;
    }

    ticket = ngx_http_refine_ticket_create(queue, event, 1);
    if (ticket == NULL) {
        return NGX_DECLINED;
    }

    ticket->kept = 1;

    ngx_queue_insert_tail(&queue->kept, &ticket->queue);
    queue->kept_size += ticket->size;

    if (ngx_http_refine_queue_ready(queue)
        ? !queue->refused : ngx_http_refine_queue_spool_ready(queue))
    {
        ngx_post_event(&queue->flush, &ngx_posted_events);
    }

    ngx_http_refine_queue_arm(queue);

    return NGX_OK;
}


void
ngx_http_refine_queue_flush_handler(ngx_event_t *ev)
{
    ngx_uint_t                kept, drain;
    ngx_connection_t         *c;
    ngx_http_refine_queue_t  *queue;

    c = ev->data;
    queue = c->data;

    if (!ngx_http_refine_queue_ready(queue)) {
        if (!ngx_http_refine_queue_starting(queue)) {
            ngx_http_refine_queue_fail_waiting(queue);
            ngx_http_refine_queue_spool_rest(queue);
        }

        return;
    }

    /* the order is kept: what came back waits for all that is under way */

    if (queue->nstores == 0 && !ngx_queue_empty(&queue->returned)) {
        if (!ngx_queue_empty(&queue->kept)) {
            ngx_queue_add(&queue->returned, &queue->kept);
        }

        ngx_queue_init(&queue->kept);
        ngx_queue_add(&queue->kept, &queue->returned);
        ngx_queue_init(&queue->returned);
    }

    kept = ngx_queue_empty(&queue->returned)
           && (!queue->refused || (queue->retry && queue->nstores == 0));

    drain = ngx_http_refine_queue_drain_ready(queue)
            && (!queue->refused || queue->retry);

    queue->retry = 0;

    while (!ngx_queue_empty(&queue->waiting)
           || (kept && !ngx_queue_empty(&queue->kept)))
    {
        if (ngx_http_refine_queue_step(queue, kept ? &queue->kept : NULL)
            != NGX_OK)
        {
            ngx_http_refine_queue_fail_waiting(queue);
            break;
        }

        if (queue->refused) {
            kept = 0;
        }
    }

    if (drain) {
        (void) ngx_http_refine_queue_step(queue, &queue->disk.drained);
    }

    ngx_http_refine_queue_arm(queue);
}


void
ngx_http_refine_queue_hold_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_http_refine_queue_fail_waiting(c->data);
}


/* one call: whole tickets only, so that each is stored or not as one */

static ngx_int_t
ngx_http_refine_queue_step(ngx_http_refine_queue_t *queue, ngx_queue_t *kept)
{
    size_t                   size;
    ngx_uint_t               n, events;
    ngx_http_refine_call_t  *call;

    call = ngx_http_refine_call_create(queue,
                                       ngx_http_refine_queue_stored_handler);
    if (call == NULL) {
        return NGX_ERROR;
    }

    ngx_http_refine_call_busy(call);

    n = 0;
    size = 0;
    events = 0;

    if (kept) {
        n += ngx_http_refine_queue_step_take(call, kept, &events, &size);
    }

    /* when stores are refused, requests do not share the fate of the rest */

    if (n == 0 || !queue->refused) {
        n += ngx_http_refine_queue_step_take(call, &queue->waiting, &events,
                                             &size);
    }

    call->n = events;
    queue->nstores++;

    ngx_http_refine_queue_step_args(call, n);
    ngx_http_refine_call_send(call);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_queue_step_take(ngx_http_refine_call_t *call,
    ngx_queue_t *from, ngx_uint_t *events, size_t *size)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_http_refine_ticket_t  *ticket;

    n = 0;

    while (!ngx_queue_empty(from)) {
        q = ngx_queue_head(from);
        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);

        if (!ngx_queue_empty(&call->tickets)
            && (*events + ticket->n > NGX_HTTP_REFINE_STORE_EVENTS
                || *size + ticket->size > NGX_HTTP_REFINE_STORE_SIZE))
        {
            break;
        }

        call->owner->disk.nstoring += ticket->drained;

        *events += ticket->n;
        call->nargs += ticket->nargs;
        *size += ticket->size;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&call->tickets, q);

        n++;
    }

    return n;
}


static void
ngx_http_refine_queue_step_args(ngx_http_refine_call_t *call,
    ngx_uint_t ntickets)
{
    ngx_uint_t                 i, nargs, deltas;
    ngx_queue_t               *q;
    ngx_http_refine_queue_t   *queue;
    ngx_http_refine_ticket_t  *ticket;

    queue = call->owner;

    deltas = queue->counted
             && (ntickets == 0
                 || (!queue->refused
                     && ngx_current_msec - queue->counted_at
                        >= NGX_HTTP_REFINE_STORE_COUNT));

    nargs = 5 + call->nargs;

    if (deltas) {
        nargs += ngx_http_refine_queue_deltas(queue);
    }

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_SCRIPT_STORE, nargs);
    ngx_http_refine_call_int(call, queue->conf->max_size);
    ngx_http_refine_call_int(call, queue->watch
                                   ? queue->watch->wanted
                                   : queue->conf->max_size);
    ngx_http_refine_call_int(call, queue->conf->max_bytes);
    ngx_http_refine_call_int(call, NGX_HTTP_REFINE_QUEUE_ENTRY);
    ngx_http_refine_queue_step_types(call, ntickets);

    for (q = ngx_queue_head(&call->tickets);
         q != ngx_queue_sentinel(&call->tickets);
         q = ngx_queue_next(q))
    {
        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);

        for (i = 0; i < ticket->nargs; i++) {
            ngx_http_refine_call_arg(call, ticket->args[i].data,
                                     ticket->args[i].len);
        }
    }

    if (deltas) {
        ngx_http_refine_queue_deltas_take(call);
    }
}


static void
ngx_http_refine_queue_step_types(ngx_http_refine_call_t *call,
    ngx_uint_t ntickets)
{
    u_char                    *p, *types;
    ngx_queue_t               *q;
    ngx_http_refine_ticket_t  *ticket;

    if (call->broken) {
        return;
    }

    types = ngx_pnalloc(call->pool, call->n + ntickets + 1);
    if (types == NULL) {
        call->broken = 1;
        return;
    }

    p = types;

    for (q = ngx_queue_head(&call->tickets);
         q != ngx_queue_sentinel(&call->tickets);
         q = ngx_queue_next(q))
    {
        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);

        p = ngx_cpymem(p, ticket->types, ticket->n);
        *p++ = ',';
    }

    ngx_http_refine_call_arg(call, types, p - types);
}


/* a call that stores nothing and adds the counters */

void
ngx_http_refine_queue_store_deltas(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_call_t  *call;

    if (!queue->counted) {
        return;
    }

    call = ngx_http_refine_call_create(queue,
                                       ngx_http_refine_queue_stored_handler);
    if (call == NULL) {
        return;
    }

    queue->nstores++;

    ngx_http_refine_queue_step_args(call, 0);
    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_queue_stored_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    char                       code;
    ngx_uint_t                 i, stored, valid, refused[2];
    ngx_queue_t               *q;
    ngx_http_refine_queue_t   *queue;
    ngx_http_refine_stored_e   rc;

    queue = call->owner;
    queue->nstores--;

    valid = ngx_http_refine_queue_stored_valid(call, reply);
    stored = 0;
    refused[0] = 0;
    refused[1] = 0;

    if (!valid) {
        ngx_http_refine_queue_deltas_undo(call);
    }

    if (!valid && reply) {

        if (reply->type == REDIS_REPLY_ERROR) {
            ngx_http_refine_queue_refused(queue, reply);

        } else {

            /* the answers are out of step: each would be told of another */

            ngx_http_refine_redis_lost(queue->redis, "unexpected reply");
        }
    }

    for (i = 0; !ngx_queue_empty(&call->tickets); i++) {
        q = ngx_queue_head(&call->tickets);
        ngx_queue_remove(q);

        rc = NGX_HTTP_REFINE_UNAVAILABLE;

        if (valid) {
            code = reply->element[0]->str[i];
            rc = (code == '1') ? NGX_HTTP_REFINE_STORED
                 : (code == '0') ? NGX_HTTP_REFINE_FULL
                                 : NGX_HTTP_REFINE_FULL_BYTES;

            stored += (code == '1');
            refused[0] += (code == '0');
            refused[1] += (code == '-');
        }

        ngx_http_refine_queue_settle_ticket(queue,
                     ngx_queue_data(q, ngx_http_refine_ticket_t, queue), rc);
    }

    ngx_http_refine_call_free(call);

    if (valid) {
        ngx_http_refine_queue_stored(queue, reply->element, stored, refused);
    }

    ngx_http_refine_queue_arm(queue);
}


/* all of them are stored, or not, and have been told; reply: see scripts.h */

static void
ngx_http_refine_queue_stored(ngx_http_refine_queue_t *queue,
    redisReply **reply, ngx_uint_t stored, ngx_uint_t *refused)
{
    ngx_uint_t  wanted;

    wanted = stored && queue->watch
             && reply[2]->integer >= (int64_t) queue->watch->wanted;

    if (stored) {
        ngx_http_refine_queue_accepted(queue);
    }

    ngx_http_refine_queue_level(queue, &queue->size, reply[1]->integer,
                                refused[0]);
    ngx_http_refine_queue_level(queue, &queue->bytes, reply[3]->integer,
                                refused[1]);

    if (!queue->refused
        && (!ngx_queue_empty(&queue->kept)
            || !ngx_queue_empty(&queue->returned)))
    {
        ngx_post_event(&queue->flush, &ngx_posted_events);
    }

    if (wanted) {
        queue->watch->notify(queue->watch->data);
    }
}


static ngx_uint_t
ngx_http_refine_queue_stored_valid(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    size_t        i;
    ngx_queue_t  *q;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        return 0;
    }

    i = 0;

    for (q = ngx_queue_head(&call->tickets);
         q != ngx_queue_sentinel(&call->tickets);
         q = ngx_queue_next(q))
    {
        i++;
    }

    if (reply->elements != 4
        || reply->element[0]->type != REDIS_REPLY_STRING
        || (size_t) reply->element[0]->len != i)
    {
        return 0;
    }

    for (i = 1; i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) {
            return 0;
        }
    }

    return 1;
}


/* what Redis did not take goes to the disk */

static void
ngx_http_refine_queue_settle_ticket(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket, ngx_http_refine_stored_e rc)
{
    if (ticket->drained) {
        ngx_http_refine_queue_drain_settle(queue, ticket, rc);
        return;
    }

    if (rc == NGX_HTTP_REFINE_UNAVAILABLE
        && ngx_http_refine_queue_spool_ready(queue))
    {
        ngx_http_refine_queue_spool_add(queue, ticket);
        return;
    }

    ngx_http_refine_ticket_settle(queue, ticket, rc);
}


void
ngx_http_refine_ticket_settle(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket, ngx_http_refine_stored_e rc)
{
    if (ticket->kept && rc == NGX_HTTP_REFINE_UNAVAILABLE) {
        ngx_queue_insert_tail(&queue->returned, &ticket->queue);
        return;
    }

    if (ticket->kept) {
        queue->kept_size -= ticket->size;

        if (rc == NGX_HTTP_REFINE_FULL) {
            ngx_http_refine_queue_count(queue,
                                        NGX_HTTP_REFINE_SKIPPED_QUEUE_FULL, 1);

        } else if (rc == NGX_HTTP_REFINE_FULL_BYTES) {
            ngx_http_refine_queue_count(queue,
                                       NGX_HTTP_REFINE_SKIPPED_QUEUE_BYTES, 1);
        }

    } else {
        queue->waiting_size -= ticket->size;

        if (rc == NGX_HTTP_REFINE_STORED || rc == NGX_HTTP_REFINE_FULL
            || rc == NGX_HTTP_REFINE_FULL_BYTES)
        {
            ngx_http_refine_queue_time(queue, NGX_HTTP_REFINE_STORE_MS_1,
                                       ngx_current_msec - ticket->at);
        }

        if (ticket->handler) {
            ticket->handler(ticket->data, rc);
        }
    }

    ngx_http_refine_ticket_free(queue, ticket);
}


static void
ngx_http_refine_queue_refused(ngx_http_refine_queue_t *queue,
    redisReply *reply)
{
    u_char  text[160];

    queue->refused = 1;
    queue->refused_at = ngx_current_msec;

    /* a connection that was given up has been logged as such */

    if (queue->troubled || !ngx_http_refine_queue_ready(queue)) {
        return;
    }

    queue->troubled = 1;

    ngx_http_refine_redis_text(text, sizeof(text), reply->str);

    ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                  "refine: catalog \"%V\": redis refuses to store events: %s",
                  &queue->conf->name, text);
}


static void
ngx_http_refine_queue_accepted(ngx_http_refine_queue_t *queue)
{
    queue->refused = 0;

    if (queue->troubled
        && ngx_current_msec - queue->refused_at >= NGX_HTTP_REFINE_STORE_CALM)
    {
        queue->troubled = 0;
        ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                      "refine: catalog \"%V\": redis stores events again",
                      &queue->conf->name);
    }
}


static void
ngx_http_refine_queue_fail_waiting(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&queue->waiting)) {
        q = ngx_queue_head(&queue->waiting);
        ngx_queue_remove(q);

        ngx_http_refine_queue_settle_ticket(queue,
                            ngx_queue_data(q, ngx_http_refine_ticket_t, queue),
                            NGX_HTTP_REFINE_UNAVAILABLE);
    }
}


/* serves do not wait in memory for Redis where there is a disk */

static void
ngx_http_refine_queue_spool_rest(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t    i;
    ngx_queue_t  *q, *list;

    for (i = 0; i < 2; i++) {
        list = i ? &queue->kept : &queue->returned;

        while (!ngx_queue_empty(list)
               && ngx_http_refine_queue_spool_ready(queue))
        {
            q = ngx_queue_head(list);
            ngx_queue_remove(q);

            ngx_http_refine_queue_spool_add(queue,
                           ngx_queue_data(q, ngx_http_refine_ticket_t, queue));
        }
    }
}


void
ngx_http_refine_queue_store_destroy(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t  *q, *list;
    ngx_uint_t    i, n;

    ngx_http_refine_queue_fail_waiting(queue);
    ngx_http_refine_queue_spool_rest(queue);
    ngx_http_refine_queue_spool_destroy(queue);

    n = 0;

    for (i = 0; i < 2; i++) {
        list = i ? &queue->kept : &queue->returned;

        while (!ngx_queue_empty(list)) {
            q = ngx_queue_head(list);
            ngx_queue_remove(q);
            n++;

            ngx_http_refine_ticket_free(queue,
                        ngx_queue_data(q, ngx_http_refine_ticket_t, queue));
        }
    }

    if (n) {
        ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                      "refine: catalog \"%V\": %ui serves are lost: the worker "
                      "ends, and neither redis nor a spool has taken them",
                      &queue->conf->name, n);
    }
}
