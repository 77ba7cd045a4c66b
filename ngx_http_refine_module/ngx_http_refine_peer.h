
/*
 * Level 1: an outgoing byte stream: resolve, connect (every address in turn),
 * TLS and its verification, write queue, deadline, close.
 */


#ifndef _NGX_HTTP_REFINE_PEER_H_INCLUDED_
#define _NGX_HTTP_REFINE_PEER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_target.h"


/* the reasons of a stream that the other side ended in order, or by a reset */

#define NGX_HTTP_REFINE_PEER_CLOSED  "closed by peer"
#define NGX_HTTP_REFINE_PEER_RESET   "connection reset by peer"


typedef struct ngx_http_refine_peer_s  ngx_http_refine_peer_t;


/*
 * All of them run from the event loop, never from within a call of this
 * file's functions.  Inside each of them any function here may be called,
 * ngx_http_refine_peer_close() included.
 */

typedef struct {
    /* connected, and verified where TLS is on */
    void  (*connected)(void *data);

    /* bytes arrived; they are valid during the call only */
    void  (*received)(void *data, u_char *p, size_t len);

    /*
     * The stream has ended: reason is a constant text such as "connection
     * refused", "certificate verify failed", "closed by peer" or "timed out",
     * with which the texts of all timeouts end.
     * It is called at most once, and the peer is gone when it is called.
     */
    void  (*closed)(void *data, const char *reason);
} ngx_http_refine_peer_handlers_t;


/*
 * Starts to connect.  The target and the handlers must outlive the peer; the
 * log is copied.  Returns NULL only when there is no memory; every other
 * failure arrives through closed().
 */
ngx_http_refine_peer_t *ngx_http_refine_peer_connect(
    ngx_http_refine_target_t *target,
    const ngx_http_refine_peer_handlers_t *handlers, void *data,
    ngx_log_t *log);

/*
 * Queues a copy of the bytes; they are written once this turn of the event
 * loop, all that was queued in one go.  May be called before connected():
 * the bytes wait.  NGX_ERROR: out of memory, nothing was queued.
 */
ngx_int_t ngx_http_refine_peer_send(ngx_http_refine_peer_t *peer,
    const void *p, size_t len);

/*
 * Room for so many bytes: to queue them, in one piece or in several, does not
 * fail then.  NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_refine_peer_reserve(ngx_http_refine_peer_t *peer,
    size_t len);

/* what was queued and is not written yet */
size_t ngx_http_refine_peer_unsent(ngx_http_refine_peer_t *peer);

/*
 * Idle: nothing is expected.  No read timeout runs, the connection counts as
 * idle to nginx, which may close it on exit: closed(); bytes that arrive are
 * an error: closed().  ngx_http_refine_peer_send() ends it.
 */
void ngx_http_refine_peer_idle(ngx_http_refine_peer_t *peer);

/* (re)starts or with 0 stops the read timeout; 0 after connected() */
void ngx_http_refine_peer_read_timeout(ngx_http_refine_peer_t *peer,
    ngx_msec_t timeout);

/*
 * Closes without a callback.  Safe in every state and from every handler;
 * memory goes when the handlers that are on the stack have returned.
 */
void ngx_http_refine_peer_close(ngx_http_refine_peer_t *peer);


#endif /* _NGX_HTTP_REFINE_PEER_H_INCLUDED_ */
