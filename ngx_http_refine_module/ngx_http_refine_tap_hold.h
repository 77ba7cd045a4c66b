
/*
 * Level 6: the header of a response that waits for an id in its body, and the
 * body that has come meanwhile.  design: 3.2.
 */


#ifndef _NGX_HTTP_REFINE_TAP_HOLD_H_INCLUDED_
#define _NGX_HTTP_REFINE_TAP_HOLD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * In r->buffered while a header is held; nginx's own filters have the three
 * bits below: src/http/ngx_http_request.h, NGX_HTTP_SSI_BUFFERED ...
 */
#define NGX_HTTP_REFINE_TAP_HOLD_BUFFERED  0x08


typedef struct {
    ngx_http_request_t  *request;
    ngx_chain_t         *out;               /* copies of what has come */
    ngx_chain_t        **last;
    ngx_buf_t           *buf;               /* the last of them */
    size_t               size;              /* of them all */
    unsigned             flush:1;           /* one of them had it */
    ngx_event_t          look;              /* its data is the connection */

    /* of the response; they are others when it is replaced by another one */
    unsigned             uri_changes:4;
    ngx_uint_t           err_status;
} ngx_http_refine_tap_hold_t;


/*
 * In the header filter, which then returns; NULL: no memory, nothing is held.
 * Until it is released or forgotten, look is called after a while, to call
 * tap_hold_look().
 */
ngx_http_refine_tap_hold_t *ngx_http_refine_tap_hold_create(
    ngx_http_request_t *r, ngx_event_handler_pt look);

/*
 * Whether nginx has finalized the request: nothing more comes, and the end of
 * the response, or the flush of a broken one, was kept by another filter, as by
 * SSI; NGX_AGAIN: there may be more, look is called again.
 */
ngx_int_t ngx_http_refine_tap_hold_look(ngx_http_refine_tap_hold_t *hold);

/*
 * The header filter runs again: whether for the held response (some modules go
 * by r->header_sent), and not for one that takes its place.
 */
ngx_uint_t ngx_http_refine_tap_hold_same(ngx_http_refine_tap_hold_t *hold);

/* another response takes the place: what is held will not be sent */
void ngx_http_refine_tap_hold_forget(ngx_http_refine_tap_hold_t *hold);

/*
 * Whether a next part of the body can wait, NGX_OK; NGX_DECLINED: it is too
 * much, or it is an empty flush, by which somebody wants to see the response.
 */
ngx_int_t ngx_http_refine_tap_hold_test(ngx_http_refine_tap_hold_t *hold,
    ngx_chain_t *in);

/* copies it, and marks its buffers as sent; it is in memory, and not the end */
ngx_int_t ngx_http_refine_tap_hold_add(ngx_http_refine_tap_hold_t *hold,
    ngx_chain_t *in);

/* nothing is held from here on: what was, with "in" behind it */
ngx_chain_t *ngx_http_refine_tap_hold_release(ngx_http_refine_tap_hold_t *hold,
    ngx_chain_t *in);


#endif /* _NGX_HTTP_REFINE_TAP_HOLD_H_INCLUDED_ */
