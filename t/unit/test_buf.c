
/* Tests for ngx_http_refine_buf: bounds, JSON strings, numbers. */

#include "ngx_stub.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_counter.h"
#include "ngx_http_refine_set.h"


static ngx_pool_t             *pool;
static ngx_http_refine_buf_t   buf;


static int
setup(void **state)
{
    ngx_stub_fail_after(0);
    pool = ngx_create_pool(4096, NULL);
    assert_int_equal(ngx_http_refine_buf_init(&buf, pool, 0, 1 << 20), NGX_OK);
    return pool == NULL;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(pool);
    return 0;
}


static void
check(const char *expected, size_t len)
{
    assert_false(buf.failed);
    assert_int_equal(ngx_http_refine_buf_size(&buf), len);

    if (len) {
        assert_memory_equal(buf.start, expected, len);
    }

    ngx_http_refine_buf_reset(&buf);
}


/* the input is copied, so that a read past its end is seen */

static void
json(const void *text, size_t len)
{
    u_char  *p;

    p = ngx_pnalloc(pool, len);
    memcpy(p, text, len);
    ngx_http_refine_buf_json(&buf, p, len);
    ngx_pfree(pool, p);
}


#define check_json(text, expected)                                            \
    json(text, sizeof(text) - 1);                                             \
    check("\"" expected "\"", sizeof(expected) + 1)


static void
test_append(void **state)
{
    ngx_uint_t  i;

    check("", 0);
    ngx_http_refine_buf_append(&buf, NULL, 0);
    check("", 0);

    for (i = 0; i < 1000; i++) {
        ngx_http_refine_buf_lit(&buf, "abc");
    }

    assert_int_equal(ngx_http_refine_buf_size(&buf), 3000);
    assert_memory_equal(buf.start + 2994, "abcabc", 6);

    ngx_http_refine_buf_free(&buf);
    assert_null(buf.start);

    ngx_http_refine_buf_lit(&buf, "x");
    check("x", 1);

    assert_int_equal(ngx_http_refine_buf_reserve(&buf, 5000), NGX_OK);
    memset(buf.pos, 'y', 5000);
    buf.pos += 5000;
    assert_int_equal(ngx_http_refine_buf_size(&buf), 5000);
}


static void
test_max(void **state)
{
    ngx_uint_t  i;

    assert_int_equal(ngx_http_refine_buf_init(&buf, pool, 4096, 100), NGX_OK);

    for (i = 0; i < 10; i++) {
        ngx_http_refine_buf_lit(&buf, "0123456789");
        assert_false(buf.failed);
    }

    ngx_http_refine_buf_lit(&buf, "x");
    assert_true(buf.failed);
    assert_int_equal(ngx_http_refine_buf_size(&buf), 100);

    /* it stays so */

    ngx_http_refine_buf_append(&buf, NULL, 0);
    ngx_http_refine_buf_int(&buf, 1);
    ngx_http_refine_buf_double(&buf, 1.5);
    ngx_http_refine_buf_json(&buf, (u_char *) "a", 1);
    assert_int_equal(ngx_http_refine_buf_reserve(&buf, 0), NGX_ERROR);
    assert_int_equal(ngx_http_refine_buf_size(&buf), 100);
    assert_true(buf.failed);

    ngx_http_refine_buf_reset(&buf);
    assert_int_equal(ngx_http_refine_buf_reserve(&buf, SIZE_MAX), NGX_ERROR);

    /* exactly full: two quotes and an escape of six */

    assert_int_equal(ngx_http_refine_buf_init(&buf, pool, 0, 8), NGX_OK);
    ngx_http_refine_buf_json(&buf, (u_char *) "\001", 1);
    check("\"\\u0001\"", 8);

    assert_int_equal(ngx_http_refine_buf_init(&buf, pool, 0, 7), NGX_OK);
    ngx_http_refine_buf_json(&buf, (u_char *) "\001", 1);
    assert_true(buf.failed);
}


static void
test_no_memory(void **state)
{
    ngx_uint_t  i, n;

    for (n = 1; /* void */ ; n++) {
        ngx_stub_fail_after(n);

        (void) ngx_http_refine_buf_init(&buf, pool, 10, 1 << 20);

        for (i = 0; i < 100; i++) {
            ngx_http_refine_buf_lit(&buf, "0123456789");
            ngx_http_refine_buf_json(&buf, (u_char *) "\001\377\"", 3);
        }

        if (!ngx_stub_failed()) {
            break;
        }

        assert_true(buf.failed);
        ngx_http_refine_buf_free(&buf);
    }

    assert_true(n > 3);
    assert_false(buf.failed);
}


static void
check_int(int64_t n)
{
    int   len;
    char  text[32];

    len = snprintf(text, sizeof(text), "%lld", (long long) n);

    ngx_http_refine_buf_int(&buf, n);
    check(text, len);
}


static void
test_int(void **state)
{
    int64_t  n;

    ngx_http_refine_buf_int(&buf, 0);
    check("0", 1);
    ngx_http_refine_buf_int(&buf, -1);
    check("-1", 2);
    ngx_http_refine_buf_int(&buf, INT64_MAX);
    check("9223372036854775807", 19);
    ngx_http_refine_buf_int(&buf, INT64_MIN);
    check("-9223372036854775808", 20);

    for (n = 0; n < 10000; n++) {
        check_int(n);
    }

    for (n = 10; n < INT64_MAX / 10; n *= 10) {
        check_int(n - 1);
        check_int(n);
        check_int(-n - 1);
    }
}


#define check_double(d, expected)                                             \
    ngx_http_refine_buf_double(&buf, d);                                      \
    check(expected, sizeof(expected) - 1)


static void
test_double(void **state)
{
    check_double(0.0, "0");
    check_double(-0.0, "0");
    check_double(1.0, "1");
    check_double(-3.0, "-3");
    check_double(0.1, "0.1");
    check_double(149.99, "149.99");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(999999999999999.0, "999999999999999");
    check_double(-999999999999999.0, "-999999999999999");
    check_double(1e15, "1e+15");
    check_double(1e22, "1e+22");
    check_double(5e-324, "4.94065645841247e-324");
    check_double(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_double(-1.7976931348623157e308, "-1.7976931348623157e+308");
    check_double(INFINITY, "null");
    check_double(NAN, "null");
}


static void
test_double_random(void **state)
{
    char        text[64];
    size_t      len;
    double      d;
    uint64_t    seed;
    ngx_uint_t  i;

    seed = 88172645463325252ULL;

    for (i = 0; i < 100000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;

        memcpy(&d, &seed, sizeof(d));

        if (i & 1) {
            d = (double) (seed >> 40) / 100;
        }

        if (!isfinite(d)) {
            continue;
        }

        ngx_http_refine_buf_double(&buf, d);

        len = ngx_http_refine_buf_size(&buf);
        assert_in_range(len, 1, 24);
        memcpy(text, buf.start, len);
        text[len] = '\0';

        assert_true(strtod(text, NULL) == d);
        ngx_http_refine_buf_reset(&buf);
    }
}


static void
test_json_bytes(void **state)
{
    char        expected[16];
    u_char      text[3];
    ngx_uint_t  c;

    for (c = 0; c < 256; c++) {
        text[0] = 'a';
        text[1] = (u_char) c;
        text[2] = 'z';

        switch (c) {
        case '"': strcpy(expected, "\"a\\\"z\""); break;
        case '\\': strcpy(expected, "\"a\\\\z\""); break;
        case '\b': strcpy(expected, "\"a\\bz\""); break;
        case '\f': strcpy(expected, "\"a\\fz\""); break;
        case '\n': strcpy(expected, "\"a\\nz\""); break;
        case '\r': strcpy(expected, "\"a\\rz\""); break;
        case '\t': strcpy(expected, "\"a\\tz\""); break;
        default:
            if (c < 0x20) {
                sprintf(expected, "\"a\\u%04xz\"", (unsigned) c);
            } else if (c < 0x80) {
                sprintf(expected, "\"a%cz\"", (int) c);
            } else {
                strcpy(expected, "\"a\xef\xbf\xbdz\"");
            }
        }

        json(text, 3);
        check(expected, strlen(expected));
    }
}


#define BAD  "\xef\xbf\xbd"

static void
test_json_utf8(void **state)
{
    check_json("", "");
    check_json("\xc3\xa4", "\xc3\xa4");
    check_json("\xe2\x82\xac", "\xe2\x82\xac");
    check_json("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
    check_json("\xef\xbf\xbf", "\xef\xbf\xbf");
    check_json("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
    check_json("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");

    check_json("\xc3", BAD);
    check_json("\xc3(", BAD "(");
    check_json("\xe2\x82", BAD BAD);
    check_json("\xe2\x82\"", BAD BAD "\\\"");
    check_json("\xf0\x9f\x98", BAD BAD BAD);
    check_json("\x80", BAD);
    check_json("\xc0\xaf", BAD BAD);
    check_json("\xc1\xbf", BAD BAD);
    check_json("\xe0\x9f\xbf", BAD BAD BAD);
    check_json("\xed\xa0\x80", BAD BAD BAD);
    check_json("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD);
    check_json("\xf4\x90\x80\x80", BAD BAD BAD BAD);
    check_json("\xf5\x80\x80\x80", BAD BAD BAD BAD);
    check_json("\xff\xfe", BAD BAD);
}


/* every place of a special byte against blocks of 16 */

static void
test_json_places(void **state)
{
    u_char       text[70];
    cJSON       *value;
    ngx_uint_t   len, at;

    for (len = 1; len < 70; len++) {
        for (at = 0; at < len; at++) {
            memset(text, 'a', sizeof(text));
            text[at] = (at & 1) ? '"' : '\001';

            json(text, len);
            ngx_http_refine_buf_append(&buf, "", 1);

            value = cJSON_Parse((char *) buf.start);
            assert_non_null(value);
            assert_int_equal(strlen(value->valuestring), len);
            assert_memory_equal(value->valuestring, text, len);

            cJSON_Delete(value);
            ngx_http_refine_buf_reset(&buf);
        }
    }
}


static void
test_counters(void **state)
{
    char                              field[64];
    ngx_uint_t                        i, k;
    const ngx_http_refine_counter_t  *c, *other;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        c = &ngx_http_refine_counters[i];

        sprintf(field, "%.*s%s%.*s", (int) c->group.len,
                (char *) c->group.data, c->group.len ? ":" : "",
                (int) c->name.len, (char *) c->name.data);

        assert_int_equal(c->field.len, strlen(field));
        assert_memory_equal(c->field.data, field, c->field.len);

        for (k = 0; k < i; k++) {
            other = &ngx_http_refine_counters[k];
            assert_false(other->field.len == c->field.len
                         && memcmp(other->field.data, c->field.data,
                                   c->field.len) == 0);
        }
    }

    c = &ngx_http_refine_counters[NGX_HTTP_REFINE_REJECTED_DUPLICATE];
    assert_string_equal((char *) c->field.data, "rejected:duplicate_field");
}


static void
test_set(void **state)
{
    char                   text[2000][8];
    ngx_uint_t             i, max;
    ngx_http_refine_set_t  set;

    for (max = 1; max <= 2000; max = max * 3 + 1) {
        assert_int_equal(ngx_http_refine_set_init(&set, pool, max), NGX_OK);

        for (i = 0; i < max; i++) {
            sprintf(text[i], "%u", (unsigned) i);
            assert_int_equal(ngx_http_refine_set_add(&set, (u_char *) text[i],
                                                     strlen(text[i])),
                             NGX_OK);
        }

        for (i = 0; i < max; i++) {
            assert_int_equal(ngx_http_refine_set_add(&set, (u_char *) text[i],
                                                     strlen(text[i])),
                             NGX_DECLINED);
        }

        assert_int_equal(set.nstrings, max);
    }

    for (i = 1; i <= 2; i++) {
        ngx_stub_fail_after(i);
        assert_int_equal(ngx_http_refine_set_init(&set, pool, 17), NGX_ERROR);
    }

    ngx_stub_fail_after(1);
    assert_int_equal(ngx_http_refine_set_init(&set, pool, 16), NGX_OK);
}


/* beyond the number that was given it grows; no memory leaves it as it was */

static void
test_set_grows(void **state)
{
    char                   text[2000][12];
    ngx_int_t              rc;
    ngx_uint_t             i, max;
    ngx_http_refine_set_t  set;

    for (max = 0; max <= 40; max += 20) {
        ngx_stub_fail_after(0);
        assert_int_equal(ngx_http_refine_set_init(&set, pool, max), NGX_OK);

        for (i = 0; i < 2000; i++) {
            sprintf(text[i], "%u", (unsigned) i * 7919);

            ngx_stub_fail_after(1 + i % 2);

            do {
                rc = ngx_http_refine_set_add(&set, (u_char *) text[i],
                                             strlen(text[i]));
            } while (rc == NGX_ERROR);

            assert_int_equal(rc, NGX_OK);
            assert_int_equal(ngx_http_refine_set_add(&set,
                                                     (u_char *) text[i / 2],
                                                     strlen(text[i / 2])),
                             NGX_DECLINED);
        }

        assert_int_equal(set.nstrings, 2000);

        for (i = 0; i < 2000; i++) {
            assert_ptr_equal(set.strings[i].data, text[i]);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_append, setup, teardown),
        cmocka_unit_test_setup_teardown(test_max, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_int, setup, teardown),
        cmocka_unit_test_setup_teardown(test_double, setup, teardown),
        cmocka_unit_test_setup_teardown(test_double_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_grows, setup, teardown),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
