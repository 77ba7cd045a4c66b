
/*
 * Level 5: delivery: a timer in each worker claims batches and POSTs them to
 * Refine.  design: sections 3.4 and 5.
 */


#ifndef _NGX_HTTP_REFINE_FLUSH_H_INCLUDED_
#define _NGX_HTTP_REFINE_FLUSH_H_INCLUDED_


#include "ngx_http_refine_module.h"


/*
 * Makes catalog->store and catalog->flush in this process and starts the
 * timers; done by init_process, and where that never ran (a single process
 * that was reconfigured) by the first request: NGX_OK at once when it was
 * done before.
 */
ngx_int_t ngx_http_refine_flush_start(ngx_http_refine_catalog_t *catalog,
    ngx_cycle_t *cycle);

/* delivers what is queued now, without waiting for the interval */
void ngx_http_refine_flush_now(ngx_http_refine_catalog_t *catalog);

/* after a pause was set (1) or ended (0), which ends a backoff or hold, too */
void ngx_http_refine_flush_pause(ngx_http_refine_catalog_t *catalog,
    ngx_uint_t pause);

/*
 * From exit_process: closes what is open and frees everything; what was under
 * way stays claimed and is taken over by another worker.
 */
void ngx_http_refine_flush_stop(ngx_http_refine_catalog_t *catalog);


#endif /* _NGX_HTTP_REFINE_FLUSH_H_INCLUDED_ */
