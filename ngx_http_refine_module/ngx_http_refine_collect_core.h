
/*
 * Level 6: what the parts of the endpoint share with each other: collect.c
 * takes a request and stores what it brings, collect_pixel.c takes one without
 * a body, collect_cors.c lets pages of other origins have the answer,
 * collect_answer.c says to the client what became of it, collect_conf.c has the
 * directive.
 */


#ifndef _NGX_HTTP_REFINE_COLLECT_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_COLLECT_CORE_H_INCLUDED_


#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_collect.h"


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_refine_collect_conf_t  *conf;
    ngx_http_refine_catalog_t       *catalog;
    ngx_http_refine_ctx_t           *ctx;
    ngx_http_refine_ticket_t        *ticket;    /* waits for Redis */
    ngx_int_t                        consent;
    ngx_uint_t                       bot;
    ngx_uint_t                       pixel;     /* an image is the answer */
    ngx_http_refine_beacon_t         beacon;
} ngx_http_refine_collect_t;


/* what the header of a request says */

typedef struct {
    ngx_table_elt_t                 *cross;     /* an allowed foreign origin */
    ngx_uint_t                       gzip;
    const char                      *error;     /* with a status */
    ngx_http_refine_counter_e        reason;
} ngx_http_refine_collect_head_t;


/* the handler of the location */
ngx_int_t ngx_http_refine_collect_handler(ngx_http_request_t *r);

/* the state of a request, from its pool; NULL: out of memory */
ngx_http_refine_collect_t *ngx_http_refine_collect_create(
    ngx_http_request_t *r);

/* what is allowed here, for the header Allow */
ngx_str_t *ngx_http_refine_collect_methods(ngx_http_request_t *r);

/*
 * The headers of every answer where allow_origin is in use; cross is the Origin
 * that is allowed, or NULL.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_refine_collect_cors(ngx_http_request_t *r,
    ngx_table_elt_t *cross);

/* OPTIONS; returns what a handler returns */
ngx_int_t ngx_http_refine_collect_preflight(ngx_http_request_t *r,
    ngx_table_elt_t *cross);

/*
 * Takes the events.  NGX_AGAIN: the request waits for Redis; else what
 * finalizes it.  In any case the beacon has to be freed afterwards.
 */
ngx_int_t ngx_http_refine_collect_text(ngx_http_refine_collect_t *collect,
    ngx_str_t *text);

/* GET and HEAD where they are allowed; returns what a handler returns */
ngx_int_t ngx_http_refine_collect_pixel(ngx_http_request_t *r);

/* answers 200 with the image */
ngx_int_t ngx_http_refine_collect_image(ngx_http_request_t *r);

/*
 * Each sends the answer, counts what it has to, sets the outcome, and returns
 * what ngx_http_finalize_request() takes.
 */

/* 2xx: everything that is valid is stored, now or before */
ngx_int_t ngx_http_refine_collect_accept(ngx_http_refine_collect_t *collect,
    const char *outcome);

/* 2xx: everything that is valid is dropped on purpose */
ngx_int_t ngx_http_refine_collect_drop(ngx_http_refine_collect_t *collect);

/* the request as a whole is refused; error is constant */
ngx_int_t ngx_http_refine_collect_refuse(ngx_http_refine_collect_t *collect,
    ngx_uint_t status, const char *error, ngx_http_refine_counter_e reason);

/* 503: nothing was stored, or nobody knows: the browser keeps the events */
ngx_int_t ngx_http_refine_collect_fail(ngx_http_refine_collect_t *collect,
    ngx_http_refine_stored_e rc);

/* the rows of beacon->rejected, with any status; neither counts nor notes */
ngx_int_t ngx_http_refine_collect_answer(ngx_http_refine_collect_t *collect,
    ngx_uint_t status, ngx_uint_t accepted);


#endif /* _NGX_HTTP_REFINE_COLLECT_CORE_H_INCLUDED_ */
