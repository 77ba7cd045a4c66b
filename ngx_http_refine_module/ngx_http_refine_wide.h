
/*
 * Level 0: what the loops share that look at 32 or 64 bytes at once, a bit for
 * each, on a processor that has the instructions for it.
 */


#ifndef _NGX_HTTP_REFINE_WIDE_H_INCLUDED_
#define _NGX_HTTP_REFINE_WIDE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#if (__SSE2__)

#include <immintrin.h>


/* what the processor must have for a function; the rest does without */
#define ngx_http_refine_wide_target                                           \
    __attribute__((target("avx2,bmi,pclmul")))

#define ngx_http_refine_wide()                                                \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")          \
     && __builtin_cpu_supports("pclmul"))


/*
 * From each opening quote up to the byte before the closing one: the prefix
 * xor, which is a product without carries with all ones.
 */

ngx_http_refine_wide_target static ngx_inline uint64_t
ngx_http_refine_wide_within(uint64_t quotes)
{
    return (uint64_t) _mm_cvtsi128_si64(
                          _mm_clmulepi64_si128(
                              _mm_cvtsi64_si128((int64_t) quotes),
                              _mm_set1_epi8((char) 0xff), 0));
}

#else

#define ngx_http_refine_wide()  0

#endif


#endif /* _NGX_HTTP_REFINE_WIDE_H_INCLUDED_ */
