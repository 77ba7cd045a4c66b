
/*
 * Level 0: finds several cookies in one pass over a Cookie header.
 */


#ifndef _NGX_HTTP_REFINE_COOKIE_H_INCLUDED_
#define _NGX_HTTP_REFINE_COOKIE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Looks for the n names in a header's value (RFC 6265, 4.2.1).  Each value that
 * is still NULL is set to the first cookie of that name, within the header; an
 * empty name is not looked for.  Names count in their case.
 */
void ngx_http_refine_cookie_find(ngx_str_t *header, ngx_str_t **names,
    ngx_str_t *values, ngx_uint_t n);


#endif /* _NGX_HTTP_REFINE_COOKIE_H_INCLUDED_ */
