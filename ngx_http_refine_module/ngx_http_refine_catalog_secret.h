
/*
 * Level 5: a key or password that the configuration keeps in a file.
 */


#ifndef _NGX_HTTP_REFINE_CATALOG_SECRET_H_INCLUDED_
#define _NGX_HTTP_REFINE_CATALOG_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_SECRET_MAX  1024


/*
 * Reads the first line of the file, without white space at its end; a relative
 * name starts at the directory of the configuration.  what names the secret in
 * messages, which never contain any of it.  NGX_ERROR: logged.
 */
ngx_int_t ngx_http_refine_secret_read(ngx_conf_t *cf, ngx_str_t *file,
    const char *what, ngx_str_t *secret);


#endif /* _NGX_HTTP_REFINE_CATALOG_SECRET_H_INCLUDED_ */
