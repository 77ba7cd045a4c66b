
/*
 * Level 6: what the parts of a report share: report.c collects it, the others
 * write it, each in one format.  report_metric.c says what there is to write
 * under the names that Prometheus knows.
 */


#ifndef _NGX_HTTP_REFINE_REPORT_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_REPORT_CORE_H_INCLUDED_


#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_report.h"


typedef struct ngx_http_refine_report_s  ngx_http_refine_report_t;

typedef struct {
    ngx_http_refine_report_t        *report;
    ngx_http_refine_catalog_t       *catalog;
    ngx_http_refine_metrics_t        metrics;
    ngx_http_refine_shared_state_t   state;
    const char                      *redis;     /* its state */
    ngx_int_t                        durable;   /* 1, 0, -1: unknown */
    const char                      *refine;    /* the same of delivery */
    unsigned                         waiting:1;
} ngx_http_refine_report_row_t;


struct ngx_http_refine_report_s {
    ngx_http_request_t              *request;
    ngx_http_refine_report_format_e  format;
    ngx_http_refine_outcome_t        outcome;
    ngx_http_refine_report_pt        handler;
    void                            *data;
    ngx_http_refine_report_row_t    *rows;
    ngx_uint_t                       nrows;
    ngx_uint_t                       pending;
    ngx_event_t                      done;      /* posted */
};


typedef struct ngx_http_refine_metric_s  ngx_http_refine_metric_t;
typedef struct ngx_http_refine_writer_s  ngx_http_refine_writer_t;


/* one number; labels without a name are not there */

typedef struct {
    const char                      *suffix;    /* of the metric's name */
    ngx_str_t                        names[2];  /* of labels beside catalog */
    ngx_str_t                        values[2];
    int64_t                          value;
    unsigned                         ms:1;      /* the value, else plain */
} ngx_http_refine_sample_t;


struct ngx_http_refine_metric_s {
    const char                      *name;
    const char                      *type;
    const char                      *help;
    void                           (*sample)(ngx_http_refine_writer_t *w,
                                        const ngx_http_refine_metric_t *metric,
                                        ngx_http_refine_report_row_t *row);
    uintptr_t                        what;      /* for sample() */
    const char                      *label;     /* the same */
    unsigned                         stored:1;  /* read from Redis */
    unsigned                         global:1;  /* row is NULL */
};


/* write() gets what sample() finds, label values as they are */

struct ngx_http_refine_writer_s {
    ngx_http_refine_buf_t            buf;
    void                           (*write)(ngx_http_refine_writer_t *w,
                                        const ngx_http_refine_metric_t *metric,
                                        ngx_http_refine_report_row_t *row,
                                        ngx_http_refine_sample_t *sample);
    const ngx_http_refine_metric_t  *metric;    /* the last one written */
};


/* ends with a row without a name */
extern const ngx_http_refine_metric_t  ngx_http_refine_metrics[];


/* each appends the whole report; b->failed when there was no memory */

void ngx_http_refine_report_json(ngx_http_refine_report_t *report,
    ngx_http_refine_buf_t *b);
void ngx_http_refine_report_prometheus(ngx_http_refine_report_t *report,
    ngx_http_refine_buf_t *b);

/* a sample's value, ms in seconds */
void ngx_http_refine_report_value(ngx_http_refine_buf_t *b,
    ngx_http_refine_sample_t *sample);

void ngx_http_refine_report_text(ngx_http_refine_buf_t *b, const char *text);


#endif /* _NGX_HTTP_REFINE_REPORT_CORE_H_INCLUDED_ */
