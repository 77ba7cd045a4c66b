
/*
 * Level 1, inside of event: the line of JSON, from its start to its end.
 */


#ifndef _NGX_HTTP_REFINE_EVENT_LINE_H_INCLUDED_
#define _NGX_HTTP_REFINE_EVENT_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_event.h"


/* a click with its context fits without growing */
#define NGX_HTTP_REFINE_EVENT_LINE      1024

/* receivedAt is within it: 128 bytes of an id and the names before it */
#define NGX_HTTP_REFINE_EVENT_HEAD      256

/* above what the limits add up to when every byte is escaped */
#define NGX_HTTP_REFINE_EVENT_MAX_LINE  (4 * 1024 * 1024)


/* what every event starts with, up to its userId */
void ngx_http_refine_event_start(ngx_http_refine_buf_t *b, ngx_str_t *id,
    ngx_http_refine_event_type_e type, uint64_t timestamp,
    ngx_http_refine_event_env_t *env, ngx_str_t *user);

/* ends the line with the context, and fills in ev; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_refine_event_finish(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_env_t *env, ngx_str_t *id,
    ngx_http_refine_event_t *ev);

/* appends a member unless it is empty: the number appended */
ngx_uint_t ngx_http_refine_event_member(ngx_http_refine_buf_t *b, char *key,
    ngx_str_t *text);

/* no longer than max, and not within a UTF-8 sequence */
ngx_str_t ngx_http_refine_event_cut(ngx_str_t *text, size_t max);


#endif /* _NGX_HTTP_REFINE_EVENT_LINE_H_INCLUDED_ */
