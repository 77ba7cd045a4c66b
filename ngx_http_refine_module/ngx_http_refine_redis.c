
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_redis.h"
#include "ngx_http_refine_resp.h"


#define NGX_HTTP_REFINE_REDIS_BACKOFF      100
#define NGX_HTTP_REFINE_REDIS_MAX_BACKOFF  5000
#define NGX_HTTP_REFINE_REDIS_STABLE       5000
#define NGX_HTTP_REFINE_REDIS_RELOG        10000
#define NGX_HTTP_REFINE_REDIS_CHECK        1000
#define NGX_HTTP_REFINE_REDIS_EXIT         7000
#define NGX_HTTP_REFINE_REDIS_REASON       160
#define NGX_HTTP_REFINE_REDIS_MAX_REPLY    (256 * 1024 * 1024)
#define NGX_HTTP_REFINE_REDIS_MAX_ARRAY    (1024 * 1024)


#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_http_refine_redis_count_t;
#else
typedef int     ngx_http_refine_redis_count_t;
#endif


typedef enum {
    NGX_HTTP_REFINE_REDIS_DOWN = 0,
    NGX_HTTP_REFINE_REDIS_CONNECTING,
    NGX_HTTP_REFINE_REDIS_GREETING,
    NGX_HTTP_REFINE_REDIS_UP
} ngx_http_refine_redis_e;


typedef struct {
    ngx_queue_t                        queue;
    ngx_http_refine_redis_handler_pt   handler;
    void                              *data;
    ngx_msec_t                         sent;
    unsigned                           greeting:1;
} ngx_http_refine_redis_pending_t;


struct ngx_http_refine_redis_s {
    ngx_pool_t                        *pool;
    ngx_log_t                         *log;
    ngx_http_refine_redis_conf_t      *conf;
    ngx_http_refine_redis_watch_t     *watch;

    ngx_connection_t                   dummy;      /* of the timers */
    ngx_event_t                        reconnect;
    ngx_event_t                        deadline;
    ngx_event_t                        fail;       /* posted */

    ngx_http_refine_redis_e            state;
    ngx_http_refine_peer_t            *peer;
    redisReader                       *reader;
    redisReplyObjectFunctions          functions;
    redisReplyObjectFunctions         *defaults;   /* hiredis's own */

    ngx_queue_t                        pending;
    ngx_queue_t                        failed;     /* of a lost connection */
    ngx_queue_t                        free;
    ngx_uint_t                         npending;
    ngx_uint_t                         ngreeting;  /* answers awaited */
    size_t                             received;   /* of an answer */

    ngx_msec_t                         backoff;
    ngx_msec_t                         up_since;
    ngx_msec_t                         logged;
    u_char                             reason[NGX_HTTP_REFINE_REDIS_REASON];

    unsigned                           known:1;
    unsigned                           answered:1; /* this connection */
    unsigned                           down:1;     /* logged so */
    unsigned                           was_up:1;   /* changed(0) is due */
};


static void ngx_http_refine_redis_connect(ngx_http_refine_redis_t *redis);
static redisReader *ngx_http_refine_redis_reader(
    ngx_http_refine_redis_t *redis);
static void *ngx_http_refine_redis_array(const redisReadTask *task,
    ngx_http_refine_redis_count_t n);
static void ngx_http_refine_redis_reconnect_handler(ngx_event_t *ev);
static void ngx_http_refine_redis_deadline_handler(ngx_event_t *ev);
static void ngx_http_refine_redis_fail_handler(ngx_event_t *ev);
static void ngx_http_refine_redis_connected(void *data);
static void ngx_http_refine_redis_received(void *data, u_char *p, size_t len);
static void ngx_http_refine_redis_closed(void *data, const char *reason);
static ngx_int_t ngx_http_refine_redis_greet(ngx_http_refine_redis_t *redis,
    int argc, const char **argv, const size_t *argvlen);
static void ngx_http_refine_redis_greeted(ngx_http_refine_redis_t *redis,
    redisReply *reply);
static ngx_int_t ngx_http_refine_redis_send(ngx_http_refine_redis_t *redis,
    int argc, const char **argv, const size_t *argvlen,
    ngx_http_refine_redis_handler_pt handler, void *data,
    ngx_uint_t greeting);
static void ngx_http_refine_redis_reply(ngx_http_refine_redis_t *redis,
    redisReply *reply);
static void ngx_http_refine_redis_detach(ngx_http_refine_redis_t *redis);
static void ngx_http_refine_redis_log_down(ngx_http_refine_redis_t *redis,
    const char *reason);
static void ngx_http_refine_redis_event(ngx_http_refine_redis_t *redis,
    ngx_event_t *ev, ngx_event_handler_pt handler);


static const ngx_http_refine_peer_handlers_t
    ngx_http_refine_redis_handlers =
{
    ngx_http_refine_redis_connected,
    ngx_http_refine_redis_received,
    ngx_http_refine_redis_closed
};


ngx_http_refine_redis_t *
ngx_http_refine_redis_create(ngx_http_refine_redis_conf_t *conf,
    ngx_http_refine_redis_watch_t *watch, ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_http_refine_redis_t  *redis;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NULL;
    }

    redis = ngx_pcalloc(pool, sizeof(ngx_http_refine_redis_t));
    if (redis == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    redis->pool = pool;
    redis->log = log;
    redis->conf = conf;
    redis->watch = watch;
    redis->backoff = NGX_HTTP_REFINE_REDIS_BACKOFF;

    redis->dummy.fd = (ngx_socket_t) -1;
    redis->dummy.data = redis;

    ngx_queue_init(&redis->pending);
    ngx_queue_init(&redis->failed);
    ngx_queue_init(&redis->free);

    ngx_http_refine_redis_event(redis, &redis->reconnect,
                                ngx_http_refine_redis_reconnect_handler);
    ngx_http_refine_redis_event(redis, &redis->deadline,
                                ngx_http_refine_redis_deadline_handler);
    ngx_http_refine_redis_event(redis, &redis->fail,
                                ngx_http_refine_redis_fail_handler);

    ngx_http_refine_redis_connect(redis);

    return redis;
}


static void
ngx_http_refine_redis_event(ngx_http_refine_redis_t *redis, ngx_event_t *ev,
    ngx_event_handler_pt handler)
{
    ev->handler = handler;
    ev->data = &redis->dummy;
    ev->log = redis->log;
    ev->cancelable = 1;
}


static void
ngx_http_refine_redis_detach(ngx_http_refine_redis_t *redis)
{
    if (redis->peer) {
        ngx_http_refine_peer_close(redis->peer);
        redis->peer = NULL;
    }

    if (redis->reader) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
}


void
ngx_http_refine_redis_destroy(ngx_http_refine_redis_t *redis)
{
    /* a watcher that is being destroyed itself is not told */

    redis->state = NGX_HTTP_REFINE_REDIS_DOWN;
    redis->was_up = 0;

    ngx_http_refine_redis_detach(redis);

    if (!ngx_queue_empty(&redis->pending)) {
        ngx_queue_add(&redis->failed, &redis->pending);
        ngx_queue_init(&redis->pending);
        redis->npending = 0;
    }

    ngx_http_refine_redis_fail_handler(&redis->fail);

    if (redis->reconnect.timer_set) {
        ngx_del_timer(&redis->reconnect);
    }

    if (redis->deadline.timer_set) {
        ngx_del_timer(&redis->deadline);
    }

    if (redis->fail.posted) {
        ngx_delete_posted_event(&redis->fail);
    }

    ngx_destroy_pool(redis->pool);
}


ngx_uint_t
ngx_http_refine_redis_ready(ngx_http_refine_redis_t *redis)
{
    return redis->state == NGX_HTTP_REFINE_REDIS_UP;
}


const char *
ngx_http_refine_redis_state(ngx_http_refine_redis_t *redis)
{
    if (redis->state == NGX_HTTP_REFINE_REDIS_UP) {
        return "up";
    }

    return redis->known ? "down" : "unknown";
}


ngx_int_t
ngx_http_refine_redis_command(ngx_http_refine_redis_t *redis, int argc,
    const char **argv, const size_t *argvlen,
    ngx_http_refine_redis_handler_pt handler, void *data)
{
    if (redis->state != NGX_HTTP_REFINE_REDIS_UP) {
        return NGX_DECLINED;
    }

    return ngx_http_refine_redis_send(redis, argc, argv, argvlen, handler,
                                      data, 0);
}


static ngx_int_t
ngx_http_refine_redis_send(ngx_http_refine_redis_t *redis, int argc,
    const char **argv, const size_t *argvlen,
    ngx_http_refine_redis_handler_pt handler, void *data,
    ngx_uint_t greeting)
{
    ngx_queue_t                      *q;
    ngx_http_refine_redis_pending_t  *pending;

    if (ngx_queue_empty(&redis->free)) {
        pending = ngx_palloc(redis->pool,
                             sizeof(ngx_http_refine_redis_pending_t));
        if (pending == NULL) {
            return NGX_ERROR;
        }

        ngx_queue_insert_head(&redis->free, &pending->queue);
    }

    if (ngx_http_refine_resp_send(redis->peer, argc, argv, argvlen) != NGX_OK)
    {
        return NGX_ERROR;
    }

    q = ngx_queue_head(&redis->free);
    ngx_queue_remove(q);

    pending = ngx_queue_data(q, ngx_http_refine_redis_pending_t, queue);
    pending->handler = handler;
    pending->data = data;
    pending->sent = ngx_current_msec;
    pending->greeting = greeting;

    ngx_queue_insert_tail(&redis->pending, q);
    redis->npending++;

    /*
     * The timer runs on over answers and is only compared with the oldest
     * command when it expires.  A worker waits for answers before it exits.
     */

    redis->deadline.cancelable = greeting ? 1 : 0;

    if (!redis->deadline.timer_set) {
        ngx_add_timer(&redis->deadline, ngx_min(redis->conf->timeout,
                                                NGX_HTTP_REFINE_REDIS_CHECK));
    }

    return NGX_OK;
}


static void
ngx_http_refine_redis_connect(ngx_http_refine_redis_t *redis)
{
    redis->state = NGX_HTTP_REFINE_REDIS_CONNECTING;
    redis->received = 0;
    redis->answered = 0;

    redis->reader = ngx_http_refine_redis_reader(redis);

    if (redis->reader) {
        redis->peer = ngx_http_refine_peer_connect(&redis->conf->target,
                                               &ngx_http_refine_redis_handlers,
                                               redis, redis->log);
    }

    if (redis->peer == NULL) {
        ngx_http_refine_redis_lost(redis, "out of memory");
    }
}


/*
 * hiredis allocates an array by the size that the peer claims, and frees it
 * element by element: a worker would spend minutes on "*2147483647".
 */

static redisReader *
ngx_http_refine_redis_reader(ngx_http_refine_redis_t *redis)
{
    redisReader  *reader;

    reader = redisReaderCreate();

    if (reader) {
        redis->defaults = reader->fn;
        redis->functions = *reader->fn;
        redis->functions.createArray = ngx_http_refine_redis_array;

        reader->fn = &redis->functions;
        reader->privdata = redis;
    }

    return reader;
}


static void *
ngx_http_refine_redis_array(const redisReadTask *task,
    ngx_http_refine_redis_count_t n)
{
    ngx_http_refine_redis_t  *redis;

    if (n > NGX_HTTP_REFINE_REDIS_MAX_ARRAY) {
        return NULL;
    }

    redis = task->privdata;

    return redis->defaults->createArray(task, n);
}


static void
ngx_http_refine_redis_reconnect_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_refine_redis_t  *redis;

    c = ev->data;
    redis = c->data;

    if (redis->state == NGX_HTTP_REFINE_REDIS_DOWN) {
        ngx_http_refine_redis_connect(redis);
    }
}


static void
ngx_http_refine_redis_connected(void *data)
{
    ngx_http_refine_redis_t *redis = data;

    u_char                           *p;
    size_t                            len[3];
    ngx_int_t                         rc;
    ngx_uint_t                        i, n;
    const char                       *arg[3];
    u_char                            db[NGX_INT_T_LEN];
    ngx_http_refine_redis_command_t  *cmd;

    redis->state = NGX_HTTP_REFINE_REDIS_GREETING;
    redis->ngreeting = 0;

    rc = NGX_OK;

    if (redis->conf->password.len || redis->conf->user.len) {
        n = 0;
        arg[n] = "AUTH";
        len[n++] = sizeof("AUTH") - 1;

        if (redis->conf->user.len) {
            arg[n] = (const char *) redis->conf->user.data;
            len[n++] = redis->conf->user.len;
        }

        arg[n] = (const char *) redis->conf->password.data;
        len[n++] = redis->conf->password.len;

        rc |= ngx_http_refine_redis_greet(redis, (int) n, arg, len);
    }

    if (redis->conf->db) {
        p = ngx_sprintf(db, "%ui", redis->conf->db);

        arg[0] = "SELECT";
        len[0] = sizeof("SELECT") - 1;
        arg[1] = (const char *) db;
        len[1] = p - db;

        rc |= ngx_http_refine_redis_greet(redis, 2, arg, len);
    }

    for (i = 0; i < redis->watch->ngreeting; i++) {
        cmd = &redis->watch->greeting[i];

        rc |= ngx_http_refine_redis_greet(redis, cmd->argc, cmd->argv,
                                          cmd->argvlen);
    }

    if (redis->watch->ngreeting == 0) {
        arg[0] = "PING";
        len[0] = sizeof("PING") - 1;

        rc |= ngx_http_refine_redis_greet(redis, 1, arg, len);
    }

    if (rc != NGX_OK) {
        ngx_http_refine_redis_lost(redis, "out of memory");
    }
}


static ngx_int_t
ngx_http_refine_redis_greet(ngx_http_refine_redis_t *redis, int argc,
    const char **argv, const size_t *argvlen)
{
    if (ngx_http_refine_redis_send(redis, argc, argv, argvlen, NULL, NULL, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    redis->ngreeting++;

    return NGX_OK;
}


static void
ngx_http_refine_redis_greeted(ngx_http_refine_redis_t *redis,
    redisReply *reply)
{
    char        *p;
    ngx_uint_t   level;

    if (reply->type == REDIS_REPLY_ERROR) {

        /* "unknown command" repeats the arguments, the password among them */

        p = strstr(reply->str, ", with args");
        if (p) {
            *p = '\0';
        }

        ngx_http_refine_redis_lost(redis, reply->str);
        return;
    }

    if (--redis->ngreeting) {
        return;
    }

    redis->state = NGX_HTTP_REFINE_REDIS_UP;
    redis->known = 1;
    redis->up_since = ngx_current_msec;
    redis->logged = ngx_current_msec;

    level = redis->down ? NGX_LOG_WARN : NGX_LOG_NOTICE;

    ngx_log_error(level, redis->log, 0,
                  "refine: catalog \"%V\": redis %V is up",
                  &redis->conf->owner, &redis->conf->target.name);

    redis->down = 0;

    redis->watch->changed(redis->watch->data, 1);
}


static void
ngx_http_refine_redis_received(void *data, u_char *p, size_t len)
{
    ngx_http_refine_redis_t *redis = data;

    void                    *reply;
    redisReader             *reader;
    ngx_http_refine_peer_t  *peer;

    peer = redis->peer;
    reader = redis->reader;
    redis->received += len;
    redis->answered = 1;

    if (redisReaderFeed(reader, (const char *) p, len) != REDIS_OK) {
        ngx_http_refine_redis_lost(redis, "out of memory");
        return;
    }

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            ngx_http_refine_redis_lost(redis, "invalid reply");
            return;
        }

        if (reply == NULL) {
            break;
        }

        if (ngx_queue_empty(&redis->pending)) {
            freeReplyObject(reply);
            ngx_http_refine_redis_lost(redis, "unexpected reply");
            return;
        }

        redis->received = 0;

        ngx_http_refine_redis_reply(redis, reply);

        freeReplyObject(reply);

        /* a handler may have called ngx_http_refine_redis_lost() */

        if (redis->peer != peer) {
            return;
        }
    }

    if (redis->received > NGX_HTTP_REFINE_REDIS_MAX_REPLY) {
        ngx_http_refine_redis_lost(redis, "too large a reply");
    }
}


static void
ngx_http_refine_redis_reply(ngx_http_refine_redis_t *redis, redisReply *reply)
{
    void                              *data;
    ngx_uint_t                         greeting;
    ngx_queue_t                       *q;
    ngx_http_refine_redis_pending_t   *pending;
    ngx_http_refine_redis_handler_pt   handler;

    q = ngx_queue_head(&redis->pending);
    ngx_queue_remove(q);

    pending = ngx_queue_data(q, ngx_http_refine_redis_pending_t, queue);
    handler = pending->handler;
    data = pending->data;
    greeting = pending->greeting;

    ngx_queue_insert_head(&redis->free, q);

    if (--redis->npending == 0) {
        redis->deadline.cancelable = 1;
    }

    if (greeting) {
        ngx_http_refine_redis_greeted(redis, reply);

    } else if (handler) {
        handler(data, reply);
    }
}


static void
ngx_http_refine_redis_closed(void *data, const char *reason)
{
    ngx_http_refine_redis_t *redis = data;

    redis->peer = NULL;

    if (redis->state == NGX_HTTP_REFINE_REDIS_GREETING
        && !redis->answered
        && redis->conf->target.host.data[0] != '/'
        && (ngx_strcmp(reason, NGX_HTTP_REFINE_PEER_CLOSED) == 0
            || ngx_strcmp(reason, NGX_HTTP_REFINE_PEER_RESET) == 0))
    {
        reason = redis->conf->target.ssl
                 ? "closed before an answer, is a client certificate missing?"
                 : "closed before an answer, does it want TLS (rediss://)?";
    }

    ngx_http_refine_redis_lost(redis, reason);
}


static void
ngx_http_refine_redis_deadline_handler(ngx_event_t *ev)
{
    ngx_msec_t                        elapsed, timeout;
    ngx_queue_t                      *q;
    ngx_connection_t                 *c;
    ngx_http_refine_redis_t          *redis;
    ngx_http_refine_redis_pending_t  *pending;

    c = ev->data;
    redis = c->data;

    if (ngx_queue_empty(&redis->pending)) {
        return;
    }

    q = ngx_queue_head(&redis->pending);
    pending = ngx_queue_data(q, ngx_http_refine_redis_pending_t, queue);

    elapsed = ngx_current_msec - pending->sent;
    timeout = redis->conf->timeout;

    /* looked at from time to time, for a worker that exits waits less long */

    if (ngx_exiting) {
        timeout = ngx_min(timeout, NGX_HTTP_REFINE_REDIS_EXIT);
    }

    if (elapsed < timeout) {
        ngx_add_timer(ev, ngx_min(timeout - elapsed,
                                  NGX_HTTP_REFINE_REDIS_CHECK));
        return;
    }

    ngx_http_refine_redis_lost(redis, "timed out");
}


void
ngx_http_refine_redis_lost(ngx_http_refine_redis_t *redis, const char *reason)
{
    ngx_msec_t  delay;

    if (redis->state == NGX_HTTP_REFINE_REDIS_DOWN) {
        return;
    }

    /* handlers re-enter: everything is reset before the first one runs */

    if (redis->state == NGX_HTTP_REFINE_REDIS_UP) {
        redis->was_up = 1;

        if (ngx_current_msec - redis->up_since
            >= NGX_HTTP_REFINE_REDIS_STABLE)
        {
            redis->backoff = NGX_HTTP_REFINE_REDIS_BACKOFF;
        }
    }

    /* changed(0) is due after the first attempt, too */

    if (!redis->known) {
        redis->was_up = 1;
    }

    redis->state = NGX_HTTP_REFINE_REDIS_DOWN;
    redis->known = 1;

    /* first, for the reason may be the text of a reply */
    ngx_http_refine_redis_log_down(redis, reason);

    ngx_http_refine_redis_detach(redis);

    if (redis->deadline.timer_set) {
        ngx_del_timer(&redis->deadline);
    }

    if (!ngx_queue_empty(&redis->pending)) {
        ngx_queue_add(&redis->failed, &redis->pending);
        ngx_queue_init(&redis->pending);
        redis->npending = 0;
    }

    ngx_post_event(&redis->fail, &ngx_posted_events);

    delay = (ngx_msec_t) ngx_random() % (redis->backoff + 1);

    redis->backoff = ngx_min(redis->backoff * 2,
                             NGX_HTTP_REFINE_REDIS_MAX_BACKOFF);

    ngx_add_timer(&redis->reconnect, delay);
}


static void
ngx_http_refine_redis_fail_handler(ngx_event_t *ev)
{
    void                              *data;
    ngx_queue_t                       *q;
    ngx_connection_t                  *c;
    ngx_http_refine_redis_t           *redis;
    ngx_http_refine_redis_pending_t   *pending;
    ngx_http_refine_redis_handler_pt   handler;

    c = ev->data;
    redis = c->data;

    while (!ngx_queue_empty(&redis->failed)) {
        q = ngx_queue_head(&redis->failed);
        ngx_queue_remove(q);

        pending = ngx_queue_data(q, ngx_http_refine_redis_pending_t, queue);
        handler = pending->handler;
        data = pending->data;

        ngx_queue_insert_head(&redis->free, q);

        if (handler) {
            handler(data, NULL);
        }
    }

    if (redis->was_up) {
        redis->was_up = 0;
        redis->watch->changed(redis->watch->data, 0);
    }
}


/*
 * A connection that stays down is logged again only when the reason has
 * become another one, and not often: "connection refused", then WRONGPASS.
 */

static void
ngx_http_refine_redis_log_down(ngx_http_refine_redis_t *redis,
    const char *reason)
{
    u_char  text[NGX_HTTP_REFINE_REDIS_REASON];

    ngx_http_refine_redis_text(text, sizeof(text), reason);

    if (redis->down
        && (ngx_strcmp(text, redis->reason) == 0
            || ngx_current_msec - redis->logged < NGX_HTTP_REFINE_REDIS_RELOG))
    {
        return;
    }

    ngx_memcpy(redis->reason, text, sizeof(text));

    redis->down = 1;
    redis->logged = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                  "refine: catalog \"%V\": redis %V is down: %s",
                  &redis->conf->owner, &redis->conf->target.name, text);
}


void
ngx_http_refine_redis_text(u_char *dst, size_t size, const char *text)
{
    for (size--; size && *text; size--, text++) {
        *dst++ = (*text >= 0x20 && *text < 0x7f) ? *text : '?';
    }

    *dst = '\0';
}
