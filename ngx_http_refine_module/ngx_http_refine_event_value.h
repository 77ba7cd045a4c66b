
/*
 * Level 1: a value that cJSON has read: what it is, and a bounded copy of it
 * in a builder.  The text has passed the strict lexer, so strings are valid
 * UTF-8 without NUL and the nesting is bounded.
 */


#ifndef _NGX_HTTP_REFINE_EVENT_VALUE_H_INCLUDED_
#define _NGX_HTTP_REFINE_EVENT_VALUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_buf.h"


/* cJSON's types are bits, its flags are above them */
#define ngx_http_refine_value_kind(json)  ((json)->type & 0xff)


typedef enum {
    NGX_HTTP_REFINE_VALUE_OK = 0,
    NGX_HTTP_REFINE_VALUE_LARGE,      /* over max_size or max_depth */
    NGX_HTTP_REFINE_VALUE_INFINITE    /* a number that no double can hold */
} ngx_http_refine_value_e;


typedef struct {
    size_t       max_size;        /* bytes of JSON text */
    ngx_uint_t   max_depth;       /* of arrays and objects, 1: only flat */
    const char  *without;         /* a member of the outermost object, NULL */
} ngx_http_refine_value_limit_t;


/* NGX_OK: a string of min to max bytes; text points into json */
ngx_int_t ngx_http_refine_value_text(const cJSON *json, size_t min,
    size_t max, ngx_str_t *text);

/* NGX_OK: no control characters (U+0000-U+001F, U+007F-U+009F) */
ngx_int_t ngx_http_refine_value_plain(ngx_str_t *text);

/* NGX_OK: an integer from min to max, however it was written (1, 1.0, 1e0) */
ngx_int_t ngx_http_refine_value_int(const cJSON *json, int64_t min,
    int64_t max, int64_t *n);

/* NGX_OK: a number that is not infinite, as 1e999 is read */
ngx_int_t ngx_http_refine_value_finite(const cJSON *json);

/* the elements or members */
ngx_uint_t ngx_http_refine_value_count(const cJSON *json);

/*
 * NGX_OK: no object in it, at any depth, has a key twice; NGX_DECLINED: one
 * has; NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_refine_value_keys(ngx_pool_t *pool, const cJSON *json);

/*
 * Appends the value; on failure an unfinished part of it, not much longer
 * than max_size, has been appended.
 */
ngx_http_refine_value_e ngx_http_refine_value_write(ngx_http_refine_buf_t *b,
    const cJSON *json, const ngx_http_refine_value_limit_t *limit);


#endif /* _NGX_HTTP_REFINE_EVENT_VALUE_H_INCLUDED_ */
