
/* the tree of a text: what cJSON makes of it, and what the lexer says */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_tree.h"


#define FLAGS  (NGX_HTTP_REFINE_JSON_NO_NUL|NGX_HTTP_REFINE_JSON_NO_LONE)
#define DEPTH  8


static ngx_http_refine_tree_t  tree;


static void
test_start(void)
{
    memset(&tree, 0, sizeof(tree));

    tree.pool = ngx_create_pool(1024, NULL);
    assert_non_null(tree.pool);
}


static void
test_stop(void)
{
    ngx_http_refine_tree_free(&tree);
    ngx_http_refine_tree_free(&tree);

    assert_null(tree.root);

    ngx_destroy_pool(tree.pool);
}


/* from a copy of exactly its size, which must not be changed */

static ngx_int_t
test_parse(const char *text, size_t len)
{
    u_char     *p;
    ngx_int_t   rc;

    p = malloc(len ? len : 1);
    memcpy(p, text, len);

    rc = ngx_http_refine_tree_parse(&tree, p, len, DEPTH, FLAGS);

    assert_memory_equal(p, text, len);
    free(p);

    return rc;
}


static void
test_same(void **state)
{
    cJSON       *root;
    ngx_uint_t   i;

    static const char  *texts[] = {
        "{}", "[]", " { } ", "[[],{},[{}]]", "[1]", "[true,false,null]",
        "{\"a\":{\"b\":[1,2,{\"c\":\"d\"}],\"e\":\"\"},\"f\":[]}",
        "[[[[[[[[1]]]]]]]]",
        "[0,-0,1,-1,10,123456789012345,1234567890123456,-123456789012345]",
        "[9007199254740993,1.5,-1.5,1e3,1E-3,1e+3,0.1,123456.789e-10]",
        "[123456.789e-10123]",
        "[ 1 , 2\t,\n3\r]",
        "[\"\",\"a\",\"\\\"\",\"\\\\\\/\\b\\f\\n\\r\\t\",\"a\\nb\\nc\"]",
        "[\"\\u0001\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uD83D\\uDE00\"]",
        "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
        "{\"\\u0061\\n\":1,\"\":2,\"a\":3}",
        "{\"type\":\"click\",\"serveId\":\"s\",\"itemId\":\"i\","
        "\"position\":3,\"metadata\":{\"list\":\"grid\",\"n\":[1,2,3]}}"
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        test_start();

        assert_int_equal(test_parse(texts[i], strlen(texts[i])), NGX_OK);

        root = cJSON_Parse(texts[i]);
        assert_non_null(root);
        assert_true(cJSON_Compare(tree.root, root, 1));
        cJSON_Delete(root);

        test_stop();
    }
}


/* more than the 63 characters that cJSON reads */

static void
test_numbers(void **state)
{
    static const char  text[] = "[0.1000000000000000000000000000000000000000"
                                "000000000000000000000000000000000001,2]";

    test_start();

    assert_int_equal(test_parse(text, sizeof(text) - 1), NGX_OK);
    assert_true(tree.root->child->valuedouble == 0.1);
    assert_true(tree.root->child->next->valuedouble == 2);
    assert_null(tree.root->child->next->next);

    test_stop();
}


static void
test_scalars(void **state)
{
    ngx_uint_t  i;

    static const char  *texts[] = { "1", "\"a\"", "true", "null", " 12.5e3 " };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        test_start();

        assert_int_equal(test_parse(texts[i], strlen(texts[i])), NGX_OK);
        assert_null(tree.root);

        test_stop();
    }
}


static void
test_refused(void **state)
{
    size_t       offset;
    ngx_uint_t   i;
    const char  *error;

    static const char  *texts[] = {
        "", " ", "{", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1", "{a:1}",
        "[1]]", "[1] x", "nul", "[01]", "[1.]", "[\"a]", "[\"\\x\"]",
        "[\"\\u0000\"]", "[\"\\ud800\"]", "[\"\\ud800\\u0041\"]", "[\"\xff\"]",
        "[\"\n\"]", "[\"\\u", "[\"\\u00", "[\"\\", "{\"\\u12", "[1,-", "[tr",
        "\xef\xbb\xbf[]", "[[[[[[[[[1]]]]]]]]]", "[1}", "{\"a\":1]"
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        test_start();

        assert_int_equal(test_parse(texts[i], strlen(texts[i])), NGX_DECLINED);

        assert_int_equal(ngx_http_refine_json_check((u_char *) texts[i],
                                                    strlen(texts[i]), DEPTH,
                                                    FLAGS, &offset, &error),
                         NGX_ERROR);
        assert_string_equal(tree.error, error);
        assert_int_equal(tree.offset, offset);

        test_stop();
    }
}


/* as many nodes as are in several blocks, and around the end of the first */

static void
test_many(void **state)
{
    char        *text, *p;
    cJSON       *node;
    ngx_uint_t   n, i;

    text = malloc(8 * 2000);

    for (n = 0; n < 2000; n = (n < 40) ? n + 1 : n * 2) {
        p = text;
        *p++ = '[';

        for (i = 0; i < n; i++) {
            p += sprintf(p, "%s%u", i ? "," : "", (unsigned) i);
        }

        *p++ = ']';

        test_start();

        assert_int_equal(test_parse(text, p - text), NGX_OK);

        i = 0;

        for (node = tree.root->child; node; node = node->next) {
            assert_true(cJSON_IsNumber(node));
            assert_true(node->valuedouble == (double) i++);
        }

        assert_int_equal(i, n);

        test_stop();
    }

    free(text);
}


static void
test_no_memory(void **state)
{
    ngx_int_t   rc;
    ngx_uint_t  n, failed;

    static const char  text[] = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]";

    failed = 0;

    for (n = 1; n < 6; n++) {
        test_start();
        ngx_stub_fail_after(n);

        rc = test_parse(text, sizeof(text) - 1);

        assert_int_equal(rc, ngx_stub_failed() ? NGX_ERROR : NGX_OK);
        failed += ngx_stub_failed();

        ngx_stub_fail_after(0);
        test_stop();
    }

    /* the copy, two blocks */
    assert_int_equal(failed, 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
