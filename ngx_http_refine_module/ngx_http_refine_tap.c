
#include "ngx_http_refine_tap.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_serve.h"
#include "ngx_http_refine_set.h"


#define NGX_HTTP_REFINE_TAP_MAX_BYTES  (64 * 1024)      /* of all ids */
#define NGX_HTTP_REFINE_TAP_MAX_VALUE  (6 * 1024)       /* one, as written */
#define NGX_HTTP_REFINE_TAP_MAX_TOTAL  9007199254740991LL       /* 2^53 - 1 */


/*
 * Of a response that is logged.  It is found through the cleanup of the
 * request's pool, which also tells when a response did not get to its end.
 */

typedef struct {
    ngx_http_refine_catalog_t      *catalog;
    ngx_http_refine_serve_conf_t   *conf;
    ngx_http_refine_ctx_t          *ctx;
    ngx_pool_t                     *pool;
    u_char                         *pos;        /* free memory for ids */
    u_char                         *end;
    size_t                          bytes;      /* of all ids */
    off_t                           length;     /* of the body so far */
    ngx_uint_t                      found;      /* bits of values */
    unsigned                        active:1;
    unsigned                        failed:1;   /* no memory */
    ngx_http_refine_event_serve_t   serve;
    ngx_http_refine_set_t           items;
    ngx_http_refine_path_match_t    match;
} ngx_http_refine_tap_t;


static ngx_int_t ngx_http_refine_tap_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_tap_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_http_refine_tap_t *ngx_http_refine_tap_start(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf);
static ngx_http_refine_tap_t *ngx_http_refine_tap_find(ngx_http_request_t *r);
static void ngx_http_refine_tap_cleanup(void *data);
static void ngx_http_refine_tap_drop(ngx_http_refine_tap_t *tap,
    ngx_http_refine_counter_e reason);
static ngx_uint_t ngx_http_refine_tap_read(ngx_http_refine_tap_t *tap,
    ngx_chain_t *in);
static void ngx_http_refine_tap_buf(ngx_http_refine_tap_t *tap, ngx_buf_t *b);
static void ngx_http_refine_tap_finish(ngx_http_request_t *r,
    ngx_http_refine_tap_t *tap);

static ngx_int_t ngx_http_refine_tap_value(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_tap_item(ngx_http_refine_tap_t *tap,
    ngx_http_refine_path_value_t *value);
static u_char *ngx_http_refine_tap_room(ngx_http_refine_tap_t *tap,
    size_t len);
static ngx_int_t ngx_http_refine_tap_text(ngx_http_refine_tap_t *tap,
    ngx_http_refine_path_value_t *value, ngx_str_t *text);
static int64_t ngx_http_refine_tap_total(ngx_str_t *text);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_refine_tap_header_filter(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_refine_tap_t       *tap;
    ngx_http_refine_counter_e    reason;
    ngx_http_refine_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (conf->serve == NULL || conf->catalog == NULL || r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    tap = NULL;

    if (ngx_http_refine_serve_test(r, conf->catalog, &reason) == NGX_OK) {
        tap = ngx_http_refine_tap_start(r, conf);

        if (tap == NULL) {
            reason = NGX_HTTP_REFINE_SKIPPED_INTERNAL;
        }
    }

    rc = ngx_http_next_header_filter(r);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* another response takes the place of this one, and is counted */

        if (tap != NULL) {
            tap->active = 0;
        }

        return rc;
    }

    if (tap == NULL) {
        ngx_http_refine_serve_count(conf->catalog, reason);
    }

    return rc;
}


static ngx_http_refine_tap_t *
ngx_http_refine_tap_start(ngx_http_request_t *r,
    ngx_http_refine_loc_conf_t *conf)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_refine_ctx_t  *ctx;
    ngx_http_refine_tap_t  *tap;

    ctx = ngx_http_refine_ctx_get(r);

    if (ctx == NULL || ngx_http_refine_serve_header(r, ctx) != NGX_OK) {
        return NULL;
    }

    /* the header filter may have run before for the same request */

    tap = ngx_http_refine_tap_find(r);

    if (tap == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_refine_tap_t));
        if (cln == NULL) {
            return NULL;
        }

        tap = cln->data;
        cln->handler = ngx_http_refine_tap_cleanup;
    }

    ngx_memzero(tap, offsetof(ngx_http_refine_tap_t, items));

    tap->catalog = conf->catalog;
    tap->conf = conf->serve;
    tap->ctx = ctx;
    tap->pool = r->pool;
    tap->serve.total = -1;
    tap->active = 1;

    (void) ngx_http_refine_set_init(&tap->items, r->pool, 0);

    ngx_http_refine_path_init(&tap->match, conf->serve->paths, r->pool,
                              NGX_HTTP_REFINE_JSON_BOM
                              |NGX_HTTP_REFINE_JSON_LOOSE,
                              NGX_HTTP_REFINE_TAP_MAX_VALUE,
                              ngx_http_refine_tap_value, tap);

    /* without it a body from a file would pass by as a descriptor */

    r->main_filter_need_in_memory = 1;

    return tap;
}


static ngx_http_refine_tap_t *
ngx_http_refine_tap_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_refine_tap_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_refine_tap_cleanup(void *data)
{
    ngx_http_refine_tap_t  *tap = data;

    /* the client or the upstream went away before the end of the body */

    if (tap->active) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_ABORTED);
    }
}


static void
ngx_http_refine_tap_drop(ngx_http_refine_tap_t *tap,
    ngx_http_refine_counter_e reason)
{
    tap->active = 0;

    ngx_http_refine_serve_count(tap->catalog, reason);
}


static ngx_int_t
ngx_http_refine_tap_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                    rc;
    ngx_uint_t                   last;
    ngx_http_refine_tap_t       *tap;
    ngx_http_refine_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    if (conf->serve == NULL || in == NULL || r != r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    tap = ngx_http_refine_tap_find(r);

    if (tap == NULL || !tap->active) {
        return ngx_http_next_body_filter(r, in);
    }

    /* once passed on, the bytes may be sent and their memory used again */

    last = ngx_http_refine_tap_read(tap, in);

    rc = ngx_http_next_body_filter(r, in);

    if (last && tap->active) {

        if (rc == NGX_ERROR) {
            ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_ABORTED);

        } else {
            ngx_http_refine_tap_finish(r, tap);
        }
    }

    return rc;
}


/* whether the body ends here */

static ngx_uint_t
ngx_http_refine_tap_read(ngx_http_refine_tap_t *tap, ngx_chain_t *in)
{
    for ( /* void */ ; in && tap->active; in = in->next) {

        ngx_http_refine_tap_buf(tap, in->buf);

        if (in->buf->last_buf) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_refine_tap_buf(ngx_http_refine_tap_t *tap, ngx_buf_t *b)
{
    off_t  size;

    size = ngx_buf_size(b);

    if (size == 0) {
        return;
    }

    tap->length += size;

    if (tap->length > NGX_HTTP_REFINE_SERVE_MAX_LENGTH) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_TOO_LARGE);
        return;
    }

    if (!ngx_buf_in_memory(b)) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

    if (ngx_http_refine_path_feed(&tap->match, b->pos, (size_t) size)
        != NGX_OK)
    {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_NOT_JSON);
        return;
    }

    if (tap->failed) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
    }
}


static void
ngx_http_refine_tap_finish(ngx_http_request_t *r, ngx_http_refine_tap_t *tap)
{
    ngx_str_t                       total;
    ngx_http_refine_value_t        *values;
    ngx_http_refine_event_serve_t  *serve;

    if (ngx_http_refine_path_end(&tap->match) != NGX_OK) {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_NOT_JSON);
        return;
    }

    serve = &tap->serve;
    values = tap->conf->values;

#define ngx_http_refine_tap_eval(i, to)                                       \
    (values[i].from != NGX_HTTP_REFINE_VALUE_JSON                             \
     && ngx_http_refine_serve_text(r, tap->catalog, &values[i], to) != NGX_OK)

    ngx_str_null(&total);

    if (ngx_http_refine_tap_eval(NGX_HTTP_REFINE_SERVE_SURFACE,
                                 &serve->surface)
        || ngx_http_refine_tap_eval(NGX_HTTP_REFINE_SERVE_SOURCE,
                                    &serve->source)
        || ngx_http_refine_tap_eval(NGX_HTTP_REFINE_SERVE_QUERY,
                                    &serve->query)
        || ngx_http_refine_tap_eval(NGX_HTTP_REFINE_SERVE_ANCHOR,
                                    &serve->anchor)
        || ngx_http_refine_tap_eval(NGX_HTTP_REFINE_SERVE_TOTAL, &total))
    {
        ngx_http_refine_tap_drop(tap, NGX_HTTP_REFINE_SKIPPED_INTERNAL);
        return;
    }

#undef ngx_http_refine_tap_eval

    if (serve->surface.len == 0) {
        serve->surface = tap->conf->surface;
    }

    if (serve->source.len == 0) {
        serve->source = tap->conf->source;
    }

    if (total.len) {
        serve->total = ngx_http_refine_tap_total(&total);
    }

    serve->items = tap->items.strings;
    serve->nitems = tap->items.nstrings;

    tap->active = 0;

    ngx_http_refine_serve_log(r, tap->catalog, tap->ctx, serve);
}


/* a selector has matched; of all values but the items the first one counts */

static ngx_int_t
ngx_http_refine_tap_value(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    ngx_http_refine_tap_t *tap = data;

    ngx_int_t   rc;
    ngx_uint_t  i;

    if (value->kind != NGX_HTTP_REFINE_JSON_STRING
        && value->kind != NGX_HTTP_REFINE_JSON_NUMBER)
    {
        return NGX_OK;
    }

    i = tap->conf->selectors[selector];

    if (i == NGX_HTTP_REFINE_SERVE_ITEMS) {
        rc = ngx_http_refine_tap_item(tap, value);
        goto done;
    }

    if (tap->found & 1 << i) {
        return NGX_OK;
    }

    tap->found |= 1 << i;
    rc = NGX_OK;

    switch (i) {

    case NGX_HTTP_REFINE_SERVE_SURFACE:
        rc = ngx_http_refine_tap_text(tap, value, &tap->serve.surface);
        break;

    case NGX_HTTP_REFINE_SERVE_SOURCE:
        rc = ngx_http_refine_tap_text(tap, value, &tap->serve.source);
        break;

    case NGX_HTTP_REFINE_SERVE_QUERY:
        rc = ngx_http_refine_tap_text(tap, value, &tap->serve.query);
        break;

    case NGX_HTTP_REFINE_SERVE_ANCHOR:
        rc = ngx_http_refine_tap_text(tap, value, &tap->serve.anchor);
        break;

    default: /* NGX_HTTP_REFINE_SERVE_TOTAL */
        if (value->kind == NGX_HTTP_REFINE_JSON_NUMBER) {
            tap->serve.total = ngx_http_refine_tap_total(&value->text);
        }
    }

done:

    if (rc != NGX_OK) {
        tap->failed = 1;
    }

    return rc;
}


/*
 * Ids that could not be an itemId of a click are left out.  Beyond a limit
 * nothing more is taken, so that the places of the others stay.
 */

static ngx_int_t
ngx_http_refine_tap_item(ngx_http_refine_tap_t *tap,
    ngx_http_refine_path_value_t *value)
{
    size_t      i, len;
    u_char     *p;
    ngx_int_t   rc;

    len = value->text.len;

    if (tap->serve.truncated || value->too_long || value->bad
        || len == 0 || len > NGX_HTTP_REFINE_EVENT_MAX_ID)
    {
        return NGX_OK;
    }

    p = ngx_http_refine_tap_room(tap, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < len; i++) {

        if (value->text.data[i] < 0x20 || value->text.data[i] == 0x7f) {
            return NGX_OK;
        }

        p[i] = value->text.data[i];
    }

    rc = ngx_http_refine_set_add(&tap->items, p, len);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (tap->items.nstrings > NGX_HTTP_REFINE_EVENT_MAX_ITEMS
        || len > NGX_HTTP_REFINE_TAP_MAX_BYTES - tap->bytes)
    {
        tap->items.nstrings--;
        tap->serve.truncated = 1;
        return NGX_OK;
    }

    tap->pos += len;
    tap->bytes += len;

    return NGX_OK;
}


/* len bytes at tap->pos, which stay free until it is moved */

static u_char *
ngx_http_refine_tap_room(ngx_http_refine_tap_t *tap, size_t len)
{
    size_t  size;

    if ((size_t) (tap->end - tap->pos) >= len) {
        return tap->pos;
    }

    size = ngx_max(ngx_max(len, 256), ngx_min(tap->bytes, 8192));

    tap->pos = ngx_pnalloc(tap->pool, size);

    if (tap->pos == NULL) {
        tap->end = NULL;
        return NULL;
    }

    tap->end = tap->pos + size;

    return tap->pos;
}


/* a copy of a value that is a text; a NUL is none, as in serve_text() */

static ngx_int_t
ngx_http_refine_tap_text(ngx_http_refine_tap_t *tap,
    ngx_http_refine_path_value_t *value, ngx_str_t *text)
{
    if (value->too_long || value->text.len == 0) {
        return NGX_OK;
    }

    if (value->bad
        || memchr(value->text.data, '\0', value->text.len) != NULL)
    {
        ngx_http_refine_serve_count(tap->catalog,
                                    NGX_HTTP_REFINE_SERVES_NOT_UTF8);
        return NGX_OK;
    }

    text->data = ngx_pnalloc(tap->pool, value->text.len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, value->text.data, value->text.len);
    text->len = value->text.len;

    return NGX_OK;
}


/* -1 when it is no integer from 0 on; 1e2 and 12.0 are */

static int64_t
ngx_http_refine_tap_total(ngx_str_t *text)
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

    if (*end != '\0' || d < 0 || d > NGX_HTTP_REFINE_TAP_MAX_TOTAL
        || d != (double) (int64_t) d)
    {
        return -1;
    }

    return (int64_t) d;
}


ngx_int_t
ngx_http_refine_tap_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_refine_tap_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_refine_tap_body_filter;

    return NGX_OK;
}
