
/* Tests for ngx_http_refine_id: what is made, and what is accepted. */

#include "ngx_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "ngx_http_refine_id.h"


#define MANY  100000


static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, NGX_HTTP_REFINE_UUID_LEN);
}


static void
test_uuid7(void **state)
{
    u_char      id[NGX_HTTP_REFINE_UUID_LEN + 1];
    ngx_uint_t  i;

    id[NGX_HTTP_REFINE_UUID_LEN] = '!';

    assert_int_equal(ngx_http_refine_id_uuid7(id, 0x017f22e279b0ULL), NGX_OK);

    assert_memory_equal(id, "017f22e2-79b0-7", 15);
    assert_int_equal(id[NGX_HTTP_REFINE_UUID_LEN], '!');

    for (i = 0; i < NGX_HTTP_REFINE_UUID_LEN; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            assert_int_equal(id[i], '-');
        } else {
            assert_non_null(strchr("0123456789abcdef", id[i]));
        }
    }

    assert_non_null(strchr("89ab", id[19]));

    assert_int_equal(ngx_http_refine_id_uuid7(id, 0), NGX_OK);
    assert_memory_equal(id, "00000000-0000-7", 15);
    assert_int_equal(ngx_http_refine_id_uuid7(id, (1ULL << 48) - 1), NGX_OK);
    assert_memory_equal(id, "ffffffff-ffff-7", 15);
}


static void
test_uuid7_order(void **state)
{
    u_char      id[NGX_HTTP_REFINE_UUID_LEN], last[NGX_HTTP_REFINE_UUID_LEN];
    uint64_t    ms;
    ngx_uint_t  i;

    memset(last, '0', sizeof(last));
    ms = 1700000000000ULL;

    for (i = 0; i < 2000; i++) {
        ms += 1 + i * 7919;
        assert_int_equal(ngx_http_refine_id_uuid7(id, ms), NGX_OK);
        assert_true(memcmp(last, id, sizeof(id)) < 0);
        memcpy(last, id, sizeof(id));
    }
}


static void
test_uuid7_unique(void **state)
{
    u_char      *ids;
    ngx_uint_t   i;

    ids = malloc(MANY * NGX_HTTP_REFINE_UUID_LEN);
    assert_non_null(ids);

    for (i = 0; i < MANY; i++) {
        assert_int_equal(ngx_http_refine_id_uuid7(
                             ids + i * NGX_HTTP_REFINE_UUID_LEN, 1700000000000),
                         NGX_OK);
    }

    qsort(ids, MANY, NGX_HTTP_REFINE_UUID_LEN, compare);

    for (i = 1; i < MANY; i++) {
        assert_int_not_equal(compare(ids + i * NGX_HTTP_REFINE_UUID_LEN,
                                     ids + (i - 1) * NGX_HTTP_REFINE_UUID_LEN),
                             0);
    }

    free(ids);
}


static void
test_cookie(void **state)
{
    u_char      id[NGX_HTTP_REFINE_COOKIE_LEN + 1];
    ngx_str_t   text;
    ngx_uint_t  i, k, seen[256];

    text.data = id;
    text.len = NGX_HTTP_REFINE_COOKIE_LEN;
    memset(seen, 0, sizeof(seen));

    for (i = 0; i < 10000; i++) {
        id[NGX_HTTP_REFINE_COOKIE_LEN] = '!';
        assert_int_equal(ngx_http_refine_id_cookie(id, 'v'), NGX_OK);
        assert_int_equal(id[NGX_HTTP_REFINE_COOKIE_LEN], '!');
        assert_int_equal(ngx_http_refine_id_cookie_check(&text, 'v'), NGX_OK);

        for (k = 2; k < NGX_HTTP_REFINE_COOKIE_LEN; k++) {
            seen[id[k]]++;
        }
    }

    /* 220,000 digits: 3548 of each, give or take nine deviations of 59 */

    for (i = 0, k = 0; i < 256; i++) {
        if (seen[i]) {
            k++;
            assert_in_range(seen[i], 3548 - 530, 3548 + 530);
        }
    }

    assert_int_equal(k, 62);
}


#define declined(check, s)                                                    \
    text.data = (u_char *) s;                                                 \
    text.len = sizeof(s) - 1;                                                 \
    assert_int_equal(check, NGX_DECLINED)

#define accepted(check, s)                                                    \
    text.data = (u_char *) s;                                                 \
    text.len = sizeof(s) - 1;                                                 \
    assert_int_equal(check, NGX_OK)


static void
test_cookie_check(void **state)
{
    ngx_str_t  text;

    accepted(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v_0123456789ABCDabcdYZyz");
    declined(ngx_http_refine_id_cookie_check(&text, 's'),
             "v_0123456789ABCDabcdYZyz");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v-0123456789ABCDabcdYZyz");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v_0123456789ABCDabcdYZy");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v_0123456789ABCDabcdYZyz0");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v_0123456789ABCDabcdYZy-");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'),
             "v_0123456789ABCDabcdYZy\0");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'), "");
    declined(ngx_http_refine_id_cookie_check(&text, 'v'), "v_");
}


static void
test_event_check(void **state)
{
    u_char      c[70];
    ngx_str_t   text;
    ngx_uint_t  i, ok;

    memset(c, 'a', sizeof(c));
    text.data = c;

    for (text.len = 0; text.len < sizeof(c); text.len++) {
        assert_int_equal(ngx_http_refine_id_event_check(&text),
                         (text.len >= 1 && text.len <= 64) ? NGX_OK
                                                           : NGX_DECLINED);
    }

    text.len = 3;

    for (i = 0; i < 256; i++) {
        c[1] = (u_char) i;
        ok = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z')
             || (i >= 'a' && i <= 'z') || i == '_' || i == '-';
        assert_int_equal(ngx_http_refine_id_event_check(&text),
                         ok ? NGX_OK : NGX_DECLINED);
    }
}


static void
test_serve_check(void **state)
{
    u_char      c[140];
    ngx_str_t   text;
    ngx_uint_t  i, ok;

    memset(c, 'a', sizeof(c));
    text.data = c;

    for (text.len = 0; text.len < sizeof(c); text.len++) {
        assert_int_equal(ngx_http_refine_id_serve_check(&text),
                         (text.len >= 1 && text.len <= 128) ? NGX_OK
                                                            : NGX_DECLINED);
    }

    text.len = 3;

    for (i = 0; i < 256; i++) {
        c[1] = (u_char) i;
        ok = i > 0x20 && i < 0x7f && strchr("\"<>&'\\", (int) i) == NULL;
        assert_int_equal(ngx_http_refine_id_serve_check(&text),
                         ok ? NGX_OK : NGX_DECLINED);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_uuid7),
        cmocka_unit_test(test_uuid7_order),
        cmocka_unit_test(test_uuid7_unique),
        cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_cookie_check),
        cmocka_unit_test(test_event_check),
        cmocka_unit_test(test_serve_check),
    };

    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
