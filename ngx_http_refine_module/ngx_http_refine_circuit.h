
/*
 * Level 0: the state of a catalog's delivery that all workers share: whether
 * Refine takes events, who may try, and when.  Plain data and functions: the
 * caller holds the lock.  Times are ngx_current_msec, which is one clock for
 * all processes.  design: section 5.
 */


#ifndef _NGX_HTTP_REFINE_CIRCUIT_H_INCLUDED_
#define _NGX_HTTP_REFINE_CIRCUIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_rate.h"


#define NGX_HTTP_REFINE_BATCH_BYTES         (512 * 1024)
#define NGX_HTTP_REFINE_BATCH_BYTES_MIN     4096

#define NGX_HTTP_REFINE_CIRCUIT_BACKOFF_MAX 60000
#define NGX_HTTP_REFINE_CIRCUIT_HOLD        60000
#define NGX_HTTP_REFINE_CIRCUIT_LEASE       5000
#define NGX_HTTP_REFINE_CIRCUIT_CONFS       8
#define NGX_HTTP_REFINE_CIRCUIT_ERROR       96


typedef enum {
    NGX_HTTP_REFINE_CIRCUIT_UNKNOWN = 0,    /* nothing was sent yet */
    NGX_HTTP_REFINE_CIRCUIT_UP,
    NGX_HTTP_REFINE_CIRCUIT_BACKOFF,        /* an outage */
    NGX_HTTP_REFINE_CIRCUIT_HELD            /* refused: see the error log */
} ngx_http_refine_circuit_e;


/* what a worker may do now */

typedef enum {
    NGX_HTTP_REFINE_GATE_OPEN = 0,
    NGX_HTTP_REFINE_GATE_PROBE,             /* one batch */
    NGX_HTTP_REFINE_GATE_WAIT,              /* one batch, but later */
    NGX_HTTP_REFINE_GATE_CLOSED,            /* nothing, another one tries */
    NGX_HTTP_REFINE_GATE_PAUSED
} ngx_http_refine_gate_e;


typedef struct {
    ngx_http_refine_circuit_e  state;

    /*
     * The configuration in use, as a hash of what Refine judges a POST by, and
     * those that were answered with 2xx, the latest first.
     */
    uint64_t                   conf;
    uint64_t                   generation;  /* of the workers that use it */
    uint64_t                   answered[NGX_HTTP_REFINE_CIRCUIT_CONFS];

    uint64_t                   prober;      /* 0: nobody */
    ngx_msec_t                 lease;       /* when a silent prober is dead */
    ngx_msec_t                 retry_at;
    ngx_uint_t                 resumes;     /* times retry_at was set to now */
    ngx_uint_t                 attempts;    /* failed in a row */
    ngx_msec_t                 next_flush;

    uint64_t                   passes;      /* 2xx answers ever */
    ngx_uint_t                 refused;     /* single events, in a row */

    size_t                     bytes;       /* limit of a batch */
    ngx_msec_t                 bytes_at;    /* when it last changed */

    ngx_uint_t                 last_status;
    u_char                     last_error[NGX_HTTP_REFINE_CIRCUIT_ERROR];
    size_t                     last_error_len;
    ngx_http_refine_rate_t     rate;

    unsigned                   paused:1;
    unsigned                   ticking:1;   /* next_flush is set */
} ngx_http_refine_circuit_t;


/* a POST that was answered, or not */

typedef struct {
    uint64_t                   conf;
    uint64_t                   who;
    ngx_msec_t                 now;
    ngx_msec_t                 wait;        /* what the answer asks for */
    ngx_uint_t                 random;
    ngx_uint_t                 probe;       /* sent by GATE_PROBE */
    ngx_uint_t                 resumes;     /* the circuit's when it was sent */
    size_t                     size;        /* of the events in it */
} ngx_http_refine_circuit_post_t;


void ngx_http_refine_circuit_init(ngx_http_refine_circuit_t *c,
    ngx_msec_t now);

/*
 * A worker starts with this configuration; another one starts anew.  A worker
 * of before a reload that starts late, by its generation, changes nothing.
 */
void ngx_http_refine_circuit_use(ngx_http_refine_circuit_t *c, uint64_t conf,
    uint64_t generation, ngx_msec_t now);

/* whether this configuration was ever answered with 2xx */
ngx_uint_t ngx_http_refine_circuit_known(ngx_http_refine_circuit_t *c,
    uint64_t conf);

/*
 * Whether this caller does the flush of this interval; true as well when an
 * outage has nobody who probes.
 */
ngx_uint_t ngx_http_refine_circuit_tick(ngx_http_refine_circuit_t *c,
    ngx_msec_t interval, ngx_msec_t now);

/*
 * Asked before each POST, and by the prober at least every few seconds, which
 * keeps its right; want: the caller would become the prober.
 */
ngx_http_refine_gate_e ngx_http_refine_circuit_gate(
    ngx_http_refine_circuit_t *c, uint64_t conf, uint64_t who,
    ngx_uint_t want, ngx_msec_t now);

/* gives up the right to probe */
void ngx_http_refine_circuit_release(ngx_http_refine_circuit_t *c,
    uint64_t who);

/* for the next three: whether the state has changed */

ngx_uint_t ngx_http_refine_circuit_passed(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post);
ngx_uint_t ngx_http_refine_circuit_outage(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post);
ngx_uint_t ngx_http_refine_circuit_hold(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post);

/* a body of this size got 413 */
void ngx_http_refine_circuit_too_large(ngx_http_refine_circuit_t *c,
    size_t size, ngx_msec_t now);

/*
 * Ends a pause, and a backoff or hold by a probe at once; one that is under way
 * and fails is followed by another at once.
 */
void ngx_http_refine_circuit_resume(ngx_http_refine_circuit_t *c,
    ngx_msec_t now);

/* full jitter over 1 s doubling to 60 s; attempts: 1 for the first */
ngx_msec_t ngx_http_refine_circuit_delay(ngx_uint_t attempts,
    ngx_uint_t random);


#define ngx_http_refine_circuit_left(at, now)                                 \
    ((ngx_msec_int_t) ((at) - (now)) > 0 ? (at) - (now) : 0)


#endif /* _NGX_HTTP_REFINE_CIRCUIT_H_INCLUDED_ */
