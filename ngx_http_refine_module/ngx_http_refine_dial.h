
/*
 * Level 1: the way to a connection: resolve, connect to each address in turn,
 * TLS handshake and verification.
 */


#ifndef _NGX_HTTP_REFINE_DIAL_H_INCLUDED_
#define _NGX_HTTP_REFINE_DIAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include "ngx_http_refine_target.h"


/*
 * c is the connection, which belongs to the callee from now on, or NULL with
 * a constant text.  The dial may be freed within the call.
 */
typedef void (*ngx_http_refine_dial_handler_pt)(void *data,
    ngx_connection_t *c, const char *reason);


/* the first five are set by the caller; the rest is zeroed */

typedef struct {
    ngx_pool_t                       *pool;
    ngx_log_t                        *log;      /* its action is changed */
    ngx_http_refine_target_t         *target;
    ngx_http_refine_dial_handler_pt   handler;
    void                             *data;

    ngx_peer_connection_t             pc;
    ngx_resolver_ctx_t               *resolve;
    ngx_addr_t                       *addrs;
    ngx_uint_t                        naddrs;
    ngx_uint_t                        next;     /* of addrs */
    const char                       *reason;   /* why the last one failed */
} ngx_http_refine_dial_t;


/* to be called from the event loop; the handler may run within the call */
void ngx_http_refine_dial_start(ngx_http_refine_dial_t *dial);

/* the handler will not run */
void ngx_http_refine_dial_cancel(ngx_http_refine_dial_t *dial);

/* closes any connection made here; quiet: without the alert of TLS */
void ngx_http_refine_dial_close(ngx_connection_t *c, ngx_uint_t quiet);

/* a constant text for an error of a socket */
const char *ngx_http_refine_dial_strerror(ngx_err_t err);


#endif /* _NGX_HTTP_REFINE_DIAL_H_INCLUDED_ */
