
/*
 * Level 0: an incremental JSON lexer and checker, as strict as RFC 8259.
 *
 * It allocates nothing, keeps all state in the caller's struct, and accepts
 * or refuses a text alike however it is cut into chunks.
 */


#ifndef _NGX_HTTP_REFINE_JSON_H_INCLUDED_
#define _NGX_HTTP_REFINE_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_skip.h"


#define NGX_HTTP_REFINE_JSON_MAX_DEPTH  64

/* flags */
#define NGX_HTTP_REFINE_JSON_NO_NUL     1   /* refuse \u0000 */
#define NGX_HTTP_REFINE_JSON_NO_LONE    2   /* refuse lone surrogates, 8.2 */
#define NGX_HTTP_REFINE_JSON_BOM        4   /* pass over a leading BOM, 8.1 */
#define NGX_HTTP_REFINE_JSON_QUIET      8   /* only check, report nothing */
#define NGX_HTTP_REFINE_JSON_LOOSE     16   /* objects and arrays that are
                                               passed over are not checked */


typedef enum {
    NGX_HTTP_REFINE_JSON_AGAIN = 0,         /* the chunk is used up */
    NGX_HTTP_REFINE_JSON_ERROR,             /* final; json->error says what */
    NGX_HTTP_REFINE_JSON_END,               /* of an object or array */
    NGX_HTTP_REFINE_JSON_OBJECT,
    NGX_HTTP_REFINE_JSON_ARRAY,
    NGX_HTTP_REFINE_JSON_KEY,
    NGX_HTTP_REFINE_JSON_STRING,
    NGX_HTTP_REFINE_JSON_NUMBER,
    NGX_HTTP_REFINE_JSON_TRUE,
    NGX_HTTP_REFINE_JSON_FALSE,
    NGX_HTTP_REFINE_JSON_NULL
} ngx_http_refine_json_token_e;


typedef struct {
    /* for the caller to read */
    ngx_str_t                      text;    /* raw, see next() */
    const char                    *error;   /* constant, NULL: none */
    ngx_uint_t                     depth;   /* objects and arrays open */
    u_char                         more;    /* the token goes on */
    u_char                         escaped; /* a backslash so far */

    /*
     * its own; bytes, for they are written with each token, and a bit would
     * have to wait for the bit before it
     */
    u_char                         report;
    u_char                         skip;
    u_char                        *start;   /* the chunk */
    u_char                        *pos;
    u_char                        *last;
    const char                    *literal; /* what is left of it */
    off_t                          base;    /* bytes before the chunk */
    uint64_t                       objects; /* a bit a level, 1: object */
    ngx_uint_t                     max_depth;
    ngx_int_t                      quiet;   /* deeper is not reported */
    ngx_uint_t                     flags;
    ngx_uint_t                     state;
    ngx_uint_t                     sub;     /* within a token */
    ngx_uint_t                     need;    /* bytes or hex digits to come */
    ngx_uint_t                     code;    /* of \uXXXX */
    ngx_http_refine_json_token_e   token;
    ngx_http_refine_skip_t         nested;  /* LOOSE: what is passed over */
    u_char                         low;     /* bounds of the next UTF-8 byte */
    u_char                         high;
} ngx_http_refine_json_t;


/* max_depth: 0 allows scalars only; more than 64 means 64 */
void ngx_http_refine_json_init(ngx_http_refine_json_t *json,
    ngx_uint_t max_depth, ngx_uint_t flags);

/* the next chunk; the one before it has to be used up.  Nothing is copied. */
void ngx_http_refine_json_input(ngx_http_refine_json_t *json, u_char *p,
    size_t len);

/*
 * Reads on to the next thing to report.  A key, string or number has its raw
 * bytes (without quotes, escapes as written) in json->text, which points into
 * the chunk; with json->more set the same token is reported again with its
 * next bytes.  A scalar that is the whole text is not reported.
 */
ngx_http_refine_json_token_e ngx_http_refine_json_next(
    ngx_http_refine_json_t *json);

/*
 * Reports nothing more of what was reported last: after a key it passes over
 * its value, after a start over all up to its end, the end included, and
 * after the first bytes of a scalar over the rest of them.
 */
void ngx_http_refine_json_skip(ngx_http_refine_json_t *json);

/*
 * Reports nothing more of the innermost object or array that was reported, its
 * end included; no token may be at hand whose end was not reported.
 */
void ngx_http_refine_json_leave(ngx_http_refine_json_t *json);

/* no input is left: NGX_OK, or NGX_ERROR when the text is not complete */
ngx_int_t ngx_http_refine_json_end(ngx_http_refine_json_t *json);

/* bytes before the one that is read next, or that was refused */
#define ngx_http_refine_json_offset(json)                                     \
    ((json)->base + ((json)->pos - (json)->start))

/*
 * To UTF-8, the raw text of a string or key that the lexer has accepted; dst
 * may be src, for it is never longer.  Returns its length.  A lone surrogate,
 * RFC 8259, 8.2, becomes U+FFFD, and *lone is set.
 */
size_t ngx_http_refine_json_unescape(u_char *dst, u_char *src, size_t len,
    ngx_uint_t *lone);

/* one whole text at once; offset and error are set on NGX_ERROR */
ngx_int_t ngx_http_refine_json_check(u_char *p, size_t len,
    ngx_uint_t max_depth, ngx_uint_t flags, size_t *offset,
    const char **error);


#endif /* _NGX_HTTP_REFINE_JSON_H_INCLUDED_ */
