
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_resp.h"


/* the end of what is before, the length of what follows, and its end */
#define NGX_HTTP_REFINE_RESP_HEAD  (sizeof(CRLF "$" CRLF) - 1 + NGX_SIZE_T_LEN)


static size_t ngx_http_refine_resp_head(u_char *head, u_char **start,
    u_char type, size_t n);


ngx_int_t
ngx_http_refine_resp_send(ngx_http_refine_peer_t *peer, int argc,
    const char **argv, const size_t *argvlen)
{
    int      i;
    u_char  *p, head[NGX_HTTP_REFINE_RESP_HEAD];
    size_t   n, size;

    size = (argc + 2) * NGX_HTTP_REFINE_RESP_HEAD;

    for (i = 0; i < argc; i++) {
        size += argvlen[i];
    }

    if (ngx_http_refine_peer_reserve(peer, size) != NGX_OK) {
        return NGX_ERROR;
    }

    /* there is room for all of it, so none of these fails */

    n = ngx_http_refine_resp_head(head, &p, '*', argc);
    (void) ngx_http_refine_peer_send(peer, p + 2, n - 4);

    for (i = 0; i < argc; i++) {
        n = ngx_http_refine_resp_head(head, &p, '$', argvlen[i]);
        (void) ngx_http_refine_peer_send(peer, p, n);
        (void) ngx_http_refine_peer_send(peer, argv[i], argvlen[i]);
    }

    return ngx_http_refine_peer_send(peer, CRLF, 2);
}


static size_t
ngx_http_refine_resp_head(u_char *head, u_char **start, u_char type, size_t n)
{
    u_char  *p, *last;

    last = head + NGX_HTTP_REFINE_RESP_HEAD;
    p = last;

    *--p = LF;
    *--p = CR;

    do {
        *--p = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    *--p = type;
    *--p = LF;
    *--p = CR;

    *start = p;

    return last - p;
}
