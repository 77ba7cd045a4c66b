
/*
 * Level 5: the configuration: create, merge, refine_serve and refine_inject.
 * Every mistake is an error that quotes the value.
 */


#ifndef _NGX_HTTP_REFINE_CONF_H_INCLUDED_
#define _NGX_HTTP_REFINE_CONF_H_INCLUDED_


#include "ngx_http_refine_module.h"


void *ngx_http_refine_conf_create_main(ngx_conf_t *cf);
void *ngx_http_refine_conf_create_srv(ngx_conf_t *cf);
void *ngx_http_refine_conf_create_loc(ngx_conf_t *cf);

/* also refuses refine_serve and refine_collect where no catalog applies */
char *ngx_http_refine_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child);

/*
 * For the setter of a directive: sets *uri, of the server's configuration, to
 * the URI of the location where that is exact; the first one counts.  A page of
 * the server may refer to it then.
 */
void ngx_http_refine_conf_exact(ngx_conf_t *cf, ngx_str_t *uri);

/* setter of refine_serve */
char *ngx_http_refine_conf_serve(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* setter of refine_inject */
char *ngx_http_refine_conf_inject(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * For merging: what refine_inject says, inherited or not, is completed for the
 * server that is merged.  NGX_CONF_OK, or what is wrong has been logged.
 */
char *ngx_http_refine_conf_inject_complete(ngx_conf_t *cf,
    ngx_http_refine_loc_conf_t *conf);

/*
 * Compiles the value of if= of a directive; NULL: it is empty, or has no
 * variable, which has been logged.
 */
ngx_http_complex_value_t *ngx_http_refine_conf_if(ngx_conf_t *cf,
    const char *directive, ngx_str_t *text);


#endif /* _NGX_HTTP_REFINE_CONF_H_INCLUDED_ */
