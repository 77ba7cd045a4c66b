
/*
 * Level 5: what the parts of delivery share with each other: flush.c has the
 * timer and decides what is to be done, flush_pace.c keeps to the rate limit,
 * flush_claim.c gets batches from the queue and gives them back, flush_post.c
 * sends them and acts on the answers, flush_expire.c gives up what is too old.
 */


#ifndef _NGX_HTTP_REFINE_FLUSH_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_FLUSH_CORE_H_INCLUDED_


#include "ngx_http_refine_batch.h"
#include "ngx_http_refine_circuit.h"
#include "ngx_http_refine_flush.h"


typedef enum {
    NGX_HTTP_REFINE_FLUSH_CLAIM = 0,        /* what nobody has claimed yet */
    NGX_HTTP_REFINE_FLUSH_TAKEOVER          /* what was given back or lost */
} ngx_http_refine_flush_claim_e;


struct ngx_http_refine_flush_s {
    ngx_http_refine_catalog_t      *catalog;
    ngx_pool_t                     *pool;
    ngx_log_t                      *log;
    ngx_http_refine_http_t         *http;
    ngx_http_refine_queue_watch_t   watch;

    ngx_event_t                     timer;
    ngx_connection_t                dummy;      /* the timer's, for logs */

    uint64_t                        conf;       /* circuit.h */
    uint64_t                        who;

    ngx_str_t                       head;       /* room for a key at its end */
    ngx_str_t                       prefix;     /* up to sentAt's value */
    u_char                          sent_at[NGX_INT64_LEN];
    size_t                          sent_at_len;

    ngx_queue_t                     batches;    /* held, in order */
    ngx_uint_t                      in_flight;

    /* the circuit, as of this turn */
    ngx_http_refine_gate_e          gate;
    ngx_http_refine_circuit_e       state;
    ngx_msec_t                      retry_at;
    ngx_msec_t                      next_flush;
    ngx_msec_t                      own_flush;  /* without Redis, of this one */
    uint64_t                        passes;
    ngx_uint_t                      resumes;
    size_t                          bytes;

    ngx_http_refine_flush_claim_e   phase;      /* of the drain */
    ngx_http_refine_flush_claim_e   claim;      /* the one under way */
    ngx_uint_t                      claim_n;
    ngx_uint_t                      compared;   /* single claims in vain */
    ngx_msec_t                      wanted_at;  /* not earlier */
    ngx_msec_t                      pace_at;    /* the next permit */
    uint64_t                        seq;        /* of the permit: rate.h */
    size_t                          line_size;  /* an event's, on average */

    ngx_msec_t                      quit_at;
    time_t                          dead_logged;
    time_t                          expire_logged;
    ngx_uint_t                      expire_status;  /* of the dead letters */

    unsigned                        claiming:1;
    unsigned                        draining:1; /* the claim is the drain's */
    unsigned                        single:1;   /* the claim is a probe's */
    unsigned                        asking:1;   /* was sent during a pause */
    unsigned                        expiring:1; /* nothing is sent or claimed */

    unsigned                        drain:1;    /* claim until nothing comes */
    unsigned                        wanted:1;   /* the queue is long */
    unsigned                        permit:1;   /* for one POST */
    unsigned                        quitting:1;
    unsigned                        stopped:1;
};


/* does all that can be done now: the end of every event */
void ngx_http_refine_flush_run(ngx_http_refine_flush_t *flush);

/* reads the circuit; want: this worker would probe */
void ngx_http_refine_flush_look(ngx_http_refine_flush_t *flush,
    ngx_uint_t want);


/* flush_pace.c */

/*
 * Whether the rate limit permits a POST.  It is asked before the claim, so that
 * events gather in the queue while it does not, and a batch is the larger; the
 * permit is held until it is used or given back.
 */
ngx_uint_t ngx_http_refine_flush_permitted(ngx_http_refine_flush_t *flush);

/* for a POST that goes now, permitted or not; returns its number: rate.h */
uint64_t ngx_http_refine_flush_permit_use(ngx_http_refine_flush_t *flush);

void ngx_http_refine_flush_permit_return(ngx_http_refine_flush_t *flush);


/* flush_claim.c */

/* wants all that is queued, beginning with what was given back */
void ngx_http_refine_flush_drain(ngx_http_refine_flush_t *flush);

/* claims what is wanted, unless a claim is under way */
void ngx_http_refine_flush_fill(ngx_http_refine_flush_t *flush);

/*
 * Claims a single event to probe with instead of the batches that are set
 * aside.  0: there is none.
 */
ngx_uint_t ngx_http_refine_flush_compare(ngx_http_refine_flush_t *flush);

/* the attempt does not count; frees the batch */
void ngx_http_refine_flush_return(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);

/* of all batches, each time a third of claim_timeout has passed */
void ngx_http_refine_flush_renew(ngx_http_refine_flush_t *flush);


/* flush_post.c */

/* what all POSTs have in common, once */
ngx_int_t ngx_http_refine_flush_prepare(ngx_http_refine_flush_t *flush);

/* without memory the batch is tried again a second later */
void ngx_http_refine_flush_post(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);

/* ends a POST without an answer */
void ngx_http_refine_flush_cancel(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);

/*
 * While others pass: what was set aside is suspect, and what is suspect and
 * fails again is split.
 */
void ngx_http_refine_flush_settle(ngx_http_refine_flush_t *flush);


/* flush_expire.c */

/*
 * After a probe has failed with this status: gives up what is older than
 * retry_window, unless something is under way.
 */
void ngx_http_refine_flush_expire(ngx_http_refine_flush_t *flush,
    ngx_uint_t status);


#endif /* _NGX_HTTP_REFINE_FLUSH_CORE_H_INCLUDED_ */
