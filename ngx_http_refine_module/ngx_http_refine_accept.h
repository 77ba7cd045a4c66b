
/*
 * Level 0: which of the media types on offer an Accept header prefers
 * (RFC 9110, 12.5.1), and whether Accept-Encoding allows a coding (12.5.3).
 */


#ifndef _NGX_HTTP_REFINE_ACCEPT_H_INCLUDED_
#define _NGX_HTTP_REFINE_ACCEPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The caller sets the first three, in lower case, and zeros the rest.  A range
 * that names another version than this one does not match.
 */

typedef struct {
    ngx_str_t    type;
    ngx_str_t    subtype;
    ngx_str_t    version;         /* empty: it has none */

    ngx_uint_t   quality;         /* 0 to 1000 */
    ngx_uint_t   rank;            /* of the range it is from, 0: none matched */
} ngx_http_refine_accept_t;


/*
 * Reads the value of one Accept header; a request may have several.  Elements
 * that are malformed are passed over; returns the number of the others.
 */
ngx_uint_t ngx_http_refine_accept_read(ngx_str_t *value,
    ngx_http_refine_accept_t *offers, ngx_uint_t n);

/* the offer of the highest quality, the first of them; n: none is acceptable */
ngx_uint_t ngx_http_refine_accept_best(ngx_http_refine_accept_t *offers,
    ngx_uint_t n);

/*
 * The same for one Accept-Encoding header and the coding whose name is in type:
 * it is acceptable when its quality is not 0 then.
 */
void ngx_http_refine_accept_coding(ngx_str_t *value,
    ngx_http_refine_accept_t *coding);


#endif /* _NGX_HTTP_REFINE_ACCEPT_H_INCLUDED_ */
