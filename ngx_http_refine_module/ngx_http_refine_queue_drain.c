
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


static ngx_int_t ngx_http_refine_queue_drain_ticket(
    ngx_http_refine_queue_t *queue, ngx_http_refine_spool_record_t *record);


/*
 * From the spool to Redis, a batch at a time: what was read last stays in
 * memory until all of it is stored, then the spool's cursor moves.  When a
 * worker ends in between, it is stored again, with the same event ids.
 */

void
ngx_http_refine_queue_drain(ngx_http_refine_queue_t *queue)
{
    if (queue->disk.spool) {
        queue->disk.drain = 1;
        ngx_http_refine_queue_spool_run(queue);
    }
}


ngx_uint_t
ngx_http_refine_queue_drain_ready(ngx_http_refine_queue_t *queue)
{
    return queue->disk.spool
           && queue->disk.nstoring == 0
           && !ngx_queue_empty(&queue->disk.drained)
           && !ngx_exiting
           && ngx_http_refine_queue_ready(queue);
}


void
ngx_http_refine_queue_drain_read(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                      i;
    ngx_queue_t                    *q;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->job.rc != NGX_OK) {
        return;
    }

    for (i = 0; i < disk->job.n; i++) {

        if (ngx_http_refine_queue_drain_ticket(queue, &disk->job.records[i])
            != NGX_OK)
        {
            break;
        }
    }

    /* for want of memory: as the cursor has not moved it is read again */

    while (i < disk->job.n && !ngx_queue_empty(&disk->drained)) {
        q = ngx_queue_head(&disk->drained);
        ngx_queue_remove(q);

        ngx_http_refine_ticket_free(queue,
                        ngx_queue_data(q, ngx_http_refine_ticket_t, queue));
    }

    ngx_post_event(&queue->flush, &ngx_posted_events);
}


static ngx_int_t
ngx_http_refine_queue_drain_ticket(ngx_http_refine_queue_t *queue,
    ngx_http_refine_spool_record_t *record)
{
    u_char                    *p;
    size_t                     size;
    ngx_str_t                 *arg;
    ngx_uint_t                 i;
    ngx_http_refine_ticket_t  *ticket;

    size = 0;

    for (i = 0; i < record->nargs; i++) {
        size += record->args[i].len;
    }

    ticket = ngx_http_refine_ticket_alloc(queue, record->n, record->nargs,
                                          size);
    if (ticket == NULL) {
        return NGX_ERROR;
    }

    ticket->drained = 1;

    p = ngx_cpymem(ticket->types, record->types, record->n);

    for (i = 0; i < record->nargs; i++) {
        arg = &ticket->args[i];

        arg->data = p;
        arg->len = record->args[i].len;

        p = ngx_cpymem(p, record->args[i].data, arg->len);
    }

    ngx_queue_insert_tail(&queue->disk.drained, &ticket->queue);

    return NGX_OK;
}


void
ngx_http_refine_queue_drain_settle(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket, ngx_http_refine_stored_e rc)
{
    ngx_uint_t                      failed;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (rc == NGX_HTTP_REFINE_STORED) {
        disk->ndrained += ticket->n;
        ngx_http_refine_ticket_free(queue, ticket);

    } else {
        ngx_queue_insert_tail(&disk->back, &ticket->queue);
    }

    if (--disk->nstoring) {
        return;
    }

    /* what came back keeps its place; the timer tries it again */

    failed = !ngx_queue_empty(&disk->back);

    if (failed) {
        ngx_queue_add(&disk->back, &disk->drained);
        ngx_queue_init(&disk->drained);
        ngx_queue_add(&disk->drained, &disk->back);
        ngx_queue_init(&disk->back);
        return;
    }

    if (ngx_queue_empty(&disk->drained)) {
        disk->advance = 1;
        disk->drain = 1;
        ngx_http_refine_queue_spool_run(queue);

    } else if (!queue->closing) {
        ngx_post_event(&queue->flush, &ngx_posted_events);
    }
}
