
/*
 * Level 0: every dependence on the version of nginx, in one place.
 */


#ifndef _NGX_HTTP_REFINE_COMPAT_H_INCLUDED_
#define _NGX_HTTP_REFINE_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#if (nginx_version < 1022000)
#error ngx_http_refine_module needs nginx 1.22.0 or newer
#endif


/*
 * Since 1.23.0 headers of one name are linked through "next", which has to be
 * set for a header that a module adds (core/ngx_hash.h).
 */

#if (nginx_version >= 1023000)
#define ngx_http_refine_header_init(h)  (h)->next = NULL
#else
#define ngx_http_refine_header_init(h)
#endif


/*
 * Since 1.23.0 the Cookie headers are a list instead of an array; since 1.29.6
 * cookies have a function of their own, and the one for all lists no longer
 * takes a ";" for a separator (http/ngx_http_parse.c).  NGX_OK with the value,
 * or NGX_DECLINED.
 */

#if (nginx_version >= 1029006)
#define ngx_http_refine_cookie(r, name, value)                                \
    (ngx_http_parse_cookie_lines(r, (r)->headers_in.cookie, name, value)      \
     == NULL ? NGX_DECLINED : NGX_OK)
#elif (nginx_version >= 1023000)
#define ngx_http_refine_cookie(r, name, value)                                \
    (ngx_http_parse_multi_header_lines(r, (r)->headers_in.cookie, name,       \
                                       value)                                 \
     == NULL ? NGX_DECLINED : NGX_OK)
#else
#define ngx_http_refine_cookie(r, name, value)                                \
    (ngx_http_parse_multi_header_lines(&(r)->headers_in.cookies, name, value) \
     == NGX_DECLINED ? NGX_DECLINED : NGX_OK)
#endif


#endif /* _NGX_HTTP_REFINE_COMPAT_H_INCLUDED_ */
