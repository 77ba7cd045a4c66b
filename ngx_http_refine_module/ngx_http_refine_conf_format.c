
/*
 * The documented shapes of the responses of search products.  Where one request
 * carries several searches the first of them is the serve: its places are those
 * that its own list has on the page, and what follows is as often suggestions,
 * categories, or counts of facets.
 */


#include "ngx_http_refine_conf_serve.h"


#define NGX_HTTP_REFINE_FORMAT_VALUES  (NGX_HTTP_REFINE_SERVE_ID + 1)


typedef struct {
    ngx_str_t    name;
    const char  *texts[NGX_HTTP_REFINE_FORMAT_VALUES];
} ngx_http_refine_conf_format_t;


/*
 * A number, or since 7.0 an object.  A search of a multi-search that failed has
 * an error in the place of its hits, while the status of the whole is 200.
 */

#define NGX_HTTP_REFINE_FORMAT_ELASTIC                                        \
    { NULL, NULL,                                                             \
      "json:hits.hits[]._id|json:responses[0].hits.hits[]._id",               \
      "json:hits.total.value|json:hits.total"                                 \
      "|json:responses[0].hits.total.value|json:responses[0].hits.total",     \
      NULL, NULL }


static const ngx_http_refine_conf_format_t  ngx_http_refine_conf_formats[] = {

    /* queryID is there with clickAnalytics */

    { ngx_string("algolia"),
      { NULL, NULL,
        "json:hits[].objectID|json:results[0].hits[].objectID",
        "json:nbHits|json:results[0].nbHits",
        "json:query|json:results[0].query",
        "json:queryID|json:results[0].queryID" } },

    { ngx_string("elasticsearch"), NGX_HTTP_REFINE_FORMAT_ELASTIC },

    { ngx_string("opensearch"), NGX_HTTP_REFINE_FORMAT_ELASTIC },

    /* suggest.json: how many there are in all is not said */

    { ngx_string("shopify"),
      { NULL, NULL,
        "json:resources.results.products[].id", "", NULL, NULL } },

    /* with group_by the hits are in groups; union has its own parameters */

    { ngx_string("typesense"),
      { NULL, NULL,
        "json:hits[].document.id|json:grouped_hits[].hits[].document.id"
        "|json:results[0].hits[].document.id"
        "|json:results[0].grouped_hits[].hits[].document.id",
        "json:found|json:results[0].found",
        "json:request_params.q|json:results[0].request_params.q"
        "|json:union_request_params[0].q",
        NULL } },

    /* totalHits is there with page and hitsPerPage */

    { ngx_string("meilisearch"),
      { NULL, NULL,
        "json:hits[].id|json:results[0].hits[].id",
        "json:totalHits|json:estimatedTotalHits"
        "|json:results[0].totalHits|json:results[0].estimatedTotalHits",
        "json:query|json:results[0].query",
        NULL } }
};


const char *const *
ngx_http_refine_conf_format(ngx_str_t *name)
{
    ngx_uint_t        i, n;
    const ngx_str_t  *known;

    n = sizeof(ngx_http_refine_conf_formats)
        / sizeof(ngx_http_refine_conf_formats[0]);

    for (i = 0; i < n; i++) {
        known = &ngx_http_refine_conf_formats[i].name;

        if (name->len == known->len
            && ngx_memcmp(name->data, known->data, known->len) == 0)
        {
            return ngx_http_refine_conf_formats[i].texts;
        }
    }

    return NULL;
}
