
/*
 * Level 6: the files for browsers that are built into the module, and answers
 * with them.
 */


#ifndef _NGX_HTTP_REFINE_FILE_H_INCLUDED_
#define _NGX_HTTP_REFINE_FILE_H_INCLUDED_


#include "ngx_http_refine_module.h"


struct ngx_http_refine_file_s {
    const char                *type;
    ngx_str_t                  text;
    ngx_str_t                  gzip;
    ngx_str_t                  version;     /* embedded.h */
    unsigned                   checked:1;   /* a cache has to ask each time */
};


/*
 * For the setter of a directive: the file of that name, which is constant and
 * known; allocated from cf->pool.  NULL: no memory, which is logged.
 */
ngx_http_refine_file_t *ngx_http_refine_file(ngx_conf_t *cf,
    const char *name);

/*
 * Answers GET and HEAD with the file, compressed where the client takes it,
 * and anything else with 405; returns what ngx_http_finalize_request() takes.
 * A cache may keep for good what was asked for by its version (RFC 8246), by
 * "v" in the arguments, and anything else for some minutes, unless it has to
 * ask each time; an If-None-Match is answered by nginx
 * (ngx_http_not_modified_filter_module).
 */
ngx_int_t ngx_http_refine_file_send(ngx_http_request_t *r,
    ngx_http_refine_file_t *file);


#endif /* _NGX_HTTP_REFINE_FILE_H_INCLUDED_ */
