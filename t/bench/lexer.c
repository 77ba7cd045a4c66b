
/*
 * How fast the lexer and the selectors read, against cJSON_Parse of the same
 * data, in alternation: GB/s and the ratio, medians of the rounds.
 *
 *     lexer [rounds] [milliseconds of a measurement]
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <cjson/cJSON.h>
#include <time.h>
#include "ngx_http_refine_path.h"


#define BENCH_CHUNK       4096
#define BENCH_MAX_ROUNDS  99


typedef size_t (*bench_pt)(char *text, size_t len);


typedef struct {
    const char  *name;
    char        *text;
    size_t       len;
    size_t       found;
} bench_data_t;


static ngx_http_refine_path_set_t  *bench_set;
static ngx_pool_t                  *bench_pool;
static uint64_t                     bench_seed = 88172645463325252ULL;
static double                       bench_seconds = 0.1;


static ngx_uint_t
bench_random(ngx_uint_t n)
{
    bench_seed ^= bench_seed << 13;
    bench_seed ^= bench_seed >> 7;
    bench_seed ^= bench_seed << 17;

    return bench_seed % n;
}


static char *
bench_word(char *p, ngx_uint_t min, ngx_uint_t max)
{
    ngx_uint_t  n;

    *p++ = '"';

    for (n = min + bench_random(max - min + 1); n; n--) {
        *p++ = 'a' + bench_random(26);
    }

    *p++ = '"';

    return p;
}


/* products with a description each: what a search API answers */

static char *
bench_long(char *p, size_t size)
{
    char        *last;
    ngx_uint_t   i, n;

    last = p + size;
    p += sprintf(p, "{\"totalResults\":421,\"results\":[");

    for (i = 0; p < last; i++) {
        p += sprintf(p, "%s{\"productId\":\"sku-%lu\",\"description\":\"",
                     i ? "," : "", (unsigned long) i);

        for (n = 1000 + bench_random(1000); n; n--) {
            *p++ = (n % 7) ? 'a' + bench_random(26) : ' ';
        }

        p += sprintf(p, "\"}");
    }

    p += sprintf(p, "]}");

    return p;
}


/* the same small products over and over, as a short list is */

static char *
bench_small(char *p, size_t size)
{
    char        *last;
    ngx_uint_t   i;

    last = p + size;
    p += sprintf(p, "{\"totalResults\":421,\"results\":[");

    for (i = 0; p < last; i++) {
        p += sprintf(p, "%s{\"productId\":\"sku-%03lu\",\"price\":12.50,"
                     "\"stock\":17,\"sale\":false,\"tags\":[\"a\",\"bc\"],"
                     "\"brand\":{\"id\":7,\"name\":\"Acme\"}}",
                     i ? "," : "", (unsigned long) i % 1000);
    }

    p += sprintf(p, "]}");

    return p;
}


static char *
bench_value(char *p, ngx_uint_t depth)
{
    ngx_uint_t  i, n;

    switch (bench_random(depth < 5 ? 9 : 7)) {

    case 0:
    case 1:
        return bench_word(p, 1, 14);

    case 2:
    case 3:
        return p + sprintf(p, "%lu", (unsigned long) bench_random(100000));

    case 4:
        p += sprintf(p, "-%lu", (unsigned long) bench_random(1000));
        p += sprintf(p, ".%02lu", (unsigned long) bench_random(100));

        return p + sprintf(p, "e%lu", (unsigned long) bench_random(9));

    case 5:
        return p + sprintf(p, "%s", bench_random(2) ? "true" : "false");

    case 6:
        return p + sprintf(p, "null");

    case 7:
        *p++ = '[';

        for (n = bench_random(6), i = 0; i < n; i++) {
            if (i) {
                *p++ = ',';
            }

            p = bench_value(p, depth + 1);
        }

        *p++ = ']';

        return p;

    default:
        *p++ = '{';

        for (n = bench_random(6), i = 0; i < n; i++) {
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
bench_dense(char *p, size_t size)
{
    char        *last;
    ngx_uint_t   i;

    last = p + size;
    p += sprintf(p, "{\"totalResults\":421,\"results\":[");

    for (i = 0; p < last; i++) {
        p += sprintf(p, "%s{\"a\":", i ? "," : "");
        p = bench_value(p, 0);
        p += sprintf(p, ",\"productId\":");
        p = bench_word(p, 3, 12);
        p += sprintf(p, ",\"b\":");
        p = bench_value(p, 0);
        *p++ = '}';
    }

    p += sprintf(p, "]}");

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
        n = ngx_min(len, BENCH_CHUNK);
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
        n = ngx_min(len, BENCH_CHUNK);
        (void) ngx_http_refine_path_feed(&m, (u_char *) text, n);
    }

    return ngx_http_refine_path_end(&m) == NGX_OK ? found : 0;
}


static double
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* GB/s over bench_seconds of CPU time */

static double
bench_run(bench_pt run, bench_data_t *data)
{
    double  start, now, bytes;

    bytes = 0;
    start = bench_now();

    do {
        data->found = run(data->text, data->len);

        if (data->found == 0) {
            fprintf(stderr, "%s: refused\n", data->name);
            exit(1);
        }

        bytes += data->len;
        now = bench_now();

    } while (now - start < bench_seconds);

    return bytes / (now - start) / 1e9;
}


static int
bench_compare(const void *one, const void *two)
{
    double  a = *(double *) one, b = *(double *) two;

    return (a > b) - (a < b);
}


static double
bench_median(double *values, ngx_uint_t n)
{
    qsort(values, n, sizeof(double), bench_compare);

    return values[n / 2];
}


static void
bench_print(bench_data_t *data, ngx_uint_t rounds)
{
    double      speed[3][BENCH_MAX_ROUNDS], ratio[3][BENCH_MAX_ROUNDS];
    ngx_uint_t  i, k;

    static const bench_pt  runs[] = { bench_cjson, bench_check, bench_match };

    for (i = 0; i < rounds; i++) {
        for (k = 0; k < 3; k++) {
            speed[k][i] = bench_run(runs[k], data);
            ratio[k][i] = speed[k][i] / speed[0][i];
        }
    }

    printf("%-22s %7lu KB  %6.2f   %6.2f %6.1fx   %6.2f %6.1fx  (%lu found)\n",
           data->name, (unsigned long) data->len / 1000,
           bench_median(speed[0], rounds),
           bench_median(speed[1], rounds), bench_median(ratio[1], rounds),
           bench_median(speed[2], rounds), bench_median(ratio[2], rounds),
           (unsigned long) data->found);
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
    char        *p;
    ngx_uint_t   i, rounds;

    bench_data_t  data[] = { { "long strings", NULL, 200000, 0 },
                             { "dense, small", NULL, 20000, 0 },
                             { "dense, random", NULL, 950000, 0 } };

    char *(*make[])(char *p, size_t size) = { bench_long, bench_small,
                                              bench_dense };

    rounds = (argc > 1) ? strtoul(argv[1], NULL, 10) : 9;
    rounds = ngx_max(1, ngx_min(rounds, BENCH_MAX_ROUNDS));

    if (argc > 2) {
        bench_seconds = strtod(argv[2], NULL) / 1000;
    }

    if (bench_compile() != NGX_OK) {
        return 1;
    }

    printf("GB/s by CPU time, chunks of %d bytes, %lu rounds\n"
           "%-22s %10s  %6s   %14s   %14s\n", BENCH_CHUNK,
           (unsigned long) rounds, "", "", "cJSON", "lexer", "selectors");

    for (i = 0; i < 3; i++) {

        /* twice the size: a random value may run past its end */

        p = malloc(data[i].len * 2 + 1000000);
        if (p == NULL) {
            return 1;
        }

        data[i].text = p;
        p = make[i](p, data[i].len);
        *p = '\0';
        data[i].len = p - data[i].text;

        bench_print(&data[i], rounds);
        free(data[i].text);
    }

    ngx_destroy_pool(bench_pool);

    return 0;
}
