
#include "ngx_http_refine_flush_core.h"


ngx_uint_t
ngx_http_refine_flush_permitted(ngx_http_refine_flush_t *flush)
{
    ngx_msec_t                     wait;
    ngx_http_refine_circuit_t     *circuit;
    ngx_http_refine_rate_share_t  *share;

    if (flush->permit) {
        return 1;
    }

    share = &flush->catalog->rate_share;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);

    wait = ngx_http_refine_rate_wait(&circuit->rate, share, ngx_current_msec);

    if (wait == 0) {
        flush->permit = 1;
        flush->seq = ngx_http_refine_rate_take(&circuit->rate, share,
                                               ngx_current_msec);
    }

    ngx_http_refine_shared_unlock(flush->catalog->zone);

    flush->pace_at = ngx_current_msec + wait;

    return flush->permit;
}


uint64_t
ngx_http_refine_flush_permit_use(ngx_http_refine_flush_t *flush)
{
    ngx_http_refine_circuit_t  *circuit;

    if (!flush->permit) {

        /* a probe goes when the circuit says so, but counts */

        circuit = ngx_http_refine_shared_lock(flush->catalog->zone);
        flush->seq = ngx_http_refine_rate_take(&circuit->rate,
                                               &flush->catalog->rate_share,
                                               ngx_current_msec);
        ngx_http_refine_shared_unlock(flush->catalog->zone);
    }

    flush->permit = 0;

    return flush->seq;
}


void
ngx_http_refine_flush_permit_return(ngx_http_refine_flush_t *flush)
{
    ngx_http_refine_circuit_t  *circuit;

    if (!flush->permit) {
        return;
    }

    flush->permit = 0;

    circuit = ngx_http_refine_shared_lock(flush->catalog->zone);
    ngx_http_refine_rate_give(&circuit->rate, flush->seq, ngx_current_msec);
    ngx_http_refine_shared_unlock(flush->catalog->zone);
}
