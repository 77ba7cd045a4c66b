
#include "ngx_http_refine_catalog_url.h"


static ngx_int_t ngx_http_refine_url_userinfo(ngx_pool_t *pool, u_char *p,
    u_char *last, ngx_http_refine_url_t *url);
static ngx_int_t ngx_http_refine_url_decode(ngx_pool_t *pool, u_char *p,
    u_char *last, ngx_str_t *text);
static ngx_int_t ngx_http_refine_url_address(u_char *p, u_char *last,
    ngx_http_refine_url_t *url);
static u_char *ngx_http_refine_url_host(u_char *p, u_char *last);


ngx_int_t
ngx_http_refine_url_parse(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_refine_url_t *url)
{
    u_char     *p, *at, *last, *slash;
    ngx_int_t   rc;

    ngx_memzero(url, sizeof(ngx_http_refine_url_t));

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {
        if (*p <= 0x20 || *p >= 0x7f) {
            return NGX_DECLINED;
        }
    }

    p = ngx_strnstr(text->data, "://", text->len);

    if (p == NULL || p == text->data) {
        return NGX_DECLINED;
    }

    url->scheme.data = text->data;
    url->scheme.len = p - text->data;

    p += 3;

    if (last - p < 5 || ngx_strncmp(p, "unix:", 5) != 0) {

        /* in user and password "/" has to be encoded, "@" is let pass */

        slash = ngx_strlchr(p, last, '/');

        if (slash == NULL) {
            slash = last;
        }

        for (at = slash; at > p && at[-1] != '@'; at--) { /* void */ }

        if (at > p) {
            rc = ngx_http_refine_url_userinfo(pool, p, at - 1, url);

            if (rc != NGX_OK) {
                return rc;
            }

            p = at;
        }
    }

    return ngx_http_refine_url_address(p, last, url);
}


static ngx_int_t
ngx_http_refine_url_userinfo(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_http_refine_url_t *url)
{
    u_char     *colon;
    ngx_int_t   rc;

    url->userinfo = 1;

    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL) {
        return ngx_http_refine_url_decode(pool, p, last, &url->user);
    }

    rc = ngx_http_refine_url_decode(pool, p, colon, &url->user);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_refine_url_decode(pool, colon + 1, last, &url->password);
}


static ngx_int_t
ngx_http_refine_url_decode(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_str_t *text)
{
    u_char     *dst;
    ngx_int_t   n;

    dst = ngx_pnalloc(pool, last - p + 1);

    if (dst == NULL) {
        return NGX_ERROR;
    }

    text->data = dst;

    while (p < last) {

        if (*p != '%') {
            *dst++ = *p++;
            continue;
        }

        if (last - p < 3) {
            return NGX_DECLINED;
        }

        n = ngx_hextoi(p + 1, 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) n;
        p += 3;
    }

    text->len = dst - text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_url_address(u_char *p, u_char *last,
    ngx_http_refine_url_t *url)
{
    u_char  *end;

    url->address.data = p;

    if (last - p >= 5 && ngx_strncmp(p, "unix:", 5) == 0) {

        url->local = 1;
        p += 5;

        end = ngx_strlchr(p, last, ':');

        if (end == NULL) {
            end = last;
        }

        if (end == p || *p != '/') {
            return NGX_DECLINED;
        }

        url->address.len = end - url->address.data;

        if (end < last) {
            end++;
        }

    } else {
        end = ngx_http_refine_url_host(p, last);

        if (end == p || *p == ':') {
            return NGX_DECLINED;
        }

        url->address.len = end - p;
    }

    if (end < last && *end != '/') {
        return NGX_DECLINED;
    }

    url->tail.data = end;
    url->tail.len = last - end;

    return NGX_OK;
}


static u_char *
ngx_http_refine_url_host(u_char *p, u_char *last)
{
    u_char  c;

    for ( /* void */ ; p < last; p++) {

        c = *p | 0x20;

        if ((c >= 'a' && c <= 'z') || (*p >= '0' && *p <= '9')) {
            continue;
        }

        if (*p != '.' && *p != '-' && *p != '_' && *p != ':' && *p != '['
            && *p != ']')
        {
            break;
        }
    }

    return p;
}


ngx_int_t
ngx_http_refine_url_mask(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *masked)
{
    u_char     *p, *at, *last;
    ngx_str_t   url;

    url = *text;
    *masked = url;

    last = url.data + url.len;

    for (at = last; at > url.data && at[-1] != '@'; at--) { /* void */ }

    if (at == url.data) {
        return NGX_OK;
    }

    p = ngx_strnstr(url.data, "://", at - url.data);
    p = (p == NULL) ? url.data : p + 3;

    masked->data = ngx_pnalloc(pool, url.len + sizeof("***@"));

    if (masked->data == NULL) {
        return NGX_ERROR;
    }

    masked->len = ngx_sprintf(masked->data, "%*s***@%*s",
                              (size_t) (p - url.data), url.data,
                              (size_t) (last - at), at)
                  - masked->data;

    return NGX_OK;
}
