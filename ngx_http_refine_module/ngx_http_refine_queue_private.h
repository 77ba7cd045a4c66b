
/*
 * Level 3: what the files of the queue share; included by queue*.c only.
 *
 * A call is one command to Redis with everything that is needed to send it
 * again: its arguments stay in its pool until the answer is there.
 */


#ifndef _NGX_HTTP_REFINE_QUEUE_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_REFINE_QUEUE_PRIVATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_ledger.h"
#include "ngx_http_refine_queue.h"
#include "ngx_http_refine_scripts.h"


#define NGX_HTTP_REFINE_QUEUE_TICK         1000
#define NGX_HTTP_REFINE_QUEUE_EXIT         5000    /* ms, and a tick or two */
#define NGX_HTTP_REFINE_QUEUE_MAX_LATER    65536
#define NGX_HTTP_REFINE_QUEUE_ID           48      /* of a stream, at most */
#define NGX_HTTP_REFINE_QUEUE_SPARE        32      /* calls */

/* what Redis needs for an entry beside its line: docs/operations.md, Sizing */
#define NGX_HTTP_REFINE_QUEUE_ENTRY        64

#define NGX_HTTP_REFINE_QUEUE_PLAIN        NGX_HTTP_REFINE_SCRIPT_MAX


typedef struct ngx_http_refine_call_s   ngx_http_refine_call_t;
typedef struct ngx_http_refine_local_s  ngx_http_refine_local_t;

/* frees the call in the end, or sends it again; reply: as redis.h has it */
typedef void (*ngx_http_refine_call_pt)(ngx_http_refine_call_t *call,
    redisReply *reply);


/* a claim or takeover under way */

typedef struct {
    ngx_uint_t                        n;
    ngx_uint_t                        asked;      /* for in this round */
    ngx_uint_t                        rounds;
    size_t                            size;
    void                            (*next)(ngx_http_refine_call_t *call);
    ngx_http_refine_claim_pt          handler;
    void                             *data;
    ngx_http_refine_claim_t           claim;
    unsigned                          created:1;  /* the group, by this one */
} ngx_http_refine_claiming_t;


struct ngx_http_refine_call_s {
    ngx_queue_t                       queue;
    ngx_http_refine_queue_t          *owner;
    ngx_pool_t                       *pool;

    ngx_uint_t                        script;     /* or PLAIN */
    int                               argc;
    const char                      **argv;
    size_t                           *argvlen;

    ngx_http_refine_call_pt           handler;
    ngx_http_refine_claiming_t        claiming;

    ngx_http_refine_done_pt           done;       /* of the caller */
    ngx_http_refine_step_pt           step;       /* the same */
    void                             *data;

    ngx_queue_t                       tickets;    /* of a store */
    int64_t                          *deltas;     /* of counters, or NULL */
    ngx_uint_t                        n;          /* events */
    ngx_uint_t                        nargs;      /* of the tickets */

    unsigned                          resent:1;   /* after NOSCRIPT */
    unsigned                          remember:1; /* until Redis is back */
    unsigned                          replayed:1;
    unsigned                          busy:1;     /* a worker waits for it */
    unsigned                          broken:1;   /* no memory: not sent */
};


struct ngx_http_refine_ticket_s {
    ngx_queue_t                       queue;
    ngx_http_refine_stored_pt         handler;    /* NULL: forgotten */
    void                             *data;
    size_t                            size;
    u_char                           *types;      /* a digit for each event */
    ngx_msec_t                        at;         /* when it was pushed */
    unsigned                          kept:1;
    unsigned                          drained:1;  /* from the spool */
    unsigned                          large:1;    /* refused by its bytes */
    unsigned                          spare:1;    /* of those that are kept */
    ngx_uint_t                        n;          /* events */
    ngx_uint_t                        nargs;
    ngx_str_t                         args[1];    /* as the script has them */
};


/* how full the queue is, by one of its limits */

typedef struct {
    const char                       *limit;      /* the option's name */
    const char                       *unit;
    int64_t                           max;
    unsigned                          full:1;     /* logged */
    unsigned                          filling:1;  /* logged: 80 % */
} ngx_http_refine_level_t;


/* what Redis' settings promise, as last read */

typedef struct {
    ngx_msec_t                        read_at;
    ngx_int_t                         aof;        /* 1, 0, -1: unknown */
    ngx_uint_t                        loses;      /* why, bits; logged */
    unsigned                          known:1;
} ngx_http_refine_durable_t;


typedef enum {
    NGX_HTTP_REFINE_DISK_IDLE = 0,
    NGX_HTTP_REFINE_DISK_WRITE,
    NGX_HTTP_REFINE_DISK_SYNC,
    NGX_HTTP_REFINE_DISK_READ,        /* after ADVANCE, where that is due */
    NGX_HTTP_REFINE_DISK_ADVANCE,
    NGX_HTTP_REFINE_DISK_LEAVE,       /* what others may read */
    NGX_HTTP_REFINE_DISK_DONE,        /* without Redis: see queue_local.h */
    NGX_HTTP_REFINE_DISK_LETTERS,
    NGX_HTTP_REFINE_DISK_REPLAY,
    NGX_HTTP_REFINE_DISK_COUNT
} ngx_http_refine_disk_e;


/*
 * The spool and what it is asked for: one job at a time, in a thread where
 * there are threads.  While a job runs, the spool and all of "job" are its own.
 */

typedef struct {
    ngx_http_refine_spool_t          *spool;      /* NULL: off */

    struct {
        ngx_http_refine_disk_e        op;         /* IDLE: none runs */
        ngx_int_t                     rc;
        ngx_http_refine_spool_record_t  *records;
        ngx_uint_t                    n;
        unsigned                      advance:1;  /* before READ */
        unsigned                      up:1;       /* Redis, at LEAVE */
        unsigned                      pass:1;     /* after READ */
        ngx_http_refine_spool_place_t
                                      place;      /* of READ */
    } job;

    void                             *task;       /* ngx_thread_task_t */
    ngx_event_t                       run;        /* posted */
    ngx_event_t                       timer;

    ngx_http_refine_spool_record_t   *records;    /* room for WRITE */
    ngx_queue_t                       waiting;    /* tickets to be written */
    ngx_queue_t                       writing;    /* of the job */
    ngx_queue_t                       drained;    /* to be stored in Redis */
    ngx_queue_t                       back;       /* the same, came back */
    ngx_uint_t                        nstoring;   /* of them, under way */
    int64_t                           ndrained;   /* events, not yet logged */

    ngx_http_refine_spool_totals_t    totals;
    ngx_msec_t                        counted_at;
    ngx_msec_t                        retry_at;   /* after a failure */
    ngx_uint_t                        torn;       /* counted so far */
    ngx_uint_t                        damaged;
    time_t                            error_logged;

    unsigned                          drain:1;    /* there may be something */
    unsigned                          advance:1;  /* what was read is stored */
    unsigned                          sync:1;     /* due */
    unsigned                          wrote:1;    /* others have their turn */
    unsigned                          count:1;    /* the same */
    unsigned                          soon:1;     /* the timer is a short one */
    unsigned                          used:1;     /* logged */
    unsigned                          failed:1;   /* see retry_at; logged */
    unsigned                          full:1;     /* the same, by the limit */
    unsigned                          filling:1;  /* logged: 80 % */
    unsigned                          other:1;    /* logged */
} ngx_http_refine_queue_spool_t;


struct ngx_http_refine_queue_s {
    ngx_pool_t                       *pool;
    ngx_log_t                        *log;
    ngx_http_refine_queue_conf_t     *conf;
    ngx_http_refine_redis_t          *redis;      /* NULL: the spool is it */
    ngx_http_refine_local_t          *local;      /* then; else NULL */
    ngx_http_refine_redis_watch_t     redis_watch;
    ngx_http_refine_queue_watch_t    *watch;

    ngx_str_t                         keys[3];    /* as scripts.h has them */
    ngx_str_t                         consumer;
    u_char                            sha1[NGX_HTTP_REFINE_SCRIPT_MAX]
                                          [NGX_HTTP_REFINE_SHA1_LEN];

    ngx_connection_t                  dummy;      /* of the events */
    ngx_event_t                       flush;      /* posted */
    ngx_event_t                       settle;     /* posted */
    ngx_event_t                       timer;
    ngx_event_t                       hold;       /* of the first connect */
    ngx_msec_t                        exit_at;

    ngx_queue_t                       spare;      /* calls without a pool */
    ngx_queue_t                       failed;     /* calls, for settle */
    ngx_queue_t                       later;      /* calls, until it is back */
    ngx_uint_t                        nlater;     /* events of them */
    ngx_uint_t                        nreplays;   /* of them, under way */
    ngx_uint_t                        nbusy;
    time_t                            error_logged;

    ngx_queue_t                       tickets;    /* free ones */
    ngx_queue_t                       waiting;    /* tickets of this turn */
    ngx_queue_t                       kept;       /* tickets nobody awaits */
    ngx_queue_t                       returned;   /* kept, to be sent again */
    size_t                            waiting_size;
    size_t                            kept_size;
    ngx_uint_t                        nstores;    /* under way */
    ngx_msec_t                        refused_at;
    ngx_http_refine_level_t           size;       /* max_queue_size */
    ngx_http_refine_level_t           bytes;      /* max_queue_bytes */
    ngx_http_refine_durable_t         durable;
    ngx_http_refine_queue_spool_t     disk;

    int64_t                           deltas[NGX_HTTP_REFINE_COUNTER_MAX];
    ngx_msec_t                        counted_at;

    size_t                            longest;    /* event, 0: unknown */
    ngx_msec_t                        consumers_at;
    ngx_msec_t                        down_at;
    ngx_msec_t                        back_at;    /* if back */
    u_char                            cursor[NGX_HTTP_REFINE_QUEUE_ID];

    ngx_http_refine_metrics_t         metrics;
    ngx_msec_t                        metrics_at;
    ngx_http_refine_call_t           *metrics_call;
    ngx_queue_t                       waiters;    /* of metrics calls */
    ngx_queue_t                       answers;    /* waiters, for settle */
    u_char                            first_id[NGX_HTTP_REFINE_QUEUE_ID];
    u_char                            last_id[NGX_HTTP_REFINE_QUEUE_ID];

    unsigned                          ticketed:1; /* there is memory of these */
    unsigned                          counted:1;  /* deltas are not all 0 */
    unsigned                          refused:1;  /* OOM and the like */
    unsigned                          retry:1;
    unsigned                          troubled:1; /* logged: refused */
    unsigned                          consumers:1;
    unsigned                          metrics_failed:1;
    unsigned                          exiting:1;  /* exit_at is set */
    unsigned                          closing:1;
    unsigned                          connected:1;  /* it was, once */
    unsigned                          back:1;     /* after a long absence */
};


/*
 * queue_call.c.  For want of memory a call breaks: it takes no arguments, is
 * not sent, and its handler runs with NULL like that of any call that failed.
 * NULL only when the spare calls, kept for this, are used up as well.
 */

ngx_http_refine_call_t *ngx_http_refine_call_create(
    ngx_http_refine_queue_t *queue, ngx_http_refine_call_pt handler);

/* makes room for nargs arguments, behind EVALSHA and the keys */
void ngx_http_refine_call_script(ngx_http_refine_call_t *call,
    ngx_uint_t script, ngx_uint_t nargs);

/* an argument that stays where it is; a copy; a number */
void ngx_http_refine_call_arg(ngx_http_refine_call_t *call, const void *p,
    size_t len);
void ngx_http_refine_call_copy(ngx_http_refine_call_t *call,
    const ngx_str_t *s);
void ngx_http_refine_call_int(ngx_http_refine_call_t *call, int64_t n);

/* the handler runs later in any case */
void ngx_http_refine_call_send(ngx_http_refine_call_t *call);
void ngx_http_refine_call_free(ngx_http_refine_call_t *call);
void ngx_http_refine_call_busy(ngx_http_refine_call_t *call);

/* whether an error says that Redis cannot serve now */
ngx_uint_t ngx_http_refine_queue_unavailable(redisReply *reply);

#define ngx_http_refine_call_lit(call, s)                                     \
    ngx_http_refine_call_arg(call, s, sizeof(s) - 1)


/* queue.c */

/* the command that loads a script: three arguments */
void ngx_http_refine_queue_script(ngx_uint_t script, const char **argv,
    size_t *len);

/* a new worker's first attempt to connect is under way */
ngx_uint_t ngx_http_refine_queue_starting(ngx_http_refine_queue_t *queue);

/* starts the timer when there is something for it to do */
void ngx_http_refine_queue_arm(ngx_http_refine_queue_t *queue);


/* queue_ticket.c: from memory that is kept for small ones, or of their own */

/* of the events, which are copied; NULL: out of memory */
ngx_http_refine_ticket_t *ngx_http_refine_ticket_create(
    ngx_http_refine_queue_t *queue, ngx_http_refine_event_t *events,
    ngx_uint_t n);

/* of n arguments for events of "size" bytes, in one piece, to be filled */
ngx_http_refine_ticket_t *ngx_http_refine_ticket_alloc(
    ngx_http_refine_queue_t *queue, ngx_uint_t n, ngx_uint_t nargs,
    size_t size);

void ngx_http_refine_ticket_free(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket);


/* queue_store.c */

void ngx_http_refine_queue_flush_handler(ngx_event_t *ev);
void ngx_http_refine_queue_hold_handler(ngx_event_t *ev);
void ngx_http_refine_queue_store_deltas(ngx_http_refine_queue_t *queue);
void ngx_http_refine_queue_store_destroy(ngx_http_refine_queue_t *queue);

/* tells who waits and frees it, or keeps it for later */
void ngx_http_refine_ticket_settle(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket, ngx_http_refine_stored_e rc);


/*
 * queue_spool.c: what Redis does not take goes to the disk; queue_drain.c: and
 * from there to Redis; queue_disk.c: what is said about it.
 */

ngx_int_t ngx_http_refine_queue_spool_create(ngx_http_refine_queue_t *queue);
void ngx_http_refine_queue_spool_destroy(ngx_http_refine_queue_t *queue);

/* whether it takes tickets: there is one, and it has not failed just now */
ngx_uint_t ngx_http_refine_queue_spool_ready(ngx_http_refine_queue_t *queue);

/* the ticket is settled later */
void ngx_http_refine_queue_spool_add(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket);

/* a worker must not exit */
ngx_uint_t ngx_http_refine_queue_spool_busy(ngx_http_refine_queue_t *queue);

/* has the figures counted anew, unless that was done lately */
void ngx_http_refine_queue_spool_count(ngx_http_refine_queue_t *queue);

/* starts what is to be done next */
void ngx_http_refine_queue_spool_run(ngx_http_refine_queue_t *queue);

/* Redis is there: what is on the disk goes to it */
void ngx_http_refine_queue_drain(ngx_http_refine_queue_t *queue);

/* what a job has read, or not */
void ngx_http_refine_queue_drain_read(ngx_http_refine_queue_t *queue);

/* a ticket that was drained is stored, or not */
void ngx_http_refine_queue_drain_settle(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket, ngx_http_refine_stored_e rc);

/* whether there are tickets to be sent to Redis now */
ngx_uint_t ngx_http_refine_queue_drain_ready(ngx_http_refine_queue_t *queue);

/* after each job, before what it was for is told its result */
void ngx_http_refine_queue_disk_report(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op);

/*
 * queue_delta.c: what this worker has counted and not yet told to Redis.  It
 * goes as the last arguments of a call, which takes it along; when the call has
 * failed it is to be counted again.
 */

/* how many arguments it makes */
ngx_uint_t ngx_http_refine_queue_deltas(ngx_http_refine_queue_t *queue);

void ngx_http_refine_queue_deltas_take(ngx_http_refine_call_t *call);
void ngx_http_refine_queue_deltas_undo(ngx_http_refine_call_t *call);


/* queue_level.c */

void ngx_http_refine_queue_levels(ngx_http_refine_queue_t *queue);

/* after a store: n is in the queue now; refused: some were, by this limit */
void ngx_http_refine_queue_level(ngx_http_refine_queue_t *queue,
    ngx_http_refine_level_t *level, int64_t n, ngx_uint_t refused);


/* queue_durable.c */

/* asks a Redis that is up; unless "now", not more often than every 10 s */
void ngx_http_refine_queue_durable_read(ngx_http_refine_queue_t *queue,
    ngx_uint_t now);


/* queue_done.c */

void ngx_http_refine_queue_replay(ngx_http_refine_queue_t *queue);


/* queue_metrics.c */

void ngx_http_refine_queue_metrics_settle(ngx_http_refine_queue_t *queue);


#endif /* _NGX_HTTP_REFINE_QUEUE_PRIVATE_H_INCLUDED_ */
