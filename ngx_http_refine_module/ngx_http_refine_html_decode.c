
/* Character references in the value of an attribute. */


#include "ngx_http_refine_html.h"
#include "ngx_http_refine_html_core.h"


#define NGX_HTTP_REFINE_HTML_MAX_ENTITY  31         /* the longest name */


static u_char *ngx_http_refine_html_reference(u_char *p, u_char *last,
    u_char *dst, size_t *len);
static u_char *ngx_http_refine_html_number(u_char *p, u_char *last,
    u_char *dst, size_t *len);
static const char *ngx_http_refine_html_entity(u_char *name, size_t len);
static ngx_int_t ngx_http_refine_html_compare(const char *entity, u_char *name,
    size_t len);
static size_t ngx_http_refine_html_utf8(u_char *dst, uint32_t code);


/* Windows-1252, as browsers read 0x80 to 0x9f; 0: it is what it is */

static const uint16_t  ngx_http_refine_html_controls[] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
    0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178
};


ngx_int_t
ngx_http_refine_html_decode(u_char *dst, size_t *size, u_char *p, size_t len)
{
    u_char  *last, *pos, *end, text[8];
    size_t   n;

    pos = dst;
    end = dst + *size;
    last = p + len;

    while (p < last) {
        n = 0;

        if (*p == '&') {
            p = ngx_http_refine_html_reference(p, last, text, &n);

        } else if (*p == '\0') {
            n = ngx_http_refine_html_utf8(text, 0xfffd);
            p++;
        }

        if (n == 0) {
            text[0] = *p++;
            n = 1;
        }

        if ((size_t) (end - pos) < n) {
            return NGX_DECLINED;
        }

        pos = ngx_cpymem(pos, text, n);
    }

    *size = pos - dst;

    return NGX_OK;
}


/* what follows the reference; when there is none len stays 0, and p */

static u_char *
ngx_http_refine_html_reference(u_char *p, u_char *last, u_char *dst,
    size_t *len)
{
    u_char      *name, *end;
    const char  *entity;

    name = p + 1;

    if (name < last && *name == '#') {
        return ngx_http_refine_html_number(p, last, dst, len);
    }

    for (end = name; end < last; end++) {
        if (!ngx_http_refine_html_alpha(*end) && (*end < '0' || *end > '9')) {
            break;
        }
    }

    if (end == name || end - name > NGX_HTTP_REFINE_HTML_MAX_ENTITY) {
        return p;
    }

    entity = ngx_http_refine_html_entity(name, end - name);

    if (entity == NULL) {
        return p;
    }

    if (end < last && *end == ';') {
        end++;

    } else if (*entity == ';' || (end < last && *end == '=')) {
        return p;
    }

    *len = ngx_strlen(entity + 1);
    ngx_memcpy(dst, entity + 1, *len);

    return end;
}


/* what stands behind the name in the table; NULL: there is none */

static const char *
ngx_http_refine_html_entity(u_char *name, size_t len)
{
    ngx_int_t    rc;
    ngx_uint_t   low, high, i;
    const char  *entity;

    low = 0;
    high = NGX_HTTP_REFINE_HTML_ENTITIES;

    while (low < high) {
        i = (low + high) / 2;
        entity = ngx_http_refine_html_entities[i];

        rc = ngx_http_refine_html_compare(entity, name, len);

        if (rc == 0) {
            return entity + len;
        }

        if (rc < 0) {
            low = i + 1;

        } else {
            high = i;
        }
    }

    return NULL;
}


/* names have letters and digits only, which are above "," but not above ";" */

static ngx_int_t
ngx_http_refine_html_compare(const char *entity, u_char *name, size_t len)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < len; i++) {
        c = (u_char) entity[i];

        if (c == ';' || c == ',') {
            return -1;
        }

        if (c != name[i]) {
            return (ngx_int_t) c - name[i];
        }
    }

    return (entity[i] == ';' || entity[i] == ',') ? 0 : 1;
}


static u_char *
ngx_http_refine_html_number(u_char *p, u_char *last, u_char *dst, size_t *len)
{
    u_char    *pos, *start, c;
    uint32_t   code, base, digit;

    pos = p + 2;
    base = 10;

    if (pos < last && (*pos | 0x20) == 'x') {
        base = 16;
        pos++;
    }

    code = 0;

    for (start = pos; pos < last; pos++) {
        c = *pos;

        if (c >= '0' && c <= '9') {
            digit = c - '0';

        } else if (base == 16 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (c | 0x20) - 'a' + 10;

        } else {
            break;
        }

        code = ngx_min(code * base + digit, 0x110000);
    }

    if (pos == start) {
        return p;
    }

    if (pos < last && *pos == ';') {
        pos++;
    }

    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        code = 0xfffd;

    } else if (code >= 0x80 && code <= 0x9f
               && ngx_http_refine_html_controls[code - 0x80])
    {
        code = ngx_http_refine_html_controls[code - 0x80];
    }

    *len = ngx_http_refine_html_utf8(dst, code);

    return pos;
}


static size_t
ngx_http_refine_html_utf8(u_char *dst, uint32_t code)
{
    if (code < 0x80) {
        dst[0] = (u_char) code;
        return 1;
    }

    if (code < 0x800) {
        dst[0] = (u_char) (0xc0 | code >> 6);
        dst[1] = (u_char) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        dst[0] = (u_char) (0xe0 | code >> 12);
        dst[1] = (u_char) (0x80 | (code >> 6 & 0x3f));
        dst[2] = (u_char) (0x80 | (code & 0x3f));
        return 3;
    }

    dst[0] = (u_char) (0xf0 | code >> 18);
    dst[1] = (u_char) (0x80 | (code >> 12 & 0x3f));
    dst[2] = (u_char) (0x80 | (code >> 6 & 0x3f));
    dst[3] = (u_char) (0x80 | (code & 0x3f));

    return 4;
}
