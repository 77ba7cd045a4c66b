
#include "ngx_http_refine_funnel.h"


#define NGX_HTTP_REFINE_FUNNEL_VISITOR  128


static void ngx_http_refine_funnel_serve(ngx_shm_zone_t *zone,
    ngx_http_refine_event_t *ev);
static ngx_int_t ngx_http_refine_funnel_purchase(ngx_shm_zone_t *zone,
    ngx_pool_t *pool, ngx_http_refine_event_t *events, ngx_uint_t n);
static ngx_uint_t ngx_http_refine_funnel_number(ngx_shm_zone_t *zone,
    ngx_http_refine_trace_e kind, uint64_t key,
    ngx_http_refine_event_t *events, ngx_uint_t n);
static uint64_t ngx_http_refine_funnel_item(ngx_shm_zone_t *zone,
    ngx_str_t *visitor, ngx_str_t *item);


/* what a stored event is found by */

#define ngx_http_refine_funnel_kind(ev)                                       \
    ((ev)->type == NGX_HTTP_REFINE_ITEMS_SERVED                               \
     ? NGX_HTTP_REFINE_TRACE_SERVE : NGX_HTTP_REFINE_TRACE_ITEM)


ngx_int_t
ngx_http_refine_funnel_find(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    ngx_uint_t                number;
    ngx_http_refine_event_t  *ev;

    ev = &events[n];

    if (ev->type == NGX_HTTP_REFINE_ITEMS_SERVED) {
        ngx_http_refine_funnel_serve(zone, ev);
        return NGX_OK;
    }

    if (ev->type == NGX_HTTP_REFINE_PURCHASE) {
        return ngx_http_refine_funnel_purchase(zone, pool, events, n);
    }

    number = ngx_http_refine_funnel_number(zone, NGX_HTTP_REFINE_TRACE_SERVE,
                                           ngx_http_refine_shared_key(zone,
                                                               &ev->serve_id),
                                           events, n);
    if (number == 0) {
        return NGX_OK;
    }

    ngx_http_refine_trace_label(ngx_http_refine_shared_trace(zone), number,
                                &ev->labels);

    if (ev->type != NGX_HTTP_REFINE_VIEW && ev->visitor_id.len) {
        ev->label = number;
        ev->key = ngx_http_refine_funnel_item(zone, &ev->visitor_id,
                                              &ev->item_id);
    }

    return NGX_OK;
}


/* of an id that was made here nobody knows */

static void
ngx_http_refine_funnel_serve(ngx_shm_zone_t *zone, ngx_http_refine_event_t *ev)
{
    if (ev->made) {
        return;
    }

    ev->key = ngx_http_refine_shared_key(zone, &ev->id);

    (void) ngx_http_refine_shared_lock(zone);

    ev->label = ngx_http_refine_trace_number(ngx_http_refine_shared_trace(zone),
                                             &ev->surface, &ev->source);

    ngx_http_refine_shared_unlock(zone);
}


static ngx_int_t
ngx_http_refine_funnel_purchase(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    u_char                   *p;
    size_t                    size;
    ngx_str_t                 id, label;
    ngx_uint_t                i, k, found[NGX_HTTP_REFINE_TRACE_OTHER + 1];
    const cJSON              *item;
    ngx_http_refine_event_t  *ev;
    ngx_http_refine_trace_t  *trace;

    ev = &events[n];

    if (ev->visitor_id.len == 0) {
        return NGX_OK;
    }

    size = 0;
    trace = ngx_http_refine_shared_trace(zone);
    ngx_memzero(found, sizeof(found));

    for (item = ev->items; item; item = item->next) {

        if (ngx_http_refine_event_item_id(item, &id) != NGX_OK) {
            continue;
        }

        i = ngx_http_refine_funnel_number(zone, NGX_HTTP_REFINE_TRACE_ITEM,
                                          ngx_http_refine_funnel_item(zone,
                                                      &ev->visitor_id, &id),
                                          events, n);
        if (i) {
            found[i]++;
            ngx_http_refine_trace_label(trace, i, &label);
            size += label.len;
        }
    }

    if (size == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ev->labels.data = p;
    ev->labels.len = size;

    for (i = 1; i <= NGX_HTTP_REFINE_TRACE_OTHER; i++) {
        for (k = 0; k < found[i]; k++) {
            ngx_http_refine_trace_label(trace, i, &label);
            p = ngx_cpymem(p, label.data, label.len);
        }
    }

    return NGX_OK;
}


/* the latest first: the request's own, then those that are stored */

static ngx_uint_t
ngx_http_refine_funnel_number(ngx_shm_zone_t *zone,
    ngx_http_refine_trace_e kind, uint64_t key,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    ngx_uint_t  number;

    while (n--) {
        if (events[n].key == key && events[n].label
            && ngx_http_refine_funnel_kind(&events[n]) == kind)
        {
            return events[n].label;
        }
    }

    (void) ngx_http_refine_shared_lock(zone);

    number = ngx_http_refine_trace_get(ngx_http_refine_shared_trace(zone),
                                       kind, key);

    ngx_http_refine_shared_unlock(zone);

    return number;
}


/* ids have no NUL: no two pairs make the same text */

static uint64_t
ngx_http_refine_funnel_item(ngx_shm_zone_t *zone, ngx_str_t *visitor,
    ngx_str_t *item)
{
    u_char     *p, text[NGX_HTTP_REFINE_FUNNEL_VISITOR + 1
                        + NGX_HTTP_REFINE_EVENT_MAX_ID];
    ngx_str_t   pair;

    p = ngx_cpymem(text, visitor->data,
                   ngx_min(visitor->len, NGX_HTTP_REFINE_FUNNEL_VISITOR));
    *p++ = '\0';
    p = ngx_cpymem(p, item->data,
                   ngx_min(item->len, NGX_HTTP_REFINE_EVENT_MAX_ID));

    pair.data = text;
    pair.len = p - text;

    return ngx_http_refine_shared_key(zone, &pair);
}


void
ngx_http_refine_funnel_stored(ngx_shm_zone_t *zone,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    ngx_uint_t                i, locked;
    ngx_http_refine_trace_t  *trace;

    locked = 0;
    trace = ngx_http_refine_shared_trace(zone);

    for (i = 0; i < n; i++) {

        if (events[i].label == 0) {
            continue;
        }

        if (!locked) {
            (void) ngx_http_refine_shared_lock(zone);
            locked = 1;
        }

        ngx_http_refine_trace_put(trace,
                                  ngx_http_refine_funnel_kind(&events[i]),
                                  events[i].key, events[i].label);
    }

    if (locked) {
        ngx_http_refine_shared_unlock(zone);
    }
}
