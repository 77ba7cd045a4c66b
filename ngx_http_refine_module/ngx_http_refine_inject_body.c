
/*
 * The way of the bytes: a buffer passes as it is where nothing is put into it;
 * else in slices, of which the last one holds it until it has been sent.
 */


#include "ngx_http_refine_inject_core.h"
#include "ngx_http_refine_serve.h"


static ngx_int_t ngx_http_refine_inject_plain(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b);
static ngx_int_t ngx_http_refine_inject_flag(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b, ngx_buf_t *last);
static ngx_int_t ngx_http_refine_inject_steps(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b, ngx_buf_t **last);
static ngx_int_t ngx_http_refine_inject_step(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_http_refine_page_step_e step,
    ngx_str_t *text);
static ngx_int_t ngx_http_refine_inject_whole(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b);
static ngx_buf_t *ngx_http_refine_inject_own(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject);
static ngx_int_t ngx_http_refine_inject_inflate(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject);
static ngx_int_t ngx_http_refine_inject_feed(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b);
static ngx_buf_t *ngx_http_refine_inject_room(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject);
static void ngx_http_refine_inject_consume(ngx_buf_t *b);


#define NGX_HTTP_REFINE_INJECT_TAG                                            \
    ((ngx_buf_tag_t) &ngx_http_refine_inject_read)

#define ngx_http_refine_inject_flags(b)                                       \
    ((b)->flush || (b)->sync || (b)->last_buf || (b)->last_in_chain)


ngx_int_t
ngx_http_refine_inject_read(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_chain_t *in)
{
    if (inject->gzip) {

        if (in && ngx_chain_add_copy(r->pool, &inject->in, in) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_refine_inject_inflate(r, inject);
    }

    for ( /* void */ ; in; in = in->next) {

        if (ngx_http_refine_inject_plain(r, inject, in->buf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_inject_plain(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b)
{
    size_t      size;
    ngx_buf_t  *last;

    size = (size_t) ngx_buf_size(b);
    last = NULL;

    if (size) {

        if (!ngx_buf_in_memory(b)) {
            return NGX_ERROR;
        }

        ngx_http_refine_page_input(&inject->page, b->pos, size);

        if (ngx_http_refine_inject_steps(r, inject, b, &last) != NGX_OK) {
            return NGX_ERROR;
        }

        if (last == b) {
            inject->ended = b->last_buf;
            return NGX_OK;
        }

        if (last) {
            last->shadow = b;
            last->recycled = b->recycled;

        } else {
            ngx_http_refine_inject_consume(b);  /* all of it is held back */
        }
    }

    if (b->last_buf) {
        inject->ended = 1;

        ngx_http_refine_page_end(&inject->page);

        if (ngx_http_refine_inject_steps(r, inject, NULL, &last) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!ngx_http_refine_inject_flags(b)) {
        return NGX_OK;
    }

    return ngx_http_refine_inject_flag(r, inject, b, last);
}


/* what b says beside its bytes; last: what was put out of them, or NULL */

static ngx_int_t
ngx_http_refine_inject_flag(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b, ngx_buf_t *last)
{
    if (last == NULL) {

        if (!ngx_buf_in_memory(b) && !b->in_file) {
            return ngx_http_refine_inject_whole(r, inject, b);
        }

        /* what says something without any bytes must have no memory */

        last = ngx_calloc_buf(r->pool);

        if (last == NULL
            || ngx_http_refine_inject_whole(r, inject, last) != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* the end of a part of the page alone would be an empty buffer */

        last->sync = 1;
    }

    last->flush = b->flush;
    last->last_buf = b->last_buf;
    last->last_in_chain = b->last_in_chain;

    return NGX_OK;
}


/* last: the last buffer that was put out, b itself where it passes as it is */

static ngx_int_t
ngx_http_refine_inject_steps(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b, ngx_buf_t **last)
{
    ngx_buf_t                    *own;
    ngx_str_t                     text;
    ngx_http_refine_page_t       *page;
    ngx_http_refine_page_step_e   step;

    page = &inject->page;

    for ( ;; ) {
        step = ngx_http_refine_page_next(page);

        if (step == NGX_HTTP_REFINE_PAGE_AGAIN) {
            return NGX_OK;
        }

        if (step == NGX_HTTP_REFINE_PAGE_PASS
            && page->out.len == (size_t) (b->last - b->pos))
        {
            *last = b;

            if (ngx_http_refine_inject_whole(r, inject, b) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (ngx_http_refine_inject_step(r, inject, step, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        if (text.len == 0) {
            continue;
        }

        own = ngx_http_refine_inject_own(r, inject);
        if (own == NULL) {
            return NGX_ERROR;
        }

        *last = own;

        if (step == NGX_HTTP_REFINE_PAGE_COPY) {
            own->start = (u_char *) (own + 1);
            ngx_memcpy(own->start, text.data, text.len);
            text.data = own->start;
        }

        own->pos = text.data;
        own->last = text.data + text.len;
        own->memory = 1;
    }
}


/* what is put out by a step; empty: nothing */

static ngx_int_t
ngx_http_refine_inject_step(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_http_refine_page_step_e step,
    ngx_str_t *text)
{
    *text = inject->page.out;

    switch (step) {

    case NGX_HTTP_REFINE_PAGE_PASS:
    case NGX_HTTP_REFINE_PAGE_COPY:
        return NGX_OK;

    case NGX_HTTP_REFINE_PAGE_HEAD:
        return ngx_http_refine_inject_head(r, inject, text);

    case NGX_HTTP_REFINE_PAGE_SERVE:
        text->len = 0;
        return ngx_http_refine_serve_make(inject->page.serve->id);

    default: /* NGX_HTTP_REFINE_PAGE_ERROR */
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_refine_inject_whole(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    *inject->last_out = cl;
    inject->last_out = &cl->next;

    return NGX_OK;
}


/* a buffer of this filter, at the end of out, with memory for a short text */

static ngx_buf_t *
ngx_http_refine_inject_own(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = inject->free;

    if (cl) {
        inject->free = cl->next;

    } else {
        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NULL;
        }

        cl->buf = ngx_palloc(r->pool, sizeof(ngx_buf_t)
                                      + NGX_HTTP_REFINE_PAGE_MAX_TEXT);
        if (cl->buf == NULL) {
            return NULL;
        }
    }

    b = cl->buf;
    ngx_memzero(b, sizeof(ngx_buf_t));
    b->tag = NGX_HTTP_REFINE_INJECT_TAG;

    cl->next = NULL;

    *inject->last_out = cl;
    inject->last_out = &cl->next;

    return b;
}


void
ngx_http_refine_inject_sent(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject)
{
    ngx_buf_t     *b;
    ngx_chain_t   *cl, *next, **last;

    for (last = &inject->busy; *last; last = &(*last)->next) { /* void */ }

    for (cl = inject->out; cl; cl = next) {
        next = cl->next;

        /* buffers of others may be in use for something else from now on */

        if (cl->buf->tag != NGX_HTTP_REFINE_INJECT_TAG) {
            ngx_free_chain(r->pool, cl);
            continue;
        }

        cl->next = NULL;
        *last = cl;
        last = &cl->next;
    }

    inject->out = NULL;
    inject->last_out = &inject->out;

    for (cl = inject->busy; cl; cl = inject->busy) {
        b = cl->buf;

        if (b->pos != b->last) {
            return;
        }

        if (b->shadow) {
            ngx_http_refine_inject_consume(b->shadow);
        }

        inject->busy = cl->next;

        cl->next = inject->free;
        inject->free = cl;
    }
}


static void
ngx_http_refine_inject_consume(ngx_buf_t *b)
{
    b->pos = b->last;

    if (b->in_file) {
        b->file_pos = b->file_last;
    }
}


/* what is in inject->in, as far as there is room for it */

static ngx_int_t
ngx_http_refine_inject_inflate(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    while (inject->in) {
        cl = inject->in;
        b = cl->buf;

        if (ngx_buf_size(b)) {

            if (!ngx_buf_in_memory(b)) {
                return NGX_ERROR;
            }

            rc = ngx_http_refine_inject_feed(r, inject, b);

            if (rc != NGX_OK) {
                return rc;
            }

            ngx_http_refine_inject_consume(b);
            inject->fed = 0;
        }

        /* servers say gzip of an empty page, too */

        if (b->last_buf
            && inject->inflate
            && ngx_http_refine_inflate_end(inject->inflate) == NGX_AGAIN)
        {
            return NGX_DECLINED;
        }

        inject->in = cl->next;
        ngx_free_chain(r->pool, cl);

        if (ngx_http_refine_inject_flags(b)
            && ngx_http_refine_inject_plain(r, inject, b) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_inject_feed(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_buf_t *b)
{
    size_t      size;
    ngx_int_t   rc;
    ngx_buf_t  *plain;

    if (inject->inflate == NULL) {
        inject->inflate = ngx_http_refine_inflate_create(r->pool);
        if (inject->inflate == NULL) {
            return NGX_ERROR;
        }
    }

    if (!inject->fed) {
        ngx_http_refine_inflate_feed(inject->inflate, b->pos, b->last - b->pos);
        inject->fed = 1;
    }

    do {
        plain = ngx_http_refine_inject_room(r, inject);

        if (plain == NULL) {
            return NGX_AGAIN;
        }

        size = NGX_HTTP_REFINE_INJECT_BUF_SIZE;

        rc = ngx_http_refine_inflate_read(inject->inflate, plain->start, &size);

        plain->pos = plain->start;
        plain->last = plain->start + size;

        if (size && ngx_http_refine_inject_plain(r, inject, plain) != NGX_OK) {
            return NGX_ERROR;
        }

    } while (rc == NGX_OK);

    return (rc == NGX_AGAIN) ? NGX_OK : rc;
}


/* a buffer whose text has been sent, or a new one; NULL: there is none */

static ngx_buf_t *
ngx_http_refine_inject_room(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject)
{
    ngx_buf_t   *b;
    ngx_uint_t   i;

    for (i = 0; i < NGX_HTTP_REFINE_INJECT_BUFS; i++) {
        b = inject->bufs[i];

        if (b == NULL) {
            b = ngx_create_temp_buf(r->pool, NGX_HTTP_REFINE_INJECT_BUF_SIZE);
            inject->bufs[i] = b;
            return b;
        }

        if (b->pos == b->last) {
            return b;
        }
    }

    return NULL;
}
