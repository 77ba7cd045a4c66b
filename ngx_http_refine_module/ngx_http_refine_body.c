
#include "ngx_http_refine_body.h"


#define NGX_HTTP_REFINE_BODY_PIECE  8192


static ngx_uint_t ngx_http_refine_body_encoded(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_body_file(ngx_buf_t *b,
    ngx_http_refine_body_handler_pt handler, void *data);


ngx_int_t
ngx_http_refine_body_walk(ngx_http_request_t *r, off_t max,
    ngx_http_refine_body_handler_pt handler, void *data)
{
    off_t         size;
    ngx_buf_t    *b;
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    if (r->request_body_no_buffering) {
        return NGX_DECLINED;
    }

    if (r->request_body == NULL) {
        return NGX_DONE;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size == 0) {
        return NGX_DONE;
    }

    if (size > max || ngx_http_refine_body_encoded(r)) {
        return NGX_DECLINED;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_size(b) == 0) {
            continue;
        }

        rc = ngx_buf_in_memory(b) ? handler(data, b->pos, b->last - b->pos)
                                  : ngx_http_refine_body_file(b, handler, data);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_body_file(ngx_buf_t *b,
    ngx_http_refine_body_handler_pt handler, void *data)
{
    off_t      pos;
    size_t     size;
    u_char     piece[NGX_HTTP_REFINE_BODY_PIECE];
    ssize_t    n;
    ngx_int_t  rc;

    /* nginx closes it where a response was sent before an internal redirect */

    if (!b->in_file || b->file->fd == NGX_INVALID_FILE) {
        return NGX_DECLINED;
    }

    for (pos = b->file_pos; pos < b->file_last; pos += n) {
        size = (size_t) ngx_min(b->file_last - pos, (off_t) sizeof(piece));

        n = ngx_read_file(b->file, piece, size, pos);

        if (n <= 0) {
            return NGX_ERROR;
        }

        rc = handler(data, piece, (size_t) n);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_body_encoded(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Content-Encoding");
    static ngx_str_t  identity = ngx_string("identity");

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                return 0;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == name.len
            && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0
            && h[i].value.len
            && (h[i].value.len != identity.len
                || ngx_strncasecmp(h[i].value.data, identity.data,
                                   identity.len)
                   != 0))
        {
            return 1;
        }
    }
}
