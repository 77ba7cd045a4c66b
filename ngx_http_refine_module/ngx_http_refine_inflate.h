
/*
 * Level 0: gzip (RFC 1952) inflated piece by piece, by zlib, where a body of
 * several members is one; or a whole body at once, by libdeflate, which takes
 * two thirds to a fifth of the time.
 */


#ifndef _NGX_HTTP_REFINE_INFLATE_H_INCLUDED_
#define _NGX_HTTP_REFINE_INFLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_http_refine_inflate_s  ngx_http_refine_inflate_t;


/* some 40k in the end, from the pool; NULL: out of memory */
ngx_http_refine_inflate_t *ngx_http_refine_inflate_create(ngx_pool_t *pool);

/* gives the memory back before the pool is destroyed */
void ngx_http_refine_inflate_free(ngx_http_refine_inflate_t *gz);

/*
 * The next piece of the input, of any size.  It stays the caller's and has to
 * stay where it is until read() has returned NGX_AGAIN.
 */
void ngx_http_refine_inflate_feed(ngx_http_refine_inflate_t *gz,
    u_char *p, size_t len);

/*
 * Writes at most *len > 0 bytes to dst and sets *len to their number.  NGX_OK:
 * there may be more; NGX_AGAIN: the input is used up; NGX_DECLINED: it is not
 * gzip, or damaged; NGX_ERROR: out of memory.  Bytes may have been written in
 * each of these cases; after an error there is nothing more to be read.
 */
ngx_int_t ngx_http_refine_inflate_read(ngx_http_refine_inflate_t *gz,
    u_char *dst, size_t *len);

/*
 * When all has been read: NGX_OK: the input is complete; NGX_AGAIN: it is cut
 * off, or empty; NGX_DONE: complete, but what follows it is no further member
 * and was left out.
 */
ngx_int_t ngx_http_refine_inflate_end(ngx_http_refine_inflate_t *gz);

/*
 * Inflates a body of one member.  NGX_OK: *plain is in a buffer of the process,
 * and valid until the next call; NGX_DECLINED: it is not exactly that, damaged,
 * larger than the buffer, or there is no memory: reading it piece by piece
 * tells.  What is taken here would be NGX_OK there, with the same bytes.
 */
ngx_int_t ngx_http_refine_inflate_whole(u_char *p, size_t len,
    ngx_str_t *plain);

/* frees what the process keeps for whole bodies, before the module goes */
void ngx_http_refine_inflate_exit(void);


#endif /* _NGX_HTTP_REFINE_INFLATE_H_INCLUDED_ */
