
/*
 * Level 0: ids.  Randomness is the kernel's (getrandom(2)); what a process has
 * in stock of it is not used by its children.
 */


#ifndef _NGX_HTTP_REFINE_ID_H_INCLUDED_
#define _NGX_HTTP_REFINE_ID_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_UUID_LEN   36
#define NGX_HTTP_REFINE_COOKIE_LEN  (sizeof("v_") - 1 + 22)


/*
 * Writes the 36 characters of a UUIDv7 (RFC 9562, 5.7) of the time ms (Unix
 * milliseconds).  NGX_ERROR when the kernel has no randomness to give.
 */
ngx_int_t ngx_http_refine_id_uuid7(u_char *dst, uint64_t ms);

/* 22 base62 characters (131 bits) behind "v_" or "s_": a cookie's value */
ngx_int_t ngx_http_refine_id_cookie(u_char *dst, u_char kind);

/* NGX_OK when the text has exactly the form that the function above makes */
ngx_int_t ngx_http_refine_id_cookie_check(ngx_str_t *text, u_char kind);

/* eventId: 1-64 of [A-Za-z0-9_-] */
ngx_int_t ngx_http_refine_id_event_check(ngx_str_t *text);

/* serveId: 1-128 printable ASCII without space " < > & ' \ */
ngx_int_t ngx_http_refine_id_serve_check(ngx_str_t *text);


#endif /* _NGX_HTTP_REFINE_ID_H_INCLUDED_ */
