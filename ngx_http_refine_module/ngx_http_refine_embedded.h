
/*
 * Level 0: the files for browsers that embed.sh makes a part of the module.
 */


#ifndef _NGX_HTTP_REFINE_EMBEDDED_H_INCLUDED_
#define _NGX_HTTP_REFINE_EMBEDDED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t    name;
    ngx_str_t    version;       /* changes with the text; hexadecimal */
    ngx_str_t    text;
} ngx_http_refine_embedded_t;


/* the last one has no name */
extern ngx_http_refine_embedded_t  ngx_http_refine_embedded_files[];


/* the file of that name, which has to be known */

static ngx_inline ngx_http_refine_embedded_t *
ngx_http_refine_embedded(const char *name)
{
    ngx_http_refine_embedded_t  *file;

    file = ngx_http_refine_embedded_files;

    while (ngx_strcmp(file->name.data, name) != 0) {
        file++;
    }

    return file;
}


#endif /* _NGX_HTTP_REFINE_EMBEDDED_H_INCLUDED_ */
