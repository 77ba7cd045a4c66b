
#include "ngx_http_refine_response.h"


/* the part of Cache-Control, or one for CDNs, that says whether to store */

typedef struct {
    time_t            max_age;              /* -1: not given */
    time_t            s_maxage;
    unsigned          is_public:1;
    unsigned          forbidden:1;
    unsigned          no_transform:1;
} ngx_http_refine_response_cache_t;


static ngx_table_elt_t *ngx_http_refine_response_next(ngx_http_request_t *r,
    ngx_http_refine_response_walk_t *walk);
static void ngx_http_refine_response_type(ngx_http_request_t *r,
    ngx_str_t *type);
static ngx_uint_t ngx_http_refine_response_targeted(ngx_str_t *name);
static void ngx_http_refine_response_control(ngx_http_request_t *r,
    ngx_str_t *name, ngx_http_refine_response_cache_t *cache);
static ngx_uint_t ngx_http_refine_response_stored(
    ngx_http_refine_response_cache_t *cache);
static void ngx_http_refine_response_directives(ngx_str_t *text,
    ngx_http_refine_response_cache_t *cache);
static u_char *ngx_http_refine_response_argument(u_char *p, u_char *last,
    ngx_str_t *arg);
static void ngx_http_refine_response_directive(ngx_str_t *name,
    ngx_str_t *arg, ngx_http_refine_response_cache_t *cache);
static time_t ngx_http_refine_response_seconds(ngx_str_t *arg, time_t known);
static ngx_uint_t ngx_http_refine_response_expires(ngx_http_request_t *r);


#define ngx_http_refine_response_is(s, lit)                                   \
    ((s)->len == sizeof(lit) - 1                                              \
     && ngx_strncasecmp((s)->data, (u_char *) lit, sizeof(lit) - 1) == 0)


static ngx_str_t  ngx_http_refine_response_cc = ngx_string("Cache-Control");


ngx_table_elt_t *
ngx_http_refine_response_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_refine_response_walk_t *walk)
{
    ngx_table_elt_t  *h;

    do {
        h = ngx_http_refine_response_next(r, walk);

    } while (h && (h->key.len != name->len
                   || ngx_strncasecmp(h->key.data, name->data, name->len)));

    return h;
}


static ngx_table_elt_t *
ngx_http_refine_response_next(ngx_http_request_t *r,
    ngx_http_refine_response_walk_t *walk)
{
    ngx_table_elt_t  *h;

    if (walk->part == NULL) {
        walk->part = &r->headers_out.headers.part;
        walk->i = 0;
    }

    for ( ;; ) {

        if (walk->i >= walk->part->nelts) {

            if (walk->part->next == NULL) {
                return NULL;
            }

            walk->part = walk->part->next;
            walk->i = 0;
            continue;
        }

        h = walk->part->elts;
        h = &h[walk->i++];

        if (h->hash != 0) {
            return h;
        }
    }
}


ngx_uint_t
ngx_http_refine_response_page(ngx_http_request_t *r)
{
    ngx_str_t  type;

    if (r->headers_out.status != NGX_HTTP_OK) {
        return 0;
    }

    ngx_http_refine_response_type(r, &type);

    return ngx_http_refine_response_is(&type, "text/html");
}


ngx_uint_t
ngx_http_refine_response_json(ngx_http_request_t *r)
{
    ngx_str_t  type;

    ngx_http_refine_response_type(r, &type);

    if (ngx_http_refine_response_is(&type, "application/json")
        || ngx_http_refine_response_is(&type, "text/json"))
    {
        return 1;
    }

    return type.len > sizeof("application/+json") - 1
           && ngx_strncasecmp(type.data, (u_char *) "application/",
                              sizeof("application/") - 1)
              == 0
           && ngx_strncasecmp(type.data + type.len - (sizeof("+json") - 1),
                              (u_char *) "+json", sizeof("+json") - 1)
              == 0;
}


/* the media type without its parameters */

static void
ngx_http_refine_response_type(ngx_http_request_t *r, ngx_str_t *type)
{
    size_t  i;

    *type = r->headers_out.content_type;

    for (i = 0; i < type->len; i++) {
        if (type->data[i] == ';') {
            break;
        }
    }

    while (i && type->data[i - 1] == ' ') {
        i--;
    }

    type->len = i;
}


/*
 * The body filter of ranges comes first, so that only the slice would be seen,
 * while their header filter comes later and the status does not show it yet.
 */

ngx_uint_t
ngx_http_refine_response_cut(ngx_http_request_t *r)
{
    ngx_str_t                 *cond, *etag;
    ngx_table_elt_t           *range;
    ngx_http_core_loc_conf_t  *clcf;

    range = r->headers_in.range;

    if (range == NULL
        || range->value.len < sizeof("bytes=0") - 1
        || ngx_strncasecmp(range->value.data, (u_char *) "bytes=",
                           sizeof("bytes=") - 1)
           != 0)
    {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!r->allow_ranges
        || clcf->max_ranges == 0
        || r->headers_out.content_length_n == -1
        || r->http_version < NGX_HTTP_VERSION_10)
    {
        return 0;
    }

    if (r->headers_in.if_range == NULL) {
        return 1;
    }

    cond = &r->headers_in.if_range->value;

    if (cond->len >= 2 && cond->data[cond->len - 1] == '"') {
        etag = r->headers_out.etag ? &r->headers_out.etag->value : NULL;

        return etag != NULL
               && etag->len == cond->len
               && ngx_strncmp(etag->data, cond->data, cond->len) == 0;
    }

    return r->headers_out.last_modified_time != (time_t) -1
           && r->headers_out.last_modified_time
              == ngx_parse_http_time(cond->data, cond->len);
}


ngx_http_refine_response_coding_e
ngx_http_refine_response_coding(ngx_http_request_t *r)
{
    ngx_table_elt_t                    *h;
    ngx_http_refine_response_walk_t     walk;
    ngx_http_refine_response_coding_e   coding;

    static ngx_str_t  name = ngx_string("Content-Encoding");

    walk.part = NULL;
    coding = NGX_HTTP_REFINE_RESPONSE_PLAIN;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, &name, &walk);

        if (h == NULL) {
            return coding;
        }

        if (h->value.len == 0
            || ngx_http_refine_response_is(&h->value, "identity"))
        {
            continue;
        }

        if (coding != NGX_HTTP_REFINE_RESPONSE_PLAIN
            || (!ngx_http_refine_response_is(&h->value, "gzip")
                && !ngx_http_refine_response_is(&h->value, "x-gzip")))
        {
            return NGX_HTTP_REFINE_RESPONSE_OTHER;
        }

        coding = NGX_HTTP_REFINE_RESPONSE_GZIP;
    }
}


ngx_uint_t
ngx_http_refine_response_cacheable(ngx_http_request_t *r)
{
    ngx_table_elt_t                   *h;
    ngx_http_refine_response_walk_t    walk;
    ngx_http_refine_response_cache_t   cache;

    ngx_http_refine_response_control(r, &ngx_http_refine_response_cc, &cache);

    if (ngx_http_refine_response_stored(&cache)) {
        return 1;
    }

    if (!cache.forbidden && cache.s_maxage == -1 && cache.max_age == -1
        && ngx_http_refine_response_expires(r))
    {
        return 1;
    }

    /* whom one of these is for goes by it alone */

    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_next(r, &walk);

        if (h == NULL) {
            return 0;
        }

        if (ngx_http_refine_response_targeted(&h->key)) {
            ngx_http_refine_response_control(r, &h->key, &cache);

            if (ngx_http_refine_response_stored(&cache)) {
                return 1;
            }
        }
    }
}


/*
 * CDN-Cache-Control of RFC 9213, the names that CDNs have made of it by a
 * prefix, and Surrogate-Control of the Edge Architecture Specification 1.0.
 */

static ngx_uint_t
ngx_http_refine_response_targeted(ngx_str_t *name)
{
    u_char  *end;

    static ngx_str_t  cdn = ngx_string("CDN-Cache-Control");

    if (ngx_http_refine_response_is(name, "Surrogate-Control")) {
        return 1;
    }

    if (name->len < cdn.len) {
        return 0;
    }

    end = name->data + name->len - cdn.len;

    return ngx_strncasecmp(end, cdn.data, cdn.len) == 0
           && (end == name->data || end[-1] == '-');
}


ngx_uint_t
ngx_http_refine_response_fixed(ngx_http_request_t *r)
{
    ngx_http_refine_response_cache_t  cache;

    ngx_http_refine_response_control(r, &ngx_http_refine_response_cc, &cache);

    return cache.no_transform;
}


/* what all headers of that name say */

static void
ngx_http_refine_response_control(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_refine_response_cache_t *cache)
{
    ngx_table_elt_t                  *h;
    ngx_http_refine_response_walk_t   walk;

    ngx_memzero(cache, sizeof(ngx_http_refine_response_cache_t));
    cache->max_age = -1;
    cache->s_maxage = -1;

    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, name, &walk);

        if (h == NULL) {
            return;
        }

        ngx_http_refine_response_directives(&h->value, cache);
    }
}


static ngx_uint_t
ngx_http_refine_response_stored(ngx_http_refine_response_cache_t *cache)
{
    if (cache->forbidden) {
        return 0;
    }

    if (cache->is_public) {
        return 1;
    }

    return (cache->s_maxage != -1) ? cache->s_maxage > 0 : cache->max_age > 0;
}


/* #( token [ "=" ( token / quoted-string ) ] ) */

static void
ngx_http_refine_response_directives(ngx_str_t *text,
    ngx_http_refine_response_cache_t *cache)
{
    u_char     *p, *last;
    ngx_str_t   name, arg;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        name.data = p;

        while (p < last
               && *p != '=' && *p != ',' && *p != ' ' && *p != '\t')
        {
            p++;
        }

        name.len = p - name.data;
        ngx_str_null(&arg);

        if (p < last && *p == '=') {
            p = ngx_http_refine_response_argument(p + 1, last, &arg);
        }

        ngx_http_refine_response_directive(&name, &arg, cache);

        /* what is no directive is passed over up to the next comma */

        while (p < last && *p != ',') {
            p++;
        }
    }
}


static u_char *
ngx_http_refine_response_argument(u_char *p, u_char *last, ngx_str_t *arg)
{
    if (p == last || *p != '"') {
        arg->data = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        arg->len = p - arg->data;

        return p;
    }

    arg->data = ++p;

    while (p < last && *p != '"') {
        p += (*p == '\\' && last - p > 1) ? 2 : 1;
    }

    arg->len = p - arg->data;

    return (p < last) ? p + 1 : p;
}


static void
ngx_http_refine_response_directive(ngx_str_t *name, ngx_str_t *arg,
    ngx_http_refine_response_cache_t *cache)
{
    if (ngx_http_refine_response_is(name, "public")) {
        cache->is_public = 1;

    } else if (ngx_http_refine_response_is(name, "no-transform")) {
        cache->no_transform = 1;

    } else if (ngx_http_refine_response_is(name, "no-store")) {
        cache->forbidden = 1;

    } else if (ngx_http_refine_response_is(name, "private")
               || ngx_http_refine_response_is(name, "no-cache"))
    {
        /* with field names the rest of the response may be stored */

        if (arg->data == NULL) {
            cache->forbidden = 1;
        }

    } else if (ngx_http_refine_response_is(name, "s-maxage")) {
        cache->s_maxage = ngx_http_refine_response_seconds(arg,
                                                           cache->s_maxage);

    } else if (ngx_http_refine_response_is(name, "max-age")) {
        cache->max_age = ngx_http_refine_response_seconds(arg,
                                                          cache->max_age);
    }
}


/*
 * A malformed number is no freshness; what Surrogate-Control (60+30;who) and
 * RFC 9213 (60;parameter) have behind it is not malformed.  Of a repeated
 * directive the largest counts, for some cache may use it.
 */

static time_t
ngx_http_refine_response_seconds(ngx_str_t *arg, time_t known)
{
    size_t  i;
    time_t  n;

    n = 0;

    for (i = 0; i < arg->len; i++) {

        if (i > 0 && (arg->data[i] == '+' || arg->data[i] == ';')) {
            break;
        }

        if (arg->data[i] < '0' || arg->data[i] > '9') {
            n = 0;
            break;
        }

        n = ngx_min(n * 10 + (arg->data[i] - '0'), NGX_MAX_INT32_VALUE);
    }

    return ngx_max(n, known);
}


static ngx_uint_t
ngx_http_refine_response_expires(ngx_http_request_t *r)
{
    time_t                            now, expires;
    ngx_table_elt_t                  *h;
    ngx_http_refine_response_walk_t   walk;

    static ngx_str_t  name = ngx_string("Expires");

    now = ngx_time();

    h = r->headers_out.date;

    if (h != NULL) {
        expires = ngx_parse_http_time(h->value.data, h->value.len);

        if (expires != NGX_ERROR) {
            now = expires;
        }
    }

    walk.part = NULL;

    for ( ;; ) {
        h = ngx_http_refine_response_header(r, &name, &walk);

        if (h == NULL) {
            return 0;
        }

        expires = ngx_parse_http_time(h->value.data, h->value.len);

        if (expires != NGX_ERROR && expires > now) {
            return 1;
        }
    }
}
