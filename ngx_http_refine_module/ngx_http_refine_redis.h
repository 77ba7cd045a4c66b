
/*
 * Level 2: one pipelined Redis connection: RESP by hiredis's reader and
 * formatter over a peer; AUTH, SELECT, reconnects with backoff and jitter.
 */


#ifndef _NGX_HTTP_REFINE_REDIS_H_INCLUDED_
#define _NGX_HTTP_REFINE_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <hiredis/hiredis.h>
#include "ngx_http_refine_peer.h"


typedef struct ngx_http_refine_redis_s  ngx_http_refine_redis_t;


/* by the configuration */

typedef struct {
    ngx_http_refine_target_t   target;
    ngx_str_t                  owner;       /* a catalog's NAME, for logs */
    ngx_str_t                  user;        /* empty: the default user */
    ngx_str_t                  password;    /* empty: no AUTH */
    ngx_uint_t                 db;
    ngx_msec_t                 timeout;     /* queue_timeout */
} ngx_http_refine_redis_conf_t;


/*
 * reply is NULL when the answer did not come (connection lost, timed out); an
 * error of Redis is a reply of type REDIS_REPLY_ERROR.  The reply belongs to
 * the connection and is freed after the call.
 */
typedef void (*ngx_http_refine_redis_handler_pt)(void *data,
    redisReply *reply);


typedef struct {
    int                        argc;
    const char               **argv;
    const size_t              *argvlen;
} ngx_http_refine_redis_command_t;


/*
 * changed() runs with up = 1 each time when the connection is ready (greeted,
 * authenticated, database selected) and with up = 0 when it was lost after
 * that, after all handlers of pending commands have run with NULL, or when
 * the first attempt has failed.
 *
 * The greeting is sent after AUTH and SELECT at each connect, PING when there
 * is none; an error in answer to any of it is a refused login.
 */
typedef struct {
    void                     (*changed)(void *data, ngx_uint_t up);
    void                      *data;

    ngx_http_refine_redis_command_t
                              *greeting;
    ngx_uint_t                 ngreeting;
} ngx_http_refine_redis_watch_t;


/*
 * Makes the connection object and starts to connect.  A connection that is
 * down is tried again after 100 ms doubling to 5 s, with full jitter, for
 * ever.  Down, up and refused logins are logged once, on the change.  conf,
 * watch and log must outlive it.
 */
ngx_http_refine_redis_t *ngx_http_refine_redis_create(
    ngx_http_refine_redis_conf_t *conf,
    ngx_http_refine_redis_watch_t *watch, ngx_log_t *log);

/*
 * Queues a command; all commands of one turn of the event loop go out in one
 * write.  The arguments are copied.  The handler (NULL: the answer does not
 * matter) runs exactly once, never from within this call; replies come in the
 * order of the commands.  An answer that takes longer than conf->timeout
 * counts as a lost connection.
 *
 * NGX_DECLINED: the connection is not ready; NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_refine_redis_command(ngx_http_refine_redis_t *redis,
    int argc, const char **argv, const size_t *argvlen,
    ngx_http_refine_redis_handler_pt handler, void *data);

ngx_uint_t ngx_http_refine_redis_ready(ngx_http_refine_redis_t *redis);

/* "unknown" before the first attempt has ended, then "up" or "down" */
const char *ngx_http_refine_redis_state(ngx_http_refine_redis_t *redis);

/*
 * Treats the connection as lost, for an answer that only a Redis that cannot
 * serve gives (READONLY, LOADING, NOAUTH ...), or one that belongs to another
 * command: it reconnects with backoff.
 * Pending handlers run with NULL later in this turn of the event loop.
 */
void ngx_http_refine_redis_lost(ngx_http_refine_redis_t *redis,
    const char *reason);

/* a copy for the error log: printable, cut to size, NUL-terminated */
void ngx_http_refine_redis_text(u_char *dst, size_t size, const char *text);

/*
 * Pending handlers run with NULL, then everything is freed.  Not to be called
 * from a handler or from changed().
 */
void ngx_http_refine_redis_destroy(ngx_http_refine_redis_t *redis);


#endif /* _NGX_HTTP_REFINE_REDIS_H_INCLUDED_ */
