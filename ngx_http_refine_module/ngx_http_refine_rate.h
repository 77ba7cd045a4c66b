
/*
 * Level 0: what the rate limit that Refine announces leaves for delivery, and
 * when the next POST may go.  Plain data and arithmetic: the caller holds the
 * lock of what it stands in.  Times are ngx_current_msec.
 *
 * A window is known by its reset.  Within it the POSTs are spread evenly over
 * what is left: of the share that delivery may use, and of what others, whom
 * "remaining" shows, leave by what they took so far and in the last window.
 */


#ifndef _NGX_HTTP_REFINE_RATE_H_INCLUDED_
#define _NGX_HTTP_REFINE_RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* a reset that is more than a day ahead is not believed */
#define NGX_HTTP_REFINE_RATE_WINDOW  86400


typedef struct {
    int64_t     limit;          /* X-RateLimit-*, as announced; -1: none */
    int64_t     remaining;
    int64_t     reset;          /* Unix time */

    uint64_t    seq;            /* of the last POST */
    uint64_t    answered;       /* of the last one whose answer was read */

    int64_t     window;         /* its reset, Unix time */
    ngx_msec_t  end;            /* of the window, not before it */
    ngx_msec_t  length;         /* of a window */
    ngx_msec_t  next;           /* no POST before */
    ngx_msec_t  taken;          /* when the last POST went */
    ngx_msec_t  seen;           /* when left and others were true */
    int64_t     left;           /* for all, without what is under way */
    int64_t     sent;           /* by delivery in this window */
    int64_t     others;         /* by others in it */
    int64_t     before;         /* by others in the last one, -1: unknown */

    unsigned    paced:1;        /* there is a limit */
    unsigned    learned:1;      /* length is one between two resets */
    unsigned    rolled:1;       /* the window is one that is foreseen */
} ngx_http_refine_rate_t;


/* how much of the limit delivery may use: percent / 100 / catalogs */

typedef struct {
    ngx_uint_t  percent;
    ngx_uint_t  catalogs;       /* of the organization, which share it */
} ngx_http_refine_rate_share_t;


/* what an answer says; -1: nothing, or no number */

typedef struct {
    int64_t     limit;
    int64_t     remaining;
    int64_t     reset;          /* Unix time, or seconds from now */
    time_t      date;           /* the server's clock */
    ngx_msec_t  now;
    uint64_t    seq;            /* of the POST */
    ngx_uint_t  passed;         /* 2xx */
} ngx_http_refine_rate_answer_t;


/* forgets all but the sequence of POSTs */
void ngx_http_refine_rate_init(ngx_http_refine_rate_t *rate);

/* an answer to a POST that a newer one was answered before changes nothing */
void ngx_http_refine_rate_answer(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer);

/* ms until a POST may go, 0: now */
ngx_msec_t ngx_http_refine_rate_wait(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share, ngx_msec_t now);

/* counts a POST that is about to go, allowed or not; returns its number */
uint64_t ngx_http_refine_rate_take(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share, ngx_msec_t now);

/* the POST of this number will not go */
void ngx_http_refine_rate_give(ngx_http_refine_rate_t *rate, uint64_t seq,
    ngx_msec_t now);

/* seconds until a reset, given in either form; -1: not to be believed */
int64_t ngx_http_refine_rate_left(int64_t reset, time_t date);


#endif /* _NGX_HTTP_REFINE_RATE_H_INCLUDED_ */
