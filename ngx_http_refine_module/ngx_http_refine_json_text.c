
/* The text of a string. */


#include "ngx_http_refine_json.h"


static u_char ngx_http_refine_json_single(u_char c);
static ngx_uint_t ngx_http_refine_json_four(u_char *p);
static u_char *ngx_http_refine_json_encode(u_char *p, ngx_uint_t code);


size_t
ngx_http_refine_json_unescape(u_char *dst, u_char *src, size_t len,
    ngx_uint_t *lone)
{
    size_t       n;
    u_char      *p, *last, *slash;
    ngx_uint_t   code, low;

    p = dst;
    last = src + len;
    *lone = 0;

    while (src < last) {
        slash = memchr(src, '\\', last - src);
        n = (slash ? slash : last) - src;

        p = ngx_movemem(p, src, n);
        src += n;

        if (slash == NULL) {
            break;
        }

        src += 2;

        if (src[-1] != 'u') {
            *p++ = ngx_http_refine_json_single(src[-1]);
            continue;
        }

        code = ngx_http_refine_json_four(src);
        src += 4;

        if (code >= 0xd800 && code <= 0xdbff
            && last - src >= 6 && src[0] == '\\' && src[1] == 'u')
        {
            low = ngx_http_refine_json_four(src + 2);

            if (low >= 0xdc00 && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                src += 6;
            }
        }

        if (code >= 0xd800 && code <= 0xdfff) {
            *lone = 1;
            code = 0xfffd;
        }

        p = ngx_http_refine_json_encode(p, code);
    }

    return p - dst;
}


static u_char
ngx_http_refine_json_single(u_char c)
{
    const u_char  *p;

    static const u_char  names[] = "bfnrt";

    p = memchr(names, c, sizeof(names) - 1);

    return p ? (u_char) "\b\f\n\r\t"[p - names] : c;
}


static ngx_uint_t
ngx_http_refine_json_four(u_char *p)
{
    u_char      c;
    ngx_uint_t  i, code;

    code = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];
        code = code << 4 | ((c <= '9') ? c - '0' : (c | 0x20) - 'a' + 10);
    }

    return code;
}


static u_char *
ngx_http_refine_json_encode(u_char *p, ngx_uint_t code)
{
    if (code < 0x80) {
        *p++ = (u_char) code;
        return p;
    }

    if (code < 0x800) {
        *p++ = (u_char) (0xc0 | code >> 6);

    } else {
        if (code < 0x10000) {
            *p++ = (u_char) (0xe0 | code >> 12);

        } else {
            *p++ = (u_char) (0xf0 | code >> 18);
            *p++ = (u_char) (0x80 | (code >> 12 & 0x3f));
        }

        *p++ = (u_char) (0x80 | (code >> 6 & 0x3f));
    }

    *p++ = (u_char) (0x80 | (code & 0x3f));

    return p;
}
