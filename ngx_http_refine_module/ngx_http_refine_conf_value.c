
/* The values of refine_serve. */


#include "ngx_http_refine_conf.h"
#include "ngx_http_refine_conf_serve.h"


#define NGX_HTTP_REFINE_CONF_QUOTE      (size_t) 256
#define NGX_HTTP_REFINE_CONF_MAX_TOTAL  9007199254740991LL      /* 2^53 - 1 */

/* what a value may be */
#define NGX_HTTP_REFINE_CONF_TEXT       1
#define NGX_HTTP_REFINE_CONF_JSON       2
#define NGX_HTTP_REFINE_CONF_BODY       4
#define NGX_HTTP_REFINE_CONF_ANY        7


static ngx_int_t ngx_http_refine_conf_set(ngx_pool_t *pool,
    ngx_http_refine_conf_paths_t *paths);
static ngx_int_t ngx_http_refine_conf_value(ngx_http_refine_conf_serve_t *ctx,
    ngx_uint_t i);
static ngx_int_t ngx_http_refine_conf_text(ngx_http_refine_conf_serve_t *ctx,
    ngx_http_refine_value_t *value, ngx_str_t *text);
static ngx_int_t ngx_http_refine_conf_invalid(
    ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i, const char *error);
static ngx_int_t ngx_http_refine_conf_selectors(
    ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i,
    ngx_http_refine_conf_paths_t *paths);
static ngx_int_t ngx_http_refine_conf_selector(
    ngx_http_refine_conf_serve_t *ctx, ngx_http_refine_conf_paths_t *paths,
    ngx_http_refine_path_t *path, ngx_uint_t value, ngx_uint_t rank);
static ngx_int_t ngx_http_refine_conf_lists(ngx_http_refine_conf_serve_t *ctx);
static ngx_int_t ngx_http_refine_conf_literal(
    ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i);
static ngx_uint_t ngx_http_refine_conf_arg(ngx_str_t *text);


#define NGX_HTTP_REFINE_CONF_SOURCES  ", variables, json:PATH or body:PATH"


/* by ngx_http_refine_serve_value_e; the last row is that of metadata */

static const ngx_http_refine_conf_value_t  ngx_http_refine_conf_rows[] = {

    { ngx_string("surface"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_NAME,
      "1 to 64 bytes without control characters"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("source"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_NAME,
      "1 to 64 bytes without control characters"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("items"), NGX_HTTP_REFINE_CONF_JSON, 0, "json:PATH" },

    { ngx_string("total"), NGX_HTTP_REFINE_CONF_ANY, 0,
      "an integer from 0 to 9007199254740991"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("query"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_QUERY,
      "up to 1024 bytes without control characters"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("id"), NGX_HTTP_REFINE_CONF_JSON, 0,
      "json:PATH, or nothing: an id is made here" },

    { ngx_string("anchor"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_ID,
      "up to 256 bytes without control characters"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("offset"), NGX_HTTP_REFINE_CONF_ANY, 0,
      "an integer from 0 to 9007199254740991"
      NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("filters"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_TEXT,
      "up to 1024 bytes without control characters, JSON of up to 4096 bytes "
      "nested at most 5 deep" NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("sort"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_TEXT,
      "up to 1024 bytes without control characters, JSON of up to 4096 bytes "
      "nested at most 5 deep" NGX_HTTP_REFINE_CONF_SOURCES },

    { ngx_string("metadata.NAME"), NGX_HTTP_REFINE_CONF_ANY,
      NGX_HTTP_REFINE_EVENT_MAX_TEXT,
      "up to 1024 bytes without control characters, JSON of up to 4096 bytes "
      "nested at most 4 deep" NGX_HTTP_REFINE_CONF_SOURCES }
};


ngx_int_t
ngx_http_refine_conf_values(ngx_http_refine_conf_serve_t *ctx)
{
    ngx_uint_t                     i;
    ngx_http_refine_serve_conf_t  *serve;

    serve = ctx->serve;
    serve->nvalues = NGX_HTTP_REFINE_SERVE_VALUES + ctx->nmetadata;

    serve->values = ngx_pcalloc(ctx->cf->pool,
                            serve->nvalues * sizeof(ngx_http_refine_value_t));
    if (serve->values == NULL) {
        return NGX_ERROR;
    }

    /* what matches most often comes first in the set */

    if (ngx_http_refine_conf_value(ctx, NGX_HTTP_REFINE_SERVE_ITEMS)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < serve->nvalues; i++) {

        if (i == NGX_HTTP_REFINE_SERVE_ITEMS) {
            continue;
        }

        if (i >= NGX_HTTP_REFINE_SERVE_VALUES) {
            serve->values[i].name =
                                 ctx->names[i - NGX_HTTP_REFINE_SERVE_VALUES];
        }

        if (ngx_http_refine_conf_value(ctx, i) != NGX_OK) {
            return NGX_ERROR;
        }

        if (i >= NGX_HTTP_REFINE_SERVE_FILTERS && ctx->texts[i].len) {
            serve->extras = serve->nvalues - NGX_HTTP_REFINE_SERVE_FILTERS;
        }
    }

    if (serve->format && ngx_http_refine_conf_lists(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_refine_conf_set(ctx->cf->pool, &ctx->json) != NGX_OK
        || ngx_http_refine_conf_set(ctx->cf->pool, &ctx->body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_set(ngx_pool_t *pool, ngx_http_refine_conf_paths_t *paths)
{
    if (paths->n == 0) {
        return NGX_OK;
    }

    paths->selectors->paths = ngx_http_refine_path_set(pool, paths->paths,
                                                       paths->n);

    return paths->selectors->paths ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_conf_value(ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i)
{
    ngx_str_t                           *text;
    ngx_uint_t                           from;
    ngx_http_refine_value_t             *value;
    const ngx_http_refine_conf_value_t  *row;

    text = &ctx->texts[i];
    value = &ctx->serve->values[i];
    row = ngx_http_refine_conf_row(i);

    if (text->len == 0) {
        value->from = NGX_HTTP_REFINE_VALUE_NONE;
        return NGX_OK;
    }

    from = ngx_http_refine_conf_starts(text, "json:")
               ? NGX_HTTP_REFINE_CONF_JSON
           : ngx_http_refine_conf_starts(text, "body:")
               ? NGX_HTTP_REFINE_CONF_BODY : NGX_HTTP_REFINE_CONF_TEXT;

    if (!(row->from & from)) {
        return ngx_http_refine_conf_invalid(ctx, i, NULL);
    }

    if (from == NGX_HTTP_REFINE_CONF_JSON) {
        value->from = NGX_HTTP_REFINE_VALUE_JSON;
        return ngx_http_refine_conf_selectors(ctx, i, &ctx->json);
    }

    if (from == NGX_HTTP_REFINE_CONF_BODY) {
        value->from = NGX_HTTP_REFINE_VALUE_BODY;
        return ngx_http_refine_conf_selectors(ctx, i, &ctx->body);
    }

    if (ngx_http_refine_conf_text(ctx, value, text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value->text->lengths == NULL) {
        return ngx_http_refine_conf_literal(ctx, i);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_text(ngx_http_refine_conf_serve_t *ctx,
    ngx_http_refine_value_t *value, ngx_str_t *text)
{
    ngx_http_compile_complex_value_t  ccv;

    value->text = ngx_palloc(ctx->cf->pool, sizeof(ngx_http_complex_value_t));
    if (value->text == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = ctx->cf;
    ccv.value = text;
    ccv.complex_value = value->text;

    value->from = ngx_http_refine_conf_arg(text) ? NGX_HTTP_REFINE_VALUE_ARG
                                                 : NGX_HTTP_REFINE_VALUE_TEXT;

    return ngx_http_compile_complex_value(&ccv);
}


/* error: of a selector, else NULL */

static ngx_int_t
ngx_http_refine_conf_invalid(ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i,
    const char *error)
{
    ngx_str_t                           *text, name;
    const ngx_http_refine_conf_value_t  *row;

    text = &ctx->texts[i];
    row = ngx_http_refine_conf_row(i);

    /* as it was written: text is what follows it in the parameter */

    name = row->name;

    if (i >= NGX_HTTP_REFINE_SERVE_VALUES) {
        name.len = sizeof(NGX_HTTP_REFINE_CONF_METADATA) - 1
                   + ctx->names[i - NGX_HTTP_REFINE_SERVE_VALUES].len;
        name.data = text->data - 1 - name.len;
    }

    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "invalid selector \"%V\" of \"%V=\" in "
                           "\"refine_serve\": %s", text, &name, error);
        return NGX_ERROR;
    }

    /* nginx cuts long messages: what is allowed has to be left */

    ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                       "invalid value \"%*s%s\" of \"%V=\" in "
                       "\"refine_serve\", allowed: %s",
                       ngx_min(text->len, NGX_HTTP_REFINE_CONF_QUOTE),
                       text->data,
                       text->len > NGX_HTTP_REFINE_CONF_QUOTE ? "..." : "",
                       &name, row->allowed);

    return NGX_ERROR;
}


/* json:PATH|json:PATH: what stands first comes first */

static ngx_int_t
ngx_http_refine_conf_selectors(ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i,
    ngx_http_refine_conf_paths_t *paths)
{
    u_char                  *p, *end, *last;
    ngx_str_t                path;
    ngx_uint_t               rank, quoted;
    const char              *error;
    ngx_http_refine_path_t  *compiled;

    p = ctx->texts[i].data;
    last = p + ctx->texts[i].len;

    for (rank = 0; p < last; rank++) {

        /* "json:" and "body:" are of one length */

        path.data = p + 5;
        quoted = 0;

        for (end = path.data; end < last; end++) {

            if (*end == '"') {
                quoted = !quoted;

            } else if (*end == '\\' && quoted && end + 1 < last) {
                end++;

            } else if (*end == '|' && !quoted && last - end > 5
                       && ngx_strncmp(end + 1, ctx->texts[i].data, 5) == 0)
            {
                break;
            }
        }

        path.len = end - path.data;
        p = (end < last) ? end + 1 : last;

        error = ngx_http_refine_path_compile(ctx->cf->pool, &path, &compiled);

        if (error) {
            return ngx_http_refine_conf_invalid(ctx, i, error);
        }

        if (ngx_http_refine_conf_selector(ctx, paths, compiled, i, rank)
            != NGX_OK)
        {
            return ngx_http_refine_conf_invalid(ctx, i,
                           "there are too many selectors, at most 30 of json: "
                           "and 30 of body: are allowed");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_conf_selector(ngx_http_refine_conf_serve_t *ctx,
    ngx_http_refine_conf_paths_t *paths, ngx_http_refine_path_t *path,
    ngx_uint_t value, ngx_uint_t rank)
{
    ngx_http_refine_selector_t  *selector;

    if (paths->n == NGX_HTTP_REFINE_PATH_MAX_SET) {
        return NGX_DECLINED;
    }

    selector = &paths->selectors->selectors[paths->n];
    selector->value = (uint8_t) value;
    selector->rank = (uint8_t) rank;

    paths->paths[paths->n++] = path;

    return NGX_OK;
}


/*
 * Of a response in a known format one of the lists that the items are in has to
 * be there, or the total; else it is an error.
 */

static ngx_int_t
ngx_http_refine_conf_lists(ngx_http_refine_conf_serve_t *ctx)
{
    ngx_uint_t               i, n;
    ngx_http_refine_path_t  *list;

    n = ctx->json.n;

    for (i = 0; i < n; i++) {

        if (ctx->serve->json.selectors[i].value != NGX_HTTP_REFINE_SERVE_ITEMS)
        {
            continue;
        }

        list = ngx_http_refine_path_list(ctx->cf->pool, ctx->json.paths[i]);

        if (list == NULL) {
            ctx->serve->format = 0;
            return NGX_OK;
        }

        if (ngx_http_refine_conf_selector(ctx, &ctx->json, list,
                                          NGX_HTTP_REFINE_SERVE_LIST, 0)
            != NGX_OK)
        {
            return ngx_http_refine_conf_invalid(ctx,
                           NGX_HTTP_REFINE_SERVE_ITEMS,
                           "with a format there are too many selectors, at "
                           "most 30 of json: are allowed");
        }
    }

    return NGX_OK;
}


/* a value without variables can be checked once and for all */

static ngx_int_t
ngx_http_refine_conf_literal(ngx_http_refine_conf_serve_t *ctx, ngx_uint_t i)
{
    off_t                                total;
    ngx_str_t                           *text;
    ngx_uint_t                           n;
    const ngx_http_refine_conf_value_t  *row;

    text = &ctx->texts[i];
    row = ngx_http_refine_conf_row(i);

    if (row->max == 0) {
        total = ngx_atoof(text->data, text->len);

        if (total < 0 || total > NGX_HTTP_REFINE_CONF_MAX_TOTAL) {
            return ngx_http_refine_conf_invalid(ctx, i, NULL);
        }

        return NGX_OK;
    }

    if (i >= NGX_HTTP_REFINE_SERVE_FILTERS
        && (text->data[0] == '{' || text->data[0] == '['))
    {
        if (ngx_http_refine_event_extra_check(ctx->cf->temp_pool, text,
                                      i >= NGX_HTTP_REFINE_SERVE_VALUES)
            != NGX_OK)
        {
            return ngx_http_refine_conf_invalid(ctx, i, NULL);
        }

        return NGX_OK;
    }

    if (text->len > row->max) {
        return ngx_http_refine_conf_invalid(ctx, i, NULL);
    }

    for (n = 0; n < text->len; n++) {
        if (text->data[n] < 0x20 || text->data[n] == 0x7f) {
            return ngx_http_refine_conf_invalid(ctx, i, NULL);
        }
    }

    return NGX_OK;
}


const ngx_http_refine_conf_value_t *
ngx_http_refine_conf_row(ngx_uint_t i)
{
    return &ngx_http_refine_conf_rows[ngx_min(i, NGX_HTTP_REFINE_SERVE_VALUES)];
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
