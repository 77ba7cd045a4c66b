
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
 * Since 1.23.0 the Cookie headers are a list instead of an array.  The header
 * that follows h, which is number i; NULL: there is none.
 */

#if (nginx_version >= 1023000)
#define ngx_http_refine_cookie_header(r, h, i)                                \
    ((i) ? (h)->next : (r)->headers_in.cookie)
#else
#define ngx_http_refine_cookie_header(r, h, i)                                \
    ((i) < (r)->headers_in.cookies.nelts                                      \
     ? ((ngx_table_elt_t **) (r)->headers_in.cookies.elts)[i] : NULL)
#endif


#endif /* _NGX_HTTP_REFINE_COMPAT_H_INCLUDED_ */
