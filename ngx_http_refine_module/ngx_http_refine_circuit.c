
#include "ngx_http_refine_circuit.h"


/* how long a lowered byte limit stays before it is doubled again */
#define NGX_HTTP_REFINE_CIRCUIT_RESTORE  600000


static void ngx_http_refine_circuit_retry(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post, ngx_msec_t delay);
static ngx_uint_t ngx_http_refine_circuit_down(ngx_http_refine_circuit_t *c);
static void ngx_http_refine_circuit_remember(ngx_http_refine_circuit_t *c,
    uint64_t conf);


void
ngx_http_refine_circuit_init(ngx_http_refine_circuit_t *c, ngx_msec_t now)
{
    ngx_memzero(c, sizeof(ngx_http_refine_circuit_t));

    c->state = NGX_HTTP_REFINE_CIRCUIT_UNKNOWN;
    c->retry_at = now;
    c->bytes = NGX_HTTP_REFINE_BATCH_BYTES;
    c->bytes_at = now;

    ngx_http_refine_rate_init(&c->rate);
}


void
ngx_http_refine_circuit_use(ngx_http_refine_circuit_t *c, uint64_t conf,
    uint64_t generation, ngx_msec_t now)
{
    if (generation < c->generation) {
        return;
    }

    c->generation = generation;

    if (c->conf == conf) {
        return;
    }

    c->conf = conf;
    c->state = NGX_HTTP_REFINE_CIRCUIT_UNKNOWN;
    c->prober = 0;
    c->retry_at = now;
    c->attempts = 0;
    c->refused = 0;
    c->bytes = NGX_HTTP_REFINE_BATCH_BYTES;
    c->last_status = 0;
    c->last_error_len = 0;

    ngx_http_refine_rate_init(&c->rate);
}


ngx_uint_t
ngx_http_refine_circuit_known(ngx_http_refine_circuit_t *c, uint64_t conf)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_REFINE_CIRCUIT_CONFS; i++) {
        if (c->answered[i] == conf) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_refine_circuit_tick(ngx_http_refine_circuit_t *c, ngx_msec_t interval,
    ngx_msec_t now)
{
    ngx_msec_int_t  left;

    if (!c->ticking) {
        c->ticking = 1;
        c->next_flush = now + interval;
    }

    left = (ngx_msec_int_t) (c->next_flush - now);

    /* the interval may have been longer in the previous configuration */

    if (left > 0 && (ngx_msec_t) left <= interval) {

        if (!ngx_http_refine_circuit_down(c)) {
            return 0;
        }

        return c->prober == 0
               || ngx_http_refine_circuit_left(c->lease, now) == 0;
    }

    c->next_flush = now + interval;

    return 1;
}


ngx_http_refine_gate_e
ngx_http_refine_circuit_gate(ngx_http_refine_circuit_t *c, uint64_t conf,
    uint64_t who, ngx_uint_t want, ngx_msec_t now)
{
    if (c->paused) {
        return NGX_HTTP_REFINE_GATE_PAUSED;
    }

    /* a worker of before a reload leaves the field to the new ones */

    if (c->conf != conf) {
        return NGX_HTTP_REFINE_GATE_CLOSED;
    }

    if (c->state == NGX_HTTP_REFINE_CIRCUIT_UP) {
        return NGX_HTTP_REFINE_GATE_OPEN;
    }

    if (c->prober != who) {

        if (!want
            || (c->prober != 0
                && ngx_http_refine_circuit_left(c->lease, now) != 0))
        {
            return NGX_HTTP_REFINE_GATE_CLOSED;
        }

        c->prober = who;
    }

    c->lease = now + NGX_HTTP_REFINE_CIRCUIT_LEASE;

    if (ngx_http_refine_circuit_left(c->retry_at, now) != 0) {
        return NGX_HTTP_REFINE_GATE_WAIT;
    }

    return NGX_HTTP_REFINE_GATE_PROBE;
}


void
ngx_http_refine_circuit_release(ngx_http_refine_circuit_t *c, uint64_t who)
{
    if (c->prober == who) {
        c->prober = 0;
    }
}


ngx_uint_t
ngx_http_refine_circuit_passed(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post)
{
    c->passes++;

    ngx_http_refine_circuit_remember(c, post->conf);

    if (c->conf != post->conf) {
        return 0;
    }

    c->refused = 0;

    /* what was refused as too large may have been so by one event in it */

    if (c->bytes < post->size) {
        c->bytes = ngx_min(post->size, NGX_HTTP_REFINE_BATCH_BYTES);
    }

    if (c->bytes < NGX_HTTP_REFINE_BATCH_BYTES
        && post->now - c->bytes_at > NGX_HTTP_REFINE_CIRCUIT_RESTORE)
    {
        c->bytes = ngx_min(c->bytes * 2, NGX_HTTP_REFINE_BATCH_BYTES);
        c->bytes_at = post->now;
    }

    /*
     * An answer to a POST sent before the outage says nothing about its end;
     * were it taken so, a rate limit would open and close in turn.
     */

    if (!post->probe || c->state == NGX_HTTP_REFINE_CIRCUIT_UP) {
        return 0;
    }

    c->state = NGX_HTTP_REFINE_CIRCUIT_UP;
    c->attempts = 0;
    c->prober = 0;

    return 1;
}


ngx_uint_t
ngx_http_refine_circuit_outage(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post)
{
    ngx_msec_t  delay, spread;
    ngx_uint_t  changed;

    if (c->conf != post->conf) {
        return 0;
    }

    delay = post->wait;

    if (delay) {

        /* never earlier than asked for, but not all machines at once */

        spread = ngx_min(delay / 10, 5000) + 1;
        delay += post->random % spread;
    }

    changed = !ngx_http_refine_circuit_down(c);

    if (!changed && !post->probe) {

        if (post->resumes == c->resumes
            && ngx_http_refine_circuit_left(c->retry_at, post->now) < delay)
        {
            c->retry_at = post->now + delay;
        }

        return 0;
    }

    if (c->state == NGX_HTTP_REFINE_CIRCUIT_HELD) {
        ngx_http_refine_circuit_retry(c, post,
                                 ngx_max(delay, NGX_HTTP_REFINE_CIRCUIT_HOLD));
        return 0;
    }

    if (changed) {
        c->state = NGX_HTTP_REFINE_CIRCUIT_BACKOFF;
        c->attempts = 0;
        c->prober = post->who;
        c->lease = post->now + NGX_HTTP_REFINE_CIRCUIT_LEASE;
    }

    c->attempts++;

    ngx_http_refine_circuit_retry(c, post,
                        ngx_max(delay,
                                ngx_http_refine_circuit_delay(c->attempts,
                                                              post->random)));
    return changed;
}


ngx_uint_t
ngx_http_refine_circuit_hold(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post)
{
    ngx_uint_t  changed;

    if (c->conf != post->conf) {
        return 0;
    }

    changed = (c->state != NGX_HTTP_REFINE_CIRCUIT_HELD);

    if (!changed && !post->probe) {
        return 0;
    }

    ngx_http_refine_circuit_retry(c, post,
                            ngx_max(post->wait, NGX_HTTP_REFINE_CIRCUIT_HOLD));

    if (changed) {
        c->state = NGX_HTTP_REFINE_CIRCUIT_HELD;
        c->attempts = 0;
        c->refused = 0;
        c->prober = post->who;
        c->lease = post->now + NGX_HTTP_REFINE_CIRCUIT_LEASE;
    }

    return changed;
}


void
ngx_http_refine_circuit_too_large(ngx_http_refine_circuit_t *c, size_t size,
    ngx_msec_t now)
{
    /* by the size, so that answers to several POSTs at once halve it once */

    size = ngx_max(size / 2, NGX_HTTP_REFINE_BATCH_BYTES_MIN);

    if (size < c->bytes) {
        c->bytes = size;
    }

    c->bytes_at = now;
}


void
ngx_http_refine_circuit_resume(ngx_http_refine_circuit_t *c, ngx_msec_t now)
{
    c->paused = 0;
    c->retry_at = now;
    c->resumes++;
    c->ticking = 1;
    c->next_flush = now;
}


ngx_msec_t
ngx_http_refine_circuit_delay(ngx_uint_t attempts, ngx_uint_t random)
{
    ngx_msec_t  most;

    most = (attempts > 6) ? NGX_HTTP_REFINE_CIRCUIT_BACKOFF_MAX
                          : (ngx_msec_t) 1000 << (attempts ? attempts - 1 : 0);

    most = ngx_min(most, NGX_HTTP_REFINE_CIRCUIT_BACKOFF_MAX);

    return random % (most + 1);
}


static void
ngx_http_refine_circuit_retry(ngx_http_refine_circuit_t *c,
    ngx_http_refine_circuit_post_t *post, ngx_msec_t delay)
{
    /* who resumed meanwhile has asked for a probe later than this one */

    if (post->probe && post->resumes != c->resumes) {
        delay = 0;
    }

    c->retry_at = post->now + delay;
}


static ngx_uint_t
ngx_http_refine_circuit_down(ngx_http_refine_circuit_t *c)
{
    return c->state == NGX_HTTP_REFINE_CIRCUIT_BACKOFF
           || c->state == NGX_HTTP_REFINE_CIRCUIT_HELD;
}


static void
ngx_http_refine_circuit_remember(ngx_http_refine_circuit_t *c, uint64_t conf)
{
    ngx_uint_t  i;

    if (ngx_http_refine_circuit_known(c, conf)) {
        return;
    }

    for (i = NGX_HTTP_REFINE_CIRCUIT_CONFS - 1; i > 0; i--) {
        c->answered[i] = c->answered[i - 1];
    }

    c->answered[0] = conf;
}
