
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


static void ngx_http_refine_queue_init(ngx_http_refine_queue_t *queue);
static ngx_int_t ngx_http_refine_queue_names(ngx_http_refine_queue_t *queue);
static ngx_int_t ngx_http_refine_queue_greeting(
    ngx_http_refine_queue_t *queue);
static ngx_int_t ngx_http_refine_queue_spare(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_event(ngx_http_refine_queue_t *queue,
    ngx_event_t *ev, ngx_event_handler_pt handler);
static ngx_uint_t ngx_http_refine_queue_late(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_changed(void *data, ngx_uint_t up);
static void ngx_http_refine_queue_timer_handler(ngx_event_t *ev);
static void ngx_http_refine_queue_settle_handler(ngx_event_t *ev);


ngx_http_refine_queue_t *
ngx_http_refine_queue_create(ngx_http_refine_queue_conf_t *conf,
    ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_http_refine_queue_t  *queue;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NULL;
    }

    queue = ngx_pcalloc(pool, sizeof(ngx_http_refine_queue_t));
    if (queue == NULL) {
        goto failed;
    }

    queue->pool = pool;
    queue->log = log;
    queue->conf = conf;
    queue->dummy.fd = (ngx_socket_t) -1;
    queue->dummy.data = queue;

    ngx_http_refine_queue_levels(queue);

    ngx_http_refine_queue_init(queue);

    if (ngx_http_refine_queue_names(queue) != NGX_OK
        || ngx_http_refine_queue_greeting(queue) != NGX_OK
        || ngx_http_refine_queue_spare(queue) != NGX_OK)
    {
        goto failed;
    }

    if (ngx_http_refine_queue_spool_create(queue) != NGX_OK) {
        goto failed;
    }

    if (conf->alone) {

        if (ngx_http_refine_local_create(queue) != NGX_OK) {
            ngx_http_refine_queue_spool_destroy(queue);
            goto failed;
        }

        return queue;
    }

    queue->redis = ngx_http_refine_redis_create(&conf->redis,
                                                &queue->redis_watch, log);
    if (queue->redis == NULL) {
        ngx_http_refine_queue_spool_destroy(queue);
        goto failed;
    }

    return queue;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static void
ngx_http_refine_queue_init(ngx_http_refine_queue_t *queue)
{
    ngx_queue_init(&queue->spare);
    ngx_queue_init(&queue->failed);
    ngx_queue_init(&queue->later);
    ngx_queue_init(&queue->tickets);
    ngx_queue_init(&queue->waiting);
    ngx_queue_init(&queue->kept);
    ngx_queue_init(&queue->returned);
    ngx_queue_init(&queue->waiters);
    ngx_queue_init(&queue->answers);

    ngx_http_refine_queue_event(queue, &queue->flush,
                                ngx_http_refine_queue_flush_handler);
    ngx_http_refine_queue_event(queue, &queue->settle,
                                ngx_http_refine_queue_settle_handler);
    ngx_http_refine_queue_event(queue, &queue->timer,
                                ngx_http_refine_queue_timer_handler);
    ngx_http_refine_queue_event(queue, &queue->hold,
                                ngx_http_refine_queue_hold_handler);
    queue->hold.cancelable = 0;
}


static void
ngx_http_refine_queue_event(ngx_http_refine_queue_t *queue, ngx_event_t *ev,
    ngx_event_handler_pt handler)
{
    ev->handler = handler;
    ev->data = &queue->dummy;
    ev->log = queue->log;
    ev->cancelable = 1;
}


static ngx_int_t
ngx_http_refine_queue_names(ngx_http_refine_queue_t *queue)
{
    u_char      *p;
    ngx_uint_t   i;
    ngx_str_t   *catalog, *prefix;

    static const ngx_str_t  names[] = {
        ngx_string("events"),
        ngx_string("stats"),
        ngx_string("dead")
    };

    prefix = &queue->conf->prefix;
    catalog = &queue->conf->catalog;

    for (i = 0; i < 3; i++) {
        p = ngx_pnalloc(queue->pool, prefix->len + sizeof(":{}:") - 1
                                     + catalog->len + names[i].len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        queue->keys[i].data = p;
        queue->keys[i].len = ngx_sprintf(p, "%V:{%V}:%V", prefix, catalog,
                                         &names[i])
                             - p;
    }

    p = ngx_pnalloc(queue->pool, ngx_cycle->hostname.len + NGX_INT64_LEN
                                 + sizeof("::") - 1 + 16);
    if (p == NULL) {
        return NGX_ERROR;
    }

    queue->consumer.data = p;
    queue->consumer.len = ngx_sprintf(p, "%V:%P:%08xD%08xD",
                                      &ngx_cycle->hostname, ngx_pid,
                                      (uint32_t) ngx_random(),
                                      (uint32_t) ngx_random())
                          - p;

    for (i = 0; i < NGX_HTTP_REFINE_SCRIPT_MAX; i++) {
        ngx_http_refine_script_sha1(i, queue->sha1[i]);
    }

    return NGX_OK;
}


/*
 * All scripts are loaded at each connect; then comes a write that changes
 * nothing, so that a replica, or a Redis that refuses writes, is not taken
 * for one that works.
 */

static ngx_int_t
ngx_http_refine_queue_greeting(ngx_http_refine_queue_t *queue)
{
    size_t                           *len;
    ngx_uint_t                        i, n;
    const char                      **argv;
    ngx_http_refine_redis_command_t  *cmd;

    n = NGX_HTTP_REFINE_SCRIPT_MAX + 1;

    cmd = ngx_palloc(queue->pool, n * sizeof(ngx_http_refine_redis_command_t));
    argv = ngx_palloc(queue->pool, n * 3 * sizeof(char *));
    len = ngx_palloc(queue->pool, n * 3 * sizeof(size_t));

    if (cmd == NULL || argv == NULL || len == NULL) {
        return NGX_ERROR;
    }

    queue->redis_watch.changed = ngx_http_refine_queue_changed;
    queue->redis_watch.data = queue;
    queue->redis_watch.greeting = cmd;
    queue->redis_watch.ngreeting = n;

    for (i = 0; i < n; i++, argv += 3, len += 3) {
        cmd[i].argc = 3;
        cmd[i].argv = argv;
        cmd[i].argvlen = len;

        if (i == NGX_HTTP_REFINE_SCRIPT_MAX) {
            argv[0] = "HDEL";
            len[0] = sizeof("HDEL") - 1;
            argv[1] = (const char *) queue->keys[1].data;
            len[1] = queue->keys[1].len;
            argv[2] = "";
            len[2] = 0;

            break;
        }

        ngx_http_refine_queue_script(i, argv, len);
    }

    return NGX_OK;
}


void
ngx_http_refine_queue_script(ngx_uint_t script, const char **argv,
    size_t *len)
{
    const ngx_str_t  *text;

    text = &ngx_http_refine_scripts[script].text;

    argv[0] = "SCRIPT";
    len[0] = sizeof("SCRIPT") - 1;
    argv[1] = "LOAD";
    len[1] = sizeof("LOAD") - 1;
    argv[2] = (const char *) text->data;
    len[2] = text->len;
}


static ngx_int_t
ngx_http_refine_queue_spare(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t               i;
    ngx_http_refine_call_t  *call;

    call = ngx_palloc(queue->pool, NGX_HTTP_REFINE_QUEUE_SPARE
                                   * sizeof(ngx_http_refine_call_t));
    if (call == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_REFINE_QUEUE_SPARE; i++) {
        ngx_queue_insert_tail(&queue->spare, &call[i].queue);
    }

    return NGX_OK;
}


void
ngx_http_refine_queue_destroy(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t  *q;

    if (ngx_http_refine_queue_ready(queue)) {

        /* counters, and all at a fast exit: written, and no answer awaited */

        ngx_http_refine_queue_store_deltas(queue);

        if (!ngx_exiting && queue->disk.spool == NULL) {
            ngx_http_refine_queue_flush_handler(&queue->flush);
        }

        ngx_event_process_posted((ngx_cycle_t *) ngx_cycle,
                                 ngx_exiting ? &ngx_posted_next_events
                                             : &ngx_posted_events);
    }

    queue->closing = 1;

    if (queue->redis) {
        ngx_http_refine_redis_destroy(queue->redis);
    }

    /* tickets of calls that failed for want of memory go to the disk, too */

    ngx_http_refine_queue_settle_handler(&queue->settle);

    ngx_http_refine_queue_store_destroy(queue);

    while (!ngx_queue_empty(&queue->later)) {
        q = ngx_queue_head(&queue->later);
        ngx_queue_remove(q);

        ngx_http_refine_call_free(ngx_queue_data(q, ngx_http_refine_call_t,
                                                 queue));
    }

    if (queue->timer.timer_set) {
        ngx_del_timer(&queue->timer);
    }

    if (queue->hold.timer_set) {
        ngx_del_timer(&queue->hold);
    }

    if (queue->flush.posted) {
        ngx_delete_posted_event(&queue->flush);
    }

    if (queue->settle.posted) {
        ngx_delete_posted_event(&queue->settle);
    }

    ngx_destroy_pool(queue->pool);
}


void
ngx_http_refine_queue_watch(ngx_http_refine_queue_t *queue,
    ngx_http_refine_queue_watch_t *watch)
{
    queue->watch = watch;
}


ngx_uint_t
ngx_http_refine_queue_ready(ngx_http_refine_queue_t *queue)
{
    return !queue->closing && queue->redis
           && ngx_http_refine_redis_ready(queue->redis);
}


ngx_uint_t
ngx_http_refine_queue_starting(ngx_http_refine_queue_t *queue)
{
    return !queue->closing && queue->redis
           && ngx_strcmp(ngx_http_refine_redis_state(queue->redis), "unknown")
              == 0;
}


const char *
ngx_http_refine_queue_state(ngx_http_refine_queue_t *queue)
{
    if (queue->conf->alone) {
        return "none";
    }

    /* handlers that run while the queue is destroyed ask as well */

    return queue->closing ? "down"
                          : ngx_http_refine_redis_state(queue->redis);
}


ngx_uint_t
ngx_http_refine_queue_alone(ngx_http_refine_queue_t *queue)
{
    return queue->conf->alone;
}


void
ngx_http_refine_queue_flush(ngx_http_refine_queue_t *queue)
{
    if (queue->local) {
        queue->local->flushes = ++queue->local->ledger.data->flushes;
    }
}


ngx_uint_t
ngx_http_refine_queue_busy(ngx_http_refine_queue_t *queue)
{
    if (ngx_http_refine_queue_late(queue)) {
        return 0;
    }

    return queue->nbusy
           || ngx_http_refine_queue_spool_busy(queue)
           || !ngx_queue_empty(&queue->waiting)
           || !ngx_queue_empty(&queue->kept)
           || !ngx_queue_empty(&queue->returned);
}


/* the time that a worker may be held is over */

static ngx_uint_t
ngx_http_refine_queue_late(ngx_http_refine_queue_t *queue)
{
    if (!ngx_exiting) {
        return 0;
    }

    if (!queue->exiting) {
        queue->exiting = 1;
        queue->exit_at = ngx_current_msec + NGX_HTTP_REFINE_QUEUE_EXIT;
    }

    return (ngx_msec_int_t) (ngx_current_msec - queue->exit_at) >= 0;
}


static void
ngx_http_refine_queue_changed(void *data, ngx_uint_t up)
{
    ngx_http_refine_queue_t *queue = data;

    if (queue->hold.timer_set) {
        ngx_del_timer(&queue->hold);
    }

    if (!up) {
        queue->down_at = ngx_current_msec;

        /* requests that came before the first attempt had failed */

        ngx_http_refine_queue_flush_handler(&queue->flush);

    } else {

        /* before anything is claimed again */
        ngx_http_refine_queue_replay(queue);

        ngx_http_refine_queue_durable_read(queue, 1);

        queue->refused = 0;

        /* long enough for claims that nobody could renew to have timed out */

        if (queue->connected
            && ngx_current_msec - queue->down_at
               >= queue->conf->claim_timeout / 3)
        {
            queue->back_at = ngx_current_msec;
            queue->back = 1;
        }

        ngx_http_refine_queue_flush_handler(&queue->flush);
        ngx_http_refine_queue_drain(queue);

        /* what was queued before this worker came waits for the next flush */

        if (queue->watch && queue->connected) {
            queue->watch->notify(queue->watch->data);
        }

        queue->connected = 1;
    }

    ngx_http_refine_queue_arm(queue);
}


/*
 * A worker that exits waits for the timer while there is a Redis to which the
 * rest can go, but not for ever: it may refuse everything.  It never waits for
 * counters, which are written when the queue is destroyed.
 */

void
ngx_http_refine_queue_arm(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t  rest;

    if (queue->closing) {
        return;
    }

    rest = !ngx_queue_empty(&queue->kept)
           || !ngx_queue_empty(&queue->returned)
           || !ngx_queue_empty(&queue->later);

    queue->timer.cancelable = !rest
                              || !ngx_http_refine_queue_ready(queue)
                              || ngx_http_refine_queue_late(queue);

    if (!queue->timer.timer_set && (rest || queue->counted)) {
        ngx_add_timer(&queue->timer, NGX_HTTP_REFINE_QUEUE_TICK);
    }
}


static void
ngx_http_refine_queue_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_refine_queue_t  *queue;

    c = ev->data;
    queue = c->data;

    if (queue->local) {
        ngx_http_refine_local_deltas(queue);
    }

    if (ngx_http_refine_queue_ready(queue)) {

        if (queue->nreplays == 0) {
            ngx_http_refine_queue_replay(queue);
        }

        ngx_http_refine_queue_store_deltas(queue);

        queue->retry = 1;

        ngx_http_refine_queue_flush_handler(&queue->flush);

    } else if (ngx_http_refine_queue_spool_ready(queue)) {
        ngx_http_refine_queue_flush_handler(&queue->flush);
    }

    ngx_http_refine_queue_arm(queue);
}


static void
ngx_http_refine_queue_settle_handler(ngx_event_t *ev)
{
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_refine_call_t   *call;
    ngx_http_refine_queue_t  *queue;

    c = ev->data;
    queue = c->data;

    while (!ngx_queue_empty(&queue->failed)) {
        q = ngx_queue_head(&queue->failed);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_http_refine_call_t, queue);
        call->handler(call, NULL);
    }

    ngx_http_refine_queue_metrics_settle(queue);
}
