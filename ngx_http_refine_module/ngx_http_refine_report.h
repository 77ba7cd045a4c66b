
/*
 * Level 6: the metrics of all catalogs as JSON: what refine_status shows and
 * refine_control answers.  design: 3.5.
 */


#ifndef _NGX_HTTP_REFINE_REPORT_H_INCLUDED_
#define _NGX_HTTP_REFINE_REPORT_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* json is from r->pool; NULL: out of memory */
typedef void (*ngx_http_refine_report_pt)(void *data, ngx_str_t *json);


/*
 * Reads the metrics of all catalogs, not older than max_age, and calls the
 * handler, at once or later, unless the request ends before.  The caller holds
 * the request (r->main->count), and finalizes it in the handler.  error: NULL,
 * or a constant text to be included.
 */
void ngx_http_refine_report(ngx_http_request_t *r, ngx_msec_t max_age,
    const char *error, ngx_http_refine_report_pt handler, void *data);


#endif /* _NGX_HTTP_REFINE_REPORT_H_INCLUDED_ */
