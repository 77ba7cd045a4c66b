
/*
 * Level 6: the gzip body of a response, inflated aside.  A small one waits to
 * be whole, for that takes less memory than a stream and less time.
 * design: 3.2.
 */


#ifndef _NGX_HTTP_REFINE_TAP_GZIP_H_INCLUDED_
#define _NGX_HTTP_REFINE_TAP_GZIP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_inflate.h"


/*
 * Gets what was inflated, in order; it stays valid during the call only.  Not
 * NGX_OK: nothing more is wanted.
 */
typedef ngx_int_t (*ngx_http_refine_tap_gzip_pt)(void *data, u_char *p,
    size_t len);


typedef struct {
    ngx_http_refine_tap_gzip_pt   handler;
    void                         *data;
    unsigned                      early:1;  /* what comes is needed at once */
    ngx_http_refine_inflate_t    *stream;   /* NULL: it waits */
    ngx_http_refine_buf_t         held;     /* copies of what has come */
} ngx_http_refine_tap_gzip_t;


/* before the first piece; early is 0, and may be set then */
void ngx_http_refine_tap_gzip_init(ngx_http_refine_tap_gzip_t *gz,
    ngx_pool_t *pool, ngx_http_refine_tap_gzip_pt handler, void *data);

/*
 * The next piece of the body, of any size, 0 too; last: nothing follows.  It
 * may be used again after the call.  NGX_OK; NGX_DECLINED: it is not gzip,
 * damaged, or cut off; NGX_ABORT: the handler wants no more; NGX_ERROR: out of
 * memory.
 */
ngx_int_t ngx_http_refine_tap_gzip_read(ngx_http_refine_tap_gzip_t *gz,
    u_char *p, size_t len, ngx_uint_t last);

/* gives the memory back before the pool is destroyed; may be called again */
void ngx_http_refine_tap_gzip_free(ngx_http_refine_tap_gzip_t *gz);


#endif /* _NGX_HTTP_REFINE_TAP_GZIP_H_INCLUDED_ */
