
/*
 * The HTML scanner against a machine that takes the same text byte by byte, and
 * as it, finds the tags and tells the names of them and of their attributes.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_html.h"
#include "rate.h"


#define HEAD  "<!DOCTYPE html><html><head><title>Shop</title></head>"
#define LIST  HEAD "<body><ul data-refine-serve>"
#define TAIL  "</body></html>"


typedef enum {
    BENCH_TEXT = 0,
    BENCH_OPEN,
    BENCH_MARKUP,
    BENCH_NAME,
    BENCH_SPACE,
    BENCH_ATTR,
    BENCH_EQUALS,
    BENCH_BARE,
    BENCH_QUOTED
} bench_state_e;


static uint64_t  bench_names;


static char *
bench_words(char *p, ngx_uint_t n)
{
    for ( /* void */ ; n; n--) {
        p = rate_letters(p, 2, 9);
        *p++ = ' ';
    }

    return p;
}


/* 60 products with a description each, as a shop's page has them */

static char *
bench_long(char *p, ngx_uint_t i)
{
    p += sprintf(p, "<li data-refine-item=\"sku-%lu\"><a href=\"/p/%lu\">",
                 (unsigned long) i, (unsigned long) i);
    p = bench_words(p, 3);
    p += sprintf(p, "</a><p>");
    p = bench_words(p, 90 + rate_random(20));

    return p + sprintf(p, "</p></li>\n");
}


/* the same small elements over and over */

static char *
bench_small(char *p, ngx_uint_t i)
{
    unsigned long  n;

    n = i % 1000;

    return p + sprintf(p, "<li class=\"item col-3\""
                       " data-refine-item=\"sku-%03lu\">"
                       "<a href=\"/p/%03lu\" class=link>"
                       "<img src=\"/i/%03lu.jpg\""
                       " alt='' width=80 height=80><b>Wool</b></a>"
                       "<span class=\"price\">12.50</span></li>", n, n, n);
}


/* nothing repeats, so that the branch predictor learns nothing by heart */

static char *
bench_dense(char *p, ngx_uint_t i)
{
    ngx_uint_t  n;

    static const char  *tags[] = { "div", "span", "a", "li", "b", "section",
                                   "em", "button" };
    static const char  *attrs[] = { "class", "id", "href", "data-x", "title",
                                    "data-refine-item", "style", "rel" };

    p += sprintf(p, "<%s%s", rate_random(3) ? "" : "/",
                 tags[rate_random(8)]);

    for (n = rate_random(4); n; n--) {
        p += sprintf(p, " %s", attrs[rate_random(8)]);

        switch (rate_random(4)) {

        case 0:
            break;

        case 1:
            *p++ = '=';
            p = rate_letters(p, 1, 8);
            break;

        case 2:
            p += sprintf(p, "='");
            p = rate_letters(p, 0, 20);
            *p++ = '\'';
            break;

        default:
            p += sprintf(p, "=\"");
            p = rate_letters(p, 0, 20);
            *p++ = '"';
        }
    }

    *p++ = '>';

    if (rate_random(2)) {
        p = rate_letters(p, 1, 12);
    }

    return p;
}


/*
 * As the templates of shops are: most tags have one attribute, a class of one
 * word to some, in double quotes, and there are line breaks with blanks between
 * tags.  It does not repeat either.
 */

static char *
bench_shop(char *p, ngx_uint_t i)
{
    ngx_uint_t  n;

    static const char        *tags[] = { "div", "span", "a", "li", "p", "ul",
                                         "section", "img" };
    static const char        *attrs[] = { "class", "class", "class", "class",
                                          "class", "href", "href", "src",
                                          "alt", "aria-hidden", "data-bg",
                                          "data-refine-item" };
    static const ngx_uint_t   counts[] = { 0, 0, 1, 1, 1, 1, 1, 1, 2, 4 };

    if (rate_random(2)) {
        p += sprintf(p, "</%s", tags[rate_random(7)]);

    } else {
        p += sprintf(p, "<%s", tags[rate_random(8)]);

        for (n = counts[rate_random(10)]; n; n--) {
            p += sprintf(p, " %s", attrs[rate_random(12)]);

            if (rate_random(25)) {
                p += sprintf(p, "=\"");
                p = rate_letters(p, 2, rate_random(4) ? 22 : 70);
                *p++ = '"';
            }
        }
    }

    *p++ = '>';

    if (rate_random(4)) {
        p += sprintf(p, "\n%*s", (int) rate_random(40), "");
        p = rate_random(2) ? p : rate_letters(p, 1, 30);
    }

    return p;
}


static size_t
bench_bytes(char *text, size_t len)
{
    char           ch, quote;
    size_t         found;
    uint64_t       hash;
    bench_state_e  state;

    hash = 0;
    found = 0;
    quote = 0;
    state = BENCH_TEXT;

    for ( /* void */ ; len; len--) {
        ch = *text++;

        switch (state) {

        case BENCH_TEXT:
            if (ch == '<') {
                state = BENCH_OPEN;
            }

            break;

        case BENCH_OPEN:
            hash = 0;
            state = (ch == '!') ? BENCH_MARKUP : BENCH_NAME;
            break;

        case BENCH_MARKUP:
            if (ch == '>') {
                state = BENCH_TEXT;
            }

            break;

        case BENCH_NAME:
        case BENCH_SPACE:
        case BENCH_ATTR:

            if (ch == '>') {
                found++;
                bench_names += hash;
                state = BENCH_TEXT;

            } else if (ch == ' ' || ch == '/') {
                bench_names += hash;
                hash = 0;
                state = BENCH_SPACE;

            } else if (ch == '=') {
                bench_names += hash;
                hash = 0;
                state = BENCH_EQUALS;

            } else {
                hash = hash * 31 + (ch | 0x20);
            }

            break;

        case BENCH_EQUALS:
            quote = ch;
            state = (ch == '"' || ch == '\'') ? BENCH_QUOTED : BENCH_BARE;
            break;

        case BENCH_BARE:
            if (ch == '>') {
                found++;
                state = BENCH_TEXT;

            } else if (ch == ' ') {
                state = BENCH_SPACE;
            }

            break;

        case BENCH_QUOTED:
            if (ch == quote) {
                state = BENCH_SPACE;
            }
        }
    }

    return found;
}


static size_t
bench_html(char *text, size_t len)
{
    size_t                        n, found;
    ngx_http_refine_html_t        html;
    ngx_http_refine_html_token_e  token;

    found = 0;
    ngx_http_refine_html_init(&html);

    for ( /* void */ ; len; len -= n, text += n) {
        n = ngx_min(len, RATE_CHUNK);
        ngx_http_refine_html_input(&html, (u_char *) text, n);

        do {
            token = ngx_http_refine_html_next(&html);
            found += (token == NGX_HTTP_REFINE_HTML_TAG);
        } while (token != NGX_HTTP_REFINE_HTML_AGAIN);
    }

    return found;
}


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    static const char        *names[] = { "bytes", "scanner" };
    static const rate_pt      runs[] = { bench_bytes, bench_html };
    static const rate_text_t  texts[] = {
        { "long text", 44000, LIST, bench_long, "</ul>" TAIL },
        { "dense, small", 50000, LIST, bench_small, "</ul>" TAIL },
        { "dense, random", 518000, HEAD "<body data-refine-serve>",
          bench_dense, TAIL },
        { "as in shops", 518000, HEAD "<body data-refine-serve>",
          bench_shop, TAIL }
    };

    rate_init(argc, argv, names, 2);

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        rate_print(&texts[i], runs, 2, 1);
    }

    return bench_names == 0;
}
