
/*
 * The lexer against texts written from the grammar of RFC 8259.  Each text is
 * read whole, cut in two at every place, and byte by byte, always from a copy
 * of exactly its size; the verdict, the error, its offset and what is reported
 * have to be the same.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_json.h"


#define NUL   NGX_HTTP_REFINE_JSON_NO_NUL
#define LONE  NGX_HTTP_REFINE_JSON_NO_LONE
#define BOM   NGX_HTTP_REFINE_JSON_BOM

#define LOG_SIZE  65536

#define text(s)  { s, sizeof(s) - 1, 0 }
#define with(s, flags)  { s, sizeof(s) - 1, flags }


typedef struct {
    const char                    *data;
    size_t                         len;
    ngx_uint_t                     flags;
} test_text_t;


typedef struct {
    ngx_int_t                      rc;
    const char                    *error;
    off_t                          offset;
    size_t                         len;         /* of the log */
    ngx_uint_t                     tokens;
    ngx_uint_t                     partial;
    char                           log[LOG_SIZE];
} test_run_t;


static const test_text_t  test_valid[] = {

    /* literals and white space */

    text("true"), text("false"), text("null"), text(" true"), text("true "),
    text("\t\n\r null \t\n\r"), text("[true,false,null]"),
    text("                                  true                          "),

    /* numbers */

    text("0"), text("-0"), text("1"), text("-1"), text("10"), text("123"),
    text("9007199254740993"), text("9223372036854775808"),
    text("18446744073709551616"), text("0.0"), text("-0.5"), text("1.25"),
    text("0e0"), text("0E1"), text("0e+1"), text("0e-1"), text("1e999"),
    text("-1e-999"), text("1.5E+10"), text("123456789012345678901234567890"),
    text("1e00"), text("0.00000000000000000000000000000000000000001"),
    text("[0]"), text("[-0,1,-1e5]"), text("[0 ,1 ]"), text("{\"a\":1}"),
    text(" 7 "), text("{\"a\":-0.0e-0}"), text("[1.0e1,2.0E-2]"),

    /* strings */

    text("\"\""), text("\"a\""), text("\" \""), text("\"\x7f\""),
    text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), text("\"/\""), text("\"'\""),
    text("\"\\u0041\""), text("\"\\uaBcD\""), text("\"\\uFFFF\""),
    text("\"\\u0000\""), text("\"\\u001f\""), text("\"\\ud83d\\ude00\""),
    text("\"\\ud83d\""), text("\"\\ude00\""), text("\"\\ud83dx\""),
    text("\"\\ud83d\\n\""), text("\"\\ud83d\\u0041\""),
    text("\"\\ude00\\ud83d\""), text("\"\\ud83d\\ud83d\\ude00\""),
    text("\"0123456789abcde\""), text("\"0123456789abcdef\""),
    text("\"0123456789abcdef0\""),
    text("\"0123456789abcdef0123456789abcdef0123456789\\n0123456789abcdef\""),
    text("\"{}[],:\""), text("[\"a\",\"b\"]"), text("[\"\\\\\",\"\\\"\"]"),

    /* UTF-8: the first and the last of every row of RFC 3629, 4 */

    text("\"\xc2\x80\""), text("\"\xdf\xbf\""), text("\"\xe0\xa0\x80\""),
    text("\"\xe0\xbf\xbf\""), text("\"\xe1\x80\x80\""),
    text("\"\xec\xbf\xbf\""), text("\"\xed\x80\x80\""),
    text("\"\xed\x9f\xbf\""), text("\"\xee\x80\x80\""),
    text("\"\xef\xbf\xbf\""), text("\"\xf0\x90\x80\x80\""),
    text("\"\xf0\xbf\xbf\xbf\""), text("\"\xf1\x80\x80\x80\""),
    text("\"\xf3\xbf\xbf\xbf\""), text("\"\xf4\x80\x80\x80\""),
    text("\"\xf4\x8f\xbf\xbf\""), text("\"\xef\xbb\xbf\""),
    text("\"a\xc3\xa4z\xe2\x82\xac!\xf0\x9f\x98\x80?\""),
    text("\"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
         "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xf0\x9f\x98\x80\""),
    text("{\"\xc3\xa4\":\"\xe2\x82\xac\"}"),

    /* structure */

    text("{}"), text("[]"), text("[[]]"), text("[{}]"), text("{\"a\":{}}"),
    text("{\"a\":[]}"), text("[[],[]]"), text("[{},{}]"), text("{\"\":0}"),
    text("{\"a\":1,\"a\":2}"), text("{\"a\":1,\"b\":[2,{\"c\":null}]}"),
    text(" { \"a\" : [ 1 , 2 ] , \"b\" : { } } "), text("[\"a\"]"),
    text("{\"\\u0061\":\"\\u0062\"}"), text("[\"x\",1,true,{},[],null]"),
    text("{\"a\":\n            \n\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t1\r\n}"),
    text("[[[[[[[[1]]]]]]]]"), text("{\"a\":{\"b\":{\"c\":{\"d\":\"e\"}}}}"),

    /* flags */

    with("\"\\u0001\\u0000a\"", LONE), with("\"\\ud83d\"", NUL),
    with("\"\\ud83d\\ude00\"", NUL | LONE),
    with("\"\\uD800\\uDC00\\udbff\\udfff\"", NUL | LONE),
    with("\"\\ud7ff\\ue000\"", NUL | LONE),
    with("\"\\\\u0000\"", NUL), with("\"\\\\ud800\"", LONE),
    with("\xef\xbb\xbf{}", BOM), with("\xef\xbb\xbf 1", BOM), with("1", BOM),
    with(" \"\xef\xbb\xbf\"", BOM)
};


static const test_text_t  test_invalid[] = {

    /* nothing, and more than one value */

    text(""), text(" "), text("\n\r\t "), text("1 2"), text("{}{}"),
    text("[]1"), text("null null"), text("\"a\"\"b\""), text("true,"),
    text("[]]"), text("{}}"), text("1]"), text("{} x"), text("[1]\0"),

    /* literals */

    text("t"), text("tru"), text("truE"), text("True"), text("TRUE"),
    text("truex"), text("true1"), text("true\""), text("nul"), text("nulll"),
    text("fals"), text("falsee"), text("NaN"), text("nan"), text("Infinity"),
    text("-Infinity"), text("undefined"), text("[nul]"), text("[tru,1]"),
    text("t rue"), text("None"),

    /* numbers */

    text("01"), text("-01"), text("00"), text("1."), text(".5"), text("+1"),
    text("-"), text("--1"), text("-.5"), text("-a"), text("1.e5"),
    text("1.5."), text("1..5"), text("1e"), text("1e+"), text("1e-"),
    text("1e1.5"), text("1e1e1"), text("1E5e"), text("0x10"), text("1_000"),
    text("1,000"), text("[1.]"), text("[-]"), text("[01]"), text("[1 2]"),
    text("[.5]"), text("{\"a\":01}"), text("{\"a\":1.}"), text("1-"),
    text("1+1"), text("1e5-"), text("0-0"), text("[- 1]"), text("1a"),
    text("\xef\xbc\x91"),

    /* strings */

    text("\""), text("\"a"), text("\"\\\""), text("\"\\"), text("'a'"),
    text("\"\\x41\""), text("\"\\a\""), text("\"\\'\""), text("\"\\0\""),
    text("\"\\U0041\""), text("\"\\u\""), text("\"\\u1\""),
    text("\"\\u12\""), text("\"\\u123\""), text("\"\\u123g\""),
    text("\"\\u@000\""), text("\"\\u`000\""), text("\"\\u:000\""),
    text("\"\\u/000\""), text("\"\\uG000\""), text("\"\\u+123\""),
    text("\"\\u 123\""), text("\"\\u12\\u3456\""), text("\"\\u00\xc3\xa4\""),
    text("\"\n\""), text("\"\t\""), text("\"\r\""), text("\"\0\""),
    text("\"\x1f\""), text("\"\x01\""), text("\"0123456789abcdef\n\""),
    text("\"abc\xc3\xa4\n\""), text("\"\xc3\xa4\xc3\xa4\xc3\xa4\x01\""),
    text("a"), text("\"a\"b"), text("\\u0022a\\u0022"), text("\"\\\n\""),
    text("\"a\\\""), text("\"\\\xc3\xa4\""),

    /* UTF-8: every way to be wrong */

    text("\"\x80\""), text("\"\xbf\""), text("\"\xc0\x80\""),
    text("\"\xc1\xbf\""), text("\"\xc2\""), text("\"\xc2\x7f\""),
    text("\"\xc2\xc0\""), text("\"\xe0\x80\x80\""), text("\"\xe0\x9f\xbf\""),
    text("\"\xe1\x80\""), text("\"\xe1\""), text("\"\xe1\x80\x7f\""),
    text("\"\xe1\x80\xc0\""), text("\"\xe1\x7f\x80\""),
    text("\"\xed\xa0\x80\""), text("\"\xed\xbf\xbf\""),
    text("\"\xed\xa0\xbd\xed\xb8\x80\""), text("\"\xf0\x80\x80\x80\""),
    text("\"\xf0\x8f\xbf\xbf\""), text("\"\xf0\x90\x80\""),
    text("\"\xf0\x90\""), text("\"\xf0\""), text("\"\xf0\x90\x80\x7f\""),
    text("\"\xf0\x90\x7f\x80\""), text("\"\xf4\x90\x80\x80\""),
    text("\"\xf5\x80\x80\x80\""), text("\"\xf8\x88\x80\x80\x80\""),
    text("\"\xfc\x84\x80\x80\x80\x80\""), text("\"\xfe\""), text("\"\xff\""),
    text("\"\xe4\""), text("\"caf\xe9\""), text("\"\xe2\x82"), text("\xc3\xa4"),
    text("{\"\xc3\":1}"), text("\"\xd0\x9f\xd1\x80\xd0\""),
    text("\"\xe6\x97\xa5\xe6\x9c\""), text("[\xc2\xa0]"),
    text("\xe2\x80\xa8" "1"),
    text("\"0123456789abcdef\x80\""), text("\"0123456789abcde\xc3\x28\""),

    /* structure */

    text("["), text("{"), text("]"), text("}"), text("[1"), text("[1,"),
    text("[,]"), text("[1,]"), text("[,1]"), text("[1,,2]"), text("[1;2]"),
    text("{,}"), text("{\"a\"}"), text("{\"a\":}"), text("{\"a\":1,}"),
    text("{\"a\" 1}"), text("{\"a\":1 \"b\":2}"), text("{a:1}"), text("{1:1}"),
    text("{'a':1}"), text("{\"a\":1,,\"b\":2}"), text("{\"a\"::1}"),
    text("{\"a\":1:2}"), text("{\"a\",1}"), text("[\"a\":1]"), text("[}"),
    text("{]"), text("[{]}"), text("{\"a\":[}]"), text("{\"a\":1]"),
    text("[1}"), text("{\"a\":"), text("{\"a\""), text("{\"a"),
    text("{null:1}"),
    text("{[]:1}"), text("{:1}"), text("[1]]"), text("/" "/ c\n1"),
    text("/* c */ 1"), text("1 /" "/ c"), text("[1]/**/"), text("#1"),
    text("\f1"), text("\v1"), text("\0"), text("[\0]"), text("<html>"),
    text("<!DOCTYPE html>"), text("()"), text(",1"), text(":"), text("&"),
    text("{\"a\":tru}"), text("{\"a\":1}}"), text("[[[]]"), text("[]["),
    text("callback({})"), text(")]}',\n{}"), text("{\"a\":\"b\"\"c\"}"),

    /* a BOM, allowed or not */

    text("\xef\xbb\xbf{}"), text("\xef\xbb\xbf"), text("\xff\xfe{\0}\0"),
    with("\xef\xbb\xbf", BOM), with("\xef\xbb{}", BOM), with("\xef{}", BOM),
    with("\xef\xbb\xbf\xef\xbb\xbf{}", BOM), with("\xef", BOM),
    with(" \xef\xbb\xbf{}", BOM), with("\xef\xbb\xbe{}", BOM),
    with("\xef \xbb\xbf{}", BOM), with("\xef\xbb \xbf{}", BOM),
    with("{}\xef\xbb\xbf", BOM), with("[\xef\xbb\xbf]", BOM),

    /* refused by flags */

    with("\"\\u0000\"", NUL), with("{\"\\u0000\":1}", NUL),
    with("\"a\\u0000b\"", NUL | LONE), with("\"\\ud83d\"", LONE),
    with("\"\\ude00\"", LONE), with("\"\\ud83dx\"", LONE),
    with("\"\\ud83d\\n\"", LONE), with("\"\\ud83d\\u0041\"", LONE),
    with("\"\\ud83d\\ud83d\"", LONE), with("\"\\ude00\\ud83d\"", LONE),
    with("\"\\ud83d\\ude00\\ude00\"", LONE), with("{\"\\ud83d\":1}", LONE),
    with("\"\\ud83d", LONE), with("\"\\ud83d\\", LONE),
    with("\"\\ud83d\\u", LONE), with("\"\\ud83d\\ude0", LONE),
    with("\"\\uDBFF\\uE000\"", LONE), with("\"\\ud83d\\\\ude00\"", LONE)
};


/* only what is whole gets into the log, so that it is the same for all cuts */

static void
test_log(test_run_t *run, ngx_http_refine_json_t *json, ngx_uint_t token)
{
    static const char  kinds[] = "..}{[ksntf0";

    if (!run->partial) {
        assert_true(run->len + 1 < LOG_SIZE);
        run->log[run->len++] = kinds[token];
    }

    if (token == NGX_HTTP_REFINE_JSON_KEY
        || token == NGX_HTTP_REFINE_JSON_STRING
        || token == NGX_HTTP_REFINE_JSON_NUMBER)
    {
        assert_true(run->len + json->text.len < LOG_SIZE);
        memcpy(run->log + run->len, json->text.data, json->text.len);
        run->len += json->text.len;
        run->partial = json->more;

        if (!json->more) {
            run->log[run->len++] = json->escaped ? '!' : ' ';
        }
    }
}


/* skip: passes over every skip-th thing that is reported; 0: none */

static void
test_feed(test_run_t *run, ngx_http_refine_json_t *json, const char *data,
    size_t len, ngx_uint_t skip)
{
    u_char                        *copy;
    ngx_uint_t                     partial;
    ngx_http_refine_json_token_e   token;

    copy = malloc(len);
    assert_true(copy != NULL || len == 0);

    if (len) {
        memcpy(copy, data, len);
    }

    ngx_http_refine_json_input(json, copy, len);

    for ( ;; ) {
        token = ngx_http_refine_json_next(json);

        if (token == NGX_HTTP_REFINE_JSON_AGAIN
            || token == NGX_HTTP_REFINE_JSON_ERROR)
        {
            break;
        }

        partial = run->partial;

        if (!partial) {
            run->tokens++;
        }

        if (skip && run->tokens % skip == 0) {
            run->partial = 0;
            ngx_http_refine_json_skip(json);
            continue;
        }

        test_log(run, json, token);
    }

    free(copy);
}


static void
test_finish(test_run_t *run, ngx_http_refine_json_t *json)
{
    run->rc = ngx_http_refine_json_end(json);
    run->error = json->error;
    run->offset = ngx_http_refine_json_offset(json);

    assert_true((run->rc == NGX_OK) == (run->error == NULL));
}


static void
test_same(test_run_t *run, test_run_t *whole, const char *data, size_t len,
    size_t cut)
{
    if (run->rc != whole->rc || run->error != whole->error
        || run->offset != whole->offset
        || (whole->rc == NGX_OK
            && (run->len != whole->len
                || memcmp(run->log, whole->log, run->len) != 0)))
    {
        fail_msg("\"%.*s\" cut at %d: %s at %d, whole: %s at %d\n%.*s\n%.*s",
                 (int) len, data, (int) cut,
                 run->error ? run->error : "accepted", (int) run->offset,
                 whole->error ? whole->error : "accepted",
                 (int) whole->offset, (int) run->len, run->log,
                 (int) whole->len, whole->log);
    }
}


static void
test_cuts(const char *data, size_t len, ngx_uint_t depth, ngx_uint_t flags,
    ngx_uint_t skip, test_run_t *whole)
{
    size_t                  i;
    ngx_http_refine_json_t  json;

    static test_run_t       run;

    memset(whole, 0, offsetof(test_run_t, log));
    ngx_http_refine_json_init(&json, depth, flags);
    test_feed(whole, &json, data, len, skip);
    test_finish(whole, &json);

    for (i = 0; i <= len; i++) {
        memset(&run, 0, offsetof(test_run_t, log));
        ngx_http_refine_json_init(&json, depth, flags);
        test_feed(&run, &json, data, i, skip);
        test_feed(&run, &json, data + i, len - i, skip);
        test_finish(&run, &json);
        test_same(&run, whole, data, len, i);
    }

    memset(&run, 0, offsetof(test_run_t, log));
    ngx_http_refine_json_init(&json, depth, flags);

    for (i = 0; i < len; i++) {
        test_feed(&run, &json, data + i, 1, skip);
    }

    test_finish(&run, &json);
    test_same(&run, whole, data, len, len + 1);
}


static void
test_list(const test_text_t *list, size_t n, ngx_int_t rc)
{
    size_t             i, offset;
    ngx_uint_t         skip;
    const char        *error;

    static test_run_t  whole;

    for (i = 0; i < n; i++) {

        for (skip = 0; skip < 5; skip++) {
            test_cuts(list[i].data, list[i].len, 64, list[i].flags, skip,
                      &whole);

            if (whole.rc != rc) {
                fail_msg("\"%.*s\" (%d): %s", (int) list[i].len, list[i].data,
                         (int) i, whole.error ? whole.error : "accepted");
            }
        }

        test_cuts(list[i].data, list[i].len, 64,
                  list[i].flags | NGX_HTTP_REFINE_JSON_QUIET, 0, &whole);
        assert_int_equal(whole.rc, rc);
        assert_int_equal(whole.len, 0);

        error = NULL;
        offset = 0;

        assert_int_equal(ngx_http_refine_json_check((u_char *) list[i].data,
                             list[i].len, 64, list[i].flags, &offset, &error),
                         rc);
        assert_ptr_equal(error, whole.error);

        if (rc == NGX_ERROR) {
            assert_int_equal(offset, whole.offset);
        }
    }
}


static void
test_accepted(void **state)
{
    test_list(test_valid, sizeof(test_valid) / sizeof(test_valid[0]), NGX_OK);
}


static void
test_refused(void **state)
{
    test_list(test_invalid, sizeof(test_invalid) / sizeof(test_invalid[0]),
              NGX_ERROR);
}


/* what begins with a bracket or quote is complete at its very end only */

static void
test_prefixes(void **state)
{
    size_t       i, k, len, offset;
    const char  *data, *error;

    for (i = 0; i < sizeof(test_valid) / sizeof(test_valid[0]); i++) {
        data = test_valid[i].data;
        len = test_valid[i].len;

        if (data[0] != '{' && data[0] != '[' && data[0] != '"') {
            continue;
        }

        for (k = 0; k < len; k++) {
            assert_int_equal(ngx_http_refine_json_check((u_char *) data, k, 64,
                                 test_valid[i].flags, &offset, &error),
                             NGX_ERROR);
            assert_string_equal(error, "the text ends too early");
            assert_int_equal(offset, k);
        }
    }
}


static void
test_depth(void **state)
{
    char               buf[600];
    size_t             i, n, offset;
    ngx_uint_t         limit;
    const char        *error;

    static test_run_t  whole;

    static const ngx_uint_t  limits[] = { 0, 1, 2, 8, 63, 64, 1000 };

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        limit = ngx_min(limits[i], 64);

        for (n = 1; n <= 66; n++) {
            memset(buf, '[', n);
            memset(buf + n, ']', n);
            test_cuts(buf, n * 2, limits[i], 0, 0, &whole);
            assert_int_equal(whole.rc, n <= limit ? NGX_OK : NGX_ERROR);

            if (n > limit) {
                assert_string_equal(whole.error, "nested too deeply");
                assert_int_equal(whole.offset, limit);
            }
        }
    }

    /* objects and arrays by turns: each end has to fit its start */

    for (n = 0; n < 32; n++) {
        memcpy(buf + n * 6, "[{\"a\":", 6);
        memcpy(buf + 192 + 1 + (31 - n) * 2, "}]", 2);
    }

    buf[192] = '1';
    test_cuts(buf, 192 + 1 + 64, 64, 0, 0, &whole);
    assert_int_equal(whole.rc, NGX_OK);

    for (n = 193; n < 257; n++) {
        buf[n] ^= ']' ^ '}';
        assert_int_equal(ngx_http_refine_json_check((u_char *) buf, 257, 64,
                                                    0, &offset, &error),
                         NGX_ERROR);
        assert_int_equal(offset, n);
        buf[n] ^= ']' ^ '}';
    }

    /* refused long before the end, and at no cost in memory */

    memset(buf, '[', sizeof(buf));
    assert_int_equal(ngx_http_refine_json_check((u_char *) buf, sizeof(buf), 8,
                                                0, &offset, &error),
                     NGX_ERROR);
    assert_int_equal(offset, 8);
}


static void
test_reported(void **state)
{
    static test_run_t  whole;

    static const char  json[] = "{\"a\":[1,\"x\\n\",true],\"b\":{\"c\":null},"
                                "\"d\":false,\"\":[[]]}";

    test_cuts(json, sizeof(json) - 1, 64, 0, 0, &whole);
    whole.log[whole.len] = '\0';
    assert_string_equal(whole.log, "{ka [n1 sx\\n!t}kb {kc 0}kd fk [[}}}");

    /* passed over: a's array, c with its value, false, the inner array */

    test_cuts(json, sizeof(json) - 1, 64, 0, 3, &whole);
    whole.log[whole.len] = '\0';
    assert_string_equal(whole.log, "{ka kb {}kd k [}}");

    test_cuts(json, sizeof(json) - 1, 64, 0, 1, &whole);
    assert_int_equal(whole.len, 0);
    assert_int_equal(whole.tokens, 1);

    assert_true(sizeof(ngx_http_refine_json_t) < 512);
}


/* valid texts with bytes changed: all cuts agree on them as well */

static void
test_mutated(void **state)
{
    char               buf[512];
    size_t             i, k, n, len;
    uint32_t           seed;

    static test_run_t  whole;

    static const char  bytes[] = "\"\\{}[],:0-.eEu \n\x01\x80\xc3\xe2\xed\xf0";

    seed = 1;

    for (i = 0; i < sizeof(test_valid) / sizeof(test_valid[0]); i++) {
        len = test_valid[i].len;
        assert_true(len < sizeof(buf));

        for (k = 0; k < 40; k++) {
            memcpy(buf, test_valid[i].data, len);

            for (n = 0; n < 1 + k % 2; n++) {
                seed = seed * 1664525 + 1013904223;
                buf[(seed >> 8) % len] = bytes[(seed >> 24)
                                               % (sizeof(bytes) - 1)];
            }

            test_cuts(buf, len, 64, test_valid[i].flags, k % 4, &whole);
        }
    }
}


/* strings of each length around the width of the blocks, at each alignment */

static void
test_widths(void **state)
{
    char         buf[160];
    size_t       i, n, offset;
    const char  *error;

    for (n = 1; n < 70; n++) {

        memset(buf, 'x', n + 2);
        buf[0] = '"';
        buf[n + 1] = '"';
        assert_int_equal(ngx_http_refine_json_check((u_char *) buf, n + 2, 1,
                                                    0, &offset, &error),
                         NGX_OK);

        for (i = 1; i <= n; i++) {
            buf[i] = '\x1f';
            assert_int_equal(ngx_http_refine_json_check((u_char *) buf, n + 2,
                                                        1, 0, &offset,
                                                        &error),
                             NGX_ERROR);
            assert_int_equal(offset, i);

            buf[i] = '\xff';
            assert_int_equal(ngx_http_refine_json_check((u_char *) buf, n + 2,
                                                        1, 0, &offset,
                                                        &error),
                             NGX_ERROR);
            assert_int_equal(offset, i);
            buf[i] = 'x';
        }

        memset(buf, ' ', n + 1);
        buf[n] = '1';
        assert_int_equal(ngx_http_refine_json_check((u_char *) buf, n + 1, 1,
                                                    0, &offset, &error),
                         NGX_OK);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_reported),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_widths)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
