
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_report_core.h"


#define ngx_http_refine_report_name(b, name)                                  \
    ngx_http_refine_buf_lit(b, "\"" name "\":")

#define ngx_http_refine_report_int(b, name, n)                                \
    ngx_http_refine_report_name(b, name);                                     \
    ngx_http_refine_buf_int(b, n);                                            \
    ngx_http_refine_buf_lit(b, ",")


static void ngx_http_refine_report_catalog(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row);
static void ngx_http_refine_report_posts(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *m);
static void ngx_http_refine_report_serves(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics);
static void ngx_http_refine_report_counters(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics, const char *group);
static void ngx_http_refine_report_surfaces(ngx_http_refine_buf_t *b,
    ngx_http_refine_surfaces_t *surfaces);
static void ngx_http_refine_report_histogram(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics, ngx_uint_t first);
static void ngx_http_refine_report_circuit(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row);
static void ngx_http_refine_report_limit(ngx_http_refine_buf_t *b,
    int64_t value);
static void ngx_http_refine_report_flag(ngx_http_refine_buf_t *b,
    ngx_int_t flag);


void
ngx_http_refine_report_json(ngx_http_refine_report_t *report,
    ngx_http_refine_buf_t *b)
{
    ngx_uint_t  i;

    ngx_http_refine_buf_lit(b, "{\"version\":\"" NGX_HTTP_REFINE_VERSION
                               "\",");

    if (report->outcome.error) {
        ngx_http_refine_report_name(b, "error");
        ngx_http_refine_report_text(b, report->outcome.error);
        ngx_http_refine_buf_lit(b, ",");
    }

    if (report->outcome.replay) {
        ngx_http_refine_report_int(b, "replayed", report->outcome.replayed);
    }

    if (report->outcome.control.len) {
        ngx_http_refine_report_name(b, "control");
        ngx_http_refine_buf_json(b, report->outcome.control.data,
                                 report->outcome.control.len);
        ngx_http_refine_buf_lit(b, ",");
    }

    ngx_http_refine_report_name(b, "catalogs");
    ngx_http_refine_buf_lit(b, "{");

    for (i = 0; i < report->nrows; i++) {
        if (i) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_report_catalog(b, &report->rows[i]);
    }

    ngx_http_refine_buf_lit(b, "}}\n");
}


static void
ngx_http_refine_report_catalog(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row)
{
    ngx_str_t                  *name;
    ngx_http_refine_metrics_t  *m;

    m = &row->metrics;
    name = &row->catalog->name;

    ngx_http_refine_buf_json(b, name->data, name->len);
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
    ngx_http_refine_buf_lit(b, "},\"spooled\":{");
    ngx_http_refine_report_int(b, "events", m->spooled.events);
    ngx_http_refine_report_int(b, "bytes", m->spooled.bytes);
    ngx_http_refine_report_int(b, "segments", m->spooled.segments);
    ngx_http_refine_report_counters(b, m, "spooled");
    ngx_http_refine_buf_lit(b, "},");

    ngx_http_refine_report_counters(b, m, "");
    ngx_http_refine_buf_lit(b, ",");

    ngx_http_refine_report_int(b, "dead", m->dead);
    ngx_http_refine_report_int(b, "deadTrimmed", m->dead_trimmed);
    ngx_http_refine_report_int(b, "deadReplayed", m->dead_replayed);
    ngx_http_refine_report_int(b, "bytes", m->bytes);
    ngx_http_refine_report_int(b, "oldestAgeMs", m->oldest_age);

    ngx_http_refine_report_name(b, "events");
    ngx_http_refine_buf_lit(b, "{");
    ngx_http_refine_report_counters(b, m, "events");
    ngx_http_refine_report_serves(b, m);
    ngx_http_refine_report_surfaces(b, m->surfaces);
    ngx_http_refine_report_posts(b, m);
    ngx_http_refine_buf_lit(b, ",\"redis\":{\"state\":");
    ngx_http_refine_report_text(b, row->redis);
    ngx_http_refine_buf_lit(b, ",\"durable\":");
    ngx_http_refine_report_flag(b, row->durable);
    ngx_http_refine_buf_lit(b, "},\"refine\":");
    ngx_http_refine_report_circuit(b, row);
    ngx_http_refine_buf_lit(b, ",\"paused\":");
    ngx_http_refine_report_flag(b, m->paused);
    ngx_http_refine_buf_lit(b, ",\"stale\":");
    ngx_http_refine_report_flag(b, m->stale);
    ngx_http_refine_buf_lit(b, "}");
}


static void
ngx_http_refine_report_posts(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *m)
{
    ngx_http_refine_buf_lit(b, ",\"posts\":{");
    ngx_http_refine_report_counters(b, m, "posts");
    ngx_http_refine_buf_lit(b, "},\"latency\":{\"store\":");
    ngx_http_refine_report_histogram(b, m, NGX_HTTP_REFINE_STORE_MS_1);
    ngx_http_refine_buf_lit(b, ",\"post\":");
    ngx_http_refine_report_histogram(b, m, NGX_HTTP_REFINE_POST_MS_1);
    ngx_http_refine_buf_lit(b, ",\"lag\":");
    ngx_http_refine_report_histogram(b, m, NGX_HTTP_REFINE_LAG_MS_100);
    ngx_http_refine_buf_lit(b, "}");
}


static void
ngx_http_refine_report_serves(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics)
{
    ngx_http_refine_buf_lit(b, "},\"serves\":{");
    ngx_http_refine_report_counters(b, metrics, "serves");
    ngx_http_refine_buf_lit(b, ",\"skipped\":{");
    ngx_http_refine_report_counters(b, metrics, "skipped");
    ngx_http_refine_buf_lit(b, "}},\"pages\":{");
    ngx_http_refine_report_counters(b, metrics, "pages");
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
ngx_http_refine_report_surfaces(ngx_http_refine_buf_t *b,
    ngx_http_refine_surfaces_t *surfaces)
{
    ngx_str_t                   surface, source;
    ngx_uint_t                  i, type;
    const ngx_str_t            *step;
    ngx_http_refine_surface_t  *row;

    ngx_http_refine_buf_lit(b, ",\"surfaces\":[");

    for (i = 0; i < surfaces->n; i++) {
        row = &surfaces->rows[i];
        ngx_http_refine_surface_names(row, &surface, &source);

        if (i) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "{\"surface\":");
        ngx_http_refine_buf_json(b, surface.data, surface.len);
        ngx_http_refine_buf_lit(b, ",\"source\":");
        ngx_http_refine_buf_json(b, source.data, source.len);

        for (type = 0; type < NGX_HTTP_REFINE_EVENT_TYPES; type++) {
            step = &ngx_http_refine_surface_steps[type];

            ngx_http_refine_buf_lit(b, ",\"");
            ngx_http_refine_buf_append(b, step->data, step->len);
            ngx_http_refine_buf_lit(b, "\":");
            ngx_http_refine_buf_int(b, ngx_http_refine_surface_count(
                                                       &surfaces[type], row));
        }

        ngx_http_refine_buf_lit(b, "}");
    }

    ngx_http_refine_buf_lit(b, "]");
}


/* cumulative, as Prometheus has it: "count" is the bucket without a bound */

static void
ngx_http_refine_report_histogram(ngx_http_refine_buf_t *b,
    ngx_http_refine_metrics_t *metrics, ngx_uint_t first)
{
    int64_t         n, *cells;
    ngx_uint_t      i;
    const int64_t  *bounds;

    bounds = ngx_http_refine_histogram_bounds(first);
    cells = &metrics->counters[first];
    n = 0;

    ngx_http_refine_buf_lit(b, "{\"bucketsMs\":{");

    for (i = 0; i < NGX_HTTP_REFINE_HISTOGRAM_BOUNDS; i++) {
        n += cells[i];

        if (i) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "\"");
        ngx_http_refine_buf_int(b, bounds[i]);
        ngx_http_refine_buf_lit(b, "\":");
        ngx_http_refine_buf_int(b, n);
    }

    ngx_http_refine_buf_lit(b, "},\"sumMs\":");
    ngx_http_refine_buf_int(b, cells[NGX_HTTP_REFINE_HISTOGRAM_SUM]);
    ngx_http_refine_buf_lit(b, ",\"count\":");
    ngx_http_refine_buf_int(b, n + cells[NGX_HTTP_REFINE_HISTOGRAM_BOUNDS]);
    ngx_http_refine_buf_lit(b, "}");
}


static void
ngx_http_refine_report_circuit(ngx_http_refine_buf_t *b,
    ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_shared_state_t  *state;

    state = &row->state;

    ngx_http_refine_buf_lit(b, "{\"state\":");
    ngx_http_refine_report_text(b, row->refine);
    ngx_http_refine_buf_lit(b, ",\"lastStatus\":");
    ngx_http_refine_buf_int(b, state->last_status);

    ngx_http_refine_buf_lit(b, ",\"lastError\":");

    if (state->last_error_len) {
        ngx_http_refine_buf_json(b, state->last_error, state->last_error_len);

    } else {
        ngx_http_refine_buf_lit(b, "null");
    }

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


/* -1: not known */

static void
ngx_http_refine_report_flag(ngx_http_refine_buf_t *b, ngx_int_t flag)
{
    if (flag == -1) {
        ngx_http_refine_buf_lit(b, "null");

    } else if (flag) {
        ngx_http_refine_buf_lit(b, "true");

    } else {
        ngx_http_refine_buf_lit(b, "false");
    }
}
