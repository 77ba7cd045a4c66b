
/*
 * Level 0: by which surface and source an item was found: a table of fixed
 * size, made for shared memory, from the hash of a serve's id, or of a visitor
 * and an item, to a label.  The oldest of a bucket gives way.
 *
 * Who calls holds the lock of the memory.  A label that is there never changes.
 */


#ifndef _NGX_HTTP_REFINE_TRACE_H_INCLUDED_
#define _NGX_HTTP_REFINE_TRACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_TRACE_WAYS    8
#define NGX_HTTP_REFINE_TRACE_SERVES  32768     /* buckets: 262144 serves */
#define NGX_HTTP_REFINE_TRACE_ITEMS   16384     /* 131072 items of visitors */

#define NGX_HTTP_REFINE_TRACE_NAME    64        /* surface, source */
#define NGX_HTTP_REFINE_TRACE_LABEL   (2 * NGX_HTTP_REFINE_TRACE_NAME + 2)
#define NGX_HTTP_REFINE_TRACE_OTHER   63        /* the number of the rest */


typedef enum {
    NGX_HTTP_REFINE_TRACE_SERVE = 0,
    NGX_HTTP_REFINE_TRACE_ITEM
} ngx_http_refine_trace_e;


/* zeros at first */

typedef struct {
    ngx_uint_t  nlabels;

    struct {
        size_t  len;
        u_char  text[NGX_HTTP_REFINE_TRACE_LABEL];
    } labels[NGX_HTTP_REFINE_TRACE_OTHER];    /* 0: unused */

    /* the hash but its last 6 bits, which are the label's number; 0: free */
    uint64_t    serves[NGX_HTTP_REFINE_TRACE_SERVES]
                      [NGX_HTTP_REFINE_TRACE_WAYS];
    uint64_t    items[NGX_HTTP_REFINE_TRACE_ITEMS][NGX_HTTP_REFINE_TRACE_WAYS];
} ngx_http_refine_trace_t;


/* the number of a label, from 1 on; the first 62 are told apart */
ngx_uint_t ngx_http_refine_trace_number(ngx_http_refine_trace_t *trace,
    ngx_str_t *surface, ngx_str_t *source);

/*
 * The surface and the source, each with a NUL behind it.  The text stays where
 * it is, and may be read without the lock.
 */
void ngx_http_refine_trace_label(ngx_http_refine_trace_t *trace,
    ngx_uint_t number, ngx_str_t *label);

void ngx_http_refine_trace_put(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash, ngx_uint_t number);

/* the number, or 0: it is not known (any more) */
ngx_uint_t ngx_http_refine_trace_get(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash);

/*
 * One bucket, the latest word first.  Words are the same when they are so in
 * the bits of the mask.  find: the word that is there, or 0.
 */
uint64_t ngx_http_refine_trace_find(uint64_t *bucket, uint64_t word,
    uint64_t mask);
void ngx_http_refine_trace_keep(uint64_t *bucket, uint64_t word,
    uint64_t mask);


#endif /* _NGX_HTTP_REFINE_TRACE_H_INCLUDED_ */
