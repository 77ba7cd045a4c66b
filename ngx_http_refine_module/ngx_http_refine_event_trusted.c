
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_address.h"
#include "ngx_http_refine_event_value.h"
#include "ngx_http_refine_event_field.h"


/* longer ones are cut when the line is made, as the header is */
#define NGX_HTTP_REFINE_EVENT_MAX_GIVEN  8192


/* the members of context */

enum {
    NGX_HTTP_REFINE_CONTEXT_IP = 0,
    NGX_HTTP_REFINE_CONTEXT_AGENT,
    NGX_HTTP_REFINE_CONTEXT_BOT,
    NGX_HTTP_REFINE_CONTEXT_PREFETCH,
    NGX_HTTP_REFINE_CONTEXT_MEMBERS
};


static ngx_int_t ngx_http_refine_event_trusted_id(
    ngx_http_refine_event_ctx_t *ctx, ngx_uint_t row, ngx_str_t *id);
static ngx_int_t ngx_http_refine_event_trusted_context(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *context,
    ngx_http_refine_event_env_t *own);
static ngx_int_t ngx_http_refine_event_trusted_members(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *context,
    const cJSON **members);
static ngx_int_t ngx_http_refine_event_trusted_ip(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *value, ngx_str_t *ip);
static ngx_int_t ngx_http_refine_event_trusted_flag(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *value, ngx_uint_t member,
    ngx_uint_t *flag);
static ngx_int_t ngx_http_refine_event_trusted_refuse(
    ngx_http_refine_event_ctx_t *ctx, ngx_uint_t member, const char *error,
    ngx_http_refine_counter_e reason);


static const ngx_str_t  ngx_http_refine_event_context_names[] = {
    ngx_string("context.ip"),
    ngx_string("context.userAgent"),
    ngx_string("context.bot"),
    ngx_string("context.prefetch")
};


ngx_int_t
ngx_http_refine_event_trusted(ngx_http_refine_event_ctx_t *ctx,
    ngx_http_refine_event_env_t *own)
{
    const cJSON  *context;

    *own = *ctx->env;
    ctx->env = own;

    if (ngx_http_refine_event_trusted_id(ctx, NGX_HTTP_REFINE_FIELD_VISITOR_ID,
                                         &own->visitor_id)
        != NGX_OK
        || ngx_http_refine_event_trusted_id(ctx,
                                            NGX_HTTP_REFINE_FIELD_SESSION_ID,
                                            &own->session_id)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    context = ctx->values[NGX_HTTP_REFINE_FIELD_CONTEXT];

    if (context == NULL) {
        return NGX_OK;
    }

    return ngx_http_refine_event_trusted_context(ctx, context, own);
}


static ngx_int_t
ngx_http_refine_event_trusted_id(ngx_http_refine_event_ctx_t *ctx,
    ngx_uint_t row, ngx_str_t *id)
{
    if (ctx->values[row] == NULL) {
        return NGX_OK;
    }

    return ngx_http_refine_event_text(ctx, &ngx_http_refine_event_fields[row],
                                      ctx->values[row], id);
}


static ngx_int_t
ngx_http_refine_event_trusted_context(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *context, ngx_http_refine_event_env_t *own)
{
    ngx_int_t     rc;
    ngx_uint_t    bot, prefetch;
    const cJSON  *members[NGX_HTTP_REFINE_CONTEXT_MEMBERS], *value;

    rc = ngx_http_refine_event_trusted_members(ctx, context, members);

    if (rc == NGX_OK) {
        rc = ngx_http_refine_event_trusted_ip(ctx,
                                           members[NGX_HTTP_REFINE_CONTEXT_IP],
                                           &own->ip);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    value = members[NGX_HTTP_REFINE_CONTEXT_AGENT];

    if (value
        && ngx_http_refine_value_text(value, 0, NGX_HTTP_REFINE_EVENT_MAX_GIVEN,
                                      &own->user_agent)
           != NGX_OK)
    {
        return ngx_http_refine_event_trusted_refuse(ctx,
                   NGX_HTTP_REFINE_CONTEXT_AGENT,
                   "must be a string of at most 8192 bytes",
                   NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    bot = 0;
    prefetch = 0;

    if (ngx_http_refine_event_trusted_flag(ctx,
                                         members[NGX_HTTP_REFINE_CONTEXT_BOT],
                                         NGX_HTTP_REFINE_CONTEXT_BOT, &bot)
        != NGX_OK
        || ngx_http_refine_event_trusted_flag(ctx,
                                    members[NGX_HTTP_REFINE_CONTEXT_PREFETCH],
                                    NGX_HTTP_REFINE_CONTEXT_PREFETCH,
                                    &prefetch)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    own->bot = bot ? 1 : 0;
    own->prefetch = prefetch ? 1 : 0;

    return NGX_OK;
}


/* what is null or has another name is left out */

static ngx_int_t
ngx_http_refine_event_trusted_members(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *context, const cJSON **members)
{
    const char   *name;
    ngx_uint_t    i, seen;
    const cJSON  *child;

    if (ngx_http_refine_value_kind(context) != cJSON_Object) {
        return ngx_http_refine_event_invalid(ctx,
                  &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_CONTEXT]);
    }

    ngx_memzero(members, NGX_HTTP_REFINE_CONTEXT_MEMBERS * sizeof(cJSON *));
    seen = 0;

    for (child = context->child; child; child = child->next) {

        for (i = 0; i < NGX_HTTP_REFINE_CONTEXT_MEMBERS; i++) {
            name = (char *) ngx_http_refine_event_context_names[i].data
                   + sizeof("context.") - 1;

            if (ngx_strcmp(child->string, name) != 0) {
                continue;
            }

            if (seen & ((ngx_uint_t) 1 << i)) {
                return ngx_http_refine_event_trusted_refuse(ctx, i,
                           "must not be given twice",
                           NGX_HTTP_REFINE_REJECTED_DUPLICATE);
            }

            seen |= (ngx_uint_t) 1 << i;

            if (ngx_http_refine_value_kind(child) != cJSON_NULL) {
                members[i] = child;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_trusted_ip(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *value, ngx_str_t *ip)
{
    u_char     *p;
    ngx_str_t   text;

    if (value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_refine_value_text(value, 0, NGX_HTTP_REFINE_ADDRESS_LEN,
                                   &text)
        != NGX_OK)
    {
        goto invalid;
    }

    if (text.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->pool, NGX_HTTP_REFINE_ADDRESS_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ip->data = p;
    ip->len = ngx_http_refine_address_copy(p, &text, ctx->env->anonymize);

    if (ip->len) {
        return NGX_OK;
    }

invalid:

    return ngx_http_refine_event_trusted_refuse(ctx,
               NGX_HTTP_REFINE_CONTEXT_IP,
               "must be an IPv4 or IPv6 address as a string",
               NGX_HTTP_REFINE_REJECTED_INVALID);
}


static ngx_int_t
ngx_http_refine_event_trusted_flag(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *value, ngx_uint_t member, ngx_uint_t *flag)
{
    if (value == NULL) {
        return NGX_OK;
    }

    if (!cJSON_IsBool(value)) {
        return ngx_http_refine_event_trusted_refuse(ctx, member,
                   "must be true or false", NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    *flag = cJSON_IsTrue(value);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_trusted_refuse(ngx_http_refine_event_ctx_t *ctx,
    ngx_uint_t member, const char *error, ngx_http_refine_counter_e reason)
{
    (void) ngx_http_refine_event_refuse(ctx, NULL, error, reason);

    ctx->err->field = ngx_http_refine_event_context_names[member];

    return NGX_DECLINED;
}
