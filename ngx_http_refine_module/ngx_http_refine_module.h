
/*
 * Level 4: the configuration and the request context, types only.
 */


#ifndef _NGX_HTTP_REFINE_MODULE_H_INCLUDED_
#define _NGX_HTTP_REFINE_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_compat.h"
#include "ngx_http_refine_path.h"
#include "ngx_http_refine_queue.h"
#include "ngx_http_refine_shared.h"
#include "ngx_http_refine_target.h"


#define NGX_HTTP_REFINE_VERSION  "0.1.0"


/* opaque here: the delivery of a catalog in this worker, level 5 */
typedef struct ngx_http_refine_flush_s  ngx_http_refine_flush_t;

/* opaque here: a file that is built in, level 6 */
typedef struct ngx_http_refine_file_s  ngx_http_refine_file_t;

/* and the rewriting of a page, level 6 */
typedef struct ngx_http_refine_inject_s  ngx_http_refine_inject_t;


typedef struct {
    ngx_str_t                      name;        /* empty: off */
    ngx_str_t                      domain;
    time_t                         lifetime;    /* seconds */
    ngx_str_t                      max_age;     /* as in Set-Cookie */
    ngx_str_t                      attributes;  /* but for Secure */
} ngx_http_refine_cookie_t;


/* the cookies that are looked for */

typedef enum {
    NGX_HTTP_REFINE_COOKIE_VISITOR = 0,
    NGX_HTTP_REFINE_COOKIE_SESSION,
    NGX_HTTP_REFINE_COOKIE_CONSENT,
    NGX_HTTP_REFINE_COOKIES
} ngx_http_refine_cookie_e;


typedef enum {
    NGX_HTTP_REFINE_SECURE_OFF = 0,
    NGX_HTTP_REFINE_SECURE_ON,
    NGX_HTTP_REFINE_SECURE_AUTO
} ngx_http_refine_secure_e;


/* what may be kept of a visitor: consent.h */

typedef enum {
    NGX_HTTP_REFINE_CONSENT_UNKNOWN = 0,        /* not settled yet */
    NGX_HTTP_REFINE_CONSENT_GRANTED,
    NGX_HTTP_REFINE_CONSENT_PENDING,
    NGX_HTTP_REFINE_CONSENT_DNT,
    NGX_HTTP_REFINE_CONSENT_GPC,
    NGX_HTTP_REFINE_CONSENT_DENIED
} ngx_http_refine_consent_e;


/* where in the configuration something stands */

typedef struct {
    ngx_str_t                      file;        /* empty: not there */
    ngx_uint_t                     line;
} ngx_http_refine_place_t;


typedef struct {
    ngx_str_t                      trusted_certificate;
    ngx_str_t                      certificate;
    ngx_str_t                      certificate_key;
    ngx_str_t                      name;
} ngx_http_refine_queue_tls_t;


typedef struct {
    ngx_http_refine_place_t        block;       /* empty: not defined yet */
    ngx_http_refine_place_t        use;         /* first refine NAME */
    ngx_http_refine_place_t        endpoint;
    ngx_http_refine_place_t        queue;
    ngx_str_t                      address;     /* of the endpoint */
    ngx_str_t                      store;       /* address of the queue */
    ngx_str_t                      trusted_certificate;
    ngx_str_t                      ssl_name;
    ngx_flag_t                     ssl_verify;
    ngx_http_refine_queue_tls_t    queue_tls;
    ngx_http_refine_place_t        spool_at;
    ngx_str_t                      spool;       /* empty: off, or preset */
    unsigned                       https:1;
    unsigned                       rediss:1;
    unsigned                       prefix:1;    /* of queue, is there */
    unsigned                       no_spool:1;
    unsigned                       preset_spool:1;
    uint64_t                       seen;        /* options, a bit each */
} ngx_http_refine_source_t;


typedef struct {
    ngx_str_t                      name;        /* refine_catalog NAME */
    ngx_str_t                      organization_id;
    ngx_str_t                      catalog_id;
    ngx_str_t                      api_key;     /* never shown anywhere */
    ngx_flag_t                     enabled;

    ngx_str_t                      url;         /* endpoint, as written */
    ngx_str_t                      host;        /* the Host header */
    ngx_str_t                      uri;
    ngx_http_refine_target_t       endpoint;
    ngx_msec_t                     delivery_timeout;

    ngx_http_refine_queue_conf_t   queue;

    ngx_uint_t                     batch_size;
    ngx_msec_t                     flush_interval;
    ngx_uint_t                     max_in_flight;
    ngx_http_refine_rate_share_t   rate_share;
    ngx_uint_t                     max_retries;
    ngx_msec_t                     retry_window;

    ngx_http_refine_cookie_t       visitor;
    ngx_http_refine_cookie_t       session;     /* lifetime: session_timeout */
    ngx_uint_t                     cookie_secure;
    ngx_http_complex_value_t      *user_id;
    ngx_http_complex_value_t      *consent;     /* NULL: of the cookie */
    ngx_flag_t                     require_consent;
    ngx_http_complex_value_t      *bot;
    ngx_flag_t                     anonymize_ip;
    ngx_array_t                   *origins;     /* allow_origin; NULL: none */

    ngx_shm_zone_t                *zone;        /* shared.h */

    /* what the block said, until the configuration is complete */
    ngx_http_refine_source_t       source;

    /* of this process, set when a worker starts: flush.h */
    ngx_http_refine_queue_t       *store;
    ngx_http_refine_flush_t       *flush;
} ngx_http_refine_catalog_t;


/* where a value of a serve comes from */

typedef enum {
    NGX_HTTP_REFINE_VALUE_NONE = 0,
    NGX_HTTP_REFINE_VALUE_TEXT,                 /* with variables */
    NGX_HTTP_REFINE_VALUE_ARG,                  /* exactly one $arg_NAME */
    NGX_HTTP_REFINE_VALUE_JSON,                 /* of the response */
    NGX_HTTP_REFINE_VALUE_BODY                  /* of the request */
} ngx_http_refine_value_e;


/* behind the last one come the members of metadata */

typedef enum {
    NGX_HTTP_REFINE_SERVE_SURFACE = 0,
    NGX_HTTP_REFINE_SERVE_SOURCE,
    NGX_HTTP_REFINE_SERVE_ITEMS,
    NGX_HTTP_REFINE_SERVE_TOTAL,
    NGX_HTTP_REFINE_SERVE_QUERY,
    NGX_HTTP_REFINE_SERVE_ID,
    NGX_HTTP_REFINE_SERVE_ANCHOR,
    NGX_HTTP_REFINE_SERVE_OFFSET,
    NGX_HTTP_REFINE_SERVE_FILTERS,
    NGX_HTTP_REFINE_SERVE_SORT,
    NGX_HTTP_REFINE_SERVE_VALUES
} ngx_http_refine_serve_value_e;


#define NGX_HTTP_REFINE_SERVE_MAX_METADATA  16

#define NGX_HTTP_REFINE_SERVE_MAX_VALUES                                      \
    (NGX_HTTP_REFINE_SERVE_VALUES + NGX_HTTP_REFINE_SERVE_MAX_METADATA)

/* a selector that belongs to no value: of the list that a format has */
#define NGX_HTTP_REFINE_SERVE_LIST          0xff


typedef struct {
    ngx_http_refine_value_e        from;
    ngx_http_complex_value_t      *text;        /* TEXT, ARG */
    ngx_str_t                      name;        /* a member of metadata */
} ngx_http_refine_value_t;


/* the value that a selector belongs to; of two that match, the lower rank */

typedef struct {
    uint8_t                        value;
    uint8_t                        rank;
} ngx_http_refine_selector_t;


/* the selectors of all values in one set */

typedef struct {
    ngx_http_refine_path_set_t    *paths;       /* NULL: none */
    ngx_http_refine_selector_t     selectors[NGX_HTTP_REFINE_PATH_MAX_SET];
} ngx_http_refine_selectors_t;


typedef struct {
    ngx_http_refine_value_t       *values;
    ngx_uint_t                     nvalues;     /* those of metadata, too */
    ngx_uint_t                     extras;      /* filters, sort, metadata */

    /* of the type, for a value that comes to nothing */
    ngx_str_t                      surface;
    ngx_str_t                      source;

    ngx_http_refine_selectors_t    json;
    ngx_http_refine_selectors_t    body;

    ngx_http_complex_value_t      *condition;   /* NULL: always */
    off_t                          max_length;  /* of a body that is read */
    ngx_flag_t                     cacheable;
    ngx_uint_t                     format;      /* a list has to be there */
} ngx_http_refine_serve_conf_t;


/* refine_collect trusted: whose word is taken for who the visitor was */

typedef enum {
    NGX_HTTP_REFINE_TRUST_NOBODY = 0,
    NGX_HTTP_REFINE_TRUST_LOCAL,                /* guarded as control is */
    NGX_HTTP_REFINE_TRUST_ANY
} ngx_http_refine_trust_e;


typedef struct {
    ngx_uint_t                     types;       /* bits, 1 << type */
    ngx_http_refine_trust_e        trusted;
    unsigned                       pixel:1;     /* GET is allowed */
} ngx_http_refine_collect_conf_t;


/* refine_inject */

typedef struct {
    ngx_str_t                      script;      /* empty: the server's own */
    ngx_str_t                      collect;
    ngx_str_t                      element;     /* up to the nonce */
    ngx_http_complex_value_t      *nonce;       /* NULL: none */
    ngx_http_complex_value_t      *condition;   /* NULL: always */
    void                          *server;      /* that element is for */
    ngx_http_refine_place_t        place;       /* of the directive */
} ngx_http_refine_inject_conf_t;


typedef struct {
    ngx_array_t                    catalogs;    /* of pointers to them */
    ngx_uint_t                     serves;      /* refine_serve is in use */
    ngx_uint_t                     injects;     /* refine_inject is in use */
    ngx_uint_t                     collects;    /* refine_collect is in use */
    ngx_http_refine_file_t       **page;        /* NULL: no refine_status */
} ngx_http_refine_main_conf_t;


typedef struct {
    ngx_http_refine_catalog_t     *catalog;     /* NULL: off */
    ngx_http_refine_serve_conf_t  *serve;       /* NULL: off */
    ngx_http_refine_inject_conf_t *inject;      /* NULL: off */
    ngx_uint_t                     any;         /* status, control: not only
                                                   from loopback */
    ngx_uint_t                     format;      /* status: report.h */
    ngx_str_t                      control;     /* status: URI; data NULL:
                                                   of the server */

    /* NULL: no such directive here */
    ngx_http_refine_collect_conf_t  *collect;
    ngx_http_refine_file_t        *script;
} ngx_http_refine_loc_conf_t;


/* what has an exact location of its own in this server; empty: has none */

typedef struct {
    ngx_str_t                      script;
    ngx_str_t                      collect;
    ngx_str_t                      control;
} ngx_http_refine_srv_conf_t;


/*
 * Of a main request.  It outlives internal redirects, which wipe nginx's own
 * contexts: it is found again through a cleanup of the request's pool.
 */

typedef struct {
    ngx_http_request_t            *request;
    ngx_str_t                      serve_id;    /* made or taken over */
    ngx_str_t                      visitor_id;  /* valid or minted, or empty */
    ngx_str_t                      session_id;
    const char                    *outcome;     /* $refine_outcome */
    ngx_http_refine_catalog_t     *catalog;     /* whose consent it is */
    ngx_http_refine_consent_e      consent;
    ngx_uint_t                     signals;     /* bits: consent.h */
    ngx_http_refine_catalog_t     *named;       /* whose cookies these are */
    ngx_str_t                      cookies[NGX_HTTP_REFINE_COOKIES];
    ngx_http_refine_catalog_t     *identified;  /* whose the two ids are */
    ngx_http_refine_inject_t      *inject;      /* NULL: no page */
    unsigned                       gzip:1;      /* the body for collect */
    unsigned                       signalled:1; /* the signals are known */
} ngx_http_refine_ctx_t;


extern ngx_module_t  ngx_http_refine_module;


#endif /* _NGX_HTTP_REFINE_MODULE_H_INCLUDED_ */
