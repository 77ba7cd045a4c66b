
/*
 * Level 1: what becomes of an HTML page while it streams by: which bytes pass,
 * where a serve container gets its id, where the head ends; and which items are
 * in which container.  It knows no request, and decides alike however the page
 * is cut into chunks.  design: 3.3.
 */


#ifndef _NGX_HTTP_REFINE_PAGE_H_INCLUDED_
#define _NGX_HTTP_REFINE_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event.h"
#include "ngx_http_refine_html.h"
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_items.h"


#define NGX_HTTP_REFINE_PAGE_MAX_SERVES  100    /* of a page */
#define NGX_HTTP_REFINE_PAGE_MAX_OPEN    16     /* within one another */
#define NGX_HTTP_REFINE_PAGE_MAX_HELD                                         \
    (NGX_HTTP_REFINE_HTML_MAX_TAG + 3)

#define NGX_HTTP_REFINE_PAGE_ID          " data-refine-serve-id=\""

/* of page->out with COPY: the id of a serve with what is around it, or held */
#define NGX_HTTP_REFINE_PAGE_MAX_TEXT    72


typedef enum {
    NGX_HTTP_REFINE_PAGE_AGAIN = 0,         /* the chunk is used up */
    NGX_HTTP_REFINE_PAGE_PASS,              /* page->out, of the chunk */
    NGX_HTTP_REFINE_PAGE_COPY,              /* page->out, until the next call */
    NGX_HTTP_REFINE_PAGE_HEAD,              /* the head ends here; once */
    NGX_HTTP_REFINE_PAGE_SERVE,             /* page->serve, without an id */
    NGX_HTTP_REFINE_PAGE_ERROR              /* no memory */
} ngx_http_refine_page_step_e;


typedef struct ngx_http_refine_page_serve_s  ngx_http_refine_page_serve_t;

struct ngx_http_refine_page_serve_s {
    ngx_http_refine_page_serve_t  *next;
    u_char                         id[NGX_HTTP_REFINE_UUID_LEN];
    ngx_str_t                      surface;     /* empty: not given */
    ngx_str_t                      source;
    ngx_http_refine_items_t        items;
};


/* an element that is a serve container */

typedef struct {
    uint64_t                       hash;        /* of its name */
    ngx_uint_t                     depth;       /* of elements so named */
    ngx_http_refine_page_serve_t  *serve;       /* NULL: not logged here */
} ngx_http_refine_page_open_t;


/* a value of the tag that is read, decoded */

typedef struct {
    size_t                         len;
    u_char                         data[NGX_HTTP_REFINE_EVENT_MAX_ID];
} ngx_http_refine_page_value_t;


typedef struct {
    /* for the caller to read */
    ngx_str_t                      out;
    ngx_http_refine_page_serve_t  *serve;       /* of the step SERVE */
    ngx_http_refine_page_serve_t  *serves;      /* all, as they came */
    ngx_uint_t                     nserves;
    ngx_uint_t                     beyond;      /* containers over the limit */
    unsigned                       script:1;    /* data-collect was there */
    unsigned                       meta:1;      /* and refine-serve-id */

    /* its own */
    unsigned                       ids:1;
    unsigned                       own:1;
    unsigned                       done:1;      /* nothing more to be done */
    unsigned                       dropped:1;   /* the value is too long */
    unsigned                       due;
    ngx_pool_t                    *pool;
    ngx_http_refine_page_serve_t **next;
    off_t                          passed;      /* bytes of the page */
    off_t                          upto;        /* which are to pass */
    size_t                         bytes;       /* of all ids of items */
    size_t                         nheld;
    size_t                         nraw;
    u_char                        *raw;         /* of a value that is cut */
    ngx_uint_t                     nopen;
    ngx_http_refine_page_value_t   item;
    ngx_http_refine_page_value_t   surface;
    ngx_http_refine_page_value_t   source;
    u_char                         held[NGX_HTTP_REFINE_PAGE_MAX_HELD];
    u_char                         text[NGX_HTTP_REFINE_PAGE_MAX_TEXT];
    ngx_http_refine_page_open_t    open[NGX_HTTP_REFINE_PAGE_MAX_OPEN];
    ngx_http_refine_items_t        items;       /* outside of containers */
    ngx_http_refine_html_t         html;
} ngx_http_refine_page_t;


/*
 * ids: containers are serves, and own: items outside of them are collected as
 * well, in page->items; without ids only the head's end is looked for.  Memory
 * is the pool's.
 */
void ngx_http_refine_page_init(ngx_http_refine_page_t *page, ngx_pool_t *pool,
    ngx_uint_t ids, ngx_uint_t own);

/* the next chunk, which stays where it is until next() has returned AGAIN */
void ngx_http_refine_page_input(ngx_http_refine_page_t *page, u_char *p,
    size_t len);

/* there is no further chunk; next() then gives what was held back */
void ngx_http_refine_page_end(ngx_http_refine_page_t *page);

/*
 * What comes next in the page that is sent; PASS and COPY are never empty.  At
 * SERVE the caller writes page->serve->id, which the next step will insert.
 */
ngx_http_refine_page_step_e ngx_http_refine_page_next(
    ngx_http_refine_page_t *page);

/* whether this is a page, and no part of one; at HEAD and later */
#define ngx_http_refine_page_whole(p)  ((p)->html.page)


#endif /* _NGX_HTTP_REFINE_PAGE_H_INCLUDED_ */
