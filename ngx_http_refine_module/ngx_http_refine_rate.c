
#include "ngx_http_refine_rate.h"


#define NGX_HTTP_REFINE_RATE_MAX    1000000000  /* more is no limit */
#define NGX_HTTP_REFINE_RATE_IDLE   3600000     /* ms without any POST */
#define NGX_HTTP_REFINE_RATE_SLACK  1000        /* ms that may be made up for */


static ngx_int_t ngx_http_refine_rate_place(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer, int64_t left);
static void ngx_http_refine_rate_announced(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer);
static void ngx_http_refine_rate_window(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer, int64_t reset, ngx_msec_t left);
static void ngx_http_refine_rate_roll(ngx_http_refine_rate_t *rate,
    ngx_msec_t now);
static int64_t ngx_http_refine_rate_free(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share);
static int64_t ngx_http_refine_rate_rest(ngx_http_refine_rate_t *rate);
static int64_t ngx_http_refine_rate_ahead(ngx_http_refine_rate_t *rate);


void
ngx_http_refine_rate_init(ngx_http_refine_rate_t *rate)
{
    uint64_t  seq;

    seq = rate->seq;

    ngx_memzero(rate, sizeof(ngx_http_refine_rate_t));

    rate->seq = seq;
    rate->answered = seq;
    rate->limit = -1;
    rate->remaining = -1;
    rate->reset = -1;
}


void
ngx_http_refine_rate_answer(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer)
{
    int64_t  left, under_way, others;

    if (answer->seq <= rate->answered) {
        return;
    }

    left = ngx_http_refine_rate_left(answer->reset, answer->date);

    if (answer->limit <= 0 || answer->limit > NGX_HTTP_REFINE_RATE_MAX
        || answer->remaining < 0 || left < 0)
    {
        /* an error page of what is in between says nothing about a limit */

        if (answer->passed) {
            ngx_http_refine_rate_init(rate);
            ngx_http_refine_rate_announced(rate, answer);
        }

        return;
    }

    ngx_http_refine_rate_announced(rate, answer);

    if (ngx_http_refine_rate_place(rate, answer, left) != NGX_OK) {
        return;
    }

    under_way = (int64_t) (rate->seq - answer->seq);

    left = ngx_min(answer->remaining, answer->limit);
    others = answer->limit - left - ngx_max(rate->sent - under_way, 0);

    rate->answered = answer->seq;
    rate->seen = answer->now;
    rate->others = ngx_max(others, 0);
    rate->left = ngx_max(left - under_way, 0);
}


/* which window the answer is of; NGX_DECLINED: of one that is over */

static ngx_int_t
ngx_http_refine_rate_place(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer, int64_t left)
{
    int64_t     reset, rounded;
    ngx_msec_t  end;

    /* a reset in seconds from now names the same time only roughly */

    rounded = (answer->reset <= NGX_HTTP_REFINE_RATE_WINDOW) ? 1 : 0;
    reset = (int64_t) answer->date + left;
    end = answer->now + (ngx_msec_t) left * 1000;

    if (rate->paced && reset < rate->window - rounded) {

        if (left == 0) {
            rate->answered = answer->seq;
            return NGX_DECLINED;
        }

        /* the limit is one of shorter windows now */

        rate->paced = 0;
        rate->rolled = 0;
    }

    if (!rate->paced || reset > rate->window + rounded) {
        ngx_http_refine_rate_window(rate, answer, reset,
                                    (ngx_msec_t) left * 1000);

    } else if ((ngx_msec_int_t) (end - rate->end) < 0) {
        rate->end = end;
    }

    return NGX_OK;
}


/* for the status: a reset is shown as a time, in whatever form it came */

static void
ngx_http_refine_rate_announced(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer)
{
    int64_t  left;

    left = ngx_http_refine_rate_left(answer->reset, answer->date);

    rate->limit = answer->limit;
    rate->remaining = answer->remaining;
    rate->reset = (left < 0) ? answer->reset : (int64_t) answer->date + left;
}


/* the first answer of a window */

static void
ngx_http_refine_rate_window(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_answer_t *answer, int64_t reset, ngx_msec_t left)
{
    int64_t  length;

    if (!rate->paced) {

        /* the limits that Refine documents are of these windows */

        rate->length = (left <= 60000) ? 60000
                                       : (left <= 3600000) ? 3600000
                                                           : 86400000;
    } else {
        length = ngx_min(reset - rate->window, NGX_HTTP_REFINE_RATE_WINDOW)
                 * 1000;

        if (!rate->learned || length < (int64_t) rate->length) {
            rate->learned = 1;
            rate->length = (ngx_msec_t) length;
            rate->next = answer->now;
        }
    }

    /* one that was foreseen has been counted in from its beginning */

    if (!rate->rolled) {
        rate->before = rate->paced
                       ? rate->others + ngx_http_refine_rate_ahead(rate) : -1;
        rate->sent = 1 + (int64_t) (rate->seq - answer->seq);
        rate->next = answer->now;
    }

    rate->paced = 1;
    rate->rolled = 0;
    rate->window = reset;
    rate->end = answer->now + left;
    rate->length = ngx_max(rate->length, left);
}


ngx_msec_t
ngx_http_refine_rate_wait(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share, ngx_msec_t now)
{
    ngx_msec_int_t  wait, idle;

    if (!rate->paced) {
        return 0;
    }

    ngx_http_refine_rate_roll(rate, now);

    if (ngx_http_refine_rate_free(rate, share) > 0) {
        wait = (ngx_msec_int_t) (rate->next - now);

    } else {

        /* the window may be a day, and the plan another one by now */

        wait = (ngx_msec_int_t) (rate->end - now);
        idle = (ngx_msec_int_t) (rate->taken + NGX_HTTP_REFINE_RATE_IDLE
                                 - now);
        wait = ngx_min(wait, idle);
    }

    return ngx_max(wait, 0);
}


uint64_t
ngx_http_refine_rate_take(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share, ngx_msec_t now)
{
    int64_t     n;
    ngx_msec_t  interval, slack;

    rate->taken = now;
    rate->seq++;

    if (!rate->paced) {
        return rate->seq;
    }

    ngx_http_refine_rate_roll(rate, now);

    n = ngx_http_refine_rate_free(rate, share);
    n = ngx_max(n, 1);

    interval = (rate->end - now) / n;

    /* timers are late: short intervals would add up to much less */

    slack = (interval < NGX_HTTP_REFINE_RATE_SLACK)
            ? NGX_HTTP_REFINE_RATE_SLACK - interval : 0;

    if ((ngx_msec_int_t) (rate->next - (now - slack)) < 0) {
        rate->next = now - slack;
    }

    rate->next += interval;
    rate->sent++;
    rate->left = ngx_max(rate->left - 1, 0);

    return rate->seq;
}


void
ngx_http_refine_rate_give(ngx_http_refine_rate_t *rate, uint64_t seq,
    ngx_msec_t now)
{
    if (seq != rate->seq) {

        /* it counts as under way until a later one is answered */

        return;
    }

    rate->seq--;

    if (rate->paced) {
        rate->next = now;
        rate->sent = ngx_max(rate->sent - 1, 0);
        rate->left = ngx_min(rate->left + 1, rate->limit);
    }
}


int64_t
ngx_http_refine_rate_left(int64_t reset, time_t date)
{
    int64_t  left;

    if (reset <= NGX_HTTP_REFINE_RATE_WINDOW) {
        return reset;
    }

    left = reset - (int64_t) date;

    if (left > NGX_HTTP_REFINE_RATE_WINDOW) {
        return -1;
    }

    return ngx_max(left, 0);
}


/* until an answer tells of the next window it is taken to be like the last */

static void
ngx_http_refine_rate_roll(ngx_http_refine_rate_t *rate, ngx_msec_t now)
{
    ngx_msec_t  n;

    if ((ngx_msec_int_t) (rate->end - now) > 0) {
        return;
    }

    rate->before = rate->others + ngx_http_refine_rate_ahead(rate);

    n = (now - rate->end) / rate->length;

    rate->seen = rate->end + n * rate->length;
    rate->end = rate->seen + rate->length;
    rate->next = now;
    rate->left = rate->limit;
    rate->sent = 0;
    rate->others = 0;
    rate->rolled = 1;
}


/* how many POSTs more delivery may make in this window */

static int64_t
ngx_http_refine_rate_free(ngx_http_refine_rate_t *rate,
    ngx_http_refine_rate_share_t *share)
{
    int64_t  own, n;

    own = rate->limit * (int64_t) share->percent
          / (int64_t) (100 * share->catalogs);
    own = ngx_max(own, 1) - rate->sent;

    n = ngx_min(own, rate->left - ngx_http_refine_rate_rest(rate));

    /* who leaves nothing is not made way for altogether */

    if (n <= 0 && rate->sent == 0 && rate->left > 0) {
        return 1;
    }

    return n;
}


/*
 * What others will use from rate->seen to the end of the window: the more of
 * it has gone the more it counts against the last one.
 */

static int64_t
ngx_http_refine_rate_rest(ngx_http_refine_rate_t *rate)
{
    int64_t  rest, left, length;

    length = (int64_t) rate->length;

    if (rate->before < 0) {
        rest = ngx_http_refine_rate_ahead(rate);

    } else {
        left = (ngx_msec_int_t) (rate->end - rate->seen);
        left = ngx_max(left, 0);

        rest = (rate->others + rate->before * left / length) * left;
        rest = (rest + length - 1) / length;
    }

    /* one more, for what they use between an answer and the next POST */

    return (rest > 0) ? rest + 1 : 0;
}


/* the same if they go on as in this window so far */

static int64_t
ngx_http_refine_rate_ahead(ngx_http_refine_rate_t *rate)
{
    ngx_msec_int_t  left, gone;

    left = (ngx_msec_int_t) (rate->end - rate->seen);
    left = ngx_max(left, 0);

    /* its first moments tell too little */

    gone = (ngx_msec_int_t) rate->length - left;
    gone = ngx_max(gone, (ngx_msec_int_t) (rate->length / 8));

    return (rate->others * left + gone - 1) / gone;
}
