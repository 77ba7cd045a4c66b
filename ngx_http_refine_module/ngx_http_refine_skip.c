
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

typedef struct {
    uint64_t   quotes;
    uint64_t   backslashes;
    uint64_t   open;
    uint64_t   close;
} ngx_http_refine_skip_block_t;

static ngx_inline void ngx_http_refine_skip_load(
    ngx_http_refine_skip_block_t *b, u_char *p);
static ngx_inline uint64_t ngx_http_refine_skip_escaped(
    ngx_http_refine_skip_t *skip, uint64_t backslashes);
static ngx_inline uint64_t ngx_http_refine_skip_strings(uint64_t quotes);
static u_char *ngx_http_refine_skip_visit(ngx_http_refine_skip_t *skip,
    u_char *p, uint64_t open, uint64_t close);


u_char *
ngx_http_refine_skip(ngx_http_refine_skip_t *skip, u_char *p, u_char *last)
{
    u_char                        *end;
    uint64_t                       escaped, string;
    ngx_http_refine_skip_block_t   b;

    while (last - p >= 64) {

        ngx_http_refine_skip_load(&b, p);

        if (b.backslashes | skip->escaped) {
            escaped = ngx_http_refine_skip_escaped(skip, b.backslashes);

            b.quotes &= ~escaped;
            b.open &= ~escaped;
            b.close &= ~escaped;
        }

        string = ngx_http_refine_skip_strings(b.quotes) ^ skip->string;
        skip->string = -(string >> 63);

        b.open &= ~string;
        b.close &= ~string;

        if (b.open | b.close) {
            end = ngx_http_refine_skip_visit(skip, p, b.open, b.close);

            if (end != NULL) {
                return end;
            }
        }

        p += 64;
    }

    return ngx_http_refine_skip_bytes(skip, p, last);
}


static ngx_inline void
ngx_http_refine_skip_load(ngx_http_refine_skip_block_t *b, u_char *p)
{
    __m128i     v, folded;
    ngx_uint_t  i, shift;

    ngx_memzero(b, sizeof(ngx_http_refine_skip_block_t));

    for (i = 0; i < 4; i++) {
        shift = 16 * i;

        v = _mm_loadu_si128((const __m128i *) (p + shift));

        /* '[' and '{', ']' and '}' differ by this bit */
        folded = _mm_or_si128(v, _mm_set1_epi8(0x20));

        b->quotes |= (uint64_t) (uint32_t) _mm_movemask_epi8(
                         _mm_cmpeq_epi8(v, _mm_set1_epi8('"'))) << shift;
        b->backslashes |= (uint64_t) (uint32_t) _mm_movemask_epi8(
                         _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))) << shift;
        b->open |= (uint64_t) (uint32_t) _mm_movemask_epi8(
                         _mm_cmpeq_epi8(folded, _mm_set1_epi8('{'))) << shift;
        b->close |= (uint64_t) (uint32_t) _mm_movemask_epi8(
                         _mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))) << shift;
    }
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

static u_char *
ngx_http_refine_skip_visit(ngx_http_refine_skip_t *skip, u_char *p,
    uint64_t open, uint64_t close)
{
    uint64_t  both, bit;

    for (both = open | close; both; both ^= bit) {
        bit = both & -both;

        if (open & bit) {
            skip->depth++;
            continue;
        }

        if (--skip->depth == 0) {
            return p + __builtin_ctzll(bit) + 1;
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
