
/*
 * Level 1: what an event is: its fields, their limits, and the one line of
 * JSON that is stored and delivered.
 *
 * Every line starts with {"eventId":" and the id needs no escaping, so the
 * id can be read back from a line without parsing it.
 */


#ifndef _NGX_HTTP_REFINE_EVENT_H_INCLUDED_
#define _NGX_HTTP_REFINE_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_counter.h"


#define NGX_HTTP_REFINE_EVENT_MAX_ITEMS      1000
#define NGX_HTTP_REFINE_EVENT_MAX_ID         256
#define NGX_HTTP_REFINE_EVENT_MAX_QUERY      1024
#define NGX_HTTP_REFINE_EVENT_MAX_NAME       64     /* surface, source */
#define NGX_HTTP_REFINE_EVENT_MAX_TEXT       1024   /* filters and the like */
#define NGX_HTTP_REFINE_EVENT_MAX_JSON       4096
#define NGX_HTTP_REFINE_EVENT_MAX_DEPTH      5


typedef enum {
    NGX_HTTP_REFINE_ITEMS_SERVED = 0,
    NGX_HTTP_REFINE_CLICK,
    NGX_HTTP_REFINE_VIEW,
    NGX_HTTP_REFINE_ADD_TO_CART,
    NGX_HTTP_REFINE_PURCHASE,
    NGX_HTTP_REFINE_EVENT_TYPES
} ngx_http_refine_event_type_e;


/* what the server knows; empty strings and zeros are left out of the line */

typedef struct {
    uint64_t                       now;         /* Unix ms: receivedAt */
    uint64_t                       sent_at;     /* of the request, 0: none */
    ngx_str_t                      visitor_id;
    ngx_str_t                      session_id;
    ngx_str_t                      user_id;     /* wins over the event's */
    ngx_str_t                      ip;          /* already anonymized */
    ngx_str_t                      user_agent;  /* any bytes */
    ngx_uint_t                     types;       /* bits allowed, 1 << type */
    unsigned                       trusted:1;   /* the event knows all that */
    unsigned                       anonymize:1; /* a trusted event's address */
    unsigned                       bot:1;
    unsigned                       prefetch:1;
    unsigned                       anonymous:1; /* no userId, no URL queries */
} ngx_http_refine_event_env_t;


typedef struct {
    ngx_http_refine_event_type_e   type;
    ngx_str_t                      id;          /* points into line */
    ngx_str_t                      line;
    ngx_str_t                      surface;     /* of items_served only, */
    ngx_str_t                      source;      /* points into json or serve */
    ngx_str_t                      serve_id;    /* what came of a serve: into */
    ngx_str_t                      item_id;     /* json; the others are empty */
    const cJSON                   *items;       /* of a purchase: the first */
    ngx_str_t                      visitor_id;  /* empty: it is not stored */
    ngx_str_t                      labels;      /* by funnel: see surface.h */
    uint64_t                       key;         /* by funnel, unless label */
    ngx_uint_t                     label;       /* is 0 */
    unsigned                       made:1;      /* the id is new: made here */
} ngx_http_refine_event_t;


/* field: a name such as itemIds[3], or empty for the event as a whole */

typedef struct {
    ngx_str_t                      field;
    ngx_str_t                      error;       /* says what is allowed */
    ngx_http_refine_counter_e      reason;
} ngx_http_refine_event_error_t;


/* filters, sortBy, or a member of metadata, of a serve */

typedef struct {
    ngx_str_t                      name;        /* a member of metadata */
    ngx_str_t                      text;        /* empty: left out */
    unsigned                       json:1;      /* not a string, but JSON */
} ngx_http_refine_event_extra_t;


/* a serve seen by a response filter; empty, NULL or -1: left out */

typedef struct {
    ngx_str_t                      serve_id;
    ngx_str_t                      surface;
    ngx_str_t                      source;
    ngx_str_t                      query;
    ngx_str_t                      anchor;      /* metadata.anchorId */
    ngx_str_t                     *items;       /* UTF-8, no repeats */
    ngx_uint_t                     nitems;
    int64_t                        total;
    int64_t                        offset;      /* metadata.offset */
    ngx_http_refine_event_extra_t *filters;
    ngx_http_refine_event_extra_t *sort;
    ngx_http_refine_event_extra_t *metadata;
    ngx_uint_t                     nmetadata;
    ngx_uint_t                     left_out;    /* extras over their limits */
    unsigned                       truncated:1; /* metadata.truncated */
} ngx_http_refine_event_serve_t;


/*
 * Checks one event as it came from a browser and makes its line, allocated
 * from the pool.  NGX_OK; NGX_DECLINED with *err filled in; NGX_ERROR: out of
 * memory.  json stays the caller's and is not changed.  design: 3.1.
 */
ngx_int_t ngx_http_refine_event_parse(ngx_pool_t *pool, const cJSON *json,
    ngx_http_refine_event_env_t *env, ngx_http_refine_event_t *ev,
    ngx_http_refine_event_error_t *err);

/* the same line for a serve; adds to serve->left_out; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_refine_event_serve(ngx_pool_t *pool,
    ngx_http_refine_event_serve_t *serve, ngx_http_refine_event_env_t *env,
    ngx_http_refine_event_t *ev);

/*
 * Whether a text can be filters, sortBy or a member of metadata: NGX_OK,
 * NGX_DECLINED: it is JSON over the limits, NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_refine_event_extra_check(ngx_pool_t *pool, ngx_str_t *text,
    ngx_uint_t member);

/* the id of an item of a purchase that has been checked, points into it */
ngx_int_t ngx_http_refine_event_item_id(const cJSON *item, ngx_str_t *id);

/* the eventId within a line; NGX_DECLINED when the line is not one of ours */
ngx_int_t ngx_http_refine_event_id(ngx_str_t *line, ngx_str_t *id);

/* receivedAt of a line, Unix ms; 0: it is not one of ours */
int64_t ngx_http_refine_event_received(ngx_str_t *line);

/* "click" and so on, NGX_DECLINED for an unknown name */
ngx_int_t ngx_http_refine_event_type(ngx_str_t *name,
    ngx_http_refine_event_type_e *type);

extern const ngx_str_t
    ngx_http_refine_event_names[NGX_HTTP_REFINE_EVENT_TYPES];


#endif /* _NGX_HTTP_REFINE_EVENT_H_INCLUDED_ */
