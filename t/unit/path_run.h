
/*
 * Runs selectors over a text that is cut in some way, and writes down what
 * they find: for the tests of the selectors.
 */


#ifndef _PATH_RUN_H_INCLUDED_
#define _PATH_RUN_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include "ngx_stub.h"
#include "ngx_http_refine_path.h"


#define LOG_SIZE     262144
#define MAX_VALUE    32
#define MAX_PATHS    NGX_HTTP_REFINE_PATH_MAX_SET

#define NO_CUT       ((size_t) -1)
#define EACH_BYTE    ((size_t) -2)
#define RANDOM_CUTS  ((size_t) -3)


typedef struct {
    size_t                        len;
    ngx_uint_t                    stop;         /* after so many values */
    ngx_uint_t                    found;
    ngx_int_t                     rc;
    char                          log[LOG_SIZE];
} test_run_t;


static ngx_pool_t  *test_pool;
static uint32_t     test_seed = 1;


static ngx_uint_t
test_random(ngx_uint_t n)
{
    test_seed = test_seed * 1664525 + 1013904223;

    return (test_seed >> 8) % n;
}


static void
test_log(test_run_t *run, ngx_uint_t selector, ngx_uint_t kind,
    const char *text, size_t len, const char *mark)
{
    static const char  kinds[] = "..}{[ksntf0";

    assert_true(run->len + len + 16 < LOG_SIZE);

    run->log[run->len++] = '0' + selector;
    run->log[run->len++] = kinds[kind];

    if (len) {
        memcpy(run->log + run->len, text, len);
        run->len += len;
    }

    run->len += sprintf(run->log + run->len, "%s ", mark);
    run->log[run->len] = '\0';
}


static ngx_int_t
test_handler(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    test_run_t *run = data;

    if (value->too_long) {
        assert_int_equal(value->text.len, 0);
    }

    test_log(run, selector, value->kind, (char *) value->text.data,
             value->text.len,
             value->too_long ? "(long)" : value->bad ? "(bad)" : "");

    return (++run->found == run->stop) ? NGX_ABORT : NGX_OK;
}


static ngx_int_t
test_feed(ngx_http_refine_path_match_t *m, const char *data, size_t len)
{
    u_char     *copy;
    ngx_int_t   rc;

    copy = malloc(len);
    assert_true(copy != NULL || len == 0);

    if (len) {
        memcpy(copy, data, len);
    }

    rc = ngx_http_refine_path_feed(m, copy, len);
    free(copy);

    return rc;
}


static void
test_match(test_run_t *run, ngx_http_refine_path_set_t *set, const char *data,
    size_t len, size_t cut, ngx_uint_t flags)
{
    size_t                         n;
    ngx_int_t                      rc, end;
    ngx_pool_t                    *pool;
    ngx_http_refine_path_match_t   m;

    run->len = 0;
    run->found = 0;
    run->log[0] = '\0';
    rc = NGX_OK;

    pool = ngx_create_pool(1024, NULL);
    assert_non_null(pool);

    ngx_http_refine_path_init(&m, set, pool, flags, MAX_VALUE, test_handler,
                              run);

    for ( /* void */ ; rc == NGX_OK && len; data += n, len -= n) {

        switch (cut) {

        case NO_CUT:
            n = len;
            break;

        case EACH_BYTE:
            n = 1;
            break;

        case RANDOM_CUTS:
            n = 1 + test_random(40);
            n = ngx_min(n, len);
            break;

        default:
            n = cut ? ngx_min(cut, len) : len;
            cut = 0;
        }

        rc = test_feed(&m, data, n);
    }

    end = ngx_http_refine_path_end(&m);

    if (rc == NGX_ERROR) {
        assert_int_equal(end, NGX_ERROR);
        assert_non_null(m.json.error);
    }

    run->rc = end;

    ngx_destroy_pool(pool);
}


static ngx_http_refine_path_set_t *
test_compile(const char **texts, ngx_uint_t n)
{
    ngx_str_t                    text;
    ngx_uint_t                   i;
    const char                  *error;
    ngx_http_refine_path_t      *paths[MAX_PATHS];
    ngx_http_refine_path_set_t  *set;

    for (i = 0; i < n; i++) {
        text.data = (u_char *) texts[i];
        text.len = strlen(texts[i]);

        error = ngx_http_refine_path_compile(test_pool, &text, &paths[i]);

        if (error != NULL) {
            fail_msg("%s: %s", texts[i], error);
        }
    }

    set = ngx_http_refine_path_set(test_pool, paths, n);
    assert_non_null(set);

    return set;
}


static int
test_setup(void **state)
{
    test_pool = ngx_create_pool(1024, NULL);

    return (test_pool == NULL);
}


static int
test_teardown(void **state)
{
    ngx_destroy_pool(test_pool);

    return 0;
}


#endif /* _PATH_RUN_H_INCLUDED_ */
