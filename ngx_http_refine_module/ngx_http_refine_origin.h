
/*
 * Level 0: web origins (RFC 6454, 6.2: scheme://host[:port]), and which of
 * them a configuration allows.
 */


#ifndef _NGX_HTTP_REFINE_ORIGIN_H_INCLUDED_
#define _NGX_HTTP_REFINE_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t    scheme;
    ngx_str_t    host;        /* without "*." */
    ngx_uint_t   port;        /* 0: the scheme's own */
    unsigned     below:1;     /* the hosts below it, not itself */
} ngx_http_refine_origin_t;


/*
 * An origin as it is configured, "*." may precede the host; the parts stay in
 * the text.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_http_refine_origin_rule(ngx_str_t *text,
    ngx_http_refine_origin_t *rule);

/*
 * Whether one of the rules allows what a browser sends as Origin.  What is not
 * exactly an origin, as "null" is not, is allowed by none.
 */
ngx_uint_t ngx_http_refine_origin_allowed(ngx_str_t *text,
    ngx_http_refine_origin_t *rules, ngx_uint_t nrules);


#endif /* _NGX_HTTP_REFINE_ORIGIN_H_INCLUDED_ */
