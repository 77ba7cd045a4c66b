
/*
 * Level 1: a whole JSON text as a tree of cJSON's nodes, from the lexer, which
 * is stricter than cJSON's own parser, and from a pool: for events, where both
 * is a quarter of all work.
 */


#ifndef _NGX_HTTP_REFINE_TREE_H_INCLUDED_
#define _NGX_HTTP_REFINE_TREE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_json.h"


/* before the first call all zero, but for the pool */

typedef struct {
    ngx_pool_t  *pool;
    cJSON       *root;              /* NULL: a scalar */
    const char  *error;             /* constant */
    size_t       offset;            /* of it, in bytes */

    u_char      *text;              /* a copy, in which the strings are */
    cJSON       *block;             /* of nodes; its first points to another */
    ngx_uint_t   nodes;             /* in the block */
    ngx_uint_t   used;
} ngx_http_refine_tree_t;


/*
 * p: it stays as it is.  flags: the lexer's.  NGX_OK; NGX_DECLINED with error
 * and offset: not JSON, or nested deeper than max_depth; NGX_ERROR: out of
 * memory.  Of a node type, child, next, string, valuestring and valuedouble are
 * set; cJSON's functions may read it, and not change or free it.
 */
ngx_int_t ngx_http_refine_tree_parse(ngx_http_refine_tree_t *tree, u_char *p,
    size_t len, ngx_uint_t max_depth, ngx_uint_t flags);

/* of large ones the memory, before the pool is destroyed; once or more */
void ngx_http_refine_tree_free(ngx_http_refine_tree_t *tree);


#endif /* _NGX_HTTP_REFINE_TREE_H_INCLUDED_ */
