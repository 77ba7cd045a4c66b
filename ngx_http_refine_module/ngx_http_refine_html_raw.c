
/* What is between tags and is not text: comments and the like, raw text. */


#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"


static u_char *ngx_http_refine_html_raw_end(ngx_http_refine_html_t *html,
    u_char *p, u_char *last);
static u_char *ngx_http_refine_html_script(ngx_http_refine_html_t *html,
    u_char *p, u_char *last);
static u_char *ngx_http_refine_html_script_less(ngx_http_refine_html_t *html,
    u_char *p);
static u_char *ngx_http_refine_html_script_name(ngx_http_refine_html_t *html,
    u_char *p, u_char *last);
static u_char *ngx_http_refine_html_first(ngx_http_refine_html_t *html,
    u_char *p);
static u_char *ngx_http_refine_html_bang(ngx_http_refine_html_t *html,
    u_char *p);
static u_char *ngx_http_refine_html_comment(ngx_http_refine_html_t *html,
    u_char *p);
static u_char *ngx_http_refine_html_cdata(ngx_http_refine_html_t *html,
    u_char *p, u_char *last);


u_char *
ngx_http_refine_html_raw(ngx_http_refine_html_t *html, u_char *p, u_char *last)
{
    switch (html->state) {

    case NGX_HTTP_REFINE_HTML_IN_RAW:
        p = ngx_http_refine_html_hop(p, last, '<');

        if (p < last) {
            html->state = NGX_HTTP_REFINE_HTML_RAW_LESS;
            p++;
        }

        return p;

    case NGX_HTTP_REFINE_HTML_RAW_LESS:

        if (*p != '/') {
            html->state = NGX_HTTP_REFINE_HTML_IN_RAW;
            return p;
        }

        html->state = NGX_HTTP_REFINE_HTML_RAW_END;
        html->len = 0;

        return p + 1;

    case NGX_HTTP_REFINE_HTML_RAW_END:
        return ngx_http_refine_html_raw_end(html, p, last);

    case NGX_HTTP_REFINE_HTML_IN_SCRIPT:
        return ngx_http_refine_html_script(html, p, last);

    case NGX_HTTP_REFINE_HTML_SCRIPT_NAME:
        return ngx_http_refine_html_script_name(html, p, last);

    default:
        return ngx_http_refine_html_script_less(html, p);
    }
}


/* only the end tag of the same name ends it */

static u_char *
ngx_http_refine_html_raw_end(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    while (p < last && html->len < html->raw->len) {

        if (!ngx_http_refine_html_alpha(*p)
            || (*p | 0x20) != html->raw->name.text[html->len])
        {
            html->state = html->content;
            return p;
        }

        html->len++;
        p++;
    }

    if (p == last) {
        return p;
    }

    if (!ngx_http_refine_html_ends(*p)) {
        html->state = html->content;
        return p;
    }

    html->state = NGX_HTTP_REFINE_HTML_BEFORE_ATTR;
    html->name = html->raw;
    html->tag = html->raw->tag;
    html->hash = html->raw_hash;
    html->end = 1;
    html->attrs = 0;

    return p;
}


/* 13.2.5.4 and 13.2.5.15 to 13.2.5.31 of the standard */

static u_char *
ngx_http_refine_html_script(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    if (html->escape == 0) {
        p = ngx_http_refine_html_hop(p, last, '<');

        if (p < last) {
            html->state = NGX_HTTP_REFINE_HTML_SCRIPT_LESS;
            p++;
        }

        return p;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p == '-') {
            html->dashes = ngx_min(html->dashes + 1, 2);
            continue;
        }

        if (*p == '<') {
            html->state = NGX_HTTP_REFINE_HTML_SCRIPT_LESS;
            html->dashes = 0;
            return p + 1;
        }

        if (*p == '>' && html->dashes == 2) {
            html->escape = 0;
            html->dashes = 0;
            return p + 1;
        }

        html->dashes = 0;
    }

    return p;
}


static u_char *
ngx_http_refine_html_script_less(ngx_http_refine_html_t *html, u_char *p)
{
    if (html->state == NGX_HTTP_REFINE_HTML_SCRIPT_BANG) {

        if (*p != '-') {
            html->state = NGX_HTTP_REFINE_HTML_IN_SCRIPT;
            html->dashes = 0;
            return p;
        }

        if (++html->dashes == 2) {
            html->state = NGX_HTTP_REFINE_HTML_IN_SCRIPT;
            html->escape = 1;
        }

        return p + 1;
    }

    html->len = 0;

    if (*p == '/') {
        html->state = (html->escape == 2) ? NGX_HTTP_REFINE_HTML_SCRIPT_NAME
                                          : NGX_HTTP_REFINE_HTML_RAW_END;
        return p + 1;
    }

    if (*p == '!' && html->escape == 0) {
        html->state = NGX_HTTP_REFINE_HTML_SCRIPT_BANG;
        return p + 1;
    }

    html->state = (html->escape == 1) ? NGX_HTTP_REFINE_HTML_SCRIPT_NAME
                                      : NGX_HTTP_REFINE_HTML_IN_SCRIPT;
    return p;
}


/* of "<script" or "</script" in what is escaped: doubly, or no longer so */

static u_char *
ngx_http_refine_html_script_name(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    static const u_char  name[] = "script";

    for ( /* void */ ; p < last; p++) {

        if (html->len == sizeof(name) - 1) {
            html->state = NGX_HTTP_REFINE_HTML_IN_SCRIPT;

            if (ngx_http_refine_html_ends(*p)) {
                html->escape = (html->escape == 1) ? 2 : 1;
                p++;
            }

            return p;
        }

        if (!ngx_http_refine_html_alpha(*p)
            || (*p | 0x20) != name[html->len])
        {
            html->state = NGX_HTTP_REFINE_HTML_IN_SCRIPT;
            return p;
        }

        html->len++;
    }

    return p;
}


u_char *
ngx_http_refine_html_markup(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    switch (html->state) {

    case NGX_HTTP_REFINE_HTML_IN_COMMENT:
        p = ngx_http_refine_html_hop(p, last, '-');

        if (p < last) {
            html->state = NGX_HTTP_REFINE_HTML_COMMENT_DASH;
            p++;
        }

        return p;

    case NGX_HTTP_REFINE_HTML_IN_BOGUS:
        p = ngx_http_refine_html_hop(p, last, '>');

        if (p < last) {
            html->state = NGX_HTTP_REFINE_HTML_IN_TEXT;
            p++;
        }

        return p;

    case NGX_HTTP_REFINE_HTML_IN_CDATA:
        return ngx_http_refine_html_cdata(html, p, last);

    case NGX_HTTP_REFINE_HTML_IN_PLAIN:
        return last;

    case NGX_HTTP_REFINE_HTML_FIRST:
        return ngx_http_refine_html_first(html, p);

    case NGX_HTTP_REFINE_HTML_BANG:
    case NGX_HTTP_REFINE_HTML_BANG_DASH:
    case NGX_HTTP_REFINE_HTML_LITERAL:
        return ngx_http_refine_html_bang(html, p);

    default:
        return ngx_http_refine_html_comment(html, p);
    }
}


/* UTF-16 is not read: nothing is reported of such a document */

static u_char *
ngx_http_refine_html_first(ngx_http_refine_html_t *html, u_char *p)
{
    static const u_char  bom[] = "\xef\xbb\xbf";

    if (html->len < 3 && *p == bom[html->len]) {
        html->len++;

        if (html->len == 3) {
            html->state = NGX_HTTP_REFINE_HTML_IN_TEXT;
        }

        return p + 1;
    }

    if (html->len == 0 && (*p == 0xfe || *p == 0xff)) {
        html->len = *p;
        return p + 1;
    }

    html->state = (html->len + *p == 0xfe + 0xff && html->len >= 0xfe)
                  ? NGX_HTTP_REFINE_HTML_IN_PLAIN
                  : NGX_HTTP_REFINE_HTML_IN_TEXT;
    return p;
}


static u_char *
ngx_http_refine_html_bang(ngx_http_refine_html_t *html, u_char *p)
{
    u_char  c;

    c = *p;

    if (html->state == NGX_HTTP_REFINE_HTML_BANG_DASH) {

        if (c == '-') {
            html->state = NGX_HTTP_REFINE_HTML_COMMENT_START;
            return p + 1;
        }

        html->state = NGX_HTTP_REFINE_HTML_IN_BOGUS;
        return p;
    }

    if (html->state == NGX_HTTP_REFINE_HTML_BANG) {

        if (c == '-') {
            html->state = NGX_HTTP_REFINE_HTML_BANG_DASH;
            return p + 1;
        }

        html->literal = (c == '[' && ngx_http_refine_html_foreign(html))
                        ? "[CDATA[" : "doctype";
        html->state = NGX_HTTP_REFINE_HTML_LITERAL;
    }

    /* the letters of CDATA in this case only, those of DOCTYPE in any */

    if (c != *html->literal
        && ((c | 0x20) != *html->literal || !ngx_http_refine_html_alpha(c)))
    {
        html->state = NGX_HTTP_REFINE_HTML_IN_BOGUS;
        return p;
    }

    if (*++html->literal == '\0') {

        if (c == '[') {
            html->state = NGX_HTTP_REFINE_HTML_IN_CDATA;
            html->dashes = 0;

        } else {
            html->state = NGX_HTTP_REFINE_HTML_IN_BOGUS;
            html->page |= html->head && !html->inert;
        }
    }

    return p + 1;
}


static u_char *
ngx_http_refine_html_comment(ngx_http_refine_html_t *html, u_char *p)
{
    u_char  c, state;

    c = *p;
    state = html->state;

    if (c == '>' && state != NGX_HTTP_REFINE_HTML_COMMENT_DASH) {
        html->state = NGX_HTTP_REFINE_HTML_IN_TEXT;
        return p + 1;
    }

    if (c == '-') {
        html->state = (state == NGX_HTTP_REFINE_HTML_COMMENT_START)
                      ? NGX_HTTP_REFINE_HTML_COMMENT_START_DASH
                      : (state == NGX_HTTP_REFINE_HTML_COMMENT_BANG)
                      ? NGX_HTTP_REFINE_HTML_COMMENT_DASH
                      : NGX_HTTP_REFINE_HTML_COMMENT_END;
        return p + 1;
    }

    if (c == '!' && state == NGX_HTTP_REFINE_HTML_COMMENT_END) {
        html->state = NGX_HTTP_REFINE_HTML_COMMENT_BANG;
        return p + 1;
    }

    html->state = NGX_HTTP_REFINE_HTML_IN_COMMENT;

    return p;
}


static u_char *
ngx_http_refine_html_cdata(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if (*p == ']') {
            html->dashes = ngx_min(html->dashes + 1, 2);

        } else if (*p == '>' && html->dashes == 2) {
            html->state = NGX_HTTP_REFINE_HTML_IN_TEXT;
            return p + 1;

        } else {
            html->dashes = 0;
        }
    }

    return p;
}
