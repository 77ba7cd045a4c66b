
/*
 * Level 1: serves, and what came of them, counted by surface and source.  Both
 * come from browsers as well, so at most 32 pairs are told apart; the rest is
 * one more, "other" and "other".
 *
 * A pair's label is its surface, a NUL, which neither has, and its source.
 *
 * An event that is stored has its type as a digit and may have an argument
 * behind its line, by which it is counted: the label of an items_served; of
 * another type, the digit of which is then 4 higher, labels with a NUL behind
 * each.
 */


#ifndef _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_
#define _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event.h"


#define NGX_HTTP_REFINE_SURFACES       32     /* the same in scripts.c */
#define NGX_HTTP_REFINE_SURFACE_LABEL  (2 * NGX_HTTP_REFINE_EVENT_MAX_NAME + 1)

#define NGX_HTTP_REFINE_SURFACE_TRACED 4

#define ngx_http_refine_surface_argued(digit)                                 \
    ((digit) == '0' + NGX_HTTP_REFINE_ITEMS_SERVED                            \
     || (digit) >= '0' + NGX_HTTP_REFINE_EVENT_TYPES)

/* of a digit from '0' to '8' */
#define ngx_http_refine_surface_type(digit)                                   \
    ((digit) - '0' - ((digit) >= '0' + NGX_HTTP_REFINE_EVENT_TYPES            \
                      ? NGX_HTTP_REFINE_SURFACE_TRACED : 0))


typedef struct {
    int64_t                     n;
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
 * Counts a label in the table of the type; all tables begin as zeros.  What is
 * no label of UTF-8, and what is too much, goes to the rest.  The first table,
 * that of items_served, gets each label, so it decides what is too much.
 */
void ngx_http_refine_surface_add(ngx_http_refine_surfaces_t *tables,
    ngx_uint_t type, const u_char *label, size_t len, int64_t n);

/* the same for an argument as above */
void ngx_http_refine_surface_argument(ngx_http_refine_surfaces_t *tables,
    u_char digit, ngx_str_t *arg);

/* what a table has of the label of a row of the first one */
int64_t ngx_http_refine_surface_count(ngx_http_refine_surfaces_t *surfaces,
    ngx_http_refine_surface_t *row);

/*
 * Where the label begins in a field "served:LABEL", "clicked:LABEL" and so on;
 * 0: it is another field.
 */
size_t ngx_http_refine_surface_field(const u_char *field, size_t len,
    ngx_uint_t *type);

/* "served" and so on, by type */
extern const ngx_str_t
    ngx_http_refine_surface_steps[NGX_HTTP_REFINE_EVENT_TYPES];

/* the texts point into the row */
void ngx_http_refine_surface_names(ngx_http_refine_surface_t *row,
    ngx_str_t *surface, ngx_str_t *source);


#endif /* _NGX_HTTP_REFINE_SURFACE_H_INCLUDED_ */
