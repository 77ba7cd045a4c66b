
/*
 * 64 bytes at a time: a bit for each quote, backslash and bracket; the bytes
 * within strings are the prefix xor of the quotes, so that only the brackets
 * that count are visited.  The technique is that of Langdale and Lemire,
 * "Parsing Gigabytes of JSON per Second", 2019.
 */


#include "ngx_http_refine_skip.h"

#if (__SSE2__)
#include <emmintrin.h>
#endif


static u_char *ngx_http_refine_skip_bytes(ngx_http_refine_skip_t *skip,
    u_char *p, u_char *last);

#if (__SSE2__)

/* a bit for each of 64 bytes, which test(i) makes of the 16 bytes v[i] */

#define ngx_http_refine_skip_bits(test)                                       \
    ((uint64_t) (uint32_t) _mm_movemask_epi8(test(0))                         \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(1)) << 16                 \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(2)) << 32                 \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(3)) << 48)

#define ngx_http_refine_skip_quote(i)                                         \
    _mm_cmpeq_epi8(v[i], _mm_set1_epi8('"'))

#define ngx_http_refine_skip_backslash(i)                                     \
    _mm_cmpeq_epi8(v[i], _mm_set1_epi8('\\'))

/* brackets are what these bits alone tell apart, and Y, y, _ and DEL */

#define ngx_http_refine_skip_bracket(i)                                       \
    _mm_cmpeq_epi8(_mm_or_si128(v[i], _mm_set1_epi8(0x26)),                   \
                   _mm_set1_epi8(0x7f))


static ngx_inline uint64_t ngx_http_refine_skip_escaped(
    ngx_http_refine_skip_t *skip, uint64_t backslashes);
static ngx_inline uint64_t ngx_http_refine_skip_strings(uint64_t quotes);
static ngx_inline u_char *ngx_http_refine_skip_visit(
    ngx_http_refine_skip_t *skip, u_char *p, uint64_t brackets);


u_char *
ngx_http_refine_skip(ngx_http_refine_skip_t *skip, u_char *p, u_char *last)
{
    u_char      *end;
    __m128i      v[4], any;
    uint64_t     quotes, plain, brackets, string;
    ngx_uint_t   i;

    for ( /* void */ ; last - p >= 64; p += 64) {

        for (i = 0; i < 4; i++) {
            v[i] = _mm_loadu_si128((const __m128i *) (p + 16 * i));
        }

        plain = (uint64_t) -1;
        quotes = ngx_http_refine_skip_bits(ngx_http_refine_skip_quote);

        any = _mm_or_si128(_mm_or_si128(ngx_http_refine_skip_backslash(0),
                                        ngx_http_refine_skip_backslash(1)),
                           _mm_or_si128(ngx_http_refine_skip_backslash(2),
                                        ngx_http_refine_skip_backslash(3)));

        if (_mm_movemask_epi8(any) || skip->escaped) {
            plain = ~ngx_http_refine_skip_escaped(skip,
                   ngx_http_refine_skip_bits(ngx_http_refine_skip_backslash));
            quotes &= plain;
        }

        /* long texts */

        if (quotes == 0 && skip->string) {
            continue;
        }

        string = ngx_http_refine_skip_strings(quotes) ^ skip->string;
        skip->string = -(string >> 63);

        brackets = ngx_http_refine_skip_bits(ngx_http_refine_skip_bracket)
                   & plain & ~string;

        if (brackets) {
            end = ngx_http_refine_skip_visit(skip, p, brackets);

            if (end != NULL) {
                return end;
            }
        }
    }

    return ngx_http_refine_skip_bytes(skip, p, last);
}


/*
 * The bytes that a backslash escapes: of a run of backslashes every second
 * one, and what follows a run of odd length.  Runs that start at an even
 * place are added to, so that the carry marks their ends.
 */

static ngx_inline uint64_t
ngx_http_refine_skip_escaped(ngx_http_refine_skip_t *skip,
    uint64_t backslashes)
{
    uint64_t  even, follows, odd, runs;

    even = 0x5555555555555555ULL;

    backslashes &= ~skip->escaped;
    follows = (backslashes << 1) | skip->escaped;
    odd = backslashes & ~even & ~follows;
    runs = odd + backslashes;

    skip->escaped = (runs < odd);

    return (even ^ (runs << 1)) & follows;
}


/* from each opening quote up to the byte before the closing one */

static ngx_inline uint64_t
ngx_http_refine_skip_strings(uint64_t quotes)
{
    quotes ^= quotes << 1;
    quotes ^= quotes << 2;
    quotes ^= quotes << 4;
    quotes ^= quotes << 8;
    quotes ^= quotes << 16;
    quotes ^= quotes << 32;

    return quotes;
}


/* counts the brackets; what follows the last one, or NULL */

static ngx_inline u_char *
ngx_http_refine_skip_visit(ngx_http_refine_skip_t *skip, u_char *p,
    uint64_t brackets)
{
    u_char  *bracket;

    for ( /* void */ ; brackets; brackets &= brackets - 1) {
        bracket = p + __builtin_ctzll(brackets);

        switch (*bracket) {

        case '{': case '[':
            skip->depth++;
            break;

        case '}': case ']':
            if (--skip->depth == 0) {
                return bracket + 1;
            }
        }
    }

    return NULL;
}

#else

u_char *
ngx_http_refine_skip(ngx_http_refine_skip_t *skip, u_char *p, u_char *last)
{
    return ngx_http_refine_skip_bytes(skip, p, last);
}

#endif


static u_char *
ngx_http_refine_skip_bytes(ngx_http_refine_skip_t *skip, u_char *p,
    u_char *last)
{
    u_char  c;

    for ( /* void */ ; p < last; p++) {

        if (skip->escaped) {
            skip->escaped = 0;
            continue;
        }

        c = *p;

        if (c == '\\') {
            skip->escaped = 1;

        } else if (c == '"') {
            skip->string = ~skip->string;

        } else if (skip->string) {
            continue;

        } else if (c == '{' || c == '[') {
            skip->depth++;

        } else if ((c == '}' || c == ']') && --skip->depth == 0) {
            return p + 1;
        }
    }

    return p;
}
