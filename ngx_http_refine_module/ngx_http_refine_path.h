
/*
 * Level 1: selectors such as results[].productId, compiled at configuration
 * time and matched while a JSON text streams by.
 *
 * A selector is a sequence of names and elements: NAME and .NAME a member of
 * an object, ["NAME"] the same for any name (\" and \\ escape), [] every
 * element of an array, [N] the element N, from 0.
 */


#ifndef _NGX_HTTP_REFINE_PATH_H_INCLUDED_
#define _NGX_HTTP_REFINE_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_json.h"


#define NGX_HTTP_REFINE_PATH_MAX_STEPS  16
#define NGX_HTTP_REFINE_PATH_MAX_NAME   128     /* bytes, unescaped */
#define NGX_HTTP_REFINE_PATH_MAX_SET    30      /* selectors */


typedef struct ngx_http_refine_path_s      ngx_http_refine_path_t;
typedef struct ngx_http_refine_path_set_s  ngx_http_refine_path_set_t;


/*
 * kind is OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE or NULL of
 * ngx_http_refine_json_token_e.  A string has its text as unescaped UTF-8,
 * which may hold NULs, a number as written, others have none; it is valid
 * during the call.  It is empty with too_long: over the limit as written.
 */
typedef struct {
    ngx_http_refine_json_token_e   kind;
    ngx_str_t                      text;
    unsigned                       too_long:1;
    unsigned                       bad:1;   /* a lone surrogate: now U+FFFD */
} ngx_http_refine_path_value_t;


/*
 * selector: the index in the set.  Anything but NGX_OK ends the search: what
 * follows is not even read.
 */
typedef ngx_int_t (*ngx_http_refine_path_handler_pt)(void *data,
    ngx_uint_t selector, ngx_http_refine_path_value_t *value);


/* inside one object or array that a selector leads through */

typedef struct {
    uint32_t                         index;     /* of the next element */
    uint32_t                         live;      /* bits of selectors */
} ngx_http_refine_path_level_t;


typedef struct {
    ngx_http_refine_json_t           json;      /* json.error on NGX_ERROR */
    ngx_http_refine_path_set_t      *set;
    ngx_http_refine_path_handler_pt  handler;
    void                            *data;
    ngx_pool_t                      *pool;
    size_t                           max;       /* of a value, raw */
    u_char                          *carry;     /* what was cut or escaped */
    size_t                           size;
    size_t                           used;
    ngx_int_t                        rc;        /* once done */
    ngx_uint_t                       wanted;    /* by the last key */
    ngx_uint_t                       matched;   /* the scalar at hand */
    ngx_uint_t                       arrays;    /* bits of levels */
    u_char                           partial;   /* within a token */
    u_char                           too_long;
    u_char                           done;
    ngx_http_refine_path_level_t     levels[NGX_HTTP_REFINE_PATH_MAX_STEPS
                                            + 1];
} ngx_http_refine_path_match_t;


/* NULL, or a constant text that says what is wrong and what is allowed */
const char *ngx_http_refine_path_compile(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_refine_path_t **path);

/*
 * The selector of the array that the last [] goes through: a.b for a.b[].c.
 * NULL: it has no [], or that is its first step, or no memory.
 */
ngx_http_refine_path_t *ngx_http_refine_path_list(ngx_pool_t *pool,
    ngx_http_refine_path_t *path);

/*
 * n from 1 to NGX_HTTP_REFINE_PATH_MAX_SET.  The set is never changed, so
 * requests share it; the paths have to live as long.  NULL: no memory.
 */
ngx_http_refine_path_set_t *ngx_http_refine_path_set(ngx_pool_t *pool,
    ngx_http_refine_path_t **paths, ngx_uint_t n);

/*
 * Starts a text nested up to 64 deep; flags are those of the lexer (without
 * QUIET).  max is the limit of a value in raw bytes.  Memory is taken from the
 * pool only when a value or key is cut or escaped, and then a few times max
 * (or six times the longest name) in all.
 */
void ngx_http_refine_path_init(ngx_http_refine_path_match_t *m,
    ngx_http_refine_path_set_t *set, ngx_pool_t *pool, ngx_uint_t flags,
    size_t max, ngx_http_refine_path_handler_pt handler, void *data);

/*
 * The handler runs within this call, for every match in the order of the
 * text; of the members of one name in an object the first one counts.
 * NGX_ERROR: not JSON, or no memory.
 */
ngx_int_t ngx_http_refine_path_feed(ngx_http_refine_path_match_t *m,
    u_char *p, size_t len);

/* NGX_OK when the text was complete, or the search had ended */
ngx_int_t ngx_http_refine_path_end(ngx_http_refine_path_match_t *m);

/*
 * For a handler that was called with an object or array: what of it is in the
 * chunk, from its bracket on, and what follows there.
 */
#define ngx_http_refine_path_rest(m, rest)                                    \
    (rest)->data = (m)->json.pos - 1;                                         \
    (rest)->len = (m)->json.last - (rest)->data


#endif /* _NGX_HTTP_REFINE_PATH_H_INCLUDED_ */
