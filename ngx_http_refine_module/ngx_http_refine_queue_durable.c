
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


#define NGX_HTTP_REFINE_DURABLE_AGE     10000   /* ms between two readings */

#define NGX_HTTP_REFINE_DURABLE_TEXT    80

#define NGX_HTTP_REFINE_DURABLE_NO_AOF  0x1
#define NGX_HTTP_REFINE_DURABLE_EVICTS  0x2


static void ngx_http_refine_durable_info(ngx_http_refine_queue_t *queue,
    const char *section, size_t len,
    ngx_http_refine_redis_handler_pt handler);
static void ngx_http_refine_durable_persistence(void *data,
    redisReply *reply);
static void ngx_http_refine_durable_memory(void *data, redisReply *reply);
static ngx_int_t ngx_http_refine_durable_field(redisReply *reply,
    const char *name, ngx_str_t *value);
static void ngx_http_refine_durable_log(ngx_http_refine_queue_t *queue,
    ngx_str_t *policy);


/*
 * By INFO, since Redis as a service forbids CONFIG.  Neither is part of the
 * greeting: a user who may not ask is no reason not to store events.
 */

void
ngx_http_refine_queue_durable_read(ngx_http_refine_queue_t *queue,
    ngx_uint_t now)
{
    ngx_http_refine_durable_t  *durable;

    durable = &queue->durable;

    if (ngx_exiting
        || (!now && ngx_current_msec - durable->read_at
                    < NGX_HTTP_REFINE_DURABLE_AGE))
    {
        return;
    }

    durable->read_at = ngx_current_msec;
    durable->aof = -1;

    ngx_http_refine_durable_info(queue, "persistence",
                                 sizeof("persistence") - 1,
                                 ngx_http_refine_durable_persistence);

    ngx_http_refine_durable_info(queue, "memory", sizeof("memory") - 1,
                                 ngx_http_refine_durable_memory);
}


static void
ngx_http_refine_durable_info(ngx_http_refine_queue_t *queue,
    const char *section, size_t len, ngx_http_refine_redis_handler_pt handler)
{
    size_t       argvlen[2];
    const char  *argv[2];

    argv[0] = "INFO";
    argvlen[0] = sizeof("INFO") - 1;
    argv[1] = section;
    argvlen[1] = len;

    (void) ngx_http_refine_redis_command(queue->redis, 2, argv, argvlen,
                                         handler, queue);
}


static void
ngx_http_refine_durable_persistence(void *data, redisReply *reply)
{
    ngx_http_refine_queue_t *queue = data;

    ngx_str_t                   value;
    ngx_http_refine_durable_t  *durable;

    durable = &queue->durable;

    if (ngx_http_refine_durable_field(reply, "aof_enabled:", &value) == NGX_OK
        && value.len == 1)
    {
        durable->aof = (value.data[0] == '1');
    }
}


/* the keys of a queue never expire: "volatile-*" takes none of them */

static void
ngx_http_refine_durable_memory(void *data, redisReply *reply)
{
    ngx_http_refine_queue_t *queue = data;

    ngx_int_t                   keeps;
    ngx_str_t                   value;
    ngx_uint_t                  loses;
    ngx_http_refine_durable_t  *durable;

    /* a lost connection says nothing about Redis' settings */

    if (reply == NULL) {
        return;
    }

    durable = &queue->durable;
    keeps = -1;

    if (ngx_http_refine_durable_field(reply, "maxmemory_policy:", &value)
        == NGX_OK)
    {
        keeps = (value.len < sizeof("allkeys-") - 1
                 || ngx_strncmp(value.data, "allkeys-", sizeof("allkeys-") - 1)
                    != 0);
    }

    loses = (durable->aof == 0 ? NGX_HTTP_REFINE_DURABLE_NO_AOF : 0)
            | (keeps == 0 ? NGX_HTTP_REFINE_DURABLE_EVICTS : 0);

    durable->known = (loses || (durable->aof == 1 && keeps == 1));

    if (durable->known && loses != durable->loses) {
        durable->loses = loses;
        ngx_http_refine_durable_log(queue, &value);
    }
}


static ngx_int_t
ngx_http_refine_durable_field(redisReply *reply, const char *name,
    ngx_str_t *value)
{
    char    *p;
    size_t   len;

    ngx_str_null(value);

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return NGX_DECLINED;
    }

    len = ngx_strlen(name);

    for (p = reply->str; p && *p; p = strchr(p, LF)) {

        if (*p == LF) {
            p++;
        }

        if (ngx_strncmp(p, name, len) == 0) {
            value->data = (u_char *) p + len;
            value->len = strcspn(p + len, "\r\n");
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* one worker of a machine tells it, for all ask the same Redis */

static void
ngx_http_refine_durable_log(ngx_http_refine_queue_t *queue, ngx_str_t *policy)
{
    u_char      *p, *last, text[NGX_HTTP_REFINE_DURABLE_TEXT];
    ngx_str_t   *name, *address;
    ngx_uint_t   loses;

    if (ngx_worker != 0) {
        return;
    }

    name = &queue->conf->name;
    address = &queue->conf->redis.target.name;
    loses = queue->durable.loses;

    if (loses == 0) {
        ngx_log_error(NGX_LOG_NOTICE, queue->log, 0,
                      "refine: catalog \"%V\": redis %V keeps events by now",
                      name, address);
        return;
    }

    p = text;
    last = text + sizeof(text) - 1;

    if (loses & NGX_HTTP_REFINE_DURABLE_NO_AOF) {
        p = ngx_slprintf(p, last, "appendonly is off");
    }

    if (loses & NGX_HTTP_REFINE_DURABLE_EVICTS) {
        p = ngx_slprintf(p, last, "%smaxmemory-policy is %V",
                         p == text ? "" : ", ", policy);
    }

    *p = '\0';

    ngx_http_refine_redis_text(text, sizeof(text), (char *) text);

    ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                  "refine: catalog \"%V\": redis %V may lose events: %s",
                  name, address, text);
}


ngx_int_t
ngx_http_refine_queue_durable(ngx_http_refine_queue_t *queue)
{
    return queue->durable.known ? queue->durable.loses == 0 : -1;
}
