
/* what is passed over: the same end for every split of the input */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* with what is its own, for a processor takes one of two ways only */
#include "ngx_http_refine_skip.c"


#define NOT_OVER  ((size_t) -1)


static uint32_t  seed = 1;


static ngx_uint_t
test_random(ngx_uint_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


/* by the definition, a byte at a time */

static size_t
test_expect(const char *text, size_t len)
{
    size_t  i, depth;
    int     string;

    depth = 1;
    string = 0;

    for (i = 0; i < len; i++) {

        if (text[i] == '\\') {
            i++;

        } else if (text[i] == '"') {
            string = !string;

        } else if (!string && strchr("[{", text[i])) {
            depth++;

        } else if (!string && strchr("]}", text[i]) && --depth == 0) {
            return i + 1;
        }
    }

    return NOT_OVER;
}


typedef u_char *(*test_skip_pt)(ngx_http_refine_skip_t *skip, u_char *p,
    u_char *last);


#if (__SSE2__)

static u_char *
test_narrow(ngx_http_refine_skip_t *skip, u_char *p, u_char *last)
{
    u_char  *end;

    end = ngx_http_refine_skip_narrow(skip, &p, last);

    return end ? end : ngx_http_refine_skip_bytes(skip, p, last);
}

#endif


/* in pieces of exact size, so that a byte read beyond one shows */

static size_t
test_skip(test_skip_pt run, const char *text, size_t len, size_t piece)
{
    u_char                  *copy, *end;
    size_t                   pos, n;
    ngx_http_refine_skip_t   skip;

    ngx_memzero(&skip, sizeof(ngx_http_refine_skip_t));
    skip.depth = 1;

    for (pos = 0; pos < len; pos += n) {
        n = (len - pos < piece) ? len - pos : piece;

        copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, text + pos, n);

        end = run(&skip, copy, copy + n);

        if (skip.depth == 0) {
            pos += end - copy;
            free(copy);
            return pos;
        }

        assert_ptr_equal(end, copy + n);
        free(copy);
    }

    return NOT_OVER;
}


static void
test_way(test_skip_pt run, const char *text, size_t len)
{
    size_t  want, piece, got;

    want = test_expect(text, len);

    for (piece = 1; piece <= len; piece += 1 + piece / 7) {
        got = test_skip(run, text, len, piece);

        if (got != want) {
            fail_msg("pieces of %d: %d, expected %d: %.*s", (int) piece,
                     (int) got, (int) want, (int) len, text);
        }
    }

    got = test_skip(run, text, len, len);
    assert_int_equal(got, want);
}


static void
test_all(const char *text, size_t len)
{
    test_way(ngx_http_refine_skip, text, len);
    test_way(ngx_http_refine_skip_bytes, text, len);

#if (__SSE2__)
    test_way(test_narrow, text, len);
#endif
}


static void
test_cases(void **state)
{
    size_t             i;
    static const char *texts[] = {
        "}", "]", "]]", "[]]", "\"]\"]", "\"\\\"]\"]", "\"\\\\\"]",
        "\"\\\\\\\"]\"]", "[[[[]]]]]", "{\"a\":[1,{\"b\":\"}\"}]}}",
        "", "\"", "\"]", "\\]]", "\"]\\", "[[[", "\"\\", "]\"\\",
        "\xff\x00\x80]", "{\"\xc3\xa4\":\"\xf0\x9f\x98\x80\"}}"
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i][0] != '\0') {
            test_all(texts[i], strlen(texts[i]));
        }
    }
}


/* each kind of byte at each place of a block */

static void
test_places(void **state)
{
    char        text[200];
    ngx_uint_t  i, k, run;

    for (i = 0; i < 140; i++) {
        memset(text, ' ', sizeof(text));
        text[i] = ']';
        test_all(text, sizeof(text));

        for (run = 1; run <= 9; run++) {
            memset(text, ' ', sizeof(text));
            text[i] = '"';

            for (k = 1; k <= run; k++) {
                text[i + k] = '\\';
            }

            text[i + run + 1] = '"';
            text[i + run + 2] = ']';
            text[i + run + 3] = '"';
            text[i + run + 4] = ']';
            test_all(text, sizeof(text));
        }
    }
}


static void
test_soup(void **state)
{
    char                text[400];
    size_t              len;
    ngx_uint_t          round, i, over;
    static const char   bytes[] = "\"\"\\\\[]{}[[{{ab: ,1";

    over = 0;

    for (round = 0; round < 20000; round++) {
        len = 1 + test_random(sizeof(text) - 1);

        for (i = 0; i < len; i++) {
            text[i] = bytes[test_random(sizeof(bytes) - 1)];
        }

        over += (test_expect(text, len) != NOT_OVER);
        test_all(text, len);
    }

    assert_true(over > 1000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_soup)
    };

    return cmocka_run_group_tests_name("skip", tests, NULL, NULL);
}
