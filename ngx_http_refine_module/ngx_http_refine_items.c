
#include "ngx_http_refine_items.h"


static u_char *ngx_http_refine_items_room(ngx_http_refine_items_t *items,
    size_t len);


void
ngx_http_refine_items_init(ngx_http_refine_items_t *items, ngx_pool_t *pool)
{
    items->pool = pool;
    items->pos = NULL;
    items->end = NULL;
    items->max = NGX_HTTP_REFINE_ITEMS_MAX_BYTES;

    ngx_http_refine_items_clear(items);
}


void
ngx_http_refine_items_clear(ngx_http_refine_items_t *items)
{
    items->bytes = 0;
    items->truncated = 0;

    (void) ngx_http_refine_set_init(&items->set, items->pool, 0);
}


ngx_int_t
ngx_http_refine_items_add(ngx_http_refine_items_t *items, u_char *text,
    size_t len)
{
    size_t      i;
    u_char     *p;
    ngx_int_t   rc;

    if (items->truncated || len == 0 || len > NGX_HTTP_REFINE_EVENT_MAX_ID) {
        return NGX_DECLINED;
    }

    for (i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f) {
            return NGX_DECLINED;
        }
    }

    p = ngx_http_refine_items_room(items, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text, len);

    rc = ngx_http_refine_set_add(&items->set, p, len);

    if (rc != NGX_OK) {
        return rc;
    }

    if (items->set.nstrings > NGX_HTTP_REFINE_EVENT_MAX_ITEMS
        || items->bytes + len > items->max)
    {
        items->set.nstrings--;
        items->truncated = 1;
        return NGX_DECLINED;
    }

    items->pos += len;
    items->bytes += len;

    return NGX_OK;
}


/* len bytes at items->pos, which stay free until it is moved */

static u_char *
ngx_http_refine_items_room(ngx_http_refine_items_t *items, size_t len)
{
    size_t  size;

    if ((size_t) (items->end - items->pos) >= len) {
        return items->pos;
    }

    size = ngx_max(ngx_max(len, 256), ngx_min(items->bytes, 8192));

    items->pos = ngx_pnalloc(items->pool, size);

    if (items->pos == NULL) {
        items->end = NULL;
        return NULL;
    }

    items->end = items->pos + size;

    return items->pos;
}
