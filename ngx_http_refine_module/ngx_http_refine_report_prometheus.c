
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_report_core.h"


static void ngx_http_refine_prometheus_write(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    ngx_http_refine_sample_t *sample);
static void ngx_http_refine_prometheus_label(ngx_http_refine_buf_t *b,
    ngx_uint_t n, ngx_str_t *name, ngx_str_t *value);
static void ngx_http_refine_prometheus_text(ngx_http_refine_buf_t *b,
    const char *text);


/*
 * All samples of a metric stand together.  What comes from Redis is left out
 * while it does not answer: each worker has last values of its own, and when
 * now one of them answers and now another, a counter seems to be reset.
 */

void
ngx_http_refine_report_prometheus(ngx_http_refine_report_t *report,
    ngx_http_refine_buf_t *b)
{
    ngx_uint_t                       i;
    ngx_http_refine_writer_t         w;
    ngx_http_refine_report_row_t    *row;
    const ngx_http_refine_metric_t  *metric;

    w.buf = *b;
    w.write = ngx_http_refine_prometheus_write;
    w.metric = NULL;

    for (metric = ngx_http_refine_metrics; metric->name; metric++) {

        if (metric->global) {
            metric->sample(&w, metric, NULL);
            continue;
        }

        for (i = 0; i < report->nrows; i++) {
            row = &report->rows[i];

            if (!metric->stored || !row->metrics.stale) {
                metric->sample(&w, metric, row);
            }
        }
    }

    *b = w.buf;
}


static void
ngx_http_refine_prometheus_write(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    ngx_http_refine_sample_t *sample)
{
    ngx_uint_t              i, n;
    ngx_http_refine_buf_t  *b;

    static ngx_str_t  catalog = ngx_string("catalog");

    b = &w->buf;

    if (w->metric != metric) {
        w->metric = metric;

        ngx_http_refine_buf_lit(b, "# HELP ");
        ngx_http_refine_prometheus_text(b, metric->name);
        ngx_http_refine_buf_lit(b, " ");
        ngx_http_refine_prometheus_text(b, metric->help);
        ngx_http_refine_buf_lit(b, "\n# TYPE ");
        ngx_http_refine_prometheus_text(b, metric->name);
        ngx_http_refine_buf_lit(b, " ");
        ngx_http_refine_prometheus_text(b, metric->type);
        ngx_http_refine_buf_lit(b, "\n");
    }

    ngx_http_refine_prometheus_text(b, metric->name);
    ngx_http_refine_prometheus_text(b, sample->suffix);

    n = 0;

    if (row) {
        ngx_http_refine_prometheus_label(b, n++, &catalog,
                                         &row->catalog->name);
    }

    for (i = 0; i < 2 && sample->names[i].len; i++) {
        ngx_http_refine_prometheus_label(b, n++, &sample->names[i],
                                         &sample->values[i]);
    }

    ngx_http_refine_buf_lit(b, "} ");
    ngx_http_refine_report_value(b, sample);
    ngx_http_refine_buf_lit(b, "\n");
}


/* the value is UTF-8; three characters are escaped in it and no others */

static void
ngx_http_refine_prometheus_label(ngx_http_refine_buf_t *b, ngx_uint_t n,
    ngx_str_t *name, ngx_str_t *value)
{
    size_t  i;

    if (n) {
        ngx_http_refine_buf_lit(b, ",");

    } else {
        ngx_http_refine_buf_lit(b, "{");
    }

    ngx_http_refine_buf_append(b, name->data, name->len);
    ngx_http_refine_buf_lit(b, "=\"");

    for (i = 0; i < value->len; i++) {

        switch (value->data[i]) {

        case '\\':
            ngx_http_refine_buf_lit(b, "\\\\");
            break;

        case '"':
            ngx_http_refine_buf_lit(b, "\\\"");
            break;

        case '\n':
            ngx_http_refine_buf_lit(b, "\\n");
            break;

        default:
            ngx_http_refine_buf_append(b, &value->data[i], 1);
        }
    }

    ngx_http_refine_buf_lit(b, "\"");
}


static void
ngx_http_refine_prometheus_text(ngx_http_refine_buf_t *b, const char *text)
{
    ngx_http_refine_buf_append(b, text, ngx_strlen(text));
}
