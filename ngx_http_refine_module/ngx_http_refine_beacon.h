
/*
 * Level 6: the body of a collect request: one event, an array of events, or
 * {"sentAt":ms,"events":[...]}.  design: 3.1.
 */


#ifndef _NGX_HTTP_REFINE_BEACON_H_INCLUDED_
#define _NGX_HTTP_REFINE_BEACON_H_INCLUDED_


#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_module.h"
#include "ngx_http_refine_tree.h"


#define NGX_HTTP_REFINE_BEACON_MAX_EVENTS   100
#define NGX_HTTP_REFINE_BEACON_MAX_TRUSTED  500

/* for where client_max_body_size is off: a body is read into memory */
#define NGX_HTTP_REFINE_BEACON_MAX_BODY     (16 * 1024 * 1024)


typedef struct {
    ngx_http_refine_tree_t          tree;
    cJSON                          *first;      /* event */
    ngx_uint_t                      total;      /* events in the body */
    ngx_uint_t                      max;        /* of them, 100 or 500 */
    uint64_t                        sent_at;    /* 0: none */

    ngx_http_refine_event_t        *events;     /* to be stored */
    ngx_uint_t                      nevents;
    ngx_uint_t                      duplicates;
    ngx_uint_t                      nrejected;
    ngx_http_refine_buf_t           rejected;   /* rows of the answer */

    /* of the request as a whole, when it is refused */
    ngx_uint_t                      status;
    ngx_http_refine_event_error_t   error;
} ngx_http_refine_beacon_t;


/* before anything else; what the answer needs comes from the pool */
void ngx_http_refine_beacon_init(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool);

/*
 * The request's body in one piece, from memory or file.  NGX_DECLINED with
 * beacon->status and beacon->error: larger than can be read; NGX_ERROR.
 */
ngx_int_t ngx_http_refine_beacon_body(ngx_http_refine_beacon_t *beacon,
    ngx_http_request_t *r, ngx_str_t *text);

/*
 * Inflates a body of Content-Encoding: gzip, the text is replaced.  It becomes
 * no larger than client_max_body_size.  Returns what body() does, and
 * NGX_DECLINED as well for what is not exactly one or more members of gzip.
 */
ngx_int_t ngx_http_refine_beacon_gzip(ngx_http_refine_beacon_t *beacon,
    ngx_http_request_t *r, ngx_str_t *text);

/*
 * Checks and reads the text.  NGX_OK; NGX_DECLINED with beacon->status and
 * beacon->error; NGX_ERROR: out of memory.  In any case beacon->tree has to be
 * freed by ngx_http_refine_beacon_free().
 */
ngx_int_t ngx_http_refine_beacon_parse(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, u_char *p, size_t len);

/*
 * Checks the events and makes the lines of those that are valid and new, from
 * the pool; what is refused or known is counted.  zone: NULL, or the table of
 * ids.  NGX_OK, or NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_refine_beacon_check(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, ngx_http_refine_event_env_t *env,
    ngx_http_refine_queue_t *queue, ngx_shm_zone_t *zone);

/* fills in beacon->status and beacon->error; the texts are constant */
ngx_int_t ngx_http_refine_beacon_refuse(ngx_http_refine_beacon_t *beacon,
    ngx_uint_t status, const char *field, const char *error,
    ngx_http_refine_counter_e reason);

/* adds a row to beacon->rejected; index -1: the request as a whole */
void ngx_http_refine_beacon_reject(ngx_http_refine_beacon_t *beacon,
    ngx_int_t index, ngx_http_refine_event_error_t *error);

void ngx_http_refine_beacon_free(ngx_http_refine_beacon_t *beacon);


#endif /* _NGX_HTTP_REFINE_BEACON_H_INCLUDED_ */
