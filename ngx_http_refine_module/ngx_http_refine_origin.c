
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_origin.h"


typedef struct {
    ngx_str_t   name;
    ngx_uint_t  port;
} ngx_http_refine_origin_scheme_t;


static ngx_int_t ngx_http_refine_origin_parse(ngx_str_t *text,
    ngx_http_refine_origin_t *origin);
static u_char *ngx_http_refine_origin_scheme(u_char *p, u_char *last,
    ngx_http_refine_origin_t *origin, ngx_uint_t *port);
static u_char *ngx_http_refine_origin_host(u_char *p, u_char *last);
static ngx_uint_t ngx_http_refine_origin_match(
    ngx_http_refine_origin_t *rule, ngx_http_refine_origin_t *origin);


/*
 * Of these have pages an origin of their own: the last two are those of apps
 * that are made of pages.
 */

static const ngx_http_refine_origin_scheme_t
    ngx_http_refine_origin_schemes[] = {
    { ngx_string("https"), 443 },
    { ngx_string("http"), 80 },
    { ngx_string("capacitor"), 0 },
    { ngx_string("ionic"), 0 }
};

#define NGX_HTTP_REFINE_ORIGIN_SCHEMES                                        \
    (sizeof(ngx_http_refine_origin_schemes)                                   \
     / sizeof(ngx_http_refine_origin_scheme_t))


ngx_int_t
ngx_http_refine_origin_rule(ngx_str_t *text, ngx_http_refine_origin_t *rule)
{
    ngx_str_t  *host;

    if (ngx_http_refine_origin_parse(text, rule) != NGX_OK) {
        return NGX_DECLINED;
    }

    host = &rule->host;

    if (host->data[0] == '*') {

        if (host->len < 3 || host->data[1] != '.') {
            return NGX_DECLINED;
        }

        host->data += 2;
        host->len -= 2;

        rule->below = 1;

        /* everything below a top-level domain is everybody */

        if (ngx_strlchr(host->data, host->data + host->len - 1, '.')
            == NULL)
        {
            return NGX_DECLINED;
        }
    }

    if (host->data[0] == '.'
        || ngx_strlchr(host->data, host->data + host->len, '*'))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_refine_origin_allowed(ngx_str_t *text,
    ngx_http_refine_origin_t *rules, ngx_uint_t nrules)
{
    ngx_uint_t                i;
    ngx_http_refine_origin_t  origin;

    if (ngx_http_refine_origin_parse(text, &origin) != NGX_OK
        || ngx_strlchr(origin.host.data, origin.host.data + origin.host.len,
                       '*'))
    {
        return 0;
    }

    for (i = 0; i < nrules; i++) {
        if (ngx_http_refine_origin_match(&rules[i], &origin)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_refine_origin_parse(ngx_str_t *text, ngx_http_refine_origin_t *origin)
{
    u_char      *p, *last;
    ngx_uint_t   n, port;

    ngx_memzero(origin, sizeof(ngx_http_refine_origin_t));

    last = text->data + text->len;

    p = ngx_http_refine_origin_scheme(text->data, last, origin, &port);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    origin->host.data = p;

    p = ngx_http_refine_origin_host(p, last);

    origin->host.len = p - origin->host.data;

    if (origin->host.len == 0) {
        return NGX_DECLINED;
    }

    if (p == last) {
        return NGX_OK;
    }

    if (*p++ != ':' || p == last || *p == '0') {
        return NGX_DECLINED;
    }

    for (n = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        n = n * 10 + (*p - '0');

        if (n > 65535) {
            return NGX_DECLINED;
        }
    }

    origin->port = (n == port) ? 0 : n;

    return NGX_OK;
}


/* what follows "://", or NULL */

static u_char *
ngx_http_refine_origin_scheme(u_char *p, u_char *last,
    ngx_http_refine_origin_t *origin, ngx_uint_t *port)
{
    ngx_uint_t        i;
    const ngx_str_t  *name;

    for (i = 0; i < NGX_HTTP_REFINE_ORIGIN_SCHEMES; i++) {
        name = &ngx_http_refine_origin_schemes[i].name;

        if ((size_t) (last - p) > name->len + 3
            && ngx_strncasecmp(p, name->data, name->len) == 0
            && ngx_memcmp(p + name->len, "://", 3) == 0)
        {
            origin->scheme = *name;
            *port = ngx_http_refine_origin_schemes[i].port;

            return p + name->len + 3;
        }
    }

    return NULL;
}


/* the end of a name or an address in brackets */

static u_char *
ngx_http_refine_origin_host(u_char *p, u_char *last)
{
    u_char  *start, ch;

    start = p;

    if (*p == '[') {

        for (p++; p < last; p++) {
            ch = *p;

            if (ch == ']') {
                return p - start > 1 ? p + 1 : start;
            }

            if ((ch < '0' || ch > '9') && ((ch | 0x20) < 'a'
                || (ch | 0x20) > 'f') && ch != ':' && ch != '.')
            {
                break;
            }
        }

        return start;
    }

    for ( /* void */ ; p < last; p++) {
        ch = *p;

        if ((ch < '0' || ch > '9') && ((ch | 0x20) < 'a' || (ch | 0x20) > 'z')
            && ch != '-' && ch != '.' && ch != '_' && ch != '*')
        {
            break;
        }
    }

    return p;
}


static ngx_uint_t
ngx_http_refine_origin_match(ngx_http_refine_origin_t *rule,
    ngx_http_refine_origin_t *origin)
{
    u_char     *p;
    ngx_str_t  *host;

    host = &origin->host;

    /* the scheme is one of the table */

    if (rule->scheme.data != origin->scheme.data || rule->port != origin->port
        || host->len < rule->host.len)
    {
        return 0;
    }

    p = host->data + host->len - rule->host.len;

    if (ngx_strncasecmp(p, rule->host.data, rule->host.len) != 0) {
        return 0;
    }

    if (!rule->below) {
        return p == host->data;
    }

    return p - host->data > 1 && p[-1] == '.';
}
