
/* The line of a serve that a response filter has seen. */


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_id.h"
#include "ngx_http_refine_json.h"
#include "ngx_http_refine_event_value.h"
#include "ngx_http_refine_event_line.h"


/* JSON may have twice as many bytes before its blanks are taken out */
#define NGX_HTTP_REFINE_EVENT_MAX_GIVEN  (2 * NGX_HTTP_REFINE_EVENT_MAX_JSON)


typedef enum {
    NGX_HTTP_REFINE_EXTRA_FILTERS = 0,
    NGX_HTTP_REFINE_EXTRA_SORT,
    NGX_HTTP_REFINE_EXTRA_MEMBER
} ngx_http_refine_extra_e;


static void ngx_http_refine_event_serve_items(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve);
static void ngx_http_refine_event_serve_extra(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve,
    ngx_http_refine_event_extra_t *extra, ngx_http_refine_extra_e kind);
static void ngx_http_refine_event_serve_metadata(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve);
static ngx_uint_t ngx_http_refine_event_serve_members(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve, size_t max, ngx_uint_t n);
static ngx_int_t ngx_http_refine_event_extra(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_extra_t *extra, ngx_http_refine_extra_e kind);
static ngx_int_t ngx_http_refine_event_extra_json(ngx_http_refine_buf_t *b,
    ngx_str_t *text, ngx_http_refine_extra_e kind);
static ngx_uint_t ngx_http_refine_event_extra_nested(ngx_str_t *text);
static void ngx_http_refine_event_back(ngx_http_refine_buf_t *b, size_t size);


ngx_int_t
ngx_http_refine_event_serve(ngx_pool_t *pool,
    ngx_http_refine_event_serve_t *serve, ngx_http_refine_event_env_t *env,
    ngx_http_refine_event_t *ev)
{
    size_t                 size;
    u_char                 made[NGX_HTTP_REFINE_UUID_LEN];
    ngx_str_t              id, query;
    ngx_uint_t             i;
    ngx_http_refine_buf_t  b;

    id = serve->serve_id;

    if (id.len == 0) {
        id.data = made;
        id.len = NGX_HTTP_REFINE_UUID_LEN;

        if (ngx_http_refine_id_uuid7(made, env->now) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    size = NGX_HTTP_REFINE_EVENT_LINE;

    for (i = 0; i < serve->nitems; i++) {
        size += serve->items[i].len + sizeof("\"\",") - 1;
    }

    (void) ngx_http_refine_buf_init(&b, pool, size,
                                    NGX_HTTP_REFINE_EVENT_MAX_LINE);

    ngx_http_refine_event_start(&b, &id, NGX_HTTP_REFINE_ITEMS_SERVED,
                                env->now, env, &env->user_id);

    query = ngx_http_refine_event_cut(&serve->query,
                                      NGX_HTTP_REFINE_EVENT_MAX_QUERY);

    (void) ngx_http_refine_event_member(&b, ",\"serveId\":",
                                        &serve->serve_id);
    (void) ngx_http_refine_event_member(&b, ",\"surface\":", &serve->surface);
    (void) ngx_http_refine_event_member(&b, ",\"source\":", &serve->source);
    (void) ngx_http_refine_event_member(&b, ",\"query\":", &query);

    ngx_http_refine_event_serve_items(&b, serve);

    if (serve->total >= 0) {
        ngx_http_refine_buf_lit(&b, ",\"totalResults\":");
        ngx_http_refine_buf_int(&b, serve->total);
    }

    ngx_http_refine_event_serve_extra(&b, serve, serve->filters,
                                      NGX_HTTP_REFINE_EXTRA_FILTERS);
    ngx_http_refine_event_serve_extra(&b, serve, serve->sort,
                                      NGX_HTTP_REFINE_EXTRA_SORT);
    ngx_http_refine_event_serve_metadata(&b, serve);

    ngx_memzero(ev, sizeof(ngx_http_refine_event_t));

    ev->made = (serve->serve_id.len == 0);
    ev->type = NGX_HTTP_REFINE_ITEMS_SERVED;
    ev->surface = serve->surface;
    ev->source = serve->source;

    return ngx_http_refine_event_finish(&b, env, &id, ev);
}


static void
ngx_http_refine_event_serve_items(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve)
{
    ngx_uint_t  i;

    ngx_http_refine_buf_lit(b, ",\"itemIds\":[");

    for (i = 0; i < serve->nitems; i++) {
        if (i) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_json(b, serve->items[i].data, serve->items[i].len);
    }

    ngx_http_refine_buf_lit(b, "]");
}


static void
ngx_http_refine_event_serve_extra(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve,
    ngx_http_refine_event_extra_t *extra, ngx_http_refine_extra_e kind)
{
    size_t  before;

    if (extra == NULL || extra->text.len == 0) {
        return;
    }

    before = ngx_http_refine_buf_size(b);

    if (kind == NGX_HTTP_REFINE_EXTRA_FILTERS) {
        ngx_http_refine_buf_lit(b, ",\"filters\":");

    } else {
        ngx_http_refine_buf_lit(b, ",\"sortBy\":");
    }

    if (ngx_http_refine_event_extra(b, extra, kind) != NGX_OK) {
        ngx_http_refine_event_back(b, before);
        serve->left_out++;
    }
}


static void
ngx_http_refine_event_serve_metadata(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve)
{
    size_t      before, max;
    ngx_uint_t  n;

    if (serve->anchor.len == 0 && serve->offset < 0 && serve->nmetadata == 0
        && !serve->truncated)
    {
        return;
    }

    before = ngx_http_refine_buf_size(b);

    ngx_http_refine_buf_lit(b, ",\"metadata\":");

    /* the last member has to fit in any case */

    max = ngx_http_refine_buf_size(b) + NGX_HTTP_REFINE_EVENT_MAX_JSON
          - (sizeof(",\"truncated\":true}") - 1);

    ngx_http_refine_buf_lit(b, "{");

    n = ngx_http_refine_event_member(b, "\"anchorId\":", &serve->anchor);

    if (serve->offset >= 0) {
        if (n++) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "\"offset\":");
        ngx_http_refine_buf_int(b, serve->offset);
    }

    n = ngx_http_refine_event_serve_members(b, serve, max, n);

    if (serve->truncated) {
        if (n++) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_lit(b, "\"truncated\":true");
    }

    if (n == 0) {
        ngx_http_refine_event_back(b, before);
        return;
    }

    ngx_http_refine_buf_lit(b, "}");
}


/*
 * The members that the configuration names, as long as the line keeps within
 * max; n: the members before them, and with them.
 */

static ngx_uint_t
ngx_http_refine_event_serve_members(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_serve_t *serve, size_t max, ngx_uint_t n)
{
    size_t                          before;
    ngx_uint_t                      i;
    ngx_http_refine_event_extra_t  *extra;

    for (i = 0; i < serve->nmetadata; i++) {
        extra = &serve->metadata[i];

        if (extra->text.len == 0) {
            continue;
        }

        before = ngx_http_refine_buf_size(b);

        if (n) {
            ngx_http_refine_buf_lit(b, ",");
        }

        ngx_http_refine_buf_json(b, extra->name.data, extra->name.len);
        ngx_http_refine_buf_lit(b, ":");

        if (ngx_http_refine_event_extra(b, extra, NGX_HTTP_REFINE_EXTRA_MEMBER)
            != NGX_OK
            || ngx_http_refine_buf_size(b) > max)
        {
            ngx_http_refine_event_back(b, before);
            serve->left_out++;
            continue;
        }

        n++;
    }

    return n;
}


/*
 * JSON as it is, in compact form; other text as a string, and in filters, which
 * are an array or an object, as an array of this string.  NGX_DECLINED: over a
 * limit, what was appended has to be taken back.
 */

static ngx_int_t
ngx_http_refine_event_extra(ngx_http_refine_buf_t *b,
    ngx_http_refine_event_extra_t *extra, ngx_http_refine_extra_e kind)
{
    size_t      start;
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  nested, list;

    start = ngx_http_refine_buf_size(b);
    nested = ngx_http_refine_event_extra_nested(&extra->text);

    if (nested) {
        rc = ngx_http_refine_event_extra_json(b, &extra->text, kind);

        if (rc != NGX_ABORT || extra->json) {
            return (rc == NGX_ABORT) ? NGX_DECLINED : rc;
        }
    }

    list = (kind == NGX_HTTP_REFINE_EXTRA_FILTERS);

    if (list) {
        ngx_http_refine_buf_lit(b, "[");
    }

    if (extra->json && kind != NGX_HTTP_REFINE_EXTRA_SORT) {
        rc = ngx_http_refine_event_extra_json(b, &extra->text, kind);

        if (rc != NGX_OK) {
            return NGX_DECLINED;
        }

    } else {
        text = ngx_http_refine_event_cut(&extra->text,
                                         NGX_HTTP_REFINE_EVENT_MAX_TEXT);

        ngx_http_refine_buf_json(b, text.data, text.len);
    }

    if (list) {
        ngx_http_refine_buf_lit(b, "]");
    }

    return (ngx_http_refine_buf_size(b) - start
            > NGX_HTTP_REFINE_EVENT_MAX_JSON)
           ? NGX_DECLINED : NGX_OK;
}


/* NGX_ABORT: it is not JSON, nothing was appended */

static ngx_int_t
ngx_http_refine_event_extra_json(ngx_http_refine_buf_t *b, ngx_str_t *text,
    ngx_http_refine_extra_e kind)
{
    cJSON                          *json;
    size_t                          offset;
    ngx_int_t                       rc;
    const char                     *error;
    ngx_http_refine_value_limit_t   limit;

    if (ngx_http_refine_json_check(text->data, text->len,
                                   NGX_HTTP_REFINE_JSON_MAX_DEPTH,
                                   NGX_HTTP_REFINE_JSON_NO_NUL
                                   |NGX_HTTP_REFINE_JSON_NO_LONE,
                                   &offset, &error)
        != NGX_OK)
    {
        return NGX_ABORT;
    }

    if (text->len > NGX_HTTP_REFINE_EVENT_MAX_GIVEN) {
        return NGX_DECLINED;
    }

    /* the text is valid: NULL is no memory, or a number of 64 characters */

    json = cJSON_ParseWithLength((char *) text->data, text->len);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    limit.max_size = NGX_HTTP_REFINE_EVENT_MAX_JSON;
    limit.max_depth = NGX_HTTP_REFINE_EVENT_MAX_DEPTH;
    limit.without = NULL;

    if (kind == NGX_HTTP_REFINE_EXTRA_MEMBER) {
        limit.max_depth--;
    }

    rc = ngx_http_refine_value_keys(b->pool, json);

    if (rc == NGX_OK
        && ngx_http_refine_value_write(b, json, &limit)
           != NGX_HTTP_REFINE_VALUE_OK)
    {
        rc = NGX_DECLINED;
    }

    cJSON_Delete(json);

    return rc;
}


/* whether it looks like a JSON object or array */

static ngx_uint_t
ngx_http_refine_event_extra_nested(ngx_str_t *text)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return c == '{' || c == '[';
        }
    }

    return 0;
}


static void
ngx_http_refine_event_back(ngx_http_refine_buf_t *b, size_t size)
{
    if (!b->failed) {
        b->pos = b->start + size;
    }
}


ngx_int_t
ngx_http_refine_event_extra_check(ngx_pool_t *pool, ngx_str_t *text,
    ngx_uint_t member)
{
    ngx_int_t                      rc;
    ngx_http_refine_buf_t          b;
    ngx_http_refine_event_extra_t  extra;

    ngx_memzero(&extra, sizeof(ngx_http_refine_event_extra_t));

    extra.text = *text;

    (void) ngx_http_refine_buf_init(&b, pool, 0,
                                    NGX_HTTP_REFINE_EVENT_MAX_LINE);

    rc = ngx_http_refine_event_extra(&b, &extra,
                                     member ? NGX_HTTP_REFINE_EXTRA_MEMBER
                                            : NGX_HTTP_REFINE_EXTRA_FILTERS);

    if (b.failed) {
        rc = NGX_ERROR;
    }

    ngx_http_refine_buf_free(&b);

    return rc;
}
