
/*
 * Level 0, inside of html: the states, the table of names, and scanning for a
 * byte; 16 bytes at a time where SSE2 is there, and never beyond "last".
 */


#ifndef _NGX_HTTP_REFINE_HTML_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_HTML_CORE_H_INCLUDED_


#include "ngx_http_refine_html.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


/* the order matters: groups of states that one function reads */

typedef enum {
    NGX_HTTP_REFINE_HTML_IN_TEXT = 0,
    NGX_HTTP_REFINE_HTML_LESS,              /* after "<" */
    NGX_HTTP_REFINE_HTML_END_LESS,          /* after "</" */
    NGX_HTTP_REFINE_HTML_IN_TAG_NAME,
    NGX_HTTP_REFINE_HTML_CLOSE,             /* at ">" */

    NGX_HTTP_REFINE_HTML_BEFORE_ATTR,
    NGX_HTTP_REFINE_HTML_IN_ATTR,
    NGX_HTTP_REFINE_HTML_AFTER_ATTR,
    NGX_HTTP_REFINE_HTML_BEFORE_VALUE,
    NGX_HTTP_REFINE_HTML_IN_QUOTED,
    NGX_HTTP_REFINE_HTML_IN_BARE,
    NGX_HTTP_REFINE_HTML_SLASH,

    NGX_HTTP_REFINE_HTML_IN_RAW,
    NGX_HTTP_REFINE_HTML_RAW_LESS,
    NGX_HTTP_REFINE_HTML_RAW_END,           /* "</", and of the name */
    NGX_HTTP_REFINE_HTML_IN_SCRIPT,
    NGX_HTTP_REFINE_HTML_SCRIPT_LESS,
    NGX_HTTP_REFINE_HTML_SCRIPT_BANG,       /* "<!" */
    NGX_HTTP_REFINE_HTML_SCRIPT_NAME,       /* "<" or "</", and of "script" */

    NGX_HTTP_REFINE_HTML_FIRST,             /* a byte order mark, perhaps */
    NGX_HTTP_REFINE_HTML_BANG,              /* "<!" */
    NGX_HTTP_REFINE_HTML_BANG_DASH,
    NGX_HTTP_REFINE_HTML_LITERAL,
    NGX_HTTP_REFINE_HTML_IN_BOGUS,          /* a comment up to ">" */
    NGX_HTTP_REFINE_HTML_COMMENT_START,
    NGX_HTTP_REFINE_HTML_COMMENT_START_DASH,
    NGX_HTTP_REFINE_HTML_IN_COMMENT,
    NGX_HTTP_REFINE_HTML_COMMENT_DASH,
    NGX_HTTP_REFINE_HTML_COMMENT_END,       /* "--" */
    NGX_HTTP_REFINE_HTML_COMMENT_BANG,      /* "--!" */
    NGX_HTTP_REFINE_HTML_IN_CDATA,
    NGX_HTTP_REFINE_HTML_IN_PLAIN           /* up to the end */
} ngx_http_refine_html_state_e;


/* what a name means to the parser */
#define NGX_HTTP_REFINE_HTML_IN_HEAD   0x01 /* does not end the head */
#define NGX_HTTP_REFINE_HTML_RAW       0x02 /* raw text, RCDATA, a script */
#define NGX_HTTP_REFINE_HTML_VOID      0x04
#define NGX_HTTP_REFINE_HTML_BREAKOUT  0x08 /* ends foreign content */
#define NGX_HTTP_REFINE_HTML_IN_SVG    0x10 /* of an svg, contains HTML */
#define NGX_HTTP_REFINE_HTML_FOREIGN   0x20 /* svg, math */
#define NGX_HTTP_REFINE_HTML_PAGE      0x40 /* only a page has it */
#define NGX_HTTP_REFINE_HTML_ENDS      0x80 /* its end tag ends the head */


struct ngx_http_refine_html_name_s {
    ngx_http_refine_html_text_t  name;
    u_char                       len;
    u_char                       tag;
    u_char                       flags;
};


#define ngx_http_refine_html_blank(c)                                         \
    ((c) == ' ' || (c) == LF || (c) == '\t' || (c) == CR || (c) == '\f')

#define ngx_http_refine_html_alpha(c)                                         \
    (((c) | 0x20) >= 'a' && ((c) | 0x20) <= 'z')

/* a blank, "/" or ">": what ends the name of a tag; a bit each, for c < 64 */
#define ngx_http_refine_html_ends(c)                                          \
    ((c) < 64 && (NGX_HTTP_REFINE_HTML_ENDING >> (c) & 1))

#define ngx_http_refine_html_lower(c)                                         \
    (((c) >= 'A' && (c) <= 'Z') ? ((c) | 0x20) : (c))

#define ngx_http_refine_html_flags(html)  ((html)->name->flags)

/* odd, and such that the hashes of all names in the table begin differently */
#define NGX_HTTP_REFINE_HTML_FACTOR  10828207031823453147ULL

#define NGX_HTTP_REFINE_HTML_ENDING                                           \
    (1ULL << '>' | 1ULL << '/' | 1ULL << ' ' | 1ULL << '\t' | 1ULL << LF      \
     | 1ULL << '\f' | 1ULL << CR)


/*
 * The names of character references, sorted: each with what follows it, ";", or
 * "," where it may go without, then the UTF-8.
 */
#define NGX_HTTP_REFINE_HTML_ENTITIES  2125

extern const char *const
    ngx_http_refine_html_entities[NGX_HTTP_REFINE_HTML_ENTITIES];


/* the first one stands for all that have no role */
extern const ngx_http_refine_html_name_t  ngx_http_refine_html_names[];

/* which name has a hash that begins so; 0: none has */
extern u_char  ngx_http_refine_html_places[256];


/* makes ready what find() needs, the first time */
void ngx_http_refine_html_place(void);

/* what a complete tag changes that is none of the usual ones */
void ngx_http_refine_html_special(ngx_http_refine_html_t *html);

/* in an svg or math element, and not in HTML content of it */
ngx_uint_t ngx_http_refine_html_foreign(ngx_http_refine_html_t *html);

/* groups of states; each takes at least one byte, or changes the state */
u_char *ngx_http_refine_html_raw(ngx_http_refine_html_t *html, u_char *p,
    u_char *last);
u_char *ngx_http_refine_html_markup(ngx_http_refine_html_t *html, u_char *p,
    u_char *last);


static ngx_inline uint64_t
ngx_http_refine_html_hash(const ngx_http_refine_html_text_t *name)
{
    uint64_t  hash;

    hash = name->words[0] * NGX_HTTP_REFINE_HTML_FACTOR;
    hash ^= hash >> 32;

    return (hash ^ name->words[1]) * NGX_HTTP_REFINE_HTML_FACTOR;
}


/* hash: of the name, by hash(); the row of a name without a role has no len */

static ngx_inline const ngx_http_refine_html_name_t *
ngx_http_refine_html_find(ngx_http_refine_html_text_t *name, size_t len,
    uint64_t hash)
{
    ngx_uint_t                          i, known;
    const ngx_http_refine_html_name_t  *row;

    i = ngx_http_refine_html_places[hash >> 56];
    row = &ngx_http_refine_html_names[i];

    /* without a branch, for nothing tells which name comes next */

    known = (row->name.words[0] == name->words[0])
            & (row->name.words[1] == name->words[1])
            & (row->len == len);

    return &ngx_http_refine_html_names[i * known];
}


/* what a complete tag changes in the content that follows */

static ngx_inline void
ngx_http_refine_html_tree(ngx_http_refine_html_t *html)
{
    ngx_uint_t  flags;

    flags = ngx_http_refine_html_flags(html);

    html->content = NGX_HTTP_REFINE_HTML_IN_TEXT;
    html->empty = 0;

    /* the usual tag, be it a start tag or an end tag */

    if (html->tag == NGX_HTTP_REFINE_HTML_OTHER
        && !(flags & NGX_HTTP_REFINE_HTML_RAW)
        && html->nnested == 0 && html->raw == NULL)
    {
        html->empty = !html->end & ((flags & NGX_HTTP_REFINE_HTML_VOID) != 0);
        return;
    }

    ngx_http_refine_html_special(html);
}


/* the first c from p on, or last */

static ngx_inline u_char *
ngx_http_refine_html_hop(u_char *p, u_char *last, u_char c)
{
#if defined(__SSE2__)
    int      found;
    __m128i  bytes;

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);
        found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));

        if (found) {
            return p + __builtin_ctz(found);
        }

        p += 16;
    }

    while (p < last && *p != c) {
        p++;
    }

    return p;

#else
    u_char  *found;

    found = memchr(p, c, last - p);

    return found ? found : last;
#endif
}


/* the first a, b, c, blank or control character from p on, or last */

static ngx_inline u_char *
ngx_http_refine_html_hop_any(u_char *p, u_char *last, u_char a, u_char b,
    u_char c)
{
#if defined(__SSE2__)
    int      found;
    __m128i  bytes, any;

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);
        any = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ')), bytes);
        any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(a)));
        any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b)));
        any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
        found = _mm_movemask_epi8(any);

        if (found) {
            return p + __builtin_ctz(found);
        }

        p += 16;
    }
#endif

    while (p < last && *p > ' ' && *p != a && *p != b && *p != c) {
        p++;
    }

    return p;
}


/*
 * The name of a tag that begins at p and ends in the next 16 bytes of the
 * chunk: its length, and *name is set; 0: read it byte by byte.
 */

static ngx_inline ngx_uint_t
ngx_http_refine_html_name(ngx_http_refine_html_text_t *name, u_char *p,
    u_char *last)
{
#if defined(__SSE2__)
    int      found, n;
    __m128i  bytes, any, upper;

    if (last - p < 16) {
        return 0;
    }

    bytes = _mm_loadu_si128((const __m128i *) p);
    any = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ')), bytes);
    any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')));
    any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('>')));
    found = _mm_movemask_epi8(any);

    if (found == 0) {
        return 0;
    }

    n = __builtin_ctz(found);

    if (p[n] < ' ' && !ngx_http_refine_html_ends(p[n])) {
        return 0;
    }

    upper = _mm_sub_epi8(bytes, _mm_set1_epi8('A'));
    upper = _mm_cmpeq_epi8(_mm_min_epu8(upper, _mm_set1_epi8(25)), upper);
    bytes = _mm_or_si128(bytes, _mm_and_si128(upper, _mm_set1_epi8(0x20)));

    any = _mm_cmpgt_epi8(_mm_set1_epi8(n),
                         _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                       12, 13, 14, 15));

    _mm_storeu_si128((__m128i *) name->text, _mm_and_si128(bytes, any));

    return n;

#else
    return 0;
#endif
}


#endif /* _NGX_HTTP_REFINE_HTML_CORE_H_INCLUDED_ */
