
/*
 * Level 1: a command of Redis on a peer: an array of bulk strings (Redis
 * serialization protocol specification, "Sending commands to a Redis server").
 * What Redis answers is read by hiredis, which writes commands as well, but
 * into memory of its own, from where each byte would be copied once more.
 */


#ifndef _NGX_HTTP_REFINE_RESP_H_INCLUDED_
#define _NGX_HTTP_REFINE_RESP_H_INCLUDED_


#include "ngx_http_refine_peer.h"


/* argc: at least 1.  NGX_ERROR: out of memory, nothing was queued. */
ngx_int_t ngx_http_refine_resp_send(ngx_http_refine_peer_t *peer, int argc,
    const char **argv, const size_t *argvlen);


#endif /* _NGX_HTTP_REFINE_RESP_H_INCLUDED_ */
