
/*
 * Level 1: what the workers of one machine share about a catalog, in a zone of
 * its own ("refine:NAME"), which survives reloads: the state of delivery (the
 * circuit), a table of the event ids stored lately, and one of the surfaces by
 * which items were found (trace.h); 4 MB in all.
 */


#ifndef _NGX_HTTP_REFINE_SHARED_H_INCLUDED_
#define _NGX_HTTP_REFINE_SHARED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_circuit.h"
#include "ngx_http_refine_trace.h"


/* a copy of the state, for the status page; times are Unix ms */

typedef struct {
    ngx_http_refine_circuit_e  state;
    ngx_uint_t                 last_status;     /* 0: none, or no answer */
    u_char                     last_error[NGX_HTTP_REFINE_CIRCUIT_ERROR];
    size_t                     last_error_len;  /* 0: the last one passed */
    uint64_t                   retry_at;        /* 0: at once */
    int64_t                    limit;           /* X-RateLimit-*, -1: none */
    int64_t                    remaining;
    uint64_t                   reset;
    unsigned                   paused:1;
} ngx_http_refine_shared_state_t;


/* adds the zone of a catalog to the configuration; tag is the module */
ngx_shm_zone_t *ngx_http_refine_shared_add(ngx_conf_t *cf, ngx_str_t *catalog,
    void *tag);

/*
 * The handler runs when the configuration is complete and the zone is there,
 * still in the process that reads the configuration; NGX_ERROR: it is refused.
 */
typedef ngx_int_t (*ngx_http_refine_shared_pt)(void *data, ngx_log_t *log);

void ngx_http_refine_shared_then(ngx_shm_zone_t *zone,
    ngx_http_refine_shared_pt handler, void *data);

/* grows with each configuration that is loaded: the later one is the higher */
uint64_t ngx_http_refine_shared_generation(ngx_shm_zone_t *zone);

void ngx_http_refine_shared_state(ngx_shm_zone_t *zone,
    ngx_http_refine_shared_state_t *state);

/*
 * The circuit, locked until ngx_http_refine_shared_unlock(): nothing may be
 * logged or allocated in between.
 */
ngx_http_refine_circuit_t *ngx_http_refine_shared_lock(ngx_shm_zone_t *zone);
void ngx_http_refine_shared_unlock(ngx_shm_zone_t *zone);

/*
 * The table of event ids: fixed size, the oldest of a bucket gives way.
 * seen: 1 when the id was remembered.  Both copy nothing and keep no pointer.
 */
ngx_uint_t ngx_http_refine_shared_seen(ngx_shm_zone_t *zone, ngx_str_t *id);
void ngx_http_refine_shared_remember(ngx_shm_zone_t *zone, ngx_str_t *id);

/* to be used between lock and unlock; key() is the hash that it wants */
ngx_http_refine_trace_t *ngx_http_refine_shared_trace(ngx_shm_zone_t *zone);
uint64_t ngx_http_refine_shared_key(ngx_shm_zone_t *zone, ngx_str_t *text);


#endif /* _NGX_HTTP_REFINE_SHARED_H_INCLUDED_ */
