
/*
 * Level 6, inside of inject: one page while it is rewritten.
 */


#ifndef _NGX_HTTP_REFINE_INJECT_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_INJECT_CORE_H_INCLUDED_


#include "ngx_http_refine_inject.h"
#include "ngx_http_refine_inflate.h"
#include "ngx_http_refine_page.h"
#include "ngx_http_refine_tap_value.h"


/* of the plain text of a page in gzip that has not been sent yet */
#define NGX_HTTP_REFINE_INJECT_BUFS      4
#define NGX_HTTP_REFINE_INJECT_BUF_SIZE  (16 * 1024)

/* r->buffered of such a page: tap holds the header of no page */
#define NGX_HTTP_REFINE_INJECT_BUFFERED  0x08


struct ngx_http_refine_inject_s {
    ngx_http_refine_inject_conf_t   *conf;
    ngx_http_refine_catalog_t       *catalog;
    ngx_http_refine_ctx_t           *ctx;
    ngx_http_refine_tap_value_t     *values;    /* NULL: no serve of its own */

    /* the way of the bytes; links and buffers are this filter's */
    ngx_chain_t                     *in;        /* gzip: not inflated yet */
    ngx_chain_t                     *out;
    ngx_chain_t                    **last_out;
    ngx_chain_t                     *busy;
    ngx_chain_t                     *free;
    ngx_http_refine_inflate_t       *inflate;   /* NULL: nothing has come */
    ngx_buf_t                       *bufs[NGX_HTTP_REFINE_INJECT_BUFS];

    unsigned                         active:1;
    unsigned                         gzip:1;
    unsigned                         ended:1;   /* all is in out, or sent */
    unsigned                         failed:1;
    unsigned                         fed:1;     /* in's first, to inflate */
    ngx_http_refine_page_t           page;
};


/*
 * The next buffers of the body, NULL: none.  Puts what is to be sent into
 * inject->out.  NGX_AGAIN: it waits for some of it to be sent; NGX_DECLINED: it
 * is not the gzip that it says; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_refine_inject_read(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_chain_t *in);

/* inject->out has been passed on; what has been sent may be used again */
void ngx_http_refine_inject_sent(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject);

/* what belongs to the end of the head; empty: nothing; NGX_ERROR: no memory */
ngx_int_t ngx_http_refine_inject_head(ngx_http_request_t *r,
    ngx_http_refine_inject_t *inject, ngx_str_t *text);


#endif /* _NGX_HTTP_REFINE_INJECT_CORE_H_INCLUDED_ */
