
/*
 * Level 5: what the options of a refine_catalog block may say.  Every mistake
 * is an error of the configuration that quotes the value (never a key or a
 * password) and says what is allowed.
 */


#ifndef _NGX_HTTP_REFINE_CATALOG_OPTION_H_INCLUDED_
#define _NGX_HTTP_REFINE_CATALOG_OPTION_H_INCLUDED_


#include "ngx_http_refine_module.h"


#define NGX_HTTP_REFINE_DAY           (24 * 60 * 60)
#define NGX_HTTP_REFINE_MAX_LIFETIME  (400 * NGX_HTTP_REFINE_DAY)

#define NGX_HTTP_REFINE_ID_CHARS                                              \
    "printable ASCII characters except the space, \", \\, { and }"


typedef struct ngx_http_refine_option_s  ngx_http_refine_option_t;

typedef char *(*ngx_http_refine_option_pt)(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);

struct ngx_http_refine_option_s {
    ngx_str_t                  name;
    ngx_uint_t                 args;        /* values, at most */
    ngx_http_refine_option_pt  set;
    size_t                     offset;
    ngx_int_t                  preset;      /* numbers, times and flags */
    int64_t                    low;
    int64_t                    high;
    const char                *allowed;     /* the bounds in words, or words */
};


/* catalog_table.c: all options, in the order of the docs */
extern const ngx_http_refine_option_t  ngx_http_refine_options[];
extern const ngx_uint_t  ngx_http_refine_noptions;


/* the setters; the values are in cf->args, none of them is empty */

char *ngx_http_refine_option_number(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_percent(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_msec(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_sec(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_size(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_flag(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_secure(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_text(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_id(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_complex(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_choice(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_key(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_endpoint(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_queue(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_spool(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
char *ngx_http_refine_option_cookie(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);

char *ngx_http_refine_option_origins(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);

/* NGX_CONF_ERROR, with the message that a value is invalid */
char *ngx_http_refine_option_invalid(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value, const char *allowed);

/*
 * At the end of http{}: where the spool is, and that it is there when the
 * configuration is taken; cf says where the option stands.
 */
ngx_int_t ngx_http_refine_catalog_spool(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_http_refine_catalog_t *catalog);

/* at the end of http{}: addresses and TLS, with messages of their own lines */
ngx_int_t ngx_http_refine_catalog_targets(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);

/* for messages about a line that has been read before */
void ngx_http_refine_catalog_at(ngx_conf_t *cf, ngx_conf_t *conf,
    ngx_conf_file_t *file, ngx_http_refine_place_t *place);

/* NGX_DECLINED: not printable ASCII, a space, or one of except */
ngx_int_t ngx_http_refine_option_printable(ngx_str_t *text,
    const char *except);

/* NGX_DECLINED: neither the name of a host nor an IPv4 address */
ngx_int_t ngx_http_refine_option_host(ngx_str_t *host);

/* notes where the directive that is being read stands */
void ngx_http_refine_option_place(ngx_conf_t *cf,
    ngx_http_refine_place_t *place);


#endif /* _NGX_HTTP_REFINE_CATALOG_OPTION_H_INCLUDED_ */
