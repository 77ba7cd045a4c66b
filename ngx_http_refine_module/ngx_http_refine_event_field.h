
/*
 * Level 1, inside of event: the table of fields, with a function a row that
 * checks a value and appends it to the line.
 */


#ifndef _NGX_HTTP_REFINE_EVENT_FIELD_H_INCLUDED_
#define _NGX_HTTP_REFINE_EVENT_FIELD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_event.h"


#define NGX_HTTP_REFINE_EVENT_MAX_USER   128
#define NGX_HTTP_REFINE_EVENT_MAX_ERROR  256

/* stands among the types of a row: what only a trusted event may have */
#define NGX_HTTP_REFINE_EVENT_TRUSTED    (1 << NGX_HTTP_REFINE_EVENT_TYPES)


typedef struct ngx_http_refine_event_ctx_s    ngx_http_refine_event_ctx_t;
typedef struct ngx_http_refine_event_field_s  ngx_http_refine_event_field_t;

/* appends a valid value to the line; NGX_DECLINED with the error filled in */
typedef ngx_int_t (*ngx_http_refine_event_check_pt)(
    ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);

/* NGX_OK: a string, the length of which is right, looks as it has to */
typedef ngx_int_t (*ngx_http_refine_event_form_pt)(ngx_str_t *text);


struct ngx_http_refine_event_field_s {
    ngx_str_t                        name;
    ngx_str_t                        key;         /* as it is in the line */
    ngx_uint_t                       required;    /* bits of types */
    ngx_uint_t                       optional;
    ngx_http_refine_event_check_pt   check;
    ngx_http_refine_event_form_pt    form;        /* NULL: any */
    int64_t                          min;
    int64_t                          max;
    ngx_str_t                        error;
};


/* the rows of the table of fields, in the order of the line */

enum {
    NGX_HTTP_REFINE_FIELD_EVENT_ID = 0,
    NGX_HTTP_REFINE_FIELD_TYPE,
    NGX_HTTP_REFINE_FIELD_TIMESTAMP,
    NGX_HTTP_REFINE_FIELD_USER_ID,
    NGX_HTTP_REFINE_FIELD_SERVE_ID,
    NGX_HTTP_REFINE_FIELD_ITEM_ID,
    NGX_HTTP_REFINE_FIELD_POSITION,
    NGX_HTTP_REFINE_FIELD_SURFACE,
    NGX_HTTP_REFINE_FIELD_SOURCE,
    NGX_HTTP_REFINE_FIELD_QUERY,
    NGX_HTTP_REFINE_FIELD_ITEM_IDS,
    NGX_HTTP_REFINE_FIELD_TOTAL_RESULTS,
    NGX_HTTP_REFINE_FIELD_FILTERS,
    NGX_HTTP_REFINE_FIELD_SORT_BY,
    NGX_HTTP_REFINE_FIELD_ORDER_ID,
    NGX_HTTP_REFINE_FIELD_VALUE,
    NGX_HTTP_REFINE_FIELD_CURRENCY,
    NGX_HTTP_REFINE_FIELD_ITEMS,
    NGX_HTTP_REFINE_FIELD_PAGE,
    NGX_HTTP_REFINE_FIELD_REFERRER,
    NGX_HTTP_REFINE_FIELD_METADATA,
    NGX_HTTP_REFINE_FIELD_VISITOR_ID,
    NGX_HTTP_REFINE_FIELD_SESSION_ID,
    NGX_HTTP_REFINE_FIELD_CONTEXT,
    NGX_HTTP_REFINE_FIELDS
};


struct ngx_http_refine_event_ctx_s {
    ngx_pool_t                      *pool;
    ngx_http_refine_event_env_t     *env;
    ngx_http_refine_event_error_t   *err;
    ngx_http_refine_event_type_e     type;
    ngx_http_refine_buf_t            line;
    double                           value;       /* of a purchase */
    double                           sum;         /* of its items */
    ngx_uint_t                       repeated;    /* bits of fields */
    const cJSON                     *values[NGX_HTTP_REFINE_FIELDS];
};


extern const ngx_http_refine_event_field_t
    ngx_http_refine_event_fields[NGX_HTTP_REFINE_FIELDS];


/* the row's words for an item's id, which is found in lists, too */
extern const char  ngx_http_refine_event_id_error[];


/* the row of a name, or NGX_DECLINED */
ngx_int_t ngx_http_refine_event_field_find(const char *name);

/* the text of a string by its row: NGX_OK, or refused with the row's words */
ngx_int_t ngx_http_refine_event_text(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value,
    ngx_str_t *text);

/* the check function of items */
ngx_int_t ngx_http_refine_event_items(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const cJSON *value);

/*
 * Marks a purchase whose value is not the sum of its items; to be called when
 * the fields have been appended, metadata as the last.
 */
void ngx_http_refine_event_field_mismatch(ngx_http_refine_event_ctx_t *ctx);

/*
 * Takes who the visitor is from the event: own becomes the event's env.  NGX_OK
 * or NGX_DECLINED; NGX_ERROR.
 */
ngx_int_t ngx_http_refine_event_trusted(ngx_http_refine_event_ctx_t *ctx,
    ngx_http_refine_event_env_t *own);

/* NGX_DECLINED, with the error filled in; field is NULL for the whole event */
ngx_int_t ngx_http_refine_event_refuse(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field, const char *error,
    ngx_http_refine_counter_e reason);

/* the same for name[i] or name[i].member; the texts are constant */
ngx_int_t ngx_http_refine_event_refuse_at(ngx_http_refine_event_ctx_t *ctx,
    char *name, ngx_uint_t i, char *member, const char *error,
    ngx_http_refine_counter_e reason);

/* the same with the row's own words */
ngx_int_t ngx_http_refine_event_invalid(ngx_http_refine_event_ctx_t *ctx,
    const ngx_http_refine_event_field_t *field);


#endif /* _NGX_HTTP_REFINE_EVENT_FIELD_H_INCLUDED_ */
