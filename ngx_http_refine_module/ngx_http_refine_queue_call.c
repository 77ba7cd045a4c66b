
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


typedef struct {
    const char  *text;
    ngx_uint_t   lost;     /* the connection is of no use */
} ngx_http_refine_queue_error_t;


static ngx_int_t ngx_http_refine_call_load(ngx_http_refine_call_t *call);
static void ngx_http_refine_call_reply(void *data, redisReply *reply);
static const ngx_http_refine_queue_error_t *ngx_http_refine_queue_error(
    redisReply *reply);
static void ngx_http_refine_queue_log_error(ngx_http_refine_queue_t *queue,
    redisReply *reply);


/* Redis 6.2 puts its own words before the error of a command in a script */

static const ngx_http_refine_queue_error_t  ngx_http_refine_queue_errors[] = {
    { "OOM ", 0 },
    { "READONLY ", 1 },
    { "LOADING ", 1 },
    { "MISCONF ", 0 },
    { "NOAUTH ", 1 },
    { "NOPERM ", 0 },
    { "BUSY ", 0 },
    { "CLUSTERDOWN ", 0 },
    { "MASTERDOWN ", 1 },
    { "MOVED ", 1 },
    { "NOREPLICAS ", 0 },
    { "NOSCRIPT ", 0 },
    { NULL, 0 }
};


ngx_http_refine_call_t *
ngx_http_refine_call_create(ngx_http_refine_queue_t *queue,
    ngx_http_refine_call_pt handler)
{
    ngx_pool_t              *pool;
    ngx_queue_t             *q;
    ngx_http_refine_call_t  *call;

    call = NULL;

    pool = ngx_create_pool(1024, queue->log);

    if (pool) {
        call = ngx_pcalloc(pool, sizeof(ngx_http_refine_call_t));

        if (call == NULL) {
            ngx_destroy_pool(pool);
            pool = NULL;
        }
    }

    if (call == NULL) {
        if (ngx_queue_empty(&queue->spare)) {
            return NULL;
        }

        q = ngx_queue_head(&queue->spare);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_http_refine_call_t, queue);
        ngx_memzero(call, sizeof(ngx_http_refine_call_t));

        call->broken = 1;
    }

    call->pool = pool;
    call->owner = queue;
    call->script = NGX_HTTP_REFINE_QUEUE_PLAIN;
    call->handler = handler;

    ngx_queue_init(&call->tickets);

    return call;
}


void
ngx_http_refine_call_free(ngx_http_refine_call_t *call)
{
    if (call->busy) {
        call->owner->nbusy--;
    }

    if (call->pool == NULL) {
        ngx_queue_insert_tail(&call->owner->spare, &call->queue);
        return;
    }

    ngx_destroy_pool(call->pool);
}


void
ngx_http_refine_call_busy(ngx_http_refine_call_t *call)
{
    call->busy = 1;
    call->owner->nbusy++;
}


void
ngx_http_refine_call_script(ngx_http_refine_call_t *call, ngx_uint_t script,
    ngx_uint_t nargs)
{
    ngx_uint_t                i, nkeys;
    ngx_http_refine_queue_t  *queue;

    if (call->broken) {
        return;
    }

    queue = call->owner;
    nkeys = 0;

    if (script != NGX_HTTP_REFINE_QUEUE_PLAIN) {
        nkeys = ngx_http_refine_scripts[script].nkeys;
        nargs += nkeys + 3;
    }

    call->script = script;
    call->argv = ngx_palloc(call->pool, nargs * sizeof(char *));
    call->argvlen = ngx_palloc(call->pool, nargs * sizeof(size_t));

    if (call->argv == NULL || call->argvlen == NULL) {
        call->broken = 1;
        return;
    }

    if (script == NGX_HTTP_REFINE_QUEUE_PLAIN) {
        return;
    }

    ngx_http_refine_call_lit(call, "EVALSHA");
    ngx_http_refine_call_arg(call, queue->sha1[script],
                             NGX_HTTP_REFINE_SHA1_LEN);
    ngx_http_refine_call_int(call, nkeys);

    for (i = 0; i < nkeys; i++) {
        ngx_http_refine_call_arg(call, queue->keys[i].data,
                                 queue->keys[i].len);
    }
}


void
ngx_http_refine_call_arg(ngx_http_refine_call_t *call, const void *p,
    size_t len)
{
    if (call->broken) {
        return;
    }

    call->argv[call->argc] = p;
    call->argvlen[call->argc++] = len;
}


void
ngx_http_refine_call_copy(ngx_http_refine_call_t *call, const ngx_str_t *s)
{
    u_char  *p;

    if (call->broken) {
        return;
    }

    if (s->len == 0) {
        ngx_http_refine_call_lit(call, "");
        return;
    }

    p = ngx_pnalloc(call->pool, s->len);
    if (p == NULL) {
        call->broken = 1;
        return;
    }

    ngx_memcpy(p, s->data, s->len);

    ngx_http_refine_call_arg(call, p, s->len);
}


void
ngx_http_refine_call_int(ngx_http_refine_call_t *call, int64_t n)
{
    u_char  *p;

    if (call->broken) {
        return;
    }

    p = ngx_pnalloc(call->pool, NGX_INT64_LEN);
    if (p == NULL) {
        call->broken = 1;
        return;
    }

    ngx_http_refine_call_arg(call, p, ngx_sprintf(p, "%L", n) - p);
}


void
ngx_http_refine_call_send(ngx_http_refine_call_t *call)
{
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    if (!call->broken
        && ngx_http_refine_queue_ready(queue)
        && ngx_http_refine_redis_command(queue->redis, call->argc, call->argv,
                                         call->argvlen,
                                         ngx_http_refine_call_reply, call)
           == NGX_OK)
    {
        return;
    }

    ngx_queue_insert_tail(&queue->failed, &call->queue);

    if (!queue->closing) {
        ngx_post_event(&queue->settle, &ngx_posted_events);
    }
}


static void
ngx_http_refine_call_reply(void *data, redisReply *reply)
{
    ngx_http_refine_call_t *call = data;

    ngx_http_refine_queue_t              *queue;
    const ngx_http_refine_queue_error_t  *err;

    queue = call->owner;

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        call->handler(call, reply);
        return;
    }

    if (call->script != NGX_HTTP_REFINE_QUEUE_PLAIN
        && !call->resent
        && ngx_strstr(reply->str, "NOSCRIPT "))
    {
        call->resent = 1;

        if (ngx_http_refine_call_load(call) == NGX_OK) {
            ngx_http_refine_call_send(call);
            return;
        }
    }

    /* the reply stays valid over ngx_http_refine_redis_lost() */

    err = ngx_http_refine_queue_error(reply);

    if (err && err->lost) {
        ngx_http_refine_redis_lost(queue->redis, reply->str);

    } else if (call->script != NGX_HTTP_REFINE_SCRIPT_STORE) {
        ngx_http_refine_queue_log_error(queue, reply);
    }

    call->handler(call, reply);
}


static ngx_int_t
ngx_http_refine_call_load(ngx_http_refine_call_t *call)
{
    size_t       len[3];
    const char  *argv[3];

    ngx_http_refine_queue_script(call->script, argv, len);

    return ngx_http_refine_redis_command(call->owner->redis, 3, argv, len,
                                         NULL, NULL);
}


static const ngx_http_refine_queue_error_t *
ngx_http_refine_queue_error(redisReply *reply)
{
    const ngx_http_refine_queue_error_t  *err;

    for (err = ngx_http_refine_queue_errors; err->text; err++) {
        if (ngx_strstr(reply->str, err->text)) {
            return err;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_refine_queue_unavailable(redisReply *reply)
{
    return reply == NULL
           || (reply->type == REDIS_REPLY_ERROR
               && ngx_http_refine_queue_error(reply) != NULL);
}


/* stores have a state of their own; the rest is logged once a minute */

static void
ngx_http_refine_queue_log_error(ngx_http_refine_queue_t *queue,
    redisReply *reply)
{
    u_char  text[160];

    if (ngx_strstr(reply->str, "NOGROUP ")
        || ngx_strstr(reply->str, "BUSYGROUP ")
        || (queue->error_logged && ngx_time() - queue->error_logged < 60))
    {
        return;
    }

    queue->error_logged = ngx_time();

    ngx_http_refine_redis_text(text, sizeof(text), reply->str);

    ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                  "refine: catalog \"%V\": redis answered with an error: %s",
                  &queue->conf->name, text);
}
