
/* Tests for ngx_http_refine_origin: which origins a configuration allows. */

#include "ngx_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "ngx_http_refine_origin.h"


/* in a block of its own size, so that ASan sees its end */

static ngx_str_t
text(const char *s)
{
    ngx_str_t  value;

    value.len = strlen(s);
    value.data = malloc(value.len);
    assert_true(value.len == 0 || value.data != NULL);
    memcpy(value.data, s, value.len);

    return value;
}


static ngx_uint_t
allowed(const char *rule, const char *origin)
{
    ngx_str_t                 value, configured;
    ngx_uint_t                rc;
    ngx_http_refine_origin_t  rules[2];

    configured = text(rule);
    assert_int_equal(ngx_http_refine_origin_rule(&configured, &rules[1]),
                     NGX_OK);

    rules[0] = rules[1];
    ngx_str_set(&rules[0].host, "another.example");
    rules[0].below = 0;

    value = text(origin);
    rc = ngx_http_refine_origin_allowed(&value, rules, 2);

    free(value.data);
    free(configured.data);

    return rc;
}


static ngx_int_t
rule(const char *s)
{
    ngx_int_t                 rc;
    ngx_str_t                 value;
    ngx_http_refine_origin_t  origin;

    value = text(s);
    rc = ngx_http_refine_origin_rule(&value, &origin);
    free(value.data);

    return rc;
}


static void
test_rules(void **state)
{
    ngx_uint_t  i;

    static const char  *good[] = {
        "https://shop.example", "http://shop.example", "HTTPS://Shop.Example",
        "https://shop.example:8443", "https://shop.example:443",
        "https://shop.example:1", "https://shop.example:65535",
        "https://localhost", "https://localhost:3000", "https://127.0.0.1",
        "https://[::1]", "https://[::1]:8080", "https://xn--nxasmq6b.example",
        "https://a_b.example", "https://*.shop.example",
        "https://*.shop.example:8443", "http://*.a.b.c.example",
        "capacitor://localhost", "ionic://localhost"
    };

    static const char  *bad[] = {
        "", "*", "null", "https", "https:", "https://", "https://*",
        "https://*:443", "https://*.", "https://*.com", "https://*.com.",
        "https://*..com",
        "https://.shop.example", "https://*shop.example", "https://*.*.example",
        "https://a.*.example", "https://shop.*", "*.shop.example",
        "https://**.shop.example",
        "*://shop.example", "shop.example", ":/" "/shop.example",
        "ftp://shop.example", "file://shop.example", "htps://shop.example",
        "https:/shop.example", "https/" "/shop.example",
        "https://shop.example/",
        "https://shop.example/path", "https://shop.example?a",
        "https://shop.example#a", "https://user@shop.example",
        "https://user:p@shop.example", "https://shop.example:",
        "https://shop.example:0", "https://shop.example:080",
        "https://shop.example:65536", "https://shop.example:-1",
        "https://shop.example:x", "https://shop.example:1:2",
        "https://shop.example:99999999999999999999", "https://:443",
        "https://[", "https://[]", "https://[::1", "https://[::1]x",
        "https://[::g]", "https://::1", "https://shop example",
        "https://shop.example ", " https://shop.example",
        "https://sh\xc3\xb6p.example", "https://shop.example,https://b.example",
        "https://shop.example\r\n", "https://$host"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(rule(good[i]), NGX_OK);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (rule(bad[i]) != NGX_DECLINED) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
}


static void
test_exact(void **state)
{
    assert_true(allowed("https://shop.example", "https://shop.example"));
    assert_true(allowed("https://shop.example", "https://SHOP.example"));
    assert_true(allowed("HTTPS://SHOP.EXAMPLE", "https://shop.example"));
    assert_true(allowed("https://shop.example", "https://another.example"));

    assert_false(allowed("https://shop.example", "http://shop.example"));
    assert_false(allowed("https://shop.example", "https://shop.example:8443"));
    assert_false(allowed("https://shop.example", "https://a.shop.example"));
    assert_false(allowed("https://shop.example", "https://shop.example."));
    assert_false(allowed("https://shop.example", "https://shop.example.evil"));
    assert_false(allowed("https://shop.example", "https://evilshop.example"));
    assert_false(allowed("https://shop.example", "https://hop.example"));
    assert_false(allowed("https://shop.example", "https://shop.example/"));
    assert_false(allowed("https://shop.example", "https://shop.example#x"));
    assert_false(allowed("https://shop.example", "https://u@shop.example"));
    assert_false(allowed("https://shop.example", "shop.example"));
    assert_false(allowed("https://shop.example", "null"));
    assert_false(allowed("https://shop.example", ""));
    assert_false(allowed("https://shop.example", "*"));
    assert_false(allowed("https://shop.example", "https://"));
    assert_false(allowed("https://shop.example", "https://*"));
    assert_false(allowed("https://shop.example",
                         "https://shop.example https://shop.example"));

    assert_true(allowed("https://[::1]:8080", "https://[::1]:8080"));
    assert_false(allowed("https://[::1]:8080", "https://[::1]"));
    assert_true(allowed("capacitor://localhost", "capacitor://localhost"));
    assert_false(allowed("capacitor://localhost", "https://localhost"));
}


/* a browser leaves out the port that is the scheme's own */

static void
test_ports(void **state)
{
    assert_true(allowed("https://shop.example:443", "https://shop.example"));
    assert_true(allowed("https://shop.example", "https://shop.example:443"));
    assert_true(allowed("http://shop.example:80", "http://shop.example"));
    assert_false(allowed("https://shop.example:80", "https://shop.example"));
    assert_false(allowed("http://shop.example", "http://shop.example:443"));
    assert_true(allowed("https://shop.example:8443",
                        "https://shop.example:8443"));
    assert_false(allowed("https://shop.example:8443",
                         "https://shop.example:844"));
}


static void
test_below(void **state)
{
    assert_true(allowed("https://*.shop.example", "https://a.shop.example"));
    assert_true(allowed("https://*.shop.example", "https://a.b.shop.example"));
    assert_true(allowed("https://*.shop.example", "https://A.Shop.Example"));
    assert_true(allowed("https://*.shop.example:8443",
                        "https://a.shop.example:8443"));

    assert_false(allowed("https://*.shop.example", "https://shop.example"));
    assert_false(allowed("https://*.shop.example", "https://.shop.example"));
    assert_false(allowed("https://*.shop.example", "https://*.shop.example"));
    assert_false(allowed("https://*.shop.example", "https://evilshop.example"));
    assert_false(allowed("https://*.shop.example", "http://a.shop.example"));
    assert_false(allowed("https://*.shop.example",
                         "https://a.shop.example:8443"));
    assert_false(allowed("https://*.shop.example",
                         "https://a.shop.example.evil.example"));
    assert_false(allowed("https://*.shop.example",
                         "https://evil.example/.shop.example"));
    assert_false(allowed("https://*.shop.example",
                         "https://evil.example#.shop.example"));
    assert_false(allowed("https://*.shop.example",
                         "https://evil.example\\.shop.example"));
    assert_false(allowed("https://*.shop.example",
                         "https://u@a.shop.example"));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_below)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
