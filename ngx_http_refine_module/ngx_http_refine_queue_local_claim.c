
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


static ngx_uint_t ngx_http_refine_local_answer_one(
    ngx_http_refine_queue_t *queue, ngx_http_refine_asked_t *asked);
static ngx_int_t ngx_http_refine_local_take(ngx_http_refine_queue_t *queue,
    ngx_queue_t *list, ngx_uint_t n, ngx_http_refine_claim_t *claim);
static ngx_http_refine_window_t *ngx_http_refine_local_window(
    ngx_http_refine_queue_t *queue);
static void ngx_http_refine_local_items(ngx_http_refine_queue_t *queue,
    ngx_http_refine_window_t *window);
static ngx_uint_t ngx_http_refine_local_partial(
    ngx_http_refine_local_t *local, ngx_uint_t *items);
static void ngx_http_refine_local_pack(ngx_http_refine_local_t *local,
    ngx_uint_t nwindows, ngx_uint_t records);


void
ngx_http_refine_local_claim(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_uint_t takeover, ngx_http_refine_claim_pt handler, void *data)
{
    ngx_http_refine_asked_t  *asked;
    ngx_http_refine_claim_t   claim;

    asked = ngx_alloc(sizeof(ngx_http_refine_asked_t), queue->log);

    if (asked == NULL) {
        ngx_memzero(&claim, sizeof(ngx_http_refine_claim_t));
        claim.failed = 1;
        handler(data, &claim);
        return;
    }

    asked->n = n;
    asked->takeover = takeover;
    asked->handler = handler;
    asked->data = data;

    ngx_queue_insert_tail(&queue->local->asked, &asked->queue);
    ngx_http_refine_local_post(queue);
}


void
ngx_http_refine_local_answer(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t              *q;
    ngx_http_refine_local_t  *local;
    ngx_http_refine_asked_t  *asked;

    local = queue->local;

    while (!ngx_queue_empty(&local->asked)) {
        q = ngx_queue_head(&local->asked);
        asked = ngx_queue_data(q, ngx_http_refine_asked_t, queue);

        if (!ngx_http_refine_local_answer_one(queue, asked)) {
            return;
        }
    }

    local->end = 0;
}


ngx_uint_t
ngx_http_refine_local_room(ngx_http_refine_queue_t *queue)
{
    return !queue->local->end
           && queue->local->nwindows < NGX_HTTP_REFINE_LOCAL_WINDOWS
           && !ngx_exiting && !queue->closing;
}


/* 0: it waits for what is read from the disk */

static ngx_uint_t
ngx_http_refine_local_answer_one(ngx_http_refine_queue_t *queue,
    ngx_http_refine_asked_t *asked)
{
    ngx_queue_t              *list;
    ngx_http_refine_asked_t   one;
    ngx_http_refine_claim_t   claim;
    ngx_http_refine_local_t  *local;

    local = queue->local;
    list = asked->takeover ? &local->returned : &local->fresh;

    ngx_memzero(&claim, sizeof(ngx_http_refine_claim_t));

    if (queue->closing) {
        claim.failed = 1;

    } else if (local->ledger.data->paused) {
        claim.paused = 1;

    } else if (ngx_exiting) {

        /* what nobody has claimed is left to others, maybe at this moment */

    } else if (!ngx_queue_empty(list)) {

        if (ngx_http_refine_local_take(queue, list, asked->n, &claim)
            != NGX_OK)
        {
            claim.failed = 1;
        }

        claim.cut = !ngx_queue_empty(list)
                    || (!asked->takeover
                        && ngx_http_refine_local_room(queue));

    } else if (!asked->takeover && ngx_http_refine_local_room(queue)) {
        local->read = 1;
        ngx_http_refine_queue_spool_run(queue);
        return 0;
    }

    if (!asked->takeover && !local->end
        && local->nwindows == NGX_HTTP_REFINE_LOCAL_WINDOWS)
    {
        local->more = 1;
    }

    one = *asked;

    ngx_queue_remove(&asked->queue);
    ngx_free(asked);

    one.handler(one.data, &claim);

    return 1;
}


static ngx_int_t
ngx_http_refine_local_take(ngx_http_refine_queue_t *queue, ngx_queue_t *list,
    ngx_uint_t n, ngx_http_refine_claim_t *claim)
{
    u_char                   *p;
    ngx_queue_t              *q;
    ngx_http_refine_item_t   *item;
    ngx_http_refine_entry_t  *entry;

    claim->pool = ngx_create_pool(4096, queue->log);
    if (claim->pool == NULL) {
        return NGX_ERROR;
    }

    claim->entries = ngx_palloc(claim->pool,
                                n * sizeof(ngx_http_refine_entry_t));

    while (claim->entries && claim->nentries < n && !ngx_queue_empty(list)) {
        q = ngx_queue_head(list);
        item = ngx_queue_data(q, ngx_http_refine_item_t, queue);

        p = ngx_pnalloc(claim->pool, 48 + item->line.len);
        if (p == NULL) {
            break;
        }

        entry = &claim->entries[claim->nentries++];

        entry->id.data = p;
        p = ngx_http_refine_local_id(item, p);
        entry->id.len = p - entry->id.data;

        entry->line.data = p;
        entry->line.len = item->line.len;
        ngx_memcpy(p, item->line.data, item->line.len);

        entry->attempts = ++item->attempts;

        ngx_queue_remove(q);
        item->state = NGX_HTTP_REFINE_ITEM_CLAIMED;
        queue->local->nclaimed++;
    }

    ngx_http_refine_local_row(queue);

    if (claim->nentries) {
        return NGX_OK;
    }

    ngx_destroy_pool(claim->pool);
    claim->pool = NULL;

    return NGX_ERROR;
}


u_char *
ngx_http_refine_local_id(ngx_http_refine_item_t *item, u_char *p)
{
    return ngx_sprintf(p, "%uL-%ui", item->window->id,
                       (ngx_uint_t) (item - item->window->items));
}


ngx_http_refine_item_t *
ngx_http_refine_local_item(ngx_http_refine_queue_t *queue, ngx_str_t *id)
{
    u_char                    *p, *last;
    uint64_t                   n[2];
    ngx_uint_t                 part;
    ngx_queue_t               *q, *list;
    ngx_http_refine_window_t  *window;

    n[0] = 0;
    n[1] = 0;
    part = 0;
    last = id->data + id->len;

    for (p = id->data; p < last; p++) {
        if (*p == '-') {
            part = 1;

        } else {
            n[part] = n[part] * 10 + (*p - '0');
        }
    }

    list = &queue->local->windows;

    for (q = ngx_queue_head(list);
         q != ngx_queue_sentinel(list);
         q = ngx_queue_next(q))
    {
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);

        if (window->id == n[0] && n[1] < window->n) {
            return window->items[n[1]].state == NGX_HTTP_REFINE_ITEM_CLAIMED
                   ? &window->items[n[1]] : NULL;
        }
    }

    return NULL;
}


/* what a job has read, or not */

void
ngx_http_refine_local_read(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_local_t   *local;
    ngx_http_refine_window_t  *window;

    local = queue->local;

    if (queue->disk.job.rc != NGX_OK || queue->closing) {
        local->end = 1;
        return;
    }

    window = ngx_http_refine_local_window(queue);

    if (window == NULL) {

        /* for want of memory: others may read it, or this worker later */

        local->end = 1;
        ngx_http_refine_spool_leave(queue->disk.spool);
        return;
    }

    local->unread -= ngx_min(local->unread, (int64_t) window->n);
    local->unread_at = local->unread ? ngx_http_refine_local_now() : 0;
    local->nwindows++;

    ngx_queue_insert_tail(&local->windows, &window->queue);

    ngx_http_refine_local_row(queue);
}


static ngx_http_refine_window_t *
ngx_http_refine_local_window(ngx_http_refine_queue_t *queue)
{
    size_t                           size;
    ngx_uint_t                       i, j, n;
    ngx_http_refine_window_t        *window;
    ngx_http_refine_spool_record_t  *record;

    n = 0;
    size = 0;

    for (i = 0; i < queue->disk.job.n; i++) {
        record = &queue->disk.job.records[i];
        n += record->n;
        size += record->n;

        for (j = 0; j < record->nargs; j++) {
            size += record->args[j].len;
        }
    }

    window = ngx_alloc(sizeof(ngx_http_refine_window_t)
                       + n * sizeof(ngx_http_refine_item_t) + size,
                       queue->log);
    if (window == NULL) {
        return NULL;
    }

    window->id = ++queue->local->last_id;
    window->place = queue->disk.job.place;
    window->n = n;
    window->left = n;
    window->items = (ngx_http_refine_item_t *) (window + 1);

    ngx_memzero(window->items, n * sizeof(ngx_http_refine_item_t));

    ngx_http_refine_local_items(queue, window);

    return window;
}


static void
ngx_http_refine_local_items(ngx_http_refine_queue_t *queue,
    ngx_http_refine_window_t *window)
{
    u_char                          *p;
    ngx_str_t                       *arg, *last;
    ngx_uint_t                       i, j;
    ngx_http_refine_item_t          *item;
    ngx_http_refine_spool_record_t  *record;

    item = window->items;
    p = (u_char *) (item + window->n);

    for (i = 0; i < queue->disk.job.n; i++) {
        record = &queue->disk.job.records[i];
        arg = record->args;
        last = arg + record->nargs;

        for (j = 0; j < record->n; j++, item++) {
            item->window = window;
            item->type = p;
            *p++ = record->types[j];

            item->line.data = p;
            item->line.len = arg < last ? arg->len : 0;
            p = ngx_cpymem(p, arg->data, item->line.len);
            arg++;

            item->at = ngx_http_refine_event_received(&item->line);

            if (ngx_http_refine_surface_argued(*item->type) && arg < last) {
                item->label.data = p;
                item->label.len = arg->len;
                p = ngx_cpymem(p, arg->data, arg->len);
                arg++;
            }

            ngx_queue_insert_tail(&queue->local->fresh, &item->queue);
        }
    }
}


void
ngx_http_refine_local_finish(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t *item)
{
    if (item->state == NGX_HTTP_REFINE_ITEM_FREE) {
        ngx_queue_remove(&item->queue);

    } else {
        queue->local->nclaimed--;
    }

    item->state = NGX_HTTP_REFINE_ITEM_FINISHED;
    item->window->left--;
}


void
ngx_http_refine_local_finished(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t               *q;
    ngx_http_refine_local_t   *local;
    ngx_http_refine_window_t  *window;

    local = queue->local;

    while (!ngx_queue_empty(&local->windows)) {
        q = ngx_queue_head(&local->windows);
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);

        if (window->left) {
            break;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&local->finished, q);
    }

    ngx_http_refine_local_row(queue);

    if (!ngx_queue_empty(&local->finished)) {
        ngx_http_refine_queue_spool_run(queue);
    }
}


void
ngx_http_refine_local_return(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n, ngx_uint_t counted)
{
    ngx_uint_t               i;
    ngx_http_refine_item_t  *item;

    for (i = 0; i < n; i++) {
        item = ngx_http_refine_local_item(queue, &entries[i].id);

        if (item == NULL) {
            continue;
        }

        item->state = NGX_HTTP_REFINE_ITEM_FREE;
        item->attempts = entries[i].attempts;

        if (!counted && item->attempts) {
            item->attempts--;
        }

        ngx_queue_insert_tail(&queue->local->returned, &item->queue);
        queue->local->nclaimed--;
    }

    ngx_http_refine_local_row(queue);
}


/* up to which window; items: how many of these are not finished */

static ngx_uint_t
ngx_http_refine_local_partial(ngx_http_refine_local_t *local,
    ngx_uint_t *items)
{
    ngx_uint_t                 n, partial, left;
    ngx_queue_t               *q;
    ngx_http_refine_window_t  *window;

    n = 0;
    left = 0;
    partial = 0;
    *items = 0;

    for (q = ngx_queue_head(&local->windows);
         q != ngx_queue_sentinel(&local->windows);
         q = ngx_queue_next(q))
    {
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);

        n++;
        left += window->left;

        if (window->left < window->n) {
            partial = n;
            *items = left;
        }
    }

    return partial;
}


void
ngx_http_refine_local_move(ngx_http_refine_queue_t *queue)
{
    size_t                    size;
    ngx_uint_t                n, items, records;
    ngx_http_refine_local_t  *local;

    local = queue->local;

    local->nmoved = 0;
    local->nplaces = 0;

    n = ngx_http_refine_local_partial(local, &items);

    if (n == 0) {
        return;
    }

    records = (items + NGX_HTTP_REFINE_LOCAL_RECORD - 1)
              / NGX_HTTP_REFINE_LOCAL_RECORD;

    size = records * (sizeof(ngx_http_refine_spool_record_t)
                      + NGX_HTTP_REFINE_LOCAL_RECORD
                        * (2 * sizeof(ngx_str_t) + 1));

    local->moved = ngx_alloc(size + 1, queue->log);

    if (local->moved) {
        ngx_http_refine_local_pack(local, n, records);
    }
}


static void
ngx_http_refine_local_pack(ngx_http_refine_local_t *local, ngx_uint_t nwindows,
    ngx_uint_t records)
{
    u_char                          *types;
    ngx_str_t                       *args;
    ngx_uint_t                       i, n;
    ngx_queue_t                     *q;
    ngx_http_refine_item_t          *item;
    ngx_http_refine_window_t        *window;
    ngx_http_refine_spool_record_t  *record;

    n = 0;
    record = NULL;
    args = (ngx_str_t *) (local->moved + records);
    types = (u_char *) (args + 2 * NGX_HTTP_REFINE_LOCAL_RECORD * records);

    for (q = ngx_queue_head(&local->windows);
         local->nplaces < nwindows;
         q = ngx_queue_next(q))
    {
        window = ngx_queue_data(q, ngx_http_refine_window_t, queue);
        local->places[local->nplaces++] = window->place;

        for (i = 0; i < window->n; i++) {
            item = &window->items[i];

            if (item->state == NGX_HTTP_REFINE_ITEM_FINISHED) {
                continue;
            }

            if (n++ % NGX_HTTP_REFINE_LOCAL_RECORD == 0) {
                record = &local->moved[local->nmoved++];

                record->n = 0;
                record->nargs = 0;
                record->args = args;
                record->types = types;
            }

            record->n++;
            *types++ = *item->type;

            record->nargs++;
            *args++ = item->line;

            if (item->label.data) {
                record->nargs++;
                *args++ = item->label;
            }
        }
    }
}


void
ngx_http_refine_local_forget(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                i;
    ngx_queue_t              *q, *list;
    ngx_http_refine_local_t  *local;

    local = queue->local;

    for (i = 0; i < 2; i++) {
        list = i ? &local->windows : &local->finished;

        while (!ngx_queue_empty(list)) {
            q = ngx_queue_head(list);
            ngx_queue_remove(q);

            ngx_free(ngx_queue_data(q, ngx_http_refine_window_t, queue));
        }
    }

    ngx_queue_init(&local->fresh);
    ngx_queue_init(&local->returned);

    local->nwindows = 0;
    local->nclaimed = 0;

    ngx_http_refine_local_row(queue);
}
