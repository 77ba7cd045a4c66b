
/*
 * Level 0: a set of strings, in the order they came, to find repeats in linear
 * time.
 */


#ifndef _NGX_HTTP_REFINE_SET_H_INCLUDED_
#define _NGX_HTTP_REFINE_SET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* up to this number of strings nothing is allocated */
#define NGX_HTTP_REFINE_SET_SMALL  16


typedef struct {
    ngx_pool_t  *pool;
    ngx_str_t   *strings;
    ngx_uint_t   nstrings;
    ngx_uint_t   max;             /* room in strings */
    uint32_t    *slots;           /* see set_slot(); NULL: small */
    ngx_uint_t   bits;            /* of the number of slots */
    uint64_t     seed;
    ngx_str_t    small[NGX_HTTP_REFINE_SET_SMALL];
} ngx_http_refine_set_t;


/*
 * Room for max strings, from the pool; more of them make it grow.  The set
 * points into itself: it must not be copied.  NGX_OK, or NGX_ERROR: out of
 * memory.
 */
ngx_int_t ngx_http_refine_set_init(ngx_http_refine_set_t *set,
    ngx_pool_t *pool, ngx_uint_t max);

/*
 * NGX_OK: added; NGX_DECLINED: it was there already; NGX_ERROR: out of memory,
 * only beyond max.  The bytes are not copied.
 */
ngx_int_t ngx_http_refine_set_add(ngx_http_refine_set_t *set, u_char *data,
    size_t len);


#endif /* _NGX_HTTP_REFINE_SET_H_INCLUDED_ */
