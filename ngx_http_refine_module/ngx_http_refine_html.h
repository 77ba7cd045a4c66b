
/*
 * Level 0: an incremental HTML scanner: the tokenizer of the HTML standard
 * (html.spec.whatwg.org, 13.2.5) for what a storefront's page says to the
 * module, and of the tree construction what decides where a tokenizer stands:
 * raw text, foreign content, templates, the end of the head.
 *
 * It allocates nothing, keeps all state in the caller's struct, and reports a
 * document alike however it is cut into chunks.  Scripting is taken to be on:
 * what is in <noscript> is text.
 */


#ifndef _NGX_HTTP_REFINE_HTML_H_INCLUDED_
#define _NGX_HTTP_REFINE_HTML_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_HTML_MAX_NESTED  8      /* svg, math, and HTML within */
#define NGX_HTTP_REFINE_HTML_MAX_TAG     14     /* of the names known */
#define NGX_HTTP_REFINE_HTML_MAX_ATTR    24


typedef enum {
    NGX_HTTP_REFINE_HTML_AGAIN = 0,         /* the chunk is used up */
    NGX_HTTP_REFINE_HTML_HEAD_END,          /* at html->start; once */
    NGX_HTTP_REFINE_HTML_VALUE,             /* html->text, of html->attr */
    NGX_HTTP_REFINE_HTML_TAG                /* html->pos is at its ">" */
} ngx_http_refine_html_token_e;


/* the tags with a role here */

typedef enum {
    NGX_HTTP_REFINE_HTML_OTHER = 0,
    NGX_HTTP_REFINE_HTML_HTML,
    NGX_HTTP_REFINE_HTML_HEAD,
    NGX_HTTP_REFINE_HTML_BODY,
    NGX_HTTP_REFINE_HTML_FRAMESET,
    NGX_HTTP_REFINE_HTML_BR,
    NGX_HTTP_REFINE_HTML_META,
    NGX_HTTP_REFINE_HTML_SCRIPT,
    NGX_HTTP_REFINE_HTML_TITLE,
    NGX_HTTP_REFINE_HTML_TEMPLATE,
    NGX_HTTP_REFINE_HTML_PLAINTEXT,
    NGX_HTTP_REFINE_HTML_SVG,
    NGX_HTTP_REFINE_HTML_MATH,
    NGX_HTTP_REFINE_HTML_DESC,
    NGX_HTTP_REFINE_HTML_FOREIGNOBJECT
} ngx_http_refine_html_tag_e;


/*
 * The attributes that are looked at; NAME only of <meta>.  SERVE and COLLECT
 * are not reported as values, only in html->attrs.
 */

typedef enum {
    NGX_HTTP_REFINE_HTML_SERVE = 0,         /* data-refine-serve */
    NGX_HTTP_REFINE_HTML_COLLECT,           /* data-collect */
    NGX_HTTP_REFINE_HTML_SERVE_ID,          /* data-refine-serve-id */
    NGX_HTTP_REFINE_HTML_SURFACE,
    NGX_HTTP_REFINE_HTML_SOURCE,
    NGX_HTTP_REFINE_HTML_ITEM,
    NGX_HTTP_REFINE_HTML_NAME,
    NGX_HTTP_REFINE_HTML_ATTRS
} ngx_http_refine_html_attr_e;


/* an svg or math element, or one of HTML content in an svg */

typedef struct {
    u_char                       tag;
    ngx_uint_t                   depth;     /* of elements of this name */
} ngx_http_refine_html_nested_t;


/* a name in lower case, filled up with zeros */

typedef union {
    u_char                       text[16];
    uint64_t                     words[2];
} ngx_http_refine_html_text_t;


typedef struct ngx_http_refine_html_name_s  ngx_http_refine_html_name_t;


typedef struct {
    /* for the caller to read */
    ngx_str_t                    text;      /* of a value, raw */
    u_char                      *pos;       /* in the chunk */
    off_t                        start;     /* of the tag, bytes before it */
    uint64_t                     hash;      /* of its name in lower case */
    u_char                       tag;       /* ngx_http_refine_html_tag_e */
    u_char                       attr;      /* ngx_http_refine_html_attr_e */
    u_char                       attrs;     /* of the tag: bits, 1 << attr */
    u_char                       more;      /* the value goes on */
    u_char                       end;       /* it is an end tag */
    u_char                       empty;     /* nothing can be in it */
    u_char                       bare;      /* "=" precedes the ">" */
    u_char                       slash;     /* "/" precedes the ">" */
    u_char                       page;      /* there was <!DOCTYPE>, <html>,
                                               <head>, <title>, <body> or
                                               <frameset> */
    ngx_uint_t                   inert;     /* templates open */

    /* its own */
    u_char                       state;
    u_char                       content;   /* the state behind the tag */
    u_char                       head;      /* its end is still to come */
    u_char                       wanted;    /* the attribute is looked at */
    u_char                       quote;
    u_char                       dashes;    /* or brackets, in a row */
    u_char                       escape;    /* of a script: 1, or 2: double */
    u_char                       nnested;
    ngx_uint_t                   len;       /* of the name, or of a match */
    ngx_uint_t                   attr_len;
    u_char                      *first;     /* the chunk */
    u_char                      *last;
    const char                  *literal;   /* what is left of it */
    off_t                        base;      /* bytes before the chunk */
    uint64_t                     raw_hash;
    const ngx_http_refine_html_name_t  *name;  /* len 0: no role */
    const ngx_http_refine_html_name_t  *raw;
    ngx_http_refine_html_nested_t
                                 nested[NGX_HTTP_REFINE_HTML_MAX_NESTED];
    ngx_http_refine_html_text_t  tag_name;  /* as much of it as has room */
    u_char                       attr_name[NGX_HTTP_REFINE_HTML_MAX_ATTR];
} ngx_http_refine_html_t;


void ngx_http_refine_html_init(ngx_http_refine_html_t *html);

/* the next chunk; the one before it has to be used up.  Nothing is copied. */
void ngx_http_refine_html_input(ngx_http_refine_html_t *html, u_char *p,
    size_t len);

/*
 * Reads on to the next thing to report.  A value comes in one or more pieces,
 * with html->more set but for the last, which may be empty; of an attribute
 * that a tag has twice the first counts.  TAG is each start and end tag that
 * is complete; in a template (html->inert) as well.
 */
ngx_http_refine_html_token_e ngx_http_refine_html_next(
    ngx_http_refine_html_t *html);

/*
 * When the chunk is used up: how many bytes at the end of the input, some of
 * an earlier chunk perhaps, belong to a tag that may end the head.  At most
 * NGX_HTTP_REFINE_HTML_MAX_TAG and 3.
 */
size_t ngx_http_refine_html_held(ngx_http_refine_html_t *html);

/*
 * Decodes the character references of an attribute's raw value (13.2.5.73),
 * NUL becomes U+FFFD.  NGX_OK, *size set to what was written; NGX_DECLINED:
 * more than *size bytes.
 */
ngx_int_t ngx_http_refine_html_decode(u_char *dst, size_t *size, u_char *p,
    size_t len);

/* bytes before the one at p in the chunk */
#define ngx_http_refine_html_offset(html, p)                                  \
    ((html)->base + ((p) - (html)->first))


#endif /* _NGX_HTTP_REFINE_HTML_H_INCLUDED_ */
