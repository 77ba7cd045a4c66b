
/*
 * The rewriting of a page: what goes in where, which items are in which serve,
 * and that nothing else changes, however the page is cut.  An id is "#" and the
 * number of its container, the head's end "{}".
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "soup.h"
#include "ngx_http_refine_page.h"


#define MAX  262144

#define S  "<div data-refine-serve>"
#define I  "data-refine-item"
#define ID(n)  " data-refine-serve-id=\"#" n "\""


typedef struct {
    const char  *in;
    const char  *out;
    const char  *found;
} test_case_t;


typedef struct {
    size_t       len;
    char         text[MAX];     /* the page that is sent */
    size_t       nplain;
    char         plain[MAX];    /* the same without what was put into it */
    size_t       nfound;
    char         found[MAX];    /* the serves */
} test_run_t;


static void
test_put(test_run_t *run, const void *p, size_t len, ngx_uint_t plain)
{
    assert_true(run->len + len < MAX);

    memcpy(run->text + run->len, p, len);
    run->len += len;

    if (plain) {
        memcpy(run->plain + run->nplain, p, len);
        run->nplain += len;
    }
}


/* the id goes in with what is around it, which is no part of the page */

static void
test_id(test_run_t *run, ngx_http_refine_page_t *page, ngx_uint_t n)
{
    char    id[32], *at;
    size_t  len;

    static char  text[NGX_HTTP_REFINE_PAGE_MAX_TEXT + 1];

    memset(page->serve->id, '#', NGX_HTTP_REFINE_UUID_LEN);

    assert_int_equal(ngx_http_refine_page_next(page),
                     NGX_HTTP_REFINE_PAGE_COPY);

    len = page->out.len;
    assert_true(len <= NGX_HTTP_REFINE_PAGE_MAX_TEXT);

    memcpy(text, page->out.data, len);
    text[len] = '\0';

    at = strchr(text, '#');
    assert_non_null(at);
    assert_true(strncmp(at - strlen(NGX_HTTP_REFINE_PAGE_ID),
                        NGX_HTTP_REFINE_PAGE_ID,
                        strlen(NGX_HTTP_REFINE_PAGE_ID)) == 0);

    test_put(run, text, at - text, 0);
    test_put(run, id, sprintf(id, "#%d", (int) n), 0);

    at += NGX_HTTP_REFINE_UUID_LEN;
    test_put(run, at, strlen(at), 0);
}


static void
test_steps(test_run_t *run, ngx_http_refine_page_t *page, ngx_uint_t *n)
{
    for ( ;; ) {

        switch (ngx_http_refine_page_next(page)) {

        case NGX_HTTP_REFINE_PAGE_AGAIN:
            return;

        case NGX_HTTP_REFINE_PAGE_PASS:
            assert_true(page->out.data >= page->html.first
                        && page->out.data + page->out.len <= page->html.last);

            /* fall through */

        case NGX_HTTP_REFINE_PAGE_COPY:
            assert_true(page->out.len > 0);
            test_put(run, page->out.data, page->out.len, 1);
            break;

        case NGX_HTTP_REFINE_PAGE_HEAD:
            test_put(run, ngx_http_refine_page_whole(page) ? "{}" : "{-}",
                     ngx_http_refine_page_whole(page) ? 2 : 3, 0);
            break;

        case NGX_HTTP_REFINE_PAGE_SERVE:
            test_id(run, page, ++*n);
            break;

        default:
            fail();
        }
    }
}


static void
test_items(test_run_t *run, ngx_http_refine_items_t *items)
{
    ngx_uint_t  i;

    for (i = 0; i < items->set.nstrings; i++) {
        run->nfound += sprintf(run->found + run->nfound, " %.*s",
                               (int) items->set.strings[i].len,
                               items->set.strings[i].data);
    }

    if (items->truncated) {
        run->nfound += sprintf(run->found + run->nfound, " ...");
    }
}


/* cut: the first chunk, step: the others */

static void
test_page(test_run_t *run, const char *doc, size_t len, size_t cut,
    size_t step, ngx_uint_t ids)
{
    size_t                         n, from;
    u_char                        *copy;
    ngx_uint_t                     serves;
    ngx_pool_t                    *pool;
    ngx_http_refine_page_t         page;
    ngx_http_refine_page_serve_t  *serve;

    run->len = 0;
    run->nplain = 0;
    run->nfound = 0;
    serves = 0;

    pool = ngx_create_pool(1024, NULL);
    ngx_http_refine_page_init(&page, pool, ids, ids);

    for (from = 0; from < len; from += n) {
        n = (from < cut) ? cut : step;
        n = ngx_min(n, len - from);

        copy = malloc(n);
        memcpy(copy, doc + from, n);

        ngx_http_refine_page_input(&page, copy, n);
        test_steps(run, &page, &serves);

        free(copy);

        assert_true(run->nplain <= from + n);
        assert_true(from + n - run->nplain <= NGX_HTTP_REFINE_PAGE_MAX_HELD);
    }

    ngx_http_refine_page_end(&page);
    test_steps(run, &page, &serves);

    assert_int_equal(page.nserves, serves);

    for (serve = page.serves; serve; serve = serve->next) {
        run->nfound += sprintf(run->found + run->nfound, "[%.*s|%.*s",
                               (int) serve->surface.len, serve->surface.data,
                               (int) serve->source.len, serve->source.data);
        test_items(run, &serve->items);
        run->nfound += sprintf(run->found + run->nfound, "]");
    }

    test_items(run, &page.items);

    if (page.beyond) {
        run->nfound += sprintf(run->found + run->nfound, " +%d",
                               (int) page.beyond);
    }

    run->nfound += sprintf(run->found + run->nfound, "%s%s",
                           page.script ? " script" : "",
                           page.meta ? " meta" : "");

    run->text[run->len] = '\0';

    ngx_destroy_pool(pool);

    /* with what was put in taken out it is the page that came */

    assert_int_equal(run->nplain, len);
    assert_memory_equal(run->plain, doc, len);
}


static void
test_same(test_run_t *a, test_run_t *b, const char *doc)
{
    if (a->len != b->len || memcmp(a->text, b->text, a->len) != 0
        || strcmp(a->found, b->found) != 0)
    {
        print_error("in: %s\n%s %s\n%s %s\n", doc, a->text, a->found, b->text,
                    b->found);
        fail();
    }
}


static void
test_all(const char *doc, size_t len, const char *out, const char *found)
{
    size_t             i;

    static test_run_t  whole, run;

    test_page(&whole, doc, len, len, len, 1);

    if (out) {
        assert_string_equal(whole.text, out);
        assert_string_equal(whole.found, found);
    }

    for (i = 0; i <= len; i++) {
        test_page(&run, doc, len, i, i ? len : 1, 1);
        test_same(&whole, &run, doc);
    }
}


static const test_case_t  test_cases[] = {

    { "", "", "" },
    { "<html><head></head>x", "<html><head>{}</head>x", "" },
    { "<html></HEAD >x", "<html>{}</HEAD >x", "" },
    { "<title></head></title><p>", "<title></head></title>{}<p>", "" },
    { "<p>part", "{-}<p>part", "" },
    { "<html data-refine-serve><head></head>",
      "<html data-refine-serve" ID("1") "><head>{}</head>", "[|]" },
    { "<html><", "<html><", "" },
    { "<html></head", "<html></head", "" },

    /* ids */

    { S "</div>", "{-}<div data-refine-serve" ID("1") "></div>", "[|]" },
    { "<div data-refine-serve=>",
      "{-}<div data-refine-serve=\"\"" ID("1") ">", "[|]" },
    { "<div data-refine-serve/>",
      "{-}<div data-refine-serve/" ID("1") "/>", "[|]" },
    { "<div data-refine-serve a='>\"'>",
      "{-}<div data-refine-serve a='>\"'" ID("1") ">", "[|]" },
    { "<div data-refine-serve data-refine-serve-id=x><p " I "=a></div><p " I
      "=b>",
      "{-}<div data-refine-serve data-refine-serve-id=x><p " I "=a></div><p " I
      "=b>", " b" },
    { "<template>" S "<p " I "=a></div></template>",
      "<template>" S "<p " I "=a></div></template>", "" },
    { S "<template " I "=x></template><i " I "=a>",
      "{-}<div data-refine-serve" ID("1") "><template " I "=x></template><i "
      I "=a>", "[| a]" },
    { "<template data-refine-surface=a></template>" S,
      "<template data-refine-surface=a></template>{-}<div data-refine-serve"
      ID("1") ">", "[|]" },
    { "<!--" S "--><script>" S "</script><p>",
      "<!--" S "--><script>" S "</script>{-}<p>", "" },
    { "<p></div data-refine-serve>", "{-}<p></div data-refine-serve>", "" },

    /* items */

    { S "<i " I "=a><i " I "=a><i " I "='&lt;&amp;'><i " I "=></div><i " I
      "=b>",
      "{-}<div data-refine-serve" ID("1") "><i " I "=a><i " I "=a><i " I
      "='&lt;&amp;'><i " I "=></div><i " I "=b>", "[| a <&] b" },
    { S "<div>" S "<i " I "=a></div><i " I "=b></div><i " I "=c></div><i " I
      "=d>",
      "{-}<div data-refine-serve" ID("1") "><div><div data-refine-serve"
      ID("2") "><i " I "=a></div><i " I "=b></div><i " I "=c></div><i " I
      "=d>", "[| b c][| a] d" },
    { "<ul data-refine-serve>" S "<i " I "=a></ul><i " I "=b>",
      "{-}<ul data-refine-serve" ID("1") "><div data-refine-serve" ID("2")
      "><i " I "=a></ul><i " I "=b>", "[|][| a] b" },
    { S "<img data-refine-serve " I "=a><i " I "=b>",
      "{-}<div data-refine-serve" ID("1") "><img data-refine-serve " I "=a"
      ID("2") "><i " I "=b>", "[| a b][|]" },
    { S "<i " I "='a\nb'><i " I "=\"\xff\"><i " I "='" "\xc3\xa9" "'>",
      "{-}<div data-refine-serve" ID("1") "><i " I "='a\nb'><i " I
      "=\"\xff\"><i " I "='" "\xc3\xa9" "'>", "[| \xc3\xa9]" },

    /* surface and source, the first of two counts */

    { "<div data-refine-surface=a data-refine-serve data-refine-source='b c' "
      "data-refine-surface=d>",
      "{-}<div data-refine-surface=a data-refine-serve data-refine-source='b c'"
      " data-refine-surface=d" ID("1") ">", "[a|b c]" },
    { "<i data-refine-surface=a>" S,
      "{-}<i data-refine-surface=a><div data-refine-serve" ID("1") ">",
      "[|]" },

    /* what a proxy in between has put in */

    { "<html><meta name=refine-serve-id><script data-collect></script></head>",
      "<html><meta name=refine-serve-id><script data-collect></script>{}"
      "</head>", " script meta" },
    { "<html><meta name=x><i data-collect>",
      "<html><meta name=x>{}<i data-collect>", "" }
};


static void
test_pages(void **state)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(test_cases) / sizeof(test_cases[0]); i++) {
        test_all(test_cases[i].in, strlen(test_cases[i].in),
                 test_cases[i].out, test_cases[i].found);
    }
}


/* without ids only the end of the head is looked for */

static void
test_plain(void **state)
{
    static test_run_t  run;

    static const char  doc[] = "<html><head></head>" S "<i " I "=a></head>";

    test_page(&run, doc, strlen(doc), 1, 1, 0);

    assert_string_equal(run.text, "<html><head>{}</head>" S "<i " I
                                  "=a></head>");
    assert_string_equal(run.found, "");
}


static void
test_limits(void **state)
{
    size_t             len;
    ngx_uint_t         i;

    static char        doc[MAX];
    static test_run_t  run;

    /* containers of a page */

    for (len = 0, i = 0; i < 102; i++) {
        len += sprintf(doc + len, S "<i " I "=a%d></div>", (int) i);
    }

    test_page(&run, doc, len, len, len, 1);
    assert_non_null(strstr(run.found, "[| a99] +2"));

    /* within one another: what is deeper is the innermost's */

    for (len = 0, i = 0; i < 18; i++) {
        len += sprintf(doc + len, S);
    }

    len += sprintf(doc + len, "<i " I "=in></div></div><i " I "=out>");

    test_page(&run, doc, len, len, len, 1);
    assert_non_null(strstr(run.found, "[| in out] +2"));

    /* ids of items: 64 KB of a page, 256 bytes of one, 2 KB as written */

    for (len = 0, i = 0; i < 300; i++) {
        len += sprintf(doc + len, "%s<i " I "=%0256d>", i % 30 ? "" : S,
                       (int) i);
    }

    test_page(&run, doc, len, 4096, 4096, 1);
    assert_non_null(strstr(run.found, "255 ...][| ...]"));
    assert_null(strstr(run.found, "256"));

    len = sprintf(doc, S "<i " I "=%0257d><i " I "=a><i " I "='%02049d'>"
                  "<i " I "=b><i " I "='%0300d'>", 1, 1, 1);

    test_page(&run, doc, len, 1000, 1000, 1);
    assert_string_equal(run.found, "[| a b]");

    /* a surface is cut between two characters */

    len = sprintf(doc, "<div data-refine-serve data-refine-surface='%063d"
                  "\xc3\xa9'>", 0);

    test_page(&run, doc, len, 7, 7, 1);
    assert_int_equal(run.nfound, strlen("[|]") + 63);
}


static void
test_memory(void **state)
{
    ngx_uint_t                    n;
    ngx_pool_t                   *pool;
    ngx_http_refine_page_t        page;
    ngx_http_refine_page_step_e   step;

    static u_char  doc[] = "<div data-refine-serve data-refine-surface=a "
                           "data-refine-source=b><i " I "=c>";

    for (n = 1; /* void */ ; n++) {
        pool = ngx_create_pool(1024, NULL);

        ngx_http_refine_page_init(&page, pool, 1, 1);
        ngx_http_refine_page_input(&page, doc, sizeof(doc) - 1);

        ngx_stub_fail_after(n);

        do {
            step = ngx_http_refine_page_next(&page);
        } while (step != NGX_HTTP_REFINE_PAGE_AGAIN
                 && step != NGX_HTTP_REFINE_PAGE_ERROR);

        assert_int_equal(step == NGX_HTTP_REFINE_PAGE_ERROR,
                         ngx_stub_failed());

        ngx_stub_fail_after(0);
        ngx_destroy_pool(pool);

        if (step == NGX_HTTP_REFINE_PAGE_AGAIN) {
            break;
        }
    }

    assert_int_equal(n, 5);
}


static void
test_soup_check(const char *doc, size_t len, ngx_uint_t n)
{
    static test_run_t  whole, run;

    if (n % SOUP_PIECES < 5 && n % 7 == 0) {
        test_all(doc, len, NULL, NULL);
        return;
    }

    test_page(&whole, doc, len, len, len, 1);
    test_page(&run, doc, len, 0, 1 + n % 7, 1);
    test_same(&whole, &run, doc);
}


static void
test_soup(void **state)
{
    static const char *pieces[] = {
        "<", ">", "/", "=", "\"", "'", "-->", "<!--", "<!-", "<![CDATA[", " ",
        "a", "<a", "</a>", "<div>", "</div>", S, "<ul data-refine-serve/>",
        "<ul data-refine-serve", "</ul>", " " I "=x", " " I "='&amp;\"'",
        "<i " I "=\"1\">", "<i " I "=2>", " data-refine-serve-id=x",
        " data-refine-surface=s", " data-refine-source='t'", "<script>",
        "</script>", "<script data-collect=", "</script", "<title>",
        "</title>", "<svg>", "</svg>", "<template>", "</template>", "<head>",
        "</head>", "</head", "<body>", "<html>", "<textarea>", "</textarea>",
        "<foreignObject>", "<!doctype html>", "<meta name=refine-serve-id>",
        "</", "<?", "&", "\0"
    };

    soup(20261128, 100000, pieces, sizeof(pieces) / sizeof(pieces[0]),
         test_soup_check);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_soup)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
