
#include "ngx_http_refine_tap_hold.h"


#define NGX_HTTP_REFINE_TAP_HOLD_MAX   (64 * 1024)
#define NGX_HTTP_REFINE_TAP_HOLD_SIZE  2048         /* of the first buffer */
#define NGX_HTTP_REFINE_TAP_HOLD_LOOK  100          /* every so many ms */


static ngx_uint_t ngx_http_refine_tap_hold_own_flush(
    ngx_http_refine_tap_hold_t *hold);
static ngx_int_t ngx_http_refine_tap_hold_copy(
    ngx_http_refine_tap_hold_t *hold, u_char *p, size_t len);
static ngx_int_t ngx_http_refine_tap_hold_grow(
    ngx_http_refine_tap_hold_t *hold);


ngx_http_refine_tap_hold_t *
ngx_http_refine_tap_hold_create(ngx_http_request_t *r,
    ngx_event_handler_pt look)
{
    ngx_http_refine_tap_hold_t  *hold;

    hold = ngx_pcalloc(r->pool, sizeof(ngx_http_refine_tap_hold_t));
    if (hold == NULL) {
        return NULL;
    }

    hold->request = r;
    hold->last = &hold->out;
    hold->uri_changes = r->uri_changes;
    hold->err_status = r->err_status;

    r->buffered |= NGX_HTTP_REFINE_TAP_HOLD_BUFFERED;

    hold->look.handler = look;
    hold->look.data = r->connection;
    hold->look.log = r->connection->log;
    hold->look.cancelable = 1;

    ngx_add_timer(&hold->look, NGX_HTTP_REFINE_TAP_HOLD_LOOK);

    return hold;
}


ngx_uint_t
ngx_http_refine_tap_hold_same(ngx_http_refine_tap_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    return r->headers_out.status == NGX_HTTP_OK
           && r->uri_changes == hold->uri_changes
           && r->err_status == hold->err_status;
}


void
ngx_http_refine_tap_hold_forget(ngx_http_refine_tap_hold_t *hold)
{
    hold->request->buffered &= ~NGX_HTTP_REFINE_TAP_HOLD_BUFFERED;

    if (hold->look.timer_set) {
        ngx_del_timer(&hold->look);
    }
}


ngx_int_t
ngx_http_refine_tap_hold_look(ngx_http_refine_tap_hold_t *hold)
{
    ngx_http_request_t  *r;

    r = hold->request;

    /* set by ngx_http_set_write_handler() */

    if (r->http_state == NGX_HTTP_WRITING_REQUEST_STATE
        && r->connection->data == r
        && r->postponed == NULL
        && r->buffered == NGX_HTTP_REFINE_TAP_HOLD_BUFFERED)
    {
        return NGX_OK;
    }

    ngx_add_timer(&hold->look, NGX_HTTP_REFINE_TAP_HOLD_LOOK);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_refine_tap_hold_test(ngx_http_refine_tap_hold_t *hold,
    ngx_chain_t *in)
{
    off_t       size;
    ngx_uint_t  flush;

    size = 0;
    flush = 0;

    for ( /* void */ ; in; in = in->next) {
        size += ngx_buf_size(in->buf);
        flush |= in->buf->flush;
    }

    if (size > (off_t) (NGX_HTTP_REFINE_TAP_HOLD_MAX - hold->size)) {
        return NGX_DECLINED;
    }

    if (size == 0 && flush && !ngx_http_refine_tap_hold_own_flush(hold)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * Without proxy_buffering nginx flushes of its own accord: when the upstream
 * has sent a header and no body yet, ngx_http_upstream_send_response(), and
 * with each piece of the body, of which sub_filter or gunzip may leave nothing
 * but the flush.
 */

static ngx_uint_t
ngx_http_refine_tap_hold_own_flush(ngx_http_refine_tap_hold_t *hold)
{
    ngx_http_upstream_t  *u;

    u = hold->request->upstream;

    return u != NULL && !u->buffering && u->cleanup != NULL;
}


ngx_int_t
ngx_http_refine_tap_hold_add(ngx_http_refine_tap_hold_t *hold, ngx_chain_t *in)
{
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (b->flush) {
            hold->flush = 1;
        }

        if (!ngx_buf_in_memory(b)) {
            continue;
        }

        if (ngx_http_refine_tap_hold_copy(hold, b->pos, b->last - b->pos)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        b->pos = b->last;

        if (b->in_file) {
            b->file_pos = b->file_last;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_tap_hold_copy(ngx_http_refine_tap_hold_t *hold, u_char *p,
    size_t len)
{
    size_t      n;
    ngx_buf_t  *b;

    while (len) {
        b = hold->buf;

        if (b == NULL || b->last == b->end) {

            if (ngx_http_refine_tap_hold_grow(hold) != NGX_OK) {
                return NGX_ERROR;
            }

            b = hold->buf;
        }

        n = ngx_min(len, (size_t) (b->end - b->last));

        b->last = ngx_cpymem(b->last, p, n);
        hold->size += n;

        p += n;
        len -= n;
    }

    return NGX_OK;
}


/* as much again as there is */

static ngx_int_t
ngx_http_refine_tap_hold_grow(ngx_http_refine_tap_hold_t *hold)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_pool_t   *pool;
    ngx_chain_t  *cl;

    pool = hold->request->pool;
    size = ngx_max(hold->size, NGX_HTTP_REFINE_TAP_HOLD_SIZE);

    b = ngx_create_temp_buf(pool, size);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    *hold->last = cl;
    hold->last = &cl->next;
    hold->buf = b;

    return NGX_OK;
}


ngx_chain_t *
ngx_http_refine_tap_hold_release(ngx_http_refine_tap_hold_t *hold,
    ngx_chain_t *in)
{
    ngx_http_refine_tap_hold_forget(hold);

    if (hold->out == NULL) {
        return in;
    }

    hold->buf->flush = hold->flush;
    *hold->last = in;

    return hold->out;
}
