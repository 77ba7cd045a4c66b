
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_report_core.h"


typedef enum {
    NGX_HTTP_REFINE_METRIC_STALE = 0,
    NGX_HTTP_REFINE_METRIC_PAUSED,
    NGX_HTTP_REFINE_METRIC_LIMIT,
    NGX_HTTP_REFINE_METRIC_LIMIT_BYTES,
    NGX_HTTP_REFINE_METRIC_LIMIT_SPOOL
} ngx_http_refine_metric_other_e;


static void ngx_http_refine_metric_sample(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    int64_t value);
static void ngx_http_refine_metric_build(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_number(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_age(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_counter(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_group(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_surfaces(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_histogram(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_other(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_up(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_durable(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_state(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_status(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_retry(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);
static void ngx_http_refine_metric_rate(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row);


#define ngx_http_refine_metric_of(field)                                      \
    offsetof(ngx_http_refine_metrics_t, field)

#define ngx_http_refine_metric_in(field)                                      \
    offsetof(ngx_http_refine_report_row_t, field)

#define ngx_http_refine_metric_rate_of(field)                                 \
    offsetof(ngx_http_refine_shared_state_t, field)


static const char  ngx_http_refine_metric_of_redis[] =
    "unknown\0up\0down\0none\0";
static const char  ngx_http_refine_metric_of_refine[] =
    "unknown\0up\0backoff\0held\0";


const ngx_http_refine_metric_t  ngx_http_refine_metrics[] = {

    { "refine_build_info", "gauge",
      "Always 1; the versions of the module and of nginx.",
      ngx_http_refine_metric_build, 0, NULL, 0, 1 },

    { "refine_stale", "gauge",
      "1 while Redis does not answer; what is kept there is left out then.",
      ngx_http_refine_metric_other, NGX_HTTP_REFINE_METRIC_STALE, NULL, 0, 0 },

    { "refine_redis_up", "gauge",
      "1 while this worker is connected to Redis; absent until it has tried.",
      ngx_http_refine_metric_up, ngx_http_refine_metric_in(redis), NULL, 0, 0 },

    { "refine_redis_state", "gauge",
      "1 for the state of this worker's connection to Redis, else 0.",
      ngx_http_refine_metric_state, ngx_http_refine_metric_in(redis),
      ngx_http_refine_metric_of_redis, 0, 0 },

    { "refine_redis_durable", "gauge",
      "1 if Redis has an append-only file and does not evict, else 0.",
      ngx_http_refine_metric_durable, 0, NULL, 0, 0 },

    { "refine_delivery_up", "gauge",
      "1 while Refine takes events; absent until it has answered.",
      ngx_http_refine_metric_up, ngx_http_refine_metric_in(refine),
      NULL, 0, 0 },

    { "refine_delivery_state", "gauge",
      "1 for the state of this machine's delivery to Refine, else 0.",
      ngx_http_refine_metric_state, ngx_http_refine_metric_in(refine),
      ngx_http_refine_metric_of_refine, 0, 0 },

    { "refine_delivery_last_status", "gauge",
      "HTTP status of Refine's last answer, 0 when none came.",
      ngx_http_refine_metric_status, 0, NULL, 0, 0 },

    { "refine_delivery_retry_timestamp_seconds", "gauge",
      "When the next attempt is due, in a backoff or hold only.",
      ngx_http_refine_metric_retry, 0, NULL, 0, 0 },

    { "refine_rate_limit_requests", "gauge",
      "X-RateLimit-Limit of Refine's last answer.",
      ngx_http_refine_metric_rate, ngx_http_refine_metric_rate_of(limit),
      NULL, 0, 0 },

    { "refine_rate_limit_remaining_requests", "gauge",
      "X-RateLimit-Remaining of Refine's last answer.",
      ngx_http_refine_metric_rate, ngx_http_refine_metric_rate_of(remaining),
      NULL, 0, 0 },

    { "refine_rate_limit_reset_timestamp_seconds", "gauge",
      "X-RateLimit-Reset of Refine's last answer.",
      ngx_http_refine_metric_rate, ngx_http_refine_metric_rate_of(reset),
      NULL, 0, 0 },

    { "refine_paused", "gauge",
      "1 while delivery is paused by refine_control.",
      ngx_http_refine_metric_other, NGX_HTTP_REFINE_METRIC_PAUSED, NULL, 1, 0 },

    { "refine_events_accepted_total", "counter",
      "Events taken: stored, or dropped on purpose.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(accepted),
      NULL, 1, 0 },

    { "refine_events_sent_total", "counter",
      "Events that Refine has answered with 2xx.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(sent),
      NULL, 1, 0 },

    { "refine_events_failed_total", "counter",
      "Events that became dead letters.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(failed),
      NULL, 1, 0 },

    { "refine_events_dropped_total", "counter",
      "Events dropped on purpose.",
      ngx_http_refine_metric_group, (uintptr_t) "dropped", "reason", 1, 0 },

    { "refine_events_queued", "gauge",
      "Events stored that no worker has claimed.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(queued),
      NULL, 1, 0 },

    { "refine_events_retrying", "gauge",
      "Events claimed: in flight, or waiting for their next attempt.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(retrying),
      NULL, 1, 0 },

    { "refine_events_stored_total", "counter",
      "Events stored in the queue.",
      ngx_http_refine_metric_group, (uintptr_t) "events", "type", 1, 0 },

    { "refine_served_total", "counter",
      "Serves stored, by surface and source; other: beyond 32 of these.",
      ngx_http_refine_metric_surfaces, NGX_HTTP_REFINE_ITEMS_SERVED, NULL, 1,
      0 },

    { "refine_viewed_total", "counter",
      "Views stored, by the surface and source of their serve.",
      ngx_http_refine_metric_surfaces, NGX_HTTP_REFINE_VIEW, NULL, 1, 0 },

    { "refine_clicked_total", "counter",
      "Clicks stored, by the surface and source of their serve.",
      ngx_http_refine_metric_surfaces, NGX_HTTP_REFINE_CLICK, NULL, 1, 0 },

    { "refine_carted_total", "counter",
      "Adds to cart stored, by the surface and source of their serve.",
      ngx_http_refine_metric_surfaces, NGX_HTTP_REFINE_ADD_TO_CART, NULL, 1,
      0 },

    { "refine_purchased_total", "counter",
      "Items of purchases stored, by the surface and source that led to them.",
      ngx_http_refine_metric_surfaces, NGX_HTTP_REFINE_PURCHASE, NULL, 1, 0 },

    { "refine_events_duplicate_total", "counter",
      "Events under an eventId stored before, not stored again.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_DUPLICATES, NULL, 1, 0 },

    { "refine_rejected_total", "counter",
      "Events or requests that collect refused.",
      ngx_http_refine_metric_group, (uintptr_t) "rejected", "reason", 1, 0 },

    { "refine_spool_events", "gauge",
      "Events on this machine's disk that are not in Redis yet.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(spooled.events),
      NULL, 0, 0 },

    { "refine_spool_bytes", "gauge",
      "Size of the spool's segments on this machine.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(spooled.bytes),
      NULL, 0, 0 },

    { "refine_spool_segments", "gauge",
      "How many segments the spool has on this machine.",
      ngx_http_refine_metric_number,
      ngx_http_refine_metric_of(spooled.segments), NULL, 0, 0 },

    { "refine_spool_limit_bytes", "gauge",
      "How large the spool may become (spool).",
      ngx_http_refine_metric_other, NGX_HTTP_REFINE_METRIC_LIMIT_SPOOL,
      NULL, 0, 0 },

    { "refine_spool_total", "counter",
      "What the spool took and did not take, and damage found in it.",
      ngx_http_refine_metric_group, (uintptr_t) "spooled", "kind", 1, 0 },

    { "refine_queue_limit_events", "gauge",
      "How many events the queue takes (max_queue_size).",
      ngx_http_refine_metric_other, NGX_HTTP_REFINE_METRIC_LIMIT, NULL, 0, 0 },

    { "refine_queue_limit_bytes", "gauge",
      "How much of Redis' memory the queue may take (max_queue_bytes).",
      ngx_http_refine_metric_other, NGX_HTTP_REFINE_METRIC_LIMIT_BYTES,
      NULL, 0, 0 },

    { "refine_queue_bytes", "gauge",
      "Size of the events in the queue, without what Redis adds.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(bytes),
      NULL, 1, 0 },

    { "refine_queue_oldest_age_seconds", "gauge",
      "Age of the oldest event in the queue, 0 when it is empty.",
      ngx_http_refine_metric_age, 0, NULL, 1, 0 },

    { "refine_dead_letters", "gauge",
      "Dead letters kept now.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(dead),
      NULL, 1, 0 },

    { "refine_dead_letters_trimmed_total", "counter",
      "Dead letters removed to make room for newer ones.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(dead_trimmed),
      NULL, 1, 0 },

    { "refine_dead_letters_replayed_total", "counter",
      "Dead letters put back by refine_control.",
      ngx_http_refine_metric_number, ngx_http_refine_metric_of(dead_replayed),
      NULL, 1, 0 },

    { "refine_serves_logged_total", "counter",
      "Responses logged by refine_serve.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_SERVES_LOGGED,
      NULL, 1, 0 },

    { "refine_serves_cut_total", "counter",
      "Responses of which not all items were logged.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_SERVES_CUT, NULL, 1, 0 },

    { "refine_serves_left_out_total", "counter",
      "Filters, sorts and metadata of serves left out: over their limits.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_SERVES_LEFT_OUT,
      NULL, 1, 0 },

    { "refine_serves_body_unread_total", "counter",
      "Responses logged without what body: selectors read of the request.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_SERVES_BODY,
      NULL, 1, 0 },

    { "refine_serves_not_utf8_total", "counter",
      "Values of serves left out because they are not text.",
      ngx_http_refine_metric_counter, NGX_HTTP_REFINE_SERVES_NOT_UTF8,
      NULL, 1, 0 },

    { "refine_serves_skipped_total", "counter",
      "Responses that refine_serve did not log.",
      ngx_http_refine_metric_group, (uintptr_t) "skipped", "reason", 1, 0 },

    { "refine_pages_total", "counter",
      "Pages that refine_inject has rewritten, or passed unchanged.",
      ngx_http_refine_metric_group, (uintptr_t) "pages", "outcome", 1, 0 },

    { "refine_store_duration_seconds", "histogram",
      "How long requests waited until Redis had answered.",
      ngx_http_refine_metric_histogram, NGX_HTTP_REFINE_STORE_MS_1,
      NULL, 1, 0 },

    { "refine_posts_total", "counter",
      "POSTs to Refine, by what came of them.",
      ngx_http_refine_metric_group, (uintptr_t) "posts", "result", 1, 0 },

    { "refine_post_duration_seconds", "histogram",
      "How long Refine took to answer a POST.",
      ngx_http_refine_metric_histogram, NGX_HTTP_REFINE_POST_MS_1,
      NULL, 1, 0 },

    { "refine_delivery_lag_seconds", "histogram",
      "How old events were when Refine had taken them.",
      ngx_http_refine_metric_histogram, NGX_HTTP_REFINE_LAG_MS_100,
      NULL, 1, 0 },

    { NULL, NULL, NULL, NULL, 0, NULL, 0, 0 }
};


static void
ngx_http_refine_metric_sample(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row,
    int64_t value)
{
    ngx_http_refine_sample_t  sample;

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    sample.value = value;

    w->write(w, metric, row, &sample);
}


static void
ngx_http_refine_metric_build(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_sample_t  sample;

    static const ngx_http_refine_sample_t  build = {
        "",
        { ngx_string("version"), ngx_string("nginx") },
        { ngx_string(NGX_HTTP_REFINE_VERSION), ngx_string(NGINX_VERSION) },
        1, 0
    };

    sample = build;

    w->write(w, metric, row, &sample);
}


static void
ngx_http_refine_metric_number(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    int64_t  *n;

    n = (int64_t *) ((u_char *) &row->metrics + metric->what);

    ngx_http_refine_metric_sample(w, metric, row, *n);
}


static void
ngx_http_refine_metric_age(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_sample_t  sample;

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    sample.value = row->metrics.oldest_age;
    sample.ms = 1;

    w->write(w, metric, row, &sample);
}


static void
ngx_http_refine_metric_counter(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_metric_sample(w, metric, row,
                                  row->metrics.counters[metric->what]);
}


static void
ngx_http_refine_metric_group(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_uint_t                        i;
    ngx_http_refine_sample_t          sample;
    const ngx_http_refine_counter_t  *counter;

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    sample.names[0].data = (u_char *) metric->label;
    sample.names[0].len = ngx_strlen(metric->label);

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        counter = &ngx_http_refine_counters[i];

        if (ngx_strcmp(counter->group.data, (char *) metric->what) != 0) {
            continue;
        }

        sample.values[0] = counter->name;
        sample.value = row->metrics.counters[i];

        w->write(w, metric, row, &sample);
    }
}


static void
ngx_http_refine_metric_surfaces(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_uint_t                   i;
    ngx_http_refine_sample_t     sample;
    ngx_http_refine_surfaces_t  *surfaces;

    surfaces = row->metrics.surfaces;

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    ngx_str_set(&sample.names[0], "surface");
    ngx_str_set(&sample.names[1], "source");

    for (i = 0; i < surfaces->n; i++) {
        ngx_http_refine_surface_names(&surfaces->rows[i], &sample.values[0],
                                      &sample.values[1]);
        sample.value = ngx_http_refine_surface_count(&surfaces[metric->what],
                                                     &surfaces->rows[i]);

        w->write(w, metric, row, &sample);
    }
}


static void
ngx_http_refine_metric_histogram(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    u_char                     bound[32];
    int64_t                   *cells;
    ngx_uint_t                 i;
    const int64_t             *bounds;
    ngx_http_refine_sample_t   sample;

    bounds = ngx_http_refine_histogram_bounds(metric->what);
    cells = &row->metrics.counters[metric->what];

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "_bucket";
    ngx_str_set(&sample.names[0], "le");

    for (i = 0; i <= NGX_HTTP_REFINE_HISTOGRAM_BOUNDS; i++) {
        sample.value += cells[i];

        if (i == NGX_HTTP_REFINE_HISTOGRAM_BOUNDS) {
            ngx_str_set(&sample.values[0], "+Inf");

        } else {
            sample.values[0].data = bound;
            sample.values[0].len = snprintf((char *) bound, sizeof(bound),
                                            "%g", bounds[i] / 1e3);
        }

        w->write(w, metric, row, &sample);
    }

    sample.suffix = "_count";
    ngx_str_null(&sample.names[0]);

    w->write(w, metric, row, &sample);

    sample.suffix = "_sum";
    sample.value = cells[NGX_HTTP_REFINE_HISTOGRAM_SUM];
    sample.ms = 1;

    w->write(w, metric, row, &sample);
}


static void
ngx_http_refine_metric_other(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    int64_t  value;

    switch (metric->what) {

    case NGX_HTTP_REFINE_METRIC_STALE:
        value = row->metrics.stale;
        break;

    case NGX_HTTP_REFINE_METRIC_PAUSED:
        value = row->metrics.paused;
        break;

    case NGX_HTTP_REFINE_METRIC_LIMIT:
        value = row->catalog->queue.max_size;
        break;

    case NGX_HTTP_REFINE_METRIC_LIMIT_BYTES:
        value = row->catalog->queue.max_bytes;
        break;

    default: /* NGX_HTTP_REFINE_METRIC_LIMIT_SPOOL */
        value = row->catalog->queue.spool.size;
    }

    ngx_http_refine_metric_sample(w, metric, row, value);
}


/* what is not known yet is neither up nor down */

static void
ngx_http_refine_metric_up(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    const char  *state;

    state = *(const char **) ((u_char *) row + metric->what);

    if (ngx_strcmp(state, "unknown") != 0
        && ngx_strcmp(state, "none") != 0)
    {
        ngx_http_refine_metric_sample(w, metric, row,
                                      ngx_strcmp(state, "up") == 0);
    }
}


static void
ngx_http_refine_metric_durable(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    if (row->durable != -1) {
        ngx_http_refine_metric_sample(w, metric, row, row->durable);
    }
}


static void
ngx_http_refine_metric_state(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    size_t                     len;
    const char                *state, *name;
    ngx_http_refine_sample_t   sample;

    state = *(const char **) ((u_char *) row + metric->what);

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    ngx_str_set(&sample.names[0], "state");

    for (name = metric->label; *name; name += len + 1) {
        len = ngx_strlen(name);

        sample.values[0].data = (u_char *) name;
        sample.values[0].len = len;
        sample.value = (ngx_strcmp(state, name) == 0);

        w->write(w, metric, row, &sample);
    }
}


static void
ngx_http_refine_metric_status(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_metric_sample(w, metric, row, row->state.last_status);
}


static void
ngx_http_refine_metric_retry(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    ngx_http_refine_sample_t  sample;

    if (row->state.retry_at == 0) {
        return;
    }

    ngx_memzero(&sample, sizeof(ngx_http_refine_sample_t));

    sample.suffix = "";
    sample.value = row->state.retry_at;
    sample.ms = 1;

    w->write(w, metric, row, &sample);
}


/* -1: the answer had no such header; no reset is at 0 */

static void
ngx_http_refine_metric_rate(ngx_http_refine_writer_t *w,
    const ngx_http_refine_metric_t *metric, ngx_http_refine_report_row_t *row)
{
    int64_t  value;

    value = *(int64_t *) ((u_char *) &row->state + metric->what);

    if (value < 0
        || (value == 0
            && metric->what == ngx_http_refine_metric_rate_of(reset)))
    {
        return;
    }

    ngx_http_refine_metric_sample(w, metric, row, value);
}
