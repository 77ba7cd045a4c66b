
/*
 * The scanner, by what a rewriter would make of a document: "|" where the head
 * ends, "@" before the ">" of a tag with data-refine-serve, and behind the
 * document what the attributes say.  Each is read whole, cut in two at every
 * place, and byte by byte, always from copies of exactly the size.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "soup.h"
#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"


#define MAX  65536

#define S  "data-refine-serve"
#define I  "data-refine-item"


typedef struct {
    const char  *in;
    const char  *out;
} test_case_t;


typedef struct {
    size_t       len;
    char         text[MAX];     /* the document with the marks */
    size_t       nfound;
    char         found[MAX];    /* what the attributes say */
    size_t       nvalue;
    u_char       value[MAX];
    off_t        head;
    ngx_uint_t   page;
} test_run_t;


static void
test_piece(test_run_t *run, ngx_http_refine_html_t *html, const char *doc,
    size_t from, size_t len)
{
    off_t                          at;
    u_char                        *copy, *done, decoded[MAX];
    size_t                         size;
    ngx_http_refine_html_token_e   token;

    copy = malloc(len ? len : 1);
    memcpy(copy, doc + from, len);

    done = copy;
    ngx_http_refine_html_input(html, copy, len);

    for ( ;; ) {
        token = ngx_http_refine_html_next(html);

        assert_true(html->pos >= done && html->pos <= copy + len);

        memcpy(run->text + run->len, done, html->pos - done);
        run->len += html->pos - done;
        done = html->pos;

        switch (token) {

        case NGX_HTTP_REFINE_HTML_AGAIN:
            assert_true(html->pos == copy + len);
            assert_true(ngx_http_refine_html_held(html)
                        <= NGX_HTTP_REFINE_HTML_MAX_TAG + 3);
            free(copy);
            return;

        case NGX_HTTP_REFINE_HTML_HEAD_END:
            at = html->start;
            assert_true(run->head == -1);
            run->head = at;
            run->page = html->page;

            /* it is behind what was passed on, but for what had to be held */

            assert_true((off_t) run->len >= at);
            memmove(run->text + at + 1, run->text + at, run->len - at);
            run->text[at] = '|';
            run->len++;
            break;

        case NGX_HTTP_REFINE_HTML_VALUE:
            assert_true(html->text.data >= copy
                        && html->text.data + html->text.len <= copy + len);
            memcpy(run->value + run->nvalue, html->text.data, html->text.len);
            run->nvalue += html->text.len;

            if (!html->more) {
                size = sizeof(decoded);
                assert_int_equal(ngx_http_refine_html_decode(decoded, &size,
                                     run->value, run->nvalue), NGX_OK);
                run->nfound += sprintf(run->found + run->nfound, " %s%d=%.*s",
                                       html->inert ? "-" : "", html->attr,
                                       (int) size, decoded);
                run->nvalue = 0;
            }

            break;

        default:
            if ((html->attrs & (1 << NGX_HTTP_REFINE_HTML_SERVE))
                && !html->inert)
            {
                assert_false(html->end);
                run->text[run->len++] = '@';

                if (html->bare) {
                    run->text[run->len++] = '=';
                }

                if (html->slash) {
                    run->text[run->len++] = '/';
                }

                if (html->empty) {
                    run->text[run->len++] = '0';
                }
            }
        }
    }
}


static void
test_scan(test_run_t *run, const char *doc, size_t len, size_t cut,
    size_t step)
{
    size_t                  n, from;
    ngx_http_refine_html_t  html;

    run->len = 0;
    run->nfound = 0;
    run->nvalue = 0;
    run->head = -1;
    run->page = 0;

    ngx_http_refine_html_init(&html);

    for (from = 0; from < len; from += n) {
        n = (from < cut) ? cut : step;
        n = ngx_min(n, len - from);
        test_piece(run, &html, doc, from, n);
    }

    memcpy(run->text + run->len, run->found, run->nfound);
    run->len += run->nfound;
    run->text[run->len] = '\0';
}


static void
test_all(const char *doc, size_t len, const char *out)
{
    size_t             i;
    static test_run_t  whole, run;

    test_scan(&whole, doc, len, len, len);

    if (out && strcmp(whole.text, out) != 0) {
        print_error("in:       %s\nout:      %s\nexpected: %s\n", doc,
                    whole.text, out);
        fail();
    }

    for (i = 0; i <= len; i++) {
        test_scan(&run, doc, len, i, i ? len : 1);

        if (run.len != whole.len || memcmp(run.text, whole.text, run.len)
            || run.page != whole.page)
        {
            print_error("in: %s\ncut at %d: %s\nwhole:  %s\n", doc, (int) i,
                        run.text, whole.text);
            fail();
        }
    }
}


static const test_case_t  test_cases[] = {

    /* attributes */

    { "<div " S ">", "|<div " S "@>" },
    { "<DIV " "DATA-Refine-SERVE" "\n>", "|<DIV DATA-Refine-SERVE\n@>" },
    { "<div " S "=''>", "|<div " S "=''@>" },
    { "<div " S "=>", "|<div " S "=@=>" },
    { "<div a=b/ " S "/>", "|<div a=b/ " S "/@/>" },
    { "<div " S " a=b/>", "|<div " S " a=b/@>" },
    { "<div/" S "/a>", "|<div/" S "/a@>" },
    { "<div a='>' b=\">\" " S ">", "|<div a='>' b=\">\" " S "@>" },
    { "<div a=\"b\"" S ">", "|<div a=\"b\"" S "@>" },
    { "<div =" S ">", "|<div =" S ">" },
    { "<div a=" S ">", "|<div a=" S ">" },
    { "<div a=\"" S "\">", "|<div a=\"" S "\">" },
    { "<div " S "x>", "|<div " S "x>" },
    { "<div x" S ">", "|<div x" S ">" },
    { "<div\"" S ">", "|<div\"" S ">" },
    { "<div " S "", "|<div " S "" },
    { "<div " S "='a>", "|<div " S "='a>" },
    { "</div " S ">", "</div " S ">" },
    { "<img " S ">", "|<img " S "@0>" },
    { "<a " I "=x>", "|<a " I "=x> 5=x" },
    { "<a " I "=x " I "=y>", "|<a " I "=x " I "=y> 5=x" },
    { "<a " I " " I "=y>", "|<a " I " " I "=y>" },
    { "<a " I " = 'x'>", "|<a " I " = 'x'> 5=x" },
    { "<a " I "=\"a'b\">", "|<a " I "=\"a'b\"> 5=a'b" },
    { "<a " I "=a=b'c\"d>", "|<a " I "=a=b'c\"d> 5=a=b'c\"d" },
    { "<a " I "=\"\">", "|<a " I "=\"\"> 5=" },
    { "<a data-refine-surface=h data-refine-source='s' "
      "data-refine-serve-id=i>",
      "|<a data-refine-surface=h data-refine-source='s' "
      "data-refine-serve-id=i> 3=h 4=s 2=i" },
    { "<meta name=a><link name=b>", "<meta name=a><link name=b> 6=a" },

    /* references */

    { "<a " I "='&amp;&lt;&quot;&#39;&#x2F;&eacute;&nGt;'>",
      "|<a " I "='&amp;&lt;&quot;&#39;&#x2F;&eacute;&nGt;'> "
      "5=&<\"'/\xc3\xa9\xe2\x89\xab\xe2\x83\x92" },
    { "<a " I "='&amp &ampx &amp=&copy1&copy'>",
      "|<a " I "='&amp &ampx &amp=&copy1&copy'> "
      "5=& &ampx &amp=&copy1\xc2\xa9" },
    { "<a " I "='&#0;&#128;&#xd800;&#x110000;&#;&#x;&#65&nosuch;&;&'>",
      "|<a " I "='&#0;&#128;&#xd800;&#x110000;&#;&#x;&#65&nosuch;&;&'> "
      "5=\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd&#;&#x;A&nosuch;&;&" },
    { "<a " I "='&#99999999999999999999;&zwnj;&AElig&hearts'>",
      "|<a " I "='&#99999999999999999999;&zwnj;&AElig&hearts'> "
      "5=\xef\xbf\xbd\xe2\x80\x8c\xc3\x86&hearts" },

    /* what is no tag */

    { "a<" I ">", "|a<" I ">" }, { "< a " S ">", "|< a " S ">" },
    { "a<1 " S ">", "|a<1 " S ">" }, { "<<b " S ">", "|<<b " S "@>" },
    { "</><b " S ">", "</>|<b " S "@>" },
    { "</ <b " S ">", "</ <b " S ">" },
    { "<?php <b " S "><i " S ">", "<?php <b " S ">|<i " S "@>" },
    { "<!x <b " S "><i " S ">", "<!x <b " S ">|<i " S "@>" },
    { "<!DOCTYPE html PUBLIC \"a>b\"><b " S ">",
      "<!DOCTYPE html PUBLIC \"a>|b\"><b " S "@>" },

    /* comments */

    { "<!-- <b " S "> --><i " S ">", "<!-- <b " S "> -->|<i " S "@>" },
    { "<!--><i " S ">", "<!-->|<i " S "@>" },
    { "<!---><i " S ">", "<!--->|<i " S "@>" },
    { "<!----><i " S ">", "<!---->|<i " S "@>" },
    { "<!-----><i " S ">", "<!----->|<i " S "@>" },
    { "<!----!><i " S ">", "<!----!>|<i " S "@>" },
    { "<!--!><i " S ">--><u " S ">", "<!--!><i " S ">-->|<u " S "@>" },
    { "<!---!><i " S ">--><u " S ">", "<!---!><i " S ">-->|<u " S "@>" },
    { "<!-- --!><i " S ">", "<!-- --!>|<i " S "@>" },
    { "<!-- --!-><i " S ">--><u " S ">",
      "<!-- --!-><i " S ">-->|<u " S "@>" },
    { "<!-- --!--><i " S ">", "<!-- --!-->|<i " S "@>" },
    { "<!-- -- ><i " S ">--><u>", "<!-- -- ><i " S ">-->|<u>" },
    { "<!-- <!-- --><i " S ">", "<!-- <!-- -->|<i " S "@>" },
    { "<!-- <!--><i " S ">", "<!-- <!-->|<i " S "@>" },
    { "<!-a><i " S ">", "<!-a>|<i " S "@>" },
    { "<!-><i " S ">", "<!->|<i " S "@>" },
    { "<!-- </head>", "<!-- </head>" },

    /* raw text */

    { "<title></head><b " S "></title></head>",
      "<title></head><b " S "></title>|</head>" },
    { "<style><b " S "></stylex></style ><i " S ">",
      "<style><b " S "></stylex></style >|<i " S "@>" },
    { "<textarea></textare></TEXTAREA/><i " S ">",
      "|<textarea></textare></TEXTAREA/><i " S "@>" },
    { "<title></title <i " S "><u " S ">", "<title></title <i " S ">|<u " S
      "@>" },
    { "<title></titl</title a='>'><i " S ">",
      "<title></titl</title a='>'>|<i " S "@>" },
    { "<noscript><b " S "></noscript><i " S ">",
      "<noscript><b " S "></noscript>|<i " S "@>" },
    { "<xmp><b " S "></xmp><iframe><b " S "></iframe><noembed><b " S
      "></noembed><noframes></noembed></noframes><i " S ">",
      "|<xmp><b " S "></xmp><iframe><b " S "></iframe><noembed><b " S
      "></noembed><noframes></noembed></noframes><i " S "@>" },
    { "<plaintext></plaintext><i " S ">",
      "|<plaintext></plaintext><i " S ">" },

    /* scripts */

    { "<script>'</head><b " S ">'</script></head>",
      "<script>'</head><b " S ">'</script>|</head>" },
    { "<script></scriptx></script\t><b " S ">",
      "<script></scriptx></script\t>|<b " S "@>" },
    { "<script><!-- <script> </script> <b " S "></script><i " S ">",
      "<script><!-- <script> </script> <b " S "></script>|<i " S "@>" },
    { "<script><!-- <script> </script> --></script><i " S ">",
      "<script><!-- <script> </script> --></script>|<i " S "@>" },
    { "<script><!-- <script> --></script><i " S ">",
      "<script><!-- <script> --></script>|<i " S "@>" },
    { "<script><!--><script></script><i " S ">",
      "<script><!--><script></script>|<i " S "@>" },
    { "<script><!---><script></script><i " S ">",
      "<script><!---><script></script>|<i " S "@>" },
    { "<script><!-- <scriptx></script><i " S ">",
      "<script><!-- <scriptx></script>|<i " S "@>" },
    { "<script><!-- <script </SCRIPT/ </script><i " S ">",
      "<script><!-- <script </SCRIPT/ </script>|<i " S "@>" },
    { "<script><!- <script></script><i " S ">",
      "<script><!- <script></script>|<i " S "@>" },
    { "<script><!--<</script><i " S ">",
      "<script><!--<</script>|<i " S "@>" },

    /* foreign content */

    { "<svg><title><b " S "></title><![CDATA[<b " S ">]]></svg><i " S ">",
      "|<svg><title><b " S "@></title><![CDATA[<b " S ">]]></svg><i " S "@>" },
    { "<![CDATA[<b " S ">]]><i " S ">", "<![CDATA[<b " S ">|]]><i " S "@>" },
    { "<svg><![cdata[<b " S "><i " S ">",
      "|<svg><![cdata[<b " S "><i " S "@>" },
    { "<svg><![CDATA[]>]]]><i " S ">", "|<svg><![CDATA[]>]]]><i " S "@>" },
    { "<svg><style/><g " S "/><script/></svg><i " S ">",
      "|<svg><style/><g " S "/@/0><script/></svg><i " S "@>" },
    { "<svg><div><title></head><b " S ">",
      "|<svg><div><title></head><b " S ">" },
    { "<svg></div><title></head><b " S ">",
      "|<svg></div><title></head><b " S ">" },
    { "<svg><g></svg><title></head><b " S ">",
      "|<svg><g></svg><title></head><b " S ">" },
    { "<svg/><title></head><b " S ">", "|<svg/><title></head><b " S ">" },
    { "<svg><svg></svg><title/><b " S ">",
      "|<svg><svg></svg><title/><b " S "@>" },
    { "<svg><foreignObject><style><b " S "></style></foreignObject><style/>"
      "<g " S ">",
      "|<svg><foreignObject><style><b " S "></style></foreignObject><style/>"
      "<g " S "@>" },
    { "<svg><title><title></b></title></title><style/><g " S ">",
      "|<svg><title><title></b></title></title><style/><g " S "@>" },
    { "<math><title/><mi " S "></math><title></head>",
      "|<math><title/><mi " S "@></math><title></head>" },

    /* templates */

    { "<template><div><b " I "=x></template></head>",
      "<template><div><b " I "=x></template>|</head> -5=x" },
    { "<template><template></template><b " S "></template><i " S ">",
      "<template><template></template><b " S "></template>|<i " S "@>" },
    { "</template><i " S ">", "</template>|<i " S "@>" },

    /* the head */

    { "<!doctype html><html><head><meta><link></head><body>",
      "<!doctype html><html><head><meta><link>|</head><body>" },
    { "\xef\xbb\xbf \n<html> <HEAD a> </HEAD >",
      "\xef\xbb\xbf \n<html> <HEAD a> |</HEAD >" },
    { "<html><body>", "<html>|<body>" },
    { "<html><frameset>", "<html>|<frameset>" },
    { "<html></p></body>", "<html></p>|</body>" },
    { "<html></br>", "<html>|</br>" }, { "<html></html>", "<html>|</html>" },
    { "<html> text", "<html> |text" }, { "<html><", "<html><" },
    { "<html></hea", "<html></hea" },
    { "<html></headx></head>", "<html></headx>|</head>" },
    { "<html><a-very-long-name-of-a-tag>", "<html>|<a-very-long-name-of-a-tag>"
    },
    { "<html><abcdefghijklmn><b>", "<html>|<abcdefghijklmn><b>" },
    { "\xfe\xff<b " S ">", "\xfe\xff<b " S ">" },
    { "\xff\xfe<b " S ">", "\xff\xfe<b " S ">" },
    { "\xff<b " S ">", "\xff|<b " S "@>" },
    { "\xef\xbb<b " S ">", "\xef\xbb|<b " S "@>" }
};


static void
test_documents(void **state)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(test_cases) / sizeof(test_cases[0]); i++) {
        test_all(test_cases[i].in, strlen(test_cases[i].in),
                 test_cases[i].out);
    }
}


/* a document, not a fragment of one */

static void
test_page(void **state)
{
    ngx_uint_t         i;
    static test_run_t  run;

    static const char *pages[] = {
        "<!doctype html><p>", "<html><p>", "<head><p>", "<title>a</title><p>",
        "<body>", "<frameset>", "<!DocType><p>", "<meta><head></head>"
    };

    static const char *fragments[] = {
        "<p>", "text", "<script></script><p>", "<!-- <html> --><p>",
        "<template><html></template><p>", "<p><html>", "<link><div>",
        "<!doc><p>", "</html>", "<headers>"
    };

    for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        test_scan(&run, pages[i], strlen(pages[i]), 1, 1);
        assert_true(run.head != -1 && run.page);
    }

    for (i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
        test_scan(&run, fragments[i], strlen(fragments[i]), 1, 1);
        assert_true(run.head != -1 && !run.page);
    }
}


static void
test_decode(void **state)
{
    u_char  dst[6];
    size_t  size;

    size = 5;
    assert_int_equal(ngx_http_refine_html_decode(dst, &size,
                         (u_char *) "ab&amp;cd", 9), NGX_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(dst, "ab&cd", 5);

    size = 4;
    assert_int_equal(ngx_http_refine_html_decode(dst, &size,
                         (u_char *) "ab&amp;cd", 9), NGX_DECLINED);

    size = 5;
    assert_int_equal(ngx_http_refine_html_decode(dst, &size,
                         (u_char *) "&nGt;", 5), NGX_DECLINED);

    size = 3;
    assert_int_equal(ngx_http_refine_html_decode(dst, &size,
                         (u_char *) "\0", 1), NGX_OK);
    assert_memory_equal(dst, "\xef\xbf\xbd", 3);
}


static void
test_soup_check(const char *doc, size_t len, ngx_uint_t n)
{
    static test_run_t  whole, run;

    if (n % 20 == 0) {
        test_all(doc, len, NULL);
        return;
    }

    test_scan(&whole, doc, len, len, len);
    test_scan(&run, doc, len, 0, 1 + n % 7);
    assert_int_equal(run.len, whole.len);
    assert_memory_equal(run.text, whole.text, run.len);
}


static void
test_soup(void **state)
{
    static const char *pieces[] = {
        "<", ">", "/", "=", "\"", "'", "-", "!", "--", "-->", "<!--", "<!-",
        "<!", "]]>", "<![CDATA[", " ", "\n", "a", "<a", "</a>", "<div", "<div>",
        "</div>", " " S, " " I "=x", " " I "='&amp;\"'", " " I "=\"<b>\"",
        "<script>", "</script>", "<script", "</script", "<title>", "</title>",
        "<style>", "</style>", "<svg>", "</svg>", "<svg/>", "<template>",
        "</template>", "<head>", "</head>", "</head", "<body>", "<html>",
        "<textarea>", "</textarea>", "<foreignObject>", "</foreignObject>",
        "<!doctype html>", "<meta name=", "<p", "</", "<?", "&", "\0"
    };

    soup(20261126, 20000, pieces, sizeof(pieces) / sizeof(pieces[0]),
         test_soup_check);
}


/*
 * Attributes are passed over whole, or go through the states when the document
 * is read byte by byte: all that may follow each other in a tag.  The tag
 * behind it tells where the first one ended.
 */

static void
test_attr_check(const char *doc, size_t len, ngx_uint_t n)
{
    char               tag[SOUP_MAX + 256];
    size_t             size, shift;
    static test_run_t  whole, run;

    size = sprintf(tag, "<body><%s", (n % 9 == 0) ? "meta" : "b");

    shift = n % 32;
    memset(tag + size, (n % 5) ? ' ' : 'x', shift);
    size += shift;

    memcpy(tag + size, doc, len);
    size += len;

    size += sprintf(tag + size, "><i " S " " I "=z><p class='a' id=\"%64s\">",
                    "");

    test_scan(&whole, tag, size, size, size);
    test_scan(&run, tag, size, 0, 1);

    if (run.len != whole.len || memcmp(run.text, whole.text, run.len)) {
        print_error("in: %.*s\nby bytes: %s\nwhole:  %s\n", (int) size, tag,
                    run.text, whole.text);
        fail();
    }
}


static void
test_attr_soup(void **state)
{
    static const char *pieces[] = {
        " a", " b=c", " d='e'", " f=\"g\"", " href=/p/1", " src=\"/i/1\"",
        " class=\"some names that are more than 32 bytes\"", " x=y>z",
        " alt='it\"s > \"'", " alt=\"it's > '\"", " " S, " " I "=v",
        " " I "='v'", "\n\t" I "=\"v\"", " DATA-Refine-Source='v'",
        " data-collect", " data-x", " data-re", " data-color=red", " name=n",
        " name", "                 ", "=", "\"", "'", "/", " ", ">", "<", "\n",
        "\t", "\f", "\r", "\v", "\1", "\xc3\xa4", "v", "'v'", "\"v\"", I,
        I "=w", ""
    };

    soup(20261129, 60000, pieces, sizeof(pieces) / sizeof(pieces[0]),
         test_attr_check);
}


/* each name that has a role is found: no two of them have the same place */

static void
test_names(void **state)
{
    size_t                              len;
    ngx_uint_t                          i;
    ngx_http_refine_html_text_t         name;
    const ngx_http_refine_html_name_t  *row;

    static const char  *names[] = {
        "p", "b", "i", "s", "u", "li", "br", "ul", "h3", "h2", "h4", "h1",
        "h5", "h6", "dd", "dl", "dt", "em", "hr", "ol", "tt", "div", "img",
        "svg", "big", "col", "pre", "sub", "sup", "var", "wbr", "xmp", "span",
        "link", "meta", "area", "base", "body", "code", "desc", "head", "html",
        "math", "menu", "nobr", "ruby", "input", "style", "title", "table",
        "small", "embed", "frame", "image", "param", "track", "script",
        "strong", "center", "iframe", "keygen", "source", "strike", "bgsound",
        "listing", "noembed", "template", "noscript", "textarea", "basefont",
        "frameset", "noframes", "plaintext", "blockquote", "foreignobject"
    };

    ngx_http_refine_html_place();

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        len = strlen(names[i]);

        memset(&name, 0, sizeof(name));
        memcpy(name.text, names[i], len);

        row = ngx_http_refine_html_find(&name, len,
                                        ngx_http_refine_html_hash(&name));

        assert_int_equal(row->len, len);
        assert_memory_equal(row->name.text, name.text, sizeof(name.text));

        /* one that begins alike is another */

        row = ngx_http_refine_html_find(&name, len + 1,
                                        ngx_http_refine_html_hash(&name));
        assert_int_equal(row->len, 0);
    }
}


static ngx_uint_t
test_attrs_of(char *doc)
{
    ngx_http_refine_html_t        html;
    ngx_http_refine_html_token_e  token;

    ngx_http_refine_html_init(&html);
    ngx_http_refine_html_input(&html, (u_char *) doc, strlen(doc));

    do {
        token = ngx_http_refine_html_next(&html);
    } while (token == NGX_HTTP_REFINE_HTML_VALUE);

    assert_int_equal(token, NGX_HTTP_REFINE_HTML_TAG);

    return html.attrs;
}


/* in either case, and with no other byte in the place of one of theirs */

static void
test_attr_names(void **state)
{
    int         c, same;
    char        doc[64], *p;
    size_t      i, k;

    static const struct {
        const char                  *name;
        ngx_http_refine_html_attr_e  attr;
    } names[] = {
        { "data-refine-item", NGX_HTTP_REFINE_HTML_ITEM },
        { "data-refine-serve", NGX_HTTP_REFINE_HTML_SERVE },
        { "data-refine-surface", NGX_HTTP_REFINE_HTML_SURFACE },
        { "data-refine-source", NGX_HTTP_REFINE_HTML_SOURCE },
        { "data-refine-serve-id", NGX_HTTP_REFINE_HTML_SERVE_ID },
        { "data-collect", NGX_HTTP_REFINE_HTML_COLLECT },
        { "name", NGX_HTTP_REFINE_HTML_NAME }
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        sprintf(doc, "<meta %s='v'>", names[i].name);
        p = doc + sizeof("<meta ") - 1;

        for (k = 0; k < strlen(names[i].name); k++) {

            for (c = 1; c < 256; c++) {

                if (strchr(" \t\n\f\r/=>", c)) {
                    continue;
                }

                p[k] = (char) c;
                same = (ngx_tolower(c) == (u_char) names[i].name[k]);

                assert_int_equal(test_attrs_of(doc),
                                 same ? 1 << names[i].attr : 0);
            }

            p[k] = names[i].name[k];
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_attr_names),
        cmocka_unit_test(test_attr_soup),
        cmocka_unit_test(test_soup)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
