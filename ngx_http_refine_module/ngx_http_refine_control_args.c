
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_refine_control_core.h"


#define NGX_HTTP_REFINE_CONTROL_MAX       300       /* s */


static ngx_int_t ngx_http_refine_control_next(ngx_http_request_t *r,
    u_char **pos, ngx_str_t *name, ngx_str_t *value);
static const char *ngx_http_refine_control_arg(
    ngx_http_refine_control_t *control, ngx_str_t *name, ngx_str_t *value);
static const char *ngx_http_refine_control_action(
    ngx_http_refine_control_t *control, ngx_str_t *value);
static const char *ngx_http_refine_control_timeout(
    ngx_http_refine_control_t *control, ngx_str_t *value);
static ngx_uint_t ngx_http_refine_control_is(ngx_str_t *text,
    const char *expected);
static const char *ngx_http_refine_control_rows(
    ngx_http_refine_control_t *control);


/* in the order of ngx_http_refine_control_e */

static const char *const  ngx_http_refine_control_actions[] = {
    "flush", "pause", "resume", "replay", NULL
};


const char *
ngx_http_refine_control_args(ngx_http_refine_control_t *control)
{
    u_char              *pos;
    ngx_int_t            rc;
    ngx_str_t            name, value;
    const char          *error;
    ngx_http_request_t  *r;

    r = control->request;
    pos = r->args.data;

    for ( ;; ) {
        rc = ngx_http_refine_control_next(r, &pos, &name, &value);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return "out of memory";
        }

        error = ngx_http_refine_control_arg(control, &name, &value);

        if (error) {
            return error;
        }
    }

    if (control->action == NGX_HTTP_REFINE_CONTROL_NONE) {
        return "action must be given: flush, pause, resume or replay";
    }

    if (control->timeout
        && control->action != NGX_HTTP_REFINE_CONTROL_FLUSH)
    {
        return "timeout is only for action=flush";
    }

    if (control->reason.len
        && control->action != NGX_HTTP_REFINE_CONTROL_REPLAY)
    {
        return "reason is only for action=replay";
    }

    return ngx_http_refine_control_rows(control);
}


/* a value is decoded as forms and curl encode it: "+" is a space */

static ngx_int_t
ngx_http_refine_control_next(ngx_http_request_t *r, u_char **pos,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char  *p, *last, *end, *src, *dst;

    p = *pos;
    last = r->args.data + r->args.len;

    while (p < last && *p == '&') {
        p++;
    }

    if (p >= last) {
        return NGX_DONE;
    }

    end = ngx_strlchr(p, last, '&');

    if (end == NULL) {
        end = last;
    }

    *pos = end;

    name->data = p;

    p = ngx_strlchr(p, end, '=');

    if (p == NULL) {
        p = end;
    }

    name->len = p - name->data;

    value->data = ngx_pnalloc(r->pool, end - p + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    src = value->data;
    dst = value->data;

    for (p += (p < end); p < end; p++) {
        *src++ = (*p == '+') ? ' ' : *p;
    }

    end = src;
    src = value->data;

    ngx_unescape_uri(&dst, &src, end - src, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


static const char *
ngx_http_refine_control_arg(ngx_http_refine_control_t *control,
    ngx_str_t *name, ngx_str_t *value)
{
    if (ngx_http_refine_control_is(name, "action")) {
        return ngx_http_refine_control_action(control, value);
    }

    if (ngx_http_refine_control_is(name, "catalog")) {

        if (control->catalog.len) {
            return "catalog must not be given twice";
        }

        if (value->len == 0) {
            return "catalog must be the name of a refine_catalog";
        }

        control->catalog = *value;

        return NULL;
    }

    if (ngx_http_refine_control_is(name, "reason")) {

        if (control->reason.len) {
            return "reason must not be given twice";
        }

        if (value->len == 0) {
            return "reason must be the beginning of a dead letter's reason";
        }

        control->reason = *value;

        return NULL;
    }

    if (ngx_http_refine_control_is(name, "timeout")) {
        return ngx_http_refine_control_timeout(control, value);
    }

    return "only the parameters action, catalog, reason and timeout are "
           "known";
}


static const char *
ngx_http_refine_control_action(ngx_http_refine_control_t *control,
    ngx_str_t *value)
{
    ngx_uint_t  i;

    if (control->action != NGX_HTTP_REFINE_CONTROL_NONE) {
        return "action must not be given twice";
    }

    for (i = 0; ngx_http_refine_control_actions[i]; i++) {
        if (ngx_http_refine_control_is(value,
                                       ngx_http_refine_control_actions[i]))
        {
            control->action = NGX_HTTP_REFINE_CONTROL_FLUSH + i;
            return NULL;
        }
    }

    return "action must be flush, pause, resume or replay";
}


static const char *
ngx_http_refine_control_timeout(ngx_http_refine_control_t *control,
    ngx_str_t *value)
{
    ngx_int_t  seconds;

    if (control->timeout) {
        return "timeout must not be given twice";
    }

    seconds = ngx_parse_time(value, 1);

    if (value->len == 0 || seconds < 1
        || seconds > NGX_HTTP_REFINE_CONTROL_MAX)
    {
        return "timeout must be from 1 to 300 seconds";
    }

    control->timeout = (ngx_msec_t) seconds * 1000;

    return NULL;
}


static ngx_uint_t
ngx_http_refine_control_is(ngx_str_t *text, const char *expected)
{
    return text->len == ngx_strlen(expected)
           && ngx_strncmp(text->data, expected, text->len) == 0;
}


/* the catalogs that are concerned; the text of what is wrong, or NULL */

static const char *
ngx_http_refine_control_rows(ngx_http_refine_control_t *control)
{
    ngx_uint_t                      i;
    ngx_http_refine_catalog_t     **catalogs, *catalog;
    ngx_http_refine_main_conf_t    *mcf;
    ngx_http_refine_control_row_t  *row;

    mcf = ngx_http_get_module_main_conf(control->request,
                                        ngx_http_refine_module);

    control->rows = ngx_pcalloc(control->request->pool,
                                mcf->catalogs.nelts
                                * sizeof(ngx_http_refine_control_row_t));
    if (control->rows == NULL) {
        return "out of memory";
    }

    catalogs = mcf->catalogs.elts;

    for (i = 0; i < mcf->catalogs.nelts; i++) {
        catalog = catalogs[i];

        if (control->catalog.len
            && (control->catalog.len != catalog->name.len
                || ngx_strncmp(control->catalog.data, catalog->name.data,
                               catalog->name.len)
                   != 0))
        {
            continue;
        }

        row = &control->rows[control->nrows++];
        row->control = control;
        row->catalog = catalog;
    }

    if (control->nrows == 0) {
        return "catalog must be the name of a refine_catalog";
    }

    return NULL;
}
