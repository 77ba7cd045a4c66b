
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"

#if (NGX_THREADS)
#include <ngx_thread_pool.h>
#endif


#define NGX_HTTP_REFINE_DISK_RECORDS  1000           /* of a job */
#define NGX_HTTP_REFINE_DISK_SIZE     (1024 * 1024)
#define NGX_HTTP_REFINE_DISK_BATCH    (512 * 1024)   /* that is drained */
#define NGX_HTTP_REFINE_DISK_TICK     1000           /* ms; fsync=interval */
#define NGX_HTTP_REFINE_DISK_CALM     5000           /* between looks */


static void ngx_http_refine_disk_forget(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_run_handler(ngx_event_t *ev);
static void ngx_http_refine_disk_timer_handler(ngx_event_t *ev);
static ngx_http_refine_disk_e ngx_http_refine_disk_next(
    ngx_http_refine_queue_t *queue);
static ngx_http_refine_disk_e ngx_http_refine_disk_other(
    ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_start(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op);
static void ngx_http_refine_disk_take(ngx_http_refine_queue_t *queue);
static ngx_int_t ngx_http_refine_disk_post(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_job(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_done(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_written(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_disk_settle(ngx_http_refine_queue_t *queue,
    ngx_queue_t *tickets, ngx_http_refine_stored_e rc);
static void ngx_http_refine_disk_soon(ngx_http_refine_queue_spool_t *disk);


ngx_int_t
ngx_http_refine_queue_spool_create(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    ngx_queue_init(&disk->waiting);
    ngx_queue_init(&disk->writing);
    ngx_queue_init(&disk->drained);
    ngx_queue_init(&disk->back);

    if (queue->conf->spool.path.len == 0) {
        return NGX_OK;
    }

    disk->records = ngx_palloc(queue->pool, NGX_HTTP_REFINE_DISK_RECORDS
                                     * sizeof(ngx_http_refine_spool_record_t));
    if (disk->records == NULL) {
        return NGX_ERROR;
    }

    disk->spool = ngx_http_refine_spool_create(&queue->conf->spool,
                                               queue->log);
    if (disk->spool == NULL) {
        return NGX_ERROR;
    }

    disk->run.handler = ngx_http_refine_disk_run_handler;
    disk->run.data = &queue->dummy;
    disk->run.log = queue->log;

    disk->timer.handler = ngx_http_refine_disk_timer_handler;
    disk->timer.data = &queue->dummy;
    disk->timer.log = queue->log;
    disk->timer.cancelable = 1;

    disk->count = 1;

    ngx_post_event(&disk->run, &ngx_posted_events);
    ngx_add_timer(&disk->timer, NGX_HTTP_REFINE_DISK_TICK);

    return NGX_OK;
}


/* the threads have ended before; what is left to do is done here and now */

void
ngx_http_refine_queue_spool_destroy(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->spool == NULL) {
        return;
    }

    if (disk->timer.timer_set) {
        ngx_del_timer(&disk->timer);
    }

    if (disk->run.posted) {
        ngx_delete_posted_event(&disk->run);
    }

    if (disk->job.op != NGX_HTTP_REFINE_DISK_IDLE) {
        ngx_http_refine_disk_done(queue);
    }

    if (disk->advance) {
        ngx_http_refine_spool_advance(disk->spool);
    }

    while (!ngx_queue_empty(&disk->waiting)) {
        disk->job.op = NGX_HTTP_REFINE_DISK_WRITE;

        ngx_http_refine_disk_take(queue);
        ngx_http_refine_disk_job(queue);
        ngx_http_refine_disk_done(queue);
    }

    ngx_http_refine_local_destroy(queue);

    ngx_queue_add(&disk->drained, &disk->back);
    ngx_http_refine_disk_forget(queue);

    ngx_http_refine_spool_destroy(disk->spool);

    disk->spool = NULL;
}


/* what was read is still on the disk */

static void
ngx_http_refine_disk_forget(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&queue->disk.drained)) {
        q = ngx_queue_head(&queue->disk.drained);
        ngx_queue_remove(q);

        ngx_http_refine_ticket_free(queue,
                        ngx_queue_data(q, ngx_http_refine_ticket_t, queue));
    }
}


ngx_uint_t
ngx_http_refine_queue_spool_ready(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->spool == NULL) {
        return 0;
    }

    /* at the end there is no later */

    return queue->closing || (!disk->failed && !disk->full)
           || (ngx_msec_int_t) (ngx_current_msec - disk->retry_at) >= 0;
}


ngx_uint_t
ngx_http_refine_queue_spool_busy(ngx_http_refine_queue_t *queue)
{
    return queue->disk.job.op != NGX_HTTP_REFINE_DISK_IDLE
           || !ngx_queue_empty(&queue->disk.waiting);
}


void
ngx_http_refine_queue_spool_add(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket)
{
    if (queue->local && ngx_http_refine_local_full(queue, ticket)) {
        return;
    }

    ngx_queue_insert_tail(&queue->disk.waiting, &ticket->queue);

    ngx_http_refine_queue_spool_run(queue);
}


void
ngx_http_refine_queue_spool_count(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->spool
        && ngx_current_msec - disk->counted_at >= NGX_HTTP_REFINE_DISK_TICK)
    {
        disk->count = 1;
        ngx_http_refine_queue_spool_run(queue);
    }
}


void
ngx_http_refine_queue_spool_run(ngx_http_refine_queue_t *queue)
{
    if (!queue->closing) {
        ngx_post_event(&queue->disk.run, &ngx_posted_events);
    }
}


static void
ngx_http_refine_disk_run_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_refine_disk_e    op;
    ngx_http_refine_queue_t  *queue;

    c = ev->data;
    queue = c->data;

    if (queue->disk.job.op != NGX_HTTP_REFINE_DISK_IDLE) {
        return;
    }

    op = ngx_http_refine_disk_next(queue);

    /* a job of a thread ends with an event, which keeps no worker alive */

    queue->disk.timer.cancelable = (op == NGX_HTTP_REFINE_DISK_IDLE);

    if (op != NGX_HTTP_REFINE_DISK_IDLE) {
        ngx_http_refine_disk_start(queue, op);
    }
}


/* in turn: there may always be something to be written */

static ngx_http_refine_disk_e
ngx_http_refine_disk_next(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                      write;
    ngx_http_refine_disk_e          op;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->sync) {
        disk->sync = 0;
        return NGX_HTTP_REFINE_DISK_SYNC;
    }

    write = !ngx_queue_empty(&disk->waiting);

    if (write && !disk->wrote) {
        disk->wrote = 1;
        return NGX_HTTP_REFINE_DISK_WRITE;
    }

    disk->wrote = 0;

    op = ngx_http_refine_disk_other(queue);

    if (write && op == NGX_HTTP_REFINE_DISK_IDLE) {
        disk->wrote = 1;
        return NGX_HTTP_REFINE_DISK_WRITE;
    }

    return op;
}


static ngx_http_refine_disk_e
ngx_http_refine_disk_other(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                      up;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (queue->local) {
        return ngx_http_refine_local_next(queue);
    }

    up = ngx_http_refine_queue_ready(queue);

    if (disk->advance && (!up || ngx_exiting)) {
        return NGX_HTTP_REFINE_DISK_ADVANCE;
    }

    /* a worker that exits leaves the rest to the others */

    if (disk->drain && ngx_exiting && disk->nstoring == 0) {
        disk->drain = 0;
        ngx_http_refine_disk_forget(queue);
        return NGX_HTTP_REFINE_DISK_LEAVE;
    }

    if (disk->drain && up && !ngx_exiting
        && disk->nstoring == 0 && ngx_queue_empty(&disk->drained))
    {
        disk->drain = 0;
        return NGX_HTTP_REFINE_DISK_READ;
    }

    if (disk->count) {
        disk->count = 0;
        return NGX_HTTP_REFINE_DISK_COUNT;
    }

    return NGX_HTTP_REFINE_DISK_IDLE;
}


static void
ngx_http_refine_disk_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                      calm;
    ngx_connection_t               *c;
    ngx_http_refine_queue_t        *queue;
    ngx_http_refine_queue_spool_t  *disk;

    c = ev->data;
    queue = c->data;
    disk = &queue->disk;

    disk->soon = 0;
    disk->drain = 1;
    disk->count = 1;

    if (disk->job.op == NGX_HTTP_REFINE_DISK_IDLE) {
        disk->sync = ngx_http_refine_spool_state(disk->spool)->dirty;

    } else {
        disk->sync = (queue->conf->spool.fsync
                      == NGX_HTTP_REFINE_FSYNC_INTERVAL);
    }

    ngx_http_refine_queue_spool_run(queue);

    if (queue->local) {
        ngx_http_refine_local_tick(queue);
    }

    if (ngx_http_refine_queue_drain_ready(queue)) {
        queue->retry = 1;
        ngx_post_event(&queue->flush, &ngx_posted_events);
    }

    calm = !disk->sync && disk->totals.segments == 0;

    ngx_add_timer(&disk->timer, calm ? NGX_HTTP_REFINE_DISK_CALM
                                     : NGX_HTTP_REFINE_DISK_TICK);
}


/* what has been written shall be synced after a second, not after five */

static void
ngx_http_refine_disk_soon(ngx_http_refine_queue_spool_t *disk)
{
    if (!disk->soon && disk->timer.timer_set) {
        disk->soon = 1;
        ngx_add_timer(&disk->timer, NGX_HTTP_REFINE_DISK_TICK);
    }
}


static void
ngx_http_refine_disk_start(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    disk->job.op = op;
    disk->job.rc = NGX_OK;

    if (op == NGX_HTTP_REFINE_DISK_WRITE) {
        ngx_http_refine_disk_take(queue);
    }

    disk->job.advance = disk->advance;
    disk->job.pass = (queue->local != NULL);
    disk->job.up = ngx_http_refine_queue_ready(queue);

    if (op == NGX_HTTP_REFINE_DISK_READ || op == NGX_HTTP_REFINE_DISK_ADVANCE) {
        disk->advance = 0;
    }

    if (ngx_http_refine_disk_post(queue) != NGX_OK) {
        ngx_http_refine_disk_job(queue);
        ngx_http_refine_disk_done(queue);
    }
}


static void
ngx_http_refine_disk_take(ngx_http_refine_queue_t *queue)
{
    size_t                           size;
    ngx_queue_t                     *q;
    ngx_http_refine_ticket_t        *ticket;
    ngx_http_refine_queue_spool_t   *disk;
    ngx_http_refine_spool_record_t  *record;

    disk = &queue->disk;
    size = 0;

    disk->job.n = 0;
    disk->job.records = disk->records;

    while (!ngx_queue_empty(&disk->waiting)
           && disk->job.n < NGX_HTTP_REFINE_DISK_RECORDS
           && size < NGX_HTTP_REFINE_DISK_SIZE)
    {
        q = ngx_queue_head(&disk->waiting);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&disk->writing, q);

        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);
        record = &disk->records[disk->job.n++];

        record->n = ticket->n;
        record->types = ticket->types;
        record->nargs = ticket->nargs;
        record->args = ticket->args;

        size += ticket->size;
    }
}


#if (NGX_THREADS)

static void
ngx_http_refine_disk_thread(void *data, ngx_log_t *log)
{
    ngx_http_refine_queue_t  **queue = data;

    ngx_http_refine_disk_job(*queue);
}


static void
ngx_http_refine_disk_event(ngx_event_t *ev)
{
    ngx_http_refine_disk_done(ev->data);
}


/*
 * A process without a master has no threads after a reconfiguration, which
 * starts none.
 */

static ngx_int_t
ngx_http_refine_disk_post(ngx_http_refine_queue_t *queue)
{
    ngx_thread_task_t               *task;
    ngx_http_refine_queue_t        **ctx;
    ngx_http_refine_queue_spool_t   *disk;

    disk = &queue->disk;

    if (queue->conf->threads == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return NGX_DECLINED;
    }

    task = disk->task;

    if (task == NULL) {
        task = ngx_thread_task_alloc(queue->pool,
                                     sizeof(ngx_http_refine_queue_t *));
        if (task == NULL) {
            return NGX_DECLINED;
        }

        ctx = task->ctx;
        *ctx = queue;

        task->handler = ngx_http_refine_disk_thread;
        task->event.handler = ngx_http_refine_disk_event;
        task->event.data = queue;

        disk->task = task;
    }

    return ngx_thread_task_post(queue->conf->threads, task);
}

#else

static ngx_int_t
ngx_http_refine_disk_post(ngx_http_refine_queue_t *queue)
{
    return NGX_DECLINED;
}

#endif


/* in a thread: nothing of nginx, nothing of the queue but its job */

static void
ngx_http_refine_disk_job(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_spool_t        *spool;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;
    spool = disk->spool;

    switch (disk->job.op) {

    case NGX_HTTP_REFINE_DISK_WRITE:
        disk->job.rc = ngx_http_refine_spool_write(spool, disk->job.records,
                                                   disk->job.n);
        break;

    case NGX_HTTP_REFINE_DISK_SYNC:
        disk->job.rc = ngx_http_refine_spool_sync(spool);
        break;

    case NGX_HTTP_REFINE_DISK_READ:

        if (disk->job.advance) {
            ngx_http_refine_spool_advance(spool);
        }

        disk->job.rc = ngx_http_refine_spool_read(spool,
                                                NGX_HTTP_REFINE_DISK_RECORDS,
                                                NGX_HTTP_REFINE_DISK_BATCH,
                                                &disk->job.records,
                                                &disk->job.n);

        if (disk->job.rc == NGX_DONE) {
            (void) ngx_http_refine_spool_count(spool);

        } else if (disk->job.rc == NGX_OK && disk->job.pass) {
            ngx_http_refine_spool_pass(spool, &disk->job.place);
        }

        break;

    case NGX_HTTP_REFINE_DISK_ADVANCE:
        ngx_http_refine_spool_advance(spool);
        break;

    case NGX_HTTP_REFINE_DISK_COUNT:
        disk->job.rc = ngx_http_refine_spool_count(spool);
        break;

    default: /* NGX_HTTP_REFINE_DISK_LEAVE, and those without Redis */

        if (queue->local) {
            ngx_http_refine_local_job(queue, disk->job.op);
            break;
        }

        ngx_http_refine_spool_leave(spool);

        if (disk->job.up) {
            ngx_http_refine_spool_seal(spool);
        }
    }
}


static void
ngx_http_refine_disk_done(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_disk_e          op;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    op = disk->job.op;
    disk->job.op = NGX_HTTP_REFINE_DISK_IDLE;

    disk->totals = ngx_http_refine_spool_state(disk->spool)->totals;

    if (op == NGX_HTTP_REFINE_DISK_COUNT
        || (op == NGX_HTTP_REFINE_DISK_READ && disk->job.rc == NGX_DONE))
    {
        disk->counted_at = ngx_current_msec;
        disk->count = 0;
    }

    ngx_http_refine_queue_disk_report(queue, op);

    if (op == NGX_HTTP_REFINE_DISK_WRITE) {
        ngx_http_refine_disk_written(queue);

    } else if (queue->local) {
        ngx_http_refine_local_done(queue, op);

    } else if (op == NGX_HTTP_REFINE_DISK_READ && !queue->closing) {
        ngx_http_refine_queue_drain_read(queue);
    }

    ngx_http_refine_queue_spool_run(queue);
}


static void
ngx_http_refine_disk_written(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->job.rc == NGX_OK) {

        if (queue->local) {
            ngx_http_refine_local_stored(queue, &disk->writing);
        }

        ngx_http_refine_disk_settle(queue, &disk->writing,
                                    NGX_HTTP_REFINE_SPOOLED);
        ngx_http_refine_disk_soon(disk);

        return;
    }

    /* until it is tried again, nothing else that waits has to wait for it */

    disk->retry_at = ngx_current_msec + NGX_HTTP_REFINE_DISK_TICK;

    ngx_http_refine_disk_settle(queue, &disk->writing,
                                NGX_HTTP_REFINE_UNAVAILABLE);
    ngx_http_refine_disk_settle(queue, &disk->waiting,
                                NGX_HTTP_REFINE_UNAVAILABLE);

    ngx_http_refine_queue_arm(queue);
}


static void
ngx_http_refine_disk_settle(ngx_http_refine_queue_t *queue,
    ngx_queue_t *tickets, ngx_http_refine_stored_e rc)
{
    ngx_uint_t                 events;
    ngx_queue_t               *q;
    ngx_http_refine_ticket_t  *ticket;

    events = 0;

    while (!ngx_queue_empty(tickets)) {
        q = ngx_queue_head(tickets);
        ngx_queue_remove(q);

        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);

        /* what nobody waits for is tried again */

        if (rc == NGX_HTTP_REFINE_SPOOLED || !ticket->kept) {
            events += ticket->n;
        }

        ngx_http_refine_ticket_settle(queue, ticket,
                                      (queue->local
                                       && rc == NGX_HTTP_REFINE_SPOOLED)
                                      ? NGX_HTTP_REFINE_STORED : rc);
    }

    if (events) {
        ngx_http_refine_queue_count(queue, (rc == NGX_HTTP_REFINE_SPOOLED)
                                           ? NGX_HTTP_REFINE_SPOOL_STORED
                                           : NGX_HTTP_REFINE_SPOOL_FAILED,
                                    events);
    }
}
