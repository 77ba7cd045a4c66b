
/*
 * Level 3: a catalog's queue as one worker sees it: store, claim,
 * acknowledge, give back, dead letters, counters.  Redis keys
 * PREFIX:{catalog_id}:events, :dead and :stats; consumer group "refine".
 *
 * Every handler runs exactly once, from the event loop, never from within the
 * call that named it.
 */


#ifndef _NGX_HTTP_REFINE_QUEUE_H_INCLUDED_
#define _NGX_HTTP_REFINE_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_counter.h"
#include "ngx_http_refine_event.h"
#include "ngx_http_refine_redis.h"
#include "ngx_http_refine_spool.h"
#include "ngx_http_refine_surface.h"


typedef struct ngx_http_refine_queue_s   ngx_http_refine_queue_t;
typedef struct ngx_http_refine_ticket_s  ngx_http_refine_ticket_t;


/* by the configuration */

typedef struct {
    ngx_str_t                      name;            /* of it, for logs */
    ngx_str_t                      catalog;         /* catalog_id */
    ngx_str_t                      prefix;
    ngx_http_refine_redis_conf_t   redis;
    ngx_uint_t                     max_size;        /* max_queue_size */
    off_t                          max_bytes;       /* max_queue_bytes */
    ngx_msec_t                     claim_timeout;
    ngx_uint_t                     dead_letters;    /* how many are kept */
    size_t                         serve_buffer;    /* bytes */
    ngx_http_refine_spool_conf_t   spool;           /* path is empty: none */
    void                          *threads;         /* NULL: none */
    ngx_uint_t                     alone;           /* the spool is the queue,
                                                       there is no Redis */
} ngx_http_refine_queue_conf_t;


typedef enum {
    NGX_HTTP_REFINE_STORED = 0,
    NGX_HTTP_REFINE_SPOOLED,          /* on the disk: accepted later */
    NGX_HTTP_REFINE_FULL,             /* by max_queue_size: nothing stored */
    NGX_HTTP_REFINE_FULL_BYTES,       /* the same by max_queue_bytes */
    NGX_HTTP_REFINE_UNAVAILABLE       /* it may or may not have been stored */
} ngx_http_refine_stored_e;

typedef void (*ngx_http_refine_stored_pt)(void *data,
    ngx_http_refine_stored_e rc);


/* a claimed event */

typedef struct {
    ngx_str_t                      id;              /* of the stream entry */
    ngx_str_t                      line;
    ngx_uint_t                     attempts;        /* this one included */
} ngx_http_refine_entry_t;


typedef struct {
    ngx_pool_t                    *pool;      /* the entries': see below */
    ngx_http_refine_entry_t       *entries;
    ngx_uint_t                     nentries;
    unsigned                       paused:1;
    unsigned                       failed:1;  /* Redis is away */
    unsigned                       cut:1;     /* by size: there is more */
} ngx_http_refine_claim_t;

/*
 * The handler of a claim takes over claim->pool when nentries > 0 and destroys
 * it in the end; else pool is NULL.
 */
typedef void (*ngx_http_refine_claim_pt)(void *data,
    ngx_http_refine_claim_t *claim);

/* one step of many through the queue, or through its dead letters */

typedef struct {
    ngx_str_t                      next;      /* where to go on; "": the end */
    ngx_str_t                      last;      /* where it will end */
    ngx_str_t                     *ids;       /* of the events it has moved */
    ngx_uint_t                     n;
    const char                    *limit;     /* what has stopped it */
    unsigned                       failed:1;  /* Redis did not confirm it */
} ngx_http_refine_step_t;

/* the step is the queue's, and gone when the handler returns */
typedef void (*ngx_http_refine_step_pt)(void *data,
    ngx_http_refine_step_t *step);

/* done: NGX_OK, or NGX_ERROR when Redis did not confirm it */
typedef void (*ngx_http_refine_done_pt)(void *data, ngx_int_t done);


typedef struct {
    int64_t                        accepted;
    int64_t                        sent;
    int64_t                        failed;
    int64_t                        dropped;
    int64_t                        queued;
    int64_t                        retrying;
    int64_t                        dead;            /* kept dead letters */
    int64_t                        dead_trimmed;
    int64_t                        dead_replayed;
    int64_t                        bytes;
    int64_t                        oldest_age;      /* ms, 0 when empty */
    int64_t                        counters[NGX_HTTP_REFINE_COUNTER_MAX];
    ngx_http_refine_surfaces_t     surfaces[NGX_HTTP_REFINE_EVENT_TYPES];
    ngx_http_refine_spool_totals_t spooled;         /* of this machine, never
                                                       stale */
    ngx_str_t                      first_id;        /* oldest entry, or "" */
    ngx_str_t                      last_id;         /* last one ever added */
    unsigned                       paused:1;
    unsigned                       stale:1;         /* Redis is away */
    unsigned                       known:1;         /* ever read */
} ngx_http_refine_metrics_t;

typedef void (*ngx_http_refine_metrics_pt)(void *data,
    ngx_http_refine_metrics_t *metrics);


/*
 * notify() runs when at least "wanted" events of the queue are claimed by
 * nobody after a store of this worker, and when Redis has come back.
 */
typedef struct {
    void                         (*notify)(void *data);
    void                          *data;
    ngx_uint_t                     wanted;
} ngx_http_refine_queue_watch_t;


/* conf and log must outlive the queue; one a worker and catalog */
ngx_http_refine_queue_t *ngx_http_refine_queue_create(
    ngx_http_refine_queue_conf_t *conf, ngx_log_t *log);

void ngx_http_refine_queue_watch(ngx_http_refine_queue_t *queue,
    ngx_http_refine_queue_watch_t *watch);

/*
 * Stores all n events, or none, in one atomic step with all that this worker
 * stores in this turn of the event loop.  The events are copied.  The handler
 * runs when Redis has answered, at the latest after conf->redis.timeout, or,
 * when Redis is away, the disk.
 * NULL: nothing can be stored now (both are away, or no memory).
 */
ngx_http_refine_ticket_t *ngx_http_refine_queue_push(
    ngx_http_refine_queue_t *queue, ngx_http_refine_event_t *events,
    ngx_uint_t n, ngx_http_refine_stored_pt handler, void *data);

/* the handler of the ticket will not run; the events are stored all the same */
void ngx_http_refine_queue_forget(ngx_http_refine_ticket_t *ticket);

/*
 * Stores an event that nobody waits for: kept in memory, at most
 * conf->serve_buffer bytes, as long as neither Redis nor the spool takes it.
 * NGX_DECLINED: there is no room; the caller counts it.
 */
ngx_int_t ngx_http_refine_queue_keep(ngx_http_refine_queue_t *queue,
    ngx_http_refine_event_t *event);

/* adds to a counter; NGX_HTTP_REFINE_DROPPED_* count as accepted as well */
void ngx_http_refine_queue_count(ngx_http_refine_queue_t *queue,
    ngx_http_refine_counter_e counter, ngx_uint_t n);

/*
 * Counts a time in the histogram that begins with the counter "first", such as
 * NGX_HTTP_REFINE_POST_MS_1.
 */
void ngx_http_refine_queue_time(ngx_http_refine_queue_t *queue,
    ngx_http_refine_counter_e first, ngx_msec_t ms);

/* claims up to n events that nobody has claimed yet, unless paused */
void ngx_http_refine_queue_claim(ngx_http_refine_queue_t *queue,
    ngx_uint_t n, ngx_http_refine_claim_pt handler, void *data);

/*
 * Claims up to n events that were given back, or claimed by a worker that has
 * not renewed its claim for claim_timeout; also removes idle consumers.  None,
 * until the others can have renewed theirs after an absence of Redis.
 */
void ngx_http_refine_queue_takeover(ngx_http_refine_queue_t *queue,
    ngx_uint_t n, ngx_http_refine_claim_pt handler, void *data);

/*
 * For the next five: entries are copied; handler may be NULL.  While Redis is
 * away an ack or dead letter is remembered, at most 64k entries, and done when
 * it is back; the handler then runs with NGX_ERROR at once.
 */

/* delivered: removed and counted as sent */
void ngx_http_refine_queue_ack(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n,
    ngx_http_refine_done_pt handler, void *data);

/*
 * Not deliverable: moved to the dead letters with status, reason and attempts,
 * counted as failed.
 */
void ngx_http_refine_queue_dead(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entry, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_done_pt handler, void *data);

/*
 * Makes dead letters of events that were stored longer ago than window, by the
 * later of that and the end of the last pause or hold: some of them, from next
 * on, which is empty at first.  Those that other workers hold stay.
 */
void ngx_http_refine_queue_expire(ngx_http_refine_queue_t *queue,
    ngx_str_t *next, ngx_msec_t window, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_step_pt handler, void *data);

/*
 * Puts dead letters whose reason begins so back as newly accepted: some of
 * them, from next to last, which are both empty at first, so that those which
 * become dead letters again meanwhile are not met twice.
 */
void ngx_http_refine_queue_revive(ngx_http_refine_queue_t *queue,
    ngx_str_t *next, ngx_str_t *last, ngx_str_t *reason,
    ngx_http_refine_step_pt handler, void *data);

/* delivery is held now: so long the events do not age */
void ngx_http_refine_queue_held(ngx_http_refine_queue_t *queue);

/*
 * Without Redis each worker delivers what it has stored itself; flush() then
 * tells the others to do so as well.
 */
ngx_uint_t ngx_http_refine_queue_alone(ngx_http_refine_queue_t *queue);
void ngx_http_refine_queue_flush(ngx_http_refine_queue_t *queue);

/* 1: connected to Redis */
ngx_uint_t ngx_http_refine_queue_ready(ngx_http_refine_queue_t *queue);

/* keeps a claim from being taken over */
void ngx_http_refine_queue_renew(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n,
    ngx_http_refine_done_pt handler, void *data);

/*
 * Gives a claim back, so that the next takeover gets it at once; counted:
 * whether the attempt counts.
 */
void ngx_http_refine_queue_return(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n, ngx_uint_t counted,
    ngx_http_refine_done_pt handler, void *data);

/* sets or clears the pause for all that deliver from this queue */
void ngx_http_refine_queue_pause(ngx_http_refine_queue_t *queue,
    ngx_uint_t pause, ngx_http_refine_done_pt handler, void *data);

/*
 * Reads everything in one step, after adding this worker's counters to it.
 * max_age: an answer that is not older (ms) is given again; 0: read now.
 * While Redis is away it gives the last answer with "stale".
 */
void ngx_http_refine_queue_metrics(ngx_http_refine_queue_t *queue,
    ngx_msec_t max_age, ngx_http_refine_metrics_pt handler, void *data);

/* forgets a metrics handler that has not run yet */
void ngx_http_refine_queue_metrics_forget(ngx_http_refine_queue_t *queue,
    void *data);

/* "unknown", "up", "down", or "none" where there is no Redis */
const char *ngx_http_refine_queue_state(ngx_http_refine_queue_t *queue);

/*
 * 1: Redis has an append-only file and evicts none of the queue's keys; 0: it
 * may lose what it has acknowledged; -1: it was not asked yet, or did not say.
 */
ngx_int_t ngx_http_refine_queue_durable(ngx_http_refine_queue_t *queue);

/*
 * Whether something waits to be stored or answered: a worker must not exit, but
 * after some seconds of waiting nothing holds it any more.
 */
ngx_uint_t ngx_http_refine_queue_busy(ngx_http_refine_queue_t *queue);

/* handlers that wait run with their failure; then everything is freed */
void ngx_http_refine_queue_destroy(ngx_http_refine_queue_t *queue);


#endif /* _NGX_HTTP_REFINE_QUEUE_H_INCLUDED_ */
