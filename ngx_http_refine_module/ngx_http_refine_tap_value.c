
#include "ngx_http_refine_tap_value.h"
#include "ngx_http_refine_serve.h"


#define NGX_HTTP_REFINE_TAP_VALUE_MAX_BYTES  (64 * 1024)        /* of ids */
#define NGX_HTTP_REFINE_TAP_VALUE_MAX_RAW    (6 * 1024) /* one, as written */
#define NGX_HTTP_REFINE_TAP_VALUE_MAX_TOTAL  9007199254740991LL /* 2^53 - 1 */


static ngx_int_t ngx_http_refine_tap_value_match(void *data,
    ngx_uint_t selector, ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_tap_value_item(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_value_t *value);
static u_char *ngx_http_refine_tap_value_room(
    ngx_http_refine_tap_value_t *values, size_t len);
static ngx_int_t ngx_http_refine_tap_value_text(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_value_t *value,
    ngx_str_t *text);
static int64_t ngx_http_refine_tap_value_total(ngx_str_t *text);


void
ngx_http_refine_tap_value_init(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf)
{
    ngx_memzero(values, offsetof(ngx_http_refine_tap_value_t, items));

    values->catalog = conf->catalog;
    values->conf = conf->serve;
    values->pool = r->pool;
    values->serve.total = -1;

    (void) ngx_http_refine_set_init(&values->items, r->pool, 0);

    ngx_http_refine_path_init(&values->match, conf->serve->paths, r->pool,
                              NGX_HTTP_REFINE_JSON_BOM
                              |NGX_HTTP_REFINE_JSON_LOOSE,
                              NGX_HTTP_REFINE_TAP_VALUE_MAX_RAW,
                              ngx_http_refine_tap_value_match, values);
}


ngx_int_t
ngx_http_refine_tap_value_feed(ngx_http_refine_tap_value_t *values, u_char *p,
    size_t len)
{
    if (ngx_http_refine_path_feed(&values->match, p, len) != NGX_OK) {
        return NGX_DECLINED;
    }

    return values->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_refine_tap_value_finish(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r)
{
    ngx_str_t                       total;
    ngx_http_refine_value_t        *value;
    ngx_http_refine_event_serve_t  *serve;

    if (ngx_http_refine_path_end(&values->match) != NGX_OK) {
        return NGX_DECLINED;
    }

    serve = &values->serve;
    value = values->conf->values;

#define ngx_http_refine_tap_value_eval(i, to)                                 \
    (value[i].from != NGX_HTTP_REFINE_VALUE_JSON                              \
     && ngx_http_refine_serve_text(r, values->catalog, &value[i], to) != NGX_OK)

    ngx_str_null(&total);

    if (ngx_http_refine_tap_value_eval(NGX_HTTP_REFINE_SERVE_SURFACE,
                                       &serve->surface)
        || ngx_http_refine_tap_value_eval(NGX_HTTP_REFINE_SERVE_SOURCE,
                                          &serve->source)
        || ngx_http_refine_tap_value_eval(NGX_HTTP_REFINE_SERVE_QUERY,
                                          &serve->query)
        || ngx_http_refine_tap_value_eval(NGX_HTTP_REFINE_SERVE_ANCHOR,
                                          &serve->anchor)
        || ngx_http_refine_tap_value_eval(NGX_HTTP_REFINE_SERVE_TOTAL, &total))
    {
        return NGX_ERROR;
    }

#undef ngx_http_refine_tap_value_eval

    if (serve->surface.len == 0) {
        serve->surface = values->conf->surface;
    }

    if (serve->source.len == 0) {
        serve->source = values->conf->source;
    }

    if (total.len) {
        serve->total = ngx_http_refine_tap_value_total(&total);
    }

    serve->items = values->items.strings;
    serve->nitems = values->items.nstrings;

    return NGX_OK;
}


/* a selector has matched; of all values but the items the first one counts */

static ngx_int_t
ngx_http_refine_tap_value_match(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    ngx_http_refine_tap_value_t *values = data;

    ngx_int_t   rc;
    ngx_uint_t  i;

    if (value->kind != NGX_HTTP_REFINE_JSON_STRING
        && value->kind != NGX_HTTP_REFINE_JSON_NUMBER)
    {
        return NGX_OK;
    }

    i = values->conf->selectors[selector];

    if (i == NGX_HTTP_REFINE_SERVE_ITEMS) {
        rc = ngx_http_refine_tap_value_item(values, value);
        goto done;
    }

    if (values->found & 1 << i) {
        return NGX_OK;
    }

    values->found |= 1 << i;
    rc = NGX_OK;

    switch (i) {

    case NGX_HTTP_REFINE_SERVE_SURFACE:
        rc = ngx_http_refine_tap_value_text(values, value,
                                            &values->serve.surface);
        break;

    case NGX_HTTP_REFINE_SERVE_SOURCE:
        rc = ngx_http_refine_tap_value_text(values, value,
                                            &values->serve.source);
        break;

    case NGX_HTTP_REFINE_SERVE_QUERY:
        rc = ngx_http_refine_tap_value_text(values, value,
                                            &values->serve.query);
        break;

    case NGX_HTTP_REFINE_SERVE_ANCHOR:
        rc = ngx_http_refine_tap_value_text(values, value,
                                            &values->serve.anchor);
        break;

    default: /* NGX_HTTP_REFINE_SERVE_TOTAL */
        if (value->kind == NGX_HTTP_REFINE_JSON_NUMBER) {
            values->serve.total = ngx_http_refine_tap_value_total(&value->text);
        }
    }

done:

    if (rc != NGX_OK) {
        values->failed = 1;
    }

    return rc;
}


/*
 * Ids that could not be an itemId of a click are left out.  Beyond a limit
 * nothing more is taken, so that the places of the others stay.
 */

static ngx_int_t
ngx_http_refine_tap_value_item(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_value_t *value)
{
    size_t      i, len;
    u_char     *p, *text;
    ngx_int_t   rc;

    len = value->text.len;

    if (values->serve.truncated || value->too_long || value->bad
        || len == 0 || len > NGX_HTTP_REFINE_EVENT_MAX_ID)
    {
        return NGX_OK;
    }

    p = ngx_http_refine_tap_value_room(values, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text = value->text.data;

    for (i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f) {
            return NGX_OK;
        }
    }

    ngx_memcpy(p, text, len);

    rc = ngx_http_refine_set_add(&values->items, p, len);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (values->items.nstrings > NGX_HTTP_REFINE_EVENT_MAX_ITEMS
        || len > NGX_HTTP_REFINE_TAP_VALUE_MAX_BYTES - values->bytes)
    {
        values->items.nstrings--;
        values->serve.truncated = 1;
        return NGX_OK;
    }

    values->pos += len;
    values->bytes += len;

    return NGX_OK;
}


/* len bytes at values->pos, which stay free until it is moved */

static u_char *
ngx_http_refine_tap_value_room(ngx_http_refine_tap_value_t *values, size_t len)
{
    size_t  size;

    if ((size_t) (values->end - values->pos) >= len) {
        return values->pos;
    }

    size = ngx_max(ngx_max(len, 256), ngx_min(values->bytes, 8192));

    values->pos = ngx_pnalloc(values->pool, size);

    if (values->pos == NULL) {
        values->end = NULL;
        return NULL;
    }

    values->end = values->pos + size;

    return values->pos;
}


/* a copy of a value that is a text; a NUL is none, as in serve_text() */

static ngx_int_t
ngx_http_refine_tap_value_text(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_value_t *value, ngx_str_t *text)
{
    if (value->too_long || value->text.len == 0) {
        return NGX_OK;
    }

    if (value->bad
        || memchr(value->text.data, '\0', value->text.len) != NULL)
    {
        ngx_http_refine_serve_count(values->catalog,
                                    NGX_HTTP_REFINE_SERVES_NOT_UTF8);
        return NGX_OK;
    }

    text->data = ngx_pnalloc(values->pool, value->text.len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, value->text.data, value->text.len);
    text->len = value->text.len;

    return NGX_OK;
}


/* -1 when it is no integer from 0 on; 1e2 and 12.0 are */

static int64_t
ngx_http_refine_tap_value_total(ngx_str_t *text)
{
    char    *end, number[32];
    double   d;

    if (text->len == 0 || text->len >= sizeof(number)) {
        return -1;
    }

    ngx_memcpy(number, text->data, text->len);
    number[text->len] = '\0';

    /* strtod() knows more than decimal numbers */

    if (strspn(number, "0123456789.eE+-") != text->len) {
        return -1;
    }

    d = strtod(number, &end);

    if (*end != '\0' || d < 0 || d > NGX_HTTP_REFINE_TAP_VALUE_MAX_TOTAL
        || d != (double) (int64_t) d)
    {
        return -1;
    }

    return (int64_t) d;
}
