
/*
 * Level 0: passes over a JSON object or array without looking into it: only
 * strings and brackets are told apart.  What stands between them is not
 * checked, nor that a bracket is closed by one of its own kind.  It survives
 * any split of its input.
 */


#ifndef _NGX_HTTP_REFINE_SKIP_H_INCLUDED_
#define _NGX_HTTP_REFINE_SKIP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uint_t   depth;         /* brackets open; 0: it is over */
    uint64_t     string;        /* all ones within a string */
    uint64_t     escaped;       /* 1: a backslash precedes the next byte */
} ngx_http_refine_skip_t;


/*
 * Goes on at p, which is behind the opening bracket at first, with depth 1 and
 * the rest 0.  Returns what follows the closing bracket, or last.
 */
u_char *ngx_http_refine_skip(ngx_http_refine_skip_t *skip, u_char *p,
    u_char *last);


#endif /* _NGX_HTTP_REFINE_SKIP_H_INCLUDED_ */
