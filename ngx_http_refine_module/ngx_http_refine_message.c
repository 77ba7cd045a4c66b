
/*
 * Level 1: an incremental parser of HTTP/1.x responses.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_message.h"


#define NGX_HTTP_REFINE_MESSAGE_VALUE  128     /* of a header that is kept */
#define NGX_HTTP_REFINE_MESSAGE_SIZE   16      /* digits of a chunk's size */


typedef enum {
    ngx_http_refine_message_status_e = 0,
    ngx_http_refine_message_header_e,
    ngx_http_refine_message_fold_e,        /* after the end of a header */
    ngx_http_refine_message_length_e,      /* body of a known length */
    ngx_http_refine_message_until_close_e,
    ngx_http_refine_message_size_e,        /* line with a chunk's size */
    ngx_http_refine_message_chunk_e,
    ngx_http_refine_message_chunk_end_e,   /* line end after a chunk */
    ngx_http_refine_message_trailer_e,
    ngx_http_refine_message_done_e
} ngx_http_refine_message_state_e;


typedef struct {
    ngx_str_t    name;                      /* in lower case */
    ngx_int_t  (*handler)(ngx_http_refine_message_t *m, ngx_str_t *value,
                          size_t offset);
    size_t       offset;
} ngx_http_refine_message_header_t;


static ngx_int_t ngx_http_refine_message_error(
    ngx_http_refine_message_t *m, const char *error);
static ngx_int_t ngx_http_refine_message_byte(ngx_http_refine_message_t *m,
    u_char ch);
static ngx_int_t ngx_http_refine_message_fold(ngx_http_refine_message_t *m,
    u_char *ch);
static ngx_int_t ngx_http_refine_message_line(
    ngx_http_refine_message_t *m);
static ngx_int_t ngx_http_refine_message_status(
    ngx_http_refine_message_t *m);
static ngx_int_t ngx_http_refine_message_header(
    ngx_http_refine_message_t *m);
static ngx_int_t ngx_http_refine_message_headers_end(
    ngx_http_refine_message_t *m);
static ngx_int_t ngx_http_refine_message_size(
    ngx_http_refine_message_t *m);
static ngx_int_t ngx_http_refine_message_data(ngx_http_refine_message_t *m,
    u_char *p, size_t len, size_t *taken);
static ngx_int_t ngx_http_refine_message_keep(ngx_http_refine_message_t *m,
    u_char *p, size_t len);

static ngx_int_t ngx_http_refine_message_content_length(
    ngx_http_refine_message_t *m, ngx_str_t *value, size_t offset);
static ngx_int_t ngx_http_refine_message_transfer_encoding(
    ngx_http_refine_message_t *m, ngx_str_t *value, size_t offset);
static ngx_int_t ngx_http_refine_message_connection(
    ngx_http_refine_message_t *m, ngx_str_t *value, size_t offset);
static ngx_int_t ngx_http_refine_message_value(
    ngx_http_refine_message_t *m, ngx_str_t *value, size_t offset);
static ngx_uint_t ngx_http_refine_message_token(ngx_str_t *list,
    ngx_str_t *token);
static void ngx_http_refine_message_trim(ngx_str_t *s);
static ngx_uint_t ngx_http_refine_message_equal(ngx_str_t *s,
    const char *name, size_t len);


static const u_char  ngx_http_refine_message_version[] = "HTTP/1.";

static const ngx_http_refine_message_header_t
    ngx_http_refine_message_headers[] =
{
    { ngx_string("content-length"),
      ngx_http_refine_message_content_length, 0 },

    { ngx_string("transfer-encoding"),
      ngx_http_refine_message_transfer_encoding, 0 },

    { ngx_string("connection"),
      ngx_http_refine_message_connection, 0 },

    { ngx_string("retry-after"),
      ngx_http_refine_message_value,
      offsetof(ngx_http_refine_message_t, retry_after) },

    { ngx_string("date"),
      ngx_http_refine_message_value,
      offsetof(ngx_http_refine_message_t, date) },

    { ngx_string("x-ratelimit-limit"),
      ngx_http_refine_message_value,
      offsetof(ngx_http_refine_message_t, limit) },

    { ngx_string("x-ratelimit-remaining"),
      ngx_http_refine_message_value,
      offsetof(ngx_http_refine_message_t, remaining) },

    { ngx_string("x-ratelimit-reset"),
      ngx_http_refine_message_value,
      offsetof(ngx_http_refine_message_t, reset) },

    { ngx_null_string, NULL, 0 }
};


void
ngx_http_refine_message_init(ngx_http_refine_message_t *m,
    ngx_pool_t *pool)
{
    ngx_memzero(m, sizeof(ngx_http_refine_message_t));

    m->pool = pool;
    m->length = -1;
}


ngx_int_t
ngx_http_refine_message_parse(ngx_http_refine_message_t *m, u_char *p,
    size_t len, size_t *used)
{
    size_t     taken;
    u_char    *start, *last;
    ngx_int_t  rc;

    start = p;
    last = p + len;

    while (p < last) {

        switch (m->state) {

        case ngx_http_refine_message_length_e:
        case ngx_http_refine_message_until_close_e:
        case ngx_http_refine_message_chunk_e:
            rc = ngx_http_refine_message_data(m, p, last - p, &taken);
            p += taken;
            break;

        default:
            rc = ngx_http_refine_message_byte(m, *p++);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (m->state == ngx_http_refine_message_done_e) {
            *used = p - start;
            return NGX_OK;
        }
    }

    *used = len;

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_refine_message_end(ngx_http_refine_message_t *m)
{
    if (m->state == ngx_http_refine_message_until_close_e) {
        m->state = ngx_http_refine_message_done_e;
        return NGX_OK;
    }

    if (m->head == 0) {
        return ngx_http_refine_message_error(m,
                                           "connection closed, no response");
    }

    return ngx_http_refine_message_error(m, "response is cut off");
}


static ngx_int_t
ngx_http_refine_message_error(ngx_http_refine_message_t *m,
    const char *error)
{
    m->error = error;
    m->status = 0;
    m->keepalive = 0;

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_refine_message_byte(ngx_http_refine_message_t *m, u_char ch)
{
    /* of the chunks only what is more than a size counts: extensions */

    if ((m->state != ngx_http_refine_message_size_e
         && m->state != ngx_http_refine_message_chunk_end_e)
        || m->used >= NGX_HTTP_REFINE_MESSAGE_SIZE)
    {
        m->head++;
    }

    if (m->head > NGX_HTTP_REFINE_MESSAGE_HEADERS) {
        return ngx_http_refine_message_error(m, "too large header");
    }

    if (m->state == ngx_http_refine_message_fold_e) {

        if (ngx_http_refine_message_fold(m, &ch) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ch == LF) {
        m->cr = 0;
        return ngx_http_refine_message_line(m);
    }

    if (m->state == ngx_http_refine_message_status_e
        && m->used < sizeof(ngx_http_refine_message_version) - 1
        && ch != ngx_http_refine_message_version[m->used])
    {
        /* told at once, for it may have no line end at all */

        return ngx_http_refine_message_error(m, "not an HTTP/1.x response");
    }

    if (m->cr || ch == '\0') {
        return ngx_http_refine_message_error(m, "invalid byte in header");
    }

    if (ch == CR) {
        m->cr = 1;
        return NGX_OK;
    }

    if (m->used < NGX_HTTP_REFINE_MESSAGE_LINE) {
        m->line[m->used] = ch;
    }

    m->used++;

    if (m->state == ngx_http_refine_message_chunk_end_e) {
        return ngx_http_refine_message_error(m, "invalid chunk");
    }

    return NGX_OK;
}


/* a line that begins with a blank goes on with the last one (obs-fold) */

static ngx_int_t
ngx_http_refine_message_fold(ngx_http_refine_message_t *m, u_char *ch)
{
    m->state = ngx_http_refine_message_header_e;

    if (*ch == ' ' || *ch == '\t') {
        *ch = ' ';
        return NGX_OK;
    }

    if (ngx_http_refine_message_header(m) != NGX_OK) {
        return NGX_ERROR;
    }

    m->used = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_line(ngx_http_refine_message_t *m)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    switch (m->state) {

    case ngx_http_refine_message_status_e:
        rc = ngx_http_refine_message_status(m);
        break;

    case ngx_http_refine_message_header_e:

        if (m->used) {
            m->state = ngx_http_refine_message_fold_e;
            return NGX_OK;
        }

        rc = ngx_http_refine_message_headers_end(m);
        break;

    case ngx_http_refine_message_size_e:
        rc = ngx_http_refine_message_size(m);
        break;

    case ngx_http_refine_message_chunk_end_e:
        m->state = ngx_http_refine_message_size_e;
        break;

    default: /* trailers are of no interest */

        if (m->used == 0) {
            m->state = ngx_http_refine_message_done_e;
        }
    }

    m->used = 0;

    return rc;
}


static ngx_int_t
ngx_http_refine_message_status(ngx_http_refine_message_t *m)
{
    u_char      *p;
    ngx_uint_t   i, status;

    p = m->line;

    /* "HTTP/1.1 200", a reason phrase may follow or not */

    if (m->used < 12 || p[7] < '0' || p[7] > '9' || p[8] != ' '
        || (m->used > 12 && p[12] != ' '))
    {
        return ngx_http_refine_message_error(m, "invalid status line");
    }

    status = 0;

    for (i = 9; i < 12; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return ngx_http_refine_message_error(m, "invalid status line");
        }

        status = status * 10 + p[i] - '0';
    }

    if (status < 100 || status == 101) {

        /* 101: nothing was asked for that could be switched to */

        return ngx_http_refine_message_error(m, "unexpected status");
    }

    m->status = status;
    m->minor = p[7] - '0';
    m->keepalive = (m->minor != 0);
    m->state = ngx_http_refine_message_header_e;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_header(ngx_http_refine_message_t *m)
{
    u_char                                   *p, *last;
    ngx_str_t                                 name, value;
    const ngx_http_refine_message_header_t  *h;

    last = m->line + ngx_min(m->used, NGX_HTTP_REFINE_MESSAGE_LINE);

    for (p = m->line; p < last && *p != ':'; p++) {

        /* blanks in a name are the stuff that smuggling is made of */

        if (*p <= ' ' || *p == 0x7f) {
            return ngx_http_refine_message_error(m, "invalid header");
        }
    }

    if (p == m->line || p == last) {
        return ngx_http_refine_message_error(m, "invalid header");
    }

    name.data = m->line;
    name.len = p - m->line;

    value.data = p + 1;
    value.len = last - value.data;

    ngx_http_refine_message_trim(&value);

    for (h = ngx_http_refine_message_headers; h->handler; h++) {

        if (ngx_http_refine_message_equal(&name, (char *) h->name.data,
                                           h->name.len))
        {
            return h->handler(m, &value, h->offset);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_headers_end(ngx_http_refine_message_t *m)
{
    ngx_str_t  null = ngx_null_string;

    if (m->status < 200) {

        /* an interim response says nothing of the final one */

        m->state = ngx_http_refine_message_status_e;
        m->status = 0;
        m->length = -1;
        m->coded = 0;
        m->chunked = 0;
        m->retry_after = null;
        m->date = null;
        m->limit = null;
        m->remaining = null;
        m->reset = null;

        return NGX_OK;
    }

    if (m->status == 204 || m->status == 304) {
        m->state = ngx_http_refine_message_done_e;
        return NGX_OK;
    }

    if (m->coded) {

        /*
         * RFC 9112, 6.1 and 6.3: Transfer-Encoding overrides Content-Length,
         * and what comes after such a message is not to be trusted.
         */

        if (m->length != -1 || m->minor == 0) {
            m->keepalive = 0;
        }

        if (m->chunked) {
            m->state = ngx_http_refine_message_size_e;
            return NGX_OK;
        }

    } else if (m->length != -1) {
        m->rest = m->length;
        m->state = m->rest ? ngx_http_refine_message_length_e
                             : ngx_http_refine_message_done_e;
        return NGX_OK;
    }

    m->keepalive = 0;
    m->state = ngx_http_refine_message_until_close_e;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_size(ngx_http_refine_message_t *m)
{
    off_t    size;
    size_t   i, len;
    u_char   ch;

    size = 0;
    len = ngx_min(m->used, NGX_HTTP_REFINE_MESSAGE_LINE);

    for (i = 0; i < len; i++) {
        ch = m->line[i];

        if (ch >= '0' && ch <= '9') {
            ch -= '0';

        } else {
            ch |= 0x20;

            if (ch < 'a' || ch > 'f') {
                break;
            }

            ch -= 'a' - 10;
        }

        if (size > NGX_MAX_OFF_T_VALUE / 16 - 1) {
            return ngx_http_refine_message_error(m, "invalid chunk");
        }

        size = size * 16 + ch;
    }

    if (i == 0
        || (i < len && m->line[i] != ';' && m->line[i] != ' '
            && m->line[i] != '\t'))
    {
        return ngx_http_refine_message_error(m, "invalid chunk");
    }

    m->rest = size;
    m->state = size ? ngx_http_refine_message_chunk_e
                     : ngx_http_refine_message_trailer_e;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_data(ngx_http_refine_message_t *m, u_char *p,
    size_t len, size_t *taken)
{
    if (m->state != ngx_http_refine_message_until_close_e) {

        if ((off_t) len > m->rest) {
            len = (size_t) m->rest;
        }

        m->rest -= len;

        if (m->rest == 0) {
            m->state = (m->state == ngx_http_refine_message_chunk_e)
                        ? ngx_http_refine_message_chunk_end_e
                        : ngx_http_refine_message_done_e;
        }
    }

    *taken = len;

    return ngx_http_refine_message_keep(m, p, len);
}


static ngx_int_t
ngx_http_refine_message_keep(ngx_http_refine_message_t *m, u_char *p,
    size_t len)
{
    size_t   size;
    u_char  *data;

    len = ngx_min(len, NGX_HTTP_REFINE_MESSAGE_BODY - m->body.len);

    if (len == 0) {
        return NGX_OK;
    }

    if (m->allocated - m->body.len < len) {

        size = ngx_max(m->allocated * 2, 1024);

        while (size - m->body.len < len) {
            size *= 2;
        }

        data = ngx_pnalloc(m->pool, size);
        if (data == NULL) {
            return ngx_http_refine_message_error(m, "out of memory");
        }

        if (m->body.len) {
            ngx_memcpy(data, m->body.data, m->body.len);
        }

        m->body.data = data;
        m->allocated = size;
    }

    ngx_memcpy(m->body.data + m->body.len, p, len);
    m->body.len += len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_content_length(ngx_http_refine_message_t *m,
    ngx_str_t *value, size_t offset)
{
    off_t      length;
    size_t     i;
    ngx_str_t  token;

    if (m->used > NGX_HTTP_REFINE_MESSAGE_LINE || value->len == 0) {
        return ngx_http_refine_message_error(m, "invalid Content-Length");
    }

    /* "5, 5" is what proxies make of two equal headers */

    while (ngx_http_refine_message_token(value, &token)) {

        length = 0;

        for (i = 0; i < token.len; i++) {

            if (token.data[i] < '0' || token.data[i] > '9'
                || length > NGX_MAX_OFF_T_VALUE / 10 - 1)
            {
                break;
            }

            length = length * 10 + token.data[i] - '0';
        }

        if (token.len == 0 || i < token.len
            || (m->length != -1 && m->length != length))
        {
            return ngx_http_refine_message_error(m,
                                                  "invalid Content-Length");
        }

        m->length = length;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_transfer_encoding(ngx_http_refine_message_t *m,
    ngx_str_t *value, size_t offset)
{
    ngx_str_t  token;

    if (m->used > NGX_HTTP_REFINE_MESSAGE_LINE) {
        return ngx_http_refine_message_error(m,
                                              "invalid Transfer-Encoding");
    }

    while (ngx_http_refine_message_token(value, &token)) {

        if (token.len == 0) {
            continue;
        }

        if (m->chunked) {

            /* chunked comes last and once */

            return ngx_http_refine_message_error(m,
                                                  "invalid Transfer-Encoding");
        }

        m->coded = 1;
        m->chunked = ngx_http_refine_message_equal(&token, "chunked", 7);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_connection(ngx_http_refine_message_t *m,
    ngx_str_t *value, size_t offset)
{
    ngx_str_t  token;

    if (m->used > NGX_HTTP_REFINE_MESSAGE_LINE) {
        m->keepalive = 0;
        return NGX_OK;
    }

    while (ngx_http_refine_message_token(value, &token)) {

        if (ngx_http_refine_message_equal(&token, "close", 5)) {
            m->keepalive = 0;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_message_value(ngx_http_refine_message_t *m,
    ngx_str_t *value, size_t offset)
{
    size_t      i;
    ngx_str_t  *s;

    s = (ngx_str_t *) ((u_char *) m + offset);

    if (s->len || value->len == 0
        || value->len > NGX_HTTP_REFINE_MESSAGE_VALUE)
    {
        return NGX_OK;
    }

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < ' ' || value->data[i] > '~') {
            return NGX_OK;
        }
    }

    s->data = ngx_pnalloc(m->pool, value->len);
    if (s->data == NULL) {
        return ngx_http_refine_message_error(m, "out of memory");
    }

    ngx_memcpy(s->data, value->data, value->len);
    s->len = value->len;

    return NGX_OK;
}


/* takes the next member off a list with commas, perhaps an empty one */

static ngx_uint_t
ngx_http_refine_message_token(ngx_str_t *list, ngx_str_t *token)
{
    size_t  i;

    if (list->data == NULL) {
        return 0;
    }

    for (i = 0; i < list->len && list->data[i] != ','; i++) { /* void */ }

    token->data = list->data;
    token->len = i;

    ngx_http_refine_message_trim(token);

    if (i < list->len) {
        list->data += i + 1;
        list->len -= i + 1;

    } else {
        list->data = NULL;
        list->len = 0;
    }

    return 1;
}


static void
ngx_http_refine_message_trim(ngx_str_t *s)
{
    while (s->len && (*s->data == ' ' || *s->data == '\t')) {
        s->data++;
        s->len--;
    }

    while (s->len
           && (s->data[s->len - 1] == ' ' || s->data[s->len - 1] == '\t'))
    {
        s->len--;
    }
}


static ngx_uint_t
ngx_http_refine_message_equal(ngx_str_t *s, const char *name, size_t len)
{
    size_t  i;

    if (s->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (ngx_tolower(s->data[i]) != (u_char) name[i]) {
            return 0;
        }
    }

    return 1;
}
