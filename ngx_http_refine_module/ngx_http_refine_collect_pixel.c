
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_collect_core.h"


static const char *ngx_http_refine_collect_argument(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_refine_collect_decode(ngx_str_t *value, u_char *dst);


/* one transparent pixel: GIF89a, two colors, one row of one */

static u_char  ngx_http_refine_collect_gif[] = {
    'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0x80, 0, 0,
    0, 0, 0, 0xff, 0xff, 0xff,
    0x21, 0xf9, 4, 1, 0, 0, 0, 0,
    0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0,
    2, 2, 0x44, 1, 0,
    0x3b
};


ngx_int_t
ngx_http_refine_collect_pixel(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   value, text;
    const char                 *error;
    ngx_http_refine_collect_t  *collect;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    /* who asks for a header only, a link checker for one, sends no event */

    if (r->method == NGX_HTTP_HEAD) {
        return ngx_http_refine_collect_image(r);
    }

    collect = ngx_http_refine_collect_create(r);
    if (collect == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    collect->pixel = 1;

    error = ngx_http_refine_collect_argument(r, &value);

    if (error) {
        return ngx_http_refine_collect_refuse(collect, NGX_HTTP_BAD_REQUEST,
                              error, NGX_HTTP_REFINE_REJECTED_NOT_EVENT);
    }

    text.data = ngx_pnalloc(r->pool, value.len);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_http_refine_collect_decode(&value, text.data);

    rc = ngx_http_refine_collect_text(collect, &text);

    ngx_http_refine_beacon_free(&collect->beacon);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        return NGX_DONE;
    }

    return rc;
}


ngx_int_t
ngx_http_refine_collect_image(ngx_http_request_t *r)
{
    static ngx_str_t  gif = { sizeof(ngx_http_refine_collect_gif),
                              ngx_http_refine_collect_gif };

    return ngx_http_refine_answer_as(r, NGX_HTTP_OK, "image/gif", &gif);
}


/* the argument e, checked but not decoded; NULL, or what is wrong */

static const char *
ngx_http_refine_collect_argument(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char  *p, *last, *end;

    value->data = NULL;

    p = r->args.data;
    last = p + r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end - p < 2 || p[0] != 'e' || p[1] != '=') {
            continue;
        }

        if (value->data) {
            return "more than one argument \"e\"";
        }

        value->data = p + 2;
        value->len = end - p - 2;
    }

    if (value->data == NULL) {
        return "the argument \"e\" is missing: ?e=<URL-encoded JSON>";
    }

    if (ngx_http_refine_collect_decode(value, NULL) == NGX_ERROR) {
        return "the argument \"e\" is not URL-encoded: % without two digits";
    }

    return NULL;
}


/*
 * The length after decoding, or NGX_ERROR.  ngx_unescape_uri() would drop what
 * is malformed, and leaves "+" as it is.
 */

static ngx_int_t
ngx_http_refine_collect_decode(ngx_str_t *value, u_char *dst)
{
    u_char     *p, *last;
    ngx_int_t   n, len;

    len = 0;
    last = value->data + value->len;

    for (p = value->data; p < last; p++) {

        if (*p == '%') {

            n = (last - p < 3) ? NGX_ERROR : ngx_hextoi(p + 1, 2);

            if (n == NGX_ERROR) {
                return NGX_ERROR;
            }

            p += 2;

        } else {
            n = (*p == '+') ? ' ' : *p;
        }

        if (dst) {
            dst[len] = (u_char) n;
        }

        len++;
    }

    return len;
}
