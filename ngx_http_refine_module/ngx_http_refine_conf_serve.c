
/* The directive refine_serve. */


#include "ngx_http_refine_conf.h"


#define NGX_HTTP_REFINE_CONF_QUOTE       (size_t) 256
#define NGX_HTTP_REFINE_CONF_MAX_TOTAL   9007199254740991LL     /* 2^53 - 1 */
#define NGX_HTTP_REFINE_CONF_MAX_LENGTH  (8 * 1024 * 1024)


typedef struct {
    ngx_str_t    type;
    const char  *texts[NGX_HTTP_REFINE_SERVE_VALUES];
} ngx_http_refine_preset_t;


/* the selectors of one refine_serve while it is read */

typedef struct {
    ngx_http_refine_path_t  *paths[NGX_HTTP_REFINE_SERVE_VALUES];
    ngx_uint_t               n;
} ngx_http_refine_selectors_t;


static ngx_int_t ngx_http_refine_conf_serve_texts(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *texts);
static const ngx_http_refine_preset_t *ngx_http_refine_conf_preset(
    ngx_conf_t *cf, ngx_str_t *type);
static ngx_int_t ngx_http_refine_conf_parameter(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *value, ngx_str_t *texts,
    ngx_uint_t *seen);
static ngx_int_t ngx_http_refine_conf_duplicate(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_refine_conf_max_length(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *value);
static ngx_int_t ngx_http_refine_conf_value(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_uint_t i, ngx_str_t *text,
    ngx_http_refine_selectors_t *selectors);
static ngx_int_t ngx_http_refine_conf_json(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_uint_t i, ngx_str_t *text,
    ngx_http_refine_selectors_t *selectors);
static ngx_int_t ngx_http_refine_conf_literal(ngx_uint_t i, ngx_str_t *text);
static ngx_uint_t ngx_http_refine_conf_arg(ngx_str_t *text);


/* by ngx_http_refine_serve_value_e */

static const ngx_str_t  ngx_http_refine_conf_names[] = {
    ngx_string("surface"),
    ngx_string("source"),
    ngx_string("items"),
    ngx_string("total"),
    ngx_string("query"),
    ngx_string("anchor")
};


static const char  *ngx_http_refine_conf_allowed[] = {
    "1 to 64 bytes without control characters, variables or json:PATH",
    "1 to 64 bytes without control characters, variables or json:PATH",
    "json:PATH",
    "an integer from 0 to 9007199254740991, variables or json:PATH",
    "up to 1024 bytes without control characters, variables or json:PATH",
    "up to 256 bytes without control characters, variables or json:PATH"
};


static const ngx_http_refine_preset_t  ngx_http_refine_conf_presets[] = {

    { ngx_string("search"),
      { "search_results", "text-search", "json:results[].productId",
        "json:totalResults", "$arg_q", "" } },

    { ngx_string("recommendations"),
      { "product_page", "similar-items", "json:results[].productId",
        "", "", "$arg_productId" } },

    { ngx_string("items"),
      { "", "", "json:results[].productId", "", "", "" } }
};

#define NGX_HTTP_REFINE_PRESETS                                               \
    (sizeof(ngx_http_refine_conf_presets)                                     \
     / sizeof(ngx_http_refine_conf_presets[0]))


char *
ngx_http_refine_conf_serve(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *rlcf = conf;

    ngx_str_t                     *value, texts[NGX_HTTP_REFINE_SERVE_VALUES];
    ngx_uint_t                     i;
    ngx_http_refine_main_conf_t   *rmcf;
    ngx_http_refine_selectors_t    selectors;
    ngx_http_refine_serve_conf_t  *serve;

    if (rlcf->serve != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->serve = NULL;
        return NGX_CONF_OK;
    }

    serve = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_serve_conf_t));
    if (serve == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_refine_conf_serve_texts(cf, serve, texts) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    selectors.n = 0;

    for (i = 0; i < NGX_HTTP_REFINE_SERVE_VALUES; i++) {
        if (ngx_http_refine_conf_value(cf, serve, i, &texts[i], &selectors)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    serve->paths = ngx_http_refine_path_set(cf->pool, selectors.paths,
                                            selectors.n);
    if (serve->paths == NULL) {
        return NGX_CONF_ERROR;
    }

    rlcf->serve = serve;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);
    rmcf->serves = 1;

    return NGX_CONF_OK;
}


/* the text of each value: the directive's, else the preset's */

static ngx_int_t
ngx_http_refine_conf_serve_texts(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *texts)
{
    ngx_str_t                       *value;
    ngx_uint_t                       i, seen;
    const ngx_http_refine_preset_t  *preset;

    value = cf->args->elts;
    seen = 0;

    preset = ngx_http_refine_conf_preset(cf, &value[1]);
    if (preset == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_REFINE_SERVE_VALUES; i++) {
        texts[i].data = (u_char *) preset->texts[i];
        texts[i].len = ngx_strlen(preset->texts[i]);
    }

    serve->surface = texts[NGX_HTTP_REFINE_SERVE_SURFACE];
    serve->source = texts[NGX_HTTP_REFINE_SERVE_SOURCE];

    if (serve->surface.len == 0) {
        ngx_str_set(&serve->surface, "unknown");
        ngx_str_set(&serve->source, "unknown");
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_refine_conf_parameter(cf, serve, &value[i], texts, &seen)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (serve->max_length == 0) {
        serve->max_length = NGX_HTTP_REFINE_CONF_MAX_LENGTH;
    }

    /* the first three are what makes a serve */

    for (i = 0; i <= NGX_HTTP_REFINE_SERVE_ITEMS; i++) {
        if (texts[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"refine_serve %V\" needs \"%V=\", allowed: %s",
                               &value[1], &ngx_http_refine_conf_names[i],
                               ngx_http_refine_conf_allowed[i]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static const ngx_http_refine_preset_t *
ngx_http_refine_conf_preset(ngx_conf_t *cf, ngx_str_t *type)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_REFINE_PRESETS; i++) {
        if (ngx_strcmp(type->data, ngx_http_refine_conf_presets[i].type.data)
            == 0)
        {
            return &ngx_http_refine_conf_presets[i];
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown type \"%V\" in \"refine_serve\", allowed: "
                       "search, recommendations, items, or off alone", type);

    return NULL;
}


static ngx_int_t
ngx_http_refine_conf_parameter(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *value, ngx_str_t *texts,
    ngx_uint_t *seen)
{
    ngx_uint_t        i;
    const ngx_str_t  *name;

    if (value->len >= 11 && ngx_strncmp(value->data, "max_length=", 11) == 0) {
        return ngx_http_refine_conf_max_length(cf, serve, value);
    }

    for (i = 0; i < NGX_HTTP_REFINE_SERVE_VALUES; i++) {

        name = &ngx_http_refine_conf_names[i];

        if (value->len <= name->len || value->data[name->len] != '='
            || ngx_strncmp(value->data, name->data, name->len) != 0)
        {
            continue;
        }

        if (*seen & ((ngx_uint_t) 1 << i)) {
            return ngx_http_refine_conf_duplicate(cf, value);
        }

        *seen |= (ngx_uint_t) 1 << i;

        texts[i].data = value->data + name->len + 1;
        texts[i].len = value->len - name->len - 1;

        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of \"refine_serve\", allowed: "
                       "surface=, source=, items=, total=, query=, anchor= "
                       "and max_length=", value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_duplicate(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "duplicate parameter \"%V\" of \"refine_serve\"",
                       value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_max_length(ngx_conf_t *cf,
    ngx_http_refine_serve_conf_t *serve, ngx_str_t *value)
{
    off_t      size;
    ngx_str_t  text;

    if (serve->max_length) {
        return ngx_http_refine_conf_duplicate(cf, value);
    }

    text.data = value->data + sizeof("max_length=") - 1;
    text.len = value->len - (sizeof("max_length=") - 1);

    size = ngx_parse_offset(&text);

    if (size < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"max_length=\" in "
                           "\"refine_serve\", allowed: a size from 1 on, such "
                           "as 512k or 8m", &text);
        return NGX_ERROR;
    }

    serve->max_length = size;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_value(ngx_conf_t *cf, ngx_http_refine_serve_conf_t *serve,
    ngx_uint_t i, ngx_str_t *text, ngx_http_refine_selectors_t *selectors)
{
    ngx_http_refine_value_t           *value;
    ngx_http_compile_complex_value_t   ccv;

    value = &serve->values[i];

    if (text->len == 0) {
        value->from = NGX_HTTP_REFINE_VALUE_NONE;
        return NGX_OK;
    }

    if (text->len >= 5 && ngx_strncmp(text->data, "json:", 5) == 0) {
        return ngx_http_refine_conf_json(cf, serve, i, text, selectors);
    }

    if (i == NGX_HTTP_REFINE_SERVE_ITEMS
        || (text->len >= 5 && ngx_strncmp(text->data, "body:", 5) == 0))
    {
        goto invalid;
    }

    value->text = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value->text == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value->text;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    value->from = ngx_http_refine_conf_arg(text) ? NGX_HTTP_REFINE_VALUE_ARG
                                                 : NGX_HTTP_REFINE_VALUE_TEXT;

    if (value->text->lengths == NULL
        && ngx_http_refine_conf_literal(i, text) != NGX_OK)
    {
        goto invalid;
    }

    return NGX_OK;

invalid:

    /* nginx cuts long messages: what is allowed has to be left */

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%*s%s\" of \"%V=\" in "
                       "\"refine_serve\", allowed: %s",
                       ngx_min(text->len, NGX_HTTP_REFINE_CONF_QUOTE),
                       text->data,
                       text->len > NGX_HTTP_REFINE_CONF_QUOTE ? "..." : "",
                       &ngx_http_refine_conf_names[i],
                       ngx_http_refine_conf_allowed[i]);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_json(ngx_conf_t *cf, ngx_http_refine_serve_conf_t *serve,
    ngx_uint_t i, ngx_str_t *text, ngx_http_refine_selectors_t *selectors)
{
    ngx_str_t    path;
    const char  *error;

    path.data = text->data + 5;
    path.len = text->len - 5;

    error = ngx_http_refine_path_compile(cf->pool, &path,
                                         &selectors->paths[selectors->n]);
    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid selector \"%V\" of \"%V=\" in "
                           "\"refine_serve\": %s",
                           text, &ngx_http_refine_conf_names[i], error);
        return NGX_ERROR;
    }

    serve->selectors[selectors->n++] = i;
    serve->values[i].from = NGX_HTTP_REFINE_VALUE_JSON;

    return NGX_OK;
}


/* a value without variables can be checked once and for all */

static ngx_int_t
ngx_http_refine_conf_literal(ngx_uint_t i, ngx_str_t *text)
{
    off_t       total;
    size_t      max;
    ngx_uint_t  n;

    switch (i) {

    case NGX_HTTP_REFINE_SERVE_TOTAL:
        total = ngx_atoof(text->data, text->len);

        return (total < 0 || total > NGX_HTTP_REFINE_CONF_MAX_TOTAL)
               ? NGX_DECLINED : NGX_OK;

    case NGX_HTTP_REFINE_SERVE_QUERY:
        max = NGX_HTTP_REFINE_EVENT_MAX_QUERY;
        break;

    case NGX_HTTP_REFINE_SERVE_ANCHOR:
        max = NGX_HTTP_REFINE_EVENT_MAX_ID;
        break;

    default: /* surface, source */
        max = NGX_HTTP_REFINE_EVENT_MAX_NAME;
        break;
    }

    if (text->len > max) {
        return NGX_DECLINED;
    }

    for (n = 0; n < text->len; n++) {
        if (text->data[n] < 0x20 || text->data[n] == 0x7f) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* exactly one $arg_NAME or ${arg_NAME} */

static ngx_uint_t
ngx_http_refine_conf_arg(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    if (text->len > 7 && p[1] == '{' && last[-1] == '}') {
        p++;
        last--;
    }

    p++;

    if (text->data[0] != '$' || last - p < 5
        || ngx_strncasecmp(p, (u_char *) "arg_", 4) != 0)
    {
        return 0;
    }

    for (p += 4; p < last; p++) {
        if (((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && (*p < '0' || *p > '9') && *p != '_')
        {
            return 0;
        }
    }

    return 1;
}
