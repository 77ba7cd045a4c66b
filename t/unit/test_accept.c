
/*
 * Tests for ngx_http_refine_accept: what is preferred, and headers that are
 * broken.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_accept.h"


#define JSON  0
#define TEXT  1
#define HTML  2
#define NONE  3


static const ngx_http_refine_accept_t  offered[] = {
    { ngx_string("application"), ngx_string("json"), ngx_null_string, 0, 0 },
    { ngx_string("text"), ngx_string("plain"), ngx_string("0.0.4"), 0, 0 },
    { ngx_string("text"), ngx_string("html"), ngx_null_string, 0, 0 }
};


/* the header is copied, so that a read past its end is seen */

static ngx_uint_t
read_one(const char *header, ngx_http_refine_accept_t *offers)
{
    ngx_str_t   value;
    ngx_uint_t  n;

    value.len = strlen(header);
    value.data = malloc(value.len ? value.len : 1);
    assert_non_null(value.data);
    memcpy(value.data, header, value.len);

    n = ngx_http_refine_accept_read(&value, offers, 3);

    free(value.data);

    return n;
}


static void
test_best(void **state)
{
    ngx_uint_t                i, n, best;
    ngx_http_refine_accept_t  offers[3];

    static struct {
        const char  *header;
        ngx_uint_t   found;
        ngx_uint_t   best;
    } cases[] = {
        { "", 0, NONE },
        { " \t, ,", 0, NONE },
        { "*/*", 1, JSON },
        { "application/json", 1, JSON },
        { "Application/JSON", 1, JSON },
        { "text/plain", 1, TEXT },
        { "text/html", 1, HTML },
        { "text/*", 1, TEXT },
        { "application/*", 1, JSON },
        { "image/png", 1, NONE },
        { "image/*,audio/*", 2, NONE },
        { "text/plain,text/html", 2, TEXT },
        { "text/plain;q=0.9,text/html", 2, HTML },
        { "text/plain ; q=0.001 , text/html\t;\tq=0", 2, TEXT },
        { "text/plain;Q=0.5,text/html;q=0.4", 2, TEXT },
        { "text/html;q=0.8,*/*;q=0.9", 2, JSON },
        { "*/*;q=0.9,text/html;q=1.000", 2, HTML },
        { "text/*;q=0.3,text/plain;q=0.2,*/*;q=0.1", 3, HTML },
        { "application/json;q=0,*/*", 2, TEXT },
        { "*/*,application/json;q=0,text/*;q=0", 3, NONE },
        { "*/*;q=0", 1, NONE },
        { "text/html;level=1;q=0.5;x=\"a,b\\\"c\",text/plain;q=0.4", 2, HTML },
        { "text/plain;charset=utf-8", 1, TEXT },

        /* the first repeats what the second one says, only better */
        { "text/html;q=0.1,text/html;q=0.7,text/plain;q=0.5", 3, HTML },

        /* a version that is not ours is another type */
        { "text/plain;version=0.0.4", 1, TEXT },
        { "text/plain;version=\"0.0.4\"", 1, TEXT },
        { "text/plain;version=1.0.0", 1, NONE },
        { "text/plain;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.2,"
          "*/*;q=0.1", 3, TEXT },
        { "text/html;version=7", 1, HTML },

        /* browsers, curl, and Prometheus 2 and 3 */
        { "text/html,application/xhtml+xml,application/xml;q=0.9,"
          "image/avif,*/*;q=0.8", 5, HTML },
        { "application/openmetrics-text;version=1.0.0,"
          "application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 4, TEXT },
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
          "q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
          "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
          "text/plain;version=0.0.4;q=0.2,*/*;q=0.1", 5, TEXT },
        { "application/openmetrics-text", 1, NONE },

        /* what is malformed is passed over */
        { "text", 0, NONE },
        { "/", 0, NONE },
        { "text/", 0, NONE },
        { "/plain", 0, NONE },
        { "text /plain", 0, NONE },
        { "*", 0, NONE },
        { "text/plain/x", 0, NONE },
        { "text/plain x", 0, NONE },
        { "text/plain;q", 0, NONE },
        { "text/plain;q=", 0, NONE },
        { "text/plain;q=2", 0, NONE },
        { "text/plain;q=1.001", 0, NONE },
        { "text/plain;q=0.1234", 0, NONE },
        { "text/plain;q=.5", 0, NONE },
        { "text/plain;q=0,5", 1, NONE },
        { "text/plain;q=-1", 0, NONE },
        { "text/plain;q=0x1", 0, NONE },
        { "text/plain;a=\"b", 0, NONE },
        { "text/plain;a=\"b\\", 0, NONE },
        { "text/plain;a=\"b\\\"", 0, NONE },
        { "text/plain;;", 1, TEXT },
        { "text/plain;", 1, TEXT },
        { "<script>,text/html", 1, HTML },
        { "\x80\xff,text/html", 1, HTML },
        { "text/plain;q=9,text/html;q=0.1", 1, HTML },
        { "*/plain", 1, NONE }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(offers, offered, sizeof(offers));

        n = read_one(cases[i].header, offers);
        best = ngx_http_refine_accept_best(offers, 3);

        if (n != cases[i].found || best != cases[i].best) {
            fail_msg("\"%s\": %d elements, best is %d", cases[i].header,
                     (int) n, (int) best);
        }
    }
}


static void
test_several(void **state)
{
    ngx_http_refine_accept_t  offers[3];

    memcpy(offers, offered, sizeof(offers));

    assert_int_equal(read_one("text/plain;q=0.5", offers), 1);
    assert_int_equal(read_one("*/*;q=0.7, text/html;q=0.6", offers), 2);

    assert_int_equal(offers[JSON].quality, 700);
    assert_int_equal(offers[TEXT].quality, 500);
    assert_int_equal(offers[HTML].quality, 600);
    assert_int_equal(ngx_http_refine_accept_best(offers, 3), JSON);
}


/* every prefix of a header, and every byte replaced by any other */

static void
test_broken(void **state)
{
    char                      header[128];
    size_t                    i, len;
    ngx_uint_t                c;
    ngx_http_refine_accept_t  offers[3];

    static const char  whole[] =
        "text/html;q=0.5;a=\"x\\\"y\" , */*;q=0.1,text/plain;version=0.0.4";

    len = sizeof(whole) - 1;

    for (i = 0; i < len; i++) {
        memcpy(header, whole, len + 1);
        header[i] = '\0';
        memcpy(offers, offered, sizeof(offers));
        assert_in_range(read_one(header, offers), 0, 3);
    }

    for (i = 0; i < len; i++) {
        for (c = 1; c < 256; c++) {
            memcpy(header, whole, len + 1);
            header[i] = (char) c;
            memcpy(offers, offered, sizeof(offers));
            assert_in_range(read_one(header, offers), 0, 4);
            assert_in_range(offers[HTML].quality, 0, 1000);
        }
    }
}


/* what several Accept-Encoding headers, divided by a newline, say of gzip */

static ngx_uint_t
coding(const char *headers)
{
    u_char                    *copy;
    size_t                     len;
    ngx_str_t                  value;
    const char                *end;
    ngx_http_refine_accept_t   gzip = {
        ngx_string("gzip"), ngx_null_string, ngx_null_string, 0, 0 };

    do {
        end = strchr(headers, '\n');
        len = end ? (size_t) (end - headers) : strlen(headers);

        copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, headers, len);

        value.len = len;
        value.data = copy;
        ngx_http_refine_accept_coding(&value, &gzip);

        free(copy);
        headers += len + 1;

    } while (end);

    return gzip.quality;
}


static void
test_coding(void **state)
{
    ngx_uint_t  i;

    static struct {
        const char  *headers;
        ngx_uint_t   quality;
    } cases[] = {
        { "", 0 },
        { "gzip", 1000 },
        { "GZip", 1000 },
        { "gzip, deflate, br", 1000 },
        { "br;q=1.0,gzip;q=0.8 , *;q=0.1", 800 },
        { "gzip;q=0", 0 },
        { "gzip ; q=0.000", 0 },
        { "gzip;q=0.001", 1 },
        { "gzip;q=0,*", 0 },
        { "*;q=0,gzip", 1000 },
        { "*", 1000 },
        { "*;q=0", 0 },
        { "identity", 0 },
        { "identity;q=0", 0 },
        { "br", 0 },
        { "deflate, gzip;q=1.0, *;q=0.5", 1000 },
        { "xgzip, gzipx, x-gzip", 0 },
        { "gzip;q=2", 0 },
        { "gzip;q=", 0 },
        { "gzip;q", 0 },
        { "gzip;x=\"a,b\";q=0.5", 500 },
        { "gzip/1", 0 },
        { ";q=1, gzip", 1000 },
        { "gzip;q=x, gzip;q=0.2", 200 },
        { "br\ngzip", 1000 },
        { "gzip;q=0\n*", 0 },
        { "\n\n", 0 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (coding(cases[i].headers) != cases[i].quality) {
            fail_msg("%s", cases[i].headers);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_coding)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
