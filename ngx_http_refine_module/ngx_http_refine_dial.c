
/*
 * Level 1: the way to a connection.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include "ngx_http_refine_dial.h"


static void ngx_http_refine_dial_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_refine_dial_copy_addrs(ngx_http_refine_dial_t *dial,
    ngx_resolver_ctx_t *ctx);
static void ngx_http_refine_dial_connect(ngx_http_refine_dial_t *dial);
static ngx_int_t ngx_http_refine_dial_try(ngx_http_refine_dial_t *dial);
static void ngx_http_refine_dial_connect_handler(ngx_event_t *ev);
static void ngx_http_refine_dial_connected(ngx_http_refine_dial_t *dial);
static void ngx_http_refine_dial_handshake_handler(ngx_event_t *ev);
static void ngx_http_refine_dial_handshake(ngx_http_refine_dial_t *dial);
static void ngx_http_refine_dial_done(ngx_http_refine_dial_t *dial);
static void ngx_http_refine_dial_failed(ngx_http_refine_dial_t *dial,
    const char *reason);
static void ngx_http_refine_dial_abort(ngx_http_refine_dial_t *dial,
    const char *reason);


void
ngx_http_refine_dial_start(ngx_http_refine_dial_t *dial)
{
    ngx_resolver_ctx_t  *ctx;

    dial->addrs = dial->target->addrs;
    dial->naddrs = dial->target->naddrs;
    dial->reason = "host not found";

    if (dial->target->resolver == NULL || dial->target->numeric) {
        ngx_http_refine_dial_connect(dial);
        return;
    }

    dial->log->action = "resolving";

    ctx = ngx_resolve_start(dial->target->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_refine_dial_connect(dial);
        return;
    }

    ctx->name = dial->target->host;
    ctx->handler = ngx_http_refine_dial_resolve_handler;
    ctx->data = dial;
    ctx->timeout = dial->target->resolver_timeout;
    ctx->cancelable = 1;

    dial->resolve = ctx;

    /* the handler may run within the call; on an error ctx is freed there */

    if (ngx_resolve_name(ctx) != NGX_OK) {
        dial->resolve = NULL;
        ngx_http_refine_dial_connect(dial);
    }
}


void
ngx_http_refine_dial_cancel(ngx_http_refine_dial_t *dial)
{
    ngx_connection_t    *c;
    ngx_resolver_ctx_t  *ctx;

    ctx = dial->resolve;

    if (ctx) {
        dial->resolve = NULL;
        ngx_resolve_name_done(ctx);
    }

    c = dial->pc.connection;

    if (c) {
        dial->pc.connection = NULL;
        ngx_http_refine_dial_close(c, 1);
    }
}


void
ngx_http_refine_dial_close(ngx_connection_t *c, ngx_uint_t quiet)
{
    if (c->ssl) {
        c->ssl->save_session = NULL;
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown |= (quiet != 0);

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {

            /* no room for the alert: the other side sees the end anyway */

            c->ssl->no_send_shutdown = 1;

            (void) ngx_ssl_shutdown(c);
        }
    }

    ngx_close_connection(c);
}


const char *
ngx_http_refine_dial_strerror(ngx_err_t err)
{
    switch (err) {

    case NGX_ECONNREFUSED:
        return "connection refused";

    case NGX_ECONNRESET:
    case NGX_EPIPE:
        return "connection reset by peer";

    case NGX_ETIMEDOUT:
        return "connection timed out";

    case NGX_EHOSTUNREACH:
    case NGX_EHOSTDOWN:
        return "no route to host";

    case NGX_ENETUNREACH:
    case NGX_ENETDOWN:
        return "network is unreachable";

    case NGX_ENOENT:
        return "no such socket file";

    case NGX_EACCES:
    case NGX_EPERM:
        return "permission denied";

    case NGX_EAGAIN:
        return "listen queue is full";

    default:
        return "connection failed";
    }
}


static void
ngx_http_refine_dial_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_http_refine_dial_t *dial = ctx->data;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_INFO, dial->log, 0,
                      "\"%V\" could not be resolved (%i: %s)",
                      &ctx->name, ctx->state,
                      ngx_resolver_strerror(ctx->state));

        if (ctx->state == NGX_RESOLVE_TIMEDOUT) {
            dial->reason = "host lookup timed out";
        }

    } else if (ngx_http_refine_dial_copy_addrs(dial, ctx) != NGX_OK) {
        dial->reason = "out of memory";
        dial->naddrs = 0;
    }

    dial->resolve = NULL;
    ngx_resolve_name_done(ctx);

    ngx_http_refine_dial_connect(dial);
}


static ngx_int_t
ngx_http_refine_dial_copy_addrs(ngx_http_refine_dial_t *dial,
    ngx_resolver_ctx_t *ctx)
{
    u_char      *p;
    ngx_uint_t   i;
    ngx_addr_t  *addr;

    addr = ngx_pcalloc(dial->pool, ctx->naddrs * sizeof(ngx_addr_t));
    if (addr == NULL) {
        return NGX_ERROR;
    }

    dial->addrs = addr;
    dial->naddrs = ctx->naddrs;

    for (i = 0; i < ctx->naddrs; i++, addr++) {

        addr->socklen = ctx->addrs[i].socklen;
        addr->sockaddr = ngx_palloc(dial->pool, addr->socklen);
        p = ngx_pnalloc(dial->pool, NGX_SOCKADDR_STRLEN);

        if (addr->sockaddr == NULL || p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(addr->sockaddr, ctx->addrs[i].sockaddr, addr->socklen);
        ngx_inet_set_port(addr->sockaddr, dial->target->port);

        addr->name.data = p;
        addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen, p,
                                       NGX_SOCKADDR_STRLEN, 1);
    }

    return NGX_OK;
}


static void
ngx_http_refine_dial_connect(ngx_http_refine_dial_t *dial)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    dial->log->action = "connecting";

    rc = ngx_http_refine_dial_try(dial);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        dial->handler(dial->data, NULL, dial->reason);
        return;
    }

    c = dial->pc.connection;

    c->data = dial;
    c->pool = dial->pool;
    c->sendfile = 0;
    c->read->handler = ngx_http_refine_dial_connect_handler;
    c->write->handler = ngx_http_refine_dial_connect_handler;

    dial->log->connection = c->number;

    ngx_add_timer(c->write, dial->target->connect_timeout);

    if (rc == NGX_OK) {
        ngx_http_refine_dial_connected(dial);
    }
}


static ngx_int_t
ngx_http_refine_dial_try(ngx_http_refine_dial_t *dial)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_peer_connection_t  *pc;

    pc = &dial->pc;

    while (dial->next < dial->naddrs) {
        addr = &dial->addrs[dial->next++];

        ngx_memzero(pc, sizeof(ngx_peer_connection_t));

        pc->sockaddr = addr->sockaddr;
        pc->socklen = addr->socklen;
        pc->name = &addr->name;
        pc->get = ngx_event_get_peer;
        pc->log = dial->log;
        pc->log_error = NGX_ERROR_INFO;
        pc->so_keepalive = (addr->sockaddr->sa_family != AF_UNIX);

        ngx_set_errno(0);

        rc = ngx_event_connect_peer(pc);

        if (rc == NGX_OK || rc == NGX_AGAIN) {
            return rc;
        }

        if (rc == NGX_ERROR) {
            dial->reason = "no socket or connection is free";
            return NGX_ERROR;
        }

        /* NGX_DECLINED, or NGX_BUSY, which only balancers return */

        dial->reason = ngx_http_refine_dial_strerror(ngx_socket_errno);
    }

    return NGX_DECLINED;
}


static void
ngx_http_refine_dial_connect_handler(ngx_event_t *ev)
{
    int                      err;
    socklen_t                len;
    ngx_connection_t        *c;
    ngx_http_refine_dial_t  *dial;

    c = ev->data;
    dial = c->data;

    if (c->close) {
        ngx_http_refine_dial_abort(dial, "worker is shutting down");
        return;
    }

    if (ev->timedout) {
        ngx_http_refine_dial_failed(dial, "connection timed out");
        return;
    }

    if (!ev->write) {

        /* an error shows as an event of both kinds */

        return;
    }

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_INFO, dial->log, err, "connect() to %V failed",
                      dial->pc.name);

        ngx_http_refine_dial_failed(dial, ngx_http_refine_dial_strerror(err));
        return;
    }

    ngx_http_refine_dial_connected(dial);
}


static void
ngx_http_refine_dial_connected(ngx_http_refine_dial_t *dial)
{
    ngx_connection_t  *c;

    c = dial->pc.connection;

    if (ngx_tcp_nodelay(c) != NGX_OK
        || ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        ngx_http_refine_dial_failed(dial, "connection failed");
        return;
    }

    if (dial->target->ssl == NULL) {
        ngx_http_refine_dial_done(dial);
        return;
    }

    dial->log->action = "TLS handshaking";

    if (ngx_http_refine_target_tls_init(dial->target, c) != NGX_OK) {
        ngx_http_refine_dial_abort(dial, "TLS could not be started");
        return;
    }

    ngx_http_refine_dial_handshake(dial);
}


static void
ngx_http_refine_dial_handshake_handler(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_refine_dial_t  *dial;

    c = ev->data;
    dial = c->data;

    if (c->close) {
        ngx_http_refine_dial_abort(dial, "worker is shutting down");
        return;
    }

    if (ev->timedout) {
        ngx_http_refine_dial_failed(dial, "TLS handshake timed out");
        return;
    }

    ngx_http_refine_dial_handshake(dial);
}


static void
ngx_http_refine_dial_handshake(ngx_http_refine_dial_t *dial)
{
    ngx_int_t          rc;
    const char        *reason;
    ngx_connection_t  *c;

    c = dial->pc.connection;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {

        /* the core's own handlers know nothing of c->close */

        c->read->handler = ngx_http_refine_dial_handshake_handler;
        c->write->handler = ngx_http_refine_dial_handshake_handler;
        return;
    }

    if (rc != NGX_OK) {
        reason = ngx_http_refine_target_tls_refusal(c);

        ngx_http_refine_target_tls_forget(dial->target);
        ngx_http_refine_dial_failed(dial, reason ? reason
                                                 : "TLS handshake failed");
        return;
    }

    reason = ngx_http_refine_target_tls_verify(dial->target, c);

    if (reason) {
        ngx_http_refine_target_tls_forget(dial->target);
        ngx_http_refine_dial_failed(dial, reason);
        return;
    }

    ngx_http_refine_dial_done(dial);
}


static void
ngx_http_refine_dial_done(ngx_http_refine_dial_t *dial)
{
    ngx_connection_t  *c;

    c = dial->pc.connection;

    ngx_del_timer(c->write);

    dial->pc.connection = NULL;

    dial->handler(dial->data, c, NULL);
}


static void
ngx_http_refine_dial_failed(ngx_http_refine_dial_t *dial, const char *reason)
{
    dial->reason = reason;

    ngx_http_refine_dial_cancel(dial);
    ngx_http_refine_dial_connect(dial);
}


static void
ngx_http_refine_dial_abort(ngx_http_refine_dial_t *dial, const char *reason)
{
    ngx_http_refine_dial_cancel(dial);

    dial->handler(dial->data, NULL, reason);
}
