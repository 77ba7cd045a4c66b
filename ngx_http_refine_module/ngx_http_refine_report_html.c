
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_report_core.h"


static void ngx_http_refine_html_catalog(ngx_http_refine_writer_t *w,
    ngx_http_refine_report_row_t *row);
static void ngx_http_refine_html_write(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    ngx_http_refine_sample_t *sample);
static void ngx_http_refine_html_escape(ngx_http_refine_buf_t *b,
    ngx_str_t *text);
static void ngx_http_refine_html_text(ngx_http_refine_buf_t *b,
    const char *text);


void
ngx_http_refine_report_html(ngx_http_refine_report_t *report,
    ngx_http_refine_buf_t *b)
{
    ngx_uint_t                i;
    ngx_http_refine_writer_t  w;

    w.buf = *b;
    w.write = ngx_http_refine_html_write;

    ngx_http_refine_buf_lit(&w.buf,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<title>Refine status</title>\n<style>\n"
        "body { font: 14px/1.4 sans-serif; margin: 2em; }\n"
        "table { border-collapse: collapse; }\n"
        "th, td { border-bottom: 1px solid #ccc; padding: .2em 1em;"
        " text-align: left; }\n"
        "td:nth-child(3) { text-align: right;"
        " font-variant-numeric: tabular-nums; }\n"
        ".stale { color: #b00; }\n"
        "</style>\n</head>\n<body>\n"
        "<h1>Refine status</h1>\n"
        "<p>ngx_http_refine_module " NGX_HTTP_REFINE_VERSION ", nginx "
        NGINX_VERSION "</p>\n");

    for (i = 0; i < report->nrows; i++) {
        ngx_http_refine_html_catalog(&w, &report->rows[i]);
    }

    ngx_http_refine_buf_lit(&w.buf, "</body>\n</html>\n");

    *b = w.buf;
}


static void
ngx_http_refine_html_catalog(ngx_http_refine_writer_t *w,
    ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_buf_t           *b;
    const ngx_http_refine_metric_t  *metric;

    b = &w->buf;
    w->metric = NULL;

    ngx_http_refine_buf_lit(b, "<h2>");
    ngx_http_refine_html_escape(b, &row->catalog->name);
    ngx_http_refine_buf_lit(b, "</h2>\n");

    if (row->metrics.stale && row->metrics.known) {
        ngx_http_refine_buf_lit(b, "<p class=\"stale\">Redis does not answer: "
                                   "these are the last values known.</p>\n");

    } else if (row->metrics.stale) {
        ngx_http_refine_buf_lit(b, "<p class=\"stale\">Redis does not answer, "
                                   "and has not yet.</p>\n");
    }

    ngx_http_refine_buf_lit(b, "<table>\n<tr><th>Metric</th><th>of</th>"
                               "<th>Value</th><th>Meaning</th></tr>\n");

    for (metric = ngx_http_refine_metrics; metric->name; metric++) {
        if (!metric->global && (!metric->stored || row->metrics.known)) {
            metric->sample(w, metric, row);
        }
    }

    ngx_http_refine_buf_lit(b, "</table>\n");
}


static void
ngx_http_refine_html_write(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    ngx_http_refine_sample_t *sample)
{
    ngx_uint_t              i;
    ngx_http_refine_buf_t  *b;

    if (sample->detail) {
        return;
    }

    b = &w->buf;

    ngx_http_refine_buf_lit(b, "<tr><td>");
    ngx_http_refine_html_text(b, metric->name);
    ngx_http_refine_html_text(b, sample->suffix);
    ngx_http_refine_buf_lit(b, "</td><td>");

    for (i = 0; i < 2 && sample->names[i].len; i++) {
        if (i) {
            ngx_http_refine_buf_lit(b, ", ");
        }

        ngx_http_refine_html_escape(b, &sample->names[i]);
        ngx_http_refine_buf_lit(b, " ");
        ngx_http_refine_html_escape(b, &sample->values[i]);
    }

    ngx_http_refine_buf_lit(b, "</td><td>");
    ngx_http_refine_report_value(b, sample);
    ngx_http_refine_buf_lit(b, "</td><td>");

    if (w->metric != metric) {
        w->metric = metric;
        ngx_http_refine_html_text(b, metric->help);
    }

    ngx_http_refine_buf_lit(b, "</td></tr>\n");
}


static void
ngx_http_refine_html_escape(ngx_http_refine_buf_t *b, ngx_str_t *text)
{
    size_t  len;

    len = ngx_escape_html(NULL, text->data, text->len);

    if (ngx_http_refine_buf_reserve(b, text->len + len) == NGX_OK) {
        b->pos = (u_char *) ngx_escape_html(b->pos, text->data, text->len);
    }
}


static void
ngx_http_refine_html_text(ngx_http_refine_buf_t *b, const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    ngx_http_refine_html_escape(b, &s);
}
