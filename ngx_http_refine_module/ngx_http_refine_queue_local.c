
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


#define NGX_HTTP_REFINE_LOCAL_RETRY  1000       /* ms */


static void ngx_http_refine_local_run_handler(ngx_event_t *ev);
static void ngx_http_refine_local_places(ngx_http_refine_local_t *local);


ngx_int_t
ngx_http_refine_local_create(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_local_t  *local;

    local = ngx_pcalloc(queue->pool, sizeof(ngx_http_refine_local_t));
    if (local == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&local->windows);
    ngx_queue_init(&local->finished);
    ngx_queue_init(&local->fresh);
    ngx_queue_init(&local->returned);
    ngx_queue_init(&local->asked);
    ngx_queue_init(&local->later);
    ngx_queue_init(&local->refused);
    ngx_queue_init(&local->letters);
    ngx_queue_init(&local->writing);

    local->run.handler = ngx_http_refine_local_run_handler;
    local->run.data = &queue->dummy;
    local->run.log = queue->log;

    if (queue->disk.spool == NULL
        || ngx_http_refine_ledger_open(&local->ledger,
                                       &queue->conf->spool.path)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, queue->log, ngx_errno,
                      "refine: catalog \"%V\": the counters in the spool "
                      "\"%V\" cannot be opened",
                      &queue->conf->name, &queue->conf->spool.path);
        return NGX_ERROR;
    }

    queue->local = local;
    local->flushes = local->ledger.data->flushes;

    if (local->ledger.alone) {

        if (ngx_http_refine_spool_count(queue->disk.spool) == NGX_OK) {
            queue->disk.totals
                       = ngx_http_refine_spool_state(queue->disk.spool)->totals;
            ngx_http_refine_local_heal(queue, 1);
        }

        ngx_http_refine_ledger_ready(&local->ledger);
    }

    return NGX_OK;
}


/* the threads have ended, and so has the last job */

void
ngx_http_refine_local_destroy(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t              *q;
    ngx_http_refine_local_t  *local;
    ngx_http_refine_disk_e    op;

    local = queue->local;

    if (local == NULL) {
        return;
    }

    if (local->run.posted) {
        ngx_delete_posted_event(&local->run);
    }

    local->letters_at = ngx_current_msec;
    queue->disk.drain = 1;

    do {
        op = ngx_http_refine_local_next(queue);

        if (op != NGX_HTTP_REFINE_DISK_IDLE
            && op != NGX_HTTP_REFINE_DISK_COUNT)
        {
            ngx_http_refine_local_job(queue, op);
            ngx_http_refine_local_done(queue, op);
        }

    } while (op == NGX_HTTP_REFINE_DISK_DONE
             || op == NGX_HTTP_REFINE_DISK_LETTERS
             || op == NGX_HTTP_REFINE_DISK_REPLAY);

    ngx_http_refine_local_run_handler(&local->run);
    ngx_http_refine_local_deltas(queue);
    ngx_http_refine_local_forget(queue);

    while (!ngx_queue_empty(&local->letters)) {
        q = ngx_queue_head(&local->letters);
        ngx_queue_remove(q);

        ngx_free(ngx_queue_data(q, ngx_http_refine_letter_t, queue));
    }

    ngx_http_refine_ledger_close(&local->ledger);
    queue->local = NULL;
}


int64_t
ngx_http_refine_local_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


void
ngx_http_refine_local_post(ngx_http_refine_queue_t *queue)
{
    if (!queue->closing) {
        ngx_post_event(&queue->local->run, &ngx_posted_events);
    }
}


static void
ngx_http_refine_local_run_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_refine_local_t   *local;
    ngx_http_refine_later_t    later;
    ngx_http_refine_queue_t   *queue;
    ngx_http_refine_ticket_t  *ticket;

    c = ev->data;
    queue = c->data;
    local = queue->local;

    while (!ngx_queue_empty(&local->later)) {
        q = ngx_queue_head(&local->later);
        ngx_queue_remove(q);

        later = *ngx_queue_data(q, ngx_http_refine_later_t, queue);
        ngx_free(ngx_queue_data(q, ngx_http_refine_later_t, queue));

        later.handler(later.data, later.rc);
    }

    while (!ngx_queue_empty(&local->refused)) {
        q = ngx_queue_head(&local->refused);
        ngx_queue_remove(q);

        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);

        ngx_http_refine_ticket_settle(queue, ticket,
                                      ticket->large
                                      ? NGX_HTTP_REFINE_FULL_BYTES
                                      : NGX_HTTP_REFINE_FULL);
    }

    ngx_http_refine_local_expire_run(queue);
    ngx_http_refine_local_answer(queue);
}


ngx_http_refine_disk_e
ngx_http_refine_local_next(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_local_t  *local;

    local = queue->local;

    if (!ngx_queue_empty(&local->finished)) {
        ngx_http_refine_local_places(local);
        return NGX_HTTP_REFINE_DISK_DONE;
    }

    if (!ngx_queue_empty(&local->letters)
        && (ngx_msec_int_t) (ngx_current_msec - local->letters_at) >= 0)
    {
        ngx_queue_add(&local->writing, &local->letters);
        ngx_queue_init(&local->letters);
        return NGX_HTTP_REFINE_DISK_LETTERS;
    }

    if (local->replay.handler && !local->replay.running) {
        local->replay.running = 1;
        return NGX_HTTP_REFINE_DISK_REPLAY;
    }

    if (ngx_exiting && !queue->closing) {
        ngx_http_refine_local_post(queue);
    }

    if ((ngx_exiting || queue->closing) && queue->disk.drain
        && (queue->closing
            || (local->nclaimed == 0 && ngx_queue_empty(&local->letters))))
    {
        queue->disk.drain = 0;
        ngx_http_refine_local_move(queue);
        return NGX_HTTP_REFINE_DISK_LEAVE;
    }

    /* it may be wanted again while a job reads what takes the last room */

    if (local->read) {
        local->read = 0;

        if (ngx_http_refine_local_room(queue)) {
            return NGX_HTTP_REFINE_DISK_READ;
        }
    }

    if (queue->disk.count) {
        queue->disk.count = 0;
        return NGX_HTTP_REFINE_DISK_COUNT;
    }

    return NGX_HTTP_REFINE_DISK_IDLE;
}


static void
ngx_http_refine_local_places(ngx_http_refine_local_t *local)
{
    ngx_queue_t               *q;
    ngx_http_refine_window_t  *window;

    local->nplaces = 0;

    for (q = ngx_queue_head(&local->finished);
         q != ngx_queue_sentinel(&local->finished);
         q = ngx_queue_next(q))
    {
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);
        local->places[local->nplaces++] = window->place;
    }
}


/* in a thread */

void
ngx_http_refine_local_job(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op)
{
    ngx_uint_t                      i;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_queue_spool_t  *disk;

    local = queue->local;
    disk = &queue->disk;

    switch (op) {

    case NGX_HTTP_REFINE_DISK_LETTERS:
        ngx_http_refine_local_letters(queue);
        return;

    case NGX_HTTP_REFINE_DISK_REPLAY:
        ngx_http_refine_local_replay(queue);
        return;

    case NGX_HTTP_REFINE_DISK_LEAVE:

        if (local->nmoved
            && ngx_http_refine_spool_write(disk->spool, local->moved,
                                           local->nmoved)
               != NGX_OK)
        {
            local->nplaces = 0;
        }

        break;

    default:
        break;
    }

    for (i = 0; i < local->nplaces; i++) {
        ngx_http_refine_spool_done(disk->spool, &local->places[i]);
    }

    if (op == NGX_HTTP_REFINE_DISK_LEAVE) {
        ngx_http_refine_spool_leave(disk->spool);
        ngx_http_refine_spool_seal(disk->spool);
    }
}


void
ngx_http_refine_local_done(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op)
{
    ngx_uint_t                i;
    ngx_queue_t              *q;
    ngx_http_refine_local_t  *local;

    local = queue->local;

    switch (op) {

    case NGX_HTTP_REFINE_DISK_READ:
        ngx_http_refine_local_read(queue);
        break;

    case NGX_HTTP_REFINE_DISK_DONE:

        for (i = 0; i < local->nplaces; i++) {
            q = ngx_queue_head(&local->finished);
            ngx_queue_remove(q);

            ngx_free(ngx_queue_data(q, ngx_http_refine_window_t, queue));
            local->nwindows--;
        }

        if (local->more && queue->watch && !queue->closing) {
            local->more = 0;
            queue->watch->notify(queue->watch->data);
        }

        break;

    case NGX_HTTP_REFINE_DISK_LETTERS:
        ngx_http_refine_local_lettered(queue, queue->disk.job.rc);
        break;

    case NGX_HTTP_REFINE_DISK_REPLAY:
        ngx_http_refine_local_replayed(queue, queue->disk.job.rc);
        break;

    case NGX_HTTP_REFINE_DISK_LEAVE:

        if (local->moved) {
            ngx_free(local->moved);
            local->moved = NULL;
        }

        ngx_http_refine_local_forget(queue);
        break;

    case NGX_HTTP_REFINE_DISK_COUNT:
        if (queue->disk.job.rc == NGX_OK) {
            ngx_http_refine_local_heal(queue, 0);
        }

        break;

    default:
        break;
    }

    ngx_http_refine_local_post(queue);
}


void
ngx_http_refine_local_tick(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_local_t  *local;

    local = queue->local;

    if (local->flushes != local->ledger.data->flushes && queue->watch) {
        local->flushes = local->ledger.data->flushes;
        queue->watch->notify(queue->watch->data);
    }
}


ngx_uint_t
ngx_http_refine_local_full(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket)
{
    int64_t                         held, bytes;
    ngx_uint_t                      full, large;
    ngx_http_refine_ledger_data_t  *data;

    data = queue->local->ledger.data;

    held = data->held;
    bytes = data->bytes + held * NGX_HTTP_REFINE_QUEUE_ENTRY;

    full = held + (int64_t) ticket->n > queue->size.max;
    large = bytes + (int64_t) (ticket->size
                               + ticket->n * NGX_HTTP_REFINE_QUEUE_ENTRY)
            > queue->bytes.max;

    ngx_http_refine_queue_level(queue, &queue->size, held, full);
    ngx_http_refine_queue_level(queue, &queue->bytes, bytes, large);

    if (!full && !large) {
        return 0;
    }

    ticket->large = !full;

    ngx_queue_insert_tail(&queue->local->refused, &ticket->queue);
    ngx_http_refine_local_post(queue);

    return 1;
}


void
ngx_http_refine_local_stored(ngx_http_refine_queue_t *queue,
    ngx_queue_t *tickets)
{
    int64_t                         n;
    ngx_str_t                      *arg;
    ngx_uint_t                      i, type;
    ngx_queue_t                    *q;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_ticket_t       *ticket;
    ngx_http_refine_ledger_data_t  *data;

    n = 0;
    local = queue->local;
    data = local->ledger.data;

    ngx_http_refine_ledger_lock(&local->ledger);

    for (q = ngx_queue_head(tickets);
         q != ngx_queue_sentinel(tickets);
         q = ngx_queue_next(q))
    {
        ticket = ngx_queue_data(q, ngx_http_refine_ticket_t, queue);
        arg = ticket->args;
        n += ticket->n;

        for (i = 0; i < ticket->n; i++, arg++) {
            type = ngx_http_refine_surface_type(ticket->types[i]);
            data->bytes += arg->len;
            data->counters[local->ledger.index[
                               NGX_HTTP_REFINE_EVENT_ITEMS_SERVED + type]].n++;

            if (ngx_http_refine_surface_argued(ticket->types[i])) {
                arg++;
                ngx_http_refine_surface_argument(data->surfaces,
                                                 ticket->types[i], arg);
            }
        }
    }

    data->accepted += n;
    data->held += n;
    data->entered += n;

    ngx_http_refine_ledger_unlock(&local->ledger);

    if (local->unread == 0) {
        local->unread_at = ngx_http_refine_local_now();
    }

    local->unread += n;

    ngx_http_refine_local_row(queue);

    if (queue->watch && !queue->closing
        && local->unread >= (int64_t) queue->watch->wanted)
    {
        queue->watch->notify(queue->watch->data);
    }
}
