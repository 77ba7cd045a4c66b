
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_accept.h"
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_file.h"
#include "ngx_http_refine_guard.h"
#include "ngx_http_refine_identity.h"
#include "ngx_http_refine_report.h"
#include "ngx_http_refine_status.h"


#define NGX_HTTP_REFINE_STATUS_AGE             1000    /* ms */
#define NGX_HTTP_REFINE_STATUS_ERROR           1024    /* bytes */
#define NGX_HTTP_REFINE_STATUS_NOT_ACCEPTABLE  406


/* a report, or the page that shows one */

#define NGX_HTTP_REFINE_STATUS_HTML     NGX_HTTP_REFINE_REPORT_FORMATS
#define NGX_HTTP_REFINE_STATUS_FORMATS  (NGX_HTTP_REFINE_REPORT_FORMATS + 1)


typedef struct {
    ngx_http_request_t               *request;
    ngx_uint_t                        format;
} ngx_http_refine_status_t;


typedef struct {
    ngx_str_t                         name;
    ngx_http_refine_accept_t          offer;
    const char                       *type;     /* NULL: JSON */
    const char                       *before;   /* of an error's text */
    const char                       *after;
} ngx_http_refine_status_format_t;


static ngx_int_t ngx_http_refine_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_status_report(ngx_http_request_t *r,
    ngx_uint_t format);
static void ngx_http_refine_status_control(ngx_http_request_t *r,
    ngx_str_t *uri);
static ngx_int_t ngx_http_refine_status_page(ngx_http_request_t *r);
static ngx_int_t ngx_http_refine_status_file(ngx_http_request_t *r,
    ngx_uint_t format);
static const char *ngx_http_refine_status_ask(ngx_http_request_t *r,
    ngx_uint_t *format, ngx_uint_t *status);
static const char *ngx_http_refine_status_args(ngx_http_request_t *r,
    ngx_uint_t *format);
static const char *ngx_http_refine_status_accept(ngx_http_request_t *r,
    ngx_uint_t *format);
static void ngx_http_refine_status_done(void *data, ngx_str_t *text);
static ngx_int_t ngx_http_refine_status_answer(ngx_http_request_t *r,
    ngx_uint_t format, ngx_uint_t status,
    ngx_str_t *body);
static ngx_int_t ngx_http_refine_status_headers(ngx_http_request_t *r,
    ngx_uint_t format);
static ngx_int_t ngx_http_refine_status_error(ngx_http_request_t *r,
    ngx_uint_t format, ngx_uint_t status, const char *text);
static ngx_int_t ngx_http_refine_status_uri(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *uri);
static char *ngx_http_refine_status_embed(ngx_conf_t *cf);


/* indexed by ngx_http_refine_report_format_e, and the page */

static const ngx_http_refine_status_format_t
    ngx_http_refine_status_formats[NGX_HTTP_REFINE_STATUS_FORMATS] =
{
    { ngx_string("json"),
      { ngx_string("application"), ngx_string("json"), ngx_null_string, 0, 0 },
      NULL, "", "" },

    { ngx_string("prometheus"),
      { ngx_string("text"), ngx_string("plain"), ngx_string("0.0.4"), 0, 0 },
      "text/plain; version=0.0.4; charset=utf-8", "", "\n" },

    { ngx_string("html"),
      { ngx_string("text"), ngx_string("html"), ngx_null_string, 0, 0 },
      "text/html; charset=utf-8",
      "<!DOCTYPE html>\n<title>Refine status</title>\n<p>", "</p>\n" }
};


/* the page, and what it loads by "?file=" */

static ngx_str_t  ngx_http_refine_status_files[] = {
    ngx_string("status.html"),
    ngx_string("status.css"),
    ngx_string("status.js"),
    ngx_string("status_parts.js"),
    ngx_string("status_plot.js"),
    ngx_string("status_words.js"),
    ngx_string("status.svg"),
    ngx_null_string
};


static ngx_int_t
ngx_http_refine_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_str_t                         allow;
    ngx_uint_t                        status;
    const char                       *error, *refused;
    ngx_uint_t                        format;
    ngx_http_refine_loc_conf_t       *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    error = ngx_http_refine_status_ask(r, &format, &status);

    refused = lcf->any ? NULL : ngx_http_refine_guard_local(r);

    if (refused) {
        return ngx_http_refine_status_error(r, format, NGX_HTTP_FORBIDDEN,
                                            refused);
    }

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        ngx_str_set(&allow, "GET, HEAD");

        if (ngx_http_refine_header_add(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_refine_status_error(r, format, NGX_HTTP_NOT_ALLOWED,
                                            "the method must be GET or HEAD");
    }

    rc = ngx_http_refine_status_file(r, format);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (error) {
        return ngx_http_refine_status_error(r, format, status, error);
    }

    if (format == NGX_HTTP_REFINE_STATUS_HTML) {
        return ngx_http_refine_status_page(r);
    }

    return ngx_http_refine_status_report(r, format);
}


static ngx_int_t
ngx_http_refine_status_report(ngx_http_request_t *r, ngx_uint_t format)
{
    ngx_int_t                    rc;
    ngx_http_refine_status_t    *ctx;
    ngx_http_refine_outcome_t    outcome;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_palloc(r->pool, sizeof(ngx_http_refine_status_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->format = format;

    ngx_memzero(&outcome, sizeof(ngx_http_refine_outcome_t));

    ngx_http_refine_status_control(r, &outcome.control);

    r->main->count++;

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    ngx_http_refine_report(r, NGX_HTTP_REFINE_STATUS_AGE, format, &outcome,
                           ngx_http_refine_status_done, ctx);

    return NGX_DONE;
}


/* what was named, else the location of the server, if there is one */

static void
ngx_http_refine_status_control(ngx_http_request_t *r, ngx_str_t *uri)
{
    ngx_http_refine_loc_conf_t  *lcf;
    ngx_http_refine_srv_conf_t  *scf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);
    scf = ngx_http_get_module_srv_conf(r, ngx_http_refine_module);

    *uri = lcf->control.data ? lcf->control : scf->control;
}


static ngx_int_t
ngx_http_refine_status_page(ngx_http_request_t *r)
{
    ngx_http_refine_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_refine_module);

    if (ngx_http_refine_status_headers(r, NGX_HTTP_REFINE_STATUS_HTML)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_file_send(r, mcf->page[0]);
}


/* a file of the page; NGX_DECLINED: none was asked for */

static ngx_int_t
ngx_http_refine_status_file(ngx_http_request_t *r, ngx_uint_t format)
{
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_refine_main_conf_t  *mcf;

    if (ngx_http_arg(r, (u_char *) "file", 4, &name) != NGX_OK) {
        return NGX_DECLINED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_refine_module);

    for (i = 1; ngx_http_refine_status_files[i].len; i++) {

        if (name.len == ngx_http_refine_status_files[i].len
            && ngx_strncmp(name.data, ngx_http_refine_status_files[i].data,
                           name.len)
               == 0)
        {
            return ngx_http_refine_file_send(r, mcf->page[i]);
        }
    }

    return ngx_http_refine_status_error(r, format, NGX_HTTP_NOT_FOUND,
                                        "there is no such file");
}


/*
 * The argument goes before the Accept header, and that before the default of
 * the location.  format is set in any case, for the answer that has an error.
 */

static const char *
ngx_http_refine_status_ask(ngx_http_request_t *r,
    ngx_uint_t *format, ngx_uint_t *status)
{
    const char                       *error, *unacceptable;
    ngx_http_refine_loc_conf_t       *lcf;
    ngx_uint_t                        asked;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_refine_module);

    *format = lcf->format;

    unacceptable = ngx_http_refine_status_accept(r, format);

    asked = NGX_HTTP_REFINE_STATUS_FORMATS;

    error = ngx_http_refine_status_args(r, &asked);

    if (error) {
        *status = NGX_HTTP_BAD_REQUEST;
        return error;
    }

    if (asked != NGX_HTTP_REFINE_STATUS_FORMATS) {
        *format = asked;
        return NULL;
    }

    *status = NGX_HTTP_REFINE_STATUS_NOT_ACCEPTABLE;

    return unacceptable;
}


/* other arguments than "format" may be a monitoring system's own */

static const char *
ngx_http_refine_status_args(ngx_http_request_t *r,
    ngx_uint_t *format)
{
    u_char     *p, *last, *end;
    ngx_str_t   value;
    ngx_uint_t  i;

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end - p < 6 || ngx_strncmp(p, "format", 6) != 0
            || (end - p > 6 && p[6] != '='))
        {
            continue;
        }

        if (*format != NGX_HTTP_REFINE_STATUS_FORMATS) {
            return "format is given more than once";
        }

        value.data = (end - p > 6) ? p + 7 : end;
        value.len = end - value.data;

        for (i = 0; i < NGX_HTTP_REFINE_STATUS_FORMATS; i++) {
            if (value.len == ngx_http_refine_status_formats[i].name.len
                && ngx_strncmp(value.data,
                               ngx_http_refine_status_formats[i].name.data,
                               value.len)
                   == 0)
            {
                break;
            }
        }

        if (i == NGX_HTTP_REFINE_STATUS_FORMATS) {
            return "format must be json, prometheus or html";
        }

        *format = i;
    }

    return NULL;
}


static const char *
ngx_http_refine_status_accept(ngx_http_request_t *r,
    ngx_uint_t *format)
{
    ngx_uint_t                        i, n, best;
    ngx_list_part_t                  *part;
    ngx_table_elt_t                  *h;
    ngx_http_refine_accept_t          offers[NGX_HTTP_REFINE_STATUS_FORMATS];
    ngx_uint_t                        formats[NGX_HTTP_REFINE_STATUS_FORMATS];

    /* of two that are equally welcome the location's default is sent */

    formats[0] = *format;
    n = 1;

    for (i = 0; i < NGX_HTTP_REFINE_STATUS_FORMATS; i++) {
        if (i != *format) {
            formats[n++] = i;
        }
    }

    for (i = 0; i < n; i++) {
        offers[i] = ngx_http_refine_status_formats[formats[i]].offer;
    }

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("accept") - 1
                && ngx_strncmp(h[i].lowcase_key, "accept", h[i].key.len) == 0)
            {
                n += ngx_http_refine_accept_read(&h[i].value, offers,
                                             NGX_HTTP_REFINE_STATUS_FORMATS);
            }
        }
    }

    if (n == 0) {
        return NULL;
    }

    best = ngx_http_refine_accept_best(offers, NGX_HTTP_REFINE_STATUS_FORMATS);

    if (best == NGX_HTTP_REFINE_STATUS_FORMATS) {
        return "Accept must allow application/json, text/plain or text/html";
    }

    *format = formats[best];

    return NULL;
}


static void
ngx_http_refine_status_done(void *data, ngx_str_t *text)
{
    ngx_http_refine_status_t *ctx = data;

    ngx_http_request_t  *r;

    r = ctx->request;

    if (text == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_refine_status_answer(r, ctx->format,
                                                           NGX_HTTP_OK, text));
}


static ngx_int_t
ngx_http_refine_status_answer(ngx_http_request_t *r,
    ngx_uint_t format, ngx_uint_t status, ngx_str_t *body)
{
    const char  *type;

    static ngx_str_t  nosniff = ngx_string("nosniff");

    if (ngx_http_refine_status_headers(r, format) != NGX_OK
        || ngx_http_refine_header_add(r, "X-Content-Type-Options", &nosniff)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type = ngx_http_refine_status_formats[format].type;

    if (type) {
        return ngx_http_refine_answer_as(r, status, type, body);
    }

    return ngx_http_refine_answer(r, status, body);
}


/* beside those of the file, where it is one */

static ngx_int_t
ngx_http_refine_status_headers(ngx_http_request_t *r, ngx_uint_t format)
{
    static ngx_str_t  accept = ngx_string("Accept");
    static ngx_str_t  policy =
        ngx_string("default-src 'none'; script-src 'self'; "
                   "style-src 'self'; img-src 'self'; connect-src 'self'; "
                   "base-uri 'none'; form-action 'none'; "
                   "frame-ancestors 'none'");

    if (ngx_http_refine_header_add(r, "Vary", &accept) != NGX_OK) {
        return NGX_ERROR;
    }

    if (format != NGX_HTTP_REFINE_STATUS_HTML) {
        return NGX_OK;
    }

    return ngx_http_refine_header_add(r, "Content-Security-Policy", &policy);
}


/* text is constant and needs no escaping in HTML */

static ngx_int_t
ngx_http_refine_status_error(ngx_http_request_t *r,
    ngx_uint_t format, ngx_uint_t status,
    const char *text)
{
    ngx_int_t                               rc;
    ngx_str_t                               body;
    ngx_http_refine_buf_t                   b;
    const ngx_http_refine_status_format_t  *f;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    f = &ngx_http_refine_status_formats[format];

    ngx_http_refine_buf_init(&b, r->pool, 0, NGX_HTTP_REFINE_STATUS_ERROR);

    if (f->type == NULL) {
        ngx_http_refine_buf_lit(&b, "{\"error\":");
        ngx_http_refine_buf_json(&b, (u_char *) text, ngx_strlen(text));
        ngx_http_refine_buf_lit(&b, "}\n");

    } else {
        ngx_http_refine_buf_append(&b, f->before, ngx_strlen(f->before));
        ngx_http_refine_buf_append(&b, text, ngx_strlen(text));
        ngx_http_refine_buf_append(&b, f->after, ngx_strlen(f->after));
    }

    if (b.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = b.start;
    body.len = ngx_http_refine_buf_size(&b);

    return ngx_http_refine_status_answer(r, format, status, &body);
}


char *
ngx_http_refine_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *lcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i, n, formats;

    value = cf->args->elts;
    formats = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "any") == 0 && !lcf->any) {
            lcf->any = 1;
            continue;
        }

        if (ngx_strncmp(value[i].data, "control=", 8) == 0
            && lcf->control.data == NULL)
        {
            if (ngx_http_refine_status_uri(cf, &value[i], &lcf->control)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        for (n = 0; n < NGX_HTTP_REFINE_STATUS_FORMATS; n++) {
            if (ngx_strcmp(value[i].data,
                           ngx_http_refine_status_formats[n].name.data)
                == 0)
            {
                break;
            }
        }

        if (n == NGX_HTTP_REFINE_STATUS_FORMATS || formats++) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of refine_status, "
                               "it must be one of \"json\", \"prometheus\" "
                               "and \"html\", \"any\", or \"control=\", each "
                               "once", &value[i]);

            return NGX_CONF_ERROR;
        }

        lcf->format = n;
    }

    rv = ngx_http_refine_status_embed(cf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_refine_answer_set(cf, ngx_http_refine_status_handler);
}


/*
 * Of the same server: what a browser takes for another one's is refused.
 * "off" becomes an empty one.
 */

static ngx_int_t
ngx_http_refine_status_uri(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *uri)
{
    size_t  i;

    uri->data = value->data + 8;
    uri->len = value->len - 8;

    if (ngx_strcmp(uri->data, "off") == 0) {
        uri->len = 0;
        return NGX_OK;
    }

    for (i = 0; i < uri->len; i++) {
        if (uri->data[i] <= ' ' || uri->data[i] == '\\'
            || uri->data[i] == 0x7f)
        {
            break;
        }
    }

    if (i && i == uri->len && uri->data[0] == '/' && uri->data[1] != '/') {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of refine_status, it must "
                       "be the URI of a refine_control location of this "
                       "server, or \"control=off\"", value);

    return NGX_ERROR;
}


static char *
ngx_http_refine_status_embed(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_http_refine_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);

    if (mcf->page) {
        return NGX_CONF_OK;
    }

    mcf->page = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_status_files)
                                      / sizeof(ngx_str_t)
                                      * sizeof(ngx_http_refine_file_t *));
    if (mcf->page == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; ngx_http_refine_status_files[i].len; i++) {
        mcf->page[i] = ngx_http_refine_file(cf,
                          (char *) ngx_http_refine_status_files[i].data);

        if (mcf->page[i] == NULL) {
            return NGX_CONF_ERROR;
        }

        mcf->page[i]->checked = 1;
    }

    return NGX_CONF_OK;
}
