
#include "ngx_http_refine_flush_core.h"


#define NGX_HTTP_REFINE_FLUSH_VAIN  100     /* ms */


static void ngx_http_refine_flush_ask(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_claim_e claim, ngx_uint_t n);
static void ngx_http_refine_flush_claimed(void *data,
    ngx_http_refine_claim_t *claim);
static void ngx_http_refine_flush_paused(ngx_http_refine_flush_t *flush,
    ngx_uint_t paused);
static void ngx_http_refine_flush_outcome(ngx_http_refine_flush_t *flush,
    ngx_http_refine_claim_t *claim);
static void ngx_http_refine_flush_take(ngx_http_refine_flush_t *flush,
    ngx_http_refine_claim_t *claim);


void
ngx_http_refine_flush_drain(ngx_http_refine_flush_t *flush)
{
    flush->drain = 1;
    flush->phase = NGX_HTTP_REFINE_FLUSH_TAKEOVER;

    /* the outcome of a claim under way tells nothing about this one */
    flush->draining = 0;
}


void
ngx_http_refine_flush_fill(ngx_http_refine_flush_t *flush)
{
    ngx_uint_t                     n;
    ngx_http_refine_flush_claim_e  claim;

    if (flush->claiming || flush->expiring) {
        return;
    }

    if (!flush->drain
        && (!flush->wanted
            || ngx_http_refine_circuit_left(flush->wanted_at, ngx_current_msec)
               != 0))
    {
        return;
    }

    if (flush->gate == NGX_HTTP_REFINE_GATE_OPEN
        && !ngx_http_refine_flush_permitted(flush))
    {
        return;
    }

    flush->draining = flush->drain;
    flush->wanted = 0;
    flush->single = 0;

    claim = flush->drain ? flush->phase : NGX_HTTP_REFINE_FLUSH_CLAIM;

    n = flush->bytes / flush->line_size;
    n = ngx_max(n, 1);
    n = ngx_min(n, flush->catalog->batch_size);

    ngx_http_refine_flush_ask(flush, claim, n);
}


ngx_uint_t
ngx_http_refine_flush_compare(ngx_http_refine_flush_t *flush)
{
    if (flush->compared > 1) {
        return 0;
    }

    flush->draining = 0;
    flush->single = 1;

    ngx_http_refine_flush_ask(flush, flush->compared == 0
                                     ? NGX_HTTP_REFINE_FLUSH_CLAIM
                                     : NGX_HTTP_REFINE_FLUSH_TAKEOVER, 1);
    return 1;
}


static void
ngx_http_refine_flush_ask(ngx_http_refine_flush_t *flush,
    ngx_http_refine_flush_claim_e claim, ngx_uint_t n)
{
    flush->claiming = 1;
    flush->claim = claim;
    flush->claim_n = n;
    flush->asking = (flush->gate == NGX_HTTP_REFINE_GATE_PAUSED);

    if (claim == NGX_HTTP_REFINE_FLUSH_TAKEOVER) {
        ngx_http_refine_queue_takeover(flush->catalog->store, n,
                                       ngx_http_refine_flush_claimed, flush);
    } else {
        ngx_http_refine_queue_claim(flush->catalog->store, n,
                                    ngx_http_refine_flush_claimed, flush);
    }
}


static void
ngx_http_refine_flush_claimed(void *data, ngx_http_refine_claim_t *claim)
{
    ngx_http_refine_flush_t *flush = data;

    flush->claiming = 0;

    if (flush->stopped) {

        if (claim->nentries) {
            ngx_destroy_pool(claim->pool);
        }

        return;
    }

    if (claim->paused) {
        ngx_http_refine_flush_paused(flush, 1);

    } else if (flush->asking && !claim->failed) {

        ngx_http_refine_flush_paused(flush, 0);
        ngx_http_refine_flush_drain(flush);
    }

    ngx_http_refine_flush_outcome(flush, claim);

    if (claim->nentries) {
        ngx_http_refine_flush_take(flush, claim);
    }

    ngx_http_refine_flush_run(flush);
}


static void
ngx_http_refine_flush_paused(ngx_http_refine_flush_t *flush, ngx_uint_t paused)
{
    ngx_http_refine_circuit_t  *circuit;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);
    circuit->paused = paused;
    ngx_http_refine_shared_unlock(flush->catalog->zone);
}


static void
ngx_http_refine_flush_outcome(ngx_http_refine_flush_t *flush,
    ngx_http_refine_claim_t *claim)
{
    if (flush->single && claim->nentries == 0) {
        flush->compared++;
    }

    if (claim->failed || claim->paused) {

        /* the next interval asks again, or Redis's return does */

        flush->drain = 0;
        flush->wanted = 0;
        return;
    }

    if (flush->single) {
        return;
    }

    if (!flush->draining) {

        if (claim->cut || claim->nentries >= flush->claim_n) {
            flush->wanted = 1;

        } else {

            /*
             * Other workers were told of the same events, and one of them
             * was quicker: this must not bring on many small claims.
             */

            flush->wanted_at = ngx_current_msec + NGX_HTTP_REFINE_FLUSH_VAIN;
        }

        return;
    }

    if (claim->cut || claim->nentries >= flush->claim_n) {
        return;
    }

    if (flush->claim == NGX_HTTP_REFINE_FLUSH_TAKEOVER) {
        flush->phase = NGX_HTTP_REFINE_FLUSH_CLAIM;

    } else {
        flush->drain = 0;
    }
}


static void
ngx_http_refine_flush_take(ngx_http_refine_flush_t *flush,
    ngx_http_refine_claim_t *claim)
{
    size_t                    size;
    ngx_str_t                 id, reason;
    ngx_uint_t                i, n;
    ngx_http_refine_entry_t  *entry;

    ngx_str_set(&reason, "not an event of this module");

    size = 0;
    n = 0;

    for (i = 0; i < claim->nentries; i++) {
        entry = &claim->entries[i];

        if (ngx_http_refine_event_id(&entry->line, &id) != NGX_OK) {
            ngx_http_refine_queue_dead(flush->catalog->store, entry, 0,
                                       &reason, NULL, NULL);
            continue;
        }

        size += entry->line.len + 1;
        claim->entries[n++] = *entry;
    }

    claim->nentries = n;

    if (n == 0) {
        ngx_destroy_pool(claim->pool);
        return;
    }

    flush->line_size = (flush->line_size * 3 + size / n) / 4 + 1;

    if (ngx_http_refine_batch_cut(claim, &flush->batches, flush,
                                  flush->catalog->batch_size, flush->bytes,
                                  flush->log)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, flush->log, 0,
                      "refine: catalog \"%V\": no memory for a batch, another "
                      "worker takes it over", &flush->catalog->name);
    }
}


void
ngx_http_refine_flush_return(ngx_http_refine_flush_t *flush,
    ngx_http_refine_batch_t *batch)
{
    ngx_http_refine_queue_return(flush->catalog->store, batch->entries,
                                 batch->n, 0, NULL, NULL);
    ngx_http_refine_batch_free(batch);
}


void
ngx_http_refine_flush_renew(ngx_http_refine_flush_t *flush)
{
    ngx_msec_t                now, period;
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;

    /* what could not be renewed is, as soon as Redis is back */

    if (!ngx_http_refine_queue_ready(flush->catalog->store)) {
        return;
    }

    now = ngx_current_msec;
    period = flush->catalog->queue.claim_timeout / 3;

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        if (now - batch->renewed >= period) {
            batch->renewed = now;
            ngx_http_refine_queue_renew(flush->catalog->store, batch->entries,
                                        batch->n, NULL, NULL);
        }
    }
}
