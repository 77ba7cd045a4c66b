
/*
 * Tests for ngx_http_refine_trace: labels and their numbers, what is kept of a
 * bucket, and that serves and items are tables of their own.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_trace.h"


#define SERVE  NGX_HTTP_REFINE_TRACE_SERVE
#define ITEM   NGX_HTTP_REFINE_TRACE_ITEM

/* hashes of one bucket: they differ in what no table is that large for */
#define same(n)  ((uint64_t) (n) << 40 | 0x1234567)


static ngx_http_refine_trace_t  *trace;


static int
setup(void **state)
{
    trace = calloc(1, sizeof(ngx_http_refine_trace_t));
    return trace ? 0 : -1;
}


static int
teardown(void **state)
{
    free(trace);
    return 0;
}


static ngx_uint_t
number(const char *a, const char *b)
{
    ngx_str_t  surface, source;

    surface.data = (u_char *) a;
    surface.len = strlen(a);
    source.data = (u_char *) b;
    source.len = strlen(b);

    return ngx_http_refine_trace_number(trace, &surface, &source);
}


static void
is_label(ngx_uint_t n, const char *want, size_t len)
{
    ngx_str_t  label;

    ngx_http_refine_trace_label(trace, n, &label);

    assert_int_equal(label.len, len);
    assert_memory_equal(label.data, want, len);
}


static void
test_labels(void **state)
{
    char        a[66], b[66];
    ngx_str_t   first, again;
    ngx_uint_t  i;

    assert_int_equal(number("page", "text"), 1);
    assert_int_equal(number("pag", "etext"), 2);
    assert_int_equal(number("", ""), 3);
    assert_int_equal(number("page", "text"), 1);

    is_label(1, "page\0text", 10);
    is_label(2, "pag\0etext", 10);
    is_label(3, "\0", 2);

    ngx_http_refine_trace_label(trace, 1, &first);

    memset(a, 'x', 65);
    memset(b, 'y', 65);
    a[64] = '\0';
    b[64] = '\0';
    assert_int_equal(number(a, b), 4);
    ngx_http_refine_trace_label(trace, 4, &again);
    assert_int_equal(again.len, 130);

    /* longer ones are none of an event */

    a[64] = 'x';
    a[65] = '\0';
    assert_int_equal(number(a, b), NGX_HTTP_REFINE_TRACE_OTHER);
    assert_int_equal(number(b, a), NGX_HTTP_REFINE_TRACE_OTHER);

    for (i = 5; i < 200; i++) {
        (void) sprintf(a, "surface %u", (unsigned) i);
        assert_int_equal(number(a, "z"),
                         ngx_min(i, NGX_HTTP_REFINE_TRACE_OTHER));
    }

    assert_int_equal(number("surface 62", "z"), 62);
    is_label(62, "surface 62\0z", 13);
    is_label(NGX_HTTP_REFINE_TRACE_OTHER, "other\0other", 12);

    /* the text stays where it was */

    ngx_http_refine_trace_label(trace, 1, &again);
    assert_ptr_equal(again.data, first.data);
    is_label(1, "page\0text", 10);
}


static void
test_known(void **state)
{
    uint64_t    hash;
    ngx_uint_t  i;

    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, 0), 0);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(1)), 0);

    ngx_http_refine_trace_put(trace, SERVE, same(1), 5);
    ngx_http_refine_trace_put(trace, SERVE, same(2), 6);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(1)), 5);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(2)), 6);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(3)), 0);

    /* a table of its own */

    assert_int_equal(ngx_http_refine_trace_get(trace, ITEM, same(1)), 0);
    ngx_http_refine_trace_put(trace, ITEM, same(1), 63);
    assert_int_equal(ngx_http_refine_trace_get(trace, ITEM, same(1)), 63);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(1)), 5);

    /* the last touch, one place */

    for (i = 0; i < 20; i++) {
        ngx_http_refine_trace_put(trace, ITEM, same(1), 1 + i);
    }

    assert_int_equal(ngx_http_refine_trace_get(trace, ITEM, same(1)), 20);

    for (i = 2; i < 1 + NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        ngx_http_refine_trace_put(trace, ITEM, same(i), 7);
    }

    assert_int_equal(ngx_http_refine_trace_get(trace, ITEM, same(1)), 20);

    /* any hash has a bucket, and the number is not a part of it */

    for (i = 0; i < 64; i++) {
        hash = ~(uint64_t) 0 << i;
        ngx_http_refine_trace_put(trace, SERVE, hash, 9);
        ngx_http_refine_trace_put(trace, ITEM, ~hash, 9);
        assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, hash), 9);
        assert_int_equal(ngx_http_refine_trace_get(trace, ITEM, ~hash), 9);
    }
}


static void
test_oldest(void **state)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        ngx_http_refine_trace_put(trace, SERVE, same(i), 1 + i);
    }

    /* one that is heard of again is the latest again */

    ngx_http_refine_trace_put(trace, SERVE, same(0), 1);
    ngx_http_refine_trace_put(trace, SERVE, same(100), 50);

    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(1)), 0);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(0)), 1);
    assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(100)), 50);

    for (i = 2; i < NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        assert_int_equal(ngx_http_refine_trace_get(trace, SERVE, same(i)),
                         1 + i);
    }
}


/* the table takes about as many as it has places for */

static void
test_many(void **state)
{
    uint64_t    hash;
    ngx_uint_t  i, n, known;

    n = NGX_HTTP_REFINE_TRACE_SERVES * NGX_HTTP_REFINE_TRACE_WAYS / 2;

    for (i = 1, hash = 0; i <= n; i++) {
        hash += 11400714819323198485ULL;
        ngx_http_refine_trace_put(trace, SERVE, hash, 1 + i % 63);
    }

    for (i = 1, hash = 0, known = 0; i <= n; i++) {
        hash += 11400714819323198485ULL;
        known += (ngx_http_refine_trace_get(trace, SERVE, hash) == 1 + i % 63);
    }

    assert_true(known > n - n / 20);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
