
/*
 * Level 4: a batch: claimed events that are sent in one POST.
 */


#ifndef _NGX_HTTP_REFINE_BATCH_H_INCLUDED_
#define _NGX_HTTP_REFINE_BATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_http.h"
#include "ngx_http_refine_queue.h"


#define NGX_HTTP_REFINE_BATCH_KEY  64


/* the memory of a claim, shared by the batches cut from it */

typedef struct {
    ngx_pool_t                      *pool;
    ngx_uint_t                       batches;
} ngx_http_refine_batch_source_t;


typedef struct {
    ngx_queue_t                      queue;
    ngx_http_refine_batch_source_t  *source;
    void                            *owner;

    ngx_http_refine_entry_t         *entries;
    ngx_uint_t                       n;
    size_t                           size;      /* of the lines and commas */

    ngx_http_refine_http_post_t     *post;      /* NULL: not under way */
    uint64_t                         seq;       /* of the POST: rate.h */

    ngx_uint_t                       errors;    /* 5xx, or no answer */
    ngx_uint_t                       tries;     /* not counted ones, too */
    ngx_uint_t                       refused;   /* 400, 422 as a probe */
    ngx_uint_t                       resumes;   /* the circuit's at the POST */

    /*
     * The circuit's passes when the batch became suspect: with more of them
     * others pass and it does not.
     */
    uint64_t                         mark;
    uint64_t                         since;     /* the same, before any split */

    ngx_msec_t                       retry_at;  /* of a suspect */
    ngx_msec_t                       posted_at;
    ngx_msec_t                       renewed;

    unsigned                         probe:1;
    unsigned                         suspect:1;
    unsigned                         aside:1;   /* while another one probes */
} ngx_http_refine_batch_t;


/*
 * Cuts a claim into batches of at most max_n events and max_size bytes (one
 * event at least) and appends them to the list.  Takes claim->pool over,
 * whether it succeeds or not.
 */
ngx_int_t ngx_http_refine_batch_cut(ngx_http_refine_claim_t *claim,
    ngx_queue_t *list, void *owner, ngx_uint_t max_n, size_t max_size,
    ngx_log_t *log);

/* the second half becomes a batch of its own, next in the list */
ngx_int_t ngx_http_refine_batch_split(ngx_http_refine_batch_t *batch,
    ngx_log_t *log);

/* takes events out of it, the last of which frees it */
void ngx_http_refine_batch_drop(ngx_http_refine_batch_t *batch,
    ngx_str_t *ids, ngx_uint_t n);

/* takes it off its list */
void ngx_http_refine_batch_free(ngx_http_refine_batch_t *batch);

/* the hex SHA-256 of the event ids in order */
ngx_int_t ngx_http_refine_batch_key(ngx_http_refine_batch_t *batch,
    u_char key[NGX_HTTP_REFINE_BATCH_KEY]);

/* writes the lines with commas in between: batch->size bytes, one less */
u_char *ngx_http_refine_batch_lines(ngx_http_refine_batch_t *batch, u_char *p);


#endif /* _NGX_HTTP_REFINE_BATCH_H_INCLUDED_ */
