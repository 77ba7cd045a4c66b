
/* One whole text at once. */


#include "ngx_http_refine_json.h"


ngx_int_t
ngx_http_refine_json_check(u_char *p, size_t len, ngx_uint_t max_depth,
    ngx_uint_t flags, size_t *offset, const char **error)
{
    ngx_http_refine_json_t  json;

    ngx_http_refine_json_init(&json, max_depth,
                              flags | NGX_HTTP_REFINE_JSON_QUIET);

    ngx_http_refine_json_input(&json, p, len);

    (void) ngx_http_refine_json_next(&json);

    if (ngx_http_refine_json_end(&json) == NGX_OK) {
        return NGX_OK;
    }

    *offset = ngx_http_refine_json_offset(&json);
    *error = json.error;

    return NGX_ERROR;
}
