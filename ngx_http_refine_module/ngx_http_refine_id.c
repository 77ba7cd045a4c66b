
#include <ngx_config.h>
#include <ngx_core.h>
#include <sys/random.h>
#include "ngx_http_refine_id.h"


#define NGX_HTTP_REFINE_ID_BASE62      22
#define NGX_HTTP_REFINE_ID_EVENT_MAX   64
#define NGX_HTTP_REFINE_ID_SERVE_MAX   128


/* random bytes that a process has in stock */
#define NGX_HTTP_REFINE_ID_POOL  512


static ngx_int_t ngx_http_refine_id_random(u_char *p, size_t n);
static ngx_int_t ngx_http_refine_id_kernel(u_char *p, size_t n);
static ngx_uint_t ngx_http_refine_id_of(ngx_uint_t kind, ngx_str_t *text,
    size_t from);


/* what a byte may stand in: a cookie's id, an event's, a serve's */

#define NGX_HTTP_REFINE_ID_ALNUM  1
#define NGX_HTTP_REFINE_ID_EVENT  2
#define NGX_HTTP_REFINE_ID_SERVE  4

#define A  (NGX_HTTP_REFINE_ID_ALNUM|E)
#define E  (NGX_HTTP_REFINE_ID_EVENT|S)
#define S  NGX_HTTP_REFINE_ID_SERVE

static const u_char  ngx_http_refine_id_bytes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, S, 0, S, S, S, 0, 0, S, S, S, S, S, E, S, S,   /*  !"#$%&'()*+,-./ */
    A, A, A, A, A, A, A, A, A, A, S, S, 0, S, 0, S,   /* 0123456789:;<=>? */
    S, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,   /* @ABCDEFGHIJKLMNO */
    A, A, A, A, A, A, A, A, A, A, A, S, 0, S, S, E,   /* PQRSTUVWXYZ[\]^_ */
    S, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,   /* `abcdefghijklmno */
    A, A, A, A, A, A, A, A, A, A, A, S, S, S, S, 0    /* pqrstuvwxyz{|}~  */
};

#undef A
#undef E
#undef S


ngx_int_t
ngx_http_refine_id_uuid7(u_char *dst, uint64_t ms)
{
    u_char      id[16], hex[32];
    ngx_uint_t  i;

    if (ngx_http_refine_id_random(&id[6], 10) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < 6; i++) {
        id[i] = (u_char) (ms >> (40 - 8 * i));
    }

    id[6] = (u_char) (0x70 | (id[6] & 0x0f));
    id[8] = (u_char) (0x80 | (id[8] & 0x3f));

    ngx_hex_dump(hex, id, 16);

    dst = ngx_cpymem(dst, hex, 8);
    *dst++ = '-';
    dst = ngx_cpymem(dst, hex + 8, 4);
    *dst++ = '-';
    dst = ngx_cpymem(dst, hex + 12, 4);
    *dst++ = '-';
    dst = ngx_cpymem(dst, hex + 16, 4);
    *dst++ = '-';
    ngx_memcpy(dst, hex + 20, 12);

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_id_cookie(u_char *dst, u_char kind)
{
    u_char         random[32];
    ngx_uint_t     i, n, c;

    static u_char  base62[] = "0123456789"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz";

    *dst++ = kind;
    *dst++ = '_';

    n = 0;

    while (n < NGX_HTTP_REFINE_ID_BASE62) {

        if (ngx_http_refine_id_random(random, sizeof(random)) != NGX_OK) {
            return NGX_ERROR;
        }

        /* 62 and 63 are passed over: a remainder would favour some digits */

        for (i = 0;
             i < sizeof(random) && n < NGX_HTTP_REFINE_ID_BASE62;
             i++)
        {
            c = random[i] & 0x3f;

            if (c < 62) {
                dst[n++] = base62[c];
            }
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_id_cookie_check(ngx_str_t *text, u_char kind)
{
    if (text->len != NGX_HTTP_REFINE_COOKIE_LEN
        || text->data[0] != kind
        || text->data[1] != '_'
        || !ngx_http_refine_id_of(NGX_HTTP_REFINE_ID_ALNUM, text, 2))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_id_event_check(ngx_str_t *text)
{
    if (text->len == 0 || text->len > NGX_HTTP_REFINE_ID_EVENT_MAX
        || !ngx_http_refine_id_of(NGX_HTTP_REFINE_ID_EVENT, text, 0))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_id_serve_check(ngx_str_t *text)
{
    if (text->len == 0 || text->len > NGX_HTTP_REFINE_ID_SERVE_MAX
        || !ngx_http_refine_id_of(NGX_HTTP_REFINE_ID_SERVE, text, 0))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_id_of(ngx_uint_t kind, ngx_str_t *text, size_t from)
{
    u_char  *p, *last;

    last = text->data + text->len;

    for (p = text->data + from; p < last; p++) {
        if (!(ngx_http_refine_id_bytes[*p] & kind)) {
            return 0;
        }
    }

    return 1;
}


/*
 * A call of the kernel for each id costs as much as all else about it, so a
 * process asks for many bytes at once; a child begins anew.
 */

static ngx_int_t
ngx_http_refine_id_random(u_char *p, size_t n)
{
    static struct {
        ngx_pid_t  pid;
        size_t     left;
        u_char     bytes[NGX_HTTP_REFINE_ID_POOL];
    } pool;

    if (pool.pid != ngx_pid || pool.left < n) {
        pool.left = 0;
        pool.pid = ngx_pid;

        if (ngx_http_refine_id_kernel(pool.bytes, sizeof(pool.bytes))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        pool.left = sizeof(pool.bytes);
    }

    pool.left -= n;
    ngx_memcpy(p, pool.bytes + pool.left, n);
    ngx_memzero(pool.bytes + pool.left, n);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_id_kernel(u_char *p, size_t n)
{
    ssize_t  got;

    /* a worker must not block, not even early at boot: GRND_NONBLOCK */

    while (n) {
        got = getrandom(p, n, GRND_NONBLOCK);

        if (got > 0) {
            p += got;
            n -= got;
            continue;
        }

        if (got == 0 || ngx_errno != NGX_EINTR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
