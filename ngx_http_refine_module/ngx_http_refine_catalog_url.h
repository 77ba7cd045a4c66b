
/*
 * Level 5: the URLs of the configuration, taken apart; names no host itself.
 */


#ifndef _NGX_HTTP_REFINE_CATALOG_URL_H_INCLUDED_
#define _NGX_HTTP_REFINE_CATALOG_URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* SCHEME://[USER[:PASSWORD]@](HOST[:PORT]|[IPV6][:PORT])[/TAIL] or
   SCHEME://[USER[:PASSWORD]@]unix:PATH[:/TAIL] */

typedef struct {
    ngx_str_t    scheme;
    ngx_str_t    user;              /* percent-decoded */
    ngx_str_t    password;
    ngx_str_t    address;           /* host[:port], [v6][:port], unix:PATH */
    ngx_str_t    tail;              /* with its "/", or empty */
    unsigned     userinfo:1;
    unsigned     local:1;           /* unix:PATH */
} ngx_http_refine_url_t;


/*
 * The parts point into text, which has to live as long, except for user and
 * password, which are copies.  NGX_DECLINED: malformed; NGX_ERROR: out of
 * memory.  A port is not looked at.
 */
ngx_int_t ngx_http_refine_url_parse(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_refine_url_t *url);

/*
 * The URL for a message: what may be a user and a password is replaced, in a
 * malformed URL as well; masked may be text.
 */
ngx_int_t ngx_http_refine_url_mask(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *masked);


#endif /* _NGX_HTTP_REFINE_CATALOG_URL_H_INCLUDED_ */
