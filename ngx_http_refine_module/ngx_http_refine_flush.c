
#include "ngx_http_refine_flush_core.h"


#define NGX_HTTP_REFINE_FLUSH_POLL       250    /* ms, while holding batches */
#define NGX_HTTP_REFINE_FLUSH_DOWN_POLL  1000   /* while another one probes */
#define NGX_HTTP_REFINE_FLUSH_JITTER     20

/* together below the 10 s that a worker may be held */
#define NGX_HTTP_REFINE_FLUSH_QUIT       7000   /* for POSTs under way */
#define NGX_HTTP_REFINE_FLUSH_QUIT_REST  1000   /* to give back and store */


static ngx_http_refine_flush_t *ngx_http_refine_flush_create(
    ngx_http_refine_catalog_t *catalog, ngx_log_t *log);
static void ngx_http_refine_flush_cleanup(void *data);
static void ngx_http_refine_flush_notify(void *data);
static void ngx_http_refine_flush_timer(ngx_event_t *ev);
static void ngx_http_refine_flush_open(ngx_http_refine_flush_t *flush);
static void ngx_http_refine_flush_probe(ngx_http_refine_flush_t *flush);
static ngx_http_refine_batch_t *ngx_http_refine_flush_candidate(
    ngx_http_refine_flush_t *flush);
static void ngx_http_refine_flush_closed(ngx_http_refine_flush_t *flush);
static void ngx_http_refine_flush_quit(ngx_http_refine_flush_t *flush);
static ngx_msec_t ngx_http_refine_flush_grace(void);
static void ngx_http_refine_flush_release(ngx_http_refine_flush_t *flush);
static void ngx_http_refine_flush_arm(ngx_http_refine_flush_t *flush);
static ngx_msec_t ngx_http_refine_flush_next(ngx_http_refine_flush_t *flush);


ngx_int_t
ngx_http_refine_flush_start(ngx_http_refine_catalog_t *catalog,
    ngx_cycle_t *cycle)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_refine_flush_t    *flush;
    ngx_http_refine_circuit_t  *circuit;

    if (catalog->flush) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    flush = ngx_http_refine_flush_create(catalog, cycle->log);
    if (flush == NULL) {
        return NGX_ERROR;
    }

    catalog->store = ngx_http_refine_queue_create(&catalog->queue, cycle->log);
    if (catalog->store == NULL) {
        ngx_http_refine_http_destroy(flush->http);
        ngx_destroy_pool(flush->pool);
        return NGX_ERROR;
    }

    catalog->flush = flush;

    /* where no exit_process comes: a single process that was reloaded */

    cln->handler = ngx_http_refine_flush_cleanup;
    cln->data = catalog;

    ngx_http_refine_queue_watch(catalog->store, &flush->watch);

    circuit = ngx_http_refine_shared_lock(catalog->zone);
    ngx_http_refine_circuit_use(circuit, flush->conf,
                             ngx_http_refine_shared_generation(catalog->zone),
                             ngx_current_msec);
    ngx_http_refine_shared_unlock(catalog->zone);

    ngx_http_refine_flush_run(flush);

    return NGX_OK;
}


static ngx_http_refine_flush_t *
ngx_http_refine_flush_create(ngx_http_refine_catalog_t *catalog,
    ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_http_refine_flush_t  *flush;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    flush = ngx_pcalloc(pool, sizeof(ngx_http_refine_flush_t));
    if (flush == NULL) {
        goto failed;
    }

    flush->catalog = catalog;
    flush->pool = pool;
    flush->log = log;
    flush->line_size = 512;
    flush->own_flush = ngx_current_msec + catalog->flush_interval;
    flush->bytes = NGX_HTTP_REFINE_BATCH_BYTES;

    /* a single process may have two of a catalog after a reload */
    flush->who = (uint64_t) ngx_pid << 32 | ((uint32_t) ngx_random() | 1);

    ngx_queue_init(&flush->batches);

    flush->watch.notify = ngx_http_refine_flush_notify;
    flush->watch.data = flush;
    flush->watch.wanted = catalog->batch_size;

    flush->dummy.fd = (ngx_socket_t) -1;
    flush->dummy.data = flush;

    flush->timer.handler = ngx_http_refine_flush_timer;
    flush->timer.data = &flush->dummy;
    flush->timer.log = log;
    flush->timer.cancelable = 1;

    if (ngx_http_refine_flush_prepare(flush) != NGX_OK) {
        goto failed;
    }

    flush->http = ngx_http_refine_http_create(&catalog->endpoint,
                                              catalog->max_in_flight, log);
    if (flush->http == NULL) {
        goto failed;
    }

    return flush;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


void
ngx_http_refine_flush_stop(ngx_http_refine_catalog_t *catalog)
{
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;
    ngx_http_refine_flush_t  *flush;

    flush = catalog->flush;

    if (flush == NULL) {
        return;
    }

    flush->stopped = 1;

    if (flush->timer.timer_set) {
        ngx_del_timer(&flush->timer);
    }

    ngx_http_refine_flush_release(flush);

    ngx_http_refine_http_destroy(flush->http);
    ngx_http_refine_queue_destroy(catalog->store);

    while (!ngx_queue_empty(&flush->batches)) {
        q = ngx_queue_head(&flush->batches);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);
        ngx_http_refine_batch_free(batch);
    }

    catalog->store = NULL;
    catalog->flush = NULL;

    ngx_destroy_pool(flush->pool);
}


static void
ngx_http_refine_flush_cleanup(void *data)
{
    ngx_http_refine_flush_stop(data);
}


void
ngx_http_refine_flush_now(ngx_http_refine_catalog_t *catalog)
{
    if (catalog->flush) {
        ngx_http_refine_queue_flush(catalog->store);
        ngx_http_refine_flush_drain(catalog->flush);
        ngx_http_refine_flush_run(catalog->flush);
    }
}


void
ngx_http_refine_flush_pause(ngx_http_refine_catalog_t *catalog,
    ngx_uint_t pause)
{
    ngx_http_refine_circuit_t  *circuit;

    circuit = ngx_http_refine_shared_lock(catalog->zone);

    if (pause) {
        circuit->paused = 1;

    } else {
        ngx_http_refine_circuit_resume(circuit, ngx_current_msec);
    }

    ngx_http_refine_shared_unlock(catalog->zone);

    if (catalog->flush) {

        if (!pause) {
            ngx_http_refine_flush_drain(catalog->flush);
        }

        ngx_http_refine_flush_run(catalog->flush);
    }
}


static void
ngx_http_refine_flush_notify(void *data)
{
    ngx_http_refine_flush_t *flush = data;

    /* it comes with each store while the queue is long */

    if (flush->wanted || flush->stopped) {
        return;
    }

    flush->wanted = 1;

    ngx_http_refine_flush_run(flush);
}


static void
ngx_http_refine_flush_timer(ngx_event_t *ev)
{
    ngx_uint_t                  due;
    ngx_connection_t           *dummy;
    ngx_http_refine_flush_t    *flush;
    ngx_http_refine_circuit_t  *circuit;

    dummy = ev->data;
    flush = dummy->data;

    if (!ngx_exiting && !flush->quitting) {
        circuit = ngx_http_refine_shared_lock(flush->catalog->zone);
        due = ngx_http_refine_circuit_tick(circuit,
                                           flush->catalog->flush_interval,
                                           ngx_current_msec);
        ngx_http_refine_shared_unlock(flush->catalog->zone);

        if (ngx_http_refine_queue_alone(flush->catalog->store)) {
            due = (ngx_http_refine_circuit_left(flush->own_flush,
                                                ngx_current_msec) == 0);
        }

        if (due) {
            flush->own_flush = ngx_current_msec
                               + flush->catalog->flush_interval;
            ngx_http_refine_flush_drain(flush);
        }
    }

    ngx_http_refine_flush_run(flush);
}


void
ngx_http_refine_flush_run(ngx_http_refine_flush_t *flush)
{
    if (flush->stopped) {
        return;
    }

    if (ngx_exiting || flush->quitting) {
        ngx_http_refine_flush_quit(flush);
        return;
    }

    ngx_http_refine_flush_look(flush, !ngx_queue_empty(&flush->batches)
                                      || flush->claiming || flush->drain
                                      || flush->wanted);

    switch (flush->gate) {

    case NGX_HTTP_REFINE_GATE_OPEN:
        ngx_http_refine_flush_open(flush);
        break;

    case NGX_HTTP_REFINE_GATE_PROBE:
    case NGX_HTTP_REFINE_GATE_WAIT:
        ngx_http_refine_flush_probe(flush);
        break;

    default: /* CLOSED, PAUSED */
        ngx_http_refine_flush_closed(flush);
        break;
    }

    /* nothing to send: it is another worker's */

    if (flush->gate != NGX_HTTP_REFINE_GATE_OPEN
        || (!flush->claiming && !flush->drain && !flush->wanted))
    {
        ngx_http_refine_flush_permit_return(flush);
    }

    ngx_http_refine_flush_renew(flush);
    ngx_http_refine_flush_arm(flush);
}


void
ngx_http_refine_flush_look(ngx_http_refine_flush_t *flush, ngx_uint_t want)
{
    ngx_http_refine_gate_e      gate;
    ngx_http_refine_circuit_t  *circuit;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);

    gate = ngx_http_refine_circuit_gate(circuit, flush->conf, flush->who,
                                        want, ngx_current_msec);
    flush->state = circuit->state;
    flush->retry_at = circuit->retry_at;
    flush->next_flush = circuit->next_flush;
    flush->passes = circuit->passes;
    flush->resumes = circuit->resumes;
    flush->bytes = circuit->bytes;

    ngx_http_refine_shared_unlock(flush->catalog->zone);

    if (ngx_http_refine_queue_alone(flush->catalog->store)) {
        flush->next_flush = flush->own_flush;
    }

    if (gate != flush->gate) {
        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, flush->log, 0,
                       "refine: catalog \"%V\" gate %d -> %d",
                       &flush->catalog->name, flush->gate, gate);
    }

    flush->gate = gate;
}


static void
ngx_http_refine_flush_open(ngx_http_refine_flush_t *flush)
{
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;

    if (flush->expiring) {
        return;
    }

    ngx_http_refine_flush_settle(flush);

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = ngx_queue_next(q))
    {
        if (flush->in_flight >= flush->catalog->max_in_flight) {
            return;
        }

        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        if (batch->post == NULL
            && ngx_http_refine_circuit_left(batch->retry_at,
                                            ngx_current_msec) == 0)
        {
            if (!ngx_http_refine_flush_permitted(flush)) {
                return;
            }

            ngx_http_refine_flush_post(flush, batch);
        }
    }

    if (flush->in_flight < flush->catalog->max_in_flight) {
        ngx_http_refine_flush_fill(flush);
    }
}


/* one batch at a time over all workers, and this is the one that may */

static void
ngx_http_refine_flush_probe(ngx_http_refine_flush_t *flush)
{
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;

    batch = ngx_http_refine_flush_candidate(flush);

    if (flush->gate == NGX_HTTP_REFINE_GATE_WAIT || flush->in_flight
        || flush->claiming || flush->expiring)
    {
        return;
    }

    if (batch == NULL) {

        if (ngx_queue_empty(&flush->batches)) {

            ngx_http_refine_flush_fill(flush);

            if (!flush->claiming) {
                ngx_http_refine_flush_release(flush);
            }

            return;
        }

        /* only such as failed before: does another one pass? */

        if (ngx_http_refine_flush_compare(flush)) {
            return;
        }

        q = ngx_queue_head(&flush->batches);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);
    }

    if (ngx_http_refine_circuit_left(batch->retry_at, ngx_current_msec)
        == 0)
    {
        flush->compared = 0;
        ngx_http_refine_flush_post(flush, batch);
    }
}


/* the batch to probe with; others go to whoever delivers after the outage */

static ngx_http_refine_batch_t *
ngx_http_refine_flush_candidate(ngx_http_refine_flush_t *flush)
{
    ngx_queue_t              *q, *next;
    ngx_http_refine_batch_t  *batch, *found;

    found = NULL;

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        if (batch->aside || batch->suspect) {
            continue;
        }

        if (batch->post && !batch->probe) {
            continue;
        }

        if (found == NULL) {
            found = batch;

        } else if (flush->state != NGX_HTTP_REFINE_CIRCUIT_UNKNOWN
                   && batch->post == NULL)
        {
            ngx_http_refine_flush_return(flush, batch);
        }
    }

    return found;
}


static void
ngx_http_refine_flush_closed(ngx_http_refine_flush_t *flush)
{
    ngx_uint_t                paused;
    ngx_queue_t              *q, *next;
    ngx_http_refine_batch_t  *batch;

    paused = (flush->gate == NGX_HTTP_REFINE_GATE_PAUSED);

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        /* what is known of a suspect would be lost to the others */

        if (batch->post
            || (!paused && (batch->suspect || batch->aside)))
        {
            continue;
        }

        ngx_http_refine_flush_return(flush, batch);
    }

    if (paused) {

        /* the answer tells whether the pause has ended on another machine */

        flush->wanted = 0;
        ngx_http_refine_flush_fill(flush);
    }

    flush->drain = 0;
}


static void
ngx_http_refine_flush_quit(ngx_http_refine_flush_t *flush)
{
    ngx_msec_t                left;
    ngx_queue_t              *q, *next;
    ngx_http_refine_batch_t  *batch;

    if (!flush->quitting) {
        flush->quitting = 1;
        flush->quit_at = ngx_current_msec + ngx_http_refine_flush_grace();
        flush->drain = 0;
        flush->wanted = 0;

        ngx_http_refine_flush_permit_return(flush);
    }

    left = ngx_http_refine_circuit_left(flush->quit_at, ngx_current_msec);

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        if (batch->post) {

            if (left) {
                continue;
            }

            ngx_http_refine_flush_cancel(flush, batch);
        }

        ngx_http_refine_flush_return(flush, batch);
    }

    ngx_http_refine_flush_renew(flush);

    if (flush->in_flight == 0) {
        ngx_http_refine_flush_release(flush);
    }

    left = ngx_http_refine_circuit_left(
                            flush->quit_at + NGX_HTTP_REFINE_FLUSH_QUIT_REST,
                            ngx_current_msec);

    if (left && (flush->in_flight || flush->claiming
                 || ngx_http_refine_queue_busy(flush->catalog->store)))
    {
        flush->timer.cancelable = 0;
        ngx_add_timer(&flush->timer, ngx_min(left, 50));

    } else if (flush->timer.timer_set) {
        ngx_del_timer(&flush->timer);
    }
}


/* after worker_shutdown_timeout there is no Redis to give anything back to */

static ngx_msec_t
ngx_http_refine_flush_grace(void)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->shutdown_timeout == 0) {
        return NGX_HTTP_REFINE_FLUSH_QUIT;
    }

    return ngx_min(ccf->shutdown_timeout / 2, NGX_HTTP_REFINE_FLUSH_QUIT);
}


static void
ngx_http_refine_flush_release(ngx_http_refine_flush_t *flush)
{
    ngx_http_refine_circuit_t  *circuit;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);
    ngx_http_refine_circuit_release(circuit, flush->who);
    ngx_http_refine_shared_unlock(flush->catalog->zone);
}


static void
ngx_http_refine_flush_arm(ngx_http_refine_flush_t *flush)
{
    ngx_uint_t  pending;
    ngx_msec_t  delay, most;

    pending = !ngx_queue_empty(&flush->batches) || flush->claiming
              || flush->expiring
              || ngx_http_refine_queue_busy(flush->catalog->store);

    delay = ngx_http_refine_flush_next(flush);

    if (pending) {

        /* the end of the worker is to be noticed soon */

        delay = ngx_min(delay, NGX_HTTP_REFINE_FLUSH_POLL);

    } else if (flush->state == NGX_HTTP_REFINE_CIRCUIT_BACKOFF
               || flush->state == NGX_HTTP_REFINE_CIRCUIT_HELD)
    {
        delay = ngx_min(delay, NGX_HTTP_REFINE_FLUSH_DOWN_POLL);
    }

    most = ngx_max(flush->catalog->flush_interval, 10);
    delay = ngx_min(delay, most);

    flush->timer.cancelable = !pending;

    ngx_add_timer(&flush->timer, ngx_max(delay, 1));
}


static ngx_msec_t
ngx_http_refine_flush_next(ngx_http_refine_flush_t *flush)
{
    ngx_msec_t                now, delay, left;
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;

    now = ngx_current_msec;

    /* that not all workers wake up for the one that has to */

    delay = ngx_http_refine_circuit_left(flush->next_flush, now)
            + ngx_random() % NGX_HTTP_REFINE_FLUSH_JITTER;

    if (flush->gate == NGX_HTTP_REFINE_GATE_WAIT) {
        left = ngx_http_refine_circuit_left(flush->retry_at, now);
        return ngx_min(delay, left);
    }

    left = ngx_http_refine_circuit_left(flush->wanted_at, now);

    if (flush->wanted && left) {
        delay = ngx_min(delay, left);
    }

    left = ngx_http_refine_circuit_left(flush->pace_at, now);

    if (left && (flush->drain || flush->wanted
                 || !ngx_queue_empty(&flush->batches)))
    {
        delay = ngx_min(delay, left);
    }

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);
        left = ngx_http_refine_circuit_left(batch->retry_at, now);

        if (left && batch->post == NULL) {
            delay = ngx_min(delay, left);
        }
    }

    return delay;
}
