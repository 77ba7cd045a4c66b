
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_local.h"


#define NGX_HTTP_REFINE_CLAIM_SIZE        (4 * 1024 * 1024)
#define NGX_HTTP_REFINE_CLAIM_COUNT       256        /* entries at once */
#define NGX_HTTP_REFINE_CLAIM_FIRST       16         /* of a new worker */
#define NGX_HTTP_REFINE_CLAIM_ROUNDS      64         /* of a takeover */
#define NGX_HTTP_REFINE_CLAIM_ROUND       64         /* entries */
#define NGX_HTTP_REFINE_CLAIM_IDLE        3600000    /* of a consumer, ms */
#define NGX_HTTP_REFINE_CLAIM_CONSUMERS   600000     /* ms between removals */
#define NGX_HTTP_REFINE_CLAIM_GRACE       6000       /* ms to renew claims */


static ngx_http_refine_call_t *ngx_http_refine_claim_call(
    ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_http_refine_claim_pt handler, void *data);
static void ngx_http_refine_claim_finish(ngx_http_refine_call_t *call,
    ngx_uint_t failed);
static u_char *ngx_http_refine_claim_room(ngx_http_refine_call_t *call,
    size_t size);
static u_char *ngx_http_refine_claim_entry(ngx_http_refine_claim_t *claim,
    u_char *p, redisReply *id, redisReply *line);
static redisReply *ngx_http_refine_claim_line(redisReply *entry);
static ngx_int_t ngx_http_refine_claim_entries(ngx_http_refine_call_t *call,
    redisReply *entries);
static void ngx_http_refine_claim_ask(ngx_http_refine_call_t *call);
static void ngx_http_refine_claim_paused(ngx_http_refine_call_t *call,
    redisReply *reply);
static void ngx_http_refine_claim_next(ngx_http_refine_call_t *call);
static void ngx_http_refine_claim_handler(ngx_http_refine_call_t *call,
    redisReply *reply);
static redisReply *ngx_http_refine_claim_valid(redisReply *reply);
static void ngx_http_refine_claim_create(ngx_http_refine_call_t *call);
static void ngx_http_refine_claim_created(ngx_http_refine_call_t *call,
    redisReply *reply);
static void ngx_http_refine_takeover_first(ngx_http_refine_call_t *call);
static void ngx_http_refine_takeover_next(ngx_http_refine_call_t *call);
static void ngx_http_refine_takeover_handler(ngx_http_refine_call_t *call,
    redisReply *reply);
static ngx_uint_t ngx_http_refine_takeover_valid(redisReply *reply);
static void ngx_http_refine_takeover_cursor(ngx_http_refine_queue_t *queue,
    redisReply *cursor);
static void ngx_http_refine_takeover_attempts(ngx_http_refine_call_t *call);
static void ngx_http_refine_takeover_attempts_handler(
    ngx_http_refine_call_t *call, redisReply *reply);
static void ngx_http_refine_claim_side(ngx_http_refine_queue_t *queue,
    ngx_uint_t script, ngx_http_refine_call_pt handler);
static void ngx_http_refine_claim_cleaned(ngx_http_refine_call_t *call,
    redisReply *reply);
static void ngx_http_refine_claim_side_handler(ngx_http_refine_call_t *call,
    redisReply *reply);


static ngx_http_refine_call_t *
ngx_http_refine_claim_call(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_http_refine_claim_pt handler, void *data)
{
    ngx_http_refine_call_t   *call;
    ngx_http_refine_claim_t   claim;

    call = ngx_http_refine_call_create(queue, ngx_http_refine_claim_paused);

    if (call == NULL) {
        ngx_memzero(&claim, sizeof(ngx_http_refine_claim_t));
        claim.failed = 1;
        handler(data, &claim);
        return NULL;
    }

    call->claiming.n = n;
    call->claiming.handler = handler;
    call->claiming.data = data;

    return call;
}


static void
ngx_http_refine_claim_finish(ngx_http_refine_call_t *call, ngx_uint_t failed)
{
    ngx_http_refine_claiming_t  claiming;

    claiming = call->claiming;
    ngx_http_refine_call_free(call);

    if ((failed || claiming.claim.nentries == 0) && claiming.claim.pool) {
        ngx_destroy_pool(claiming.claim.pool);
        claiming.claim.pool = NULL;
        claiming.claim.entries = NULL;
        claiming.claim.nentries = 0;
    }

    claiming.claim.failed = failed ? 1 : 0;

    claiming.handler(claiming.data, &claiming.claim);
}


/* for the text of some entries, and at first for all that were asked for */

static u_char *
ngx_http_refine_claim_room(ngx_http_refine_call_t *call, size_t size)
{
    ngx_http_refine_claim_t  *claim;

    claim = &call->claiming.claim;

    if (claim->pool == NULL) {
        claim->pool = ngx_create_pool(4096, call->owner->log);
        if (claim->pool == NULL) {
            return NULL;
        }
    }

    if (claim->entries == NULL) {
        claim->entries = ngx_palloc(claim->pool, call->claiming.n
                                        * sizeof(ngx_http_refine_entry_t));
        if (claim->entries == NULL) {
            return NULL;
        }
    }

    call->claiming.size += size;

    return ngx_pnalloc(claim->pool, size + 1);
}


static u_char *
ngx_http_refine_claim_entry(ngx_http_refine_claim_t *claim, u_char *p,
    redisReply *id, redisReply *line)
{
    ngx_http_refine_entry_t  *entry;

    entry = &claim->entries[claim->nentries++];

    entry->attempts = 1;

    entry->id.data = p;
    entry->id.len = id->len;
    p = ngx_cpymem(p, id->str, id->len);

    entry->line.data = p;
    entry->line.len = line->len;

    return ngx_cpymem(p, line->str, line->len);
}


static redisReply *
ngx_http_refine_claim_line(redisReply *entry)
{
    size_t       i;
    redisReply  *fields, *name;

    if (entry->type != REDIS_REPLY_ARRAY
        || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING
        || entry->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return NULL;
    }

    fields = entry->element[1];

    for (i = 0; i + 1 < fields->elements; i += 2) {
        name = fields->element[i];

        if (name->type == REDIS_REPLY_STRING
            && ngx_strcmp(name->str, "e") == 0
            && fields->element[i + 1]->type == REDIS_REPLY_STRING)
        {
            return fields->element[i + 1];
        }
    }

    return NULL;
}


/* NGX_DECLINED: some are deleted, or are no events; NGX_ERROR: no memory */

static ngx_int_t
ngx_http_refine_claim_entries(ngx_http_refine_call_t *call,
    redisReply *entries)
{
    u_char                   *p;
    size_t                    i, n, size, longest;
    redisReply               *line;
    ngx_http_refine_claim_t  *claim;

    n = 0;
    size = 0;
    longest = 1;
    claim = &call->claiming.claim;

    for (i = 0; i < entries->elements; i++) {
        line = ngx_http_refine_claim_line(entries->element[i]);

        if (line) {
            n++;
            size += line->len + entries->element[i]->element[0]->len;
            longest = ngx_max(longest, line->len);
        }
    }

    if (claim->nentries + n > call->claiming.n) {
        return NGX_ERROR;
    }

    if (n) {
        call->owner->longest = longest;

        p = ngx_http_refine_claim_room(call, size);

        if (p == NULL) {
            return NGX_ERROR;
        }

        for (i = 0; i < entries->elements; i++) {
            line = ngx_http_refine_claim_line(entries->element[i]);

            if (line) {
                p = ngx_http_refine_claim_entry(claim, p,
                                    entries->element[i]->element[0], line);
            }
        }
    }

    return (n == entries->elements) ? NGX_OK : NGX_DECLINED;
}


/* the same call goes through all steps of a claim, or of a takeover */

void
ngx_http_refine_queue_claim(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_http_refine_claim_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_claim(queue, n, 0, handler, data);
        return;
    }

    call = ngx_http_refine_claim_call(queue, n, handler, data);
    if (call == NULL) {
        return;
    }

    call->claiming.next = ngx_http_refine_claim_next;

    ngx_http_refine_claim_ask(call);
}


static void
ngx_http_refine_claim_ask(ngx_http_refine_call_t *call)
{
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_QUEUE_PLAIN, 3);
    ngx_http_refine_call_lit(call, "HGET");
    ngx_http_refine_call_arg(call, queue->keys[1].data, queue->keys[1].len);
    ngx_http_refine_call_lit(call, "paused");

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_claim_paused(ngx_http_refine_call_t *call, redisReply *reply)
{
    if (reply == NULL
        || (reply->type != REDIS_REPLY_NIL
            && reply->type != REDIS_REPLY_STRING))
    {
        ngx_http_refine_claim_finish(call, 1);
        return;
    }

    if (reply->type == REDIS_REPLY_STRING) {
        call->claiming.claim.paused = 1;
        ngx_http_refine_claim_finish(call, 0);
        return;
    }

    call->claiming.next(call);
}


/*
 * A script that claims would take Redis twice as long: Lua makes a copy of each
 * event, and a hash of every byte of it.  How many are asked for at once
 * depends on the longest that came last, for nobody knows how long they are.
 */

static void
ngx_http_refine_claim_next(ngx_http_refine_call_t *call)
{
    ngx_uint_t                   n;
    ngx_http_refine_queue_t     *queue;
    ngx_http_refine_claiming_t  *claiming;

    queue = call->owner;
    claiming = &call->claiming;

    n = queue->longest
        ? (NGX_HTTP_REFINE_CLAIM_SIZE - claiming->size) / queue->longest
        : NGX_HTTP_REFINE_CLAIM_FIRST;

    n = ngx_max(n, 1);
    n = ngx_min(n, NGX_HTTP_REFINE_CLAIM_COUNT);
    n = ngx_min(n, claiming->n - claiming->claim.nentries);

    claiming->asked = n;

    call->argc = 0;
    call->handler = ngx_http_refine_claim_handler;

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_QUEUE_PLAIN, 9);
    ngx_http_refine_call_lit(call, "XREADGROUP");
    ngx_http_refine_call_lit(call, "GROUP");
    ngx_http_refine_call_lit(call, "refine");
    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);
    ngx_http_refine_call_lit(call, "COUNT");
    ngx_http_refine_call_int(call, n);
    ngx_http_refine_call_lit(call, "STREAMS");
    ngx_http_refine_call_arg(call, queue->keys[0].data, queue->keys[0].len);
    ngx_http_refine_call_lit(call, ">");

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_claim_handler(ngx_http_refine_call_t *call, redisReply *reply)
{
    ngx_int_t                    rc;
    redisReply                  *entries;
    ngx_http_refine_claiming_t  *claiming;

    claiming = &call->claiming;

    if (reply && reply->type == REDIS_REPLY_NIL) {
        ngx_http_refine_claim_finish(call, 0);
        return;
    }

    if (reply && reply->type == REDIS_REPLY_ERROR
        && ngx_strstr(reply->str, "NOGROUP ") && !claiming->created)
    {
        ngx_http_refine_claim_create(call);
        return;
    }

    entries = ngx_http_refine_claim_valid(reply);

    rc = entries ? ngx_http_refine_claim_entries(call, entries) : NGX_ERROR;

    if (rc == NGX_ERROR) {

        /* what came in rounds before is none the worse for it */

        ngx_http_refine_claim_finish(call, claiming->claim.nentries == 0);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_refine_claim_side(call->owner, NGX_HTTP_REFINE_SCRIPT_CLEAN,
                                   ngx_http_refine_claim_cleaned);
    }

    claiming->claim.cut = (claiming->size >= NGX_HTTP_REFINE_CLAIM_SIZE
                           || rc == NGX_DECLINED);

    if (entries->elements < claiming->asked
        || claiming->claim.nentries >= claiming->n
        || claiming->claim.cut)
    {
        ngx_http_refine_claim_finish(call, 0);
        return;
    }

    ngx_http_refine_claim_next(call);
}


/* of one stream its name and its entries */

static redisReply *
ngx_http_refine_claim_valid(redisReply *reply)
{
    redisReply  *stream;

    if (reply == NULL
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 1)
    {
        return NULL;
    }

    stream = reply->element[0];

    if (stream->type != REDIS_REPLY_ARRAY
        || stream->elements != 2
        || stream->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return NULL;
    }

    return stream->element[1];
}


static void
ngx_http_refine_claim_create(ngx_http_refine_call_t *call)
{
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    call->claiming.created = 1;
    call->argc = 0;
    call->handler = ngx_http_refine_claim_created;

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_QUEUE_PLAIN, 6);
    ngx_http_refine_call_lit(call, "XGROUP");
    ngx_http_refine_call_lit(call, "CREATE");
    ngx_http_refine_call_arg(call, queue->keys[0].data, queue->keys[0].len);
    ngx_http_refine_call_lit(call, "refine");
    ngx_http_refine_call_lit(call, "0");
    ngx_http_refine_call_lit(call, "MKSTREAM");

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_claim_created(ngx_http_refine_call_t *call, redisReply *reply)
{
    /* BUSYGROUP: another worker was quicker */

    if (reply == NULL
        || (reply->type == REDIS_REPLY_ERROR
            && !ngx_strstr(reply->str, "BUSYGROUP ")))
    {
        ngx_http_refine_claim_finish(call, 1);
        return;
    }

    ngx_http_refine_claim_next(call);
}


void
ngx_http_refine_queue_takeover(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_http_refine_claim_pt handler, void *data)
{
    ngx_http_refine_call_t  *call;

    if (queue->local) {
        ngx_http_refine_local_claim(queue, n, 1, handler, data);
        return;
    }

    if (!queue->consumers
        || ngx_current_msec - queue->consumers_at
           >= NGX_HTTP_REFINE_CLAIM_CONSUMERS)
    {
        ngx_http_refine_claim_side(queue, NGX_HTTP_REFINE_SCRIPT_CONSUMERS,
                                   ngx_http_refine_claim_side_handler);
    }

    call = ngx_http_refine_claim_call(queue, n, handler, data);
    if (call == NULL) {
        return;
    }

    call->claiming.next = ngx_http_refine_takeover_first;

    ngx_http_refine_claim_ask(call);
}


/*
 * After an absence of Redis those who live renew their claims, and acknowledge
 * what was delivered meanwhile, as soon as they are connected again, which may
 * take the longest pause between two attempts of redis.c: what nobody could
 * renew looks like a dead worker's until then.
 */

static void
ngx_http_refine_takeover_first(ngx_http_refine_call_t *call)
{
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    if (queue->back
        && ngx_current_msec - queue->back_at < NGX_HTTP_REFINE_CLAIM_GRACE)
    {
        ngx_http_refine_claim_finish(call, 0);
        return;
    }

    queue->back = 0;

    ngx_http_refine_takeover_next(call);
}


/*
 * XAUTOCLAIM looks at ten times COUNT pending entries at most: it goes on from
 * its cursor when those were all in good hands, in the next takeover as well.
 * COUNT is small, for nobody knows how long the events are.
 */

static void
ngx_http_refine_takeover_next(ngx_http_refine_call_t *call)
{
    ngx_uint_t                n;
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;

    n = call->claiming.n - call->claiming.claim.nentries;

    call->argc = 0;
    call->resent = 0;
    call->handler = ngx_http_refine_takeover_handler;

    if (queue->cursor[0] == '\0') {
        ngx_memcpy(queue->cursor, "0-0", sizeof("0-0"));
    }

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_QUEUE_PLAIN, 8);
    ngx_http_refine_call_lit(call, "XAUTOCLAIM");
    ngx_http_refine_call_arg(call, queue->keys[0].data, queue->keys[0].len);
    ngx_http_refine_call_lit(call, "refine");
    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);
    ngx_http_refine_call_int(call, queue->conf->claim_timeout);
    ngx_http_refine_call_arg(call, queue->cursor, ngx_strlen(queue->cursor));
    ngx_http_refine_call_lit(call, "COUNT");
    ngx_http_refine_call_int(call, ngx_min(n, NGX_HTTP_REFINE_CLAIM_ROUND));

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_takeover_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    ngx_int_t                    rc;
    ngx_http_refine_queue_t     *queue;
    ngx_http_refine_claiming_t  *claiming;

    queue = call->owner;

    if (reply && reply->type == REDIS_REPLY_ERROR
        && ngx_strstr(reply->str, "NOGROUP "))
    {
        ngx_http_refine_claim_finish(call, 0);
        return;
    }

    if (!ngx_http_refine_takeover_valid(reply)) {
        queue->cursor[0] = '\0';
        ngx_http_refine_claim_finish(call, 1);
        return;
    }

    rc = ngx_http_refine_claim_entries(call, reply->element[1]);

    if (rc == NGX_DECLINED) {

        /* Redis 6.2 claims deleted entries, too, and does not name them */

        ngx_http_refine_claim_side(queue, NGX_HTTP_REFINE_SCRIPT_CLEAN,
                                   ngx_http_refine_claim_side_handler);
    }

    claiming = &call->claiming;
    claiming->claim.cut = (claiming->size >= NGX_HTTP_REFINE_CLAIM_SIZE);

    ngx_http_refine_takeover_cursor(queue, reply->element[0]);

    if (rc != NGX_ERROR
        && queue->cursor[0]
        && claiming->claim.nentries < claiming->n
        && !claiming->claim.cut
        && ++claiming->rounds < NGX_HTTP_REFINE_CLAIM_ROUNDS)
    {
        ngx_http_refine_takeover_next(call);
        return;
    }

    if (claiming->claim.nentries) {
        queue->cursor[0] = '\0';
        ngx_http_refine_takeover_attempts(call);
        return;
    }

    ngx_http_refine_claim_finish(call, rc == NGX_ERROR);
}


/* cursor and entries; Redis 7 adds the ids of entries that were deleted */

static ngx_uint_t
ngx_http_refine_takeover_valid(redisReply *reply)
{
    return reply
           && reply->type == REDIS_REPLY_ARRAY
           && reply->elements >= 2
           && reply->element[0]->type == REDIS_REPLY_STRING
           && reply->element[1]->type == REDIS_REPLY_ARRAY;
}


static void
ngx_http_refine_takeover_cursor(ngx_http_refine_queue_t *queue,
    redisReply *cursor)
{
    if (ngx_strcmp(cursor->str, "0-0") == 0
        || cursor->len >= NGX_HTTP_REFINE_QUEUE_ID)
    {
        queue->cursor[0] = '\0';

    } else {
        ngx_memcpy(queue->cursor, cursor->str, cursor->len + 1);
    }
}


static void
ngx_http_refine_takeover_attempts(ngx_http_refine_call_t *call)
{
    ngx_uint_t                i;
    ngx_http_refine_claim_t  *claim;
    ngx_http_refine_queue_t  *queue;

    queue = call->owner;
    claim = &call->claiming.claim;

    call->argc = 0;
    call->resent = 0;
    call->handler = ngx_http_refine_takeover_attempts_handler;

    ngx_http_refine_call_script(call, NGX_HTTP_REFINE_SCRIPT_ATTEMPTS,
                                claim->nentries + 1);
    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);

    for (i = 0; i < claim->nentries; i++) {
        ngx_http_refine_call_arg(call, claim->entries[i].id.data,
                                 claim->entries[i].id.len);
    }

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_takeover_attempts_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    ngx_uint_t                i, n;
    ngx_http_refine_claim_t  *claim;

    claim = &call->claiming.claim;

    if (reply == NULL
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != claim->nentries)
    {
        ngx_http_refine_claim_finish(call, 1);
        return;
    }

    n = 0;

    for (i = 0; i < claim->nentries; i++) {
        if (reply->element[i]->type == REDIS_REPLY_INTEGER
            && reply->element[i]->integer > 0)
        {
            claim->entries[n] = claim->entries[i];
            claim->entries[n++].attempts = reply->element[i]->integer;
        }
    }

    claim->nentries = n;

    ngx_http_refine_claim_finish(call, 0);
}


/* housekeeping, whose outcome nobody waits for */

static void
ngx_http_refine_claim_side(ngx_http_refine_queue_t *queue, ngx_uint_t script,
    ngx_http_refine_call_pt handler)
{
    ngx_http_refine_call_t  *call;

    if (!ngx_http_refine_queue_ready(queue)) {
        return;
    }

    call = ngx_http_refine_call_create(queue, handler);
    if (call == NULL) {
        return;
    }

    ngx_http_refine_call_script(call, script, 2);
    ngx_http_refine_call_arg(call, queue->consumer.data, queue->consumer.len);

    if (script == NGX_HTTP_REFINE_SCRIPT_CONSUMERS) {
        queue->consumers = 1;
        queue->consumers_at = ngx_current_msec;

        ngx_http_refine_call_int(call, NGX_HTTP_REFINE_CLAIM_IDLE);
    }

    ngx_http_refine_call_send(call);
}


static void
ngx_http_refine_claim_cleaned(ngx_http_refine_call_t *call, redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0) {
        ngx_log_error(NGX_LOG_WARN, call->owner->log, 0,
                      "refine: catalog \"%V\": removed %L entries without "
                      "an event from the stream",
                      &call->owner->conf->name, (int64_t) reply->integer);
    }

    ngx_http_refine_call_free(call);
}


static void
ngx_http_refine_claim_side_handler(ngx_http_refine_call_t *call,
    redisReply *reply)
{
    ngx_http_refine_call_free(call);
}
