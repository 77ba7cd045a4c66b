
/*
 * Level 1: the text of one JSON object or array, copied while it streams by.
 * It is only told where it ends; what it holds is not checked.
 */


#ifndef _NGX_HTTP_REFINE_CAPTURE_H_INCLUDED_
#define _NGX_HTTP_REFINE_CAPTURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_skip.h"


typedef struct {
    ngx_http_refine_skip_t  skip;
    ngx_http_refine_buf_t   text;
} ngx_http_refine_capture_t;


/*
 * Starts anew; p points to the opening bracket, last behind what there is of
 * the chunk.  Memory comes from the pool, at most max bytes at a time.
 */
void ngx_http_refine_capture_start(ngx_http_refine_capture_t *c,
    ngx_pool_t *pool, size_t max, u_char *p, u_char *last);

/* the next chunk; nothing happens when the text is complete, or failed */
void ngx_http_refine_capture_feed(ngx_http_refine_capture_t *c, u_char *p,
    u_char *last);

/*
 * NGX_OK: the text is complete, it stays the capture's; NGX_AGAIN: its end is
 * still to come; NGX_DECLINED: it is longer than max, or there is no memory;
 * NGX_DONE: the capture, filled with zeros, was never started.
 */
ngx_int_t ngx_http_refine_capture_end(ngx_http_refine_capture_t *c,
    ngx_str_t *text);


#endif /* _NGX_HTTP_REFINE_CAPTURE_H_INCLUDED_ */
