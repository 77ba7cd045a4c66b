
/*
 * Level 2: from served to purchased: which surface and source what came of a
 * serve is counted by.  A click, view or add_to_cart is known by its serve; an
 * item of a purchase by what its visitor has clicked on or added to the cart,
 * the last time.  What is not known (any more) has no labels.
 */


#ifndef _NGX_HTTP_REFINE_FUNNEL_H_INCLUDED_
#define _NGX_HTTP_REFINE_FUNNEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event.h"
#include "ngx_http_refine_shared.h"


/*
 * Fills in labels, key and label of events[n]; those before it are of the same
 * request, and count as stored.  The labels of a purchase come from the pool,
 * others are in the zone.  NGX_OK, or NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_refine_funnel_find(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_http_refine_event_t *events, ngx_uint_t n);

/* what has been found is remembered: the events are stored now */
void ngx_http_refine_funnel_stored(ngx_shm_zone_t *zone,
    ngx_http_refine_event_t *events, ngx_uint_t n);


#endif /* _NGX_HTTP_REFINE_FUNNEL_H_INCLUDED_ */
