
/*
 * Level 1: an outgoing byte stream.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_dial.h"
#include "ngx_http_refine_peer.h"


#define NGX_HTTP_REFINE_PEER_READ   16384   /* a TLS record */
#define NGX_HTTP_REFINE_PEER_TURN   16      /* of those at once */
#define NGX_HTTP_REFINE_PEER_OUT    4096    /* the least to allocate */
#define NGX_HTTP_REFINE_PEER_KEEP   65536   /* the most to keep while empty */


typedef enum {
    ngx_http_refine_peer_start_e = 0,
    ngx_http_refine_peer_open_e,
    ngx_http_refine_peer_idle_e,
    ngx_http_refine_peer_done_e
} ngx_http_refine_peer_state_e;


struct ngx_http_refine_peer_s {
    ngx_pool_t                             *pool;
    const ngx_http_refine_peer_handlers_t  *handlers;
    void                                   *data;

    ngx_http_refine_peer_state_e            state;
    ngx_http_refine_dial_t                  dial;
    ngx_http_refine_target_t               *target;
    ngx_connection_t                       *connection;

    /* start to end: allocated; pos to last: queued */
    u_char                                 *start;
    u_char                                 *pos;
    u_char                                 *last;
    u_char                                 *end;

    ngx_msec_t                              read_timeout;
    ngx_event_t                             posted;     /* start, then write */

    ngx_log_t                               log;
    ngx_log_t                               parent;

    ngx_uint_t                              depth;      /* handlers running */
    ngx_uint_t                              broken;     /* a write failed */
};


static void ngx_http_refine_peer_log_init(ngx_http_refine_peer_t *peer,
    ngx_log_t *log);
static u_char *ngx_http_refine_peer_log_handler(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_refine_peer_log_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static void ngx_http_refine_peer_state(ngx_http_refine_peer_t *peer,
    ngx_http_refine_peer_state_e state, char *action);

static void ngx_http_refine_peer_start_handler(ngx_event_t *ev);
static void ngx_http_refine_peer_dialed(void *data, ngx_connection_t *c,
    const char *reason);
static void ngx_http_refine_peer_opened(ngx_http_refine_peer_t *peer,
    ngx_connection_t *c);

static void ngx_http_refine_peer_read_handler(ngx_event_t *rev);
static void ngx_http_refine_peer_read(ngx_http_refine_peer_t *peer);
static void ngx_http_refine_peer_received(ngx_http_refine_peer_t *peer,
    u_char *p, size_t len);
static void ngx_http_refine_peer_read_ended(ngx_http_refine_peer_t *peer,
    ssize_t n, ngx_err_t err);

static void ngx_http_refine_peer_write_handler(ngx_event_t *wev);
static void ngx_http_refine_peer_posted_handler(ngx_event_t *ev);
static void ngx_http_refine_peer_write(ngx_http_refine_peer_t *peer);
static void ngx_http_refine_peer_written(ngx_http_refine_peer_t *peer);
static void ngx_http_refine_peer_blocked(ngx_http_refine_peer_t *peer,
    ngx_uint_t progress);
static void ngx_http_refine_peer_write_failed(ngx_http_refine_peer_t *peer);

static void ngx_http_refine_peer_leave(ngx_http_refine_peer_t *peer);
static void ngx_http_refine_peer_finish(ngx_http_refine_peer_t *peer,
    const char *reason);
static void ngx_http_refine_peer_release(ngx_http_refine_peer_t *peer);
static void ngx_http_refine_peer_free(ngx_http_refine_peer_t *peer);


ngx_http_refine_peer_t *
ngx_http_refine_peer_connect(ngx_http_refine_target_t *target,
    const ngx_http_refine_peer_handlers_t *handlers, void *data,
    ngx_log_t *log)
{
    ngx_pool_t              *pool;
    ngx_http_refine_peer_t  *peer;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    peer = ngx_pcalloc(pool, sizeof(ngx_http_refine_peer_t));
    if (peer == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    peer->pool = pool;
    peer->target = target;
    peer->handlers = handlers;
    peer->data = data;

    ngx_http_refine_peer_log_init(peer, log);

    peer->dial.pool = pool;
    peer->dial.log = &peer->log;
    peer->dial.target = target;
    peer->dial.handler = ngx_http_refine_peer_dialed;
    peer->dial.data = peer;

    peer->posted.data = peer;
    peer->posted.log = &peer->log;
    peer->posted.handler = ngx_http_refine_peer_start_handler;

    /*
     * "Next" events cut the wait for events short: in init_process and after
     * the quit signal the usual queue may be looked at much later.
     */

    ngx_post_event(&peer->posted, &ngx_posted_next_events);

    return peer;
}


ngx_int_t
ngx_http_refine_peer_send(ngx_http_refine_peer_t *peer, const void *p,
    size_t len)
{
    ngx_queue_t  *queue;

    if (peer->state == ngx_http_refine_peer_done_e || peer->broken || len == 0)
    {
        /* the end of a broken stream is about to be told */

        return NGX_OK;
    }

    if (ngx_http_refine_peer_reserve(peer, len) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->last = ngx_cpymem(peer->last, p, len);

    if (peer->state == ngx_http_refine_peer_idle_e) {
        peer->connection->idle = 0;
        ngx_http_refine_peer_state(peer, ngx_http_refine_peer_open_e,
                                   "talking");
    }

    /* a stream that is blocked goes on by its own event */

    if (peer->state == ngx_http_refine_peer_open_e
        && peer->connection->write->ready)
    {
        queue = ngx_exiting ? &ngx_posted_next_events : &ngx_posted_events;

        ngx_post_event(&peer->posted, queue);
    }

    return NGX_OK;
}


size_t
ngx_http_refine_peer_unsent(ngx_http_refine_peer_t *peer)
{
    return peer->last - peer->pos;
}


void
ngx_http_refine_peer_idle(ngx_http_refine_peer_t *peer)
{
    if (peer->state != ngx_http_refine_peer_open_e) {
        return;
    }

    ngx_http_refine_peer_read_timeout(peer, 0);

    peer->connection->idle = 1;

    ngx_http_refine_peer_state(peer, ngx_http_refine_peer_idle_e, "idle");
}


void
ngx_http_refine_peer_read_timeout(ngx_http_refine_peer_t *peer,
    ngx_msec_t timeout)
{
    ngx_event_t  *rev;

    if (peer->state != ngx_http_refine_peer_open_e) {
        return;
    }

    peer->read_timeout = timeout;

    rev = peer->connection->read;

    if (timeout) {
        ngx_add_timer(rev, timeout);

    } else if (rev->timer_set) {
        ngx_del_timer(rev);
    }
}


void
ngx_http_refine_peer_close(ngx_http_refine_peer_t *peer)
{
    if (peer->state == ngx_http_refine_peer_done_e) {

        /* freed by the handler that is running */

        return;
    }

    ngx_http_refine_peer_release(peer);

    if (peer->depth == 0) {
        ngx_http_refine_peer_free(peer);
    }
}


static void
ngx_http_refine_peer_log_init(ngx_http_refine_peer_t *peer, ngx_log_t *log)
{
    peer->parent = *log;
    peer->parent.connection = 0;
    peer->parent.handler = NULL;
    peer->parent.data = NULL;
    peer->parent.action = NULL;

    peer->log = peer->parent;
    peer->log.handler = ngx_http_refine_peer_log_handler;
    peer->log.data = peer;
    peer->log.writer = ngx_http_refine_peer_log_writer;
    peer->log.wdata = peer;
    peer->log.action = "starting";
    peer->log.next = NULL;

    peer->pool->log = &peer->log;
}


static u_char *
ngx_http_refine_peer_log_handler(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_refine_peer_t *peer = log->data;

    return ngx_snprintf(buf, len, " while %s, peer: \"%V\"",
                        log->action, &peer->target->name);
}


/*
 * The core logs each failure of a connection as an error or worse.  Here it
 * is a detail of what the owner tells once, so it is passed on as "info".
 */

static void
ngx_http_refine_peer_log_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                  *p, *last;
    ngx_http_refine_peer_t  *peer = log->wdata;

    if (level > NGX_LOG_ALERT && level < NGX_LOG_INFO) {
        level = NGX_LOG_INFO;
    }

    if (level != NGX_LOG_DEBUG && peer->parent.log_level < level) {
        return;
    }

    last = buf + len;

    if (len && last[-1] == LF) {
        last--;
    }

    /* time, level and process are written anew: "... [level] pid#tid: " */

    p = ngx_strlchr(buf, last, '#');

    if (p) {
        p = ngx_strlchr(p, last, ' ');
    }

    p = p ? p + 1 : buf;

    ngx_log_error_core(level, &peer->parent, 0, "refine: %*s",
                       (size_t) (last - p), p);
}


static void
ngx_http_refine_peer_state(ngx_http_refine_peer_t *peer,
    ngx_http_refine_peer_state_e state, char *action)
{
    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, &peer->log, 0,
                   "refine peer %p state %d %s", peer, state, action);

    peer->state = state;
    peer->log.action = action;
}


static void
ngx_http_refine_peer_start_handler(ngx_event_t *ev)
{
    ngx_http_refine_peer_t *peer = ev->data;

    peer->posted.handler = ngx_http_refine_peer_posted_handler;

    peer->depth++;

    ngx_http_refine_dial_start(&peer->dial);

    ngx_http_refine_peer_leave(peer);
}


static void
ngx_http_refine_peer_dialed(void *data, ngx_connection_t *c,
    const char *reason)
{
    ngx_http_refine_peer_t *peer = data;

    peer->depth++;

    if (c) {
        ngx_http_refine_peer_opened(peer, c);

    } else {
        ngx_http_refine_peer_finish(peer, reason);
    }

    ngx_http_refine_peer_leave(peer);
}


static void
ngx_http_refine_peer_opened(ngx_http_refine_peer_t *peer, ngx_connection_t *c)
{
    peer->connection = c;

    c->data = peer;
    c->read->handler = ngx_http_refine_peer_read_handler;
    c->write->handler = ngx_http_refine_peer_write_handler;
    c->write->ready = 1;

    ngx_http_refine_peer_state(peer, ngx_http_refine_peer_open_e, "talking");

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_refine_peer_finish(peer, "connection failed");
        return;
    }

    peer->handlers->connected(peer->data);

    if (peer->state == ngx_http_refine_peer_done_e) {
        return;
    }

    /* what came meanwhile, perhaps in the last record of a handshake */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    if (peer->posted.posted) {
        ngx_delete_posted_event(&peer->posted);
    }

    ngx_http_refine_peer_write(peer);
}


static void
ngx_http_refine_peer_read_handler(ngx_event_t *rev)
{
    ngx_connection_t        *c;
    ngx_http_refine_peer_t  *peer;

    c = rev->data;
    peer = c->data;

    peer->depth++;

    if (c->close) {
        ngx_http_refine_peer_finish(peer, "worker is shutting down");

    } else if (!rev->timedout) {
        ngx_http_refine_peer_read(peer);

    } else if (peer->pos != peer->last) {

        /* while the request is on its way its own timeout counts */

        rev->timedout = 0;
        ngx_add_timer(rev, peer->read_timeout);

    } else {
        ngx_http_refine_peer_finish(peer, "timed out");
    }

    ngx_http_refine_peer_leave(peer);
}


static void
ngx_http_refine_peer_read(ngx_http_refine_peer_t *peer)
{
    u_char             buf[NGX_HTTP_REFINE_PEER_READ];
    ssize_t            n;
    ngx_err_t          err;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = peer->connection;

    for (i = 0; i < NGX_HTTP_REFINE_PEER_TURN; i++) {

        n = c->recv(c, buf, NGX_HTTP_REFINE_PEER_READ);
        err = ngx_socket_errno;

        if (n == NGX_AGAIN && !peer->broken) {

            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                ngx_http_refine_peer_finish(peer, "connection failed");
            }

            return;
        }

        if (n <= 0) {
            ngx_http_refine_peer_read_ended(peer, n, err);
            return;
        }

        ngx_http_refine_peer_received(peer, buf, n);

        if (peer->state == ngx_http_refine_peer_done_e) {
            return;
        }
    }

    /* others have their turn before the rest */

    ngx_post_event(c->read, &ngx_posted_next_events);
}


static void
ngx_http_refine_peer_received(ngx_http_refine_peer_t *peer, u_char *p,
    size_t len)
{
    if (peer->state == ngx_http_refine_peer_idle_e) {
        ngx_http_refine_peer_finish(peer, "unexpected data");
        return;
    }

    peer->handlers->received(peer->data, p, len);
}


static void
ngx_http_refine_peer_read_ended(ngx_http_refine_peer_t *peer, ssize_t n,
    ngx_err_t err)
{
    const char  *reason;

    reason = peer->connection->ssl
             ? ngx_http_refine_target_tls_refusal(peer->connection) : NULL;

    if (reason) {
        /* an alert says more than how the stream ended */

    } else if (n == 0 && !peer->broken) {
        reason = NGX_HTTP_REFINE_PEER_CLOSED;

    } else if (peer->broken || err == NGX_ECONNRESET || err == NGX_EPIPE) {
        reason = NGX_HTTP_REFINE_PEER_RESET;

    } else if (peer->connection->ssl) {
        reason = "TLS failed";

    } else {
        reason = ngx_http_refine_dial_strerror(err);
    }

    ngx_http_refine_peer_finish(peer, reason);
}


ngx_int_t
ngx_http_refine_peer_reserve(ngx_http_refine_peer_t *peer, size_t len)
{
    u_char  *p;
    size_t   size, queued;

    if ((size_t) (peer->end - peer->last) >= len) {
        return NGX_OK;
    }

    size = peer->end - peer->start;
    queued = peer->last - peer->pos;

    /* moving less than was written keeps the cost in proportion */

    if (size - queued >= len && (size_t) (peer->pos - peer->start) >= queued) {
        ngx_memmove(peer->start, peer->pos, queued);

        peer->pos = peer->start;
        peer->last = peer->start + queued;

        return NGX_OK;
    }

    if (len > NGX_MAX_SIZE_T_VALUE / 4 - queued) {
        return NGX_ERROR;
    }

    size = ngx_max(NGX_HTTP_REFINE_PEER_OUT, size);

    while (size - queued < len) {
        size *= 2;
    }

    p = ngx_alloc(size, &peer->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (peer->start) {
        ngx_memcpy(p, peer->pos, queued);
        ngx_free(peer->start);
    }

    peer->start = p;
    peer->pos = p;
    peer->last = p + queued;
    peer->end = p + size;

    return NGX_OK;
}


static void
ngx_http_refine_peer_write_handler(ngx_event_t *wev)
{
    ngx_connection_t        *c;
    ngx_http_refine_peer_t  *peer;

    c = wev->data;
    peer = c->data;

    peer->depth++;

    if (wev->timedout) {
        ngx_http_refine_peer_finish(peer, "sending timed out");

    } else {
        ngx_http_refine_peer_write(peer);
    }

    ngx_http_refine_peer_leave(peer);
}


static void
ngx_http_refine_peer_posted_handler(ngx_event_t *ev)
{
    ngx_http_refine_peer_t *peer = ev->data;

    peer->depth++;

    ngx_http_refine_peer_write(peer);

    ngx_http_refine_peer_leave(peer);
}


static void
ngx_http_refine_peer_write(ngx_http_refine_peer_t *peer)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    if (peer->broken) {
        return;
    }

    c = peer->connection;

    for (i = 0; peer->pos != peer->last; i++) {

        if (i == NGX_HTTP_REFINE_PEER_TURN) {

            /* TLS writes by records: an early answer is to be seen */

            ngx_post_event(&peer->posted, &ngx_posted_next_events);
            return;
        }

        n = c->send(c, peer->pos, peer->last - peer->pos);

        if (n == NGX_ERROR) {
            ngx_http_refine_peer_write_failed(peer);
            return;
        }

        if (n > 0) {
            peer->pos += n;
        }

        if (peer->pos != peer->last && (n <= 0 || !c->write->ready)) {
            ngx_http_refine_peer_blocked(peer, i || n > 0);
            return;
        }
    }

    ngx_http_refine_peer_written(peer);
}


static void
ngx_http_refine_peer_written(ngx_http_refine_peer_t *peer)
{
    ngx_event_t  *wev;

    wev = peer->connection->write;

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    if (peer->end - peer->start > NGX_HTTP_REFINE_PEER_KEEP) {
        ngx_free(peer->start);

        peer->start = NULL;
        peer->end = NULL;
    }

    peer->pos = peer->start;
    peer->last = peer->start;

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_refine_peer_finish(peer, "connection failed");
    }
}


static void
ngx_http_refine_peer_blocked(ngx_http_refine_peer_t *peer,
    ngx_uint_t progress)
{
    ngx_event_t  *wev;

    wev = peer->connection->write;

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_refine_peer_finish(peer, "connection failed");
        return;
    }

    if (peer->target->send_timeout && (progress || !wev->timer_set)) {
        ngx_add_timer(wev, peer->target->send_timeout);
    }
}


/*
 * The other side may have answered before it stopped to read: the answer is
 * taken before the end is told.
 */

static void
ngx_http_refine_peer_write_failed(ngx_http_refine_peer_t *peer)
{
    ngx_connection_t  *c;

    c = peer->connection;

    peer->broken = 1;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->read->ready = 1;
    c->read->available = -1;

    ngx_http_refine_peer_read(peer);
}


/*
 * Each handler that nginx runs counts itself in peer->depth and leaves here,
 * so that a peer closed meanwhile is freed below all that still looks at it.
 */

static void
ngx_http_refine_peer_leave(ngx_http_refine_peer_t *peer)
{
    if (--peer->depth == 0 && peer->state == ngx_http_refine_peer_done_e) {
        ngx_http_refine_peer_free(peer);
    }
}


static void
ngx_http_refine_peer_finish(ngx_http_refine_peer_t *peer, const char *reason)
{
    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &peer->log, 0,
                   "refine peer %p closed: %s", peer, reason);

    ngx_http_refine_peer_release(peer);

    peer->handlers->closed(peer->data, reason);
}


static void
ngx_http_refine_peer_release(ngx_http_refine_peer_t *peer)
{
    ngx_uint_t         quiet;
    ngx_connection_t  *c;

    if (peer->posted.posted) {
        ngx_delete_posted_event(&peer->posted);
    }

    ngx_http_refine_dial_cancel(&peer->dial);

    c = peer->connection;

    if (c) {
        quiet = peer->pos != peer->last || c->read->timedout
                || c->read->error || c->write->error;

        peer->connection = NULL;
        ngx_http_refine_dial_close(c, quiet);
    }

    if (peer->start) {
        ngx_free(peer->start);
    }

    peer->start = NULL;
    peer->pos = NULL;
    peer->last = NULL;
    peer->end = NULL;

    ngx_http_refine_peer_state(peer, ngx_http_refine_peer_done_e, "closing");
}


static void
ngx_http_refine_peer_free(ngx_http_refine_peer_t *peer)
{
    ngx_pool_t  *pool;

    pool = peer->pool;

    /* the copied log goes with the pool */

    pool->log = ngx_cycle->log;

    ngx_destroy_pool(pool);
}
