
/*
 * Level 3: what an answer of Refine means for the batch that it is about.
 * Pure: no state, no memory kept.  design: the table of section 5.
 */


#ifndef _NGX_HTTP_REFINE_VERDICT_H_INCLUDED_
#define _NGX_HTTP_REFINE_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_counter.h"
#include "ngx_http_refine_http.h"
#include "ngx_http_refine_rate.h"


#define NGX_HTTP_REFINE_VERDICT_REASON       200    /* bytes, at most */
#define NGX_HTTP_REFINE_VERDICT_WAIT_MAX     3600000
#define NGX_HTTP_REFINE_VERDICT_SINGLES      20     /* refused in a row */


typedef enum {
    NGX_HTTP_REFINE_VERDICT_DELIVERED = 0,  /* 2xx */
    NGX_HTTP_REFINE_VERDICT_FAILED,         /* 5xx, or no answer */
    NGX_HTTP_REFINE_VERDICT_BUSY,           /* 408, 425, 429 */
    NGX_HTTP_REFINE_VERDICT_REFUSED,        /* 400, 422 */
    NGX_HTTP_REFINE_VERDICT_TOO_LARGE,      /* 413 */
    NGX_HTTP_REFINE_VERDICT_WRONG           /* the configuration is */
} ngx_http_refine_verdict_e;


typedef enum {
    NGX_HTTP_REFINE_ACTION_ACK = 0,
    NGX_HTTP_REFINE_ACTION_RETRY,           /* an outage of the catalog */
    NGX_HTTP_REFINE_ACTION_ASIDE,           /* the same, another one probes */
    NGX_HTTP_REFINE_ACTION_ALONE,           /* the batch itself is suspect */
    NGX_HTTP_REFINE_ACTION_SPLIT,
    NGX_HTTP_REFINE_ACTION_DEAD,
    NGX_HTTP_REFINE_ACTION_HOLD,
    NGX_HTTP_REFINE_ACTION_HOLD_ASIDE
} ngx_http_refine_action_e;


/* what else counts; errors and refused without the answer that is judged */

typedef struct {
    ngx_uint_t  n;                          /* events in the batch */
    ngx_uint_t  errors;                     /* times it was FAILED */
    ngx_uint_t  refused;                    /* times REFUSED as a probe */
    ngx_uint_t  singles;                    /* refused in a row, all workers */
    ngx_uint_t  max_retries;
    unsigned    known:1;                    /* a 2xx with this configuration */
    unsigned    held:1;                     /* the catalog is held */
    unsigned    probe:1;                    /* sent to see whether it works */
    unsigned    suspect:1;                  /* it failed, others did not */
    unsigned    passed:1;                   /* others pass: batch.h, mark */
} ngx_http_refine_situation_t;


ngx_http_refine_verdict_e ngx_http_refine_verdict(ngx_uint_t status);

ngx_http_refine_action_e ngx_http_refine_verdict_action(
    ngx_http_refine_verdict_e verdict, ngx_http_refine_situation_t *s);

/*
 * How long the answer asks to wait, by Retry-After in both forms, retry_after
 * in the body, or the rate limit's reset.  now: the answer's Date if it has
 * one, so that the clocks need not agree; retry: Retry-After as a date, or
 * NGX_ERROR.  0: it does not say; NGX_HTTP_REFINE_VERDICT_WAIT_MAX + 1: it
 * asked for more than that.
 */
ngx_msec_t ngx_http_refine_verdict_wait(ngx_http_refine_http_answer_t *answer,
    time_t now, time_t retry);

/* the same of the rate limit, for rate.h; date as "now" above */
void ngx_http_refine_verdict_rate(ngx_http_refine_http_answer_t *answer,
    time_t date, ngx_http_refine_rate_answer_t *rate);

/* a header's number; -1 when absent or not a number */
int64_t ngx_http_refine_verdict_number(ngx_str_t *value);

/*
 * Why an event was not taken, in printable UTF-8: the body's "message", else
 * what is known.  buf has room for NGX_HTTP_REFINE_VERDICT_REASON bytes.
 */
void ngx_http_refine_verdict_reason(ngx_http_refine_http_answer_t *answer,
    u_char *buf, ngx_str_t *reason);

/* which of the counters "posts" an answer, or none, belongs to */
ngx_http_refine_counter_e ngx_http_refine_verdict_counter(
    ngx_http_refine_http_answer_t *answer);

/* which options to check when a catalog is held by this status */
const char *ngx_http_refine_verdict_advice(ngx_uint_t status);


#endif /* _NGX_HTTP_REFINE_VERDICT_H_INCLUDED_ */
