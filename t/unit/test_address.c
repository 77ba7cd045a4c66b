
/* Tests for ngx_http_refine_address: what is stored of a client's address. */

#include "ngx_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "ngx_http_refine_address.h"


static void
expect(const char *text, const char *whole, const char *cut)
{
    size_t      len;
    u_char      dst[NGX_HTTP_REFINE_ADDRESS_LEN];
    ngx_str_t   value;
    ngx_uint_t  i;
    const char  *expected;

    value.len = strlen(text);
    value.data = malloc(value.len);
    assert_true(value.len == 0 || value.data != NULL);
    memcpy(value.data, text, value.len);

    for (i = 0; i < 2; i++) {
        expected = i ? cut : whole;

        len = ngx_http_refine_address_copy(dst, &value, i);

        assert_int_equal(len, expected ? strlen(expected) : 0);
        if (len) {
            assert_memory_equal(dst, expected, len);
        }
    }

    free(value.data);
}


static void
test_ipv4(void **state)
{
    expect("192.0.2.17", "192.0.2.17", "192.0.2.0");
    expect("0.0.0.0", "0.0.0.0", "0.0.0.0");
    expect("1.2.3.4", "1.2.3.4", "1.2.3.0");
    expect("255.255.255.255", "255.255.255.255", "255.255.255.0");
    expect("100.10.99.101", "100.10.99.101", "100.10.99.0");
    expect("::ffff:192.0.2.17", "192.0.2.17", "192.0.2.0");
    expect("::FFFF:c000:211", "192.0.2.17", "192.0.2.0");
}


static void
test_ipv6(void **state)
{
    expect("::1", "::1", "::");
    expect("2001:db8:a:b:c:d:e:f", "2001:db8:a:b:c:d:e:f", "2001:db8:a::");
    expect("2001:DB8::F", "2001:db8::f", "2001:db8::");
    expect("fe80:0:0:0:0:0:0:1", "fe80::1", "fe80::");
    expect("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff::");
}


static void
test_none(void **state)
{
    ngx_uint_t  i;

    static const char  *bad[] = {
        "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ",
        " 1.2.3.4", "1.2.3.4/32", "1.2.3.4:80", "1.2.3.-4", "a.b.c.d",
        "localhost", "[::1]", "::1%lo", ":::", "1:2:3", "::g", "unix:",
        "1.2.3.4\n", "1111:2222:3333:4444:5555:6666:7777:8888:9999",
        "                                                              1.2.3.4"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect(bad[i], NULL, NULL);
    }
}


/* what precedes a NUL is no address */

static void
test_nul(void **state)
{
    u_char     dst[NGX_HTTP_REFINE_ADDRESS_LEN];
    ngx_str_t  value = ngx_string("1.2.3.4\0" "5");

    assert_int_equal(ngx_http_refine_address_copy(dst, &value, 0), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_nul)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
