
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_queue_private.h"


/* a click, or a serve of some items; as many as arrive in one turn */
#define NGX_HTTP_REFINE_TICKET_SIZE    1024
#define NGX_HTTP_REFINE_TICKET_SPARES  64


static ngx_http_refine_ticket_t *ngx_http_refine_ticket_spare(
    ngx_http_refine_queue_t *queue);


ngx_http_refine_ticket_t *
ngx_http_refine_ticket_create(ngx_http_refine_queue_t *queue,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    u_char                    *p;
    size_t                     size;
    ngx_str_t                 *arg;
    ngx_uint_t                 i, nargs;
    ngx_http_refine_ticket_t  *ticket;

    nargs = n;
    size = n;

    for (i = 0; i < n; i++) {
        size += events[i].line.len;

        if (events[i].type == NGX_HTTP_REFINE_ITEMS_SERVED) {
            nargs++;
            size += events[i].surface.len + events[i].source.len + 1;

        } else if (events[i].labels.len) {
            nargs++;
            size += events[i].labels.len;
        }
    }

    ticket = ngx_http_refine_ticket_alloc(queue, n, nargs, size - n);
    if (ticket == NULL) {
        return NULL;
    }

    arg = ticket->args;
    p = ticket->types + n;

    for (i = 0; i < n; i++, arg++) {
        ticket->types[i] = (u_char) ('0' + events[i].type);

        arg->data = p;
        arg->len = events[i].line.len;
        p = ngx_cpymem(p, events[i].line.data, arg->len);

        if (events[i].type == NGX_HTTP_REFINE_ITEMS_SERVED) {
            arg++;
            arg->data = p;
            p = ngx_http_refine_surface_label(p, &events[i].surface,
                                              &events[i].source);
            arg->len = p - arg->data;

        } else if (events[i].labels.len) {
            ticket->types[i] += NGX_HTTP_REFINE_SURFACE_TRACED;

            arg++;
            arg->data = p;
            arg->len = events[i].labels.len;
            p = ngx_cpymem(p, events[i].labels.data, arg->len);
        }
    }

    return ticket;
}


ngx_http_refine_ticket_t *
ngx_http_refine_ticket_alloc(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_uint_t nargs, size_t size)
{
    ngx_uint_t                 spare;
    ngx_http_refine_ticket_t  *ticket;

    size += sizeof(ngx_http_refine_ticket_t) + nargs * sizeof(ngx_str_t) + n;

    ticket = NULL;

    if (size <= NGX_HTTP_REFINE_TICKET_SIZE) {
        ticket = ngx_http_refine_ticket_spare(queue);
    }

    spare = (ticket != NULL);

    if (!spare) {
        ticket = ngx_alloc(size, queue->log);
        if (ticket == NULL) {
            return NULL;
        }
    }

    ngx_memzero(ticket, sizeof(ngx_http_refine_ticket_t));

    ticket->spare = spare;
    ticket->at = ngx_current_msec;
    ticket->size = size;
    ticket->n = n;
    ticket->nargs = nargs;
    ticket->types = (u_char *) &ticket->args[nargs];

    return ticket;
}


/* the last that was freed, which is in the processor's cache still, or NULL */

static ngx_http_refine_ticket_t *
ngx_http_refine_ticket_spare(ngx_http_refine_queue_t *queue)
{
    u_char       *p;
    ngx_uint_t    i;
    ngx_queue_t  *q;

    if (!queue->ticketed) {
        queue->ticketed = 1;

        p = ngx_palloc(queue->pool, NGX_HTTP_REFINE_TICKET_SPARES
                                    * NGX_HTTP_REFINE_TICKET_SIZE);

        for (i = 0; p && i < NGX_HTTP_REFINE_TICKET_SPARES; i++) {
            q = (ngx_queue_t *) (p + i * NGX_HTTP_REFINE_TICKET_SIZE);
            ngx_queue_insert_tail(&queue->tickets, q);
        }
    }

    if (ngx_queue_empty(&queue->tickets)) {
        return NULL;
    }

    q = ngx_queue_head(&queue->tickets);
    ngx_queue_remove(q);

    return ngx_queue_data(q, ngx_http_refine_ticket_t, queue);
}


void
ngx_http_refine_ticket_free(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket)
{
    if (ticket->spare) {
        ngx_queue_insert_head(&queue->tickets, &ticket->queue);

    } else {
        ngx_free(ticket);
    }
}
