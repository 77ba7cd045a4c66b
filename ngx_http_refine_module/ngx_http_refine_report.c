
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_report_core.h"


#define NGX_HTTP_REFINE_REPORT_SIZE  4096   /* of a catalog, about */


static ngx_http_refine_report_t *ngx_http_refine_report_create(
    ngx_http_request_t *r);
static void ngx_http_refine_report_row(void *data,
    ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_report_event(ngx_event_t *ev);
static void ngx_http_refine_report_done(ngx_http_refine_report_t *report);
static void ngx_http_refine_report_cleanup(void *data);
static void ngx_http_refine_report_state(ngx_http_refine_report_row_t *row);


void
ngx_http_refine_report(ngx_http_request_t *r, ngx_msec_t max_age,
    ngx_http_refine_report_format_e format, ngx_http_refine_outcome_t *outcome,
    ngx_http_refine_report_pt handler, void *data)
{
    ngx_uint_t                     i;
    ngx_http_refine_report_t      *report;
    ngx_http_refine_report_row_t  *row;

    report = ngx_http_refine_report_create(r);

    if (report == NULL) {
        handler(data, NULL);
        return;
    }

    report->format = format;
    report->handler = handler;
    report->data = data;

    if (outcome) {
        report->outcome = *outcome;
    }

    /* one more than there are, so that nothing is done within the loop */

    report->pending = 1;

    for (i = 0; i < report->nrows; i++) {
        row = &report->rows[i];

        if (ngx_http_refine_flush_start(row->catalog,
                                        (ngx_cycle_t *) ngx_cycle)
            != NGX_OK)
        {
            row->metrics.stale = 1;
            continue;
        }

        row->waiting = 1;
        report->pending++;

        ngx_http_refine_queue_metrics(row->catalog->store, max_age,
                                      ngx_http_refine_report_row, row);
    }

    if (--report->pending == 0) {
        ngx_post_event(&report->done, &ngx_posted_events);
    }
}


static ngx_http_refine_report_t *
ngx_http_refine_report_create(ngx_http_request_t *r)
{
    ngx_uint_t                     i;
    ngx_http_cleanup_t            *cln;
    ngx_http_refine_report_t      *report;
    ngx_http_refine_catalog_t    **catalogs;
    ngx_http_refine_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_refine_module);

    report = ngx_pcalloc(r->pool, sizeof(ngx_http_refine_report_t));
    if (report == NULL) {
        return NULL;
    }

    report->request = r;
    report->nrows = mcf->catalogs.nelts;
    report->rows = ngx_pcalloc(r->pool, report->nrows
                                       * sizeof(ngx_http_refine_report_row_t));
    if (report->rows == NULL) {
        return NULL;
    }

    catalogs = mcf->catalogs.elts;

    for (i = 0; i < report->nrows; i++) {
        report->rows[i].report = report;
        report->rows[i].catalog = catalogs[i];
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    report->done.handler = ngx_http_refine_report_event;
    report->done.data = report;
    report->done.log = r->connection->log;

    cln->handler = ngx_http_refine_report_cleanup;
    cln->data = report;

    return report;
}


static void
ngx_http_refine_report_row(void *data, ngx_http_refine_metrics_t *metrics)
{
    ngx_http_refine_report_row_t *row = data;

    row->metrics = *metrics;
    row->waiting = 0;

    if (--row->report->pending == 0) {
        ngx_http_refine_report_done(row->report);
    }
}


/* there was nothing to wait for */

static void
ngx_http_refine_report_event(ngx_event_t *ev)
{
    ngx_http_refine_report_done(ev->data);
}


static void
ngx_http_refine_report_done(ngx_http_refine_report_t *report)
{
    ngx_str_t               text;
    ngx_uint_t              i;
    ngx_connection_t       *c;
    ngx_http_refine_buf_t   b;

    static void  (*write[])(ngx_http_refine_report_t *report,
        ngx_http_refine_buf_t *b) =
    {
        ngx_http_refine_report_json,
        ngx_http_refine_report_prometheus
    };

    c = report->request->connection;

    ngx_http_set_log_request(c->log, report->request);

    for (i = 0; i < report->nrows; i++) {
        ngx_http_refine_report_state(&report->rows[i]);
    }

    (void) ngx_http_refine_buf_init(&b, report->request->pool,
                           (report->nrows + 1) * NGX_HTTP_REFINE_REPORT_SIZE,
                           NGX_MAX_SIZE_T_VALUE);

    write[report->format](report, &b);

    text.data = b.start;
    text.len = ngx_http_refine_buf_size(&b);

    report->handler(report->data, b.failed ? NULL : &text);

    ngx_http_run_posted_requests(c);
}


/* what Redis does not know: of this machine, or of this worker */

static void
ngx_http_refine_report_state(ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_catalog_t  *catalog;

    catalog = row->catalog;

    row->redis = catalog->store ? ngx_http_refine_queue_state(catalog->store)
                                : "unknown";

    row->durable = catalog->store
                   ? ngx_http_refine_queue_durable(catalog->store) : -1;

    ngx_http_refine_shared_state(catalog->zone, &row->state);

    switch (row->state.state) {

    case NGX_HTTP_REFINE_CIRCUIT_UP:
        row->refine = "up";
        break;

    case NGX_HTTP_REFINE_CIRCUIT_BACKOFF:
        row->refine = "backoff";
        break;

    case NGX_HTTP_REFINE_CIRCUIT_HELD:
        row->refine = "held";
        break;

    default:
        row->refine = "unknown";
    }
}


static void
ngx_http_refine_report_cleanup(void *data)
{
    ngx_http_refine_report_t *report = data;

    ngx_uint_t                     i;
    ngx_http_refine_report_row_t  *row;

    if (report->done.posted) {
        ngx_delete_posted_event(&report->done);
    }

    for (i = 0; i < report->nrows; i++) {
        row = &report->rows[i];

        if (row->waiting) {
            row->waiting = 0;
            ngx_http_refine_queue_metrics_forget(row->catalog->store, row);
        }
    }
}


void
ngx_http_refine_report_value(ngx_http_refine_buf_t *b,
    ngx_http_refine_sample_t *sample)
{
    if (sample->ms) {
        ngx_http_refine_buf_double(b, (double) sample->value / 1000);

    } else {
        ngx_http_refine_buf_int(b, sample->value);
    }
}


void
ngx_http_refine_report_text(ngx_http_refine_buf_t *b, const char *text)
{
    ngx_http_refine_buf_json(b, (const u_char *) text, ngx_strlen(text));
}
