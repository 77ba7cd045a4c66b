
/*
 * Level 2: what is counted of a queue that has no Redis: one small file beside
 * its segments, mapped by all workers of the machine.
 *
 * Several numbers that change together are changed under the lock, and nothing
 * that waits for a disk is done meanwhile; so that accepted = sent + failed +
 * dropped + held whenever anybody looks.
 */


#ifndef _NGX_HTTP_REFINE_LEDGER_H_INCLUDED_
#define _NGX_HTTP_REFINE_LEDGER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_counter.h"
#include "ngx_http_refine_surface.h"


#define NGX_HTTP_REFINE_LEDGER_WORKERS   128
#define NGX_HTTP_REFINE_LEDGER_COUNTERS  256
#define NGX_HTTP_REFINE_LEDGER_NAME      48


/* a worker's own row, which only it writes */

typedef struct {
    int64_t                      pid;
    int64_t                      claimed;     /* events */
    int64_t                      oldest;      /* Unix ms, 0: it has none */
} ngx_http_refine_ledger_worker_t;


typedef struct {
    u_char                       magic[8];
    uint64_t                     size;        /* its version: see ledger.c */

    int64_t                      accepted;
    int64_t                      sent;
    int64_t                      failed;
    int64_t                      dropped;
    int64_t                      held;        /* events in the log */
    int64_t                      bytes;       /* of their lines */
    int64_t                      entered;     /* events, ever */
    int64_t                      dead;        /* letters in the file */
    int64_t                      dead_before; /* in the one before it */
    int64_t                      dead_trimmed;
    int64_t                      dead_replayed;
    int64_t                      paused;      /* Unix ms, 0: it is not */
    int64_t                      resumed;     /* Unix ms */
    int64_t                      flushes;     /* asked for */

    ngx_http_refine_ledger_worker_t
                                 workers[NGX_HTTP_REFINE_LEDGER_WORKERS];

    struct {
        char                     name[NGX_HTTP_REFINE_LEDGER_NAME];
        int64_t                  n;
    } counters[NGX_HTTP_REFINE_LEDGER_COUNTERS];

    /* by type; in a file of an earlier version zeros follow the first */
    ngx_http_refine_surfaces_t   surfaces[NGX_HTTP_REFINE_EVENT_TYPES];

    /* bytes of the files of letters when they were counted last */
    int64_t                      dead_size;
    int64_t                      dead_before_size;
} ngx_http_refine_ledger_data_t;


typedef struct {
    int                               fd;
    ngx_http_refine_ledger_data_t    *data;
    ngx_http_refine_ledger_worker_t  *self;
    ngx_http_refine_ledger_worker_t   none;    /* when all rows are taken */
    ngx_uint_t                        index[NGX_HTTP_REFINE_COUNTER_MAX];
    unsigned                          alone:1; /* nobody else had it open */
} ngx_http_refine_ledger_t;


/*
 * Opens the file in the directory, or makes it.  With "alone" the caller brings
 * it in line with the log, then calls ..._ledger_ready(), for which the others
 * wait.  NGX_ERROR: with errno.
 */
ngx_int_t ngx_http_refine_ledger_open(ngx_http_refine_ledger_t *ledger,
    ngx_str_t *dir);
void ngx_http_refine_ledger_ready(ngx_http_refine_ledger_t *ledger);
void ngx_http_refine_ledger_close(ngx_http_refine_ledger_t *ledger);

/* between the main threads of the workers */
void ngx_http_refine_ledger_lock(ngx_http_refine_ledger_t *ledger);
void ngx_http_refine_ledger_unlock(ngx_http_refine_ledger_t *ledger);

/* another lock, between those who write the file of dead letters */
void ngx_http_refine_ledger_lock_letters(ngx_http_refine_ledger_t *ledger);
void ngx_http_refine_ledger_unlock_letters(ngx_http_refine_ledger_t *ledger);

/* over the workers that live; oldest: 0 when there are none */
int64_t ngx_http_refine_ledger_claimed(ngx_http_refine_ledger_t *ledger,
    int64_t *oldest);


#endif /* _NGX_HTTP_REFINE_LEDGER_H_INCLUDED_ */
