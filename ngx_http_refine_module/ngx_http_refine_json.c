
#include "ngx_http_refine_json.h"
#include "ngx_http_refine_json_scan.h"


static ngx_inline ngx_http_refine_json_token_e ngx_http_refine_json_step(
    ngx_http_refine_json_t *json, u_char c);
static ngx_http_refine_json_token_e ngx_http_refine_json_value(
    ngx_http_refine_json_t *json, u_char c);
static ngx_http_refine_json_token_e ngx_http_refine_json_open(
    ngx_http_refine_json_t *json, ngx_http_refine_json_token_e token);
static ngx_http_refine_json_token_e ngx_http_refine_json_close(
    ngx_http_refine_json_t *json, u_char c);
static ngx_inline void ngx_http_refine_json_token(
    ngx_http_refine_json_t *json, ngx_http_refine_json_token_e token,
    ngx_uint_t state);
static ngx_inline u_char *ngx_http_refine_json_inside(
    ngx_http_refine_json_t *json, u_char *p, u_char *last);
static ngx_inline u_char *ngx_http_refine_json_over(
    ngx_http_refine_json_t *json, u_char *p, u_char *last);
static ngx_inline u_char *ngx_http_refine_json_string(
    ngx_http_refine_json_t *json, u_char *p, u_char *last);
static u_char *ngx_http_refine_json_special(ngx_http_refine_json_t *json,
    u_char *p, u_char *last);
static ngx_int_t ngx_http_refine_json_escape(ngx_http_refine_json_t *json,
    u_char c);
static ngx_int_t ngx_http_refine_json_hex(ngx_http_refine_json_t *json,
    u_char c);
static ngx_int_t ngx_http_refine_json_code(ngx_http_refine_json_t *json);
static u_char *ngx_http_refine_json_utf8(ngx_http_refine_json_t *json,
    u_char *p, u_char *last);
static u_char *ngx_http_refine_json_number(ngx_http_refine_json_t *json,
    u_char *p, u_char *last);
static u_char *ngx_http_refine_json_literal(ngx_http_refine_json_t *json,
    u_char *p, u_char *last);
static void ngx_http_refine_json_nested(ngx_http_refine_json_t *json);
static ngx_int_t ngx_http_refine_json_fail(ngx_http_refine_json_t *json,
    const char *error);


/*
 * A token is over.  The usual byte behind it is taken at once, which saves a
 * turn of the main loop.
 */

static ngx_inline u_char *
ngx_http_refine_json_over(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    if (json->token == NGX_HTTP_REFINE_JSON_KEY) {

        if (p < last && *p == ':') {
            json->state = NGX_HTTP_REFINE_JSON_VALUE;
            return p + 1;
        }

        json->state = NGX_HTTP_REFINE_JSON_COLON;

    } else if (json->depth == 0) {
        json->state = (json->token == NGX_HTTP_REFINE_JSON_AGAIN)
                      ? NGX_HTTP_REFINE_JSON_VALUE     /* it was the BOM */
                      : NGX_HTTP_REFINE_JSON_DONE;

    } else if (p < last && *p == ',') {
        json->state = (json->objects & 1) ? NGX_HTTP_REFINE_JSON_NAME
                                          : NGX_HTTP_REFINE_JSON_VALUE;
        return p + 1;

    } else {
        json->state = NGX_HTTP_REFINE_JSON_COMMA;
    }

    return p;
}


void
ngx_http_refine_json_init(ngx_http_refine_json_t *json, ngx_uint_t max_depth,
    ngx_uint_t flags)
{
    ngx_memzero(json, sizeof(ngx_http_refine_json_t));

    json->max_depth = ngx_min(max_depth, NGX_HTTP_REFINE_JSON_MAX_DEPTH);
    json->flags = flags;
    json->state = NGX_HTTP_REFINE_JSON_FIRST;
    json->quiet = (flags & NGX_HTTP_REFINE_JSON_QUIET)
                  ? -1 : NGX_HTTP_REFINE_JSON_MAX_DEPTH;
}


void
ngx_http_refine_json_input(ngx_http_refine_json_t *json, u_char *p,
    size_t len)
{
    if (json->state == NGX_HTTP_REFINE_JSON_FAILED) {
        return;
    }

    json->base += json->last - json->start;
    json->start = p;
    json->pos = p;
    json->last = p + len;
}


ngx_http_refine_json_token_e
ngx_http_refine_json_next(ngx_http_refine_json_t *json)
{
    u_char                        *p, *last;
    ngx_http_refine_json_token_e   event;

    if (json->state == NGX_HTTP_REFINE_JSON_FAILED) {
        return NGX_HTTP_REFINE_JSON_ERROR;
    }

    p = json->pos;
    last = json->last;

    for ( ;; ) {

        if (json->state >= NGX_HTTP_REFINE_JSON_IN_STRING) {
            p = ngx_http_refine_json_inside(json, p, last);

            if (p == NULL) {
                return NGX_HTTP_REFINE_JSON_ERROR;
            }

            if (json->report && json->text.data != NULL) {
                json->pos = p;
                return json->token;
            }
        }

        p = ngx_http_refine_json_blank(p, last);

        if (p == last) {
            json->pos = p;
            return NGX_HTTP_REFINE_JSON_AGAIN;
        }

        json->pos = p;
        event = ngx_http_refine_json_step(json, *p);

        if (event == NGX_HTTP_REFINE_JSON_ERROR) {
            return event;
        }

        /* the first byte of a number belongs to its text */

        if (json->state != NGX_HTTP_REFINE_JSON_IN_NUMBER) {
            p++;
        }

        if (event != NGX_HTTP_REFINE_JSON_AGAIN) {
            json->pos = p;
            return event;
        }
    }
}


/* what a byte between two tokens means; AGAIN: nothing to report */

static ngx_inline ngx_http_refine_json_token_e
ngx_http_refine_json_step(ngx_http_refine_json_t *json, u_char c)
{
    if (c == '"' && json->state <= NGX_HTTP_REFINE_JSON_MEMBER) {
        ngx_http_refine_json_token(json,
                                   (json->state >= NGX_HTTP_REFINE_JSON_NAME)
                                   ? NGX_HTTP_REFINE_JSON_KEY
                                   : NGX_HTTP_REFINE_JSON_STRING,
                                   NGX_HTTP_REFINE_JSON_IN_STRING);
        return NGX_HTTP_REFINE_JSON_AGAIN;
    }

    switch (json->state) {

    case NGX_HTTP_REFINE_JSON_COLON:
        if (c == ':') {
            json->state = NGX_HTTP_REFINE_JSON_VALUE;
            return NGX_HTTP_REFINE_JSON_AGAIN;
        }

        ngx_http_refine_json_fail(json, "\":\" expected");
        return NGX_HTTP_REFINE_JSON_ERROR;

    case NGX_HTTP_REFINE_JSON_COMMA:
        if (c == ',') {
            json->state = (json->objects & 1) ? NGX_HTTP_REFINE_JSON_NAME
                                              : NGX_HTTP_REFINE_JSON_VALUE;
            return NGX_HTTP_REFINE_JSON_AGAIN;
        }

        return ngx_http_refine_json_close(json, c);

    case NGX_HTTP_REFINE_JSON_NAME:
    case NGX_HTTP_REFINE_JSON_MEMBER:
        if (c == '}' && json->state == NGX_HTTP_REFINE_JSON_MEMBER) {
            return ngx_http_refine_json_close(json, c);
        }

        ngx_http_refine_json_fail(json, "a name in quotes expected");
        return NGX_HTTP_REFINE_JSON_ERROR;

    case NGX_HTTP_REFINE_JSON_DONE:
        ngx_http_refine_json_fail(json, "text after the value");
        return NGX_HTTP_REFINE_JSON_ERROR;

    default: /* FIRST, VALUE, ELEMENT */
        return ngx_http_refine_json_value(json, c);
    }
}


static ngx_http_refine_json_token_e
ngx_http_refine_json_value(ngx_http_refine_json_t *json, u_char c)
{
    switch (c) {

    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_NUMBER,
                                   NGX_HTTP_REFINE_JSON_IN_NUMBER);
        return NGX_HTTP_REFINE_JSON_AGAIN;

    case '{':
        return ngx_http_refine_json_open(json, NGX_HTTP_REFINE_JSON_OBJECT);

    case '[':
        return ngx_http_refine_json_open(json, NGX_HTTP_REFINE_JSON_ARRAY);

    case 't':
        json->literal = "rue";
        ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_TRUE,
                                   NGX_HTTP_REFINE_JSON_IN_LITERAL);
        return NGX_HTTP_REFINE_JSON_AGAIN;

    case 'f':
        json->literal = "alse";
        ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_FALSE,
                                   NGX_HTTP_REFINE_JSON_IN_LITERAL);
        return NGX_HTTP_REFINE_JSON_AGAIN;

    case 'n':
        json->literal = "ull";
        ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_NULL,
                                   NGX_HTTP_REFINE_JSON_IN_LITERAL);
        return NGX_HTTP_REFINE_JSON_AGAIN;

    case ']':
        if (json->state == NGX_HTTP_REFINE_JSON_ELEMENT) {
            return ngx_http_refine_json_close(json, c);
        }

        break;

    case 0xef:
        if (json->state == NGX_HTTP_REFINE_JSON_FIRST
            && ngx_http_refine_json_offset(json) == 0
            && (json->flags & NGX_HTTP_REFINE_JSON_BOM))
        {
            json->literal = "\xbb\xbf";
            ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_AGAIN,
                                       NGX_HTTP_REFINE_JSON_IN_LITERAL);
            return NGX_HTTP_REFINE_JSON_AGAIN;
        }
    }

    ngx_http_refine_json_fail(json, "a value expected");

    return NGX_HTTP_REFINE_JSON_ERROR;
}


static ngx_http_refine_json_token_e
ngx_http_refine_json_open(ngx_http_refine_json_t *json,
    ngx_http_refine_json_token_e token)
{
    if (json->depth == json->max_depth) {
        ngx_http_refine_json_fail(json, "nested too deeply");
        return NGX_HTTP_REFINE_JSON_ERROR;
    }

    if (json->skip && (json->flags & NGX_HTTP_REFINE_JSON_LOOSE)) {
        ngx_http_refine_json_nested(json);
        return NGX_HTTP_REFINE_JSON_AGAIN;
    }

    if (json->skip) {
        json->skip = 0;
        json->quiet = json->depth;

        /* its own start is not reported either */
        json->report = 0;

    } else {
        json->report = ((ngx_int_t) json->depth <= json->quiet);
    }

    json->depth++;
    json->objects <<= 1;

    if (token == NGX_HTTP_REFINE_JSON_OBJECT) {
        json->objects |= 1;
        json->state = NGX_HTTP_REFINE_JSON_MEMBER;

    } else {
        json->state = NGX_HTTP_REFINE_JSON_ELEMENT;
    }

    return json->report ? token : NGX_HTTP_REFINE_JSON_AGAIN;
}


static ngx_http_refine_json_token_e
ngx_http_refine_json_close(ngx_http_refine_json_t *json, u_char c)
{
    if (c != ((json->objects & 1) ? '}' : ']')) {
        ngx_http_refine_json_fail(json, (json->objects & 1)
                                        ? "\",\" or \"}\" expected"
                                        : "\",\" or \"]\" expected");
        return NGX_HTTP_REFINE_JSON_ERROR;
    }

    json->depth--;
    json->objects >>= 1;
    json->state = json->depth ? NGX_HTTP_REFINE_JSON_COMMA
                              : NGX_HTTP_REFINE_JSON_DONE;

    if ((ngx_int_t) json->depth < json->quiet) {
        return NGX_HTTP_REFINE_JSON_END;
    }

    if ((ngx_int_t) json->depth == json->quiet) {
        json->quiet = NGX_HTTP_REFINE_JSON_MAX_DEPTH;
    }

    return NGX_HTTP_REFINE_JSON_AGAIN;
}


static ngx_inline void
ngx_http_refine_json_token(ngx_http_refine_json_t *json,
    ngx_http_refine_json_token_e token, ngx_uint_t state)
{
    json->token = token;
    json->state = state;
    json->sub = 0;
    json->escaped = 0;
    json->report = (!json->skip && json->depth
                    && (ngx_int_t) json->depth <= json->quiet);
    json->skip = 0;
}


/*
 * Goes on within a token and leaves what of it could be reported in
 * json->text, data is NULL for nothing.  NULL: refused.
 */

static ngx_inline u_char *
ngx_http_refine_json_inside(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    u_char  *start, *end;

    start = p;

    switch (json->state) {

    case NGX_HTTP_REFINE_JSON_IN_STRING:
        p = ngx_http_refine_json_string(json, p, last);
        end = last;

        if (json->state == NGX_HTTP_REFINE_JSON_OVER) {
            end = p - 1;
        }

        break;

    case NGX_HTTP_REFINE_JSON_IN_NUMBER:
        p = ngx_http_refine_json_number(json, p, last);
        end = p;
        break;

    case NGX_HTTP_REFINE_JSON_IN_NESTED:
        p = ngx_http_refine_skip(&json->nested, p, last);
        end = p;

        if (json->nested.depth == 0) {
            json->state = NGX_HTTP_REFINE_JSON_OVER;
        }

        break;

    default: /* NGX_HTTP_REFINE_JSON_IN_LITERAL */
        p = ngx_http_refine_json_literal(json, p, last);
        end = start;
    }

    if (p == NULL) {
        return NULL;
    }

    json->text.data = start;

    if (json->state == NGX_HTTP_REFINE_JSON_OVER) {
        json->text.len = end - start;
        json->more = 0;

        return ngx_http_refine_json_over(json, p, last);
    }

    if (p == start || json->state == NGX_HTTP_REFINE_JSON_IN_LITERAL) {
        json->text.data = NULL;
    }

    json->text.len = p - start;
    json->more = 1;

    return p;
}


/* NULL: refused */

static ngx_inline u_char *
ngx_http_refine_json_string(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    for ( ;; ) {

        if (json->sub != NGX_HTTP_REFINE_JSON_PLAIN) {
            p = ngx_http_refine_json_special(json, p, last);

            if (p == NULL) {
                return NULL;
            }
        }

        p = ngx_http_refine_json_hop(p, last);

        if (p == last) {
            return p;
        }

        if (*p == '"') {
            json->state = NGX_HTTP_REFINE_JSON_OVER;
            return p + 1;
        }

        if (*p == '\\') {
            json->escaped = 1;
            json->sub = NGX_HTTP_REFINE_JSON_ESCAPE;
            p++;

        } else {
            p = ngx_http_refine_json_utf8(json, p, last);

            if (p == NULL) {
                return NULL;
            }
        }
    }
}


/* the bytes of an escape, or of a character that was cut; NULL: refused */

static u_char *
ngx_http_refine_json_special(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    ngx_int_t  rc;

    for ( /* void */ ;
          p < last && json->sub != NGX_HTTP_REFINE_JSON_PLAIN;
          p++)
    {
        json->pos = p;
        rc = NGX_OK;

        switch (json->sub) {

        case NGX_HTTP_REFINE_JSON_ESCAPE:
            rc = ngx_http_refine_json_escape(json, *p);
            break;

        case NGX_HTTP_REFINE_JSON_PAIR:
        case NGX_HTTP_REFINE_JSON_PAIR_U:
            if (*p != (json->sub == NGX_HTTP_REFINE_JSON_PAIR ? '\\' : 'u')) {
                rc = ngx_http_refine_json_fail(json, "lone surrogate");
                break;
            }

            json->sub++;
            json->need = 4;
            json->code = 0;
            break;

        case NGX_HTTP_REFINE_JSON_UTF8:
            if (*p < json->low || *p > json->high) {
                rc = ngx_http_refine_json_fail(json, "invalid UTF-8");
                break;
            }

            json->low = 0x80;
            json->high = 0xbf;

            if (--json->need == 0) {
                json->sub = NGX_HTTP_REFINE_JSON_PLAIN;
            }

            break;

        default: /* NGX_HTTP_REFINE_JSON_HEX, NGX_HTTP_REFINE_JSON_PAIR_HEX */
            rc = ngx_http_refine_json_hex(json, *p);
        }

        if (rc != NGX_OK) {
            return NULL;
        }
    }

    return p;
}


static ngx_int_t
ngx_http_refine_json_escape(ngx_http_refine_json_t *json, u_char c)
{
    switch (c) {

    case '"': case '\\': case '/': case 'b':
    case 'f': case 'n': case 'r': case 't':
        json->sub = NGX_HTTP_REFINE_JSON_PLAIN;
        return NGX_OK;

    case 'u':
        json->sub = NGX_HTTP_REFINE_JSON_HEX;
        json->need = 4;
        json->code = 0;
        return NGX_OK;
    }

    return ngx_http_refine_json_fail(json, "unknown escape");
}


static ngx_int_t
ngx_http_refine_json_hex(ngx_http_refine_json_t *json, u_char c)
{
    u_char  letter;

    letter = c | 0x20;

    if (c >= '0' && c <= '9') {
        json->code = json->code << 4 | (c - '0');

    } else if (letter >= 'a' && letter <= 'f') {
        json->code = json->code << 4 | (letter - 'a' + 10);

    } else {
        return ngx_http_refine_json_fail(json, "four hex digits expected");
    }

    if (--json->need) {
        return NGX_OK;
    }

    return ngx_http_refine_json_code(json);
}


static ngx_int_t
ngx_http_refine_json_code(ngx_http_refine_json_t *json)
{
    ngx_uint_t  paired;

    paired = (json->sub == NGX_HTTP_REFINE_JSON_PAIR_HEX);

    json->sub = NGX_HTTP_REFINE_JSON_PLAIN;

    if (json->code == 0 && (json->flags & NGX_HTTP_REFINE_JSON_NO_NUL)) {
        return ngx_http_refine_json_fail(json, "\\u0000 is not allowed");
    }

    if (!(json->flags & NGX_HTTP_REFINE_JSON_NO_LONE)) {
        return NGX_OK;
    }

    if (paired != (json->code >= 0xdc00 && json->code <= 0xdfff)) {
        return ngx_http_refine_json_fail(json, "lone surrogate");
    }

    if (json->code >= 0xd800 && json->code <= 0xdbff) {
        json->sub = NGX_HTTP_REFINE_JSON_PAIR;
    }

    return NGX_OK;
}


/*
 * A byte that is no plain ASCII: a control, or a character of RFC 3629, 4,
 * whose further bytes are left to the states.  NULL: refused.
 */

static u_char *
ngx_http_refine_json_utf8(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    u_char  c;

    p = ngx_http_refine_json_run(p, last);

    if (p == last) {
        return p;
    }

    c = *p;

    if (c >= 0x20 && c < 0x80) {
        return p;
    }

    json->pos = p;

    if (c < 0x20) {
        ngx_http_refine_json_fail(json, "control character in a string");
        return NULL;
    }

    if (c < 0xc2 || c > 0xf4) {
        ngx_http_refine_json_fail(json, "invalid UTF-8");
        return NULL;
    }

    json->sub = NGX_HTTP_REFINE_JSON_UTF8;
    json->need = 1 + (c >= 0xe0) + (c >= 0xf0);
    json->low = (c == 0xe0) ? 0xa0 : (c == 0xf0) ? 0x90 : 0x80;
    json->high = (c == 0xed) ? 0x9f : (c == 0xf4) ? 0x8f : 0xbf;

    return p + 1;
}


/* NULL: refused */

static u_char *
ngx_http_refine_json_number(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    p = ngx_http_refine_json_digits(p, last, &json->sub);

    if (json->sub == NGX_HTTP_REFINE_JSON_N_DONE) {
        json->state = NGX_HTTP_REFINE_JSON_OVER;

    } else if (json->sub == NGX_HTTP_REFINE_JSON_N_BAD) {
        json->pos = p;
        ngx_http_refine_json_fail(json, "malformed number");
        return NULL;
    }

    return p;
}


/* NULL: refused */

static u_char *
ngx_http_refine_json_literal(ngx_http_refine_json_t *json, u_char *p,
    u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if (*p != (u_char) *json->literal) {
            json->pos = p;
            ngx_http_refine_json_fail(json, "a value expected");
            return NULL;
        }

        json->literal++;

        if (*json->literal == '\0') {
            json->state = NGX_HTTP_REFINE_JSON_OVER;
            return p + 1;
        }
    }

    return p;
}


void
ngx_http_refine_json_skip(ngx_http_refine_json_t *json)
{
    if (json->state >= NGX_HTTP_REFINE_JSON_IN_STRING) {
        json->report = 0;
        json->skip = (json->token == NGX_HTTP_REFINE_JSON_KEY);

    } else if (json->state == NGX_HTTP_REFINE_JSON_MEMBER
               || json->state == NGX_HTTP_REFINE_JSON_ELEMENT)
    {
        ngx_http_refine_json_leave(json);

    } else if (json->token == NGX_HTTP_REFINE_JSON_KEY
               && (json->state == NGX_HTTP_REFINE_JSON_COLON
                   || json->state == NGX_HTTP_REFINE_JSON_VALUE))
    {
        json->skip = 1;
    }
}


void
ngx_http_refine_json_leave(ngx_http_refine_json_t *json)
{
    if (!(json->flags & NGX_HTTP_REFINE_JSON_LOOSE)) {
        json->quiet = json->depth - 1;
        return;
    }

    json->depth--;
    json->objects >>= 1;
    ngx_http_refine_json_nested(json);
}


/* all up to the closing bracket is one token, which is not reported */

static void
ngx_http_refine_json_nested(ngx_http_refine_json_t *json)
{
    ngx_http_refine_json_token(json, NGX_HTTP_REFINE_JSON_OBJECT,
                               NGX_HTTP_REFINE_JSON_IN_NESTED);
    ngx_memzero(&json->nested, sizeof(ngx_http_refine_skip_t));
    json->nested.depth = 1;
    json->report = 0;
}


ngx_int_t
ngx_http_refine_json_end(ngx_http_refine_json_t *json)
{
    if (json->state == NGX_HTTP_REFINE_JSON_FAILED) {
        return NGX_ERROR;
    }

    if (json->state == NGX_HTTP_REFINE_JSON_DONE) {
        return NGX_OK;
    }

    /* only the end of the text tells that a number as the whole text is over */

    if (json->state == NGX_HTTP_REFINE_JSON_IN_NUMBER && json->depth == 0
        && ngx_http_refine_json_whole(json->sub))
    {
        json->state = NGX_HTTP_REFINE_JSON_DONE;
        return NGX_OK;
    }

    return ngx_http_refine_json_fail(json, "the text ends too early");
}


static ngx_int_t
ngx_http_refine_json_fail(ngx_http_refine_json_t *json, const char *error)
{
    json->state = NGX_HTTP_REFINE_JSON_FAILED;
    json->error = error;

    return NGX_ERROR;
}
