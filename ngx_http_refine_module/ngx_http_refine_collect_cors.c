
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_collect_core.h"
#include "ngx_http_refine_identity.h"


/* as long as any browser remembers a preflight, but for Firefox' day */
#define NGX_HTTP_REFINE_COLLECT_MAX_AGE  "7200"


ngx_str_t *
ngx_http_refine_collect_methods(ngx_http_request_t *r)
{
    ngx_http_refine_loc_conf_t  *lcf;

    static ngx_str_t  methods = ngx_string("POST, OPTIONS");
    static ngx_str_t  pixel = ngx_string("GET, HEAD, POST, OPTIONS");

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    return lcf->collect->pixel ? &pixel : &methods;
}


/*
 * Fetch, "CORS protocol".  An origin is only ever sent back to the one that is
 * listed, and with credentials, which all of sendBeacon() and the cookies need.
 */

ngx_int_t
ngx_http_refine_collect_cors(ngx_http_request_t *r, ngx_table_elt_t *cross)
{
    static ngx_str_t  origin = ngx_string("Origin");
    static ngx_str_t  yes = ngx_string("true");
    static ngx_str_t  expose = ngx_string("X-Refine-Dropped, "
                                          "X-Refine-Anonymous, X-Refine-Bot, "
                                          "Retry-After");

    /* without a foreign origin as well, for that answer is another one */

    if (ngx_http_refine_header_add(r, "Vary", &origin) != NGX_OK) {
        return NGX_ERROR;
    }

    if (cross == NULL) {
        return NGX_OK;
    }

    if (ngx_http_refine_header_add(r, "Access-Control-Allow-Origin",
                                   &cross->value)
        != NGX_OK
        || ngx_http_refine_header_add(r, "Access-Control-Allow-Credentials",
                                      &yes)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return NGX_OK;
    }

    return ngx_http_refine_header_add(r, "Access-Control-Expose-Headers",
                                      &expose);
}


ngx_int_t
ngx_http_refine_collect_preflight(ngx_http_request_t *r,
    ngx_table_elt_t *cross)
{
    ngx_int_t   rc;
    ngx_str_t  *methods;

    static ngx_str_t  headers = ngx_string("Content-Type, Content-Encoding");
    static ngx_str_t  max_age = ngx_string(NGX_HTTP_REFINE_COLLECT_MAX_AGE);

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    methods = ngx_http_refine_collect_methods(r);

    if (ngx_http_refine_header_add(r, "Allow", methods) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a page of the same origin asks for none of these */

    if (cross
        && (ngx_http_refine_header_add(r, "Access-Control-Allow-Methods",
                                       methods)
            != NGX_OK
            || ngx_http_refine_header_add(r, "Access-Control-Allow-Headers",
                                          &headers)
               != NGX_OK
            || ngx_http_refine_header_add(r, "Access-Control-Max-Age",
                                          &max_age)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_answer(r, NGX_HTTP_NO_CONTENT, NULL);
}
