
/* The text of an object or array, alike for all cuts of what streams by. */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_capture.h"


#define MAX_TEXT  64


/* a copy, so that a sanitizer sees a read past the end of a chunk */

static u_char *
test_copy(const char *p, size_t len)
{
    u_char  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, p, len);

    return copy;
}


/* step: of the chunks behind the first, which has first bytes */

static void
test_chunks(ngx_http_refine_capture_t *c, ngx_pool_t *pool, const char *json,
    size_t len, size_t first, size_t step)
{
    size_t   n;
    u_char  *copy;

    copy = test_copy(json, first);
    ngx_http_refine_capture_start(c, pool, MAX_TEXT, copy, copy + first);
    free(copy);

    for (json += first, len -= first; len; json += n, len -= n) {
        n = ngx_min(step, len);
        copy = test_copy(json, n);
        ngx_http_refine_capture_feed(c, copy, copy + n);
        free(copy);
    }
}


static void
test_text(const char *json, ngx_int_t rc, const char *expected)
{
    size_t                      len, first, step;
    ngx_str_t                   text;
    ngx_pool_t                 *pool;
    ngx_http_refine_capture_t   c;

    len = strlen(json);

    for (first = 1; first <= len; first++) {
        for (step = 1; step <= 40; step += 13) {
            pool = ngx_create_pool(1024, NULL);
            assert_non_null(pool);

            test_chunks(&c, pool, json, len, first, step);

            if (ngx_http_refine_capture_end(&c, &text) != rc) {
                fail_msg("%s cut at %d", json, (int) first);
            }

            if (rc == NGX_OK) {
                assert_int_equal(text.len, strlen(expected));
                assert_memory_equal(text.data, expected, text.len);
            }

            ngx_destroy_pool(pool);
        }
    }
}


static void
test_complete(void **state)
{
    test_text("{}", NGX_OK, "{}");
    test_text("[],{\"x\":1}", NGX_OK, "[]");
    test_text("{\"a\":[1,{\"b\":[]}]}]}", NGX_OK, "{\"a\":[1,{\"b\":[]}]}");
    test_text("[\"]}\",\"\\\"]\"] ", NGX_OK, "[\"]}\",\"\\\"]\"]");
    test_text("[\"\\\\\"],\"\\\\\"]", NGX_OK, "[\"\\\\\"]");
    test_text("{ \"a\" : 1 }\n", NGX_OK, "{ \"a\" : 1 }");
}


static void
test_incomplete(void **state)
{
    test_text("{", NGX_AGAIN, NULL);
    test_text("[[]", NGX_AGAIN, NULL);
    test_text("[\"]", NGX_AGAIN, NULL);
    test_text("{\"a\":\"\\\"}", NGX_AGAIN, NULL);
}


static void
test_limit(void **state)
{
    char  json[MAX_TEXT + 3];

    memset(json, '1', sizeof(json));

    json[0] = '[';
    json[MAX_TEXT - 1] = ']';
    json[MAX_TEXT] = '\0';
    test_text(json, NGX_OK, json);

    json[MAX_TEXT - 1] = '1';
    json[MAX_TEXT] = ']';
    json[MAX_TEXT + 1] = '\0';
    test_text(json, NGX_DECLINED, NULL);
}


static void
test_memory(void **state)
{
    u_char                     *copy;
    ngx_str_t                   text;
    ngx_pool_t                 *pool;
    ngx_http_refine_capture_t   c;

    static const char           json[] = "[1,2,3]";

    /* filled with zeros, never started */

    ngx_memzero(&c, sizeof(ngx_http_refine_capture_t));
    assert_int_equal(ngx_http_refine_capture_end(&c, &text), NGX_DONE);

    copy = test_copy(json, sizeof(json) - 1);
    ngx_http_refine_capture_feed(&c, copy, copy + sizeof(json) - 1);
    assert_int_equal(ngx_http_refine_capture_end(&c, &text), NGX_DONE);

    pool = ngx_create_pool(1024, NULL);
    assert_non_null(pool);

    ngx_stub_fail_after(1);
    ngx_http_refine_capture_start(&c, pool, MAX_TEXT, copy,
                                  copy + sizeof(json) - 1);
    assert_true(ngx_stub_failed());
    assert_int_equal(ngx_http_refine_capture_end(&c, &text), NGX_DECLINED);

    /* anew */

    ngx_stub_fail_after(0);
    ngx_http_refine_capture_start(&c, pool, MAX_TEXT, copy,
                                  copy + sizeof(json) - 1);
    assert_int_equal(ngx_http_refine_capture_end(&c, &text), NGX_OK);
    assert_int_equal(text.len, sizeof(json) - 1);

    free(copy);
    ngx_destroy_pool(pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
