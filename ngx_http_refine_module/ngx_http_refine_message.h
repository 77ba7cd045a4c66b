
/*
 * Level 1: an incremental parser of HTTP/1.x responses (RFC 9112) that knows
 * no sockets.  It survives any split of its input.
 */


#ifndef _NGX_HTTP_REFINE_MESSAGE_H_INCLUDED_
#define _NGX_HTTP_REFINE_MESSAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_MESSAGE_HEADERS  32768     /* all lines, 1xx too */
#define NGX_HTTP_REFINE_MESSAGE_LINE     512       /* kept of a line */
#define NGX_HTTP_REFINE_MESSAGE_BODY     65536     /* kept of the body */


typedef struct {
    ngx_pool_t  *pool;

    /* the result; strings are in the pool, empty when absent */
    ngx_uint_t   status;            /* of the final response */
    const char  *error;             /* constant text, after NGX_ERROR */
    ngx_str_t    body;              /* its first bytes, the rest is skipped */
    ngx_str_t    retry_after;
    ngx_str_t    date;
    ngx_str_t    limit;
    ngx_str_t    remaining;
    ngx_str_t    reset;
    ngx_uint_t   keepalive;         /* the connection may be used again */

    /* private */
    ngx_uint_t   state;
    ngx_uint_t   minor;             /* of HTTP/1.x */
    size_t       head;              /* bytes of lines so far */
    off_t        rest;              /* of a body or chunk */
    off_t        length;            /* Content-Length, -1: none */
    size_t       allocated;         /* of body */
    size_t       used;              /* of line, may exceed its size */
    unsigned     cr:1;              /* the last byte was CR */
    unsigned     coded:1;           /* Transfer-Encoding was seen */
    unsigned     chunked:1;         /* its last coding so far */
    u_char       line[NGX_HTTP_REFINE_MESSAGE_LINE];
} ngx_http_refine_message_t;


void ngx_http_refine_message_init(ngx_http_refine_message_t *m,
    ngx_pool_t *pool);

/*
 * Takes the next bytes.  NGX_AGAIN: all of them are used and more is needed.
 * NGX_OK: the response is whole, *used bytes of these belong to it.
 * NGX_ERROR: m->error says why.  Not to be called again after these two.
 */
ngx_int_t ngx_http_refine_message_parse(ngx_http_refine_message_t *m,
    u_char *p, size_t len, size_t *used);

/* the connection has ended: NGX_OK when the response is whole by that */
ngx_int_t ngx_http_refine_message_end(ngx_http_refine_message_t *m);

/* whether no byte of a response has come */
#define ngx_http_refine_message_untouched(m)                                 \
    ((m)->head == 0)


#endif /* _NGX_HTTP_REFINE_MESSAGE_H_INCLUDED_ */
