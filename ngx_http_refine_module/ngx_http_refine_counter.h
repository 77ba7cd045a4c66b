
/*
 * Level 0: the names of everything that is counted, once for the stats hash in
 * Redis, the status page and the docs.
 *
 * The first group obeys accepted = sent + failed + dropped + queued +
 * retrying and is only ever changed by the scripts that change the stream.
 * The others are summed in a worker and added with its next step in Redis.
 */


#ifndef _NGX_HTTP_REFINE_COUNTER_H_INCLUDED_
#define _NGX_HTTP_REFINE_COUNTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * A row: the enum's tail, the group in the status JSON ("" for the top level),
 * the name within it.  In the hash the field is "group:name", or "name".
 */

#define NGX_HTTP_REFINE_COUNTERS(row)                                         \
    row(DUPLICATES,            "",         "duplicates")                      \
                                                                              \
    row(EVENT_ITEMS_SERVED,    "events",   "items_served")                    \
    row(EVENT_CLICK,           "events",   "click")                           \
    row(EVENT_VIEW,            "events",   "view")                            \
    row(EVENT_ADD_TO_CART,     "events",   "add_to_cart")                     \
    row(EVENT_PURCHASE,        "events",   "purchase")                        \
                                                                              \
    row(REJECTED_METHOD,       "rejected", "method")                          \
    row(REJECTED_ORIGIN,       "rejected", "origin")                          \
    row(REJECTED_UNTRUSTED,    "rejected", "untrusted")                       \
    row(REJECTED_ENCODING,     "rejected", "encoding")                        \
    row(REJECTED_NOT_GZIP,     "rejected", "not_gzip")                        \
    row(REJECTED_TOO_LARGE,    "rejected", "too_large")                       \
    row(REJECTED_TOO_MANY,     "rejected", "too_many")                        \
    row(REJECTED_NOT_JSON,     "rejected", "not_json")                        \
    row(REJECTED_NOT_EVENT,    "rejected", "not_event")                       \
    row(REJECTED_TYPE,         "rejected", "type")                            \
    row(REJECTED_MISSING,      "rejected", "missing")                         \
    row(REJECTED_INVALID,      "rejected", "invalid")                         \
    row(REJECTED_DUPLICATE,    "rejected", "duplicate_field")                 \
    row(REJECTED_FULL,         "rejected", "queue_full")                      \
    row(REJECTED_BYTES,        "rejected", "queue_bytes")                     \
    row(REJECTED_UNAVAILABLE,  "rejected", "unavailable")                     \
    row(REJECTED_ABORTED,      "rejected", "aborted")                         \
                                                                              \
    row(DROPPED_DISABLED,      "dropped",  "disabled")                        \
    row(DROPPED_CONSENT,       "dropped",  "consent")                         \
                                                                              \
    row(SPOOL_STORED,          "spooled",  "stored")                          \
    row(SPOOL_FAILED,          "spooled",  "failed")                          \
    row(SPOOL_TORN,            "spooled",  "torn")                            \
    row(SPOOL_DAMAGED,         "spooled",  "damaged")                         \
                                                                              \
    row(POSTS_2XX,             "posts",    "2xx")                             \
    row(POSTS_3XX,             "posts",    "3xx")                             \
    row(POSTS_REFUSED,         "posts",    "refused")                         \
    row(POSTS_UNAUTHORIZED,    "posts",    "unauthorized")                    \
    row(POSTS_NOT_FOUND,       "posts",    "not_found")                       \
    row(POSTS_TOO_LARGE,       "posts",    "too_large")                       \
    row(POSTS_BUSY,            "posts",    "busy")                            \
    row(POSTS_OTHER_4XX,       "posts",    "other_4xx")                       \
    row(POSTS_5XX,             "posts",    "5xx")                             \
    row(POSTS_CONNECTION,      "posts",    "connection")                      \
    row(POSTS_TIMEOUT,         "posts",    "timeout")                         \
    row(POSTS_CLOSED,          "posts",    "closed")                          \
    row(POSTS_INVALID,         "posts",    "invalid")                         \
                                                                              \
    row(SERVES_LOGGED,         "serves",   "logged")                          \
    row(SERVES_CUT,            "serves",   "cut")                             \
    row(SERVES_NOT_UTF8,       "serves",   "not_utf8")                        \
    row(SERVES_LEFT_OUT,       "serves",   "left_out")                        \
    row(SERVES_BODY,           "serves",   "body_unread")                     \
    row(SKIPPED_CONDITION,     "skipped",  "condition")                       \
    row(SKIPPED_STATUS,        "skipped",  "status")                          \
    row(SKIPPED_METHOD,        "skipped",  "method")                          \
    row(SKIPPED_RANGE,         "skipped",  "range")                           \
    row(SKIPPED_TYPE,          "skipped",  "type")                            \
    row(SKIPPED_TOO_LARGE,     "skipped",  "too_large")                       \
    row(SKIPPED_NOT_JSON,      "skipped",  "not_json")                        \
    row(SKIPPED_NOT_GZIP,      "skipped",  "not_gzip")                        \
    row(SKIPPED_NOT_SEARCH,    "skipped",  "not_search")                      \
    row(SKIPPED_ENCODING,      "skipped",  "encoding")                        \
    row(SKIPPED_CACHEABLE,     "skipped",  "cacheable")                       \
    row(SKIPPED_ABORTED,       "skipped",  "aborted")                         \
    row(SKIPPED_CONSENT,       "skipped",  "consent")                         \
    row(SKIPPED_DISABLED,      "skipped",  "disabled")                        \
    row(SKIPPED_SERVE_BUFFER,  "skipped",  "serve_buffer")                    \
    row(SKIPPED_QUEUE_FULL,    "skipped",  "queue_full")                      \
    row(SKIPPED_QUEUE_BYTES,   "skipped",  "queue_bytes")                     \
    row(SKIPPED_INTERNAL,      "skipped",  "internal")                        \
                                                                              \
    row(PAGES_INJECTED,        "pages",    "injected")                        \
    row(PAGES_CONDITION,       "pages",    "condition")                       \
    row(PAGES_NO_TRANSFORM,    "pages",    "no_transform")                    \
    row(PAGES_ENCODING,        "pages",    "encoding")                        \
    row(PAGES_NOT_GZIP,        "pages",    "not_gzip")


/*
 * Histograms of times: cells that are counted and kept like the counters.  A
 * cell counts what took at most so many ms, and more than the one before.
 * Waiting for delivery takes longer than a call.
 */

#define NGX_HTTP_REFINE_HISTOGRAM(cell, tail, group)                          \
    cell(tail##_1, group, "1")                                                \
    cell(tail##_2, group, "2")                                                \
    cell(tail##_5, group, "5")                                                \
    cell(tail##_10, group, "10")                                              \
    cell(tail##_25, group, "25")                                              \
    cell(tail##_50, group, "50")                                              \
    cell(tail##_100, group, "100")                                            \
    cell(tail##_250, group, "250")                                            \
    cell(tail##_500, group, "500")                                            \
    cell(tail##_1000, group, "1000")                                          \
    cell(tail##_2500, group, "2500")                                          \
    cell(tail##_5000, group, "5000")                                          \
    cell(tail##_10000, group, "10000")                                        \
    cell(tail##_30000, group, "30000")                                        \
    cell(tail##_INF, group, "inf")                                            \
    cell(tail##_SUM, group, "sum")

#define NGX_HTTP_REFINE_HISTOGRAM_LONG(cell, tail, group)                     \
    cell(tail##_100, group, "100")                                            \
    cell(tail##_500, group, "500")                                            \
    cell(tail##_1000, group, "1000")                                          \
    cell(tail##_2500, group, "2500")                                          \
    cell(tail##_5000, group, "5000")                                          \
    cell(tail##_10000, group, "10000")                                        \
    cell(tail##_30000, group, "30000")                                        \
    cell(tail##_60000, group, "60000")                                        \
    cell(tail##_300000, group, "300000")                                      \
    cell(tail##_900000, group, "900000")                                      \
    cell(tail##_3600000, group, "3600000")                                    \
    cell(tail##_21600000, group, "21600000")                                  \
    cell(tail##_86400000, group, "86400000")                                  \
    cell(tail##_604800000, group, "604800000")                                \
    cell(tail##_INF, group, "inf")                                            \
    cell(tail##_SUM, group, "sum")

#define NGX_HTTP_REFINE_HISTOGRAMS(cell)                                      \
    NGX_HTTP_REFINE_HISTOGRAM(cell, STORE_MS, "store_ms")                     \
    NGX_HTTP_REFINE_HISTOGRAM(cell, POST_MS, "post_ms")                       \
    NGX_HTTP_REFINE_HISTOGRAM_LONG(cell, LAG_MS, "lag_ms")


#define NGX_HTTP_REFINE_COUNTER_ENUM(tail, group, name)                       \
    NGX_HTTP_REFINE_##tail,

typedef enum {
    NGX_HTTP_REFINE_COUNTERS(NGX_HTTP_REFINE_COUNTER_ENUM)
    NGX_HTTP_REFINE_HISTOGRAMS(NGX_HTTP_REFINE_COUNTER_ENUM)
    NGX_HTTP_REFINE_COUNTER_MAX
} ngx_http_refine_counter_e;


typedef struct {
    ngx_str_t    group;
    ngx_str_t    name;
    ngx_str_t    field;           /* in the stats hash */
} ngx_http_refine_counter_t;


/* indexed by ngx_http_refine_counter_e */
extern const ngx_http_refine_counter_t
    ngx_http_refine_counters[NGX_HTTP_REFINE_COUNTER_MAX];


/* the bounds in ms, in order; cell number BOUNDS is "inf", the next "sum" */

#define NGX_HTTP_REFINE_HISTOGRAM_BOUNDS  14
#define NGX_HTTP_REFINE_HISTOGRAM_SUM     15

/* of the histogram that begins with this counter */
const int64_t *ngx_http_refine_histogram_bounds(ngx_uint_t first);


#endif /* _NGX_HTTP_REFINE_COUNTER_H_INCLUDED_ */
