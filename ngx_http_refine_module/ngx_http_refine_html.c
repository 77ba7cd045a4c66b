
#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"


static u_char *ngx_http_refine_html_text(ngx_http_refine_html_t *html,
    u_char *p, u_char *last, ngx_http_refine_html_token_e *token);
static ngx_inline u_char *ngx_http_refine_html_less(
    ngx_http_refine_html_t *html, u_char *p, u_char *last,
    ngx_http_refine_html_token_e *token);
static void ngx_http_refine_html_in_text(ngx_http_refine_html_t *html,
    ngx_http_refine_html_token_e *token);
static void ngx_http_refine_html_open(ngx_http_refine_html_t *html,
    ngx_uint_t end);
static u_char *ngx_http_refine_html_tag_name(ngx_http_refine_html_t *html,
    u_char *p, u_char *last, ngx_http_refine_html_token_e *token);
static u_char *ngx_http_refine_html_name_bytes(ngx_http_refine_html_t *html,
    u_char *p, u_char *last);
static ngx_http_refine_html_token_e ngx_http_refine_html_named(
    ngx_http_refine_html_t *html);
static ngx_inline u_char *ngx_http_refine_html_attributes(
    ngx_http_refine_html_t *html, u_char *p, u_char *last,
    ngx_http_refine_html_token_e *token);
static ngx_inline u_char *ngx_http_refine_html_others(u_char *p, u_char *last);
static ngx_inline ngx_uint_t ngx_http_refine_html_looked_at(u_char *p,
    size_t len);
static ngx_inline u_char *ngx_http_refine_html_attr(
    ngx_http_refine_html_t *html, u_char *p, u_char *last);
static void ngx_http_refine_html_attr_name(ngx_http_refine_html_t *html,
    ngx_str_t *name);
static ngx_inline ngx_uint_t ngx_http_refine_html_same(u_char *p, u_char *name,
    size_t len);
static ngx_inline u_char *ngx_http_refine_html_between(
    ngx_http_refine_html_t *html, u_char *p,
    ngx_http_refine_html_token_e *token);
static ngx_inline u_char *ngx_http_refine_html_value(
    ngx_http_refine_html_t *html, u_char *p, u_char *last,
    ngx_http_refine_html_token_e *token);


static const struct {
    ngx_str_t                    name;
    ngx_http_refine_html_attr_e  attr;
} ngx_http_refine_html_attrs[] = {
    { ngx_string("data-refine-item"), NGX_HTTP_REFINE_HTML_ITEM },
    { ngx_string("data-refine-serve"), NGX_HTTP_REFINE_HTML_SERVE },
    { ngx_string("data-refine-surface"), NGX_HTTP_REFINE_HTML_SURFACE },
    { ngx_string("data-refine-source"), NGX_HTTP_REFINE_HTML_SOURCE },
    { ngx_string("data-refine-serve-id"), NGX_HTTP_REFINE_HTML_SERVE_ID },
    { ngx_string("data-collect"), NGX_HTTP_REFINE_HTML_COLLECT },
    { ngx_string("name"), NGX_HTTP_REFINE_HTML_NAME }
};

#define NGX_HTTP_REFINE_HTML_ATTR_NAMES                                       \
    (sizeof(ngx_http_refine_html_attrs) / sizeof(ngx_http_refine_html_attrs[0]))


void
ngx_http_refine_html_init(ngx_http_refine_html_t *html)
{
    ngx_memzero(html, sizeof(ngx_http_refine_html_t));

    html->state = NGX_HTTP_REFINE_HTML_FIRST;
    html->head = 1;

    ngx_http_refine_html_place();
}


void
ngx_http_refine_html_input(ngx_http_refine_html_t *html, u_char *p, size_t len)
{
    html->base += html->last - html->first;

    html->first = p;
    html->pos = p;
    html->last = p + len;
}


ngx_http_refine_html_token_e
ngx_http_refine_html_next(ngx_http_refine_html_t *html)
{
    u_char                        *p, *last;
    ngx_http_refine_html_token_e   token;

    p = html->pos;
    last = html->last;
    token = NGX_HTTP_REFINE_HTML_AGAIN;

    while (p < last && token == NGX_HTTP_REFINE_HTML_AGAIN) {

        if (html->state == NGX_HTTP_REFINE_HTML_CLOSE) {
            html->state = html->content;
            p++;

        } else if (html->state < NGX_HTTP_REFINE_HTML_IN_TAG_NAME) {
            p = ngx_http_refine_html_text(html, p, last, &token);

        } else if (html->state == NGX_HTTP_REFINE_HTML_IN_TAG_NAME) {
            p = ngx_http_refine_html_tag_name(html, p, last, &token);

        } else if (html->state < NGX_HTTP_REFINE_HTML_IN_RAW) {
            p = ngx_http_refine_html_attributes(html, p, last, &token);

        } else if (html->state < NGX_HTTP_REFINE_HTML_FIRST) {
            p = ngx_http_refine_html_raw(html, p, last);

        } else {
            p = ngx_http_refine_html_markup(html, p, last);
        }
    }

    html->pos = p;

    return token;
}


size_t
ngx_http_refine_html_held(ngx_http_refine_html_t *html)
{
    if (!html->head || html->inert
        || html->state < NGX_HTTP_REFINE_HTML_LESS
        || html->state > NGX_HTTP_REFINE_HTML_IN_TAG_NAME
        || (html->state == NGX_HTTP_REFINE_HTML_IN_TAG_NAME
            && html->len > NGX_HTTP_REFINE_HTML_MAX_TAG))
    {
        return 0;
    }

    return (size_t) (ngx_http_refine_html_offset(html, html->last)
                     - html->start);
}


static u_char *
ngx_http_refine_html_text(ngx_http_refine_html_t *html, u_char *p,
    u_char *last, ngx_http_refine_html_token_e *token)
{
    if (html->state == NGX_HTTP_REFINE_HTML_IN_TEXT) {

        if (html->head && !html->inert) {
            while (p < last && ngx_http_refine_html_blank(*p)) {
                p++;
            }

        } else if (*p != '<') {
            p = ngx_http_refine_html_hop(p, last, '<');
        }

        if (p == last) {
            return p;
        }

        html->start = ngx_http_refine_html_offset(html, p);

        if (*p != '<') {
            ngx_http_refine_html_in_text(html, token);
            return p;
        }

        html->state = NGX_HTTP_REFINE_HTML_LESS;
        p++;
    }

    return (p < last) ? ngx_http_refine_html_less(html, p, last, token) : p;
}


/* after "<" or "</" */

static ngx_inline u_char *
ngx_http_refine_html_less(ngx_http_refine_html_t *html, u_char *p,
    u_char *last, ngx_http_refine_html_token_e *token)
{
    if (html->state == NGX_HTTP_REFINE_HTML_LESS && *p == '/') {
        html->state = NGX_HTTP_REFINE_HTML_END_LESS;

        if (++p == last) {
            return p;
        }
    }

    if (ngx_http_refine_html_alpha(*p)) {
        ngx_http_refine_html_open(html, html->state
                                        == NGX_HTTP_REFINE_HTML_END_LESS);

        return p;
    }

    if (html->state == NGX_HTTP_REFINE_HTML_END_LESS) {
        html->state = NGX_HTTP_REFINE_HTML_IN_BOGUS;    /* "</>" is nothing */
        return p;
    }

    if (*p == '!' || *p == '?') {
        html->state = (*p == '!') ? NGX_HTTP_REFINE_HTML_BANG
                                  : NGX_HTTP_REFINE_HTML_IN_BOGUS;
        return p + 1;
    }

    ngx_http_refine_html_in_text(html, token);

    return p;
}


static void
ngx_http_refine_html_in_text(ngx_http_refine_html_t *html,
    ngx_http_refine_html_token_e *token)
{
    html->state = NGX_HTTP_REFINE_HTML_IN_TEXT;

    if (html->head && !html->inert) {
        html->head = 0;
        *token = NGX_HTTP_REFINE_HTML_HEAD_END;
    }
}


static void
ngx_http_refine_html_open(ngx_http_refine_html_t *html, ngx_uint_t end)
{
    html->state = NGX_HTTP_REFINE_HTML_IN_TAG_NAME;
    html->len = 0;
    html->end = end;
    html->attrs = 0;
    html->bare = 0;
    html->slash = 0;
}


static u_char *
ngx_http_refine_html_tag_name(ngx_http_refine_html_t *html, u_char *p,
    u_char *last, ngx_http_refine_html_token_e *token)
{
    ngx_uint_t  n, known;

    n = 0;
    known = (html->len > NGX_HTTP_REFINE_HTML_MAX_TAG);

    if (html->len == 0) {
        n = ngx_http_refine_html_name(&html->tag_name, p, last);
    }

    if (n) {
        html->len = n;
        p += n;

    } else {
        p = ngx_http_refine_html_name_bytes(html, p, last);
    }

    if (p < last) {
        html->state = NGX_HTTP_REFINE_HTML_BEFORE_ATTR;

        if (html->len <= sizeof(html->tag_name.text)) {
            html->hash = ngx_http_refine_html_hash(&html->tag_name);
        }
    }

    /* a name that long has no role: the head need not wait for its end */

    if (!known && (p < last || html->len > NGX_HTTP_REFINE_HTML_MAX_TAG)) {
        *token = ngx_http_refine_html_named(html);
    }

    return p;
}


static u_char *
ngx_http_refine_html_name_bytes(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    u_char      c;
    ngx_uint_t  n;

    n = html->len;

    if (n == 0) {
        ngx_memzero(&html->tag_name, sizeof(html->tag_name));
    }

    for ( /* void */ ; p < last; p++, n++) {
        c = *p;

        if (ngx_http_refine_html_ends(c)) {
            break;
        }

        c = ngx_http_refine_html_lower(c);

        if (n < sizeof(html->tag_name.text)) {
            html->tag_name.text[n] = c;
            continue;
        }

        if (n == sizeof(html->tag_name.text)) {
            html->hash = ngx_http_refine_html_hash(&html->tag_name);
        }

        html->hash = (html->hash ^ c) * NGX_HTTP_REFINE_HTML_FACTOR;
    }

    html->len = n;

    return p;
}


static ngx_http_refine_html_token_e
ngx_http_refine_html_named(ngx_http_refine_html_t *html)
{
    ngx_uint_t  flags, ends;

    html->name = ngx_http_refine_html_find(&html->tag_name, html->len,
                                           html->hash);
    html->tag = html->name->tag;

    if (!html->head || html->inert) {
        return NGX_HTTP_REFINE_HTML_AGAIN;
    }

    flags = ngx_http_refine_html_flags(html);

    if ((flags & NGX_HTTP_REFINE_HTML_PAGE) && !html->end) {
        html->page = 1;
    }

    ends = html->end ? (flags & NGX_HTTP_REFINE_HTML_ENDS)
                     : !(flags & NGX_HTTP_REFINE_HTML_IN_HEAD);

    if (!ends) {
        return NGX_HTTP_REFINE_HTML_AGAIN;
    }

    html->head = 0;

    return NGX_HTTP_REFINE_HTML_HEAD_END;
}


static ngx_inline u_char *
ngx_http_refine_html_attributes(ngx_http_refine_html_t *html, u_char *p,
    u_char *last, ngx_http_refine_html_token_e *token)
{
    while (p < last && *token == NGX_HTTP_REFINE_HTML_AGAIN) {

        if (html->state == NGX_HTTP_REFINE_HTML_BEFORE_ATTR) {
            p = ngx_http_refine_html_others(p, last);

            if (p == last) {
                break;
            }
        }

        switch (html->state) {

        case NGX_HTTP_REFINE_HTML_IN_ATTR:
            p = ngx_http_refine_html_attr(html, p, last);
            break;

        case NGX_HTTP_REFINE_HTML_IN_QUOTED:
        case NGX_HTTP_REFINE_HTML_IN_BARE:
            p = ngx_http_refine_html_value(html, p, last, token);
            break;

        default:
            p = ngx_http_refine_html_between(html, p, token);
        }
    }

    return p;
}


/*
 * Passes over attributes that are not looked at and are whole in the chunk:
 * what the states below would do with them, without the states.  Returns where
 * something else begins.
 *
 * A bit for each of 32 bytes (AVX2), quotes by their prefix xor, is a fifth
 * faster where no two tags are alike, but by 7% slower on pages of shops: there
 * most tags have one attribute, of a kind that is guessed right.
 */

static ngx_inline u_char *
ngx_http_refine_html_others(u_char *p, u_char *last)
{
    u_char  *q, *value;

    for ( ;; ) {

        while (*p <= ' ' && ngx_http_refine_html_blank(*p)) {
            if (++p == last) {
                return p;
            }
        }

        if (*p == '>' || *p == '/') {
            return p;
        }

        q = ngx_http_refine_html_hop_any(p + 1, last, '=', '>', '/');

        if (last - q < 2 || ngx_http_refine_html_looked_at(p, q - p)) {
            return p;
        }

        if (*q != '=') {

            /* there is no value, or it is behind blanks */

            if (*q == ' ' && q[1] > ' ' && q[1] != '=') {
                q++;

            } else if (*q <= ' ') {
                return p;
            }

            p = q;
            continue;
        }

        value = q + 1;

        if (*value == '"' || *value == '\'') {
            q = ngx_http_refine_html_hop(value + 1, last, *value);

            if (last - q < 2) {
                return p;
            }

            q++;

        } else {
            q = ngx_http_refine_html_hop_any(value, last, '>', '>', '>');

            if (q == value || q == last || *q < ' ') {
                return p;
            }
        }

        p = q;
    }
}


/*
 * "name", "data-collect", "data-refine-...", or one that begins alike.  Without
 * a branch, for nothing tells what comes next; p[len] can be read.
 */

static ngx_inline ngx_uint_t
ngx_http_refine_html_looked_at(u_char *p, size_t len)
{
    u_char  c, sixth;

    c = p[0] | 0x20;
    sixth = p[ngx_min(len, 5)] | 0x20;

    return ((len == 4) & (c == 'n'))
           | ((len >= 12) & (c == 'd') & ((sixth == 'r') | (sixth == 'c')));
}


/* one byte that is neither of a name nor of a value */

static ngx_inline u_char *
ngx_http_refine_html_between(ngx_http_refine_html_t *html, u_char *p,
    ngx_http_refine_html_token_e *token)
{
    u_char  c;

    c = *p;

    if (c == '>') {
        html->bare = (html->state == NGX_HTTP_REFINE_HTML_BEFORE_VALUE);
        html->slash = (html->state == NGX_HTTP_REFINE_HTML_SLASH);
        html->state = NGX_HTTP_REFINE_HTML_CLOSE;

        ngx_http_refine_html_tree(html);

        *token = NGX_HTTP_REFINE_HTML_TAG;

        return p;
    }

    if (ngx_http_refine_html_blank(c)) {

        if (html->state == NGX_HTTP_REFINE_HTML_SLASH) {
            html->state = NGX_HTTP_REFINE_HTML_BEFORE_ATTR;
        }

        return p + 1;
    }

    if (html->state == NGX_HTTP_REFINE_HTML_BEFORE_VALUE) {

        if (c != '"' && c != '\'') {
            html->state = NGX_HTTP_REFINE_HTML_IN_BARE;
            return p;
        }

        html->quote = c;
        html->state = NGX_HTTP_REFINE_HTML_IN_QUOTED;

        return p + 1;
    }

    if (c == '/') {
        html->state = NGX_HTTP_REFINE_HTML_SLASH;
        return p + 1;
    }

    if (c == '=' && html->state == NGX_HTTP_REFINE_HTML_AFTER_ATTR) {
        html->state = NGX_HTTP_REFINE_HTML_BEFORE_VALUE;
        return p + 1;
    }

    /* a name begins, with a "=" even */

    html->state = NGX_HTTP_REFINE_HTML_IN_ATTR;
    html->wanted = 0;
    html->attr_len = 0;

    if (c == '=') {
        html->attr_len = NGX_HTTP_REFINE_HTML_MAX_ATTR + 1;
        return p + 1;
    }

    return p;
}


static ngx_inline u_char *
ngx_http_refine_html_attr(ngx_http_refine_html_t *html, u_char *p,
    u_char *last)
{
    u_char      *start;
    ngx_str_t    name;

    start = p;

    for ( ;; ) {
        p = ngx_http_refine_html_hop_any(p, last, '=', '>', '/');

        if (p == last || *p == '=' || ngx_http_refine_html_ends(*p)) {
            break;
        }

        p++;
    }

    name.data = start;
    name.len = p - start;

    if (html->attr_len + name.len > NGX_HTTP_REFINE_HTML_MAX_ATTR) {
        html->attr_len = NGX_HTTP_REFINE_HTML_MAX_ATTR + 1;

    } else if (html->attr_len || p == last) {
        ngx_memcpy(html->attr_name + html->attr_len, start, name.len);
        html->attr_len += name.len;

        name.data = html->attr_name;
        name.len = html->attr_len;
    }

    if (p == last) {
        return p;
    }

    html->state = NGX_HTTP_REFINE_HTML_AFTER_ATTR;

    if (html->attr_len <= NGX_HTTP_REFINE_HTML_MAX_ATTR && !html->end) {
        ngx_http_refine_html_attr_name(html, &name);
    }

    /* the usual value at once */

    if (*p == '=' && last - p >= 2 && (p[1] == '"' || p[1] == '\'')) {
        html->quote = p[1];
        html->state = NGX_HTTP_REFINE_HTML_IN_QUOTED;
        p += 2;
    }

    return p;
}


/* name: in lower case; p has no blank, for CR would be taken for "-" */

static ngx_inline ngx_uint_t
ngx_http_refine_html_same(u_char *p, u_char *name, size_t len)
{
    size_t    i;
    uint64_t  a, b;

    if (len < 8) {
        return ngx_strncasecmp(p, name, len) == 0;
    }

    for (i = 0; /* void */ ; i = ngx_min(i + 8, len - 8)) {
        ngx_memcpy(&a, p + i, 8);
        ngx_memcpy(&b, name + i, 8);

        if ((a | 0x2020202020202020ULL) != b) {
            return 0;
        }

        if (i == len - 8) {
            return 1;
        }
    }
}


static void
ngx_http_refine_html_attr_name(ngx_http_refine_html_t *html, ngx_str_t *name)
{
    ngx_uint_t        i, attr;
    const ngx_str_t  *known;

    for (i = 0; i < NGX_HTTP_REFINE_HTML_ATTR_NAMES; i++) {
        known = &ngx_http_refine_html_attrs[i].name;

        if (known->len == name->len
            && ngx_http_refine_html_same(name->data, known->data, name->len))
        {
            break;
        }
    }

    if (i == NGX_HTTP_REFINE_HTML_ATTR_NAMES) {
        return;
    }

    attr = ngx_http_refine_html_attrs[i].attr;

    if ((attr == NGX_HTTP_REFINE_HTML_NAME
         && html->tag != NGX_HTTP_REFINE_HTML_META)
        || (html->attrs & (1 << attr)))
    {
        return;
    }

    html->attrs |= 1 << attr;
    html->attr = attr;
    html->wanted = (attr > NGX_HTTP_REFINE_HTML_COLLECT);
}


static ngx_inline u_char *
ngx_http_refine_html_value(ngx_http_refine_html_t *html, u_char *p,
    u_char *last, ngx_http_refine_html_token_e *token)
{
    u_char  *start;

    start = p;

    if (html->state == NGX_HTTP_REFINE_HTML_IN_QUOTED) {
        p = ngx_http_refine_html_hop(p, last, html->quote);

    } else {
        while (p < last && *p != '>' && !ngx_http_refine_html_blank(*p)) {
            p++;
        }
    }

    if (html->wanted) {
        html->text.data = start;
        html->text.len = p - start;
        html->more = (p == last);
        *token = NGX_HTTP_REFINE_HTML_VALUE;
    }

    if (p < last) {
        p += (html->state == NGX_HTTP_REFINE_HTML_IN_QUOTED);

        html->state = NGX_HTTP_REFINE_HTML_BEFORE_ATTR;
        html->wanted = 0;
    }

    return p;
}
