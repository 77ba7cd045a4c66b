
/* The directive refine_serve. */


#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_conf_serve.h"


#define NGX_HTTP_REFINE_CONF_MAX_NAME    64
#define NGX_HTTP_REFINE_CONF_MAX_LENGTH  (8 * 1024 * 1024)


typedef struct {
    ngx_str_t    type;
    const char  *texts[NGX_HTTP_REFINE_SERVE_VALUES];
} ngx_http_refine_preset_t;


static ngx_int_t ngx_http_refine_conf_serve_texts(
    ngx_http_refine_conf_serve_t *ctx);
static ngx_int_t ngx_http_refine_conf_preset(
    ngx_http_refine_conf_serve_t *ctx);
static ngx_int_t ngx_http_refine_conf_parameter(
    ngx_http_refine_conf_serve_t *ctx, ngx_str_t *param);
static ngx_int_t ngx_http_refine_conf_option(
    ngx_http_refine_conf_serve_t *ctx, ngx_str_t *param);
static ngx_int_t ngx_http_refine_conf_metadata(
    ngx_http_refine_conf_serve_t *ctx, ngx_str_t *param);
static ngx_int_t ngx_http_refine_conf_duplicate(
    ngx_http_refine_conf_serve_t *ctx, ngx_str_t *param);
static ngx_int_t ngx_http_refine_conf_options(
    ngx_http_refine_conf_serve_t *ctx);


static const ngx_http_refine_preset_t  ngx_http_refine_conf_presets[] = {

    { ngx_string("search"),
      { "search_results", "text-search", "json:results[].productId",
        "json:totalResults", "$arg_q", "", "", "", "", "" } },

    { ngx_string("recommendations"),
      { "product_page", "similar-items", "json:results[].productId",
        "", "", "json:serveId", "$arg_productId", "", "", "" } },

    { ngx_string("items"),
      { "", "", "json:results[].productId", "", "", "", "", "", "", "" } }
};

/* members of metadata that the module and its script set themselves */

static const ngx_str_t  ngx_http_refine_conf_own[] = {
    ngx_string("anchorId"),
    ngx_string("offset"),
    ngx_string("truncated"),
    ngx_string("replayOf")
};

#define NGX_HTTP_REFINE_CONF_OWN                                              \
    (sizeof(ngx_http_refine_conf_own) / sizeof(ngx_http_refine_conf_own[0]))

#define ngx_http_refine_conf_same(a, b)                                       \
    ((a)->len == (b)->len && ngx_memcmp((a)->data, (b)->data, (a)->len) == 0)

#define NGX_HTTP_REFINE_PRESETS                                               \
    (sizeof(ngx_http_refine_conf_presets)                                     \
     / sizeof(ngx_http_refine_conf_presets[0]))


char *
ngx_http_refine_conf_serve(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *rlcf = conf;

    ngx_str_t                     *value;
    ngx_http_refine_main_conf_t   *rmcf;
    ngx_http_refine_conf_serve_t  *ctx;

    if (rlcf->serve != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->serve = NULL;
        return NGX_CONF_OK;
    }

    ctx = ngx_pcalloc(cf->temp_pool, sizeof(ngx_http_refine_conf_serve_t));
    if (ctx == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx->serve = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_serve_conf_t));
    if (ctx->serve == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx->cf = cf;
    ctx->type = value[1];
    ctx->json.selectors = &ctx->serve->json;
    ctx->body.selectors = &ctx->serve->body;

    if (ngx_http_refine_conf_serve_texts(ctx) != NGX_OK
        || ngx_http_refine_conf_options(ctx) != NGX_OK
        || ngx_http_refine_conf_values(ctx) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rlcf->serve = ctx->serve;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);
    rmcf->serves = 1;

    return NGX_CONF_OK;
}


/* the text of each value: the directive's, else the format's or the type's */

static ngx_int_t
ngx_http_refine_conf_serve_texts(ngx_http_refine_conf_serve_t *ctx)
{
    ngx_str_t           *value;
    ngx_uint_t           i;
    const char *const   *texts;

    if (ngx_http_refine_conf_preset(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    value = ctx->cf->args->elts;

    for (i = 2; i < ctx->cf->args->nelts; i++) {
        if (ngx_http_refine_conf_parameter(ctx, &value[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ctx->format.data) {
        texts = ngx_http_refine_conf_format(&ctx->format);

        if (texts == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "unknown format \"%V\" in \"refine_serve\", "
                               "allowed: " NGX_HTTP_REFINE_CONF_FORMATS,
                               &ctx->format);
            return NGX_ERROR;
        }

        for (i = 0; i <= NGX_HTTP_REFINE_SERVE_ID; i++) {

            if (texts[i] && !(ctx->seen & (ngx_uint_t) 1 << i)) {
                ctx->texts[i].data = (u_char *) texts[i];
                ctx->texts[i].len = ngx_strlen(texts[i]);
            }
        }
    }

    /* the first three are what makes a serve */

    for (i = 0; i <= NGX_HTTP_REFINE_SERVE_ITEMS; i++) {
        if (ctx->texts[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "\"refine_serve %V\" needs \"%V=\", allowed: %s",
                               &ctx->type, &ngx_http_refine_conf_row(i)->name,
                               ngx_http_refine_conf_row(i)->allowed);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_preset(ngx_http_refine_conf_serve_t *ctx)
{
    ngx_str_t                       *text;
    ngx_uint_t                       i, n;
    const ngx_http_refine_preset_t  *preset;

    preset = NULL;

    for (i = 0; i < NGX_HTTP_REFINE_PRESETS; i++) {
        preset = &ngx_http_refine_conf_presets[i];

        if (ngx_strcmp(ctx->type.data, preset->type.data) == 0) {
            break;
        }
    }

    if (i == NGX_HTTP_REFINE_PRESETS) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "unknown type \"%V\" in \"refine_serve\", allowed: "
                           "search, recommendations, items, or off alone",
                           &ctx->type);
        return NGX_ERROR;
    }

    for (n = 0; n < NGX_HTTP_REFINE_SERVE_VALUES; n++) {
        text = &ctx->texts[n];
        text->data = (u_char *) preset->texts[n];
        text->len = ngx_strlen(preset->texts[n]);
    }

    ctx->serve->surface = ctx->texts[NGX_HTTP_REFINE_SERVE_SURFACE];
    ctx->serve->source = ctx->texts[NGX_HTTP_REFINE_SERVE_SOURCE];

    if (ctx->serve->surface.len == 0) {
        ngx_str_set(&ctx->serve->surface, "unknown");
        ngx_str_set(&ctx->serve->source, "unknown");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_parameter(ngx_http_refine_conf_serve_t *ctx,
    ngx_str_t *param)
{
    ngx_uint_t        i;
    const ngx_str_t  *name;

    if (ngx_http_refine_conf_starts(param, NGX_HTTP_REFINE_CONF_METADATA)) {
        return ngx_http_refine_conf_metadata(ctx, param);
    }

    for (i = 0; i < NGX_HTTP_REFINE_SERVE_VALUES; i++) {

        name = &ngx_http_refine_conf_row(i)->name;

        if (param->len <= name->len || param->data[name->len] != '='
            || ngx_strncmp(param->data, name->data, name->len) != 0)
        {
            continue;
        }

        if (ctx->seen & (ngx_uint_t) 1 << i) {
            return ngx_http_refine_conf_duplicate(ctx, param);
        }

        ctx->seen |= (ngx_uint_t) 1 << i;

        ctx->texts[i].data = param->data + name->len + 1;
        ctx->texts[i].len = param->len - name->len - 1;

        return NGX_OK;
    }

    return ngx_http_refine_conf_option(ctx, param);
}


/* what is no value */

static ngx_int_t
ngx_http_refine_conf_option(ngx_http_refine_conf_serve_t *ctx,
    ngx_str_t *param)
{
    size_t      len;
    ngx_str_t  *text;

    if (ngx_http_refine_conf_starts(param, "format=")) {
        text = &ctx->format;
        len = sizeof("format=") - 1;

    } else if (ngx_http_refine_conf_starts(param, "if=")) {
        text = &ctx->condition;
        len = sizeof("if=") - 1;

    } else if (ngx_http_refine_conf_starts(param, "cacheable=")) {
        text = &ctx->cacheable;
        len = sizeof("cacheable=") - 1;

    } else if (ngx_http_refine_conf_starts(param, "max_length=")) {
        text = &ctx->max_length;
        len = sizeof("max_length=") - 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "unknown parameter \"%V\" of \"refine_serve\", "
                           "allowed: surface=, source=, items=, total=, "
                           "query=, id=, anchor=, offset=, filters=, sort=, "
                           "metadata.NAME=, format=, if=, cacheable= and "
                           "max_length=", param);
        return NGX_ERROR;
    }

    if (text->data) {
        return ngx_http_refine_conf_duplicate(ctx, param);
    }

    text->data = param->data + len;
    text->len = param->len - len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_metadata(ngx_http_refine_conf_serve_t *ctx,
    ngx_str_t *param)
{
    u_char      *p, *last;
    ngx_str_t    name;
    ngx_uint_t   i;

    name.data = param->data + sizeof(NGX_HTTP_REFINE_CONF_METADATA) - 1;
    last = param->data + param->len;

    for (p = name.data; p < last && *p != '='; p++) {
        if (((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && (*p < '0' || *p > '9') && *p != '_' && *p != '-')
        {
            goto invalid;
        }
    }

    name.len = p - name.data;

    if (p == last || name.len == 0
        || name.len > NGX_HTTP_REFINE_CONF_MAX_NAME)
    {
        goto invalid;
    }

    for (i = 0; i < NGX_HTTP_REFINE_CONF_OWN; i++) {
        if (ngx_http_refine_conf_same(&name, &ngx_http_refine_conf_own[i])) {
            goto invalid;
        }
    }

    for (i = 0; i < ctx->nmetadata; i++) {
        if (ngx_http_refine_conf_same(&name, &ctx->names[i])) {
            return ngx_http_refine_conf_duplicate(ctx, param);
        }
    }

    if (ctx->nmetadata == NGX_HTTP_REFINE_SERVE_MAX_METADATA) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "too many members of metadata in \"refine_serve\" "
                           "with \"%V\", allowed: 16", param);
        return NGX_ERROR;
    }

    i = ctx->nmetadata++;

    ctx->names[i] = name;
    ctx->texts[NGX_HTTP_REFINE_SERVE_VALUES + i].data = p + 1;
    ctx->texts[NGX_HTTP_REFINE_SERVE_VALUES + i].len = last - (p + 1);

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                       "invalid parameter \"%V\" of \"refine_serve\", "
                       "allowed: metadata.NAME= with a name of 1 to 64 of "
                       "A-Z a-z 0-9 _ - that is not anchorId (anchor=), offset "
                       "(offset=), truncated or replayOf", param);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_duplicate(ngx_http_refine_conf_serve_t *ctx,
    ngx_str_t *param)
{
    ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                       "duplicate parameter \"%V\" of \"refine_serve\"", param);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_options(ngx_http_refine_conf_serve_t *ctx)
{
    off_t                          size;
    ngx_str_t                     *value;
    ngx_http_refine_serve_conf_t  *serve;

    serve = ctx->serve;
    serve->format = (ctx->format.data != NULL);

    value = &ctx->cacheable;

    if (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0) {
        serve->cacheable = 1;

    } else if (value->data
               && (value->len != 3 || ngx_strncmp(value->data, "off", 3) != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "invalid value \"%V\" of \"cacheable=\" in "
                           "\"refine_serve\", allowed: on or off", value);
        return NGX_ERROR;
    }

    value = &ctx->max_length;
    size = value->data ? ngx_parse_offset(value)
                       : NGX_HTTP_REFINE_CONF_MAX_LENGTH;

    if (size < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "invalid value \"%V\" of \"max_length=\" in "
                           "\"refine_serve\", allowed: a size from 1 on, such "
                           "as 512k or 8m", value);
        return NGX_ERROR;
    }

    serve->max_length = size;

    if (ctx->condition.data == NULL) {
        return NGX_OK;
    }

    serve->condition = ngx_http_refine_conf_if(ctx->cf, "refine_serve",
                                               &ctx->condition);

    return serve->condition ? NGX_OK : NGX_ERROR;
}


ngx_http_complex_value_t *
ngx_http_refine_conf_if(ngx_conf_t *cf, const char *directive, ngx_str_t *text)
{
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = cv;

    if (text->len && ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NULL;
    }

    /* what does not vary is more likely a forgotten $ than a wish */

    if (text->len == 0 || cv->lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"if=\" in "
                           "\"%s\", allowed: text with a variable; "
                           "empty or \"0\" is false", text, directive);
        return NULL;
    }

    return cv;
}
