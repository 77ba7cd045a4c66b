
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"

#if (__SSE2__)
#include <emmintrin.h>
#endif


#define NGX_HTTP_REFINE_BUF_MIN       64

/* the longest double of %.17g: -2.2250738585072014e-308 */
#define NGX_HTTP_REFINE_BUF_DOUBLE    32

/* below it every integer is exact and short enough without an exponent */
#define NGX_HTTP_REFINE_BUF_INTEGER   1e15


static u_char *ngx_http_refine_buf_clean(u_char *dst, const u_char *p,
    const u_char *last);
static size_t ngx_http_refine_buf_escape(u_char *dst, u_char c);
static size_t ngx_http_refine_buf_point(u_char *text, size_t len);


/* 1: may stand in a JSON string as it is, and is ASCII */

static const u_char  ngx_http_refine_buf_ascii[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,   /*  !"#$%&'()*+,-./ */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,   /* 0123456789:;<=>? */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,   /* @ABCDEFGHIJKLMNO */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1,   /* PQRSTUVWXYZ[\]^_ */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,   /* `abcdefghijklmno */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1    /* pqrstuvwxyz{|}~  */
};


ngx_int_t
ngx_http_refine_buf_init(ngx_http_refine_buf_t *b, ngx_pool_t *pool,
    size_t size, size_t max)
{
    b->start = NULL;
    b->pos = NULL;
    b->end = NULL;
    b->max = max;
    b->pool = pool;
    b->failed = 0;

    if (size == 0) {
        return NGX_OK;
    }

    return ngx_http_refine_buf_reserve(b, ngx_min(size, max));
}


void
ngx_http_refine_buf_free(ngx_http_refine_buf_t *b)
{
    if (b->start) {
        (void) ngx_pfree(b->pool, b->start);
    }

    b->start = NULL;
    b->pos = NULL;
    b->end = NULL;
    b->failed = 0;
}


ngx_int_t
ngx_http_refine_buf_grow(ngx_http_refine_buf_t *b, size_t n)
{
    size_t   used, size;
    u_char  *p;

    if (b->failed) {
        return NGX_ERROR;
    }

    used = ngx_http_refine_buf_size(b);

    if (n > b->max - used) {
        goto failed;
    }

    size = (b->start == NULL) ? n : 2 * (size_t) (b->end - b->start);
    size = ngx_max(size, NGX_HTTP_REFINE_BUF_MIN);
    size = ngx_max(size, used + n);
    size = ngx_min(size, b->max);

    p = ngx_pnalloc(b->pool, size);
    if (p == NULL) {
        goto failed;
    }

    if (b->start) {
        ngx_memcpy(p, b->start, used);
        (void) ngx_pfree(b->pool, b->start);
    }

    b->start = p;
    b->pos = p + used;
    b->end = p + size;

    return NGX_OK;

failed:

    b->failed = 1;

    return NGX_ERROR;
}


void
ngx_http_refine_buf_int(ngx_http_refine_buf_t *b, int64_t n)
{
    u_char        *p, text[NGX_INT64_LEN];
    uint64_t       u;

    static u_char  pairs[] = "00010203040506070809" "10111213141516171819"
                             "20212223242526272829" "30313233343536373839"
                             "40414243444546474849" "50515253545556575859"
                             "60616263646566676869" "70717273747576777879"
                             "80818283848586878889" "90919293949596979899";

    /* negated unsigned: -INT64_MIN has no int64_t */

    u = (n < 0) ? 0 - (uint64_t) n : (uint64_t) n;
    p = text + sizeof(text);

    while (u >= 10) {
        p -= 2;
        ngx_memcpy(p, &pairs[2 * (u % 100)], 2);
        u /= 100;
    }

    if (u || p == text + sizeof(text)) {
        *--p = (u_char) ('0' + u);
    }

    if (n < 0) {
        *--p = '-';
    }

    ngx_http_refine_buf_append(b, p, text + sizeof(text) - p);
}


void
ngx_http_refine_buf_double(ngx_http_refine_buf_t *b, double d)
{
    int     len, digits;
    u_char  text[NGX_HTTP_REFINE_BUF_DOUBLE];

    /* JSON has no word for infinity or NaN; callers refuse them */

    if (d - d != 0) {
        ngx_http_refine_buf_lit(b, "null");
        return;
    }

    if (d > -NGX_HTTP_REFINE_BUF_INTEGER && d < NGX_HTTP_REFINE_BUF_INTEGER
        && d == (double) (int64_t) d)
    {
        ngx_http_refine_buf_int(b, (int64_t) d);
        return;
    }

    digits = 15;

    do {
        len = snprintf((char *) text, sizeof(text), "%.*g", digits, d);
    } while (digits++ < 17 && strtod((char *) text, NULL) != d);

    ngx_http_refine_buf_append(b, text,
                               ngx_http_refine_buf_point(text, len));
}


void
ngx_http_refine_buf_json(ngx_http_refine_buf_t *b, const u_char *p, size_t len)
{
    size_t         n;
    u_char         escape[6], *dst;
    const u_char  *last;

    /* from here on there is always room for what is left and the quote */

    if (ngx_http_refine_buf_reserve(b, len + 2) != NGX_OK) {
        return;
    }

    *b->pos++ = '"';

    last = (len == 0) ? p : p + len;

    while (len) {
        dst = ngx_http_refine_buf_clean(b->pos, p, last);

        p += dst - b->pos;
        b->pos = dst;
        len = last - p;

        if (len == 0) {
            break;
        }

        n = ngx_http_refine_buf_utf8(p, len);

        if (n) {
            b->pos = ngx_cpymem(b->pos, p, n);
            p += n;
            len -= n;
            continue;
        }

        n = ngx_http_refine_buf_escape(escape, *p++);
        len--;

        if (ngx_http_refine_buf_reserve(b, n + len + 1) != NGX_OK) {
            return;
        }

        b->pos = ngx_cpymem(b->pos, escape, n);
    }

    *b->pos++ = '"';
}


#if (__SSE2__)

/* signed: bytes from 0x80 are less than a space as well */

#define ngx_http_refine_buf_unclean(v)                                        \
    _mm_movemask_epi8(                                                        \
        _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),                   \
                     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),      \
                                  _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')))))

#endif


/*
 * Copies bytes up to the first that is not clean ASCII.  What is stored behind
 * the returned end is overwritten later, within the room that was reserved.
 */

static u_char *
ngx_http_refine_buf_clean(u_char *dst, const u_char *p, const u_char *last)
{
#if (__SSE2__)

    int      mask;
    __m128i  v;

    while (last - p >= 16) {
        v = _mm_loadu_si128((const __m128i *) p);
        mask = ngx_http_refine_buf_unclean(v);

        _mm_storeu_si128((__m128i *) dst, v);

        if (mask) {
            return dst + __builtin_ctz(mask);
        }

        p += 16;
        dst += 16;
    }

    if (last - p >= 8) {
        v = _mm_loadl_epi64((const __m128i *) p);
        mask = ngx_http_refine_buf_unclean(v) & 0xff;

        _mm_storel_epi64((__m128i *) dst, v);

        if (mask) {
            return dst + __builtin_ctz(mask);
        }

        p += 8;
        dst += 8;
    }

#endif

    while (p < last && ngx_http_refine_buf_ascii[*p]) {
        *dst++ = *p++;
    }

    return dst;
}


static size_t
ngx_http_refine_buf_escape(u_char *dst, u_char c)
{
    u_char         *p;

    static u_char   hex[] = "0123456789abcdef";
    static u_char   name[] = "\"\\\b\f\n\r\t";
    static u_char   letter[] = "\"\\bfnrt";

    if (c >= 0x80) {
        /* U+FFFD */
        dst[0] = 0xef;
        dst[1] = 0xbf;
        dst[2] = 0xbd;
        return 3;
    }

    dst[0] = '\\';

    p = (c == '\0') ? NULL : (u_char *) ngx_strchr(name, c);

    if (p) {
        dst[1] = letter[p - name];
        return 2;
    }

    dst[1] = 'u';
    dst[2] = '0';
    dst[3] = '0';
    dst[4] = hex[c >> 4];
    dst[5] = hex[c & 0x0f];

    return 6;
}


/*
 * The second byte's range depends on the first: no overlong forms, no
 * surrogates, nothing above U+10FFFF (Unicode, table 3-7).
 */

size_t
ngx_http_refine_buf_utf8(const u_char *p, size_t len)
{
    u_char  c, low, high;
    size_t  i, n;

    c = *p;
    low = 0x80;
    high = 0xbf;

    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;

    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        low = (c == 0xe0) ? 0xa0 : 0x80;
        high = (c == 0xed) ? 0x9f : 0xbf;

    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        low = (c == 0xf0) ? 0x90 : 0x80;
        high = (c == 0xf4) ? 0x8f : 0xbf;

    } else {
        return 0;
    }

    if (len < n || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


/*
 * Another module may have set a locale, whose decimal point is not a dot and
 * can be more than one byte.
 */

static size_t
ngx_http_refine_buf_point(u_char *text, size_t len)
{
    u_char  *p, *dst, *last;

    dst = text;
    last = text + len;

    for (p = text; p < last; p++) {

        if ((*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == 'e') {
            *dst++ = *p;

        } else if (dst == text || dst[-1] != '.') {
            *dst++ = '.';
        }
    }

    return dst - text;
}


ngx_uint_t
ngx_http_refine_buf_is_text(const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *last;

    last = p + len;

    while (p < last) {

        if (*p < 0x80) {

            if (*p == '\0') {
                return 0;
            }

            p++;
            continue;
        }

        n = ngx_http_refine_buf_utf8(p, last - p);

        if (n == 0) {
            return 0;
        }

        p += n;
    }

    return 1;
}
