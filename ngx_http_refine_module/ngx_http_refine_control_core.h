
/*
 * Level 6: what the parts of refine_control share: control.c has the request
 * and pause and resume, control_args.c reads the query string, control_flush.c
 * and control_replay.c do what takes longer.
 */


#ifndef _NGX_HTTP_REFINE_CONTROL_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_CONTROL_CORE_H_INCLUDED_


#include "ngx_http_refine_control.h"
#include "ngx_http_refine_report.h"


typedef struct ngx_http_refine_control_s  ngx_http_refine_control_t;

typedef enum {
    NGX_HTTP_REFINE_CONTROL_NONE = 0,
    NGX_HTTP_REFINE_CONTROL_FLUSH,
    NGX_HTTP_REFINE_CONTROL_PAUSE,
    NGX_HTTP_REFINE_CONTROL_RESUME,
    NGX_HTTP_REFINE_CONTROL_REPLAY
} ngx_http_refine_control_e;


/*
 * A pause that Redis has not confirmed yet.  It lives as long as the queue
 * needs it, which may be longer than the request.
 */

typedef struct {
    ngx_http_refine_control_t      *control;    /* NULL: has ended */
    ngx_http_refine_catalog_t      *catalog;
    ngx_uint_t                      row;
    ngx_uint_t                      pause;
} ngx_http_refine_control_pause_t;


typedef struct ngx_http_refine_control_replay_s
    ngx_http_refine_control_replay_t;


typedef struct {
    ngx_http_refine_control_t         *control;
    ngx_http_refine_catalog_t         *catalog;
    ngx_http_refine_control_pause_t   *pause;
    ngx_http_refine_control_replay_t  *replay;      /* a step under way */
    uint64_t                           barrier[2];  /* a stream id */
    unsigned                           waiting:1;   /* for the metrics */
    unsigned                           started:1;
    unsigned                           done:1;
} ngx_http_refine_control_row_t;


struct ngx_http_refine_control_s {
    ngx_http_request_t               *request;
    ngx_http_refine_control_row_t    *rows;         /* catalogs concerned */
    ngx_uint_t                        nrows;
    ngx_socket_t                      fd;           /* for the timer's log */

    ngx_http_refine_control_e         action;
    ngx_str_t                         catalog;      /* empty: all */
    ngx_str_t                         reason;       /* empty: any */
    ngx_msec_t                        timeout;      /* 0: not given */

    ngx_event_t                       timer;
    ngx_msec_t                        end;
    ngx_uint_t                        polls;
    ngx_uint_t                        pending;

    ngx_uint_t                        status;       /* of the answer */
    ngx_http_refine_outcome_t         outcome;
};


/* where several fail the last one is told */
void ngx_http_refine_control_fail(ngx_http_refine_control_t *control,
    ngx_uint_t status, const char *error);

/* answers; control is gone then */
void ngx_http_refine_control_finish(ngx_http_refine_control_t *control);


/* control_args.c: the text of what is wrong with the query string, or NULL */
const char *ngx_http_refine_control_args(ngx_http_refine_control_t *control);

/* control_flush.c */
void ngx_http_refine_control_flush(ngx_http_refine_control_t *control);


/* control_replay.c */

void ngx_http_refine_control_replay(ngx_http_refine_control_t *control);

/* the request ends: the step under way is the last one */
void ngx_http_refine_control_replay_forget(
    ngx_http_refine_control_replay_t *replay);


#endif /* _NGX_HTTP_REFINE_CONTROL_CORE_H_INCLUDED_ */
