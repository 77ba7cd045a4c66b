
#include "ngx_http_refine_variables.h"
#include "ngx_http_refine_consent.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_serve.h"


static ngx_int_t ngx_http_refine_variable_serve_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_refine_variable_identity(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_refine_variable_outcome(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_refine_variable_accept_encoding(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_refine_variable_set(ngx_http_variable_value_t *v,
    ngx_str_t *text);


/*
 * What is in the context can change within a request (the upstream's id is
 * taken over, cookies are minted), so that nginx must not remember it.
 */

static const ngx_http_variable_t  ngx_http_refine_variables[] = {

    { ngx_string("refine_serve_id"), NULL, ngx_http_refine_variable_serve_id,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("refine_visitor_id"), NULL,
      ngx_http_refine_variable_identity,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("refine_session_id"), NULL,
      ngx_http_refine_variable_identity,
      1, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("refine_outcome"), NULL, ngx_http_refine_variable_outcome,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("refine_accept_encoding"), NULL,
      ngx_http_refine_variable_accept_encoding, 0, 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_refine_variables_add(ngx_conf_t *cf)
{
    ngx_str_t                   name;
    ngx_http_variable_t        *var;
    const ngx_http_variable_t  *v;

    for (v = ngx_http_refine_variables; v->name.len; v++) {

        name = v->name;

        var = ngx_http_add_variable(cf, &name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_variable_serve_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_refine_ctx_t       *ctx;
    ngx_http_refine_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (rlcf->catalog == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ctx = ngx_http_refine_ctx_get(r);

    if (ctx == NULL || ngx_http_refine_serve_id(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_refine_variable_set(v, &ctx->serve_id);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_variable_identity(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t                    consent;
    ngx_str_t                    visitor, session;
    ngx_http_refine_ctx_t       *ctx;
    ngx_http_refine_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (rlcf->catalog == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ctx = ngx_http_refine_ctx_get(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    consent = ngx_http_refine_consent_get(r, rlcf->catalog, ctx);

    if (consent != NGX_HTTP_REFINE_CONSENT_GRANTED) {
        v->not_found = 1;
        return consent == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    ngx_http_refine_identity_read(r, rlcf->catalog, ctx, &visitor, &session);

    ngx_http_refine_variable_set(v, data ? &session : &visitor);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_variable_outcome(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t               text;
    ngx_http_refine_ctx_t  *ctx;

    ctx = ngx_http_refine_ctx_find(r);

    if (ctx == NULL || ctx->outcome == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text.data = (u_char *) ctx->outcome;
    text.len = ngx_strlen(ctx->outcome);

    ngx_http_refine_variable_set(v, &text);

    return NGX_OK;
}


/*
 * Where it is empty it is still found: proxy_set_header then leaves the header
 * out, so that the upstream sends what can be read.
 */

static ngx_int_t
ngx_http_refine_variable_accept_encoding(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    static ngx_str_t  coding = ngx_string("gzip");

    if (ngx_http_refine_header_gzip(r)) {
        ngx_http_refine_variable_set(v, &coding);
        return NGX_OK;
    }

    *v = ngx_http_variable_null_value;

    return NGX_OK;
}


static void
ngx_http_refine_variable_set(ngx_http_variable_value_t *v, ngx_str_t *text)
{
    v->len = text->len;
    v->data = text->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = (text->len == 0);
}
