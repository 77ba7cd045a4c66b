
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_set.h"
#include "ngx_http_refine_event_value.h"


typedef struct {
    ngx_http_refine_buf_t                *buf;
    const ngx_http_refine_value_limit_t  *limit;
    size_t                                start;
} ngx_http_refine_value_ctx_t;


static ngx_http_refine_value_e ngx_http_refine_value_any(
    ngx_http_refine_value_ctx_t *ctx, const cJSON *json, ngx_uint_t depth);
static ngx_http_refine_value_e ngx_http_refine_value_list(
    ngx_http_refine_value_ctx_t *ctx, const cJSON *json, ngx_uint_t depth);
static ngx_http_refine_value_e ngx_http_refine_value_string(
    ngx_http_refine_value_ctx_t *ctx, const char *text);


ngx_int_t
ngx_http_refine_value_text(const cJSON *json, size_t min, size_t max,
    ngx_str_t *text)
{
    if (ngx_http_refine_value_kind(json) != cJSON_String) {
        return NGX_DECLINED;
    }

    text->data = (u_char *) json->valuestring;
    text->len = ngx_strlen(text->data);

    return (text->len < min || text->len > max) ? NGX_DECLINED : NGX_OK;
}


/*
 * Whether one of eight bytes is below a space, or above "~": a carry or borrow
 * into the next byte comes from one that is so itself.
 */

#define NGX_HTTP_REFINE_VALUE_ONES  0x0101010101010101ULL

#define ngx_http_refine_value_odd(v)                                          \
    (((v) | ((v) + NGX_HTTP_REFINE_VALUE_ONES)                                \
      | ((v) - 0x20 * NGX_HTTP_REFINE_VALUE_ONES))                            \
     & 0x80 * NGX_HTTP_REFINE_VALUE_ONES)


ngx_int_t
ngx_http_refine_value_plain(ngx_str_t *text)
{
    u_char    c, *p, *last;
    uint64_t  v;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (last - p >= 8) {
            ngx_memcpy(&v, p, 8);

            if (!ngx_http_refine_value_odd(v)) {
                p += 8;
                continue;
            }
        }

        c = *p++;

        if (c >= 0x20 && c < 0x7f) {
            continue;
        }

        if (c < 0x80) {
            return NGX_DECLINED;
        }

        /* U+0080-U+009F */

        if (c == 0xc2 && p < last && *p < 0xa0) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_value_int(const cJSON *json, int64_t min, int64_t max,
    int64_t *n)
{
    double  d;

    if (ngx_http_refine_value_kind(json) != cJSON_Number) {
        return NGX_DECLINED;
    }

    d = json->valuedouble;

    /* so that NaN is refused as well, and the cast is of what int64_t holds */

    if (!(d >= (double) min && d <= (double) max)) {
        return NGX_DECLINED;
    }

    *n = (int64_t) d;

    return ((double) *n == d) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_refine_value_finite(const cJSON *json)
{
    double  d;

    if (ngx_http_refine_value_kind(json) != cJSON_Number) {
        return NGX_DECLINED;
    }

    d = json->valuedouble;

    return (d - d == 0) ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_http_refine_value_count(const cJSON *json)
{
    ngx_uint_t    n;
    const cJSON  *child;

    n = 0;

    for (child = json->child; child; child = child->next) {
        n++;
    }

    return n;
}


ngx_int_t
ngx_http_refine_value_keys(ngx_pool_t *pool, const cJSON *json)
{
    u_char                 *key;
    ngx_int_t               rc;
    ngx_uint_t              object;
    const cJSON            *child;
    ngx_http_refine_set_t   set;

    object = (ngx_http_refine_value_kind(json) == cJSON_Object);

    if (object) {
        rc = ngx_http_refine_set_init(&set, pool,
                                      ngx_http_refine_value_count(json));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (child = json->child; child; child = child->next) {

        if (object) {
            key = (u_char *) child->string;

            rc = ngx_http_refine_set_add(&set, key, ngx_strlen(key));
            if (rc != NGX_OK) {
                return rc;
            }
        }

        if (child->child) {
            rc = ngx_http_refine_value_keys(pool, child);
            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    return NGX_OK;
}


ngx_http_refine_value_e
ngx_http_refine_value_write(ngx_http_refine_buf_t *b, const cJSON *json,
    const ngx_http_refine_value_limit_t *limit)
{
    ngx_http_refine_value_ctx_t  ctx;

    ctx.buf = b;
    ctx.limit = limit;
    ctx.start = ngx_http_refine_buf_size(b);

    return ngx_http_refine_value_any(&ctx, json, 1);
}


static ngx_http_refine_value_e
ngx_http_refine_value_any(ngx_http_refine_value_ctx_t *ctx, const cJSON *json,
    ngx_uint_t depth)
{
    ngx_http_refine_value_e  rc;

    rc = NGX_HTTP_REFINE_VALUE_OK;

    switch (ngx_http_refine_value_kind(json)) {

    case cJSON_Object:
    case cJSON_Array:
        rc = ngx_http_refine_value_list(ctx, json, depth);
        break;

    case cJSON_String:
        rc = ngx_http_refine_value_string(ctx, json->valuestring);
        break;

    case cJSON_Number:
        if (ngx_http_refine_value_finite(json) != NGX_OK) {
            return NGX_HTTP_REFINE_VALUE_INFINITE;
        }

        ngx_http_refine_buf_double(ctx->buf, json->valuedouble);
        break;

    case cJSON_True:
        ngx_http_refine_buf_lit(ctx->buf, "true");
        break;

    case cJSON_False:
        ngx_http_refine_buf_lit(ctx->buf, "false");
        break;

    default:
        ngx_http_refine_buf_lit(ctx->buf, "null");
        break;
    }

    if (ngx_http_refine_buf_size(ctx->buf) - ctx->start
        > ctx->limit->max_size)
    {
        return NGX_HTTP_REFINE_VALUE_LARGE;
    }

    return rc;
}


static ngx_http_refine_value_e
ngx_http_refine_value_list(ngx_http_refine_value_ctx_t *ctx,
    const cJSON *json, ngx_uint_t depth)
{
    ngx_uint_t                object, n;
    const char               *without;
    const cJSON              *child;
    ngx_http_refine_value_e   rc;

    if (depth > ctx->limit->max_depth) {
        return NGX_HTTP_REFINE_VALUE_LARGE;
    }

    object = (ngx_http_refine_value_kind(json) == cJSON_Object);
    without = (object && depth == 1) ? ctx->limit->without : NULL;
    n = 0;

    ngx_http_refine_buf_append(ctx->buf, object ? "{" : "[", 1);

    for (child = json->child; child; child = child->next) {

        if (without && ngx_strcmp(child->string, without) == 0) {
            continue;
        }

        if (n++) {
            ngx_http_refine_buf_lit(ctx->buf, ",");
        }

        if (object) {
            rc = ngx_http_refine_value_string(ctx, child->string);
            if (rc != NGX_HTTP_REFINE_VALUE_OK) {
                return rc;
            }

            ngx_http_refine_buf_lit(ctx->buf, ":");
        }

        rc = ngx_http_refine_value_any(ctx, child, depth + 1);
        if (rc != NGX_HTTP_REFINE_VALUE_OK) {
            return rc;
        }
    }

    ngx_http_refine_buf_append(ctx->buf, object ? "}" : "]", 1);

    return NGX_HTTP_REFINE_VALUE_OK;
}


static ngx_http_refine_value_e
ngx_http_refine_value_string(ngx_http_refine_value_ctx_t *ctx,
    const char *text)
{
    size_t  len;

    /* before it is copied: it may be as long as the request's body */

    len = ngx_strlen(text);

    if (len > ctx->limit->max_size) {
        return NGX_HTTP_REFINE_VALUE_LARGE;
    }

    ngx_http_refine_buf_json(ctx->buf, (u_char *) text, len);

    return NGX_HTTP_REFINE_VALUE_OK;
}
