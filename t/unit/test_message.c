
/* Tests for ngx_http_refine_message: splits, hostile input, no memory. */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_message.h"


#define OK(head)  "HTTP/1.1 200 OK\r\n" head "\r\n"


typedef struct {
    ngx_int_t                   rc;
    size_t                      used;
    ngx_pool_t                 *pool;
    ngx_http_refine_message_t   m;
} test_message_t;


static ngx_log_t  test_log;


/* feeds the text in pieces of the given sizes, the last one over and over */

static void
test_feed(test_message_t *t, const char *text, size_t len, size_t first,
    size_t next)
{
    size_t   used, piece, pos;
    u_char  *copy;

    t->pool = ngx_create_pool(1024, &test_log);
    assert_non_null(t->pool);

    ngx_http_refine_message_init(&t->m, t->pool);

    t->rc = NGX_AGAIN;
    t->used = 0;

    for (pos = 0, piece = first; pos < len; pos += piece, piece = next) {

        piece = ngx_min(piece, len - pos);

        /* an own allocation shows a read beyond the piece */

        copy = malloc(piece ? piece : 1);
        assert_non_null(copy);
        memcpy(copy, text + pos, piece);

        used = 0;
        t->rc = ngx_http_refine_message_parse(&t->m, copy, piece, &used);

        free(copy);

        if (t->rc != NGX_ERROR) {
            assert_true(used <= piece);
            t->used += used;
        }

        if (t->rc != NGX_AGAIN) {
            return;
        }

        assert_int_equal(used, piece);
    }
}


static void
test_done(test_message_t *t)
{
    ngx_destroy_pool(t->pool);
}


static void
test_one(const char *text, size_t len, ngx_uint_t ended, ngx_int_t rc,
    ngx_uint_t status, const char *body, ngx_uint_t keepalive, size_t used,
    size_t first, size_t next)
{
    test_message_t  t;

    test_feed(&t, text, len, first, next);

    if (ended && t.rc == NGX_AGAIN) {
        t.rc = ngx_http_refine_message_end(&t.m);
    }

    if (t.rc != rc) {
        print_message("in \"%s\": %s\n", text, t.m.error ? t.m.error : "");
    }

    assert_int_equal(t.rc, rc);

    if (rc == NGX_ERROR) {
        assert_non_null(t.m.error);
        assert_int_equal(t.m.status, 0);
        assert_int_equal(t.m.keepalive, 0);
    }

    if (rc == NGX_OK) {
        assert_null(t.m.error);
        assert_int_equal(t.m.status, status);
        assert_int_equal(t.m.keepalive, keepalive);
        assert_int_equal(t.used, used);
        assert_int_equal(t.m.body.len, strlen(body));
        assert_memory_equal(t.m.body.data ? t.m.body.data : (u_char *) "",
                            body, strlen(body));
    }

    test_done(&t);
}


/* as a whole, byte by byte, and cut in two at each place */

static void
test_all(const char *text, ngx_uint_t ended, ngx_int_t rc, ngx_uint_t status,
    const char *body, ngx_uint_t keepalive, size_t rest)
{
    size_t  i, len;

    len = strlen(text);

    test_one(text, len, ended, rc, status, body, keepalive, len - rest, len,
             len);
    test_one(text, len, ended, rc, status, body, keepalive, len - rest, 1, 1);

    for (i = 1; i < len; i++) {
        test_one(text, len, ended, rc, status, body, keepalive, len - rest,
                 i, len);
    }
}


static void
test_whole(void **state)
{
    test_all(OK("Content-Length: 5\r\n") "hello", 0, NGX_OK, 200, "hello", 1,
             0);
    test_all(OK("Content-Length: 0\r\n"), 0, NGX_OK, 200, "", 1, 0);
    test_all("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 0, NGX_OK,
             204, "", 1, 0);
    test_all("HTTP/1.1 304 Not Modified\r\n\r\n", 0, NGX_OK, 304, "", 1, 0);
    test_all("HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok", 0, NGX_OK, 200,
             "ok", 1, 0);
    test_all("HTTP/1.1 503 \r\nCONTENT-LENGTH: \t2 \t\r\n\r\nno", 0, NGX_OK,
             503, "no", 1, 0);
    test_all("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 0, NGX_OK, 200, "ok",
             1, 0);
    test_all(OK("Content-Length: 5, 5\r\nContent-Length: 5\r\n") "hello", 0,
             NGX_OK, 200, "hello", 1, 0);
    test_all(OK("Content-Length: 2\r\n") "okHTTP/1.1 ", 0, NGX_OK, 200, "ok",
             1, 9);
    test_all("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 0, NGX_OK, 999,
             "", 1, 0);
}


static void
test_keepalive(void **state)
{
    test_all("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 0, NGX_OK, 200,
             "x", 0, 0);
    test_all("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
             "Content-Length: 1\r\n\r\nx", 0, NGX_OK, 200, "x", 0, 0);
    test_all(OK("Connection: close\r\nContent-Length: 1\r\n") "x", 0, NGX_OK,
             200, "x", 0, 0);
    test_all(OK("Connection: foo , CLOSE\r\nContent-Length: 1\r\n") "x", 0,
             NGX_OK, 200, "x", 0, 0);
    test_all(OK("Connection: closed\r\nContent-Length: 1\r\n") "x", 0, NGX_OK,
             200, "x", 1, 0);
}


static void
test_chunked(void **state)
{
    test_all(OK("Transfer-Encoding: chunked\r\n")
             "5\r\nhello\r\n06\r\n world\r\n0\r\n\r\n", 0, NGX_OK, 200,
             "hello world", 1, 0);
    test_all(OK("transfer-encoding: Chunked\r\n")
             "A;name=\"v;\"\r\n0123456789\r\n0 ; x\r\nTrailer: 1\r\n"
             "Other: 2\r\n\r\nXX", 0, NGX_OK, 200, "0123456789", 1, 2);
    test_all(OK("Transfer-Encoding: gzip, chunked\r\n") "1\r\nz\r\n0\r\n\r\n",
             0, NGX_OK, 200, "z", 1, 0);
    test_all(OK("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")
             "1\r\nz\r\n0\r\n\r\n", 0, NGX_OK, 200, "z", 1, 0);
    test_all(OK("Transfer-Encoding: chunked\r\n") "1\nz\n0\n\n", 0, NGX_OK,
             200, "z", 1, 0);

    /* both: the length is not trusted, nor the connection */

    test_all(OK("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")
             "2\r\nzz\r\n0\r\n\r\n", 0, NGX_OK, 200, "zz", 0, 0);
    test_all("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "2\r\nzz\r\n0\r\n\r\n", 0, NGX_OK, 200, "zz", 0, 0);
}


static void
test_until_close(void **state)
{
    test_all("HTTP/1.1 200 OK\r\n\r\nall of it", 1, NGX_OK, 200, "all of it",
             0, 0);
    test_all("HTTP/1.1 200 OK\r\n\r\n", 1, NGX_OK, 200, "", 0, 0);
    test_all(OK("Transfer-Encoding: gzip\r\nContent-Length: 2\r\n") "abc", 1,
             NGX_OK, 200, "abc", 0, 0);
}


static void
test_interim(void **state)
{
    test_all("HTTP/1.1 100 Continue\r\n\r\n"
             OK("Content-Length: 2\r\n") "ok", 0, NGX_OK, 200, "ok", 1, 0);
    test_all("HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: x\r\n"
             "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
             OK("Content-Length: 2\r\n") "ok", 0, NGX_OK, 200, "ok", 1, 0);
    test_all("HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, NGX_ERROR, 0, "",
             0, 0);
}


static void
test_values(void **state)
{
    size_t          i;
    test_message_t  t;

    static const char  text[] =
        "HTTP/1.1 429 Slow\r\nRETRY-after:  120 \r\n"
        "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        "X-RateLimit-Limit: 1000\r\nx-ratelimit-remaining: 0\r\n"
        "X-Ratelimit-Reset:\r\n 170000\r\n\t0000\r\nRetry-After: 5\r\n"
        "Content-Length: 0\r\n\r\n";

    for (i = 1; i < sizeof(text); i++) {
        test_feed(&t, text, sizeof(text) - 1, i, i);

        assert_int_equal(t.rc, NGX_OK);
        assert_int_equal(t.m.status, 429);
        assert_int_equal(t.m.retry_after.len, 3);
        assert_memory_equal(t.m.retry_after.data, "120", 3);
        assert_int_equal(t.m.date.len, 29);
        assert_memory_equal(t.m.limit.data, "1000", 4);
        assert_memory_equal(t.m.remaining.data, "0", 1);
        assert_int_equal(t.m.reset.len, 11);
        assert_memory_equal(t.m.reset.data, "170000 0000", 11);

        test_done(&t);
    }
}


static void
test_values_refused(void **state)
{
    char            text[1024];
    test_message_t  t;

    (void) snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
                    "Retry-After: %0200d\r\nDate: a\x01""b\r\n"
                    "X-RateLimit-Limit: \r\nX-RateLimit-Reset: \xc3\xa9\r\n"
                    "Content-Length: 0\r\n\r\n", 7);

    test_feed(&t, text, strlen(text), 3, 3);

    assert_int_equal(t.rc, NGX_OK);
    assert_int_equal(t.m.retry_after.len, 0);
    assert_int_equal(t.m.date.len, 0);
    assert_int_equal(t.m.limit.len, 0);
    assert_int_equal(t.m.reset.len, 0);

    test_done(&t);
}


static void
test_invalid(void **state)
{
    ngx_uint_t  i;

    static const char  *text[] = {
        "<html>", "HTTP/2 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/1.\r\n\r\n", "HTTP/1.1 200 OK\rX\r\n\r\n",
        OK("no colon\r\n"), OK(": value\r\n"), OK(" folded: first\r\n"),
        OK("Name : value\r\n"), OK("Content-Length: \r\n"),
        OK("Content-Length: -1\r\n"), OK("Content-Length: +1\r\n"),
        OK("Content-Length: 1 2\r\n"), OK("Content-Length: 0x10\r\n"),
        OK("Content-Length: 5,\r\n"), OK("Content-Length: 5, 6\r\n"),
        OK("Content-Length: 5\r\nContent-Length: 6\r\n"),
        OK("Content-Length: 99999999999999999999\r\n"),
        OK("Content-Length: 9223372036854775807\r\n"),
        OK("Transfer-Encoding: chunked, chunked\r\n"),
        OK("Transfer-Encoding: chunked, gzip\r\n"),
        OK("Transfer-Encoding: chunked\r\n") "\r\n",
        OK("Transfer-Encoding: chunked\r\n") "x\r\n",
        OK("Transfer-Encoding: chunked\r\n") "-1\r\n",
        OK("Transfer-Encoding: chunked\r\n") "1g\r\n",
        OK("Transfer-Encoding: chunked\r\n") ";x\r\n",
        OK("Transfer-Encoding: chunked\r\n") "ffffffffffffffff\r\n",
        OK("Transfer-Encoding: chunked\r\n") "1\r\nabc\r\n",
        OK("Transfer-Encoding: chunked\r\n") "1\r\na\r\r\n",
        NULL
    };

    for (i = 0; text[i]; i++) {
        test_all(text[i], 0, NGX_ERROR, 0, "", 0, 0);
    }
}


static void
test_cut_off(void **state)
{
    size_t          i;
    ngx_uint_t      n;
    test_message_t  t;

    static const char  *text[] = {
        OK("Content-Length: 5\r\n") "hello",
        OK("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" OK("Content-Length: 1\r\n") "x",
        NULL
    };

    for (n = 0; text[n]; n++) {

        for (i = 0; i < strlen(text[n]); i++) {
            test_feed(&t, text[n], i, i, i);

            assert_int_equal(t.rc, NGX_AGAIN);
            assert_int_equal(ngx_http_refine_message_untouched(&t.m), i == 0);
            assert_int_equal(ngx_http_refine_message_end(&t.m), NGX_ERROR);
            assert_non_null(t.m.error);

            test_done(&t);
        }
    }
}


static char *
test_fill(const char *before, size_t n, const char *unit, const char *after,
    size_t *len)
{
    char    *p, *text;
    size_t   i;

    text = malloc(strlen(before) + n * strlen(unit) + strlen(after) + 1);
    assert_non_null(text);

    p = text + sprintf(text, "%s", before);

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s", unit);
    }

    p += sprintf(p, "%s", after);

    *len = p - text;

    return text;
}


static void
test_large(const char *before, size_t n, const char *unit, const char *after,
    size_t piece, ngx_int_t rc, size_t body)
{
    char            *text;
    size_t           len;
    test_message_t   t;

    text = test_fill(before, n, unit, after, &len);

    test_feed(&t, text, len, piece, piece);

    assert_int_equal(t.rc, rc);

    if (rc == NGX_OK) {
        assert_int_equal(t.m.body.len, body);
        assert_int_equal(t.used, len);
    }

    test_done(&t);
    free(text);
}


static void
test_limits(void **state)
{
    ngx_uint_t  i;

    static const size_t  piece[] = { 1, 7, 4096, 1000000 };

    for (i = 0; i < 4; i++) {
        test_large("HTTP/1.1 200 OK\r\n", 2000, "X-Some: header\r\n",
                   "Content-Length: 0\r\n\r\n", piece[i], NGX_OK, 0);
        test_large("HTTP/1.1 200 OK\r\n", 2100, "X-Some: header\r\n",
                   "Content-Length: 0\r\n\r\n", piece[i], NGX_ERROR, 0);
        test_large("HTTP/1.1 200 OK\r\nX: ", 20000, "x",
                   "\r\nContent-Length: 0\r\n\r\n", piece[i], NGX_OK, 0);
        test_large("HTTP/1.1 ", 40000, "2", "", piece[i], NGX_ERROR, 0);
        test_large("HTTP/1.1 200 OK\r\n", 40000, "x", "", piece[i],
                   NGX_ERROR, 0);
        test_large("", 2000, "HTTP/1.1 100 C\r\n\r\n", "", piece[i],
                   NGX_ERROR, 0);
        test_large(OK("Transfer-Encoding: chunked\r\n") "1;", 40000, "e",
                   "\r\na\r\n0\r\n\r\n", piece[i], NGX_ERROR, 0);
        test_large(OK("Transfer-Encoding: chunked\r\n"), 40000, "1\r\na\r\n",
                   "0\r\n\r\n", piece[i], NGX_OK, 40000);
        test_large(OK("Transfer-Encoding: chunked\r\n") "0\r\n", 3000,
                   "Trailer: some\r\n", "\r\n", piece[i], NGX_ERROR, 0);
        test_large(OK("Content-Length: 65536\r\n"), 65536, "b", "", piece[i],
                   NGX_OK, 65536);
        test_large(OK("Content-Length: 200000\r\n"), 100000, "bb", "",
                   piece[i], NGX_OK, 65536);
        test_large(OK("Transfer-Encoding: chunked\r\n") "30D40\r\n", 100000,
                   "bb", "\r\n0\r\n\r\n", piece[i], NGX_OK, 65536);

        /* a line longer than what is kept of it */

        test_large("HTTP/1.1 200 OK\r\nContent-Length: ", 1000, "0",
                   "\r\n\r\n", piece[i], NGX_ERROR, 0);
        test_large("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", 1000, " ",
                   "\r\n\r\n0\r\n\r\n", piece[i], NGX_ERROR, 0);
    }
}


static void
test_long_connection(void **state)
{
    char            *text;
    size_t           len;
    test_message_t   t;

    text = test_fill("HTTP/1.1 200 OK\r\nConnection: ", 200, "foo, ",
                     "close\r\nContent-Length: 0\r\n\r\n", &len);

    test_feed(&t, text, len, len, len);

    assert_int_equal(t.rc, NGX_OK);
    assert_int_equal(t.m.keepalive, 0);

    test_done(&t);
    free(text);
}


static void
test_no_memory(void **state)
{
    ngx_uint_t      n;
    test_message_t  t;

    static const char  text[] =
        OK("Retry-After: 1\r\nDate: x\r\nTransfer-Encoding: chunked\r\n")
        "5\r\nhello\r\n0\r\n\r\n";

    for (n = 2; n < 10; n++) {
        ngx_stub_fail_after(n);

        test_feed(&t, text, sizeof(text) - 1, 5, 5);

        if (!ngx_stub_failed()) {
            ngx_stub_fail_after(0);

            assert_int_equal(t.rc, NGX_OK);
            test_done(&t);

            return;
        }

        ngx_stub_fail_after(0);

        assert_int_equal(t.rc, NGX_ERROR);
        assert_string_equal(t.m.error, "out of memory");

        test_done(&t);
    }

    fail();
}


/* whatever comes, the outcome does not depend on the pieces */

static void
test_random(void **state)
{
    char            text[256];
    size_t          len, i;
    uint32_t        x;
    ngx_uint_t      n;
    test_message_t  a, b;

    static const char  *part[] = {
        "HTTP/1.1 200 OK", "HTTP/1.1 100 C", "HTTP/1.0 500", "\r\n", "\r\n",
        "\r\n\r\n", "\n", "\r", "Content-Length: 3", "Content-Length: 0",
        "Transfer-Encoding: chunked", "Connection: close", "3\r\nabc\r\n",
        "0\r\n\r\n", "abc", " ", ":", ",", "1;x\r\n", "Date: x"
    };

    x = 1;

    for (n = 0; n < 20000; n++) {
        len = sprintf(text, "%s", n % 8 ? OK("") : "");
        len -= (n % 8) ? 2 : 0;

        for (i = 0; i < 8; i++) {
            x = x * 1664525 + 1013904223;
            len += sprintf(text + len, "%s", part[(x >> 16) % 20]);
        }

        if (n % 5 == 0) {
            text[(x >> 8) % len] = (char) (x >> 24);
        }

        test_feed(&a, text, len, len, len);
        test_feed(&b, text, len, 1 + n % 3, 1 + n % 3);

        assert_int_equal(a.rc, b.rc);
        assert_int_equal(a.m.status, b.m.status);
        assert_int_equal(a.m.keepalive, b.m.keepalive);
        assert_int_equal(a.m.body.len, b.m.body.len);

        if (a.rc != NGX_ERROR) {
            assert_int_equal(a.used, b.used);
        }

        test_done(&a);
        test_done(&b);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_interim),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_refused),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_connection),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_random)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
