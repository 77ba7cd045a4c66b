
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_identity.h"


#define NGX_HTTP_REFINE_ANSWER_MAX  1024


static ngx_int_t ngx_http_refine_answer_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body);
static ngx_int_t ngx_http_refine_answer_fresh(ngx_http_request_t *r);


ngx_int_t
ngx_http_refine_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    if (ngx_http_refine_answer_fresh(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_answer_send(r, status, body);
}


ngx_int_t
ngx_http_refine_answer_as(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *body)
{
    if (ngx_http_refine_answer_fresh(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_answer_cached(r, status, type, body);
}


/* nginx keeps the charset apart, and knows a type by what precedes the ";" */

ngx_int_t
ngx_http_refine_answer_cached(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *body)
{
    const char  *p;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    p = ngx_strchr(type, ';');

    if (p) {
        r->headers_out.content_type_len = p - type;

        p = ngx_strstr(p, "charset=") + sizeof("charset=") - 1;

        r->headers_out.charset.data = (u_char *) p;
        r->headers_out.charset.len = ngx_strlen(p);
    }

    return ngx_http_refine_answer_send(r, status, body);
}


static ngx_int_t
ngx_http_refine_answer_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_type_lowcase = NULL;

    if (body == NULL) {
        ngx_str_null(&r->headers_out.content_type);
        r->headers_out.content_length_n = 0;
        r->header_only = 1;

        return ngx_http_send_header(r);
    }

    r->headers_out.content_length_n = body->len;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_refine_answer_fresh(ngx_http_request_t *r)
{
    static ngx_str_t  no_store = ngx_string("no-store");

    return ngx_http_refine_header_add(r, "Cache-Control", &no_store);
}


ngx_int_t
ngx_http_refine_answer_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_int_t              rc;
    ngx_str_t              body;
    ngx_http_refine_buf_t  b;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_refine_buf_init(&b, r->pool, 0, NGX_HTTP_REFINE_ANSWER_MAX);

    ngx_http_refine_buf_lit(&b, "{\"error\":");
    ngx_http_refine_buf_json(&b, (const u_char *) text, ngx_strlen(text));
    ngx_http_refine_buf_lit(&b, "}\n");

    if (b.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = b.start;
    body.len = ngx_http_refine_buf_size(&b);

    return ngx_http_refine_answer(r, status, &body);
}


ngx_int_t
ngx_http_refine_answer_method(ngx_http_request_t *r, const char *allow,
    const char *text)
{
    ngx_str_t  value;

    value.data = (u_char *) allow;
    value.len = ngx_strlen(allow);

    if (ngx_http_refine_header_add(r, "Allow", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_answer_error(r, NGX_HTTP_NOT_ALLOWED, text);
}


char *
ngx_http_refine_answer_set(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    if (clcf->handler) {
        return "conflicts with another one that answers in this location";
    }

    clcf->handler = handler;

    return NGX_CONF_OK;
}
