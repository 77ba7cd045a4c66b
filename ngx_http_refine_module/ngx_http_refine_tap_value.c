
#include "ngx_http_refine_tap_value.h"
#include "ngx_http_refine_body.h"
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_serve.h"


#define NGX_HTTP_REFINE_TAP_VALUE_MAX_RAW    (6 * 1024) /* one, as written */
#define NGX_HTTP_REFINE_TAP_VALUE_MAX_TOTAL  9007199254740991LL /* 2^53 - 1 */

/* of a request's body, and of an object or array as written */
#define NGX_HTTP_REFINE_TAP_VALUE_MAX_BODY   (256 * 1024)
#define NGX_HTTP_REFINE_TAP_VALUE_MAX_JSON                                    \
    (2 * NGX_HTTP_REFINE_EVENT_MAX_JSON)


/* of the request's body while it is read */

typedef struct {
    ngx_http_refine_tap_value_t   *values;
    ngx_http_refine_path_match_t   match;
} ngx_http_refine_tap_body_t;


static void ngx_http_refine_tap_value_clear(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_loc_conf_t *conf,
    ngx_pool_t *pool);
static void ngx_http_refine_tap_value_body(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf);
static ngx_int_t ngx_http_refine_tap_value_piece(void *data, u_char *p,
    size_t len);
static void ngx_http_refine_tap_value_capture(
    ngx_http_refine_tap_value_t *values, u_char *p, size_t len);
static void ngx_http_refine_tap_value_captured(
    ngx_http_refine_tap_value_t *values);
static ngx_int_t ngx_http_refine_tap_value_match(void *data,
    ngx_uint_t selector, ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_tap_value_body_match(void *data,
    ngx_uint_t selector, ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_tap_value_take(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_match_t *match,
    ngx_http_refine_selector_t *selector, ngx_http_refine_path_value_t *value);
static ngx_uint_t ngx_http_refine_tap_value_kinds(ngx_uint_t i);
static ngx_int_t ngx_http_refine_tap_value_nested(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_match_t *match,
    ngx_uint_t i);
static void ngx_http_refine_tap_value_set(ngx_http_refine_tap_value_t *values,
    ngx_uint_t i, ngx_str_t *text, ngx_uint_t json);
static ngx_int_t ngx_http_refine_tap_value_item(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_value_t *value,
    ngx_uint_t rank);
static ngx_int_t ngx_http_refine_tap_value_list(
    ngx_http_refine_tap_value_t *values, ngx_uint_t rank);
static ngx_int_t ngx_http_refine_tap_value_id(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_tap_value_text(
    ngx_http_refine_tap_value_t *values, ngx_http_refine_path_value_t *value,
    ngx_str_t *text);
static int64_t ngx_http_refine_tap_value_integer(ngx_str_t *text);


void
ngx_http_refine_tap_value_init(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf)
{
    ngx_http_refine_tap_value_clear(values, conf, r->pool);

    if (conf->serve->body.paths) {
        ngx_http_refine_tap_value_body(values, r, conf);
    }

    ngx_http_refine_items_init(&values->items, r->pool);

    ngx_http_refine_path_init(&values->match, conf->serve->json.paths, r->pool,
                              NGX_HTTP_REFINE_JSON_BOM
                              |NGX_HTTP_REFINE_JSON_LOOSE,
                              NGX_HTTP_REFINE_TAP_VALUE_MAX_RAW,
                              ngx_http_refine_tap_value_match, values);
}


static void
ngx_http_refine_tap_value_clear(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_loc_conf_t *conf, ngx_pool_t *pool)
{
    ngx_uint_t                      i, n;
    ngx_http_refine_value_t        *value;
    ngx_http_refine_event_serve_t  *serve;
    ngx_http_refine_event_extra_t  *extras;

    ngx_memzero(values, offsetof(ngx_http_refine_tap_value_t, items));

    values->catalog = conf->catalog;
    values->conf = conf->serve;
    values->pool = pool;

    serve = &values->serve;
    serve->total = -1;
    serve->offset = -1;

    n = conf->serve->extras;

    if (n == 0) {
        return;
    }

    extras = ngx_pcalloc(pool, n * sizeof(ngx_http_refine_event_extra_t));
    if (extras == NULL) {
        values->failed = 1;
        return;
    }

    value = &conf->serve->values[NGX_HTTP_REFINE_SERVE_FILTERS];

    for (i = 0; i < n; i++) {
        extras[i].name = value[i].name;
    }

    /* in the order of ngx_http_refine_serve_value_e */

    values->extras = extras;
    serve->filters = &extras[0];
    serve->sort = &extras[1];
    serve->metadata = &extras[2];
    serve->nmetadata = n - 2;
}


static void
ngx_http_refine_tap_value_body(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r, ngx_http_refine_loc_conf_t *conf)
{
    ngx_int_t                   rc;
    ngx_http_refine_tap_body_t  body;

    if (values->failed) {
        return;
    }

    body.values = values;

    ngx_http_refine_path_init(&body.match, conf->serve->body.paths, r->pool, 0,
                              NGX_HTTP_REFINE_TAP_VALUE_MAX_RAW,
                              ngx_http_refine_tap_value_body_match, &body);

    rc = ngx_http_refine_body_walk(r, NGX_HTTP_REFINE_TAP_VALUE_MAX_BODY,
                                   ngx_http_refine_tap_value_piece, &body);

    if (rc == NGX_OK) {
        rc = ngx_http_refine_path_end(&body.match);
    }

    if (rc == NGX_OK || rc == NGX_DONE || values->failed) {
        return;
    }

    /* what was found before the mistake does not count either */

    ngx_http_refine_tap_value_clear(values, conf, r->pool);

    ngx_http_refine_serve_count(values->catalog, NGX_HTTP_REFINE_SERVES_BODY);
}


static ngx_int_t
ngx_http_refine_tap_value_piece(void *data, u_char *p, size_t len)
{
    ngx_http_refine_tap_body_t *body = data;

    ngx_http_refine_tap_value_capture(body->values, p, len);

    return ngx_http_refine_path_feed(&body->match, p, len);
}


ngx_int_t
ngx_http_refine_tap_value_feed(ngx_http_refine_tap_value_t *values, u_char *p,
    size_t len)
{
    ngx_http_refine_tap_value_capture(values, p, len);

    if (ngx_http_refine_path_feed(&values->match, p, len) != NGX_OK) {
        return NGX_DECLINED;
    }

    return values->failed ? NGX_ERROR : NGX_OK;
}


/* objects and arrays that began in an earlier piece */

static void
ngx_http_refine_tap_value_capture(ngx_http_refine_tap_value_t *values,
    u_char *p, size_t len)
{
    ngx_uint_t  i;

    if (values->captures == NULL) {
        return;
    }

    for (i = 0; i < values->conf->extras; i++) {
        ngx_http_refine_capture_feed(&values->captures[i], p, p + len);
    }
}


ngx_int_t
ngx_http_refine_tap_value_end(ngx_http_refine_tap_value_t *values)
{
    if (ngx_http_refine_path_end(&values->match) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (values->failed) {
        return NGX_ERROR;
    }

    if (values->conf->format && !values->list) {
        return NGX_ABORT;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_tap_value_finish(ngx_http_refine_tap_value_t *values,
    ngx_http_request_t *r)
{
    ngx_str_t                       text;
    ngx_uint_t                      i;
    ngx_http_refine_value_t        *value;
    ngx_http_refine_event_serve_t  *serve;

    ngx_http_refine_tap_value_captured(values);

    serve = &values->serve;
    value = values->conf->values;

    for (i = 0; i < values->conf->nvalues; i++) {

        if (ngx_http_refine_serve_text(r, values->catalog, &value[i], &text)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (text.len) {
            ngx_http_refine_tap_value_set(values, i, &text, 0);
        }
    }

    if (serve->surface.len == 0) {
        serve->surface = values->conf->surface;
    }

    if (serve->source.len == 0) {
        serve->source = values->conf->source;
    }

    serve->items = values->items.set.strings;
    serve->nitems = values->items.set.nstrings;
    serve->truncated = values->items.truncated;

    return NGX_OK;
}


static void
ngx_http_refine_tap_value_captured(ngx_http_refine_tap_value_t *values)
{
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    ngx_http_refine_event_extra_t  *extra;

    if (values->captures == NULL) {
        return;
    }

    for (i = 0; i < values->conf->extras; i++) {
        extra = &values->extras[i];

        rc = ngx_http_refine_capture_end(&values->captures[i], &extra->text);

        if (rc == NGX_OK) {
            extra->json = 1;

        } else if (rc == NGX_DECLINED) {
            values->serve.left_out++;
        }
    }
}


/* a selector has matched */

static ngx_int_t
ngx_http_refine_tap_value_match(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    ngx_http_refine_tap_value_t *values = data;

    ngx_int_t                    rc;
    ngx_http_refine_selector_t  *s;

    s = &values->conf->json.selectors[selector];

    if (s->value == NGX_HTTP_REFINE_SERVE_ITEMS) {

        if (value->kind != NGX_HTTP_REFINE_JSON_STRING
            && value->kind != NGX_HTTP_REFINE_JSON_NUMBER)
        {
            return NGX_OK;
        }

        rc = ngx_http_refine_tap_value_item(values, value, s->rank);

    } else if (s->value == NGX_HTTP_REFINE_SERVE_LIST) {

        if (value->kind == NGX_HTTP_REFINE_JSON_ARRAY) {
            values->list = 1;
        }

        return NGX_OK;

    } else if (s->value == NGX_HTTP_REFINE_SERVE_ID) {
        rc = ngx_http_refine_tap_value_id(values, value);

    } else {
        rc = ngx_http_refine_tap_value_take(values, &values->match, s, value);

        if (s->value == NGX_HTTP_REFINE_SERVE_TOTAL) {
            values->list |= (values->serve.total >= 0);
        }
    }

    if (rc != NGX_OK) {
        values->failed = 1;
    }

    return rc;
}


static ngx_int_t
ngx_http_refine_tap_value_body_match(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    ngx_http_refine_tap_body_t *body = data;

    ngx_int_t                     rc;
    ngx_http_refine_tap_value_t  *values;

    values = body->values;

    rc = ngx_http_refine_tap_value_take(values, &body->match,
                                &values->conf->body.selectors[selector], value);

    if (rc != NGX_OK) {
        values->failed = 1;
    }

    return rc;
}


/*
 * Any value but the items: of the selectors that match the one with the lowest
 * rank counts, and of its matches the first.
 */

static ngx_int_t
ngx_http_refine_tap_value_take(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_match_t *match, ngx_http_refine_selector_t *selector,
    ngx_http_refine_path_value_t *value)
{
    ngx_str_t   text;
    ngx_uint_t  i;

    i = selector->value;

    if (values->ranks[i] && values->ranks[i] <= selector->rank + 1) {
        return NGX_OK;
    }

    if (!(ngx_http_refine_tap_value_kinds(i) & (1 << value->kind))) {
        return NGX_OK;
    }

    ngx_str_null(&text);

    switch (value->kind) {

    case NGX_HTTP_REFINE_JSON_OBJECT:
    case NGX_HTTP_REFINE_JSON_ARRAY:
        values->ranks[i] = selector->rank + 1;

        return ngx_http_refine_tap_value_nested(values, match, i);

    case NGX_HTTP_REFINE_JSON_TRUE:
        ngx_str_set(&text, "true");
        break;

    case NGX_HTTP_REFINE_JSON_FALSE:
        ngx_str_set(&text, "false");
        break;

    default: /* string, number */
        if (ngx_http_refine_tap_value_text(values, value, &text) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    values->ranks[i] = selector->rank + 1;

    ngx_http_refine_tap_value_set(values, i, &text,
                                  value->kind != NGX_HTTP_REFINE_JSON_STRING);

    return NGX_OK;
}


/* what of JSON a value may be, a bit each */

static ngx_uint_t
ngx_http_refine_tap_value_kinds(ngx_uint_t i)
{
    switch (i) {

    case NGX_HTTP_REFINE_SERVE_TOTAL:
    case NGX_HTTP_REFINE_SERVE_OFFSET:
        return 1 << NGX_HTTP_REFINE_JSON_NUMBER;

    case NGX_HTTP_REFINE_SERVE_SURFACE:
    case NGX_HTTP_REFINE_SERVE_SOURCE:
    case NGX_HTTP_REFINE_SERVE_QUERY:
    case NGX_HTTP_REFINE_SERVE_ANCHOR:
        return 1 << NGX_HTTP_REFINE_JSON_STRING
               |1 << NGX_HTTP_REFINE_JSON_NUMBER;

    default: /* filters, sort, and the members of metadata */
        return ~((ngx_uint_t) 1 << NGX_HTTP_REFINE_JSON_NULL);
    }
}


/* an object or array begins */

static ngx_int_t
ngx_http_refine_tap_value_nested(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_match_t *match, ngx_uint_t i)
{
    ngx_str_t  rest;

    i -= NGX_HTTP_REFINE_SERVE_FILTERS;

    if (values->captures == NULL) {
        values->captures = ngx_pcalloc(values->pool,
                                       values->conf->extras
                                       * sizeof(ngx_http_refine_capture_t));
        if (values->captures == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_str_null(&values->extras[i].text);

    ngx_http_refine_path_rest(match, &rest);

    ngx_http_refine_capture_start(&values->captures[i], values->pool,
                                  NGX_HTTP_REFINE_TAP_VALUE_MAX_JSON,
                                  rest.data, rest.data + rest.len);

    return NGX_OK;
}


static void
ngx_http_refine_tap_value_set(ngx_http_refine_tap_value_t *values,
    ngx_uint_t i, ngx_str_t *text, ngx_uint_t json)
{
    ngx_http_refine_event_serve_t  *serve;

    serve = &values->serve;

    switch (i) {

    case NGX_HTTP_REFINE_SERVE_SURFACE:
        serve->surface = *text;
        break;

    case NGX_HTTP_REFINE_SERVE_SOURCE:
        serve->source = *text;
        break;

    case NGX_HTTP_REFINE_SERVE_QUERY:
        serve->query = *text;
        break;

    case NGX_HTTP_REFINE_SERVE_ANCHOR:
        serve->anchor = *text;
        break;

    case NGX_HTTP_REFINE_SERVE_TOTAL:
        serve->total = ngx_http_refine_tap_value_integer(text);
        break;

    case NGX_HTTP_REFINE_SERVE_OFFSET:
        serve->offset = ngx_http_refine_tap_value_integer(text);
        break;

    case NGX_HTTP_REFINE_SERVE_ITEMS:
    case NGX_HTTP_REFINE_SERVE_ID:
        break;

    default: /* filters, sort, and the members of metadata */
        i -= NGX_HTTP_REFINE_SERVE_FILTERS;

        values->extras[i].text = *text;
        values->extras[i].json = json;

        /* what was to become it has a higher rank */

        if (values->captures) {
            ngx_memzero(&values->captures[i],
                        sizeof(ngx_http_refine_capture_t));
        }
    }
}


static ngx_int_t
ngx_http_refine_tap_value_item(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_value_t *value, ngx_uint_t rank)
{
    ngx_int_t  rc;

    if (values->ranks[NGX_HTTP_REFINE_SERVE_ITEMS] != rank + 1
        && ngx_http_refine_tap_value_list(values, rank) != NGX_OK)
    {
        return NGX_OK;
    }

    if (value->too_long || value->bad) {
        return NGX_OK;
    }

    rc = ngx_http_refine_items_add(&values->items, value->text.data,
                                   value->text.len);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* another list of items begins; the one that is preferred counts */

static ngx_int_t
ngx_http_refine_tap_value_list(ngx_http_refine_tap_value_t *values,
    ngx_uint_t rank)
{
    ngx_uint_t  found;

    found = values->ranks[NGX_HTTP_REFINE_SERVE_ITEMS];

    if (found && found < rank + 1) {
        return NGX_DECLINED;
    }

    if (found) {
        ngx_http_refine_items_clear(&values->items);
    }

    values->ranks[NGX_HTTP_REFINE_SERVE_ITEMS] = rank + 1;

    return NGX_OK;
}


/*
 * The header waits for it, so the first that can be one counts; one that clicks
 * could not bring back is as none.
 */

static ngx_int_t
ngx_http_refine_tap_value_id(ngx_http_refine_tap_value_t *values,
    ngx_http_refine_path_value_t *value)
{
    if (values->id.len || value->kind != NGX_HTTP_REFINE_JSON_STRING
        || value->too_long || value->bad
        || ngx_http_refine_id_serve_check(&value->text) != NGX_OK)
    {
        return NGX_OK;
    }

    values->id.data = ngx_pstrdup(values->pool, &value->text);
    if (values->id.data == NULL) {
        return NGX_ERROR;
    }

    values->id.len = value->text.len;

    return NGX_OK;
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
ngx_http_refine_tap_value_integer(ngx_str_t *text)
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
