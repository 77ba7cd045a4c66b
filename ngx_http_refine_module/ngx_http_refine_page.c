
#include "ngx_http_refine_page.h"
#include "ngx_http_refine_buf.h"


#define NGX_HTTP_REFINE_PAGE_MAX_RAW  2048      /* a value, as written */


/* what is to be done once the bytes before it have passed */

typedef enum {
    NGX_HTTP_REFINE_PAGE_DUE_NONE = 0,
    NGX_HTTP_REFINE_PAGE_DUE_HEAD,
    NGX_HTTP_REFINE_PAGE_DUE_SERVE,
    NGX_HTTP_REFINE_PAGE_DUE_ID,
    NGX_HTTP_REFINE_PAGE_DUE_AGAIN
} ngx_http_refine_page_due_e;


static ngx_http_refine_page_step_e ngx_http_refine_page_pass(
    ngx_http_refine_page_t *page);
static void ngx_http_refine_page_keep(ngx_http_refine_page_t *page);
static ngx_http_refine_page_step_e ngx_http_refine_page_id(
    ngx_http_refine_page_t *page);
static ngx_int_t ngx_http_refine_page_scan(ngx_http_refine_page_t *page);
static ngx_int_t ngx_http_refine_page_attr(ngx_http_refine_page_t *page);
static void ngx_http_refine_page_value(ngx_http_refine_page_t *page,
    ngx_str_t *raw);
static void ngx_http_refine_page_set(ngx_http_refine_page_value_t *value,
    u_char *text, size_t len, size_t max);
static ngx_int_t ngx_http_refine_page_tag(ngx_http_refine_page_t *page);
static ngx_int_t ngx_http_refine_page_item(ngx_http_refine_page_t *page);
static ngx_int_t ngx_http_refine_page_open(ngx_http_refine_page_t *page);
static ngx_http_refine_page_serve_t *ngx_http_refine_page_serve(
    ngx_http_refine_page_t *page);
static ngx_int_t ngx_http_refine_page_text(ngx_http_refine_page_t *page,
    ngx_str_t *text, ngx_http_refine_page_value_t *value);
static void ngx_http_refine_page_nest(ngx_http_refine_page_t *page);


#define ngx_http_refine_page_has(page, attr)                                  \
    ((page)->html.attrs & (1 << NGX_HTTP_REFINE_HTML_##attr))


void
ngx_http_refine_page_init(ngx_http_refine_page_t *page, ngx_pool_t *pool,
    ngx_uint_t ids, ngx_uint_t own)
{
    ngx_memzero(page, offsetof(ngx_http_refine_page_t, item));

    page->pool = pool;
    page->ids = ids;
    page->own = own;
    page->next = &page->serves;
    page->item.len = 0;
    page->surface.len = 0;
    page->source.len = 0;

    ngx_http_refine_items_init(&page->items, pool);

    ngx_http_refine_html_init(&page->html);
}


void
ngx_http_refine_page_input(ngx_http_refine_page_t *page, u_char *p, size_t len)
{
    ngx_http_refine_html_input(&page->html, p, len);

    if (page->done) {
        page->upto = ngx_http_refine_html_offset(&page->html,
                                                 page->html.last);
        page->due = NGX_HTTP_REFINE_PAGE_DUE_AGAIN;
    }
}


void
ngx_http_refine_page_end(ngx_http_refine_page_t *page)
{
    page->upto = page->passed + page->nheld;
    page->due = NGX_HTTP_REFINE_PAGE_DUE_AGAIN;
}


ngx_http_refine_page_step_e
ngx_http_refine_page_next(ngx_http_refine_page_t *page)
{
    for ( ;; ) {

        if (page->passed < page->upto) {
            return ngx_http_refine_page_pass(page);
        }

        switch (page->due) {

        case NGX_HTTP_REFINE_PAGE_DUE_NONE:
            if (ngx_http_refine_page_scan(page) != NGX_OK) {
                return NGX_HTTP_REFINE_PAGE_ERROR;
            }

            break;

        case NGX_HTTP_REFINE_PAGE_DUE_HEAD:
            page->due = NGX_HTTP_REFINE_PAGE_DUE_NONE;

            if (!page->ids) {
                page->done = 1;
                page->upto = ngx_http_refine_html_offset(&page->html,
                                                         page->html.last);
                page->due = NGX_HTTP_REFINE_PAGE_DUE_AGAIN;
            }

            return NGX_HTTP_REFINE_PAGE_HEAD;

        case NGX_HTTP_REFINE_PAGE_DUE_SERVE:
            page->due = NGX_HTTP_REFINE_PAGE_DUE_ID;
            return NGX_HTTP_REFINE_PAGE_SERVE;

        case NGX_HTTP_REFINE_PAGE_DUE_ID:
            page->due = NGX_HTTP_REFINE_PAGE_DUE_NONE;
            return ngx_http_refine_page_id(page);

        default: /* NGX_HTTP_REFINE_PAGE_DUE_AGAIN */
            page->due = NGX_HTTP_REFINE_PAGE_DUE_NONE;
            ngx_http_refine_page_keep(page);
            return NGX_HTTP_REFINE_PAGE_AGAIN;
        }
    }
}


/* what was held goes first, from a copy, for its chunk is gone */

static ngx_http_refine_page_step_e
ngx_http_refine_page_pass(ngx_http_refine_page_t *page)
{
    size_t  n;

    n = (size_t) (page->upto - page->passed);

    if (page->nheld) {
        n = ngx_min(n, page->nheld);

        ngx_memcpy(page->text, page->held, n);
        ngx_memmove(page->held, page->held + n, page->nheld - n);

        page->nheld -= n;
        page->passed += n;

        page->out.data = page->text;
        page->out.len = n;

        return NGX_HTTP_REFINE_PAGE_COPY;
    }

    page->out.data = page->html.first + (page->passed - page->html.base);
    page->out.len = n;
    page->passed += n;

    return NGX_HTTP_REFINE_PAGE_PASS;
}


/* the end of the chunk, which may turn out to end the head */

static void
ngx_http_refine_page_keep(ngx_http_refine_page_t *page)
{
    off_t    from;
    size_t   n;

    from = page->passed + page->nheld;
    n = (size_t) (ngx_http_refine_html_offset(&page->html, page->html.last)
                  - from);

    if (n) {
        ngx_memcpy(page->held + page->nheld,
                   page->html.first + (from - page->html.base), n);
        page->nheld += n;
    }
}


static ngx_http_refine_page_step_e
ngx_http_refine_page_id(ngx_http_refine_page_t *page)
{
    u_char  *p;

    p = page->text;

    /* behind "=" it would be the value, and a "/" has to stay the last */

    if (page->html.bare) {
        *p++ = '"';
        *p++ = '"';
    }

    p = ngx_cpymem(p, NGX_HTTP_REFINE_PAGE_ID,
                   sizeof(NGX_HTTP_REFINE_PAGE_ID) - 1);
    p = ngx_cpymem(p, page->serve->id, NGX_HTTP_REFINE_UUID_LEN);
    *p++ = '"';

    if (page->html.slash) {
        *p++ = '/';
    }

    page->out.data = page->text;
    page->out.len = p - page->text;

    return NGX_HTTP_REFINE_PAGE_COPY;
}


static ngx_int_t
ngx_http_refine_page_scan(ngx_http_refine_page_t *page)
{
    ngx_int_t                rc;
    ngx_http_refine_html_t  *html;

    html = &page->html;
    rc = NGX_OK;

    do {
        switch (ngx_http_refine_html_next(html)) {

        case NGX_HTTP_REFINE_HTML_HEAD_END:
            page->upto = html->start;
            page->due = NGX_HTTP_REFINE_PAGE_DUE_HEAD;
            break;

        case NGX_HTTP_REFINE_HTML_VALUE:
            rc = ngx_http_refine_page_attr(page);
            break;

        case NGX_HTTP_REFINE_HTML_TAG:

            if (html->attrs || page->nopen) {
                rc = ngx_http_refine_page_tag(page);
            }

            break;

        default: /* NGX_HTTP_REFINE_HTML_AGAIN */
            page->upto = ngx_http_refine_html_offset(html, html->last)
                         - ngx_http_refine_html_held(html);
            page->due = NGX_HTTP_REFINE_PAGE_DUE_AGAIN;
        }

    } while (rc == NGX_OK && page->due == NGX_HTTP_REFINE_PAGE_DUE_NONE);

    return rc;
}


/* a piece of a value, mostly all of it */

static ngx_int_t
ngx_http_refine_page_attr(ngx_http_refine_page_t *page)
{
    ngx_str_t                raw;
    ngx_http_refine_html_t  *html;

    html = &page->html;
    raw = html->text;

    if (html->inert || html->attr == NGX_HTTP_REFINE_HTML_SERVE_ID) {
        return NGX_OK;
    }

    if (html->more || page->nraw || page->dropped) {

        if (page->raw == NULL) {
            page->raw = ngx_pnalloc(page->pool, NGX_HTTP_REFINE_PAGE_MAX_RAW);
            if (page->raw == NULL) {
                return NGX_ERROR;
            }
        }

        if (page->dropped
            || raw.len > NGX_HTTP_REFINE_PAGE_MAX_RAW - page->nraw)
        {
            page->dropped = 1;

        } else {
            ngx_memcpy(page->raw + page->nraw, raw.data, raw.len);
            page->nraw += raw.len;
        }

        if (html->more) {
            return NGX_OK;
        }

        raw.data = page->raw;
        raw.len = page->dropped ? 0 : page->nraw;

        page->nraw = 0;
        page->dropped = 0;
    }

    ngx_http_refine_page_value(page, &raw);

    return NGX_OK;
}


static void
ngx_http_refine_page_value(ngx_http_refine_page_t *page, ngx_str_t *raw)
{
    size_t  len;
    u_char  text[NGX_HTTP_REFINE_PAGE_MAX_RAW];

    static const ngx_str_t  name = ngx_string("refine-serve-id");

    len = sizeof(text);

    if (raw->len > NGX_HTTP_REFINE_PAGE_MAX_RAW
        || ngx_http_refine_html_decode(text, &len, raw->data, raw->len)
           != NGX_OK
        || !ngx_http_refine_buf_is_text(text, len))
    {
        len = 0;
    }

    switch (page->html.attr) {

    case NGX_HTTP_REFINE_HTML_ITEM:

        if (len <= NGX_HTTP_REFINE_EVENT_MAX_ID) {
            ngx_http_refine_page_set(&page->item, text, len, len);
        }

        break;

    case NGX_HTTP_REFINE_HTML_SURFACE:
        ngx_http_refine_page_set(&page->surface, text, len,
                                 NGX_HTTP_REFINE_EVENT_MAX_NAME);
        break;

    case NGX_HTTP_REFINE_HTML_SOURCE:
        ngx_http_refine_page_set(&page->source, text, len,
                                 NGX_HTTP_REFINE_EVENT_MAX_NAME);
        break;

    default: /* NGX_HTTP_REFINE_HTML_NAME */

        if (len == name.len && ngx_memcmp(text, name.data, len) == 0) {
            page->meta = 1;
        }
    }
}


/* longer text is cut between two characters */

static void
ngx_http_refine_page_set(ngx_http_refine_page_value_t *value, u_char *text,
    size_t len, size_t max)
{
    if (len > max) {
        len = max;

        while (len && (text[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    ngx_memcpy(value->data, text, len);
    value->len = len;
}


static ngx_int_t
ngx_http_refine_page_tag(ngx_http_refine_page_t *page)
{
    ngx_int_t                rc;
    ngx_http_refine_html_t  *html;

    html = &page->html;
    rc = NGX_OK;

    if (html->inert) {
        goto done;      /* of <template> itself there are values */
    }

    if (html->tag == NGX_HTTP_REFINE_HTML_SCRIPT
        && ngx_http_refine_page_has(page, COLLECT))
    {
        page->script = 1;
    }

    if (!page->ids) {
        return NGX_OK;
    }

    /* an item that is a container itself belongs to the one around it */

    if (page->item.len) {
        rc = ngx_http_refine_page_item(page);
    }

    if (ngx_http_refine_page_has(page, SERVE)) {

        if (rc == NGX_OK) {
            rc = ngx_http_refine_page_open(page);
        }

    } else if (page->nopen) {
        ngx_http_refine_page_nest(page);
    }

done:

    page->item.len = 0;
    page->surface.len = 0;
    page->source.len = 0;

    return rc;
}


static ngx_int_t
ngx_http_refine_page_item(ngx_http_refine_page_t *page)
{
    size_t                         bytes;
    ngx_int_t                      rc;
    ngx_http_refine_items_t       *items;
    ngx_http_refine_page_serve_t  *serve;

    if (page->nopen) {
        serve = page->open[page->nopen - 1].serve;
        items = serve ? &serve->items : NULL;

    } else {
        items = page->own ? &page->items : NULL;
    }

    if (items == NULL) {
        return NGX_OK;
    }

    /* the limit of bytes is the page's */

    bytes = items->bytes;
    items->max = bytes + (NGX_HTTP_REFINE_ITEMS_MAX_BYTES - page->bytes);

    rc = ngx_http_refine_items_add(items, page->item.data, page->item.len);

    page->bytes += items->bytes - bytes;

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_refine_page_open(ngx_http_refine_page_t *page)
{
    ngx_http_refine_html_t        *html;
    ngx_http_refine_page_open_t   *open;
    ngx_http_refine_page_serve_t  *serve;

    html = &page->html;
    serve = NULL;

    /* one that has an id is logged by whoever gave it */

    if (!ngx_http_refine_page_has(page, SERVE_ID)) {

        if (page->nserves == NGX_HTTP_REFINE_PAGE_MAX_SERVES
            || (page->nopen == NGX_HTTP_REFINE_PAGE_MAX_OPEN && !html->empty))
        {
            page->beyond++;

        } else {
            serve = ngx_http_refine_page_serve(page);
            if (serve == NULL) {
                return NGX_ERROR;
            }
        }
    }

    if (page->nopen == NGX_HTTP_REFINE_PAGE_MAX_OPEN) {
        ngx_http_refine_page_nest(page);
        return NGX_OK;
    }

    if (!html->empty) {
        open = &page->open[page->nopen++];
        open->hash = html->hash;
        open->depth = 1;
        open->serve = serve;
    }

    return NGX_OK;
}


static ngx_http_refine_page_serve_t *
ngx_http_refine_page_serve(ngx_http_refine_page_t *page)
{
    ngx_http_refine_page_serve_t  *serve;

    serve = ngx_palloc(page->pool, sizeof(ngx_http_refine_page_serve_t));
    if (serve == NULL) {
        return NULL;
    }

    serve->next = NULL;

    if (ngx_http_refine_page_text(page, &serve->surface, &page->surface)
        != NGX_OK
        || ngx_http_refine_page_text(page, &serve->source, &page->source)
           != NGX_OK)
    {
        return NULL;
    }

    ngx_http_refine_items_init(&serve->items, page->pool);

    *page->next = serve;
    page->next = &serve->next;
    page->nserves++;

    page->serve = serve;
    page->upto = ngx_http_refine_html_offset(&page->html, page->html.pos);
    page->due = NGX_HTTP_REFINE_PAGE_DUE_SERVE;

    return serve;
}


static ngx_int_t
ngx_http_refine_page_text(ngx_http_refine_page_t *page, ngx_str_t *text,
    ngx_http_refine_page_value_t *value)
{
    ngx_str_null(text);

    if (value->len == 0) {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(page->pool, value->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, value->data, value->len);
    text->len = value->len;

    return NGX_OK;
}


/*
 * A container ends where its own name balances.  An end tag is that of the
 * innermost that is so named; those within end with it.
 */

static void
ngx_http_refine_page_nest(ngx_http_refine_page_t *page)
{
    ngx_uint_t               i;
    ngx_http_refine_html_t  *html;

    html = &page->html;

    if (html->empty) {
        return;
    }

    for (i = page->nopen; i; i--) {

        if (page->open[i - 1].hash != html->hash) {
            continue;
        }

        if (!html->end) {
            page->open[i - 1].depth++;

        } else if (--page->open[i - 1].depth == 0) {
            page->nopen = i - 1;
        }

        return;
    }
}
