
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_flush.h"
#include "ngx_http_refine_report.h"


#define NGX_HTTP_REFINE_REPORT_SIZE  2048   /* of a catalog, about */

#define ngx_http_refine_report_name(b, name)                                  \
    ngx_http_refine_buf_lit(b, "\"" name "\":")

#define ngx_http_refine_report_int(b, name, n)                                \
    ngx_http_refine_report_name(b, name);                                     \
    ngx_http_refine_buf_int(b, n);                                            \
    ngx_http_refine_buf_lit(b, ",")


typedef struct ngx_http_refine_report_s  ngx_http_refine_report_t;

typedef struct {
    ngx_http_refine_report_t       *report;
    ngx_http_refine_catalog_t      *catalog;
    ngx_http_refine_metrics_t       metrics;
    unsigned                        waiting:1;
} ngx_http_refine_report_row_t;


struct ngx_http_refine_report_s {
    ngx_http_request_t             *request;
    const char                     *error;
    ngx_http_refine_report_pt       handler;
    void                           *data;
    ngx_http_refine_report_row_t   *rows;
    ngx_uint_t                      nrows;
    ngx_uint_t                      pending;
};


static ngx_http_refine_report_t *ngx_http_refine_report_create(
    ngx_http_request_t *r);
static void ngx_http_refine_report_row(void *data,
    ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_report_done(ngx_http_refine_report_t *report);
static void ngx_http_refine_report_cleanup(void *data);
static ngx_int_t ngx_http_refine_report_json(ngx_http_refine_report_t *report,
    ngx_str_t *json);
static void ngx_http_refine_report_catalog(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row);
static void ngx_http_refine_report_counters(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics, const char *group);
static void ngx_http_refine_report_circuit(ngx_http_refine_buf_t *b,
    ngx_http_refine_shared_state_t *state);
static void ngx_http_refine_report_limit(ngx_http_refine_buf_t *b,
    int64_t value);
static void ngx_http_refine_report_flag(ngx_http_refine_buf_t *b,
    ngx_uint_t flag);
static void ngx_http_refine_report_text(ngx_http_refine_buf_t *b,
    const char *text);


void
ngx_http_refine_report(ngx_http_request_t *r, ngx_msec_t max_age,
    const char *error, ngx_http_refine_report_pt handler, void *data)
{
    ngx_uint_t                     i;
    ngx_http_refine_report_t      *report;
    ngx_http_refine_report_row_t  *row;

    report = ngx_http_refine_report_create(r);

    if (report == NULL) {
        handler(data, NULL);
        return;
    }

    report->error = error;
    report->handler = handler;
    report->data = data;

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
        ngx_http_refine_report_done(report);
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


static void
ngx_http_refine_report_done(ngx_http_refine_report_t *report)
{
    ngx_int_t          rc;
    ngx_str_t          json;
    ngx_connection_t  *c;

    c = report->request->connection;

    ngx_http_set_log_request(c->log, report->request);

    rc = ngx_http_refine_report_json(report, &json);

    report->handler(report->data, rc == NGX_OK ? &json : NULL);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_refine_report_cleanup(void *data)
{
    ngx_http_refine_report_t *report = data;

    ngx_uint_t                     i;
    ngx_http_refine_report_row_t  *row;

    for (i = 0; i < report->nrows; i++) {
        row = &report->rows[i];

        if (row->waiting) {
            row->waiting = 0;
            ngx_http_refine_queue_metrics_forget(row->catalog->store, row);
        }
    }
}


static ngx_int_t
ngx_http_refine_report_json(ngx_http_refine_report_t *report, ngx_str_t *json)
{
    ngx_uint_t             i;
    ngx_http_refine_buf_t  b;

    (void) ngx_http_refine_buf_init(&b, report->request->pool,
                           (report->nrows + 1) * NGX_HTTP_REFINE_REPORT_SIZE,
                           NGX_MAX_SIZE_T_VALUE);

    ngx_http_refine_buf_lit(&b,
                            "{\"version\":\"" NGX_HTTP_REFINE_VERSION "\",");

    if (report->error) {
        ngx_http_refine_report_name(&b, "error");
        ngx_http_refine_report_text(&b, report->error);
        ngx_http_refine_buf_lit(&b, ",");
    }

    ngx_http_refine_report_name(&b, "catalogs");
    ngx_http_refine_buf_lit(&b, "{");

    for (i = 0; i < report->nrows; i++) {
        if (i) {
            ngx_http_refine_buf_lit(&b, ",");
        }

        ngx_http_refine_report_catalog(&b, &report->rows[i]);
    }

    ngx_http_refine_buf_lit(&b, "}}\n");

    if (b.failed) {
        return NGX_ERROR;
    }

    json->data = b.start;
    json->len = ngx_http_refine_buf_size(&b);

    return NGX_OK;
}


static void
ngx_http_refine_report_catalog(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_metrics_t       *m;
    ngx_http_refine_catalog_t       *catalog;
    ngx_http_refine_shared_state_t   state;

    m = &row->metrics;
    catalog = row->catalog;

    ngx_http_refine_shared_state(catalog->zone, &state);

    ngx_http_refine_buf_json(b, catalog->name.data, catalog->name.len);
    ngx_http_refine_buf_lit(b, ":{");

    ngx_http_refine_report_int(b, "queued", m->queued);
    ngx_http_refine_report_int(b, "sent", m->sent);
    ngx_http_refine_report_int(b, "failed", m->failed);
    ngx_http_refine_report_int(b, "retrying", m->retrying);
    ngx_http_refine_report_int(b, "accepted", m->accepted);

    ngx_http_refine_report_name(b, "rejected");
    ngx_http_refine_buf_lit(b, "{");
    ngx_http_refine_report_counters(b, m, "rejected");
    ngx_http_refine_buf_lit(b, "},\"dropped\":{");
    ngx_http_refine_report_counters(b, m, "dropped");
    ngx_http_refine_buf_lit(b, "},");

    ngx_http_refine_report_counters(b, m, "");
    ngx_http_refine_buf_lit(b, ",");

    ngx_http_refine_report_int(b, "dead", m->dead);
    ngx_http_refine_report_int(b, "deadTrimmed", m->dead_trimmed);
    ngx_http_refine_report_int(b, "bytes", m->bytes);
    ngx_http_refine_report_int(b, "oldestAgeMs", m->oldest_age);

    ngx_http_refine_report_name(b, "events");
    ngx_http_refine_buf_lit(b, "{");
    ngx_http_refine_report_counters(b, m, "events");
    ngx_http_refine_buf_lit(b, "},\"serves\":{");
    ngx_http_refine_report_counters(b, m, "serves");
    ngx_http_refine_buf_lit(b, ",\"skipped\":{");
    ngx_http_refine_report_counters(b, m, "skipped");
    ngx_http_refine_buf_lit(b, "}},\"redis\":{\"state\":");
    ngx_http_refine_report_text(b, catalog->store
                                ? ngx_http_refine_queue_state(catalog->store)
                                : "unknown");
    ngx_http_refine_buf_lit(b, "},\"refine\":");
    ngx_http_refine_report_circuit(b, &state);
    ngx_http_refine_buf_lit(b, ",\"paused\":");
    ngx_http_refine_report_flag(b, m->paused);
    ngx_http_refine_buf_lit(b, ",\"stale\":");
    ngx_http_refine_report_flag(b, m->stale);
    ngx_http_refine_buf_lit(b, "}");
}


static void
ngx_http_refine_report_counters(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics, const char *group)
{
    ngx_uint_t                        i, n;
    const ngx_http_refine_counter_t  *counter;

    n = 0;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        counter = &ngx_http_refine_counters[i];

        if (ngx_strcmp(counter->group.data, group) != 0) {
            continue;
        }

        if (n++) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_json(b, counter->name.data, counter->name.len);
        ngx_http_refine_buf_lit(b, ":");
        ngx_http_refine_buf_int(b, metrics->counters[i]);
    }
}


static void
ngx_http_refine_report_circuit(ngx_http_refine_buf_t *b,
    ngx_http_refine_shared_state_t *state)
{
    const char  *name;

    switch (state->state) {

    case NGX_HTTP_REFINE_CIRCUIT_UP:
        name = "up";
        break;

    case NGX_HTTP_REFINE_CIRCUIT_BACKOFF:
        name = "backoff";
        break;

    case NGX_HTTP_REFINE_CIRCUIT_HELD:
        name = "held";
        break;

    default:
        name = "unknown";
    }

    ngx_http_refine_buf_lit(b, "{\"state\":");
    ngx_http_refine_report_text(b, name);
    ngx_http_refine_buf_lit(b, ",\"lastStatus\":");
    ngx_http_refine_buf_int(b, state->last_status);

    if (state->retry_at) {
        ngx_http_refine_buf_lit(b, ",\"retryAt\":");
        ngx_http_refine_buf_int(b, state->retry_at);
    }

    ngx_http_refine_buf_lit(b, ",\"rate\":{\"limit\":");
    ngx_http_refine_report_limit(b, state->limit);
    ngx_http_refine_buf_lit(b, ",\"remaining\":");
    ngx_http_refine_report_limit(b, state->remaining);
    ngx_http_refine_buf_lit(b, ",\"reset\":");
    ngx_http_refine_report_limit(b, state->reset ? (int64_t) state->reset
                                                 : -1);
    ngx_http_refine_buf_lit(b, "}}");
}


static void
ngx_http_refine_report_limit(ngx_http_refine_buf_t *b, int64_t value)
{
    if (value < 0) {
        ngx_http_refine_buf_lit(b, "null");

    } else {
        ngx_http_refine_buf_int(b, value);
    }
}


static void
ngx_http_refine_report_flag(ngx_http_refine_buf_t *b, ngx_uint_t flag)
{
    if (flag) {
        ngx_http_refine_buf_lit(b, "true");

    } else {
        ngx_http_refine_buf_lit(b, "false");
    }
}


static void
ngx_http_refine_report_text(ngx_http_refine_buf_t *b, const char *text)
{
    ngx_http_refine_buf_json(b, (const u_char *) text, ngx_strlen(text));
}
