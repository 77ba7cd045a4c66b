
/*
 * Level 6: the metrics of all catalogs as text: what refine_status shows and
 * refine_control answers.  design: 3.5.
 */


#ifndef _NGX_HTTP_REFINE_REPORT_H_INCLUDED_
#define _NGX_HTTP_REFINE_REPORT_H_INCLUDED_


#include "ngx_http_refine_module.h"


typedef enum {
    NGX_HTTP_REFINE_REPORT_JSON = 0,
    NGX_HTTP_REFINE_REPORT_PROMETHEUS,      /* text format 0.0.4 */
    NGX_HTTP_REFINE_REPORT_FORMATS
} ngx_http_refine_report_format_e;


/* text is from r->pool; NULL: out of memory */
typedef void (*ngx_http_refine_report_pt)(void *data, ngx_str_t *text);


/*
 * What stands in front of the metrics: what an action of refine_control has
 * come to, and for the page where that is.
 */

typedef struct {
    const char      *error;         /* NULL: none; a constant text */
    unsigned         replay:1;
    ngx_uint_t       replayed;      /* dead letters */
    ngx_str_t        control;       /* where refine_control is; or empty */
} ngx_http_refine_outcome_t;


/*
 * Reads the metrics of all catalogs, not older than max_age, and calls the
 * handler later, unless the request ends before.  The caller holds
 * the request (r->main->count), and finalizes it in the handler.  outcome: for
 * JSON, copied; or NULL.
 */
void ngx_http_refine_report(ngx_http_request_t *r, ngx_msec_t max_age,
    ngx_http_refine_report_format_e format, ngx_http_refine_outcome_t *outcome,
    ngx_http_refine_report_pt handler, void *data);


#endif /* _NGX_HTTP_REFINE_REPORT_H_INCLUDED_ */
