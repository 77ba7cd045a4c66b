
/*
 * 64 bytes at a time: a bit for each quote, backslash and bracket; the bytes
 * within strings are the prefix xor of the quotes, so that only the brackets
 * that count are visited.  The technique is that of Langdale and Lemire,
 * "Parsing Gigabytes of JSON per Second", 2019.
 */


#include "ngx_http_refine_skip.h"

#if (__SSE2__)
#include <immintrin.h>
#endif


static u_char *ngx_http_refine_skip_bytes(ngx_http_refine_skip_t *skip,
    u_char *p, u_char *last);

#if (__SSE2__)

/* the compiler is told to, for it makes of this loop one for each processor */
#define ngx_http_refine_skip_inline  static ngx_inline                        \
    __attribute__((always_inline))

/* what the processor must have; the rest of the module does without */
#define ngx_http_refine_skip_target  __attribute__((target("avx2,pclmul")))


/* of 64 bytes, a bit each */

typedef struct {
    uint64_t  quotes;
    uint64_t  backslashes;
    uint64_t  brackets;
} ngx_http_refine_skip_masks_t;

typedef void (*ngx_http_refine_skip_masks_pt)(const u_char *p,
    ngx_http_refine_skip_masks_t *masks);
typedef uint64_t (*ngx_http_refine_skip_strings_pt)(uint64_t quotes);


ngx_http_refine_skip_inline u_char *ngx_http_refine_skip_blocks(
    ngx_http_refine_skip_t *skip, u_char **pos, u_char *last,
    ngx_http_refine_skip_masks_pt load,
    ngx_http_refine_skip_strings_pt strings);
static ngx_inline uint64_t ngx_http_refine_skip_escaped(uint64_t backslashes,
    uint64_t *escaped);


/* brackets are what the bits 0x26 leave apart, and Y, y, _ and DEL */

#define ngx_http_refine_skip_sse2(test)                                       \
    ((uint64_t) (uint32_t) _mm_movemask_epi8(test(0))                         \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(1)) << 16                 \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(2)) << 32                 \
     | (uint64_t) (uint32_t) _mm_movemask_epi8(test(3)) << 48)

#define ngx_http_refine_skip_sse2_quote(i)                                    \
    _mm_cmpeq_epi8(v[i], _mm_set1_epi8('"'))

#define ngx_http_refine_skip_sse2_backslash(i)                                \
    _mm_cmpeq_epi8(v[i], _mm_set1_epi8('\\'))

#define ngx_http_refine_skip_sse2_bracket(i)                                  \
    _mm_cmpeq_epi8(_mm_or_si128(v[i], _mm_set1_epi8(0x26)),                   \
                   _mm_set1_epi8(0x7f))

static ngx_inline void
ngx_http_refine_skip_load_sse2(const u_char *p,
    ngx_http_refine_skip_masks_t *masks)
{
    __m128i     v[4];
    ngx_uint_t  i;

    for (i = 0; i < 4; i++) {
        v[i] = _mm_loadu_si128((const __m128i *) (p + 16 * i));
    }

    masks->quotes = ngx_http_refine_skip_sse2(ngx_http_refine_skip_sse2_quote);
    masks->backslashes = ngx_http_refine_skip_sse2(
                                           ngx_http_refine_skip_sse2_backslash);
    masks->brackets = ngx_http_refine_skip_sse2(
                                             ngx_http_refine_skip_sse2_bracket);
}


/* from each opening quote up to the byte before the closing one */

static ngx_inline uint64_t
ngx_http_refine_skip_strings_sse2(uint64_t quotes)
{
    quotes ^= quotes << 1;
    quotes ^= quotes << 2;
    quotes ^= quotes << 4;
    quotes ^= quotes << 8;
    quotes ^= quotes << 16;
    quotes ^= quotes << 32;

    return quotes;
}


#define ngx_http_refine_skip_avx2(a, b)                                       \
    ((uint64_t) (uint32_t) _mm256_movemask_epi8(a)                            \
     | (uint64_t) (uint32_t) _mm256_movemask_epi8(b) << 32)

ngx_http_refine_skip_target static ngx_inline void
ngx_http_refine_skip_load_avx2(const u_char *p,
    ngx_http_refine_skip_masks_t *masks)
{
    __m256i  a, b, c;

    a = _mm256_loadu_si256((const __m256i *) p);
    b = _mm256_loadu_si256((const __m256i *) (p + 32));

    c = _mm256_set1_epi8('"');
    masks->quotes = ngx_http_refine_skip_avx2(_mm256_cmpeq_epi8(a, c),
                                              _mm256_cmpeq_epi8(b, c));

    c = _mm256_set1_epi8('\\');
    masks->backslashes = ngx_http_refine_skip_avx2(_mm256_cmpeq_epi8(a, c),
                                                   _mm256_cmpeq_epi8(b, c));

    c = _mm256_set1_epi8(0x26);
    a = _mm256_or_si256(a, c);
    b = _mm256_or_si256(b, c);

    c = _mm256_set1_epi8(0x7f);
    masks->brackets = ngx_http_refine_skip_avx2(_mm256_cmpeq_epi8(a, c),
                                                _mm256_cmpeq_epi8(b, c));
}


/* the same as a product without carries with all ones */

ngx_http_refine_skip_target static ngx_inline uint64_t
ngx_http_refine_skip_strings_avx2(uint64_t quotes)
{
    return (uint64_t) _mm_cvtsi128_si64(
                          _mm_clmulepi64_si128(
                              _mm_cvtsi64_si128((int64_t) quotes),
                              _mm_set1_epi8((char) 0xff), 0));
}


ngx_http_refine_skip_target static u_char *
ngx_http_refine_skip_wide(ngx_http_refine_skip_t *skip, u_char **pos,
    u_char *last)
{
    return ngx_http_refine_skip_blocks(skip, pos, last,
                                       ngx_http_refine_skip_load_avx2,
                                       ngx_http_refine_skip_strings_avx2);
}


static u_char *
ngx_http_refine_skip_narrow(ngx_http_refine_skip_t *skip, u_char **pos,
    u_char *last)
{
    return ngx_http_refine_skip_blocks(skip, pos, last,
                                       ngx_http_refine_skip_load_sse2,
                                       ngx_http_refine_skip_strings_sse2);
}


u_char *
ngx_http_refine_skip(ngx_http_refine_skip_t *skip, u_char *p, u_char *last)
{
    u_char  *end;

    if (last - p >= 64) {
        end = (__builtin_cpu_supports("avx2")
               && __builtin_cpu_supports("pclmul"))
              ? ngx_http_refine_skip_wide(skip, &p, last)
              : ngx_http_refine_skip_narrow(skip, &p, last);

        if (end != NULL) {
            return end;
        }
    }

    return ngx_http_refine_skip_bytes(skip, p, last);
}


/*
 * Whole blocks, up to the closing bracket, or NULL with *pos behind the last
 * of them.
 */

ngx_http_refine_skip_inline u_char *
ngx_http_refine_skip_blocks(ngx_http_refine_skip_t *skip, u_char **pos,
    u_char *last, ngx_http_refine_skip_masks_pt load,
    ngx_http_refine_skip_strings_pt strings)
{
    u_char                        *p;
    uint64_t                       string, inside, escaped, brackets, bit;
    ngx_uint_t                     depth;
    ngx_http_refine_skip_masks_t   masks;

    depth = skip->depth;
    inside = skip->string;
    escaped = skip->escaped;

    for (p = *pos; last - p >= 64; p += 64) {

        load(p, &masks);

        if (masks.backslashes | escaped) {
            bit = ~ngx_http_refine_skip_escaped(masks.backslashes, &escaped);
            masks.quotes &= bit;
            masks.brackets &= bit;
        }

        string = strings(masks.quotes) ^ inside;
        inside = -(string >> 63);

        for (brackets = masks.brackets & ~string;
             brackets;
             brackets &= brackets - 1)
        {
            bit = __builtin_ctzll(brackets);

            switch (p[bit]) {

            case '{': case '[':
                depth++;
                break;

            case '}': case ']':
                if (--depth == 0) {
                    skip->depth = 0;
                    return p + bit + 1;
                }
            }
        }
    }

    skip->depth = depth;
    skip->string = inside;
    skip->escaped = escaped;

    *pos = p;

    return NULL;
}


/*
 * The bytes that a backslash escapes: of a run of backslashes every second
 * one, and what follows a run of odd length.  Runs that start at an even
 * place are added to, so that the carry marks their ends.
 */

static ngx_inline uint64_t
ngx_http_refine_skip_escaped(uint64_t backslashes, uint64_t *escaped)
{
    uint64_t  even, follows, odd, runs;

    even = 0x5555555555555555ULL;

    backslashes &= ~*escaped;
    follows = (backslashes << 1) | *escaped;
    odd = backslashes & ~even & ~follows;
    runs = odd + backslashes;

    *escaped = (runs < odd);

    return (even ^ (runs << 1)) & follows;
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
