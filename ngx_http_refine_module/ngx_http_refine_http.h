
/*
 * Level 2: HTTP POSTs over peers: one request and its answer at a time on a
 * connection, idle connections kept.
 */


#ifndef _NGX_HTTP_REFINE_HTTP_H_INCLUDED_
#define _NGX_HTTP_REFINE_HTTP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_peer.h"


#define NGX_HTTP_REFINE_HTTP_MAX_BODY  65536    /* of an answer that is kept */
#define NGX_HTTP_REFINE_HTTP_MAX_READ  1048576  /* of an answer at all */


typedef struct ngx_http_refine_http_s       ngx_http_refine_http_t;
typedef struct ngx_http_refine_http_post_s  ngx_http_refine_http_post_t;


/* why there is no whole answer */

typedef enum {
    NGX_HTTP_REFINE_HTTP_ANSWERED = 0,
    NGX_HTTP_REFINE_HTTP_CONNECTION,    /* none could be made */
    NGX_HTTP_REFINE_HTTP_TIMEOUT,       /* at any point */
    NGX_HTTP_REFINE_HTTP_CLOSED,        /* too early */
    NGX_HTTP_REFINE_HTTP_INVALID        /* it is not HTTP/1.x */
} ngx_http_refine_http_failure_e;


/* of the answer; all of it is valid during the callback only */

typedef struct {
    ngx_uint_t   status;            /* 0: no whole answer, see error */
    const char  *error;             /* constant text, NULL with a status */
    ngx_http_refine_http_failure_e
                 failure;
    ngx_str_t    body;              /* at most ..._HTTP_MAX_BODY of it */
    ngx_str_t    retry_after;       /* header values, empty when absent */
    ngx_str_t    date;
    ngx_str_t    limit;             /* X-RateLimit-Limit */
    ngx_str_t    remaining;         /* X-RateLimit-Remaining */
    ngx_str_t    reset;             /* X-RateLimit-Reset */
} ngx_http_refine_http_answer_t;


typedef void (*ngx_http_refine_http_handler_pt)(void *data,
    ngx_http_refine_http_answer_t *answer);


/*
 * A client of one target for one worker.  max_idle: how many connections are
 * kept; target and log must outlive the client.
 */
ngx_http_refine_http_t *ngx_http_refine_http_create(
    ngx_http_refine_target_t *target, ngx_uint_t max_idle, ngx_log_t *log);

/* writes the body to p and returns its end; it runs within the call */
typedef u_char *(*ngx_http_refine_http_body_pt)(void *data, u_char *p);


/*
 * Sends a POST.  head: the request line and all headers except
 * Content-Length, each line with CR LF, without the empty line, which is
 * copied; body: writes size bytes.  timeout bounds the whole exchange.  Of a
 * long answer ..._HTTP_MAX_READ bytes are read and its status taken.  A kept
 * connection that turns out closed before the first byte of an answer is
 * replaced by a new one at once, a single time.
 *
 * The handler runs exactly once, from the event loop and never from within
 * this call, unless the exchange is cancelled.  NULL: out of memory.
 */
ngx_http_refine_http_post_t *ngx_http_refine_http_post(
    ngx_http_refine_http_t *http, ngx_str_t *head, size_t size,
    ngx_http_refine_http_body_pt body, ngx_msec_t timeout,
    ngx_http_refine_http_handler_pt handler, void *data);

/* ends an exchange; the handler will not run */
void ngx_http_refine_http_cancel(ngx_http_refine_http_post_t *post);

/* cancels all exchanges, closes all connections, frees the client */
void ngx_http_refine_http_destroy(ngx_http_refine_http_t *http);


#endif /* _NGX_HTTP_REFINE_HTTP_H_INCLUDED_ */
