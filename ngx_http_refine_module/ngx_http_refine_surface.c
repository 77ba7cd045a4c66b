
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_surface.h"


static ngx_http_refine_surface_t *ngx_http_refine_surface_row(
    ngx_http_refine_surfaces_t *surfaces, const u_char *label, size_t len);
static size_t ngx_http_refine_surface_check(const u_char *label, size_t len);
static ngx_uint_t ngx_http_refine_surface_find(
    ngx_http_refine_surfaces_t *surfaces, const u_char *label, size_t len,
    ngx_uint_t *found);
static void ngx_http_refine_surface_insert(
    ngx_http_refine_surfaces_t *surfaces, ngx_uint_t at, const u_char *label,
    size_t len);


const ngx_str_t  ngx_http_refine_surface_steps[NGX_HTTP_REFINE_EVENT_TYPES] = {
    ngx_string("served"),
    ngx_string("clicked"),
    ngx_string("viewed"),
    ngx_string("carted"),
    ngx_string("purchased")
};


static const u_char  ngx_http_refine_surface_other[] = "other\0other";

#define NGX_HTTP_REFINE_SURFACE_OTHER                                         \
    (sizeof(ngx_http_refine_surface_other) - 1)


u_char *
ngx_http_refine_surface_label(u_char *dst, ngx_str_t *surface,
    ngx_str_t *source)
{
    if (surface->len) {
        dst = ngx_cpymem(dst, surface->data, surface->len);
    }

    *dst++ = '\0';

    if (source->len) {
        dst = ngx_cpymem(dst, source->data, source->len);
    }

    return dst;
}


void
ngx_http_refine_surface_add(ngx_http_refine_surfaces_t *tables,
    ngx_uint_t type, const u_char *label, size_t len, int64_t n)
{
    ngx_http_refine_surface_t  *row;

    row = ngx_http_refine_surface_row(&tables[0], label, len);

    if (type) {
        row = ngx_http_refine_surface_row(&tables[type], row->label,
                                          row->surface_len + 1
                                          + row->source_len);
    }

    /* Redis may hold anything */

    row->n = (int64_t) ((uint64_t) row->n + (uint64_t) n);
}


/* the row in which the label is counted */

static ngx_http_refine_surface_t *
ngx_http_refine_surface_row(ngx_http_refine_surfaces_t *surfaces,
    const u_char *label, size_t len)
{
    ngx_uint_t  i, found, other;

    if (ngx_http_refine_surface_check(label, len) > len) {
        label = ngx_http_refine_surface_other;
        len = NGX_HTTP_REFINE_SURFACE_OTHER;
    }

    for ( ;; ) {
        i = ngx_http_refine_surface_find(surfaces, label, len, &found);

        if (found) {
            break;
        }

        other = (len == NGX_HTTP_REFINE_SURFACE_OTHER
                 && ngx_memcmp(label, ngx_http_refine_surface_other, len)
                    == 0);

        if (other
            || surfaces->n - surfaces->other < NGX_HTTP_REFINE_SURFACES)
        {
            surfaces->other |= other;
            ngx_http_refine_surface_insert(surfaces, i, label, len);
            break;
        }

        label = ngx_http_refine_surface_other;
        len = NGX_HTTP_REFINE_SURFACE_OTHER;
    }

    return &surfaces->rows[i];
}


void
ngx_http_refine_surface_argument(ngx_http_refine_surfaces_t *tables,
    u_char digit, ngx_str_t *arg)
{
    u_char      *p, *last, *label;
    ngx_uint_t   type, nuls;

    type = ngx_http_refine_surface_type(digit);

    if (type == NGX_HTTP_REFINE_ITEMS_SERVED) {
        ngx_http_refine_surface_add(tables, type, arg->data, arg->len, 1);
        return;
    }

    label = arg->data;
    last = arg->data + arg->len;
    nuls = 0;

    for (p = label; p < last; p++) {

        if (*p == '\0' && ++nuls == 2) {
            ngx_http_refine_surface_add(tables, type, label, p - label, 1);
            label = p + 1;
            nuls = 0;
        }
    }
}


int64_t
ngx_http_refine_surface_count(ngx_http_refine_surfaces_t *surfaces,
    ngx_http_refine_surface_t *row)
{
    ngx_uint_t  i, found;

    i = ngx_http_refine_surface_find(surfaces, row->label,
                                     row->surface_len + 1 + row->source_len,
                                     &found);

    return found ? surfaces->rows[i].n : 0;
}


size_t
ngx_http_refine_surface_field(const u_char *field, size_t len,
    ngx_uint_t *type)
{
    ngx_uint_t        i;
    const ngx_str_t  *step;

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {
        step = &ngx_http_refine_surface_steps[i];

        if (len > step->len && field[step->len] == ':'
            && ngx_memcmp(field, step->data, step->len) == 0)
        {
            *type = i;
            return step->len + 1;
        }
    }

    return 0;
}


/* the length of the surface, or more than len when it is no label */

static size_t
ngx_http_refine_surface_check(const u_char *label, size_t len)
{
    size_t  i, n, surface;

    surface = len + 1;

    for (i = 0; i < len; i += n) {
        n = 1;

        if (label[i] >= 0x80) {
            n = ngx_http_refine_buf_utf8(&label[i], len - i);

            if (n == 0) {
                return len + 1;
            }

        } else if (label[i] == '\0') {
            if (surface <= len) {
                return len + 1;
            }

            surface = i;
        }
    }

    if (surface > len
        || surface > NGX_HTTP_REFINE_EVENT_MAX_NAME
        || len - surface - 1 > NGX_HTTP_REFINE_EVENT_MAX_NAME)
    {
        return len + 1;
    }

    return surface;
}


/* where the label is, or where it belongs */

static ngx_uint_t
ngx_http_refine_surface_find(ngx_http_refine_surfaces_t *surfaces,
    const u_char *label, size_t len, ngx_uint_t *found)
{
    size_t                      own;
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_refine_surface_t  *row;

    for (i = 0; i < surfaces->n; i++) {
        row = &surfaces->rows[i];
        own = row->surface_len + 1 + row->source_len;

        rc = ngx_memcmp(row->label, label, ngx_min(own, len));

        if (rc > 0 || (rc == 0 && own >= len)) {
            *found = (rc == 0 && own == len);
            return i;
        }
    }

    *found = 0;

    return i;
}


static void
ngx_http_refine_surface_insert(ngx_http_refine_surfaces_t *surfaces,
    ngx_uint_t at, const u_char *label, size_t len)
{
    ngx_http_refine_surface_t  *row;

    row = &surfaces->rows[at];

    ngx_memmove(row + 1, row, (surfaces->n - at)
                              * sizeof(ngx_http_refine_surface_t));
    surfaces->n++;

    ngx_memcpy(row->label, label, len);
    row->surface_len = ngx_http_refine_surface_check(label, len);
    row->source_len = len - row->surface_len - 1;
    row->n = 0;
}


void
ngx_http_refine_surface_names(ngx_http_refine_surface_t *row,
    ngx_str_t *surface, ngx_str_t *source)
{
    surface->data = row->label;
    surface->len = row->surface_len;

    source->data = row->label + row->surface_len + 1;
    source->len = row->source_len;
}
