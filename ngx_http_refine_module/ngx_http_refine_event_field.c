
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_set.h"
#include "ngx_http_refine_event_value.h"
#include "ngx_http_refine_event_field.h"


#define NGX_HTTP_REFINE_EVENT_MAX_INT       9007199254740991LL  /* 2^53 - 1 */
#define NGX_HTTP_REFINE_EVENT_MAX_BOUGHT    500


#define NGX_HTTP_REFINE_SERVED    (1 << NGX_HTTP_REFINE_ITEMS_SERVED)
#define NGX_HTTP_REFINE_CLICKED   (1 << NGX_HTTP_REFINE_CLICK)
#define NGX_HTTP_REFINE_VIEWED    (1 << NGX_HTTP_REFINE_VIEW)
#define NGX_HTTP_REFINE_CARTED    (1 << NGX_HTTP_REFINE_ADD_TO_CART)
#define NGX_HTTP_REFINE_BOUGHT    (1 << NGX_HTTP_REFINE_PURCHASE)
#define NGX_HTTP_REFINE_ANY       ((1 << NGX_HTTP_REFINE_EVENT_TYPES) - 1)
#define NGX_HTTP_REFINE_ACTED     (NGX_HTTP_REFINE_CLICKED                    \
                                   |NGX_HTTP_REFINE_VIEWED                    \
                                   |NGX_HTTP_REFINE_CARTED)


static ngx_int_t ngx_http_refine_event_empty_or_id(ngx_str_t *text);
static ngx_int_t ngx_http_refine_event_string(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);
static ngx_int_t ngx_http_refine_event_integer(
    ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);
static ngx_int_t ngx_http_refine_event_ids(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);
static ngx_int_t ngx_http_refine_event_amount(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);
static ngx_int_t ngx_http_refine_event_currency(ngx_str_t *text);
static ngx_int_t ngx_http_refine_event_url(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);
static ngx_int_t ngx_http_refine_event_url_form(ngx_str_t *url);
static ngx_int_t ngx_http_refine_event_json(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);


#define ngx_http_refine_event_key(s)  ngx_string(s), ngx_string(",\"" s "\":")

/* a hash of a name, which is not empty, without collisions among the fields */

#define NGX_HTTP_REFINE_EVENT_PLACES  64

#define ngx_http_refine_event_place(name, len)                                \
    (((len) + 10 * (u_char) (name)[0] + 9 * (u_char) (name)[(len) - 1])       \
     % NGX_HTTP_REFINE_EVENT_PLACES)


const char  ngx_http_refine_event_id_error[] =
    "must be a string of 1 to 256 bytes without control characters";


/*
 * A row: name; types that require it, types that may have it; check, form;
 * min, max: of the length in bytes, of the number, of the elements, and for a
 * JSON value min is the kinds allowed; what the client is told.  Rows without
 * a check function are appended by ngx_http_refine_event_parse().
 */

const ngx_http_refine_event_field_t
    ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELDS] = {

    { ngx_http_refine_event_key("eventId"),
      0, NGX_HTTP_REFINE_ANY,
      NULL, ngx_http_refine_id_event_check,
      1, 64,
      ngx_string("must be a string of 1 to 64 of A-Z a-z 0-9 _ -") },

    { ngx_http_refine_event_key("type"),
      NGX_HTTP_REFINE_ANY, 0,
      NULL, NULL,
      0, 0,
      ngx_null_string },

    { ngx_http_refine_event_key("timestamp"),
      0, NGX_HTTP_REFINE_ANY,
      NULL, NULL,
      0, 0,
      ngx_string("must be a number: milliseconds since 1970") },

    { ngx_http_refine_event_key("userId"),
      0, NGX_HTTP_REFINE_ANY,
      NULL, ngx_http_refine_value_plain,
      0, NGX_HTTP_REFINE_EVENT_MAX_USER,
      ngx_string("must be a string of at most 128 bytes"
                 " without control characters") },

    { ngx_http_refine_event_key("serveId"),
      NGX_HTTP_REFINE_ACTED, NGX_HTTP_REFINE_SERVED,
      ngx_http_refine_event_string, ngx_http_refine_id_serve_check,
      1, 128,
      ngx_string("must be a string of 1 to 128 printable ASCII characters"
                 " without space \" < > & ' \\") },

    { ngx_http_refine_event_key("itemId"),
      NGX_HTTP_REFINE_ACTED, 0,
      ngx_http_refine_event_string, ngx_http_refine_value_plain,
      1, NGX_HTTP_REFINE_EVENT_MAX_ID,
      ngx_string("must be a string of 1 to 256 bytes"
                 " without control characters") },

    { ngx_http_refine_event_key("position"),
      NGX_HTTP_REFINE_CLICKED|NGX_HTTP_REFINE_VIEWED, NGX_HTTP_REFINE_CARTED,
      ngx_http_refine_event_integer, NULL,
      0, 1000000,
      ngx_string("must be an integer from 0 to 1000000") },

    { ngx_http_refine_event_key("surface"),
      NGX_HTTP_REFINE_SERVED, 0,
      ngx_http_refine_event_string, ngx_http_refine_value_plain,
      1, NGX_HTTP_REFINE_EVENT_MAX_NAME,
      ngx_string("must be a string of 1 to 64 bytes"
                 " without control characters") },

    { ngx_http_refine_event_key("source"),
      NGX_HTTP_REFINE_SERVED, 0,
      ngx_http_refine_event_string, ngx_http_refine_value_plain,
      1, NGX_HTTP_REFINE_EVENT_MAX_NAME,
      ngx_string("must be a string of 1 to 64 bytes"
                 " without control characters") },

    { ngx_http_refine_event_key("query"),
      0, NGX_HTTP_REFINE_SERVED,
      ngx_http_refine_event_string, NULL,
      0, NGX_HTTP_REFINE_EVENT_MAX_QUERY,
      ngx_string("must be a string of at most 1024 bytes") },

    { ngx_http_refine_event_key("itemIds"),
      NGX_HTTP_REFINE_SERVED, 0,
      ngx_http_refine_event_ids, NULL,
      0, NGX_HTTP_REFINE_EVENT_MAX_ITEMS,
      ngx_string("must be an array of at most 1000 strings") },

    { ngx_http_refine_event_key("totalResults"),
      0, NGX_HTTP_REFINE_SERVED,
      ngx_http_refine_event_integer, NULL,
      0, NGX_HTTP_REFINE_EVENT_MAX_INT,
      ngx_string("must be an integer from 0 to 9007199254740991") },

    { ngx_http_refine_event_key("filters"),
      0, NGX_HTTP_REFINE_SERVED,
      ngx_http_refine_event_json, NULL,
      cJSON_Array|cJSON_Object, 0,
      ngx_string("must be an array or an object of at most 4096 bytes,"
                 " nested at most 5 deep") },

    { ngx_http_refine_event_key("sortBy"),
      0, NGX_HTTP_REFINE_SERVED,
      ngx_http_refine_event_json, NULL,
      cJSON_Array|cJSON_Object|cJSON_String, 0,
      ngx_string("must be a string, an array or an object of at most"
                 " 4096 bytes, nested at most 5 deep") },

    { ngx_http_refine_event_key("orderId"),
      NGX_HTTP_REFINE_BOUGHT, 0,
      ngx_http_refine_event_string, ngx_http_refine_value_plain,
      1, 128,
      ngx_string("must be a string of 1 to 128 bytes"
                 " without control characters") },

    { ngx_http_refine_event_key("value"),
      NGX_HTTP_REFINE_BOUGHT, 0,
      ngx_http_refine_event_amount, NULL,
      0, 0,
      ngx_string("must be a finite number not below 0") },

    { ngx_http_refine_event_key("currency"),
      NGX_HTTP_REFINE_BOUGHT, 0,
      ngx_http_refine_event_string, ngx_http_refine_event_currency,
      3, 3,
      ngx_string("must be three letters A-Z (ISO 4217)") },

    { ngx_http_refine_event_key("items"),
      NGX_HTTP_REFINE_BOUGHT, 0,
      ngx_http_refine_event_items, NULL,
      1, NGX_HTTP_REFINE_EVENT_MAX_BOUGHT,
      ngx_string("must be an array of 1 to 500 objects with itemId,"
                 " quantity and unitPrice") },

    { ngx_http_refine_event_key("page"),
      0, NGX_HTTP_REFINE_ANY,
      ngx_http_refine_event_url, ngx_http_refine_event_url_form,
      0, 2048,
      ngx_string("must be an absolute URL of at most 2048 bytes"
                 " without spaces and control characters") },

    { ngx_http_refine_event_key("referrer"),
      0, NGX_HTTP_REFINE_ANY,
      ngx_http_refine_event_url, ngx_http_refine_event_url_form,
      0, 2048,
      ngx_string("must be an absolute URL of at most 2048 bytes"
                 " without spaces and control characters") },

    { ngx_http_refine_event_key("metadata"),
      0, NGX_HTTP_REFINE_ANY,
      ngx_http_refine_event_json, NULL,
      cJSON_Object, 0,
      ngx_string("must be an object of at most 4096 bytes,"
                 " nested at most 5 deep") },

    { ngx_http_refine_event_key("visitorId"),
      0, NGX_HTTP_REFINE_EVENT_TRUSTED,
      NULL, ngx_http_refine_event_empty_or_id,
      0, 128,
      ngx_string("must be a string of at most 128 printable ASCII characters"
                 " without space \" < > & ' \\") },

    { ngx_http_refine_event_key("sessionId"),
      0, NGX_HTTP_REFINE_EVENT_TRUSTED,
      NULL, ngx_http_refine_event_empty_or_id,
      0, 128,
      ngx_string("must be a string of at most 128 printable ASCII characters"
                 " without space \" < > & ' \\") },

    { ngx_http_refine_event_key("context"),
      0, NGX_HTTP_REFINE_EVENT_TRUSTED,
      NULL, NULL,
      0, 0,
      ngx_string("must be an object with ip, userAgent, bot and prefetch") }
};


ngx_int_t
ngx_http_refine_event_field_find(const char *name)
{
    size_t             len;
    ngx_uint_t         i;
    const ngx_str_t   *known;

    /* in which row a name with such a hash is; no two names have the same */

    static u_char      places[NGX_HTTP_REFINE_EVENT_PLACES];
    static ngx_uint_t  placed;

    for ( /* void */ ; placed < NGX_HTTP_REFINE_FIELDS; placed++) {
        known = &ngx_http_refine_event_fields[placed].name;
        i = ngx_http_refine_event_place(known->data, known->len);

        places[i] = (u_char) placed;
    }

    len = ngx_strlen(name);
    i = len ? places[ngx_http_refine_event_place(name, len)] : 0;
    known = &ngx_http_refine_event_fields[i].name;

    if (known->len == len && ngx_memcmp(known->data, name, len) == 0) {
        return i;
    }

    if (ngx_strcmp(name, "productId") == 0) {
        return NGX_HTTP_REFINE_FIELD_ITEM_ID;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_refine_event_text(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value,
    ngx_str_t *text)
{
    if (ngx_http_refine_value_text(value, field->min, field->max, text)
        != NGX_OK
        || (field->form && field->form(text) != NGX_OK))
    {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_empty_or_id(ngx_str_t *text)
{
    return text->len ? ngx_http_refine_id_serve_check(text) : NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_string(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    ngx_str_t  text;

    if (ngx_http_refine_event_text(ctx, field, value, &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);
    ngx_http_refine_buf_json(&ctx->line, text.data, text.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_integer(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    int64_t  n;

    if (ngx_http_refine_value_int(value, field->min, field->max, &n)
        != NGX_OK)
    {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);
    ngx_http_refine_buf_int(&ctx->line, n);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_ids(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    ngx_int_t              rc;
    ngx_str_t              id;
    ngx_uint_t             i, n;
    const cJSON           *child;
    ngx_http_refine_set_t  seen;

    n = ngx_http_refine_value_count(value);

    if (ngx_http_refine_value_kind(value) != cJSON_Array
        || n > (ngx_uint_t) field->max)
    {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    if (ngx_http_refine_set_init(&seen, ctx->pool, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);
    ngx_http_refine_buf_lit(&ctx->line, "[");

    for (child = value->child, i = 0; child; child = child->next, i++) {

        if (ngx_http_refine_value_text(child, 1, NGX_HTTP_REFINE_EVENT_MAX_ID,
                                       &id)
            != NGX_OK
            || ngx_http_refine_value_plain(&id) != NGX_OK)
        {
            return ngx_http_refine_event_refuse_at(ctx, "itemIds", i, NULL,
                                              ngx_http_refine_event_id_error,
                                              NGX_HTTP_REFINE_REJECTED_INVALID);
        }

        rc = ngx_http_refine_set_add(&seen, id.data, id.len);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (i) {
            ngx_http_refine_buf_lit(&ctx->line, ",");
        }

        ngx_http_refine_buf_json(&ctx->line, id.data, id.len);
    }

    ngx_http_refine_buf_lit(&ctx->line, "]");

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_amount(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    if (ngx_http_refine_value_finite(value) != NGX_OK
        || value->valuedouble < 0)
    {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    ctx->value = value->valuedouble;

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);
    ngx_http_refine_buf_double(&ctx->line, ctx->value);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_currency(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < 'A' || text->data[i] > 'Z') {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_url(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    size_t     i;
    ngx_str_t  url;

    if (ngx_http_refine_event_text(ctx, field, value, &url) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* what document.referrer is without one */

    if (url.len == 0) {
        return NGX_OK;
    }

    if (ctx->env->anonymous) {

        for (i = 0; i < url.len; i++) {
            if (url.data[i] == '?' || url.data[i] == '#') {
                url.len = i;
            }
        }
    }

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);
    ngx_http_refine_buf_json(&ctx->line, url.data, url.len);

    return NGX_OK;
}


/*
 * Empty, or absolute: a scheme (RFC 3986, 3.1), "://" and something.  Any
 * scheme, for apps refer with their own, such as android-app.
 */

static ngx_int_t
ngx_http_refine_event_url_form(ngx_str_t *url)
{
    u_char  c;
    size_t  i;

    if (url->len == 0) {
        return NGX_OK;
    }

    for (i = 0; i < url->len; i++) {
        c = url->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            continue;
        }

        if (i && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))
        {
            continue;
        }

        break;
    }

    if (i == 0
        || url->len - i <= sizeof("://") - 1
        || ngx_memcmp(url->data + i, "://", sizeof("://") - 1) != 0
        || memchr(url->data, ' ', url->len) != NULL)
    {
        return NGX_DECLINED;
    }

    return ngx_http_refine_value_plain(url);
}


static ngx_int_t
ngx_http_refine_event_json(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    ngx_int_t                      rc;
    ngx_http_refine_value_e        written;
    ngx_http_refine_value_limit_t  limit;

    if (!(ngx_http_refine_value_kind(value) & field->min)) {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    limit.max_size = NGX_HTTP_REFINE_EVENT_MAX_JSON;
    limit.max_depth = NGX_HTTP_REFINE_EVENT_MAX_DEPTH;

    /* in a purchase this member is the server's */

    limit.without = (ctx->type == NGX_HTTP_REFINE_PURCHASE) ? "valueMismatch"
                                                            : NULL;

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);

    written = ngx_http_refine_value_write(&ctx->line, value, &limit);

    if (written == NGX_HTTP_REFINE_VALUE_LARGE) {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    if (written == NGX_HTTP_REFINE_VALUE_INFINITE) {
        return ngx_http_refine_event_refuse(ctx, field,
                                      "must have only finite numbers",
                                      NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    rc = ngx_http_refine_value_keys(ctx->pool, value);

    if (rc == NGX_DECLINED) {
        return ngx_http_refine_event_refuse(ctx, field,
                                "must not have a member twice in an object",
                                NGX_HTTP_REFINE_REJECTED_DUPLICATE);
    }

    return rc;
}


ngx_int_t
ngx_http_refine_event_refuse(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const char *error,
    ngx_http_refine_counter_e reason)
{
    ngx_str_null(&ctx->err->field);

    if (field) {
        ctx->err->field = field->name;
    }

    ctx->err->error.data = (u_char *) error;
    ctx->err->error.len = ngx_strlen(error);
    ctx->err->reason = reason;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_refine_event_invalid(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field)
{
    ctx->err->field = field->name;
    ctx->err->error = field->error;
    ctx->err->reason = NGX_HTTP_REFINE_REJECTED_INVALID;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_refine_event_refuse_at(ngx_http_refine_event_ctx_t *ctx, char *name,
    ngx_uint_t i, char *member, const char *error,
    ngx_http_refine_counter_e reason)
{
    ngx_http_refine_buf_t  b;

    (void) ngx_http_refine_event_refuse(ctx, NULL, error, reason);

    (void) ngx_http_refine_buf_init(&b, ctx->pool, 0,
                                    NGX_HTTP_REFINE_EVENT_MAX_ERROR);

    ngx_http_refine_buf_append(&b, name, ngx_strlen(name));
    ngx_http_refine_buf_lit(&b, "[");
    ngx_http_refine_buf_int(&b, (int64_t) i);
    ngx_http_refine_buf_lit(&b, "]");

    if (member) {
        ngx_http_refine_buf_lit(&b, ".");
        ngx_http_refine_buf_append(&b, member, ngx_strlen(member));
    }

    if (b.failed) {
        return NGX_ERROR;
    }

    ctx->err->field.data = b.start;
    ctx->err->field.len = ngx_http_refine_buf_size(&b);

    return NGX_DECLINED;
}
