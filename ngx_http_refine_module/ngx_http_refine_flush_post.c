
#include "ngx_http_refine_flush_core.h"
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_verdict.h"
#include <openssl/evp.h>


#define NGX_HTTP_REFINE_FLUSH_NO_MEMORY  1000   /* ms until the next try */
#define NGX_HTTP_REFINE_FLUSH_ASIDES     8
#define NGX_HTTP_REFINE_FLUSH_DEAD_LOG   3600   /* s between two lines */

#define NGX_HTTP_REFINE_FLUSH_EVENTS     ",\"events\":["


/* an answer while it is being dealt with */

typedef struct {
    ngx_http_refine_http_answer_t  *answer;
    ngx_http_refine_verdict_e       verdict;
    ngx_http_refine_action_e        action;
    ngx_http_refine_circuit_post_t  post;
    ngx_http_refine_rate_answer_t   rate;
    ngx_http_refine_circuit_e       before;     /* the state of the circuit */
    ngx_msec_t                      delay;      /* until the next probe */
    ngx_uint_t                      changed;
    ngx_uint_t                      passed;     /* others have */
    ngx_uint_t                      held;       /* before or now */
    ngx_uint_t                      failing;    /* for max_retries probes */
} ngx_http_refine_flush_answer_t;


static ngx_int_t ngx_http_refine_flush_conf(ngx_http_refine_flush_t *flush);
static u_char *ngx_http_refine_flush_body(void *data, u_char *p);
static void ngx_http_refine_flush_answered(void *data,
    ngx_http_refine_http_answer_t *answer);
static void ngx_http_refine_flush_count(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_http_answer_t *answer);
static time_t ngx_http_refine_flush_date(
    ngx_http_refine_http_answer_t *answer);
static ngx_msec_t ngx_http_refine_flush_wait(
    ngx_http_refine_http_answer_t *answer, time_t date);
static void ngx_http_refine_flush_judge(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_note(ngx_http_refine_circuit_t *circuit,
    ngx_http_refine_flush_answer_t *fa);
static ngx_uint_t ngx_http_refine_flush_passed(ngx_http_refine_batch_t *batch,
    uint64_t passes);
static void ngx_http_refine_flush_circuit(ngx_http_refine_circuit_t *circuit,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_log(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_log_down(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_act(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_lag(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);
static void ngx_http_refine_flush_failed(ngx_http_refine_batch_t *batch,
    ngx_http_refine_flush_answer_t *fa);
static void ngx_http_refine_flush_aside(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);
static void ngx_http_refine_flush_split(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch);
static void ngx_http_refine_flush_dead(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_http_answer_t *answer);


ngx_int_t
ngx_http_refine_flush_prepare(ngx_http_refine_flush_t *flush)
{
    ngx_http_refine_buf_t       b;
    ngx_http_refine_catalog_t  *catalog;

    catalog = flush->catalog;

    if (ngx_http_refine_buf_init(&b, flush->pool, 512, 65536) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_refine_buf_lit(&b, "POST ");
    ngx_http_refine_buf_append(&b, catalog->uri.data, catalog->uri.len);
    ngx_http_refine_buf_lit(&b, " HTTP/1.1" CRLF "Host: ");
    ngx_http_refine_buf_append(&b, catalog->host.data, catalog->host.len);
    ngx_http_refine_buf_lit(&b, CRLF "User-Agent: ngx_http_refine_module/"
                                NGX_HTTP_REFINE_VERSION CRLF
                                "Content-Type: application/json" CRLF
                                "REFINE_API_KEY: ");
    ngx_http_refine_buf_append(&b, catalog->api_key.data,
                               catalog->api_key.len);
    ngx_http_refine_buf_lit(&b, CRLF "Idempotency-Key: ");

    if (ngx_http_refine_buf_reserve(&b, NGX_HTTP_REFINE_BATCH_KEY + 2)
        != NGX_OK || b.failed)
    {
        return NGX_ERROR;
    }

    flush->head.data = b.start;
    flush->head.len = ngx_http_refine_buf_size(&b);

    if (ngx_http_refine_buf_init(&b, flush->pool, 128, 65536) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_refine_buf_lit(&b, "{\"organizationId\":");
    ngx_http_refine_buf_json(&b, catalog->organization_id.data,
                             catalog->organization_id.len);
    ngx_http_refine_buf_lit(&b, ",\"catalogId\":");
    ngx_http_refine_buf_json(&b, catalog->catalog_id.data,
                             catalog->catalog_id.len);
    ngx_http_refine_buf_lit(&b, ",\"sentAt\":");

    if (b.failed) {
        return NGX_ERROR;
    }

    flush->prefix.data = b.start;
    flush->prefix.len = ngx_http_refine_buf_size(&b);

    return ngx_http_refine_flush_conf(flush);
}


/* a hash, so that the key itself is not in shared memory */

static ngx_int_t
ngx_http_refine_flush_conf(ngx_http_refine_flush_t *flush)
{
    u_char                      hash[EVP_MAX_MD_SIZE];
    ngx_str_t                  *values[4];
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    EVP_MD_CTX                 *ctx;
    ngx_http_refine_catalog_t  *catalog;

    catalog = flush->catalog;

    values[0] = &catalog->url;
    values[1] = &catalog->api_key;
    values[2] = &catalog->organization_id;
    values[3] = &catalog->catalog_id;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    for (i = 0; i < 4 && rc == 1; i++) {
        rc = EVP_DigestUpdate(ctx, &values[i]->len, sizeof(size_t));

        if (rc == 1) {
            rc = EVP_DigestUpdate(ctx, values[i]->data, values[i]->len);
        }
    }

    if (rc == 1) {
        rc = EVP_DigestFinal_ex(ctx, hash, NULL);
    }

    EVP_MD_CTX_free(ctx);

    if (rc != 1) {
        return NGX_ERROR;
    }

    ngx_memcpy(&flush->conf, hash, sizeof(flush->conf));

    /* 0 is the circuit's before any */
    flush->conf |= 1;

    return NGX_OK;
}


void
ngx_http_refine_flush_post(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    u_char      *p;
    size_t       size;
    ngx_str_t    head;
    ngx_time_t  *tp;

    head = flush->head;
    p = head.data + head.len;

    if (ngx_http_refine_batch_key(batch, p) == NGX_OK) {
        p += NGX_HTTP_REFINE_BATCH_KEY;
        *p++ = CR;
        *p++ = LF;
        head.len = p - head.data;

        tp = ngx_timeofday();
        p = ngx_sprintf(flush->sent_at, "%uL",
                        (uint64_t) tp->sec * 1000 + tp->msec);
        flush->sent_at_len = p - flush->sent_at;

        /* of the size of a batch the last comma is not sent */

        size = flush->prefix.len + flush->sent_at_len
               + sizeof(NGX_HTTP_REFINE_FLUSH_EVENTS) - 1 + batch->size - 1
               + sizeof("]}") - 1;

        batch->post = ngx_http_refine_http_post(flush->http, &head, size,
                                            ngx_http_refine_flush_body,
                                            flush->catalog->delivery_timeout,
                                            ngx_http_refine_flush_answered,
                                            batch);
    }

    if (batch->post == NULL) {
        batch->retry_at = ngx_current_msec + NGX_HTTP_REFINE_FLUSH_NO_MEMORY;
        return;
    }

    batch->seq = ngx_http_refine_flush_permit_use(flush);
    batch->probe = (flush->gate == NGX_HTTP_REFINE_GATE_PROBE);
    batch->resumes = flush->resumes;
    batch->posted_at = ngx_current_msec;
    flush->in_flight++;
}


static u_char *
ngx_http_refine_flush_body(void *data, u_char *p)
{
    ngx_http_refine_batch_t *batch = data;

    ngx_http_refine_flush_t  *flush;

    flush = batch->owner;

    p = ngx_cpymem(p, flush->prefix.data, flush->prefix.len);
    p = ngx_cpymem(p, flush->sent_at, flush->sent_at_len);
    p = ngx_cpymem(p, NGX_HTTP_REFINE_FLUSH_EVENTS,
                   sizeof(NGX_HTTP_REFINE_FLUSH_EVENTS) - 1);
    p = ngx_http_refine_batch_lines(batch, p);
    *p++ = ']';
    *p++ = '}';

    return p;
}


void
ngx_http_refine_flush_cancel(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    ngx_http_refine_http_cancel(batch->post);

    batch->post = NULL;
    flush->in_flight--;
}


static void
ngx_http_refine_flush_answered(void *data,
    ngx_http_refine_http_answer_t *answer)
{
    ngx_http_refine_batch_t *batch = data;

    time_t                           date;
    ngx_http_refine_flush_t         *flush;
    ngx_http_refine_flush_answer_t   fa;

    flush = batch->owner;

    batch->post = NULL;
    flush->in_flight--;

    if (answer->status == 0 && (ngx_exiting || flush->quitting)) {

        /* it was cut off by the end of this worker: no outage */

        ngx_http_refine_flush_run(flush);
        return;
    }

    ngx_http_refine_flush_count(flush, batch, answer);

    ngx_memzero(&fa, sizeof(ngx_http_refine_flush_answer_t));

    fa.answer = answer;
    fa.verdict = ngx_http_refine_verdict(answer->status);
    fa.post.conf = flush->conf;
    fa.post.who = flush->who;
    fa.post.now = ngx_current_msec;
    fa.post.random = ngx_random();
    fa.post.probe = batch->probe;
    fa.post.resumes = batch->resumes;
    fa.post.size = batch->size;

    date = ngx_http_refine_flush_date(answer);

    ngx_http_refine_verdict_rate(answer, date, &fa.rate);
    fa.rate.now = fa.post.now;
    fa.rate.seq = batch->seq;

    if (fa.verdict != NGX_HTTP_REFINE_VERDICT_DELIVERED) {
        fa.post.wait = ngx_http_refine_flush_wait(answer, date);
    }

    ngx_http_refine_flush_judge(flush, batch, &fa);
    ngx_http_refine_flush_log(flush, &fa);
    ngx_http_refine_flush_act(flush, batch, &fa);

    if (fa.held) {
        ngx_http_refine_queue_held(flush->catalog->store);
    }

    if (fa.failing) {
        ngx_http_refine_flush_expire(flush, answer->status);
    }

    ngx_http_refine_flush_run(flush);
}


static void
ngx_http_refine_flush_count(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_http_answer_t *answer)
{
    ngx_http_refine_queue_count(flush->catalog->store,
                                ngx_http_refine_verdict_counter(answer), 1);

    if (answer->status) {
        ngx_http_refine_queue_time(flush->catalog->store,
                                   NGX_HTTP_REFINE_POST_MS_1,
                                   ngx_current_msec - batch->posted_at);
    }
}


static time_t
ngx_http_refine_flush_date(ngx_http_refine_http_answer_t *answer)
{
    time_t  date;

    date = (time_t) NGX_ERROR;

    if (answer->date.len) {
        date = ngx_parse_http_time(answer->date.data, answer->date.len);
    }

    return (date == (time_t) NGX_ERROR) ? ngx_time() : date;
}


static ngx_msec_t
ngx_http_refine_flush_wait(ngx_http_refine_http_answer_t *answer, time_t date)
{
    time_t  retry;

    retry = (time_t) NGX_ERROR;

    if (answer->retry_after.len) {
        retry = ngx_parse_http_time(answer->retry_after.data,
                                    answer->retry_after.len);
    }

    return ngx_http_refine_verdict_wait(answer, date, retry);
}


static void
ngx_http_refine_flush_judge(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa)
{
    ngx_http_refine_circuit_t    *circuit;
    ngx_http_refine_situation_t   s;

    s.n = batch->n;
    s.errors = batch->errors;
    s.refused = batch->refused;
    s.max_retries = flush->catalog->max_retries;
    s.probe = batch->probe;
    s.suspect = batch->suspect;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);

    s.singles = circuit->refused;
    s.known = ngx_http_refine_circuit_known(circuit, flush->conf);
    s.held = (circuit->state == NGX_HTTP_REFINE_CIRCUIT_HELD);
    s.passed = ngx_http_refine_flush_passed(batch, circuit->passes);

    fa->passed = s.passed;
    fa->action = ngx_http_refine_verdict_action(fa->verdict, &s);
    fa->before = circuit->state;

    if (circuit->conf == flush->conf) {
        ngx_http_refine_flush_note(circuit, fa);
        ngx_http_refine_rate_answer(&circuit->rate, &fa->rate);
    }

    ngx_http_refine_flush_circuit(circuit, batch, fa);

    if (fa->changed || batch->probe) {
        fa->held = (fa->before == NGX_HTTP_REFINE_CIRCUIT_HELD
                    || circuit->state == NGX_HTTP_REFINE_CIRCUIT_HELD);

        fa->failing = (circuit->state == NGX_HTTP_REFINE_CIRCUIT_BACKOFF
                       && circuit->conf == flush->conf
                       && circuit->attempts >= flush->catalog->max_retries);
    }

    fa->delay = ngx_http_refine_circuit_left(circuit->retry_at, fa->post.now);
    flush->passes = circuit->passes;

    ngx_http_refine_shared_unlock(flush->catalog->zone);
}


/* for the status; what Refine says itself may quote an event, or the key */

static void
ngx_http_refine_flush_note(ngx_http_refine_circuit_t *circuit,
    ngx_http_refine_flush_answer_t *fa)
{
    u_char      *p, *last;
    ngx_uint_t   status;

    status = fa->answer->status;
    circuit->last_status = status;

    p = circuit->last_error;
    last = p + NGX_HTTP_REFINE_CIRCUIT_ERROR;

    if (status == 0) {
        p = ngx_slprintf(p, last, "no answer (%s)",
                         fa->answer->error ? fa->answer->error : "unknown");

    } else if (fa->verdict != NGX_HTTP_REFINE_VERDICT_DELIVERED) {
        p = ngx_slprintf(p, last, "Refine answered %ui", status);
    }

    if (fa->action == NGX_HTTP_REFINE_ACTION_HOLD
        || fa->action == NGX_HTTP_REFINE_ACTION_HOLD_ASIDE)
    {
        p = ngx_slprintf(p, last, ", %s",
                         ngx_http_refine_verdict_advice(status));
    }

    circuit->last_error_len = p - circuit->last_error;
}


/*
 * Whether others pass.  A single event is given up by as many failures as
 * there were passes against it, those of the halves split from it included.
 */

static ngx_uint_t
ngx_http_refine_flush_passed(ngx_http_refine_batch_t *batch, uint64_t passes)
{
    if (batch->n > 1) {
        return passes > batch->mark;
    }

    return passes > batch->since + batch->errors;
}


static void
ngx_http_refine_flush_circuit(ngx_http_refine_circuit_t *circuit,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa)
{
    if (fa->verdict == NGX_HTTP_REFINE_VERDICT_TOO_LARGE && batch->n > 1) {
        ngx_http_refine_circuit_too_large(circuit, batch->size, fa->post.now);
    }

    switch (fa->action) {

    case NGX_HTTP_REFINE_ACTION_ACK:
        fa->changed = ngx_http_refine_circuit_passed(circuit, &fa->post);
        break;

    case NGX_HTTP_REFINE_ACTION_RETRY:
    case NGX_HTTP_REFINE_ACTION_ASIDE:
        fa->changed = ngx_http_refine_circuit_outage(circuit, &fa->post);
        break;

    case NGX_HTTP_REFINE_ACTION_HOLD:
    case NGX_HTTP_REFINE_ACTION_HOLD_ASIDE:
        fa->changed = ngx_http_refine_circuit_hold(circuit, &fa->post);
        break;

    case NGX_HTTP_REFINE_ACTION_DEAD:

        if (fa->verdict != NGX_HTTP_REFINE_VERDICT_FAILED) {
            circuit->refused++;
        }

        break;

    default: /* ALONE, SPLIT */
        break;
    }
}


static void
ngx_http_refine_flush_log(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_answer_t *fa)
{
    if (fa->post.wait > NGX_HTTP_REFINE_VERDICT_WAIT_MAX
        && (fa->changed || fa->post.probe))
    {
        ngx_log_error(NGX_LOG_WARN, flush->log, 0,
                      "refine: catalog \"%V\": Refine asked to wait for more "
                      "than an hour, trying again in an hour",
                      &flush->catalog->name);
    }

    if (!fa->changed) {
        return;
    }

    if (fa->action != NGX_HTTP_REFINE_ACTION_ACK) {
        ngx_http_refine_flush_log_down(flush, fa);

    } else if (fa->before == NGX_HTTP_REFINE_CIRCUIT_UNKNOWN) {
        ngx_log_error(NGX_LOG_NOTICE, flush->log, 0,
                      "refine: catalog \"%V\" is up: Refine takes events",
                      &flush->catalog->name);

    } else {
        ngx_log_error(NGX_LOG_NOTICE, flush->log, 0,
                      "refine: catalog \"%V\" has recovered: Refine takes "
                      "events again", &flush->catalog->name);
    }
}


static void
ngx_http_refine_flush_log_down(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_answer_t *fa)
{
    const char                     *advice;
    ngx_http_refine_http_answer_t  *answer;

    answer = fa->answer;

    if (fa->action == NGX_HTTP_REFINE_ACTION_HOLD
        || fa->action == NGX_HTTP_REFINE_ACTION_HOLD_ASIDE)
    {
        advice = ngx_http_refine_verdict_advice(answer->status);

        ngx_log_error(NGX_LOG_ERR, flush->log, 0,
                      "refine: catalog \"%V\" is held: Refine answered %ui, "
                      "%s; events stay queued, one batch is tried every "
                      "%d seconds", &flush->catalog->name, answer->status,
                      advice, NGX_HTTP_REFINE_CIRCUIT_HOLD / 1000);
        return;
    }

    if (answer->status) {
        ngx_log_error(NGX_LOG_WARN, flush->log, 0,
                      "refine: catalog \"%V\" backs off: Refine answered %ui, "
                      "next try in %M ms", &flush->catalog->name,
                      answer->status, fa->delay);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, flush->log, 0,
                  "refine: catalog \"%V\" backs off: no answer (%s), "
                  "next try in %M ms", &flush->catalog->name,
                  answer->error ? answer->error : "unknown", fa->delay);
}


static void
ngx_http_refine_flush_act(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_flush_answer_t *fa)
{
    if (fa->verdict == NGX_HTTP_REFINE_VERDICT_FAILED) {
        ngx_http_refine_flush_failed(batch, fa);
    }

    switch (fa->action) {

    case NGX_HTTP_REFINE_ACTION_ACK:
        ngx_http_refine_flush_lag(flush, batch);
        ngx_http_refine_queue_ack(flush->catalog->store, batch->entries,
                                  batch->n, NULL, NULL);
        ngx_http_refine_batch_free(batch);

        flush->wanted_at = fa->post.now;

        if (fa->changed) {
            ngx_http_refine_flush_drain(flush);
        }

        break;

    case NGX_HTTP_REFINE_ACTION_ASIDE:

        /* a POST of before the outage is no probe, its batch goes back */

        if (fa->changed || batch->probe) {
            ngx_http_refine_flush_aside(flush, batch);
        }

        break;

    case NGX_HTTP_REFINE_ACTION_ALONE:
        batch->retry_at = fa->post.now
                          + ngx_http_refine_circuit_delay(batch->tries,
                                                          fa->post.random);
        break;

    case NGX_HTTP_REFINE_ACTION_SPLIT:
        ngx_http_refine_flush_split(flush, batch);
        break;

    case NGX_HTTP_REFINE_ACTION_DEAD:
        ngx_http_refine_flush_dead(flush, batch, fa->answer);
        break;

    case NGX_HTTP_REFINE_ACTION_HOLD_ASIDE:
        ngx_http_refine_flush_aside(flush, batch);
        break;

    case NGX_HTTP_REFINE_ACTION_HOLD:

        if (batch->probe && fa->verdict != NGX_HTTP_REFINE_VERDICT_WRONG) {
            batch->refused++;
        }

        break;

    default: /* NGX_HTTP_REFINE_ACTION_RETRY */
        break;
    }
}


/* by the clocks of those who took the event and who has delivered it */

static void
ngx_http_refine_flush_lag(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    int64_t      now, at;
    ngx_uint_t   i;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    for (i = 0; i < batch->n; i++) {
        at = ngx_http_refine_event_received(&batch->entries[i].line);

        if (at) {
            ngx_http_refine_queue_time(flush->catalog->store,
                                       NGX_HTTP_REFINE_LAG_MS_100,
                                       ngx_max(now - at, 0));
        }
    }
}


static void
ngx_http_refine_flush_failed(ngx_http_refine_batch_t *batch,
    ngx_http_refine_flush_answer_t *fa)
{
    batch->tries++;

    /* a failure that no pass stands against may be an outage's */

    if (!batch->suspect || batch->probe || batch->n > 1 || fa->passed) {
        batch->errors++;
    }
}


static void
ngx_http_refine_flush_aside(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *other;

    n = 0;

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_refine_batch_t, queue);
        n += other->aside;
    }

    if (n >= NGX_HTTP_REFINE_FLUSH_ASIDES && !batch->aside) {
        ngx_http_refine_flush_return(flush, batch);
        return;
    }

    batch->aside = 1;
}


static void
ngx_http_refine_flush_split(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    batch->mark = flush->passes;

    if (ngx_http_refine_batch_split(batch, flush->log) != NGX_OK) {
        batch->retry_at = ngx_current_msec + NGX_HTTP_REFINE_FLUSH_NO_MEMORY;
    }
}


static void
ngx_http_refine_flush_dead(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch, ngx_http_refine_http_answer_t *answer)
{
    u_char     buf[NGX_HTTP_REFINE_VERDICT_REASON];
    time_t     now;
    ngx_str_t  reason;

    ngx_http_refine_verdict_reason(answer, buf, &reason);

    ngx_http_refine_queue_dead(flush->catalog->store, batch->entries,
                               answer->status, &reason, NULL, NULL);
    ngx_http_refine_batch_free(batch);

    now = ngx_time();

    if (flush->dead_logged == 0
        || now - flush->dead_logged >= NGX_HTTP_REFINE_FLUSH_DEAD_LOG)
    {
        flush->dead_logged = now;

        /* the reason may quote the event, which the error log must not */

        ngx_log_error(NGX_LOG_WARN, flush->log, 0,
                      "refine: catalog \"%V\": an event became a dead letter, "
                      "Refine answered %ui; more of them within the hour are "
                      "only counted", &flush->catalog->name, answer->status);
    }
}


void
ngx_http_refine_flush_settle(ngx_http_refine_flush_t *flush)
{
    ngx_queue_t              *q, *next;
    ngx_http_refine_batch_t  *batch;

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        if (batch->post) {
            continue;
        }

        if (batch->aside) {
            batch->aside = 0;
            batch->suspect = 1;
            batch->errors = 0;
            batch->tries = 0;
            batch->refused = 0;
            batch->mark = flush->passes;
            batch->since = flush->passes;
            batch->retry_at = ngx_current_msec;

        } else if (!batch->suspect || batch->errors == 0
                   || flush->passes <= batch->mark)
        {
            continue;
        }

        if (batch->n > 1) {
            ngx_http_refine_flush_split(flush, batch);
        }
    }
}
