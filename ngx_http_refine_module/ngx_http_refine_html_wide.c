
/*
 * Attributes that are not looked at, 32 bytes at a time: a bit for each byte
 * that means something, and what is within quotes as the prefix xor of the
 * quotes.  Nothing tells which attribute comes next, and a branch for each
 * would be guessed wrong; bits need none.
 */


#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"
#include "ngx_http_refine_wide.h"


#if (__SSE2__)

#define ngx_http_refine_html_bits(v)                                          \
    ((uint32_t) _mm256_movemask_epi8(v))

#define ngx_http_refine_html_equal(v, c)                                      \
    ngx_http_refine_html_bits(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)))


/* of 32 bytes, a bit each */

typedef struct {
    uint32_t  doubles;          /* double quotes */
    uint32_t  singles;
    uint32_t  blanks;
    uint32_t  slashes;
    uint32_t  equals;
    uint32_t  greater;
    uint32_t  names;            /* "d???-r" or "d???-c", in any case */
} ngx_http_refine_html_masks_t;


typedef struct {
    uint32_t  doubles;          /* within double quotes */
    uint32_t  singles;
    uint32_t  starts;           /* an attribute may begin */
    uint32_t  stops;            /* ">", a "/" between attributes, a name */
    uint32_t  odd;              /* from here on bits do not tell */
} ngx_http_refine_html_found_t;


/* bytes of which no two are alike in the low four bits, each in that place */

ngx_http_refine_wide_target static ngx_inline uint32_t
ngx_http_refine_html_any(__m256i v, __m128i set)
{
    __m256i  both;

    both = _mm256_broadcastsi128_si256(set);

    return ngx_http_refine_html_bits(
                     _mm256_cmpeq_epi8(_mm256_shuffle_epi8(both, v), v));
}


ngx_http_refine_wide_target static ngx_inline void
ngx_http_refine_html_load(const u_char *p, ngx_http_refine_html_masks_t *m)
{
    __m256i  v, lower;

    v = _mm256_loadu_si256((const __m256i *) p);

    m->doubles = ngx_http_refine_html_equal(v, '"');
    m->singles = ngx_http_refine_html_equal(v, '\'');
    m->slashes = ngx_http_refine_html_equal(v, '/');
    m->equals = ngx_http_refine_html_equal(v, '=');
    m->greater = ngx_http_refine_html_equal(v, '>');

    m->blanks = ngx_http_refine_html_any(v,
                             _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t',
                                           LF, 0, '\f', CR, 0, 0));

    lower = _mm256_or_si256(v, _mm256_set1_epi8(0x20));

    m->names = ngx_http_refine_html_equal(lower, 'd')
               & ngx_http_refine_html_equal(v, '-') >> 4
               & ngx_http_refine_html_any(lower,
                             _mm_setr_epi8(0, 0, 'r', 'c', 0, 0, 0, 0, 0, 0,
                                           0, 0, 0, 0, 0, 0)) >> 5;
}


/*
 * Odd is a quote that no "=" precedes, or that is within those of the other
 * kind; a "=" without a name before it, or in a bare value (the sum carries
 * from each "=" to what comes first, an end or a "="), or without a value; and
 * a "/" that may be of a bare value.
 */

ngx_http_refine_wide_target static ngx_inline void
ngx_http_refine_html_tell(ngx_http_refine_html_masks_t *m,
    ngx_http_refine_html_found_t *found)
{
    uint32_t  quotes, inside, equals, ends, others;

    found->doubles = (uint32_t) ngx_http_refine_wide_within(m->doubles);
    found->singles = (uint32_t) ngx_http_refine_wide_within(m->singles);

    quotes = m->doubles | m->singles;
    inside = found->doubles | found->singles;

    equals = m->equals & ~inside;
    ends = (m->blanks | quotes) & ~inside;
    others = ~(ends | equals);

    found->starts = ends << 1 | 1;

    found->stops = ((m->greater | (m->slashes & found->starts)) & ~inside)
                   | (m->names & found->starts);

    found->odd = (quotes & inside & ~(equals << 1))
                 | (equals & ((ends | m->slashes) << 1 | 1))
                 | (equals & ((equals << 1) + others))
                 | ((equals << 1) & (m->blanks | m->greater))
                 | ((m->slashes << 1) & (m->greater | m->names));
}


ngx_http_refine_wide_target static u_char *
ngx_http_refine_html_blocks(u_char *p, u_char *last)
{
    u_char                        *q;
    uint32_t                       begun;
    ngx_http_refine_html_masks_t   masks;
    ngx_http_refine_html_found_t   found;

    while (last - p >= 32) {

        ngx_http_refine_html_load(p, &masks);
        ngx_http_refine_html_tell(&masks, &found);

        if (found.stops) {
            return (found.odd & (found.stops ^ (found.stops - 1)))
                   ? p : p + __builtin_ctz(found.stops);
        }

        if (found.odd) {
            return p;
        }

        if ((found.doubles | found.singles) >> 31) {
            q = ngx_http_refine_html_hop(p + 32, last,
                                         (found.doubles >> 31) ? '"' : '\'');
            if (last - q < 2) {
                return p;
            }

            p = q + 1;
            continue;
        }

        /* to the last name: what is behind it and blanks may be its "=" */

        begun = found.starts & ~(masks.blanks | 1);

        if (begun == 0) {
            return p;
        }

        p += 31 - __builtin_clz(begun);
    }

    return p;
}


u_char *
ngx_http_refine_html_wide(u_char *p, u_char *last)
{
    return (last - p >= 32 && ngx_http_refine_wide())
           ? ngx_http_refine_html_blocks(p, last) : p;
}

#else

u_char *
ngx_http_refine_html_wide(u_char *p, u_char *last)
{
    return p;
}

#endif
