
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_funnel.h"
#include "ngx_http_refine_set.h"


#define NGX_HTTP_REFINE_BEACON_DEPTH         8
#define NGX_HTTP_REFINE_BEACON_MAX_REJECTED  (1024 * 1024)

/* the last millisecond of a JavaScript Date */
#define NGX_HTTP_REFINE_BEACON_MAX_TIME      8.64e15


static ngx_int_t ngx_http_refine_beacon_copy(ngx_http_request_t *r,
    ngx_str_t *text);
static ngx_int_t ngx_http_refine_beacon_json(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, u_char *p, size_t len);
static ngx_int_t ngx_http_refine_beacon_envelope(
    ngx_http_refine_beacon_t *beacon);
static ngx_int_t ngx_http_refine_beacon_sent_at(
    ngx_http_refine_beacon_t *beacon, cJSON *value);


void
ngx_http_refine_beacon_init(ngx_http_refine_beacon_t *beacon, ngx_pool_t *pool)
{
    ngx_memzero(beacon, sizeof(ngx_http_refine_beacon_t));

    beacon->max = NGX_HTTP_REFINE_BEACON_MAX_EVENTS;

    (void) ngx_http_refine_buf_init(&beacon->rejected, pool, 0,
                                    NGX_HTTP_REFINE_BEACON_MAX_REJECTED);
}


ngx_int_t
ngx_http_refine_beacon_body(ngx_http_refine_beacon_t *beacon,
    ngx_http_request_t *r, ngx_str_t *text)
{
    off_t         size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_set(text, "");

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    b = cl->buf;

    if (cl->next == NULL && ngx_buf_in_memory(b)) {
        text->data = b->pos;
        text->len = b->last - b->pos;

        return NGX_OK;
    }

    size = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > NGX_HTTP_REFINE_BEACON_MAX_BODY) {
        return ngx_http_refine_beacon_refuse(beacon,
                   NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "",
                   "the body is too large",
                   NGX_HTTP_REFINE_REJECTED_TOO_LARGE);
    }

    text->len = (size_t) size;

    return ngx_http_refine_beacon_copy(r, text);
}


static ngx_int_t
ngx_http_refine_beacon_copy(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char       *p;
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    p = ngx_pnalloc(r->pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        if (!b->in_file) {
            continue;
        }

        size = (size_t) (b->file_last - b->file_pos);

        n = ngx_read_file(b->file, p, size, b->file_pos);

        if (n == NGX_ERROR || (size_t) n != size) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_beacon_parse(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, u_char *p, size_t len)
{
    cJSON      *json;
    ngx_int_t   rc;

    rc = ngx_http_refine_beacon_json(beacon, pool, p, len);

    if (rc != NGX_OK) {
        return rc;
    }

    json = beacon->tree.root;

    if (cJSON_IsArray(json)) {
        beacon->first = json->child;
        beacon->total = cJSON_GetArraySize(json);

    } else if (!cJSON_IsObject(json)) {
        return ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST, "",
                   "must be an event, an array of events,"
                   " or an object with \"events\"",
                   NGX_HTTP_REFINE_REJECTED_NOT_EVENT);

    } else {
        rc = ngx_http_refine_beacon_envelope(beacon);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (beacon->total == 0) {
        return ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST, "",
                   "no events", NGX_HTTP_REFINE_REJECTED_NOT_EVENT);
    }

    if (beacon->total > beacon->max) {
        return ngx_http_refine_beacon_refuse(beacon,
                   NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "",
                   beacon->max == NGX_HTTP_REFINE_BEACON_MAX_TRUSTED
                       ? "more than 500 events" : "more than 100 events",
                   NGX_HTTP_REFINE_REJECTED_TOO_MANY);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_beacon_json(ngx_http_refine_beacon_t *beacon, ngx_pool_t *pool,
    u_char *p, size_t len)
{
    u_char     *text, *last;
    size_t      size;
    ngx_int_t   rc;

    beacon->tree.pool = pool;

    rc = ngx_http_refine_tree_parse(&beacon->tree, p, len,
                                    NGX_HTTP_REFINE_BEACON_DEPTH,
                                    NGX_HTTP_REFINE_JSON_NO_NUL
                                    |NGX_HTTP_REFINE_JSON_NO_LONE);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    (void) ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST, "", "",
                                         NGX_HTTP_REFINE_REJECTED_NOT_JSON);

    size = sizeof("not JSON:  at byte ") - 1 + ngx_strlen(beacon->tree.error)
           + NGX_SIZE_T_LEN;

    text = ngx_pnalloc(pool, size);
    if (text == NULL) {
        return NGX_ERROR;
    }

    last = ngx_snprintf(text, size, "not JSON: %s at byte %uz",
                        beacon->tree.error, beacon->tree.offset);

    beacon->error.error.data = text;
    beacon->error.error.len = last - text;

    return NGX_DECLINED;
}


/* an object is an envelope when it has "events", else an event */

static ngx_int_t
ngx_http_refine_beacon_envelope(ngx_http_refine_beacon_t *beacon)
{
    cJSON  *json, *events, *sent_at;

    events = NULL;
    sent_at = NULL;

    for (json = beacon->tree.root->child; json; json = json->next) {

        if (json->string[0] != 'e' && json->string[0] != 's') {
            continue;
        }

        if (ngx_strcmp(json->string, "events") == 0) {

            if (events) {
                return ngx_http_refine_beacon_refuse(beacon,
                           NGX_HTTP_BAD_REQUEST, "events",
                           "must not be there twice",
                           NGX_HTTP_REFINE_REJECTED_DUPLICATE);
            }

            events = json;

        } else if (ngx_strcmp(json->string, "sentAt") == 0) {

            if (sent_at) {
                return ngx_http_refine_beacon_refuse(beacon,
                           NGX_HTTP_BAD_REQUEST, "sentAt",
                           "must not be there twice",
                           NGX_HTTP_REFINE_REJECTED_DUPLICATE);
            }

            sent_at = json;
        }
    }

    if (events == NULL) {
        beacon->first = beacon->tree.root;
        beacon->total = 1;

        return NGX_OK;
    }

    if (!cJSON_IsArray(events)) {
        return ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST,
                   "events", "must be an array of events",
                   NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    beacon->first = events->child;
    beacon->total = cJSON_GetArraySize(events);

    return ngx_http_refine_beacon_sent_at(beacon, sent_at);
}


static ngx_int_t
ngx_http_refine_beacon_sent_at(ngx_http_refine_beacon_t *beacon, cJSON *value)
{
    if (value == NULL) {
        return NGX_OK;
    }

    /* a clock may show any time; it is the difference that is used */

    if (!cJSON_IsNumber(value)
        || !(value->valuedouble >= 1
             && value->valuedouble <= NGX_HTTP_REFINE_BEACON_MAX_TIME))
    {
        return ngx_http_refine_beacon_refuse(beacon, NGX_HTTP_BAD_REQUEST,
                   "sentAt", "must be a number: milliseconds since 1970",
                   NGX_HTTP_REFINE_REJECTED_INVALID);
    }

    beacon->sent_at = (uint64_t) value->valuedouble;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_beacon_check(ngx_http_refine_beacon_t *beacon,
    ngx_pool_t *pool, ngx_http_refine_event_env_t *env,
    ngx_http_refine_queue_t *queue, ngx_shm_zone_t *zone)
{
    cJSON                          *json;
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    ngx_http_refine_set_t           set;
    ngx_http_refine_event_t        *ev;
    ngx_http_refine_event_error_t   error;

    beacon->events = ngx_palloc(pool,
                              beacon->total * sizeof(ngx_http_refine_event_t));
    if (beacon->events == NULL
        || ngx_http_refine_set_init(&set, pool, beacon->total) != NGX_OK)
    {
        return NGX_ERROR;
    }

    json = beacon->first;

    for (i = 0; i < beacon->total; i++, json = json->next) {
        ev = &beacon->events[beacon->nevents];

        rc = ngx_http_refine_event_parse(pool, json, env, ev, &error);

        if (rc == NGX_DECLINED) {
            ngx_http_refine_beacon_reject(beacon, i, &error);
            ngx_http_refine_queue_count(queue, error.reason, 1);
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        /* an id that was made here is known to nobody else */

        if (!ev->made
            && (ngx_http_refine_set_add(&set, ev->id.data, ev->id.len)
                != NGX_OK
                || (zone && ngx_http_refine_shared_seen(zone, &ev->id))))
        {
            beacon->duplicates++;
            continue;
        }

        if (zone
            && ngx_http_refine_funnel_find(zone, pool, beacon->events,
                                           beacon->nevents)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        beacon->nevents++;
    }

    if (beacon->duplicates) {
        ngx_http_refine_queue_count(queue, NGX_HTTP_REFINE_DUPLICATES,
                                    beacon->duplicates);
    }

    return beacon->rejected.failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_refine_beacon_refuse(ngx_http_refine_beacon_t *beacon,
    ngx_uint_t status, const char *field, const char *error,
    ngx_http_refine_counter_e reason)
{
    beacon->status = status;
    beacon->error.field.data = (u_char *) field;
    beacon->error.field.len = ngx_strlen(field);
    beacon->error.error.data = (u_char *) error;
    beacon->error.error.len = ngx_strlen(error);
    beacon->error.reason = reason;

    return NGX_DECLINED;
}


void
ngx_http_refine_beacon_reject(ngx_http_refine_beacon_t *beacon,
    ngx_int_t index, ngx_http_refine_event_error_t *error)
{
    ngx_http_refine_buf_t  *b;

    b = &beacon->rejected;

    if (beacon->nrejected++) {
        ngx_http_refine_buf_lit(b, ",");
    }

    ngx_http_refine_buf_lit(b, "{\"index\":");

    if (index < 0) {
        ngx_http_refine_buf_lit(b, "null");

    } else {
        ngx_http_refine_buf_int(b, index);
    }

    ngx_http_refine_buf_lit(b, ",\"field\":");
    ngx_http_refine_buf_json(b, error->field.data, error->field.len);
    ngx_http_refine_buf_lit(b, ",\"error\":");
    ngx_http_refine_buf_json(b, error->error.data, error->error.len);
    ngx_http_refine_buf_lit(b, "}");
}


void
ngx_http_refine_beacon_free(ngx_http_refine_beacon_t *beacon)
{
    ngx_http_refine_tree_free(&beacon->tree);
    beacon->first = NULL;
}
