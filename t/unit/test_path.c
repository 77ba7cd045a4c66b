
/*
 * The selectors: what they accept, what they find, alike for all cuts of the
 * text.
 */


#include "path_run.h"


/* all cuts find the same, and that is what is expected */

static void
test_find(const char **texts, ngx_uint_t n, const char *data, size_t len,
    ngx_uint_t flags, ngx_uint_t stop, ngx_int_t rc, const char *expected)
{
    size_t                       cut;
    ngx_http_refine_path_set_t  *set;

    static test_run_t            run;

    set = test_compile(texts, n);
    run.stop = stop;

    for (cut = NO_CUT; cut == NO_CUT || cut <= len; cut++) {
        test_match(&run, set, data, len, cut, flags);

        if (run.rc != rc || strcmp(run.log, expected) != 0) {
            fail_msg("%s in %.*s cut at %d: %d %s", texts[0], (int) len, data,
                     (int) cut, (int) run.rc, run.log);
        }
    }

    test_match(&run, set, data, len, EACH_BYTE, flags);
    assert_int_equal(run.rc, rc);
    assert_string_equal(run.log, expected);
}


#define find(path, json, expected)                                            \
    do {                                                                      \
        const char  *p[] = { path };                                          \
        test_find(p, 1, json, sizeof(json) - 1, 0, 0, NGX_OK, expected);      \
    } while (0)


static void
test_selectors(void **state)
{
    find("a", "{\"a\":\"x\"}", "0sx ");
    find("a", "{\"a\":-1.5e3}", "0n-1.5e3 ");
    find("a", "{\"a\":12,\"b\":13}", "0n12 ");
    find("a", "{\"a\":true}", "0t ");
    find("a", "{\"a\":false}", "0f ");
    find("a", "{\"a\":null}", "00 ");
    find("a", "{\"a\":{\"a\":1}}", "0{ ");
    find("a", "{\"a\":[1]}", "0[ ");
    find("a", "{\"a\":\"\"}", "0s ");
    find("a", "{\"b\":{\"a\":1},\"a\":2}", "0n2 ");
    find("a", "[{\"a\":1}]", "");
    find("a", "\"a\"", "");
    find("a", "12", "");
    find("a", "{}", "");
    find("a.b", "{\"a\":{\"b\":1},\"b\":2}", "0n1 ");
    find("a.b", "{\"a\":[{\"b\":1}]}", "");
    find("a.b", "{\"a\":{\"b\":2},\"a\":{\"b\":3}}", "0n2 ");
    find("a.b", "{\"a\":1,\"a\":{\"b\":2}}", "");
    find("[].a", "[{\"a\":1,\"a\":2},{\"b\":{},\"a\":3}]", "0n1 0n3 ");
    find("[]", "[1,\"b\",null,{},[]]", "0n1 0sb 00 0{ 0[ ");
    find("[]", "{\"a\":1}", "");
    find("[1]", "[1,2,3]", "0n2 ");
    find("[0]", "[[1],2]", "0[ ");
    find("[1][0]", "[[1],[2,3],[4]]", "0n2 ");
    find("[][]", "[[1],[2,3],4,{\"a\":5}]", "0n1 0n2 0n3 ");
    find("a[]", "{\"a\":[],\"b\":[1]}", "");
    find("a[].b", "{\"a\":[{\"b\":1},{\"c\":2},3,{\"b\":4,\"b\":5}]}",
         "0n1 0n4 ");
    find("a[1].b", "{\"a\":[{\"b\":1},{\"b\":2}],\"a\":[0,{\"b\":3}]}",
         "0n2 ");
    find("a[].b[].c", "{\"a\":[{\"b\":[{\"c\":1},{\"c\":2}]},{\"b\":3}]}",
         "0n1 0n2 ");
    find("results[].productId",
         " { \"results\" : [ { \"productId\" : \"p1\" , \"x\" : [ ] } ,\n"
         "   { \"productId\" : 2 } ] , \"totalResults\" : 2 } ",
         "0sp1 0n2 ");
    find("[\"a.b\"]", "{\"a.b\":1,\"a\":{\"b\":2}}", "0n1 ");
    find("a[\"b c\"].d", "{\"a\":{\"b c\":{\"d\":1}}}", "0n1 ");
    find("[\"\"]", "{\"\":1}", "0n1 ");
    find("[\"q\\\"s\\\\\"]", "{\"q\\\"s\\\\\":1}", "0n1 ");
    find("\xc3\xa4", "{\"\xc3\xa4\":1}", "0n1 ");
    find("\xc3\xa4", "{\"\\u00e4\":2}", "0n2 ");
    find("\xf0\x9f\x98\x80", "{\"\\ud83d\\uDE00\":1}", "0n1 ");
    find("ab", "{\"a\":1,\"abc\":2,\"ab\":3,\"AB\":4}", "0n3 ");
}


static void
test_texts(void **state)
{
    /* escaped keys */

    find("results", "{\"r\\u0065sults\":1}", "0n1 ");
    find("results", "{\"\\u0072\\u0065\\u0073\\u0075\\u006c\\u0074\\u0073\":1}",
         "0n1 ");
    find("a/b", "{\"a\\/b\":1}", "0n1 ");
    find("a", "{\"\\u0061\\u0000\":1,\"\\ud800\":2,\"\\u0061\":3}", "0n3 ");
    find("\xef\xbf\xbd", "{\"\\ud800\":1,\"\xef\xbf\xbd\":2}", "0n2 ");

    /* a key longer than any name could be when all of it is escaped */

    find("ab", "{\"0123456789abcdef0123456789abcdef\":1,\"ab\":2}", "0n2 ");
    find("ab", "{\"\\u0061\\u0062\\u0063\":1,\"\\u0061\\u0062\":2}", "0n2 ");

    /* escaped values */

    find("a", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
         "0s\"\\/\b\f\n\r\t ");
    find("a", "{\"a\":\"x\\u0041y\\u00e9\\u20ac\"}",
         "0sxAy\xc3\xa9\xe2\x82\xac ");
    find("a", "{\"a\":\"\\ud83d\\ude00.\"}", "0s\xf0\x9f\x98\x80. ");
    find("a", "{\"a\":\"\xf0\x9f\x98\x80\"}", "0s\xf0\x9f\x98\x80 ");
    find("a", "{\"a\":\"\\udbff\\udfff\"}", "0s\xf4\x8f\xbf\xbf ");
    find("a", "{\"a\":\"\\ud800\\udc00\"}", "0s\xf0\x90\x80\x80 ");

    /* lone surrogates */

    find("a", "{\"a\":\"x\\ud83d\"}", "0sx\xef\xbf\xbd(bad) ");
    find("a", "{\"a\":\"\\ude00x\"}", "0s\xef\xbf\xbdx(bad) ");
    find("a", "{\"a\":\"\\ud83d\\u0041\"}", "0s\xef\xbf\xbd" "A(bad) ");
    find("a", "{\"a\":\"\\ud83d\\ud83d\\ude00\"}",
         "0s\xef\xbf\xbd\xf0\x9f\x98\x80(bad) ");
    find("a", "{\"a\":\"\\ud83dude00\",\"a\":\"x\"}",
         "0s\xef\xbf\xbdude00(bad) ");

    /* the limit counts raw bytes: 32 pass, 33 don't */

    find("a", "{\"a\":\"0123456789abcdef0123456789abcdef\"}",
         "0s0123456789abcdef0123456789abcdef ");
    find("a", "{\"a\":\"0123456789abcdef0123456789abcdefg\",\"a\":1}",
         "0s(long) ");
    find("a", "{\"a\":12345678901234567890123456789012}",
         "0n12345678901234567890123456789012 ");
    find("a", "{\"a\":123456789012345678901234567890123,\"a\":true}",
         "0n(long) ");
    find("a", "{\"a\":\"\\u0041\\u0041\\u0041\\u0041\\u0041xy\"}",
         "0sAAAAAxy ");
    find("a", "{\"a\":\"\\u0041\\u0041\\u0041\\u0041\\u0041xyz\"}",
         "0s(long) ");
    find("a", "{\"a\":\"\\ud83d 0123456789abcdef01234567890123456789\"}",
         "0s(long) ");
    find("[]", "[\"0123456789abcdef0123456789abcdefg\",\"a\",\"\\n\"]",
         "0s(long) 0sa 0s\n ");
}


static void
test_sets(void **state)
{
    const char  *paths[] = { "results[].productId", "totalResults",
                             "results[]", "results[1].productId", "a.b[].c",
                             "results", "a.b", "[].x" };

    const char   text[] = "{\"totalResults\":2,\"a\":{\"b\":[{\"c\":\"y\"}]},"
                          "\"results\":[{\"productId\":\"p0\"},7,"
                          "{\"productId\":\"p2\"}],\"results\":"
                          "[0,{\"x\":1,\"productId\":\"p\\u0031\"}]}";

    test_find(paths, 8, text, sizeof(text) - 1, 0, 0, NGX_OK,
              "1n2 6[ 4sy 5[ 2{ 0sp0 2n7 2{ 0sp2 ");

    test_find(paths, 2, text, sizeof(text) - 1, 0, 0, NGX_OK,
              "1n2 0sp0 0sp2 ");

    /* the same twice */

    paths[2] = paths[1];
    test_find(paths, 3, text, sizeof(text) - 1, 0, 0, NGX_OK,
              "1n2 2n2 0sp0 0sp2 ");
}


/* after the handler has said stop nothing is looked at, be it JSON or not */

static void
test_stop(void **state)
{
    const char  *paths[] = { "[]", "[]" };
    const char  *name[] = { "a" };

    static const char  text[] = "[1,2,3";
    static const char  container[] = "{\"a\":{nonsense";

    test_find(paths, 1, text, sizeof(text) - 1, 0, 2, NGX_OK, "0n1 0n2 ");
    test_find(paths, 1, text, sizeof(text) - 1, 0, 4, NGX_ERROR,
              "0n1 0n2 ");
    test_find(paths, 2, text, sizeof(text) - 1, 0, 1, NGX_OK, "0n1 ");
    test_find(name, 1, container, sizeof(container) - 1, 0, 1, NGX_OK,
              "0{ ");
}


static void
test_broken(void **state)
{
    size_t                       i;
    ngx_str_t                    nothing;
    test_run_t                  *run;
    ngx_http_refine_path_set_t  *set;

    const char   *paths[] = { "a" };
    static char   deep[100000];

    static const char  valid[] = "{\"a\":[1,\"\\ud83d\\ude00\",{\"a\":null}]}";
    static const char  bom[] = "\xef\xbb\xbf{\"a\":1}";

    run = malloc(sizeof(test_run_t));
    assert_non_null(run);
    run->stop = 0;

    set = test_compile(paths, 1);

    for (i = 0; i < sizeof(valid) - 1; i++) {
        test_match(run, set, valid, i, NO_CUT, 0);
        assert_int_equal(run->rc, NGX_ERROR);
    }

    test_find(paths, 1, bom, sizeof(bom) - 1, NGX_HTTP_REFINE_JSON_BOM, 0,
              NGX_OK, "0n1 ");
    test_find(paths, 1, bom, sizeof(bom) - 1, 0, 0, NGX_ERROR, "");
    test_find(paths, 1, "{\"a\":1,}", 8, 0, 0, NGX_ERROR, "0n1 ");
    test_find(paths, 1, "<html>", 6, 0, 0, NGX_ERROR, "");

    /* 64 deep pass where nothing is looked for, 65 do not */

    for (i = 63; i <= 64; i++) {
        memcpy(deep, "{\"b\":", 5);
        memset(deep + 5, '[', i);
        memset(deep + 5 + i, ']', i);
        deep[5 + i * 2] = '}';

        test_match(run, set, deep, 5 + i * 2 + 1, EACH_BYTE, 0);
        assert_int_equal(run->rc, i == 63 ? NGX_OK : NGX_ERROR);
    }

    memset(deep, '[', sizeof(deep));
    test_match(run, set, deep, sizeof(deep), RANDOM_CUTS, 0);
    assert_int_equal(run->rc, NGX_ERROR);

    for (i = 0; i + 5 <= sizeof(deep); i += 5) {
        memcpy(deep + i, "{\"a\":", 5);
    }

    test_match(run, set, deep, sizeof(deep), RANDOM_CUTS, 0);
    assert_int_equal(run->rc, NGX_ERROR);
    assert_string_equal(run->log, "0{ ");

    ngx_str_null(&nothing);
    test_match(run, set, (char *) nothing.data, 0, NO_CUT, 0);
    assert_int_equal(run->rc, NGX_ERROR);

    free(run);
}


static ngx_int_t
test_quiet_handler(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    size_t  *len = data;

    *len = value->text.len;

    return NGX_OK;
}


static void
test_memory(void **state)
{
    size_t                         i, len;
    ngx_int_t                      rc;
    ngx_pool_t                    *pool;
    ngx_http_refine_path_set_t    *set;
    ngx_http_refine_path_match_t   m;

    const char  *paths[] = { "a" };

    static u_char  plain[] = "{\"b\":\"\\n\",\"a\":\"0123456789\"}";
    static u_char  value[] = "{\"a\":\"0123\\n456789\"}";
    static u_char  key[] = "{\"";

    set = test_compile(paths, 1);
    pool = ngx_create_pool(1024, NULL);

    /* whole and plain: none at all */

    ngx_stub_fail_after(1);
    ngx_http_refine_path_init(&m, set, pool, 0, 4096, test_quiet_handler,
                              &len);
    assert_int_equal(ngx_http_refine_path_feed(&m, plain, sizeof(plain) - 1),
                     NGX_OK);
    assert_int_equal(ngx_http_refine_path_end(&m), NGX_OK);
    assert_false(ngx_stub_failed());

    /* none to be had: an error, and it stays one */

    ngx_http_refine_path_init(&m, set, pool, 0, 4096, test_quiet_handler,
                              &len);
    rc = ngx_http_refine_path_feed(&m, value, sizeof(value) - 1);
    assert_true(ngx_stub_failed());
    assert_int_equal(rc, NGX_ERROR);
    assert_string_equal(m.json.error, "no memory");
    assert_int_equal(ngx_http_refine_path_feed(&m, value, 1), NGX_ERROR);
    assert_int_equal(ngx_http_refine_path_end(&m), NGX_ERROR);

    /* a key of a megabyte in pieces: no more than a name needs */

    ngx_stub_fail_after(0);
    ngx_http_refine_path_init(&m, set, pool, 0, 4096, test_quiet_handler,
                              &len);
    assert_int_equal(ngx_http_refine_path_feed(&m, key, 2), NGX_OK);

    for (i = 0; i < 100000; i++) {
        assert_int_equal(ngx_http_refine_path_feed(&m,
                                                   (u_char *) "0123456789",
                                                   10),
                         NGX_OK);
    }

    assert_true(m.size <= 64);

    /* a value of a megabyte in pieces: no more than the limit, doubled */

    assert_int_equal(ngx_http_refine_path_feed(&m, (u_char *) "\":0,\"a\":\"",
                                               9),
                     NGX_OK);

    for (i = 0; i < 100000; i++) {
        assert_int_equal(ngx_http_refine_path_feed(&m,
                                                   (u_char *) "0123456789",
                                                   10),
                         NGX_OK);
    }

    assert_true(m.size <= 4096 * 2);
    assert_int_equal(ngx_http_refine_path_feed(&m, (u_char *) "\"}", 2),
                     NGX_OK);
    assert_int_equal(ngx_http_refine_path_end(&m), NGX_OK);
    assert_int_equal(len, 0);

    ngx_destroy_pool(pool);
}


/* where the list is that a selector takes its values from */

static void
test_list(void **state)
{
    ngx_str_t                     text;
    ngx_uint_t                    i;
    ngx_http_refine_path_t       *path, *list;
    ngx_http_refine_path_set_t   *set;

    static test_run_t             run;

    static const struct {
        const char  *text;
        const char  *json;                      /* NULL: there is no list */
        const char  *found;
    } cases[] = {
        { "a.b[].c", "{\"a\":{\"b\":[]}}", "0[ " },
        { "a.b[].c", "{\"a\":{\"b\":null,\"c\":1}}", "00 " },
        { "a[].b[].c", "{\"a\":[{\"b\":[1]},{},{\"b\":2}]}", "0[ 0n2 " },
        { "a[0].b[]", "{\"a\":[{\"b\":[{\"c\":3}]},{\"b\":4}]}", "0[ " },
        { "a[][0].c", "{\"a\":[[1]]}", "0[ " },
        { "[][]", "[[1],2]", "0[ 0n2 " },
        { "a.b", NULL, NULL },
        { "a[0].b", NULL, NULL },
        { "[].a", NULL, NULL }
    };

    run.stop = 0;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text.data = (u_char *) cases[i].text;
        text.len = strlen(cases[i].text);

        assert_null(ngx_http_refine_path_compile(test_pool, &text, &path));

        list = ngx_http_refine_path_list(test_pool, path);

        if (cases[i].json == NULL) {
            assert_null(list);
            continue;
        }

        assert_non_null(list);

        set = ngx_http_refine_path_set(test_pool, &list, 1);
        assert_non_null(set);

        test_match(&run, set, cases[i].json, strlen(cases[i].json), NO_CUT, 0);
        assert_int_equal(run.rc, NGX_OK);
        assert_string_equal(run.log, cases[i].found);
    }

    ngx_str_set(&text, "a.b[].c");
    assert_null(ngx_http_refine_path_compile(test_pool, &text, &path));
    ngx_stub_fail_after(1);
    assert_null(ngx_http_refine_path_list(test_pool, path));
    ngx_stub_fail_after(0);
}


static void
test_syntax(void **state)
{
    char                     buf[400];
    size_t                   i;
    ngx_str_t                text;
    const char              *error;
    ngx_http_refine_path_t  *path;

    static const struct {
        const char  *text;
        const char  *error;
    } bad[] = {
        { "", "is empty" },
        { ".a", "starts with \".\"" },
        { ".", "starts with \".\"" },
        { "a.", "has no name" },
        { "a..b", "has no name" },
        { "a.[]", "has no name" },
        { "a[", "has a \"[\" without" },
        { "a[0", "has a \"[\" without" },
        { "a]", "has a space" },
        { "a b", "has a space" },
        { "a\tb", "has a space" },
        { "a\"b", "has a space" },
        { "a\\b", "has a space" },
        { "a[]b", "has text after" },
        { "[\"a\"]b", "has text after" },
        { "a[-1]", "has something else" },
        { "a[*]", "has something else" },
        { "a[b]", "has something else" },
        { "a[ ]", "has something else" },
        { "a['b']", "has something else" },
        { "a[1234567890]", "has something else" },
        { "a[\"b]", "has a quoted name" },
        { "a[\"b\"", "has a quoted name" },
        { "a[\"", "has a quoted name" },
        { "a[\"b\"c]", "has a quoted name" },
        { "a[\"\\n\"]", "has an unknown escape" },
        { "a[\"\\", "has an unknown escape" },
        { "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", "has too many steps" },
        { "[][][][][][][][][][][][][][][][][]", "has too many steps" }
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text.len = strlen(bad[i].text);
        text.data = malloc(text.len);
        assert_true(text.data != NULL || text.len == 0);

        if (text.len) {
            memcpy(text.data, bad[i].text, text.len);
        }

        error = ngx_http_refine_path_compile(test_pool, &text, &path);

        if (error == NULL
            || strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
        {
            fail_msg("%s: %s", bad[i].text, error ? error : "accepted");
        }

        free(text.data);
    }

    memset(buf, 'x', sizeof(buf));
    text.data = (u_char *) buf;

    text.len = 128;
    assert_null(ngx_http_refine_path_compile(test_pool, &text, &path));

    text.len = 129;
    assert_non_null(ngx_http_refine_path_compile(test_pool, &text, &path));

    memcpy(buf, "[\"", 2);
    memcpy(buf + 130, "\"]", 2);
    text.len = 132;
    assert_null(ngx_http_refine_path_compile(test_pool, &text, &path));

    buf[130] = 'x';
    memcpy(buf + 131, "\"]", 2);
    text.len = 133;
    assert_non_null(ngx_http_refine_path_compile(test_pool, &text, &path));

    /* without memory */

    ngx_str_set(&text, "[\"a\"]");

    for (i = 1; i <= 2; i++) {
        ngx_stub_fail_after(i);
        error = ngx_http_refine_path_compile(test_pool, &text, &path);
        ngx_stub_fail_after(0);
        assert_string_equal(error, "cannot be compiled: no memory");
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_syntax)
    };

    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
