
/*
 * Level 0: the states and byte scanners of ngx_http_refine_json.c and of
 * nothing else; they read 16 bytes at a time where SSE2 is there, and never
 * beyond "last".
 */


#ifndef _NGX_HTTP_REFINE_JSON_SCAN_H_INCLUDED_
#define _NGX_HTTP_REFINE_JSON_SCAN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


/* between tokens a state says what may come next; the last three are tokens */

typedef enum {
    NGX_HTTP_REFINE_JSON_FIRST = 0,         /* a BOM or the value */
    NGX_HTTP_REFINE_JSON_VALUE,
    NGX_HTTP_REFINE_JSON_ELEMENT,           /* the first one, or ] */
    NGX_HTTP_REFINE_JSON_NAME,
    NGX_HTTP_REFINE_JSON_MEMBER,            /* the first name, or } */
    NGX_HTTP_REFINE_JSON_COLON,
    NGX_HTTP_REFINE_JSON_COMMA,             /* , or the end */
    NGX_HTTP_REFINE_JSON_DONE,
    NGX_HTTP_REFINE_JSON_FAILED,
    NGX_HTTP_REFINE_JSON_OVER,              /* a token just was */
    NGX_HTTP_REFINE_JSON_IN_STRING,
    NGX_HTTP_REFINE_JSON_IN_NUMBER,
    NGX_HTTP_REFINE_JSON_IN_LITERAL,
    NGX_HTTP_REFINE_JSON_IN_NESTED
} ngx_http_refine_json_state_e;


/* within a string */

typedef enum {
    NGX_HTTP_REFINE_JSON_PLAIN = 0,
    NGX_HTTP_REFINE_JSON_ESCAPE,            /* after a backslash */
    NGX_HTTP_REFINE_JSON_HEX,
    NGX_HTTP_REFINE_JSON_PAIR,              /* the backslash of the second */
    NGX_HTTP_REFINE_JSON_PAIR_U,
    NGX_HTTP_REFINE_JSON_PAIR_HEX,
    NGX_HTTP_REFINE_JSON_UTF8
} ngx_http_refine_json_string_e;


/* within a number, RFC 8259, 6 */

typedef enum {
    NGX_HTTP_REFINE_JSON_N_START = 0,
    NGX_HTTP_REFINE_JSON_N_MINUS,
    NGX_HTTP_REFINE_JSON_N_ZERO,
    NGX_HTTP_REFINE_JSON_N_INT,
    NGX_HTTP_REFINE_JSON_N_POINT,
    NGX_HTTP_REFINE_JSON_N_FRAC,
    NGX_HTTP_REFINE_JSON_N_E,
    NGX_HTTP_REFINE_JSON_N_SIGN,
    NGX_HTTP_REFINE_JSON_N_EXP,
    NGX_HTTP_REFINE_JSON_N_DONE,
    NGX_HTTP_REFINE_JSON_N_BAD
} ngx_http_refine_json_number_e;


#define Z  NGX_HTTP_REFINE_JSON_N_ZERO
#define I  NGX_HTTP_REFINE_JSON_N_INT
#define M  NGX_HTTP_REFINE_JSON_N_MINUS
#define P  NGX_HTTP_REFINE_JSON_N_POINT
#define F  NGX_HTTP_REFINE_JSON_N_FRAC
#define E  NGX_HTTP_REFINE_JSON_N_E
#define S  NGX_HTTP_REFINE_JSON_N_SIGN
#define X  NGX_HTTP_REFINE_JSON_N_EXP
#define D  NGX_HTTP_REFINE_JSON_N_DONE
#define B  NGX_HTTP_REFINE_JSON_N_BAD

static const u_char  ngx_http_refine_json_numbers[9][7] = {
    /*            0  1-9 -  +  .  e  other */
    /* START */ { Z, I,  M, B, B, B, B },
    /* MINUS */ { Z, I,  B, B, B, B, B },
    /* ZERO  */ { B, B,  D, D, P, E, D },
    /* INT   */ { I, I,  D, D, P, E, D },
    /* POINT */ { F, F,  B, B, B, B, B },
    /* FRAC  */ { F, F,  D, D, D, E, D },
    /* E     */ { X, X,  S, S, B, B, B },
    /* SIGN  */ { X, X,  B, B, B, B, B },
    /* EXP   */ { X, X,  D, D, D, D, D }
};

#undef Z
#undef I
#undef M
#undef P
#undef F
#undef E
#undef S
#undef X
#undef D
#undef B


/* the first byte from p on that is not plain ASCII text of a string */

static ngx_inline u_char *
ngx_http_refine_json_hop(u_char *p, u_char *last)
{
#if defined(__SSE2__)
    int      found;
    __m128i  bytes, hits;

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);

        /* the comparison is signed: it finds controls and all above 0x7f */

        hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        hits = _mm_or_si128(hits, _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));

        found = _mm_movemask_epi8(hits);

        if (found) {
            return p + __builtin_ctz(found);
        }

        p += 16;
    }

#else
    uint64_t  word, quote, slash;

    /*
     * A byte of "w - ones" has its top bit set, and that of w not, where the
     * byte of w is 0; a false hit only costs the walk over these bytes below.
     */

    while (last - p >= 8) {
        ngx_memcpy(&word, p, 8);

        quote = word ^ 0x2222222222222222ULL;
        slash = word ^ 0x5c5c5c5c5c5c5c5cULL;

        quote = (quote - 0x0101010101010101ULL) & ~quote;
        slash = (slash - 0x0101010101010101ULL) & ~slash;

        if ((quote | slash | word | (word - 0x2020202020202020ULL))
            & 0x8080808080808080ULL)
        {
            break;
        }

        p += 8;
    }

#endif

    while (p < last && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }

    return p;
}


/* the first byte that is not white space; indented texts are full of it */

static ngx_inline u_char *
ngx_http_refine_json_blank(u_char *p, u_char *last)
{
#if defined(__SSE2__)
    int      found;
    __m128i  bytes, hits;
#endif

    if (p == last || *p > ' ') {
        return p;
    }

#if defined(__SSE2__)

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);

        hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')),
                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8(LF)));
        hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
        hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(CR)));

        found = _mm_movemask_epi8(hits) ^ 0xffff;

        if (found) {
            return p + __builtin_ctz(found);
        }

        p += 16;
    }

#endif

    while (p < last && (*p == ' ' || *p == LF || *p == '\t' || *p == CR)) {
        p++;
    }

    return p;
}


/*
 * Passes over whole valid characters of two and three bytes (RFC 3629, 4);
 * four bytes, what is cut and what is wrong are left to the caller.
 */

static ngx_inline u_char *
ngx_http_refine_json_run(u_char *p, u_char *last)
{
    ngx_uint_t  bits;

    while (last - p >= 3 && *p >= 0xc2 && *p < 0xf0 && (p[1] & 0xc0) == 0x80) {

        if (*p < 0xe0) {
            p += 2;
            continue;
        }

        /* overlong below 0x800, surrogates: 0xd800 to 0xdfff */

        bits = (*p & 0x0f) << 6 | (p[1] & 0x3f);

        if ((p[2] & 0xc0) != 0x80 || bits < 0x20
            || (bits >= 0x360 && bits <= 0x37f))
        {
            break;
        }

        p += 3;
    }

    return p;
}


/*
 * Goes on within a number from *sub; ends at the first byte that is not of it
 * (N_DONE) or that breaks it (N_BAD), or at last.
 */

static ngx_inline u_char *
ngx_http_refine_json_digits(u_char *p, u_char *last, ngx_uint_t *sub)
{
    u_char      c;
    ngx_uint_t  state, class;

    state = *sub;

    for ( /* void */ ; p < last; p++) {
        c = *p;

        if (c >= '0' && c <= '9') {
            class = (c != '0');

        } else {
            class = (c == '.') ? 4 : (c == '-') ? 2 : (c == '+') ? 3
                    : ((c | 0x20) == 'e') ? 5 : 6;
        }

        state = ngx_http_refine_json_numbers[state][class];

        if (state >= NGX_HTTP_REFINE_JSON_N_DONE) {
            break;
        }
    }

    *sub = state;

    return p;
}


/* what of a number is complete when nothing follows */

#define ngx_http_refine_json_whole(sub)                                       \
    (ngx_http_refine_json_numbers[sub][6] == NGX_HTTP_REFINE_JSON_N_DONE)


#endif /* _NGX_HTTP_REFINE_JSON_SCAN_H_INCLUDED_ */
