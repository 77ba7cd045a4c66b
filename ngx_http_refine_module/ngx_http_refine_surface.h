
/*
 * Level 1: serves counted by surface and source.  Both come from browsers as
 * well, so at most 32 pairs are told apart; the rest is one more, "other" and
 * "other".
 *
 * A pair's label is its surface, a NUL, which neither has, and its source.
 */


#ifndef _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_
#define _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event.h"


#define NGX_HTTP_REFINE_SURFACES       32     /* the same in scripts.c */
#define NGX_HTTP_REFINE_SURFACE_LABEL  (2 * NGX_HTTP_REFINE_EVENT_MAX_NAME + 1)


typedef struct {
    int64_t                     served;
    u_char                      label[NGX_HTTP_REFINE_SURFACE_LABEL];
    size_t                      surface_len;
    size_t                      source_len;
} ngx_http_refine_surface_t;


/* in the order of the labels' bytes, so that readings can be compared */

typedef struct {
    ngx_http_refine_surface_t   rows[NGX_HTTP_REFINE_SURFACES + 1];
    ngx_uint_t                  n;
    unsigned                    other:1;      /* it is one of the rows */
} ngx_http_refine_surfaces_t;


/* dst has room for both and one byte more; returns where the label ends */
u_char *ngx_http_refine_surface_label(u_char *dst, ngx_str_t *surface,
    ngx_str_t *source);

/*
 * Counts a label in a table that begins as zeros.  What is no label of UTF-8,
 * and what is too much, goes to the rest.
 */
void ngx_http_refine_surface_add(ngx_http_refine_surfaces_t *surfaces,
    const u_char *label, size_t len, int64_t served);

/* the texts point into the row */
void ngx_http_refine_surface_names(ngx_http_refine_surface_t *row,
    ngx_str_t *surface, ngx_str_t *source);


#endif /* _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_ */
