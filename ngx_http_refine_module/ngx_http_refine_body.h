
/*
 * Level 1: the body of a request, as nginx has read it: in memory, in a
 * temporary file, or both.  It is only looked at.
 */


#ifndef _NGX_HTTP_REFINE_BODY_H_INCLUDED_
#define _NGX_HTTP_REFINE_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* the next bytes, valid during the call; anything but NGX_OK ends the walk */
typedef ngx_int_t (*ngx_http_refine_body_handler_pt)(void *data, u_char *p,
    size_t len);


/*
 * Hands the body over in pieces, within this call.  To be called before the
 * header of the response is sent: then nginx may close the file.  NGX_OK;
 * NGX_DONE: the request has no body; NGX_DECLINED: it is not to be had
 * (proxy_request_buffering is off, it is encoded, or longer than max bytes);
 * NGX_ERROR: the file could not be read; else what the handler said.
 */
ngx_int_t ngx_http_refine_body_walk(ngx_http_request_t *r, off_t max,
    ngx_http_refine_body_handler_pt handler, void *data);


#endif /* _NGX_HTTP_REFINE_BODY_H_INCLUDED_ */
