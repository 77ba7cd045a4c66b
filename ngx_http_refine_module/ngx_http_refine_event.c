
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_event_value.h"
#include "ngx_http_refine_event_field.h"
#include "ngx_http_refine_event_line.h"


#define NGX_HTTP_REFINE_EVENT_PREFIX       "{\"eventId\":\""

#define NGX_HTTP_REFINE_EVENT_MAX_AGENT    512

#define NGX_HTTP_REFINE_EVENT_PAST         (7 * 24 * 3600 * 1000.0)
#define NGX_HTTP_REFINE_EVENT_FUTURE       (5 * 60 * 1000.0)


static ngx_int_t ngx_http_refine_event_collect(
    ngx_http_refine_event_ctx_t *ctx, const cJSON *json);
static ngx_int_t ngx_http_refine_event_fit(ngx_http_refine_event_ctx_t *ctx);
static ngx_int_t ngx_http_refine_event_kind(ngx_http_refine_event_ctx_t *ctx);
static ngx_int_t ngx_http_refine_event_kinds(ngx_http_refine_event_ctx_t *ctx);
static ngx_int_t ngx_http_refine_event_identify(
    ngx_http_refine_event_ctx_t *ctx, u_char *made, ngx_str_t *id);
static ngx_int_t ngx_http_refine_event_head(ngx_http_refine_event_ctx_t *ctx,
    ngx_str_t *id);
static uint64_t ngx_http_refine_event_time(ngx_http_refine_event_env_t *env,
    const cJSON *value);
static void ngx_http_refine_event_point(ngx_http_refine_event_ctx_t *ctx,
    ngx_http_refine_event_t *ev);
static void ngx_http_refine_event_given(ngx_http_refine_event_ctx_t *ctx,
    ngx_uint_t field, ngx_str_t *text);
static ngx_int_t ngx_http_refine_event_given_user(
    ngx_http_refine_event_ctx_t *ctx, ngx_str_t *user);

static void ngx_http_refine_event_context(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_env_t *env);


const ngx_str_t  ngx_http_refine_event_names[NGX_HTTP_REFINE_EVENT_TYPES] = {
    ngx_string("items_served"),
    ngx_string("click"),
    ngx_string("view"),
    ngx_string("add_to_cart"),
    ngx_string("purchase")
};


ngx_int_t
ngx_http_refine_event_parse(ngx_pool_t *pool, const cJSON *json,
    ngx_http_refine_event_env_t *env, ngx_http_refine_event_t *ev,
    ngx_http_refine_event_error_t *err)
{
    u_char                                made[NGX_HTTP_REFINE_UUID_LEN];
    ngx_int_t                             rc;
    ngx_str_t                             id;
    ngx_uint_t                            i;
    ngx_http_refine_event_ctx_t           ctx;
    ngx_http_refine_event_env_t           own;
    const ngx_http_refine_event_field_t  *field;

    ngx_memzero(&ctx, sizeof(ngx_http_refine_event_ctx_t));

    ctx.pool = pool;
    ctx.env = env;
    ctx.err = err;

    rc = ngx_http_refine_event_collect(&ctx, json);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_refine_event_identify(&ctx, made, &id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (env->trusted) {
        rc = ngx_http_refine_event_trusted(&ctx, &own);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_refine_event_head(&ctx, &id);

    for (i = 0; rc == NGX_OK && i < NGX_HTTP_REFINE_FIELDS; i++) {
        field = &ngx_http_refine_event_fields[i];

        if (ctx.values[i] && field->check) {
            rc = field->check(&ctx, field, ctx.values[i]);
        }
    }

    if (rc != NGX_OK) {
        ngx_http_refine_buf_free(&ctx.line);
        return rc;
    }

    ngx_http_refine_event_field_mismatch(&ctx);

    ngx_memzero(ev, sizeof(ngx_http_refine_event_t));

    ev->type = ctx.type;
    ev->made = (id.data == made);

    ngx_http_refine_event_point(&ctx, ev);

    return ngx_http_refine_event_finish(&ctx.line, ctx.env, &id, ev);
}


ngx_int_t
ngx_http_refine_event_id(ngx_str_t *line, ngx_str_t *id)
{
    size_t   len;
    u_char  *p, *last;

    len = sizeof(NGX_HTTP_REFINE_EVENT_PREFIX) - 1;

    if (line->len < len
        || ngx_memcmp(line->data, NGX_HTTP_REFINE_EVENT_PREFIX, len) != 0)
    {
        return NGX_DECLINED;
    }

    p = line->data + len;
    last = ngx_strlchr(p, line->data + line->len, '"');

    if (last == NULL) {
        return NGX_DECLINED;
    }

    id->data = p;
    id->len = last - p;

    return ngx_http_refine_id_serve_check(id);
}


ngx_int_t
ngx_http_refine_event_type(ngx_str_t *name, ngx_http_refine_event_type_e *type)
{
    ngx_uint_t        i;
    const ngx_str_t  *known;

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {
        known = &ngx_http_refine_event_names[i];

        if (name->len == known->len
            && ngx_memcmp(name->data, known->data, known->len) == 0)
        {
            *type = (ngx_http_refine_event_type_e) i;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/*
 * Finds the fields in one pass, then leaves those that the event's type has,
 * without nulls.
 */

static ngx_int_t
ngx_http_refine_event_collect(ngx_http_refine_event_ctx_t *ctx,
    const cJSON *json)
{
    ngx_int_t     rc;
    const cJSON  *child;

    if (ngx_http_refine_value_kind(json) != cJSON_Object) {
        return ngx_http_refine_event_refuse(ctx, NULL,
                                            "an event must be a JSON object",
                                            NGX_HTTP_REFINE_REJECTED_NOT_EVENT);
    }

    for (child = json->child; child; child = child->next) {

        rc = ngx_http_refine_event_field_find(child->string);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (ctx->values[rc]) {
            ctx->repeated |= (ngx_uint_t) 1 << rc;
        }

        ctx->values[rc] = child;
    }

    rc = ngx_http_refine_event_kind(ctx);

    return (rc == NGX_OK) ? ngx_http_refine_event_fit(ctx) : rc;
}


/* leaves what the event's type has */

static ngx_int_t
ngx_http_refine_event_fit(ngx_http_refine_event_ctx_t *ctx)
{
    ngx_uint_t                            i, bits;
    const ngx_http_refine_event_field_t  *field;

    bits = (ngx_uint_t) 1 << ctx->type;

    if (ctx->env->trusted) {
        bits |= NGX_HTTP_REFINE_EVENT_TRUSTED;
    }

    for (i = 0; i < NGX_HTTP_REFINE_FIELDS; i++) {
        field = &ngx_http_refine_event_fields[i];

        if (ctx->values[i] == NULL && !(field->required & bits)) {
            continue;
        }

        if (!((field->required|field->optional) & bits)) {
            ctx->values[i] = NULL;
            continue;
        }

        if (ctx->repeated & ((ngx_uint_t) 1 << i)) {
            return ngx_http_refine_event_refuse(ctx, field,
                                            "must not be given twice",
                                            NGX_HTTP_REFINE_REJECTED_DUPLICATE);
        }

        if (ctx->values[i]
            && ngx_http_refine_value_kind(ctx->values[i]) == cJSON_NULL)
        {
            ctx->values[i] = NULL;
        }

        if (ctx->values[i] == NULL && (field->required & bits)) {
            return ngx_http_refine_event_refuse(ctx, field,
                                              "is required for this type",
                                              NGX_HTTP_REFINE_REJECTED_MISSING);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_event_kind(ngx_http_refine_event_ctx_t *ctx)
{
    ngx_str_t                             name;
    const cJSON                          *value;
    const ngx_http_refine_event_field_t  *field;

    field = &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_TYPE];
    value = ctx->values[NGX_HTTP_REFINE_FIELD_TYPE];

    if (ctx->repeated & (1 << NGX_HTTP_REFINE_FIELD_TYPE)) {
        return ngx_http_refine_event_refuse(ctx, field,
                                            "must not be given twice",
                                            NGX_HTTP_REFINE_REJECTED_DUPLICATE);
    }

    if (value == NULL || ngx_http_refine_value_kind(value) == cJSON_NULL) {
        return ngx_http_refine_event_refuse(ctx, field, "is required",
                                            NGX_HTTP_REFINE_REJECTED_MISSING);
    }

    if (ngx_http_refine_value_text(value, 1, NGX_HTTP_REFINE_EVENT_MAX_NAME,
                                   &name)
        == NGX_OK
        && ngx_http_refine_event_type(&name, &ctx->type) == NGX_OK
        && (ctx->env->types & ((ngx_uint_t) 1 << ctx->type)))
    {
        return NGX_OK;
    }

    return ngx_http_refine_event_kinds(ctx);
}


/* the error that lists the types which this location takes */

static ngx_int_t
ngx_http_refine_event_kinds(ngx_http_refine_event_ctx_t *ctx)
{
    ngx_uint_t             i, n;
    ngx_http_refine_buf_t  b;

    (void) ngx_http_refine_buf_init(&b, ctx->pool, 0,
                                    NGX_HTTP_REFINE_EVENT_MAX_ERROR);

    ngx_http_refine_buf_lit(&b, "must be ");
    n = 0;

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {

        if (ctx->env->types & ((ngx_uint_t) 1 << i)) {

            if (n++) {
                ngx_http_refine_buf_lit(&b, " or ");
            }

            ngx_http_refine_buf_append(&b, ngx_http_refine_event_names[i].data,
                                       ngx_http_refine_event_names[i].len);
        }
    }

    if (b.failed) {
        return NGX_ERROR;
    }

    (void) ngx_http_refine_event_refuse(ctx,
                      &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_TYPE],
                      "", NGX_HTTP_REFINE_REJECTED_TYPE);

    ctx->err->error.data = b.start;
    ctx->err->error.len = ngx_http_refine_buf_size(&b);

    return NGX_DECLINED;
}


/*
 * An items_served is known by its serveId, so that a serve which is logged
 * twice is one event.
 */

static ngx_int_t
ngx_http_refine_event_identify(ngx_http_refine_event_ctx_t *ctx, u_char *made,
    ngx_str_t *id)
{
    const cJSON                          *value;
    const ngx_http_refine_event_field_t  *field;

    field = &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_SERVE_ID];
    value = ctx->values[NGX_HTTP_REFINE_FIELD_SERVE_ID];

    if (ctx->type == NGX_HTTP_REFINE_ITEMS_SERVED && value) {
        return ngx_http_refine_event_text(ctx, field, value, id);
    }

    field = &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_EVENT_ID];
    value = ctx->values[NGX_HTTP_REFINE_FIELD_EVENT_ID];

    if (value) {
        return ngx_http_refine_event_text(ctx, field, value, id);
    }

    id->data = made;
    id->len = NGX_HTTP_REFINE_UUID_LEN;

    return ngx_http_refine_id_uuid7(made, ctx->env->now);
}


static ngx_int_t
ngx_http_refine_event_head(ngx_http_refine_event_ctx_t *ctx, ngx_str_t *id)
{
    uint64_t      timestamp;
    ngx_str_t     user;
    const cJSON  *value;

    value = ctx->values[NGX_HTTP_REFINE_FIELD_TIMESTAMP];

    if (value && ngx_http_refine_value_finite(value) != NGX_OK) {
        return ngx_http_refine_event_invalid(ctx,
                &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_TIMESTAMP]);
    }

    timestamp = ngx_http_refine_event_time(ctx->env, value);

    if (ngx_http_refine_event_given_user(ctx, &user) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_refine_buf_init(&ctx->line, ctx->pool,
                                 NGX_HTTP_REFINE_EVENT_LINE,
                                 NGX_HTTP_REFINE_EVENT_MAX_LINE)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_refine_event_start(&ctx->line, id, ctx->type, timestamp, ctx->env,
                                &user);

    return NGX_OK;
}


static uint64_t
ngx_http_refine_event_time(ngx_http_refine_event_env_t *env,
    const cJSON *value)
{
    double  now, t;

    if (value == NULL) {
        return env->now;
    }

    now = (double) env->now;
    t = value->valuedouble;

    /* both times are of the client's clock, whatever that shows */

    if (env->sent_at) {
        t += now - (double) env->sent_at;
    }

    if (t >= 0
        && t >= now - NGX_HTTP_REFINE_EVENT_PAST
        && t <= now + NGX_HTTP_REFINE_EVENT_FUTURE)
    {
        return (uint64_t) t;
    }

    return env->now;
}


/* by what the event is counted, which has been checked */

static void
ngx_http_refine_event_point(ngx_http_refine_event_ctx_t *ctx,
    ngx_http_refine_event_t *ev)
{
    const cJSON  *items;

    switch (ctx->type) {

    case NGX_HTTP_REFINE_ITEMS_SERVED:
        ngx_http_refine_event_given(ctx, NGX_HTTP_REFINE_FIELD_SURFACE,
                                    &ev->surface);
        ngx_http_refine_event_given(ctx, NGX_HTTP_REFINE_FIELD_SOURCE,
                                    &ev->source);
        return;

    case NGX_HTTP_REFINE_PURCHASE:
        items = ctx->values[NGX_HTTP_REFINE_FIELD_ITEMS];
        ev->items = items->child;
        break;

    default:
        ngx_http_refine_event_given(ctx, NGX_HTTP_REFINE_FIELD_SERVE_ID,
                                    &ev->serve_id);
        ngx_http_refine_event_given(ctx, NGX_HTTP_REFINE_FIELD_ITEM_ID,
                                    &ev->item_id);
    }

    if (!ctx->env->anonymous) {
        ev->visitor_id = ctx->env->visitor_id;
    }
}


/* the text of a field that has been checked */

static void
ngx_http_refine_event_given(ngx_http_refine_event_ctx_t *ctx,
    ngx_uint_t field, ngx_str_t *text)
{
    text->data = (u_char *) ctx->values[field]->valuestring;
    text->len = ngx_strlen(text->data);
}


/* the event's own is checked even where it is not used: one answer for all */

static ngx_int_t
ngx_http_refine_event_given_user(ngx_http_refine_event_ctx_t *ctx,
    ngx_str_t *user)
{
    const cJSON                          *value;
    const ngx_http_refine_event_field_t  *field;

    ngx_str_null(user);

    field = &ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELD_USER_ID];
    value = ctx->values[NGX_HTTP_REFINE_FIELD_USER_ID];

    if (value
        && ngx_http_refine_event_text(ctx, field, value, user) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ctx->env->user_id.len) {
        *user = ctx->env->user_id;
    }

    return NGX_OK;
}


void
ngx_http_refine_event_start(ngx_http_refine_buf_t *b, ngx_str_t *id,
    ngx_http_refine_event_type_e type, uint64_t timestamp,
    ngx_http_refine_event_env_t *env, ngx_str_t *user)
{
    const ngx_str_t  *name;

    name = &ngx_http_refine_event_names[type];

    ngx_http_refine_buf_lit(b, NGX_HTTP_REFINE_EVENT_PREFIX);
    ngx_http_refine_buf_append(b, id->data, id->len);
    ngx_http_refine_buf_lit(b, "\",\"type\":\"");
    ngx_http_refine_buf_append(b, name->data, name->len);
    ngx_http_refine_buf_lit(b, "\",\"timestamp\":");
    ngx_http_refine_buf_int(b, (int64_t) timestamp);
    ngx_http_refine_buf_lit(b, ",\"receivedAt\":");
    ngx_http_refine_buf_int(b, (int64_t) env->now);

    if (env->anonymous) {
        return;
    }

    (void) ngx_http_refine_event_member(b, ",\"visitorId\":",
                                        &env->visitor_id);
    (void) ngx_http_refine_event_member(b, ",\"sessionId\":",
                                        &env->session_id);

    /* a part of it would be another user's */

    if (user->len <= NGX_HTTP_REFINE_EVENT_MAX_USER) {
        (void) ngx_http_refine_event_member(b, ",\"userId\":", user);
    }
}


/* one of the first members; nothing before it can hold such a text */

int64_t
ngx_http_refine_event_received(ngx_str_t *line)
{
    int64_t   n;
    u_char   *p, *last;

    static u_char  name[] = "\"receivedAt\":";

    last = line->data + ngx_min(line->len, NGX_HTTP_REFINE_EVENT_HEAD);
    p = line->len ? ngx_strlcasestrn(line->data, last, name,
                                     sizeof(name) - 2)
                  : NULL;

    if (p == NULL) {
        return 0;
    }

    n = 0;

    for (p += sizeof(name) - 1; p < last && *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');
    }

    return n;
}


ngx_int_t
ngx_http_refine_event_finish(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_env_t *env, ngx_str_t *id,
    ngx_http_refine_event_t *ev)
{
    ngx_http_refine_event_context(b, env);

    ngx_http_refine_buf_lit(b, "}");

    if (b->failed) {
        ngx_http_refine_buf_free(b);
        return NGX_ERROR;
    }

    ev->line.data = b->start;
    ev->line.len = ngx_http_refine_buf_size(b);

    ev->id.data = b->start + sizeof(NGX_HTTP_REFINE_EVENT_PREFIX) - 1;
    ev->id.len = id->len;

    return NGX_OK;
}


static void
ngx_http_refine_event_context(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_env_t *env)
{
    ngx_str_t    ip, agent;
    ngx_uint_t   n;

    ngx_str_null(&ip);
    ngx_str_null(&agent);

    if (!env->anonymous) {
        ip = env->ip;
        agent = ngx_http_refine_event_cut(&env->user_agent,
                                          NGX_HTTP_REFINE_EVENT_MAX_AGENT);
    }

    if (ip.len == 0 && agent.len == 0 && !env->bot && !env->prefetch) {
        return;
    }

    ngx_http_refine_buf_lit(b, ",\"context\":{");

    n = ngx_http_refine_event_member(b, "\"ip\":", &ip);

    n += ngx_http_refine_event_member(b, n ? ",\"userAgent\":"
                                           : "\"userAgent\":", &agent);

    if (env->bot) {
        if (n++) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "\"bot\":true");
    }

    if (env->prefetch) {
        if (n) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "\"prefetch\":true");
    }

    ngx_http_refine_buf_lit(b, "}");
}


ngx_uint_t
ngx_http_refine_event_member(ngx_http_refine_buf_t *b, char *key,
    ngx_str_t *text)
{
    if (text->len == 0) {
        return 0;
    }

    ngx_http_refine_buf_append(b, key, ngx_strlen(key));
    ngx_http_refine_buf_json(b, text->data, text->len);

    return 1;
}


ngx_str_t
ngx_http_refine_event_cut(ngx_str_t *text, size_t max)
{
    size_t     len;
    ngx_str_t  cut;

    cut = *text;

    if (cut.len <= max) {
        return cut;
    }

    len = max;

    while (len > max - 3 && (cut.data[len] & 0xc0) == 0x80) {
        len--;
    }

    cut.len = ((cut.data[len] & 0xc0) == 0x80) ? max : len;

    return cut;
}
