
/*
 * Level 3: a queue without Redis: the spool is it.  Included by queue*.c only.
 *
 * Each worker delivers what it has written, and what was left by workers that
 * are gone.  It reads ahead by windows, at most so many, whose events are
 * claimed, given back and acknowledged in memory; the cursor on the disk moves
 * behind a window when all of its events, and those of the windows before, are
 * delivered or in the file of dead letters.  What a worker had claimed when it
 * was killed is therefore read again.
 */


#ifndef _NGX_HTTP_REFINE_QUEUE_LOCAL_H_INCLUDED_
#define _NGX_HTTP_REFINE_QUEUE_LOCAL_H_INCLUDED_


#include "ngx_http_refine_queue_private.h"


#define NGX_HTTP_REFINE_LOCAL_WINDOWS  8
#define NGX_HTTP_REFINE_LOCAL_EXPIRE   100     /* events of a step */
#define NGX_HTTP_REFINE_LOCAL_RECORD   100     /* events of one moved */


typedef struct ngx_http_refine_window_s  ngx_http_refine_window_t;


typedef enum {
    NGX_HTTP_REFINE_ITEM_FREE = 0,
    NGX_HTTP_REFINE_ITEM_CLAIMED,
    NGX_HTTP_REFINE_ITEM_DYING,           /* its letter is being written */
    NGX_HTTP_REFINE_ITEM_FINISHED
} ngx_http_refine_item_e;


typedef struct {
    ngx_queue_t                       queue;      /* while it is FREE */
    ngx_http_refine_window_t         *window;
    ngx_http_refine_item_e            state;
    ngx_uint_t                        attempts;
    u_char                           *type;       /* a digit */
    int64_t                           at;         /* receivedAt */
    ngx_str_t                         line;
    ngx_str_t                         label;      /* see surface.h */
} ngx_http_refine_item_t;


struct ngx_http_refine_window_s {
    ngx_queue_t                       queue;
    uint64_t                          id;
    ngx_http_refine_spool_place_t     place;
    ngx_uint_t                        n;
    ngx_uint_t                        left;       /* not FINISHED */
    ngx_http_refine_item_t           *items;
};


/* a dead letter on its way to the file */

typedef struct {
    ngx_queue_t                       queue;
    ngx_http_refine_item_t           *item;
    ngx_uint_t                        state;      /* the item's before */
    ngx_uint_t                        old;        /* by expire */
    size_t                            len;
    u_char                            text[1];
} ngx_http_refine_letter_t;


/* what runs later, from the event loop */

typedef struct {
    ngx_queue_t                       queue;
    ngx_http_refine_done_pt           handler;
    void                             *data;
    ngx_int_t                         rc;
} ngx_http_refine_later_t;


typedef struct {
    ngx_queue_t                       queue;
    ngx_uint_t                        n;
    ngx_uint_t                        takeover;
    ngx_http_refine_claim_pt          handler;
    void                             *data;
} ngx_http_refine_asked_t;


/* through all events, a step after the other */

typedef struct {
    ngx_http_refine_step_pt           handler;    /* NULL: none is asked for */
    void                             *data;
    ngx_msec_t                        window;
    ngx_uint_t                        status;
    ngx_str_t                         reason;
    ngx_uint_t                        n;          /* becoming letters */
    ngx_str_t                         ids[NGX_HTTP_REFINE_LOCAL_EXPIRE];
    u_char                            text[NGX_HTTP_REFINE_LOCAL_EXPIRE][48];
} ngx_http_refine_local_expire_t;


/* through the file of dead letters, in one job */

typedef struct {
    ngx_http_refine_step_pt           handler;    /* NULL: none is asked for */
    void                             *data;
    u_char                            reason[256];
    size_t                            len;
    int64_t                           room;       /* events */
    int64_t                           room_bytes;
    int64_t                           n;
    int64_t                           bytes;
    int64_t                           types[5];
    ngx_http_refine_surfaces_t        surfaces;   /* of items_served */
    const char                       *limit;
    unsigned                          running:1;
} ngx_http_refine_local_replay_t;


struct ngx_http_refine_local_s {
    ngx_http_refine_ledger_t          ledger;

    ngx_queue_t                       windows;    /* as they were read */
    ngx_queue_t                       finished;   /* the cursor has to move */
    ngx_uint_t                        nwindows;   /* of both */
    uint64_t                          last_id;
    ngx_queue_t                       fresh;      /* items nobody has claimed */
    ngx_queue_t                       returned;   /* items given back */
    ngx_uint_t                        nclaimed;

    ngx_queue_t                       asked;
    ngx_queue_t                       later;
    ngx_queue_t                       refused;    /* tickets */
    ngx_queue_t                       letters;
    ngx_http_refine_local_expire_t    expire;
    ngx_http_refine_local_replay_t    replay;
    ngx_event_t                       run;        /* posted */

    int64_t                           unread;     /* of what it wrote */
    int64_t                           unread_at;  /* Unix ms, since when */
    int64_t                           flushes;
    int64_t                           entered;    /* at the last count */
    ngx_msec_t                        letters_at; /* not earlier */

    /* of the job under way: its own */

    ngx_http_refine_spool_place_t     places[NGX_HTTP_REFINE_LOCAL_WINDOWS];
    ngx_uint_t                        nplaces;
    ngx_http_refine_spool_record_t   *moved;
    ngx_uint_t                        nmoved;
    ngx_queue_t                       writing;    /* letters */
    const char                       *failed;
    ngx_err_t                         err;

    unsigned                          read:1;     /* is wanted */
    unsigned                          end:1;      /* there is nothing to read */
    unsigned                          more:1;     /* there may be, later */
    unsigned                          troubled:1; /* logged: letters */
};


/* queue_local.c */

ngx_int_t ngx_http_refine_local_create(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_destroy(ngx_http_refine_queue_t *queue);

int64_t ngx_http_refine_local_now(void);

/* the next job of the disk, prepared; the job; what it has brought about */
ngx_http_refine_disk_e ngx_http_refine_local_next(
    ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_job(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op);
void ngx_http_refine_local_done(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op);

/* each second: what others have asked for */
void ngx_http_refine_local_tick(ngx_http_refine_queue_t *queue);

/* whether one of the limits allows it no more: then it is settled later */
ngx_uint_t ngx_http_refine_local_full(ngx_http_refine_queue_t *queue,
    ngx_http_refine_ticket_t *ticket);

/* the tickets are on the disk now */
void ngx_http_refine_local_stored(ngx_http_refine_queue_t *queue,
    ngx_queue_t *tickets);

/* something may be done now */
void ngx_http_refine_local_post(ngx_http_refine_queue_t *queue);


/* queue_local_claim.c: the windows, and what is claimed of them */

void ngx_http_refine_local_claim(ngx_http_refine_queue_t *queue, ngx_uint_t n,
    ngx_uint_t takeover, ngx_http_refine_claim_pt handler, void *data);
void ngx_http_refine_local_answer(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_read(ngx_http_refine_queue_t *queue);

/* delivered, or a dead letter; frees what is behind the cursor then */
void ngx_http_refine_local_finish(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t *item);
void ngx_http_refine_local_finished(ngx_http_refine_queue_t *queue);

/* NULL: there is none such, or it is not claimed */
ngx_http_refine_item_t *ngx_http_refine_local_item(
    ngx_http_refine_queue_t *queue, ngx_str_t *id);
u_char *ngx_http_refine_local_id(ngx_http_refine_item_t *item, u_char *p);

void ngx_http_refine_local_return(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n, ngx_uint_t counted);

/* of windows of which some events are finished: the rest is written again */
void ngx_http_refine_local_move(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_forget(ngx_http_refine_queue_t *queue);

/* whether a window more may be read */
ngx_uint_t ngx_http_refine_local_room(ngx_http_refine_queue_t *queue);


/* queue_local_count.c: what ends a claim, the pause, and the figures */

void ngx_http_refine_local_later(ngx_http_refine_queue_t *queue,
    ngx_http_refine_done_pt handler, void *data, ngx_int_t rc);
void ngx_http_refine_local_ack(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entries, ngx_uint_t n);
void ngx_http_refine_local_pause(ngx_http_refine_queue_t *queue,
    ngx_uint_t pause);
void ngx_http_refine_local_held(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_deltas(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_metrics(ngx_http_refine_queue_t *queue);

/* this worker's row of the ledger */
void ngx_http_refine_local_row(ngx_http_refine_queue_t *queue);

/* brings the figures in line with the log, when nobody has written since */
void ngx_http_refine_local_heal(ngx_http_refine_queue_t *queue,
    ngx_uint_t alone);


/* queue_local_letter.c: dead letters, in files, and back from there */

void ngx_http_refine_local_dead(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entry, ngx_uint_t status, ngx_str_t *reason);
void ngx_http_refine_local_expire(ngx_http_refine_queue_t *queue,
    ngx_msec_t window, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_step_pt handler, void *data);
void ngx_http_refine_local_expire_run(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_letters(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_lettered(ngx_http_refine_queue_t *queue,
    ngx_int_t rc);


/* queue_local_replay.c */

void ngx_http_refine_local_revive(ngx_http_refine_queue_t *queue,
    ngx_str_t *reason, ngx_http_refine_step_pt handler, void *data);
void ngx_http_refine_local_replay(ngx_http_refine_queue_t *queue);
void ngx_http_refine_local_replayed(ngx_http_refine_queue_t *queue,
    ngx_int_t rc);


#endif /* _NGX_HTTP_REFINE_QUEUE_LOCAL_H_INCLUDED_ */
