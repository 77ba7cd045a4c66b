
/*
 * Level 0: a bounded byte builder with JSON output.
 *
 * Memory comes from the pool, which the caller owns and which must outlive
 * the builder; it grows by doubling up to "max" bytes.  A failure (out of
 * memory, or over max) is sticky: everything appended afterwards is ignored,
 * so that the caller tests "failed" once, at the end.
 */


#ifndef _NGX_HTTP_REFINE_BUF_H_INCLUDED_
#define _NGX_HTTP_REFINE_BUF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    u_char      *start;
    u_char      *pos;             /* where the next byte goes */
    u_char      *end;
    size_t       max;
    ngx_pool_t  *pool;
    unsigned     failed:1;
} ngx_http_refine_buf_t;


/* size: the bytes allocated at once, 0 to allocate on first use */
ngx_int_t ngx_http_refine_buf_init(ngx_http_refine_buf_t *b, ngx_pool_t *pool,
    size_t size, size_t max);

/* frees what was allocated; the builder may be used again */
void ngx_http_refine_buf_free(ngx_http_refine_buf_t *b);

/* what reserve() does when there is no room yet */
ngx_int_t ngx_http_refine_buf_grow(ngx_http_refine_buf_t *b, size_t n);


/* room for n bytes at b->pos, for writers that fill it themselves */

static ngx_inline ngx_int_t
ngx_http_refine_buf_reserve(ngx_http_refine_buf_t *b, size_t n)
{
    if (!b->failed && (size_t) (b->end - b->pos) >= n) {
        return NGX_OK;
    }

    return ngx_http_refine_buf_grow(b, n);
}


static ngx_inline void
ngx_http_refine_buf_append(ngx_http_refine_buf_t *b, const void *p, size_t len)
{
    if (len && ngx_http_refine_buf_reserve(b, len) == NGX_OK) {
        b->pos = ngx_cpymem(b->pos, p, len);
    }
}


void ngx_http_refine_buf_int(ngx_http_refine_buf_t *b, int64_t n);

/* the shortest decimal text that reads back as the same finite double */
void ngx_http_refine_buf_double(ngx_http_refine_buf_t *b, double d);

/*
 * A JSON string with its quotes (RFC 8259, 7).  Input is UTF-8; a byte that
 * is not part of a valid sequence becomes U+FFFD, so the output is valid.
 */
void ngx_http_refine_buf_json(ngx_http_refine_buf_t *b, const u_char *p,
    size_t len);

/* the length of the UTF-8 sequence of two to four bytes at p; 0: none is */
size_t ngx_http_refine_buf_utf8(const u_char *p, size_t len);

/* whether it is UTF-8, and without a NUL */
ngx_uint_t ngx_http_refine_buf_is_text(const u_char *p, size_t len);


#define ngx_http_refine_buf_lit(b, s)                                         \
    ngx_http_refine_buf_append(b, s, sizeof(s) - 1)

#define ngx_http_refine_buf_size(b)  ((size_t) ((b)->pos - (b)->start))

#define ngx_http_refine_buf_reset(b)                                          \
    (b)->pos = (b)->start;                                                    \
    (b)->failed = 0


#endif /* _NGX_HTTP_REFINE_BUF_H_INCLUDED_ */
