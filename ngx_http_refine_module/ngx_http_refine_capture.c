
#include "ngx_http_refine_capture.h"


void
ngx_http_refine_capture_start(ngx_http_refine_capture_t *c, ngx_pool_t *pool,
    size_t max, u_char *p, u_char *last)
{
    ngx_memzero(c, sizeof(ngx_http_refine_capture_t));

    (void) ngx_http_refine_buf_init(&c->text, pool, 0, max);

    ngx_http_refine_buf_append(&c->text, p, 1);

    c->skip.depth = 1;

    ngx_http_refine_capture_feed(c, p + 1, last);
}


void
ngx_http_refine_capture_feed(ngx_http_refine_capture_t *c, u_char *p,
    u_char *last)
{
    u_char  *end;

    if (c->skip.depth == 0 || c->text.failed || p == last) {
        return;
    }

    end = ngx_http_refine_skip(&c->skip, p, last);

    ngx_http_refine_buf_append(&c->text, p, end - p);
}


ngx_int_t
ngx_http_refine_capture_end(ngx_http_refine_capture_t *c, ngx_str_t *text)
{
    if (c->text.pool == NULL) {
        return NGX_DONE;
    }

    if (c->text.failed) {
        return NGX_DECLINED;
    }

    if (c->skip.depth) {
        return NGX_AGAIN;
    }

    text->data = c->text.start;
    text->len = ngx_http_refine_buf_size(&c->text);

    return NGX_OK;
}
