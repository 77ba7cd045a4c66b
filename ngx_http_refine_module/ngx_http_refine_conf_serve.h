
/*
 * Level 5, inside of conf: one refine_serve while it is read.
 */


#ifndef _NGX_HTTP_REFINE_CONF_SERVE_H_INCLUDED_
#define _NGX_HTTP_REFINE_CONF_SERVE_H_INCLUDED_


#include "ngx_http_refine_module.h"


#define NGX_HTTP_REFINE_CONF_METADATA  "metadata."

#define NGX_HTTP_REFINE_CONF_FORMATS                                          \
    "algolia, elasticsearch, opensearch, shopify, typesense or meilisearch"

#define ngx_http_refine_conf_starts(text, lit)                                \
    ((text)->len >= sizeof(lit) - 1                                           \
     && ngx_strncmp((text)->data, lit, sizeof(lit) - 1) == 0)


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   from;
    size_t       max;               /* of a text, 0: it is an integer */
    const char  *allowed;
} ngx_http_refine_conf_value_t;


/* the selectors of one source while they are read */

typedef struct {
    ngx_http_refine_path_t         *paths[NGX_HTTP_REFINE_PATH_MAX_SET];
    ngx_uint_t                      n;
    ngx_http_refine_selectors_t    *selectors;
} ngx_http_refine_conf_paths_t;


/* one refine_serve while it is read */

typedef struct {
    ngx_conf_t                     *cf;
    ngx_http_refine_serve_conf_t   *serve;
    ngx_str_t                       type;
    ngx_str_t                       format;
    ngx_str_t                       condition;
    ngx_str_t                       cacheable;
    ngx_str_t                       max_length;
    ngx_uint_t                      seen;       /* bits of values */
    ngx_uint_t                      nmetadata;
    ngx_str_t                       texts[NGX_HTTP_REFINE_SERVE_MAX_VALUES];
    ngx_str_t                       names[NGX_HTTP_REFINE_SERVE_MAX_METADATA];
    ngx_http_refine_conf_paths_t    json;
    ngx_http_refine_conf_paths_t    body;
} ngx_http_refine_conf_serve_t;


/*
 * The values of a format by ngx_http_refine_serve_value_e, up to ID; NULL
 * leaves what the type has.  NULL: the format is not known.
 */
const char *const *ngx_http_refine_conf_format(ngx_str_t *name);

/*
 * Makes ctx->serve's values and selectors of ctx->texts and ctx->names;
 * NGX_ERROR: what is wrong has been logged.
 */
ngx_int_t ngx_http_refine_conf_values(ngx_http_refine_conf_serve_t *ctx);

/* the row of a value; all members of metadata have the same */
const ngx_http_refine_conf_value_t *ngx_http_refine_conf_row(ngx_uint_t i);


#endif /* _NGX_HTTP_REFINE_CONF_SERVE_H_INCLUDED_ */
