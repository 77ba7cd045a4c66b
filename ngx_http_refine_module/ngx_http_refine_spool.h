
/*
 * Level 2: the spool of a catalog in one worker, a log in segment files.
 *
 * A segment belongs to who holds its flock(): the worker that writes it, later
 * the one that reads it.  Only who has made a segment appends to it; whatever
 * is left by a worker that is gone is read by any other, oldest first.
 *
 * All of it blocks on the disk and touches nothing of nginx but the allocator,
 * so that it can run in a thread, one call at a time.  Errors are not logged:
 * after NGX_ERROR "err" and "failed" say what did not work.
 */


#ifndef _NGX_HTTP_REFINE_SPOOL_H_INCLUDED_
#define _NGX_HTTP_REFINE_SPOOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_REFINE_FSYNC_OFF = 0,
    NGX_HTTP_REFINE_FSYNC_INTERVAL,       /* by ..._spool_sync() */
    NGX_HTTP_REFINE_FSYNC_ALWAYS
} ngx_http_refine_fsync_e;


typedef struct {
    ngx_str_t                        path;     /* ends with NUL; exists */
    off_t                            size;     /* of all segments, at most */
    ngx_uint_t                       fsync;
} ngx_http_refine_spool_conf_t;


/* the events of a request, as the script that stores them takes them */

typedef struct {
    ngx_uint_t                       n;        /* events */
    u_char                          *types;    /* n digits */
    ngx_uint_t                       nargs;    /* at least n, at most 2 n */
    ngx_str_t                       *args;
} ngx_http_refine_spool_record_t;


typedef struct {
    int64_t                          events;   /* not read yet */
    int64_t                          bytes;    /* of the files */
    int64_t                          segments;
} ngx_http_refine_spool_totals_t;


/* where what was read ends */

typedef struct {
    uint64_t                         segment;  /* its number in this worker */
    off_t                            offset;
    ngx_uint_t                       events;
} ngx_http_refine_spool_place_t;


typedef struct ngx_http_refine_spool_s  ngx_http_refine_spool_t;

/* for the caller to read between calls */

typedef struct {
    ngx_err_t                        err;
    const char                      *failed;   /* "open()"; NULL: nothing */
    ngx_uint_t                       torn;     /* tails cut off, ever */
    ngx_uint_t                       damaged;  /* places passed over, ever */
    unsigned                         dirty:1;  /* written, not yet synced */
    unsigned                         other:1;  /* segments of another version */
    ngx_http_refine_spool_totals_t   totals;   /* as of the last count */
} ngx_http_refine_spool_state_t;


/* touches no file; conf and log must outlive it; NULL: no memory */
ngx_http_refine_spool_t *ngx_http_refine_spool_create(
    ngx_http_refine_spool_conf_t *conf, ngx_log_t *log);

/* closes all, and leaves the events where they are */
void ngx_http_refine_spool_destroy(ngx_http_refine_spool_t *spool);

ngx_http_refine_spool_state_t *ngx_http_refine_spool_state(
    ngx_http_refine_spool_t *spool);

/*
 * Appends n records, all or none.  NGX_DECLINED: they would exceed the limit;
 * NGX_ERROR: the disk did not take them.
 */
ngx_int_t ngx_http_refine_spool_write(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_record_t *records, ngx_uint_t n);

ngx_int_t ngx_http_refine_spool_sync(ngx_http_refine_spool_t *spool);

/* ends the segment that is being written, so that anybody may read it */
void ngx_http_refine_spool_seal(ngx_http_refine_spool_t *spool);

/* leaves what is being read to others, from the cursors on */
void ngx_http_refine_spool_leave(ngx_http_refine_spool_t *spool);

/*
 * The next records of the oldest segment that nobody holds, the own one in the
 * end: at least one, then as many as have together at most "events" events and
 * "size" bytes.  They stay valid until the next read.  NGX_DONE: there are none
 * (left) for this worker; NGX_ERROR: some could not be read now, or no memory.
 */
ngx_int_t ngx_http_refine_spool_read(ngx_http_refine_spool_t *spool,
    ngx_uint_t events, size_t size, ngx_http_refine_spool_record_t **records,
    ngx_uint_t *n);

/*
 * What was read last is elsewhere: it is not read again.  A segment that has
 * been read to its end is deleted.
 */
void ngx_http_refine_spool_advance(ngx_http_refine_spool_t *spool);

/*
 * Instead of that: the next read goes on behind what was read last, which is
 * not done before its place is given to ..._spool_done(), in the order of
 * reading.
 */
void ngx_http_refine_spool_pass(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_place_t *place);
void ngx_http_refine_spool_done(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_place_t *place);

/* counts what all workers have in the directory */
ngx_int_t ngx_http_refine_spool_count(ngx_http_refine_spool_t *spool);


#endif /* _NGX_HTTP_REFINE_SPOOL_H_INCLUDED_ */
