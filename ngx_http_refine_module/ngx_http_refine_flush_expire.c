
#include "ngx_http_refine_flush_core.h"


#define NGX_HTTP_REFINE_FLUSH_EXPIRE_LOG  3600  /* s between two lines */


static void ngx_http_refine_flush_expire_step(ngx_http_refine_flush_t *flush,
    ngx_str_t *next);
static void ngx_http_refine_flush_expired(void *data,
    ngx_http_refine_step_t *step);
static void ngx_http_refine_flush_expire_log(ngx_http_refine_flush_t *flush);


void
ngx_http_refine_flush_expire(ngx_http_refine_flush_t *flush,
    ngx_uint_t status)
{
    ngx_str_t  first;

    /* what is on its way may arrive, and would be a dead letter as well */

    if (flush->expiring || flush->claiming || flush->in_flight
        || flush->quitting || ngx_exiting)
    {
        return;
    }

    flush->expire_status = status;
    ngx_str_null(&first);

    ngx_http_refine_flush_expire_step(flush, &first);
}


static void
ngx_http_refine_flush_expire_step(ngx_http_refine_flush_t *flush,
    ngx_str_t *next)
{
    ngx_http_refine_catalog_t  *catalog;

    static ngx_str_t  reason = ngx_string("older than retry_window");

    catalog = flush->catalog;
    flush->expiring = 1;

    ngx_http_refine_queue_expire(catalog->store, next, catalog->retry_window,
                                 flush->expire_status, &reason,
                                 ngx_http_refine_flush_expired, flush);
}


static void
ngx_http_refine_flush_expired(void *data, ngx_http_refine_step_t *step)
{
    ngx_http_refine_flush_t *flush = data;

    ngx_queue_t              *q, *next;
    ngx_http_refine_batch_t  *batch;

    flush->expiring = 0;

    if (flush->stopped) {
        return;
    }

    for (q = ngx_queue_head(&flush->batches);
         q != ngx_queue_sentinel(&flush->batches) && step->n;
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);

        ngx_http_refine_batch_drop(batch, step->ids, step->n);
    }

    if (step->n) {
        ngx_http_refine_flush_expire_log(flush);
    }

    if (step->next.len && !step->failed && !flush->quitting && !ngx_exiting) {
        ngx_http_refine_flush_expire_step(flush, &step->next);
        return;
    }

    ngx_http_refine_flush_run(flush);
}


static void
ngx_http_refine_flush_expire_log(ngx_http_refine_flush_t *flush)
{
    time_t  now;

    now = ngx_time();

    if (flush->expire_logged
        && now - flush->expire_logged < NGX_HTTP_REFINE_FLUSH_EXPIRE_LOG)
    {
        return;
    }

    flush->expire_logged = now;

    ngx_log_error(NGX_LOG_WARN, flush->log, 0,
                  "refine: catalog \"%V\": events became dead letters, they "
                  "were stored longer ago than retry_window; more of them "
                  "within the hour are only counted", &flush->catalog->name);
}
