
#include "ngx_http_refine_trace.h"


#define NGX_HTTP_REFINE_TRACE_BITS  ((uint64_t) NGX_HTTP_REFINE_TRACE_OTHER)


static uint64_t *ngx_http_refine_trace_bucket(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash);


ngx_uint_t
ngx_http_refine_trace_number(ngx_http_refine_trace_t *trace,
    ngx_str_t *surface, ngx_str_t *source)
{
    u_char      *p, text[NGX_HTTP_REFINE_TRACE_LABEL];
    size_t       len;
    ngx_uint_t   i;

    if (surface->len > NGX_HTTP_REFINE_TRACE_NAME
        || source->len > NGX_HTTP_REFINE_TRACE_NAME)
    {
        return NGX_HTTP_REFINE_TRACE_OTHER;
    }

    p = text;

    if (surface->len) {
        p = ngx_cpymem(p, surface->data, surface->len);
    }

    *p++ = '\0';

    if (source->len) {
        p = ngx_cpymem(p, source->data, source->len);
    }

    *p++ = '\0';
    len = p - text;

    for (i = 1; i <= trace->nlabels; i++) {
        if (trace->labels[i].len == len
            && ngx_memcmp(trace->labels[i].text, text, len) == 0)
        {
            return i;
        }
    }

    if (i < NGX_HTTP_REFINE_TRACE_OTHER) {
        ngx_memcpy(trace->labels[i].text, text, len);
        trace->labels[i].len = len;
        trace->nlabels = i;
    }

    return i;
}


void
ngx_http_refine_trace_label(ngx_http_refine_trace_t *trace, ngx_uint_t number,
    ngx_str_t *label)
{
    static u_char  other[] = "other\0other";

    if (number == NGX_HTTP_REFINE_TRACE_OTHER) {
        label->data = other;
        label->len = sizeof(other);
        return;
    }

    label->data = trace->labels[number].text;
    label->len = trace->labels[number].len;
}


void
ngx_http_refine_trace_put(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash, ngx_uint_t number)
{
    ngx_http_refine_trace_keep(ngx_http_refine_trace_bucket(trace, kind, hash),
                               (hash & ~NGX_HTTP_REFINE_TRACE_BITS) | number,
                               ~NGX_HTTP_REFINE_TRACE_BITS);
}


ngx_uint_t
ngx_http_refine_trace_get(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash)
{
    uint64_t  word;

    word = ngx_http_refine_trace_find(ngx_http_refine_trace_bucket(trace, kind,
                                                                   hash),
                                      hash, ~NGX_HTTP_REFINE_TRACE_BITS);

    return (ngx_uint_t) (word & NGX_HTTP_REFINE_TRACE_BITS);
}


static uint64_t *
ngx_http_refine_trace_bucket(ngx_http_refine_trace_t *trace,
    ngx_http_refine_trace_e kind, uint64_t hash)
{
    hash /= NGX_HTTP_REFINE_TRACE_BITS + 1;

    return (kind == NGX_HTTP_REFINE_TRACE_SERVE)
           ? trace->serves[hash % NGX_HTTP_REFINE_TRACE_SERVES]
           : trace->items[hash % NGX_HTTP_REFINE_TRACE_ITEMS];
}


uint64_t
ngx_http_refine_trace_find(uint64_t *bucket, uint64_t word, uint64_t mask)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        if (bucket[i] && ((bucket[i] ^ word) & mask) == 0) {
            return bucket[i];
        }
    }

    return 0;
}


void
ngx_http_refine_trace_keep(uint64_t *bucket, uint64_t word, uint64_t mask)
{
    ngx_uint_t  i;

    /* a word that is there moves to the front */

    for (i = 0; i < NGX_HTTP_REFINE_TRACE_WAYS - 1; i++) {
        if (bucket[i] && ((bucket[i] ^ word) & mask) == 0) {
            break;
        }
    }

    for ( /* void */ ; i > 0; i--) {
        bucket[i] = bucket[i - 1];
    }

    bucket[0] = word;
}
