
/*
 * The lexer, and the selectors on it, against cJSON_Parse of the same text.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_path.h"
#include "rate.h"


#define HEAD  "{\"totalResults\":421,\"results\":["
#define TAIL  "]}"


static ngx_http_refine_path_set_t  *bench_set;
static ngx_pool_t                  *bench_pool;


static char *
bench_word(char *p, ngx_uint_t min, ngx_uint_t max)
{
    *p++ = '"';
    p = rate_letters(p, min, max);
    *p++ = '"';

    return p;
}


/* products with a description each: what a search API answers */

static char *
bench_long(char *p, ngx_uint_t i)
{
    ngx_uint_t  n;

    p += sprintf(p, "%s{\"productId\":\"sku-%lu\",\"description\":\"",
                 i ? "," : "", (unsigned long) i);

    for (n = 1000 + rate_random(1000); n; n--) {
        *p++ = (n % 7) ? 'a' + rate_random(26) : ' ';
    }

    return p + sprintf(p, "\"}");
}


/* the same small products over and over, as a short list is */

static char *
bench_small(char *p, ngx_uint_t i)
{
    return p + sprintf(p, "%s{\"productId\":\"sku-%03lu\",\"price\":12.50,"
                       "\"stock\":17,\"sale\":false,\"tags\":[\"a\",\"bc\"],"
                       "\"brand\":{\"id\":7,\"name\":\"Acme\"}}",
                       i ? "," : "", (unsigned long) i % 1000);
}


static char *
bench_value(char *p, ngx_uint_t depth)
{
    ngx_uint_t  i, n;

    switch (rate_random(depth < 5 ? 9 : 7)) {

    case 0:
    case 1:
        return bench_word(p, 1, 14);

    case 2:
    case 3:
        return p + sprintf(p, "%lu", (unsigned long) rate_random(100000));

    case 4:
        p += sprintf(p, "-%lu", (unsigned long) rate_random(1000));
        p += sprintf(p, ".%02lu", (unsigned long) rate_random(100));

        return p + sprintf(p, "e%lu", (unsigned long) rate_random(9));

    case 5:
        return p + sprintf(p, "%s", rate_random(2) ? "true" : "false");

    case 6:
        return p + sprintf(p, "null");

    case 7:
        *p++ = '[';

        for (n = rate_random(6), i = 0; i < n; i++) {
            if (i) {
                *p++ = ',';
            }

            p = bench_value(p, depth + 1);
        }

        *p++ = ']';

        return p;

    default:
        *p++ = '{';

        for (n = rate_random(6), i = 0; i < n; i++) {
            if (i) {
                *p++ = ',';
            }

            p = bench_word(p, 1, 10);
            *p++ = ':';
            p = bench_value(p, depth + 1);
        }

        *p++ = '}';

        return p;
    }
}


/* nothing repeats, so that the branch predictor learns nothing by heart */

static char *
bench_dense(char *p, ngx_uint_t i)
{
    p += sprintf(p, "%s{\"a\":", i ? "," : "");
    p = bench_value(p, 0);
    p += sprintf(p, ",\"productId\":");
    p = bench_word(p, 3, 12);
    p += sprintf(p, ",\"b\":");
    p = bench_value(p, 0);
    *p++ = '}';

    return p;
}


static size_t
bench_cjson(char *text, size_t len)
{
    cJSON  *json;

    json = cJSON_Parse(text);
    cJSON_Delete(json);

    return json != NULL;
}


static size_t
bench_check(char *text, size_t len)
{
    size_t                  n;
    ngx_http_refine_json_t  json;

    ngx_http_refine_json_init(&json, 64, NGX_HTTP_REFINE_JSON_QUIET);

    for ( /* void */ ; len; len -= n, text += n) {
        n = ngx_min(len, RATE_CHUNK);
        ngx_http_refine_json_input(&json, (u_char *) text, n);
        (void) ngx_http_refine_json_next(&json);
    }

    return ngx_http_refine_json_end(&json) == NGX_OK;
}


static ngx_int_t
bench_handler(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    size_t  *found = data;

    (*found)++;

    return NGX_OK;
}


static size_t
bench_match(char *text, size_t len)
{
    size_t                         n, found;
    ngx_http_refine_path_match_t   m;

    found = 0;
    ngx_http_refine_path_init(&m, bench_set, bench_pool, 0, 256,
                              bench_handler, &found);

    for ( /* void */ ; len; len -= n, text += n) {
        n = ngx_min(len, RATE_CHUNK);
        (void) ngx_http_refine_path_feed(&m, (u_char *) text, n);
    }

    return ngx_http_refine_path_end(&m) == NGX_OK ? found : 0;
}


static ngx_int_t
bench_compile(void)
{
    ngx_uint_t               i;
    ngx_http_refine_path_t  *paths[2];

    static ngx_str_t  texts[] = { ngx_string("results[].productId"),
                                  ngx_string("totalResults") };

    bench_pool = ngx_create_pool(4096, NULL);
    if (bench_pool == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < 2; i++) {
        if (ngx_http_refine_path_compile(bench_pool, &texts[i], &paths[i])) {
            return NGX_ERROR;
        }
    }

    bench_set = ngx_http_refine_path_set(bench_pool, paths, 2);
    if (bench_set == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    static const char        *names[] = { "cJSON", "lexer", "selectors" };
    static const rate_pt      runs[] = { bench_cjson, bench_check,
                                         bench_match };
    static const rate_text_t  texts[] = {
        { "long strings", 200000, HEAD, bench_long, TAIL },
        { "dense, small", 20000, HEAD, bench_small, TAIL },
        { "dense, random", 950000, HEAD, bench_dense, TAIL }
    };

    if (bench_compile() != NGX_OK) {
        return 1;
    }

    rate_init(argc, argv, names, 3);

    for (i = 0; i < 3; i++) {
        rate_print(&texts[i], runs, 3, 0);
    }

    ngx_destroy_pool(bench_pool);

    return 0;
}
