
/* The names of tags, and what tags change in the content that follows them. */


#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"


#define HEAD      NGX_HTTP_REFINE_HTML_IN_HEAD
#define RAW       NGX_HTTP_REFINE_HTML_RAW
#define VOID      NGX_HTTP_REFINE_HTML_VOID
#define BREAKOUT  NGX_HTTP_REFINE_HTML_BREAKOUT
#define IN_SVG    NGX_HTTP_REFINE_HTML_IN_SVG
#define FOREIGN   NGX_HTTP_REFINE_HTML_FOREIGN
#define PAGE      NGX_HTTP_REFINE_HTML_PAGE
#define ENDS      NGX_HTTP_REFINE_HTML_ENDS

#define name(s, flags)                                                        \
    { { s }, sizeof(s) - 1, NGX_HTTP_REFINE_HTML_OTHER, flags }
#define role(s, tag, flags)                                                   \
    { { s }, sizeof(s) - 1, NGX_HTTP_REFINE_HTML_##tag, flags }


static void ngx_http_refine_html_start(ngx_http_refine_html_t *html);
static void ngx_http_refine_html_enter(ngx_http_refine_html_t *html);
static void ngx_http_refine_html_end_tag(ngx_http_refine_html_t *html);
static void ngx_http_refine_html_breakout(ngx_http_refine_html_t *html);


/* the first one stands for all that have no role */

const ngx_http_refine_html_name_t  ngx_http_refine_html_names[] = {

    name("", 0),

    name("p", BREAKOUT), name("b", BREAKOUT), name("i", BREAKOUT),
    name("s", BREAKOUT), name("u", BREAKOUT),

    name("li", BREAKOUT), role("br", BR, BREAKOUT|VOID|ENDS),
    name("ul", BREAKOUT), name("h3", BREAKOUT), name("h2", BREAKOUT),
    name("h4", BREAKOUT), name("h1", BREAKOUT), name("h5", BREAKOUT),
    name("h6", BREAKOUT), name("dd", BREAKOUT), name("dl", BREAKOUT),
    name("dt", BREAKOUT), name("em", BREAKOUT), name("hr", BREAKOUT|VOID),
    name("ol", BREAKOUT), name("tt", BREAKOUT),

    name("div", BREAKOUT), name("img", BREAKOUT|VOID),
    role("svg", SVG, FOREIGN), name("big", BREAKOUT), name("col", VOID),
    name("pre", BREAKOUT), name("sub", BREAKOUT), name("sup", BREAKOUT),
    name("var", BREAKOUT), name("wbr", VOID), name("xmp", RAW),

    name("span", BREAKOUT), name("link", HEAD|VOID),
    role("meta", META, HEAD|VOID|BREAKOUT), name("area", VOID),
    name("base", HEAD|VOID), role("body", BODY, BREAKOUT|PAGE|ENDS),
    name("code", BREAKOUT), role("desc", DESC, IN_SVG),
    role("head", HEAD, HEAD|BREAKOUT|PAGE|ENDS),
    role("html", HTML, HEAD|PAGE|ENDS), role("math", MATH, FOREIGN),
    name("menu", BREAKOUT), name("nobr", BREAKOUT), name("ruby", BREAKOUT),

    name("input", VOID), name("style", HEAD|RAW),
    role("title", TITLE, HEAD|RAW|IN_SVG|PAGE), name("table", BREAKOUT),
    name("small", BREAKOUT), name("embed", BREAKOUT|VOID),
    name("frame", VOID), name("image", VOID), name("param", VOID),
    name("track", VOID),

    role("script", SCRIPT, HEAD|RAW), name("strong", BREAKOUT),
    name("center", BREAKOUT), name("iframe", RAW), name("keygen", VOID),
    name("source", VOID), name("strike", BREAKOUT),

    name("bgsound", HEAD|VOID), name("listing", BREAKOUT),
    name("noembed", RAW),

    role("template", TEMPLATE, HEAD), name("noscript", HEAD|RAW),
    name("textarea", RAW), name("basefont", HEAD|VOID),
    role("frameset", FRAMESET, PAGE), name("noframes", HEAD|RAW),

    role("plaintext", PLAINTEXT, RAW),

    name("blockquote", BREAKOUT),

    role("foreignobject", FOREIGNOBJECT, IN_SVG)
};

#define NAMES  (sizeof(ngx_http_refine_html_names)                            \
                / sizeof(ngx_http_refine_html_names[0]))

u_char             ngx_http_refine_html_places[256];
static ngx_uint_t  ngx_http_refine_html_placed;


void
ngx_http_refine_html_place(void)
{
    uint64_t    hash;
    ngx_uint_t  i;

    if (ngx_http_refine_html_placed) {
        return;
    }

    ngx_http_refine_html_placed = 1;

    for (i = 1; i < NAMES; i++) {
        hash = ngx_http_refine_html_hash(&ngx_http_refine_html_names[i].name);
        ngx_http_refine_html_places[hash >> 56] = i;
    }
}


ngx_uint_t
ngx_http_refine_html_foreign(ngx_http_refine_html_t *html)
{
    u_char  tag;

    if (html->nnested == 0) {
        return 0;
    }

    tag = html->nested[html->nnested - 1].tag;

    return tag == NGX_HTTP_REFINE_HTML_SVG || tag == NGX_HTTP_REFINE_HTML_MATH;
}


void
ngx_http_refine_html_special(ngx_http_refine_html_t *html)
{
    if (html->end) {
        ngx_http_refine_html_end_tag(html);

    } else {
        ngx_http_refine_html_start(html);
    }
}


static void
ngx_http_refine_html_start(ngx_http_refine_html_t *html)
{
    ngx_uint_t  flags;

    flags = ngx_http_refine_html_flags(html);

    if (ngx_http_refine_html_foreign(html)) {

        if (!(flags & NGX_HTTP_REFINE_HTML_BREAKOUT)) {
            html->empty = html->slash;

            if (!html->empty) {
                ngx_http_refine_html_enter(html);
            }

            return;
        }

        ngx_http_refine_html_breakout(html);
    }

    if (flags & NGX_HTTP_REFINE_HTML_FOREIGN) {
        html->empty = html->slash;

        if (!html->empty) {
            ngx_http_refine_html_enter(html);
        }

        return;
    }

    html->empty = ((flags & NGX_HTTP_REFINE_HTML_VOID) != 0);

    if (html->tag == NGX_HTTP_REFINE_HTML_TEMPLATE) {
        html->inert++;
        return;
    }

    if (flags & NGX_HTTP_REFINE_HTML_RAW) {
        html->raw = html->name;
        html->raw_hash = html->hash;
        html->escape = 0;
        html->dashes = 0;
        html->content = (html->tag == NGX_HTTP_REFINE_HTML_SCRIPT)
                        ? NGX_HTTP_REFINE_HTML_IN_SCRIPT
                        : (html->tag == NGX_HTTP_REFINE_HTML_PLAINTEXT)
                        ? NGX_HTTP_REFINE_HTML_IN_PLAIN
                        : NGX_HTTP_REFINE_HTML_IN_RAW;
        return;
    }

    /* an element of HTML that is named as the one of svg around it */

    if ((flags & NGX_HTTP_REFINE_HTML_IN_SVG) && html->nnested
        && html->nested[html->nnested - 1].tag == html->tag)
    {
        html->nested[html->nnested - 1].depth++;
    }
}


/* an svg or math element, or one of foreign content, which has an end */

static void
ngx_http_refine_html_enter(ngx_http_refine_html_t *html)
{
    ngx_uint_t                      flags;
    ngx_http_refine_html_nested_t  *nested;

    flags = ngx_http_refine_html_flags(html);
    nested = &html->nested[html->nnested];

    if (ngx_http_refine_html_foreign(html)) {

        if (html->tag == nested[-1].tag) {
            nested[-1].depth++;
            return;
        }

        if (!(flags & NGX_HTTP_REFINE_HTML_IN_SVG)
            || nested[-1].tag != NGX_HTTP_REFINE_HTML_SVG)
        {
            return;
        }
    }

    if (html->nnested < NGX_HTTP_REFINE_HTML_MAX_NESTED) {
        nested->tag = html->tag;
        nested->depth = 1;
        html->nnested++;
    }
}


static void
ngx_http_refine_html_end_tag(ngx_http_refine_html_t *html)
{
    ngx_uint_t  i, foreign;

    if (html->raw) {
        html->raw = NULL;
        return;
    }

    foreign = ngx_http_refine_html_foreign(html);

    if (html->tag == NGX_HTTP_REFINE_HTML_TEMPLATE && !foreign) {

        if (html->inert) {
            html->inert--;
        }

        return;
    }

    if (html->tag >= NGX_HTTP_REFINE_HTML_SVG
        || html->tag == NGX_HTTP_REFINE_HTML_TITLE)
    {
        for (i = html->nnested; i; i--) {

            if (html->nested[i - 1].tag == html->tag) {
                html->nnested = i - (--html->nested[i - 1].depth == 0);
                return;
            }
        }
    }

    if (foreign && (ngx_http_refine_html_flags(html)
                    & NGX_HTTP_REFINE_HTML_BREAKOUT))
    {
        ngx_http_refine_html_breakout(html);
    }
}


/* back to HTML */

static void
ngx_http_refine_html_breakout(ngx_http_refine_html_t *html)
{
    while (ngx_http_refine_html_foreign(html)) {
        html->nnested--;
    }
}
