
/*
 * Level 1: the ids of the items that a response shows: checked, copied, each
 * once, in their order, and bounded.  design: 3.1, itemIds.
 */


#ifndef _NGX_HTTP_REFINE_ITEMS_H_INCLUDED_
#define _NGX_HTTP_REFINE_ITEMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event.h"
#include "ngx_http_refine_set.h"


#define NGX_HTTP_REFINE_ITEMS_MAX_BYTES  (64 * 1024)


/* set.strings and set.nstrings are the ids */

typedef struct {
    ngx_pool_t             *pool;
    u_char                 *pos;            /* free memory for ids */
    u_char                 *end;
    size_t                  bytes;          /* of all ids */
    size_t                  max;            /* of bytes */
    ngx_uint_t              truncated;      /* some were over a limit */
    ngx_http_refine_set_t   set;
} ngx_http_refine_items_t;


/* it points into itself: it must not be copied */
void ngx_http_refine_items_init(ngx_http_refine_items_t *items,
    ngx_pool_t *pool);

/* forgets all that was added; their memory is the pool's */
void ngx_http_refine_items_clear(ngx_http_refine_items_t *items);

/*
 * NGX_OK, the text is copied.  NGX_DECLINED: it is left out, for it could not
 * be the itemId of a click, is there already, or over a limit; beyond a limit
 * nothing more is taken, so that the places of the others stay.  NGX_ERROR: no
 * memory.  That it is UTF-8 is the caller's to know.
 */
ngx_int_t ngx_http_refine_items_add(ngx_http_refine_items_t *items,
    u_char *text, size_t len);


#endif /* _NGX_HTTP_REFINE_ITEMS_H_INCLUDED_ */
