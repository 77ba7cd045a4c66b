
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_counter.h"


/* sizeof(group) is 1 for "": a counter of the top level */

#define NGX_HTTP_REFINE_COUNTER_ROW(tail, group, name)                        \
    { ngx_string(group), ngx_string(name),                                    \
      { sizeof(group) == 1 ? sizeof(name) - 1                                 \
                           : sizeof(group ":" name) - 1,                      \
        (u_char *) (sizeof(group) == 1 ? name : group ":" name) } },


const ngx_http_refine_counter_t
    ngx_http_refine_counters[NGX_HTTP_REFINE_COUNTER_MAX] =
{
    NGX_HTTP_REFINE_COUNTERS(NGX_HTTP_REFINE_COUNTER_ROW)
    NGX_HTTP_REFINE_HISTOGRAMS(NGX_HTTP_REFINE_COUNTER_ROW)
};


static const int64_t
    ngx_http_refine_histogram_short[NGX_HTTP_REFINE_HISTOGRAM_BOUNDS] =
{
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000
};


static const int64_t
    ngx_http_refine_histogram_long[NGX_HTTP_REFINE_HISTOGRAM_BOUNDS] =
{
    100, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000,
    21600000, 86400000, 604800000
};


const int64_t *
ngx_http_refine_histogram_bounds(ngx_uint_t first)
{
    return (first == NGX_HTTP_REFINE_LAG_MS_100)
           ? ngx_http_refine_histogram_long
           : ngx_http_refine_histogram_short;
}
