
/*
 * Redis's replies, by hiredis and all of redis and queue, over a peer that is
 * the input: no cut changes what the callers are told; each is told once, and
 * never from within its call; what is claimed and counted is consistent.  The
 * first line has a letter for each call, the rest is what Redis answers.
 */


#include "fuzz_nginx.h"
#include "ngx_http_refine_queue.h"
#include "ngx_http_refine_scripts.h"


#define FUZZ_CALLS  12
#define FUZZ_CLAIM  5           /* events */

#define FUZZ_OK     "+OK\r\n"


static const char                             *fuzz_calls;
static ngx_uint_t                              fuzz_ncalls;
static ngx_uint_t                              fuzz_inside;
static ngx_uint_t                              fuzz_told[FUZZ_CALLS];
static fuzz_log_t                             *fuzz_out;

static const ngx_http_refine_peer_handlers_t  *fuzz_handlers;
static void                                   *fuzz_data;   /* NULL: closed */
static redisReader                            *fuzz_sent;
static size_t                                  fuzz_room;


/* the peer */

ngx_http_refine_peer_t *
ngx_http_refine_peer_connect(ngx_http_refine_target_t *target,
    const ngx_http_refine_peer_handlers_t *handlers, void *data,
    ngx_log_t *log)
{
    fuzz_assert(fuzz_data == NULL);

    fuzz_handlers = handlers;
    fuzz_data = data;

    return (ngx_http_refine_peer_t *) &fuzz_data;
}


/* what was sent since the last one is a whole command */

ngx_int_t
ngx_http_refine_peer_reserve(ngx_http_refine_peer_t *peer, size_t len)
{
    redisReply  *command;

    fuzz_assert(fuzz_data != NULL);

    if (fuzz_sent) {
        fuzz_assert(redisReaderGetReply(fuzz_sent, (void **) &command)
                    == REDIS_OK);
        fuzz_assert(command && command->type == REDIS_REPLY_ARRAY
                    && command->elements > 0
                    && command->element[0]->type == REDIS_REPLY_STRING
                    && fuzz_sent->pos == fuzz_sent->len);

        freeReplyObject(command);
        redisReaderFree(fuzz_sent);
    }

    fuzz_sent = redisReaderCreate();
    fuzz_room = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_peer_send(ngx_http_refine_peer_t *peer, const void *p,
    size_t len)
{
    fuzz_assert(fuzz_data != NULL && len <= fuzz_room);

    fuzz_room -= len;

    fuzz_assert(redisReaderFeed(fuzz_sent, p, len) == REDIS_OK);

    return NGX_OK;
}


void
ngx_http_refine_peer_close(ngx_http_refine_peer_t *peer)
{
    fuzz_assert(fuzz_data != NULL);

    fuzz_data = NULL;
}


/*
 * Connected and greeted: all scripts and the write are answered, and INFO,
 * which is asked twice, unless the first call is "i".
 */

static void
fuzz_up(void)
{
    u_char      ok[] = FUZZ_OK;
    ngx_uint_t  i, n;

    if (fuzz_data == NULL) {
        return;
    }

    fuzz_handlers->connected(fuzz_data);

    n = NGX_HTTP_REFINE_SCRIPT_MAX + 1;

    if (fuzz_ncalls == 0 || fuzz_calls[0] != 'i') {
        n += 2;
    }

    for (i = 0; i < n && fuzz_data; i++) {
        fuzz_handlers->received(fuzz_data, ok, sizeof(ok) - 1);
    }

    fuzz_turn(0);
}


/* what the callers are told */

static void
fuzz_tell(void *data, const char *name)
{
    ngx_uint_t  *told = data;

    fuzz_assert(!fuzz_inside);
    fuzz_assert(++*told == 1);

    fuzz_print(fuzz_out, "\n%d %s", (int) (told - fuzz_told), name);
}


static void
fuzz_stored(void *data, ngx_http_refine_stored_e rc)
{
    fuzz_tell(data, "stored");
    fuzz_print(fuzz_out, " %d", (int) rc);
}


static void
fuzz_done(void *data, ngx_int_t rc)
{
    fuzz_tell(data, "done");
    fuzz_print(fuzz_out, " %d", (int) rc);
}


static void
fuzz_claimed(void *data, ngx_http_refine_claim_t *claim)
{
    ngx_uint_t                i;
    ngx_http_refine_entry_t  *entry;

    fuzz_tell(data, "claimed");
    fuzz_print(fuzz_out, " %d%s%s%s", (int) claim->nentries,
               claim->paused ? " paused" : "", claim->failed ? " failed" : "",
               claim->cut ? " cut" : "");

    fuzz_assert(claim->nentries <= FUZZ_CLAIM);
    fuzz_assert((claim->pool != NULL) == (claim->nentries != 0));
    fuzz_assert(claim->nentries == 0 || !(claim->paused || claim->failed));

    for (i = 0; i < claim->nentries; i++) {
        entry = &claim->entries[i];

        fuzz_assert(entry->attempts >= 1);

        fuzz_print(fuzz_out, "\n  %d ", (int) entry->attempts);
        fuzz_write(fuzz_out, entry->id.data, entry->id.len);
        fuzz_print(fuzz_out, " ");
        fuzz_write(fuzz_out, entry->line.data, entry->line.len);
    }

    if (claim->pool) {
        ngx_destroy_pool(claim->pool);
    }
}


static void
fuzz_stepped(void *data, ngx_http_refine_step_t *step)
{
    ngx_uint_t  i;

    fuzz_tell(data, "step");
    fuzz_print(fuzz_out, " %llu%s %s ", (unsigned long long) step->n,
               step->failed ? " failed" : "", step->limit ? step->limit : "");
    fuzz_write(fuzz_out, step->next.data, step->next.len);
    fuzz_print(fuzz_out, " ");
    fuzz_write(fuzz_out, step->last.data, step->last.len);

    fuzz_assert(!step->failed || (step->n == 0 && step->next.len == 0));

    for (i = 0; step->ids && i < step->n; i++) {
        fuzz_print(fuzz_out, "\n  ");
        fuzz_write(fuzz_out, step->ids[i].data, step->ids[i].len);
    }
}


static void
fuzz_counted(void *data, ngx_http_refine_metrics_t *m)
{
    ngx_uint_t  i;

    fuzz_tell(data, "metrics");
    fuzz_print(fuzz_out, " %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld",
               (long long) m->accepted, (long long) m->sent,
               (long long) m->failed, (long long) m->dropped,
               (long long) m->queued, (long long) m->retrying,
               (long long) m->dead, (long long) m->dead_trimmed,
               (long long) m->bytes, (long long) m->oldest_age);
    fuzz_print(fuzz_out, " %d %d %d ", m->paused, m->stale, m->known);
    fuzz_write(fuzz_out, m->first_id.data, m->first_id.len);
    fuzz_print(fuzz_out, " ");
    fuzz_write(fuzz_out, m->last_id.data, m->last_id.len);

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        if (m->counters[i]) {
            fuzz_print(fuzz_out, " %d:%lld", (int) i,
                       (long long) m->counters[i]);
        }
    }

    fuzz_assert(m->oldest_age >= 0);
}


static void
fuzz_call(ngx_http_refine_queue_t *queue, char c, void *data)
{
    ngx_http_refine_event_t          ev[2];
    ngx_http_refine_ticket_t        *ticket;

    static ngx_http_refine_entry_t   entry[] = {
        { ngx_string("1-1"), ngx_string("{\"eventId\":\"a\"}"), 1 },
        { ngx_string("1-2"), ngx_string("{\"eventId\":\"b\"}"), 0 }
    };

    static ngx_str_t                 reason = ngx_string("why");
    static ngx_str_t                 none = ngx_null_string;

    memset(ev, 0, sizeof(ev));
    ev[0].line = entry[0].line;
    ev[1].line = entry[1].line;

    switch (c) {

    case 'c':
        ngx_http_refine_queue_claim(queue, FUZZ_CLAIM, fuzz_claimed, data);
        return;

    case 't':
        ngx_http_refine_queue_takeover(queue, FUZZ_CLAIM, fuzz_claimed, data);
        return;

    case 'a':
        ngx_http_refine_queue_ack(queue, entry, 2, fuzz_done, data);
        return;

    case 'd':
        ngx_http_refine_queue_dead(queue, entry, 400, &reason, fuzz_done,
                                   data);
        return;

    case 'e':
        ngx_http_refine_queue_expire(queue, &none, 1000, 503, &reason,
                                     fuzz_stepped, data);
        return;

    case 'v':
        ngx_http_refine_queue_revive(queue, &none, &entry[0].id, &none,
                                     fuzz_stepped, data);
        return;

    case 'r':
        ngx_http_refine_queue_renew(queue, entry, 2, fuzz_done, data);
        return;

    case 'b':
        ngx_http_refine_queue_return(queue, entry, 2, 0, fuzz_done, data);
        return;

    case 'z':
        ngx_http_refine_queue_pause(queue, 1, fuzz_done, data);
        return;

    case 'm':
    case 'M':
        ngx_http_refine_queue_metrics(queue, c == 'm' ? 0 : 1000,
                                      fuzz_counted, data);
        return;

    case 'p':
        if (ngx_http_refine_queue_push(queue, ev, 2, fuzz_stored, data)) {
            return;
        }

        break;

    case 'f':
        ticket = ngx_http_refine_queue_push(queue, ev, 1, fuzz_stored, data);

        if (ticket) {
            ngx_http_refine_queue_forget(ticket);
        }

        break;

    case 'k':
        (void) ngx_http_refine_queue_keep(queue, ev);
        break;

    case 'n':
        ngx_http_refine_queue_count(queue, NGX_HTTP_REFINE_DUPLICATES, 1);
    }

    /* nobody is to be told */

    *(ngx_uint_t *) data = 1;
}


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    void                          *redis;
    ngx_log_t                      errors;
    ngx_uint_t                     i, turns;
    ngx_http_refine_queue_t       *queue;
    ngx_http_refine_queue_conf_t   conf;

    memset(&errors, 0, sizeof(ngx_log_t));
    errors.log_level = NGX_LOG_INFO;

    memset(&conf, 0, sizeof(ngx_http_refine_queue_conf_t));
    ngx_str_set(&conf.catalog, "cat");
    ngx_str_set(&conf.prefix, "refine");
    ngx_str_set(&conf.redis.target.name, "redis");
    conf.redis.timeout = 2000;
    conf.max_size = 100;
    conf.max_bytes = 100000;
    conf.claim_timeout = 90000;
    conf.serve_buffer = 65536;

    fuzz_loop_init();
    fuzz_out = log;
    fuzz_data = NULL;
    turns = 0;
    memset(fuzz_told, 0, sizeof(fuzz_told));

    queue = ngx_http_refine_queue_create(&conf, &errors);
    fuzz_assert(queue != NULL);

    fuzz_up();

    fuzz_inside = 1;

    for (i = 0; i < fuzz_ncalls; i++) {
        turns |= (fuzz_calls[i] == ' ');
        fuzz_call(queue, fuzz_calls[i], &fuzz_told[i]);
    }

    fuzz_inside = 0;
    fuzz_turn(0);

    while (fuzz_data && fuzz_next(in)) {
        fuzz_handlers->received(fuzz_data, in->piece.data, in->piece.len);

        /* what a turn sends may go out between two replies, or after both */

        if (turns) {
            fuzz_turn(0);
        }
    }

    fuzz_turn(0);
    fuzz_turn(conf.redis.timeout);

    if (fuzz_data) {
        redis = fuzz_data;
        fuzz_data = NULL;
        fuzz_handlers->closed(redis, "closed by peer");
    }

    /* what was remembered is sent again, and not answered */

    fuzz_turn(5000);
    fuzz_up();
    fuzz_turn(1000);

    ngx_http_refine_queue_destroy(queue);

    fuzz_assert(fuzz_data == NULL);
    fuzz_assert(ngx_queue_empty(&fuzz_timers));
    fuzz_assert(ngx_queue_empty(&ngx_posted_events));

    for (i = 0; i < fuzz_ncalls; i++) {
        fuzz_assert(fuzz_told[i] == 1);
    }

    if (turns) {
        log->len = 0;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const u_char       *end;

    static fuzz_log_t   log;

    end = memchr(data, '\n', size);

    if (end == NULL || end - data > FUZZ_CALLS) {
        return 0;
    }

    fuzz_calls = (const char *) data;
    fuzz_ncalls = end - data;

    fuzz_cuts(end + 1, data + size - (end + 1), fuzz_run, &log);

    return 0;
}
