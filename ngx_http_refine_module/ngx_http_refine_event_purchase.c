
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_event_value.h"
#include "ngx_http_refine_event_field.h"


#define NGX_HTTP_REFINE_EVENT_MAX_COUNT  1000000

/* half a cent, and what adding up doubles may lose */
#define NGX_HTTP_REFINE_EVENT_TOLERANCE  0.005
#define NGX_HTTP_REFINE_EVENT_ROUNDING   1e-12


/* the members of an item of a purchase */

typedef struct {
    const cJSON  *id;
    const cJSON  *quantity;
    const cJSON  *price;
} ngx_http_refine_purchased_t;


#define ngx_http_refine_event_absent(json)                                    \
    ((json) == NULL || ngx_http_refine_value_kind(json) == cJSON_NULL)


static ngx_int_t ngx_http_refine_event_purchased(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *item, ngx_uint_t i,
    ngx_http_refine_purchased_t *bought);
static ngx_int_t ngx_http_refine_event_item(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *item, ngx_uint_t i);


ngx_int_t
ngx_http_refine_event_items(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value)
{
    ngx_int_t     rc;
    ngx_uint_t    i, n;
    const cJSON  *child;

    n = ngx_http_refine_value_count(value);

    if (ngx_http_refine_value_kind(value) != cJSON_Array
        || n < (ngx_uint_t) field->min
        || n > (ngx_uint_t) field->max)
    {
        return ngx_http_refine_event_invalid(ctx, field);
    }

    ngx_http_refine_buf_append(&ctx->line, field->key.data, field->key.len);

    for (child = value->child, i = 0; child; child = child->next, i++) {

        ngx_http_refine_buf_append(&ctx->line, i ? "," : "[", 1);

        rc = ngx_http_refine_event_item(ctx, child, i);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    ngx_http_refine_buf_lit(&ctx->line, "]");

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_item(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *item, ngx_uint_t i)
{
    char                         *missing;
    int64_t                       quantity;
    ngx_int_t                     rc;
    ngx_str_t                     id;
    ngx_http_refine_purchased_t   bought;

    rc = ngx_http_refine_event_purchased(ctx, item, i, &bought);
    if (rc != NGX_OK) {
        return rc;
    }

    missing = ngx_http_refine_event_absent(bought.id) ? "itemId"
              : ngx_http_refine_event_absent(bought.quantity) ? "quantity"
              : ngx_http_refine_event_absent(bought.price) ? "unitPrice"
              : NULL;

    if (missing) {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, missing,
                                              "is required",
                                              NGX_HTTP_REFINE_REJECTED_MISSING);
    }

    if (ngx_http_refine_value_text(bought.id, 1, NGX_HTTP_REFINE_EVENT_MAX_ID,
                                   &id)
        != NGX_OK
        || ngx_http_refine_value_plain(&id) != NGX_OK)
    {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, "itemId",
                                              ngx_http_refine_event_id_error,
                                              NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    if (ngx_http_refine_value_int(bought.quantity, 1,
                                  NGX_HTTP_REFINE_EVENT_MAX_COUNT, &quantity)
        != NGX_OK)
    {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, "quantity",
                                       "must be an integer from 1 to 1000000",
                                       NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    if (ngx_http_refine_value_finite(bought.price) != NGX_OK
        || bought.price->valuedouble < 0)
    {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, "unitPrice",
                                       "must be a finite number not below 0",
                                       NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    ctx->sum += (double) quantity * bought.price->valuedouble;

    ngx_http_refine_buf_lit(&ctx->line, "{\"itemId\":");
    ngx_http_refine_buf_json(&ctx->line, id.data, id.len);
    ngx_http_refine_buf_lit(&ctx->line, ",\"quantity\":");
    ngx_http_refine_buf_int(&ctx->line, quantity);
    ngx_http_refine_buf_lit(&ctx->line, ",\"unitPrice\":");
    ngx_http_refine_buf_double(&ctx->line, bought.price->valuedouble);
    ngx_http_refine_buf_lit(&ctx->line, "}");

    return NGX_OK;
}


/* finds the members of an item */

static ngx_int_t
ngx_http_refine_event_purchased(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *item, ngx_uint_t i, ngx_http_refine_purchased_t *bought)
{
    ngx_int_t      rc;
    const cJSON   *child, **member;

    if (ngx_http_refine_value_kind(item) != cJSON_Object) {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, NULL,
                        "must be an object with itemId, quantity and unitPrice",
                        NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    rc = ngx_http_refine_value_keys(ctx->pool, item);

    ngx_memzero(bought, sizeof(ngx_http_refine_purchased_t));

    for (child = item->child; child; child = child->next) {

        if (ngx_strcmp(child->string, "itemId") == 0
            || ngx_strcmp(child->string, "productId") == 0)
        {
            member = &bought->id;

        } else if (ngx_strcmp(child->string, "quantity") == 0) {
            member = &bought->quantity;

        } else if (ngx_strcmp(child->string, "unitPrice") == 0) {
            member = &bought->price;

        } else {
            continue;
        }

        if (*member && rc == NGX_OK) {
            rc = NGX_DECLINED;
        }

        *member = child;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_refine_event_refuse_at(ctx, "items", i, NULL,
                                            "must not have a member twice",
                                            NGX_HTTP_REFINE_REJECTED_DUPLICATE);
    }

    return rc;
}


ngx_int_t
ngx_http_refine_event_item_id(const cJSON *item, ngx_str_t *id)
{
    const cJSON  *child;

    for (child = item->child; child; child = child->next) {

        if (ngx_strcmp(child->string, "itemId") == 0
            || ngx_strcmp(child->string, "productId") == 0)
        {
            return ngx_http_refine_value_text(child, 1,
                                              NGX_HTTP_REFINE_EVENT_MAX_ID,
                                              id);
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_refine_event_field_mismatch(ngx_http_refine_event_ctx_t *ctx)
{
    double                  diff;
    ngx_http_refine_buf_t  *b;

    if (ctx->type != NGX_HTTP_REFINE_PURCHASE) {
        return;
    }

    diff = ctx->value - ctx->sum;

    if (diff < 0) {
        diff = -diff;
    }

    /* an infinite sum is not equal to any value */

    if (ctx->sum - ctx->sum == 0
        && diff <= NGX_HTTP_REFINE_EVENT_TOLERANCE
                   + NGX_HTTP_REFINE_EVENT_ROUNDING * ctx->sum)
    {
        return;
    }

    b = &ctx->line;

    if (b->failed) {
        return;
    }

    if (ctx->values[NGX_HTTP_REFINE_FIELD_METADATA] == NULL) {
        ngx_http_refine_buf_lit(b, ",\"metadata\":{\"valueMismatch\":true}");
        return;
    }

    /* the line ends with metadata: it is opened again */

    b->pos--;

    if (b->pos[-1] != '{') {
        ngx_http_refine_buf_lit(b, ",");
    }

    ngx_http_refine_buf_lit(b, "\"valueMismatch\":true}");
}
