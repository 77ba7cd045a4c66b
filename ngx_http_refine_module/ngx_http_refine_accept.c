
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_accept.h"


/* the more specific range wins, wherever it stands */

#define NGX_HTTP_REFINE_ACCEPT_ANY      1    /* star/star */
#define NGX_HTTP_REFINE_ACCEPT_TYPE     2    /* type/star */
#define NGX_HTTP_REFINE_ACCEPT_SUBTYPE  3
#define NGX_HTTP_REFINE_ACCEPT_VERSION  4


typedef struct {
    ngx_str_t    type;
    ngx_str_t    subtype;
    ngx_str_t    version;
    ngx_uint_t   quality;
} ngx_http_refine_accept_range_t;


static ngx_int_t ngx_http_refine_accept_range(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range);
static ngx_int_t ngx_http_refine_accept_params(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range);
static ngx_int_t ngx_http_refine_accept_param(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range);
static ngx_int_t ngx_http_refine_accept_quality(ngx_str_t *value,
    ngx_uint_t *quality);
static void ngx_http_refine_accept_token(u_char **pos, u_char *last,
    ngx_str_t *token);
static ngx_int_t ngx_http_refine_accept_value(u_char **pos, u_char *last,
    ngx_str_t *value);
static void ngx_http_refine_accept_space(u_char **pos, u_char *last);
static void ngx_http_refine_accept_skip(u_char **pos, u_char *last);
static void ngx_http_refine_accept_match(
    ngx_http_refine_accept_range_t *range, ngx_http_refine_accept_t *offer);
static void ngx_http_refine_accept_take(ngx_http_refine_accept_t *offer,
    ngx_uint_t rank, ngx_uint_t quality);
static ngx_uint_t ngx_http_refine_accept_equal(ngx_str_t *text,
    ngx_str_t *lower);


ngx_uint_t
ngx_http_refine_accept_read(ngx_str_t *value,
    ngx_http_refine_accept_t *offers, ngx_uint_t n)
{
    u_char                          *p, *last;
    ngx_uint_t                       i, found;
    ngx_http_refine_accept_range_t   range;

    found = 0;
    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ',' || *p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        if (ngx_http_refine_accept_range(&p, last, &range) != NGX_OK) {
            ngx_http_refine_accept_skip(&p, last);
            continue;
        }

        found++;

        for (i = 0; i < n; i++) {
            ngx_http_refine_accept_match(&range, &offers[i]);
        }
    }

    return found;
}


ngx_uint_t
ngx_http_refine_accept_best(ngx_http_refine_accept_t *offers, ngx_uint_t n)
{
    ngx_uint_t  i, best;

    best = n;

    for (i = 0; i < n; i++) {
        if (offers[i].quality
            && (best == n || offers[i].quality > offers[best].quality))
        {
            best = i;
        }
    }

    return best;
}


void
ngx_http_refine_accept_coding(ngx_str_t *value,
    ngx_http_refine_accept_t *coding)
{
    u_char                          *p, *last;
    ngx_uint_t                       rank;
    ngx_http_refine_accept_range_t   range;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ',' || *p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        ngx_memzero(&range, sizeof(ngx_http_refine_accept_range_t));

        range.quality = 1000;

        ngx_http_refine_accept_token(&p, last, &range.type);

        if (range.type.len == 0
            || ngx_http_refine_accept_params(&p, last, &range) != NGX_OK)
        {
            ngx_http_refine_accept_skip(&p, last);
            continue;
        }

        if (ngx_http_refine_accept_equal(&range.type, &coding->type)) {
            rank = NGX_HTTP_REFINE_ACCEPT_TYPE;

        } else if (range.type.len == 1 && range.type.data[0] == '*') {
            rank = NGX_HTTP_REFINE_ACCEPT_ANY;

        } else {
            continue;
        }

        ngx_http_refine_accept_take(coding, rank, range.quality);
    }
}


/* one element of the list, up to its comma or the end */

static ngx_int_t
ngx_http_refine_accept_range(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range)
{
    ngx_memzero(range, sizeof(ngx_http_refine_accept_range_t));

    range->quality = 1000;

    ngx_http_refine_accept_token(pos, last, &range->type);

    if (range->type.len == 0 || *pos == last || **pos != '/') {
        return NGX_DECLINED;
    }

    (*pos)++;

    ngx_http_refine_accept_token(pos, last, &range->subtype);

    if (range->subtype.len == 0) {
        return NGX_DECLINED;
    }

    return ngx_http_refine_accept_params(pos, last, range);
}


static ngx_int_t
ngx_http_refine_accept_params(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range)
{
    for ( ;; ) {
        ngx_http_refine_accept_space(pos, last);

        if (*pos == last || **pos == ',') {
            return NGX_OK;
        }

        if (**pos != ';') {
            return NGX_DECLINED;
        }

        (*pos)++;

        if (ngx_http_refine_accept_param(pos, last, range) != NGX_OK) {
            return NGX_DECLINED;
        }
    }
}


static ngx_int_t
ngx_http_refine_accept_param(u_char **pos, u_char *last,
    ngx_http_refine_accept_range_t *range)
{
    ngx_str_t  name, value;

    static ngx_str_t  version = ngx_string("version");

    ngx_http_refine_accept_space(pos, last);
    ngx_http_refine_accept_token(pos, last, &name);

    if (name.len == 0) {

        /* "text/html;" is an empty parameter */

        return NGX_OK;
    }

    if (*pos == last || **pos != '=') {
        return NGX_DECLINED;
    }

    (*pos)++;

    if (ngx_http_refine_accept_value(pos, last, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (name.len == 1 && (name.data[0] | 0x20) == 'q') {
        return ngx_http_refine_accept_quality(&value, &range->quality);
    }

    if (ngx_http_refine_accept_equal(&name, &version)) {
        range->version = value;
    }

    return NGX_OK;
}


/* 0 or 1, with up to three digits behind the point, 1 at most */

static ngx_int_t
ngx_http_refine_accept_quality(ngx_str_t *value, ngx_uint_t *quality)
{
    size_t      i;
    ngx_uint_t  n, scale;

    if (value->len == 0 || value->len > 5
        || (value->data[0] != '0' && value->data[0] != '1')
        || (value->len > 1 && value->data[1] != '.'))
    {
        return NGX_DECLINED;
    }

    n = (value->data[0] - '0') * 1000;
    scale = 100;

    for (i = 2; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            return NGX_DECLINED;
        }

        n += (value->data[i] - '0') * scale;
        scale /= 10;
    }

    if (n > 1000) {
        return NGX_DECLINED;
    }

    *quality = n;

    return NGX_OK;
}


static void
ngx_http_refine_accept_token(u_char **pos, u_char *last, ngx_str_t *token)
{
    u_char  c, *p;

    for (p = *pos; p < last; p++) {
        c = *p;

        if (c <= ' ' || c >= 0x7f || ngx_strchr("()<>@,;:\\\"/[]?={}", c)) {
            break;
        }
    }

    token->data = *pos;
    token->len = p - *pos;

    *pos = p;
}


/* a token, or what is between quotes as it stands */

static ngx_int_t
ngx_http_refine_accept_value(u_char **pos, u_char *last, ngx_str_t *value)
{
    u_char  *p;

    if (*pos == last || **pos != '"') {
        ngx_http_refine_accept_token(pos, last, value);

        return value->len ? NGX_OK : NGX_DECLINED;
    }

    for (p = *pos + 1; p < last && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    if (p >= last) {
        *pos = last;
        return NGX_DECLINED;
    }

    value->data = *pos + 1;
    value->len = p - value->data;

    *pos = p + 1;

    return NGX_OK;
}


static void
ngx_http_refine_accept_space(u_char **pos, u_char *last)
{
    while (*pos < last && (**pos == ' ' || **pos == '\t')) {
        (*pos)++;
    }
}


static void
ngx_http_refine_accept_skip(u_char **pos, u_char *last)
{
    while (*pos < last && **pos != ',') {
        (*pos)++;
    }
}


static void
ngx_http_refine_accept_match(ngx_http_refine_accept_range_t *range,
    ngx_http_refine_accept_t *offer)
{
    ngx_uint_t  rank;

    static ngx_str_t  star = ngx_string("*");

    if (ngx_http_refine_accept_equal(&range->type, &star)
        && ngx_http_refine_accept_equal(&range->subtype, &star))
    {
        rank = NGX_HTTP_REFINE_ACCEPT_ANY;

    } else if (!ngx_http_refine_accept_equal(&range->type, &offer->type)) {
        return;

    } else if (ngx_http_refine_accept_equal(&range->subtype, &star)) {
        rank = NGX_HTTP_REFINE_ACCEPT_TYPE;

    } else if (!ngx_http_refine_accept_equal(&range->subtype,
                                             &offer->subtype))
    {
        return;

    } else if (range->version.len == 0 || offer->version.len == 0) {
        rank = NGX_HTTP_REFINE_ACCEPT_SUBTYPE;

    } else if (!ngx_http_refine_accept_equal(&range->version,
                                             &offer->version))
    {
        return;

    } else {
        rank = NGX_HTTP_REFINE_ACCEPT_VERSION;
    }

    ngx_http_refine_accept_take(offer, rank, range->quality);
}


static void
ngx_http_refine_accept_take(ngx_http_refine_accept_t *offer, ngx_uint_t rank,
    ngx_uint_t quality)
{
    if (rank > offer->rank
        || (rank == offer->rank && quality > offer->quality))
    {
        offer->rank = rank;
        offer->quality = quality;
    }
}


static ngx_uint_t
ngx_http_refine_accept_equal(ngx_str_t *text, ngx_str_t *lower)
{
    return text->len == lower->len
           && ngx_strncasecmp(text->data, lower->data, lower->len) == 0;
}
