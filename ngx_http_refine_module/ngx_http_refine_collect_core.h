
/*
 * Level 6: what the parts of the endpoint share with each other: collect.c
 * takes a request and stores what it brings, collect_answer.c says to the
 * client what became of it.
 */


#ifndef _NGX_HTTP_REFINE_COLLECT_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_COLLECT_CORE_H_INCLUDED_


#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_collect.h"


#define NGX_HTTP_REFINE_COLLECT_METHODS  "POST, OPTIONS"


typedef struct {
    ngx_http_request_t             *request;
    ngx_http_refine_catalog_t      *catalog;
    ngx_http_refine_ctx_t          *ctx;
    ngx_http_refine_ticket_t       *ticket;     /* waits for Redis */
    ngx_uint_t                      bot;
    ngx_http_refine_beacon_t        beacon;
} ngx_http_refine_collect_t;


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
