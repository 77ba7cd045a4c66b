
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_guard.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_origin.h"


static ngx_uint_t ngx_http_refine_guard_peer(ngx_http_request_t *r);
static ngx_uint_t ngx_http_refine_guard_loopback(struct sockaddr *sa);
static ngx_uint_t ngx_http_refine_guard_host(ngx_str_t *host);
static ngx_uint_t ngx_http_refine_guard_same(ngx_str_t *origin,
    ngx_str_t *host);
static ngx_int_t ngx_http_refine_guard_origin_host(ngx_str_t *origin,
    ngx_str_t *host);


const char *
ngx_http_refine_guard_origin(ngx_http_request_t *r, ngx_array_t *origins,
    ngx_table_elt_t **cross)
{
    ngx_str_t         host;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *origin;

    *cross = NULL;
    origin = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len != sizeof("origin") - 1
                || ngx_strncmp(h[i].lowcase_key, "origin", h[i].key.len) != 0)
            {
                continue;
            }

            if (origin) {
                return "more than one Origin";
            }

            origin = &h[i];
        }
    }

    if (origin == NULL) {
        return NULL;
    }

    /* first, for a browser knows scheme and port as well */

    if (origins
        && ngx_http_refine_origin_allowed(&origin->value, origins->elts,
                                          origins->nelts))
    {
        *cross = origin;
        return NULL;
    }

    if (ngx_http_refine_guard_origin_host(&origin->value, &host) != NGX_OK
        || host.len != r->headers_in.server.len
        || ngx_strncasecmp(host.data, r->headers_in.server.data, host.len)
           != 0)
    {
        return "Origin is not allowed, its host must be the one of Host, "
               "or it must be listed in allow_origin";
    }

    return NULL;
}


/* scheme://HOST[:port] and nothing else; a final dot is not part of HOST */

static ngx_int_t
ngx_http_refine_guard_origin_host(ngx_str_t *origin, ngx_str_t *host)
{
    u_char  *p, *last, *end;

    p = origin->data;
    last = p + origin->len;

    p = ngx_strlcasestrn(p, last, (u_char *) "://", 3 - 1);

    if (p == NULL || p == origin->data) {
        return NGX_DECLINED;
    }

    p += 3;
    end = p;

    if (end < last && *end == '[') {
        end = ngx_strlchr(end, last, ']');
        end = (end == NULL) ? last : end + 1;

    } else {
        while (end < last && *end != ':') {
            end++;
        }
    }

    host->data = p;
    host->len = end - p;

    if (end < last) {
        if (*end++ != ':' || ngx_atoi(end, last - end) == NGX_ERROR) {
            return NGX_DECLINED;
        }
    }

    if (host->len && host->data[host->len - 1] == '.') {
        host->len--;
    }

    return host->len ? NGX_OK : NGX_DECLINED;
}


const char *
ngx_http_refine_guard_local(ngx_http_request_t *r)
{
    ngx_uint_t  i;

    static const char  *forwarded[] = {
        "x-forwarded-for", "forwarded", "via", NULL
    };

    if (!ngx_http_refine_guard_peer(r)
        || !ngx_http_refine_guard_loopback(r->connection->sockaddr))
    {
        return "only answered on loopback and unix sockets";
    }

    /* a proxy on this machine speaks for others */

    if (r->connection->proxy_protocol) {
        return "not answered through a proxy (PROXY protocol)";
    }

    for (i = 0; forwarded[i]; i++) {
        if (ngx_http_refine_header_find(r, forwarded[i])) {
            return "not answered through a proxy "
                   "(X-Forwarded-For, Forwarded or Via)";
        }
    }

    /* another name that leads here may be a page's attempt at rebinding */

    if (!ngx_http_refine_guard_host(&r->headers_in.server)) {
        return "Host must be localhost or an IP address";
    }

    return NULL;
}


/*
 * The connection's own address: realip overwrites the one in r->connection.
 * A connection without a descriptor of its own (QUIC) is not local.
 */

static ngx_uint_t
ngx_http_refine_guard_peer(ngx_http_request_t *r)
{
    socklen_t       len;
    ngx_sockaddr_t  sa;

    if (r->connection->fd == (ngx_socket_t) -1) {
        return 0;
    }

    len = sizeof(ngx_sockaddr_t);
    ngx_memzero(&sa, len);

    if (getpeername(r->connection->fd, &sa.sockaddr, &len) == -1) {
        return 0;
    }

    return ngx_http_refine_guard_loopback(&sa.sockaddr);
}


static ngx_uint_t
ngx_http_refine_guard_loopback(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct in6_addr      *addr;
#endif

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;

        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;

#if (NGX_HAVE_INET6)

    case AF_INET6:
        addr = &((struct sockaddr_in6 *) sa)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(addr)
               || (IN6_IS_ADDR_V4MAPPED(addr) && addr->s6_addr[12] == 127);

#endif

#if (NGX_HAVE_UNIX_DOMAIN)

    case AF_UNIX:
        return 1;

#endif

    default:
        return 0;
    }
}


/* nginx has checked it, made it lower case and cut off the port */

static ngx_uint_t
ngx_http_refine_guard_host(ngx_str_t *host)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];
#endif

    if (host->len == sizeof("localhost") - 1
        && ngx_strncmp(host->data, "localhost", host->len) == 0)
    {
        return 1;
    }

    if (ngx_inet_addr(host->data, host->len) != INADDR_NONE) {
        return 1;
    }

#if (NGX_HAVE_INET6)

    if (host->len > 2 && host->data[0] == '['
        && host->data[host->len - 1] == ']'
        && ngx_inet6_addr(host->data + 1, host->len - 2, addr) == NGX_OK)
    {
        return 1;
    }

#endif

    return 0;
}


const char *
ngx_http_refine_guard_control(ngx_http_request_t *r)
{
    ngx_str_t        *value, none;
    ngx_table_elt_t  *h;

    h = ngx_http_refine_header_find(r, "origin");

    if (h) {
        ngx_str_null(&none);
        value = r->headers_in.host ? &r->headers_in.host->value : &none;

        if (!ngx_http_refine_guard_same(&h->value, value)) {
            return "Origin must be absent, or have the host and port of Host";
        }
    }

    h = ngx_http_refine_header_find(r, "sec-fetch-site");

    if (h) {
        value = &h->value;

        if (!(value->len == 4 && ngx_strncmp(value->data, "none", 4) == 0)
            && !(value->len == sizeof("same-origin") - 1
                 && ngx_strncmp(value->data, "same-origin", value->len) == 0))
        {
            return "Sec-Fetch-Site must be absent, none or same-origin";
        }
    }

    h = ngx_http_refine_header_find(r, "x-refine-control");

    if (h == NULL || h->value.len != 1 || h->value.data[0] != '1') {
        return "the header X-Refine-Control: 1 is missing";
    }

    return NULL;
}


const char *
ngx_http_refine_guard_trusted(ngx_http_request_t *r, ngx_uint_t any)
{
    const char  *error;

    if (ngx_http_refine_header_find(r, "origin")) {
        return "Origin must be absent, no page may send here";
    }

    if (any) {
        return NULL;
    }

    error = ngx_http_refine_guard_local(r);

    return error ? error : ngx_http_refine_guard_control(r);
}


/* scheme://HOST, HOST exactly as in the Host header, with its port */

static ngx_uint_t
ngx_http_refine_guard_same(ngx_str_t *origin, ngx_str_t *host)
{
    size_t   len;
    u_char  *p;

    p = ngx_strlcasestrn(origin->data, origin->data + origin->len,
                         (u_char *) "://", 3 - 1);

    if (p == NULL || host->len == 0) {
        return 0;
    }

    p += 3;
    len = origin->data + origin->len - p;

    return len == host->len
           && ngx_strncasecmp(p, host->data, len) == 0;
}
