
#include "ngx_http_refine_verdict.h"
#include <cjson/cJSON.h>


static double ngx_http_refine_verdict_body_wait(ngx_str_t *body);
static size_t ngx_http_refine_verdict_clean(u_char *dst, u_char *src,
    size_t len);
static size_t ngx_http_refine_verdict_char(u_char *p, size_t len);


ngx_http_refine_verdict_e
ngx_http_refine_verdict(ngx_uint_t status)
{
    if (status >= 200 && status < 300) {
        return NGX_HTTP_REFINE_VERDICT_DELIVERED;
    }

    switch (status) {

    case 408:
    case 425:
    case 429:
        return NGX_HTTP_REFINE_VERDICT_BUSY;

    case 400:
    case 422:
        return NGX_HTTP_REFINE_VERDICT_REFUSED;

    case 413:
        return NGX_HTTP_REFINE_VERDICT_TOO_LARGE;
    }

    if (status >= 300 && status < 500) {
        return NGX_HTTP_REFINE_VERDICT_WRONG;
    }

    return NGX_HTTP_REFINE_VERDICT_FAILED;
}


ngx_http_refine_counter_e
ngx_http_refine_verdict_counter(ngx_http_refine_http_answer_t *answer)
{
    switch (answer->failure) {

    case NGX_HTTP_REFINE_HTTP_CONNECTION:
        return NGX_HTTP_REFINE_POSTS_CONNECTION;

    case NGX_HTTP_REFINE_HTTP_TIMEOUT:
        return NGX_HTTP_REFINE_POSTS_TIMEOUT;

    case NGX_HTTP_REFINE_HTTP_CLOSED:
        return NGX_HTTP_REFINE_POSTS_CLOSED;

    case NGX_HTTP_REFINE_HTTP_INVALID:
        return NGX_HTTP_REFINE_POSTS_INVALID;

    default: /* NGX_HTTP_REFINE_HTTP_ANSWERED */
        break;
    }

    switch (ngx_http_refine_verdict(answer->status)) {

    case NGX_HTTP_REFINE_VERDICT_DELIVERED:
        return NGX_HTTP_REFINE_POSTS_2XX;

    case NGX_HTTP_REFINE_VERDICT_BUSY:
        return NGX_HTTP_REFINE_POSTS_BUSY;

    case NGX_HTTP_REFINE_VERDICT_REFUSED:
        return NGX_HTTP_REFINE_POSTS_REFUSED;

    case NGX_HTTP_REFINE_VERDICT_TOO_LARGE:
        return NGX_HTTP_REFINE_POSTS_TOO_LARGE;

    case NGX_HTTP_REFINE_VERDICT_FAILED:
        return NGX_HTTP_REFINE_POSTS_5XX;

    default: /* NGX_HTTP_REFINE_VERDICT_WRONG */
        break;
    }

    switch (answer->status) {

    case 401:
    case 403:
        return NGX_HTTP_REFINE_POSTS_UNAUTHORIZED;

    case 404:
    case 405:
        return NGX_HTTP_REFINE_POSTS_NOT_FOUND;
    }

    return (answer->status < 400) ? NGX_HTTP_REFINE_POSTS_3XX
                                  : NGX_HTTP_REFINE_POSTS_OTHER_4XX;
}


ngx_http_refine_action_e
ngx_http_refine_verdict_action(ngx_http_refine_verdict_e verdict,
    ngx_http_refine_situation_t *s)
{
    switch (verdict) {

    case NGX_HTTP_REFINE_VERDICT_DELIVERED:
        return NGX_HTTP_REFINE_ACTION_ACK;

    case NGX_HTTP_REFINE_VERDICT_BUSY:
        return NGX_HTTP_REFINE_ACTION_RETRY;

    case NGX_HTTP_REFINE_VERDICT_FAILED:

        if (!s->suspect || s->probe) {
            return (s->errors + 1 >= s->max_retries)
                   ? NGX_HTTP_REFINE_ACTION_ASIDE
                   : NGX_HTTP_REFINE_ACTION_RETRY;
        }

        /* a larger one has used its retries up before it became suspect */

        if (s->passed && s->n > 1) {
            return NGX_HTTP_REFINE_ACTION_SPLIT;
        }

        if (s->passed && s->errors + 1 >= s->max_retries) {
            return NGX_HTTP_REFINE_ACTION_DEAD;
        }

        return NGX_HTTP_REFINE_ACTION_ALONE;

    case NGX_HTTP_REFINE_VERDICT_TOO_LARGE:

        if (s->n > 1) {
            return NGX_HTTP_REFINE_ACTION_SPLIT;
        }

        /* fall through */

    case NGX_HTTP_REFINE_VERDICT_REFUSED:

        if (s->held || !s->known) {
            return (s->probe && s->refused >= 1)
                   ? NGX_HTTP_REFINE_ACTION_HOLD_ASIDE
                   : NGX_HTTP_REFINE_ACTION_HOLD;
        }

        if (s->n > 1) {
            return NGX_HTTP_REFINE_ACTION_SPLIT;
        }

        return (s->singles + 1 >= NGX_HTTP_REFINE_VERDICT_SINGLES)
               ? NGX_HTTP_REFINE_ACTION_HOLD
               : NGX_HTTP_REFINE_ACTION_DEAD;

    default: /* NGX_HTTP_REFINE_VERDICT_WRONG */
        return NGX_HTTP_REFINE_ACTION_HOLD;
    }
}


ngx_msec_t
ngx_http_refine_verdict_wait(ngx_http_refine_http_answer_t *answer, time_t now,
    time_t retry)
{
    double   wait, other;
    int64_t  n;

    n = ngx_http_refine_verdict_number(&answer->retry_after);

    if (n >= 0) {
        wait = (double) n;

    } else {
        wait = (retry == (time_t) NGX_ERROR) ? 0 : (double) (retry - now);
    }

    other = ngx_http_refine_verdict_body_wait(&answer->body);
    wait = ngx_max(wait, other);

    if (ngx_http_refine_verdict_number(&answer->remaining) == 0) {
        n = ngx_http_refine_verdict_number(&answer->reset);
        other = (double) ngx_http_refine_rate_left(n, now);
        wait = ngx_max(wait, other);
    }

    if (!(wait > 0)) {
        return 0;
    }

    if (wait * 1000 > NGX_HTTP_REFINE_VERDICT_WAIT_MAX) {
        return NGX_HTTP_REFINE_VERDICT_WAIT_MAX + 1;
    }

    return (ngx_msec_t) (wait * 1000);
}


void
ngx_http_refine_verdict_rate(ngx_http_refine_http_answer_t *answer,
    time_t date, ngx_http_refine_rate_answer_t *rate)
{
    rate->limit = ngx_http_refine_verdict_number(&answer->limit);
    rate->remaining = ngx_http_refine_verdict_number(&answer->remaining);
    rate->reset = ngx_http_refine_verdict_number(&answer->reset);
    rate->date = date;
    rate->passed = (answer->status >= 200 && answer->status < 300);
}


int64_t
ngx_http_refine_verdict_number(ngx_str_t *value)
{
    size_t   i;
    int64_t  n;

    /* 15 digits are more than any time or count, and exact in a double */

    if (value->len == 0 || value->len > 15) {
        return -1;
    }

    n = 0;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            return -1;
        }

        n = n * 10 + (value->data[i] - '0');
    }

    return n;
}


static double
ngx_http_refine_verdict_body_wait(ngx_str_t *body)
{
    cJSON   *json, *item;
    double   seconds;

    if (body->len == 0) {
        return 0;
    }

    json = cJSON_ParseWithLength((char *) body->data, body->len);
    item = cJSON_GetObjectItemCaseSensitive(json, "retry_after");
    seconds = cJSON_IsNumber(item) ? item->valuedouble : 0;

    cJSON_Delete(json);

    return seconds;
}


void
ngx_http_refine_verdict_reason(ngx_http_refine_http_answer_t *answer,
    u_char *buf, ngx_str_t *reason)
{
    u_char      *p;
    cJSON       *json, *item;
    ngx_uint_t   n;

    reason->data = buf;
    reason->len = 0;

    if (answer->status == 0) {
        p = (u_char *) (answer->error ? answer->error : "no answer");
        reason->len = ngx_http_refine_verdict_clean(buf, p, ngx_strlen(p));
        return;
    }

    if (answer->body.len) {
        json = cJSON_ParseWithLength((char *) answer->body.data,
                                     answer->body.len);
        item = cJSON_GetObjectItemCaseSensitive(json, "message");

        if (cJSON_IsString(item)) {
            p = (u_char *) item->valuestring;
            reason->len = ngx_http_refine_verdict_clean(buf, p, ngx_strlen(p));
        }

        cJSON_Delete(json);
    }

    if (reason->len == 0) {
        p = ngx_cpymem(buf, "status ", sizeof("status ") - 1);

        for (n = 100; n > 0; n /= 10) {
            *p++ = (u_char) ('0' + answer->status / n % 10);
        }

        reason->len = p - buf;
    }
}


static size_t
ngx_http_refine_verdict_clean(u_char *dst, u_char *src, size_t len)
{
    size_t  n, used;

    used = 0;

    while (len) {
        n = ngx_http_refine_verdict_char(src, len);

        if (used + ngx_max(n, 1) > NGX_HTTP_REFINE_VERDICT_REASON) {
            break;
        }

        if (n == 0) {
            dst[used++] = '?';
            n = 1;

        } else {
            ngx_memcpy(dst + used, src, n);
            used += n;
        }

        src += n;
        len -= n;
    }

    return used;
}


/* the length of a printable character in UTF-8, 0 when it is none */

static size_t
ngx_http_refine_verdict_char(u_char *p, size_t len)
{
    size_t    n, i;
    uint32_t  code, min;

    if (p[0] < 0x80) {
        return (p[0] >= 0x20 && p[0] != 0x7f) ? 1 : 0;
    }

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
        code = p[0] & 0x1f;
        min = 0xa0;                         /* behind the C1 controls */

    } else if ((p[0] & 0xf0) == 0xe0) {
        n = 3;
        code = p[0] & 0x0f;
        min = 0x800;

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        code = p[0] & 0x07;
        min = 0x10000;

    } else {
        return 0;
    }

    if (n > len) {
        return 0;
    }

    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        code = code << 6 | (p[i] & 0x3f);
    }

    if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }

    return n;
}


const char *
ngx_http_refine_verdict_advice(ngx_uint_t status)
{
    switch (status) {

    case 400:
    case 422:
        return "check organization_id, catalog_id and endpoint";

    case 401:
        return "check api_key";

    case 403:
        return "check api_key, organization_id and catalog_id";

    case 404:
    case 405:
        return "check endpoint";

    case 413:
        return "check the request size that the endpoint allows";
    }

    if (status >= 300 && status < 400) {
        return "redirects are not followed, check endpoint";
    }

    return "check endpoint and api_key";
}
