
#include "ngx_http_refine_path.h"


typedef enum {
    NGX_HTTP_REFINE_PATH_NAME = 0,
    NGX_HTTP_REFINE_PATH_ANY,               /* [] */
    NGX_HTTP_REFINE_PATH_INDEX              /* [N] */
} ngx_http_refine_path_step_e;


typedef struct {
    ngx_http_refine_path_step_e   kind;
    ngx_str_t                     name;
    ngx_uint_t                    index;
} ngx_http_refine_path_step_t;


struct ngx_http_refine_path_s {
    ngx_uint_t                    nsteps;
    ngx_http_refine_path_step_t   steps[NGX_HTTP_REFINE_PATH_MAX_STEPS];
};


/*
 * The selectors laid side by side: what can match inside d objects and arrays
 * is step d - 1 of every selector that is still live there.  Masks have a bit
 * for each selector.
 */

typedef struct {
    ngx_uint_t                    names;    /* this step is a name */
    ngx_uint_t                    elements; /* this step is [] or [N] */
    ngx_uint_t                    any;      /* this step is [] */
    ngx_uint_t                    ends;     /* the one before was the last */
} ngx_http_refine_path_masks_t;


struct ngx_http_refine_path_set_s {
    ngx_uint_t                    n;
    size_t                        max_key;  /* longest name, fully escaped */
    ngx_http_refine_path_t       *paths[NGX_HTTP_REFINE_PATH_MAX_SET];
    ngx_http_refine_path_masks_t  masks[NGX_HTTP_REFINE_PATH_MAX_STEPS + 1];
};


static const char *ngx_http_refine_path_bracket(ngx_pool_t *pool,
    ngx_str_t *rest, ngx_http_refine_path_step_t *step);
static const char *ngx_http_refine_path_quoted(ngx_pool_t *pool,
    ngx_str_t *rest, ngx_http_refine_path_step_t *step);
static const char *ngx_http_refine_path_name(ngx_str_t *rest,
    ngx_http_refine_path_step_t *step);
static ngx_int_t ngx_http_refine_path_open(ngx_http_refine_path_match_t *m,
    ngx_http_refine_json_token_e kind);
static ngx_int_t ngx_http_refine_path_key(ngx_http_refine_path_match_t *m);
static ngx_int_t ngx_http_refine_path_scalar(ngx_http_refine_path_match_t *m,
    ngx_http_refine_json_token_e kind);
static ngx_uint_t ngx_http_refine_path_wanted(ngx_http_refine_path_match_t *m,
    ngx_uint_t depth);
static ngx_int_t ngx_http_refine_path_text(ngx_http_refine_path_match_t *m,
    size_t max, ngx_http_refine_path_value_t *value);
static ngx_int_t ngx_http_refine_path_carry(ngx_http_refine_path_match_t *m,
    size_t size);
static ngx_int_t ngx_http_refine_path_unescape(
    ngx_http_refine_path_match_t *m, ngx_http_refine_path_value_t *value);
static u_char ngx_http_refine_path_single(u_char c);
static ngx_uint_t ngx_http_refine_path_four(u_char *p);
static u_char *ngx_http_refine_path_encode(u_char *p, ngx_uint_t code);
static ngx_int_t ngx_http_refine_path_report(ngx_http_refine_path_match_t *m,
    ngx_uint_t mask, ngx_http_refine_path_value_t *value);


const char *
ngx_http_refine_path_compile(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_refine_path_t **path)
{
    ngx_str_t                     rest;
    const char                   *error;
    ngx_uint_t                    first;
    ngx_http_refine_path_t       *found;
    ngx_http_refine_path_step_t  *step;

    if (text->len == 0) {
        return "is empty, a selector such as \"results[].id\" is expected";
    }

    found = ngx_pcalloc(pool, sizeof(ngx_http_refine_path_t));
    if (found == NULL) {
        return "cannot be compiled: no memory";
    }

    rest = *text;

    while (rest.len) {

        if (found->nsteps == NGX_HTTP_REFINE_PATH_MAX_STEPS) {
            return "has too many steps, at most 16 are allowed";
        }

        first = (found->nsteps == 0);
        step = &found->steps[found->nsteps++];

        if (rest.data[0] == '[') {
            error = ngx_http_refine_path_bracket(pool, &rest, step);

        } else {

            if (rest.data[0] == '.') {

                if (first) {
                    return "starts with \".\", "
                           "a name or \"[\" is expected there";
                }

                rest.data++;
                rest.len--;

            } else if (!first) {
                return "has text after \"]\", "
                       "only \".\" and \"[\" are allowed there";
            }

            error = ngx_http_refine_path_name(&rest, step);
        }

        if (error != NULL) {
            return error;
        }
    }

    *path = found;

    return NULL;
}


static const char *
ngx_http_refine_path_bracket(ngx_pool_t *pool, ngx_str_t *rest,
    ngx_http_refine_path_step_t *step)
{
    size_t       len;
    u_char      *p, *digit;
    ngx_uint_t   n;

    if (rest->len >= 2 && rest->data[1] == '"') {
        return ngx_http_refine_path_quoted(pool, rest, step);
    }

    p = memchr(rest->data, ']', rest->len);
    if (p == NULL) {
        return "has a \"[\" without its \"]\"";
    }

    len = p - (rest->data + 1);

    if (len == 0) {
        step->kind = NGX_HTTP_REFINE_PATH_ANY;

    } else {
        n = 0;

        for (digit = rest->data + 1; digit < p; digit++) {

            if (len > 9 || *digit < '0' || *digit > '9') {
                return "has something else between \"[\" and \"]\" than "
                       "nothing, a number of at most 9 digits or a name in "
                       "double quotes";
            }

            n = n * 10 + (*digit - '0');
        }

        step->kind = NGX_HTTP_REFINE_PATH_INDEX;
        step->index = n;
    }

    rest->data += len + 2;
    rest->len -= len + 2;

    return NULL;
}


static const char *
ngx_http_refine_path_quoted(ngx_pool_t *pool, ngx_str_t *rest,
    ngx_http_refine_path_step_t *step)
{
    u_char  *p, *last, *dst;

    dst = ngx_pnalloc(pool, rest->len);
    if (dst == NULL) {
        return "cannot be compiled: no memory";
    }

    step->kind = NGX_HTTP_REFINE_PATH_NAME;
    step->name.data = dst;

    last = rest->data + rest->len;

    for (p = rest->data + 2; p < last && *p != '"'; p++) {

        if (*p == '\\') {
            p++;

            if (p == last || (*p != '"' && *p != '\\')) {
                return "has an unknown escape in a quoted name, "
                       "only \\\" and \\\\ are allowed";
            }
        }

        *dst++ = *p;
    }

    if (last - p < 2 || p[1] != ']') {
        return "has a quoted name that does not end with \"] behind it";
    }

    step->name.len = dst - step->name.data;

    if (step->name.len > NGX_HTTP_REFINE_PATH_MAX_NAME) {
        return "has a name that is too long, at most 128 bytes are allowed";
    }

    rest->data = p + 2;
    rest->len = last - rest->data;

    return NULL;
}


static const char *
ngx_http_refine_path_name(ngx_str_t *rest, ngx_http_refine_path_step_t *step)
{
    u_char  *p, *last;

    last = rest->data + rest->len;

    for (p = rest->data; p < last && *p != '.' && *p != '['; p++) {

        if (*p <= ' ' || *p == 0x7f || *p == ']' || *p == '"' || *p == '\\') {
            return "has a space, control character, \"]\", '\"' or \"\\\" in "
                   "a name; such a name has to be written as [\"name\"]";
        }
    }

    step->kind = NGX_HTTP_REFINE_PATH_NAME;
    step->name.data = rest->data;
    step->name.len = p - rest->data;

    if (step->name.len == 0) {
        return "has no name before or after a \".\", "
               "an empty name has to be written as [\"\"]";
    }

    if (step->name.len > NGX_HTTP_REFINE_PATH_MAX_NAME) {
        return "has a name that is too long, at most 128 bytes are allowed";
    }

    rest->data = p;
    rest->len = last - p;

    return NULL;
}


ngx_http_refine_path_set_t *
ngx_http_refine_path_set(ngx_pool_t *pool, ngx_http_refine_path_t **paths,
    ngx_uint_t n)
{
    ngx_uint_t                     i, k;
    ngx_http_refine_path_set_t    *set;
    ngx_http_refine_path_step_t   *step;
    ngx_http_refine_path_masks_t  *masks;

    if (n > NGX_HTTP_REFINE_PATH_MAX_SET) {
        return NULL;
    }

    set = ngx_pcalloc(pool, sizeof(ngx_http_refine_path_set_t));
    if (set == NULL) {
        return NULL;
    }

    set->n = n;

    for (i = 0; i < n; i++) {
        set->paths[i] = paths[i];
        set->masks[paths[i]->nsteps].ends |= 1 << i;

        for (k = 0; k < paths[i]->nsteps; k++) {
            step = &paths[i]->steps[k];
            masks = &set->masks[k];

            if (step->kind == NGX_HTTP_REFINE_PATH_NAME) {
                masks->names |= 1 << i;

                /* a byte takes six at most: \u0041 */

                set->max_key = ngx_max(set->max_key, step->name.len * 6);

            } else {
                masks->elements |= 1 << i;

                if (step->kind == NGX_HTTP_REFINE_PATH_ANY) {
                    masks->any |= 1 << i;
                }
            }
        }
    }

    return set;
}


void
ngx_http_refine_path_init(ngx_http_refine_path_match_t *m,
    ngx_http_refine_path_set_t *set, ngx_pool_t *pool, ngx_uint_t flags,
    size_t max, ngx_http_refine_path_handler_pt handler, void *data)
{
    ngx_memzero(m, sizeof(ngx_http_refine_path_match_t));

    ngx_http_refine_json_init(&m->json, NGX_HTTP_REFINE_JSON_MAX_DEPTH, flags);

    m->set = set;
    m->pool = pool;
    m->max = max;
    m->handler = handler;
    m->data = data;

    m->wanted = (1 << set->n) - 1;
}


ngx_int_t
ngx_http_refine_path_feed(ngx_http_refine_path_match_t *m, u_char *p,
    size_t len)
{
    ngx_int_t                      rc;
    ngx_http_refine_json_token_e   event;

    if (m->done) {
        return m->rc;
    }

    ngx_http_refine_json_input(&m->json, p, len);

    for ( ;; ) {
        event = ngx_http_refine_json_next(&m->json);

        switch (event) {

        case NGX_HTTP_REFINE_JSON_AGAIN:
            return NGX_OK;

        case NGX_HTTP_REFINE_JSON_ERROR:
            return NGX_ERROR;

        case NGX_HTTP_REFINE_JSON_END:
            continue;

        case NGX_HTTP_REFINE_JSON_OBJECT:
        case NGX_HTTP_REFINE_JSON_ARRAY:
            rc = ngx_http_refine_path_open(m, event);
            break;

        case NGX_HTTP_REFINE_JSON_KEY:
            rc = ngx_http_refine_path_key(m);
            break;

        default:
            rc = ngx_http_refine_path_scalar(m, event);
        }

        if (rc == NGX_OK) {
            continue;
        }

        m->done = 1;
        m->rc = (rc == NGX_ABORT) ? NGX_OK : NGX_ERROR;

        if (m->rc == NGX_ERROR) {
            m->json.error = "no memory";
        }

        return m->rc;
    }
}


ngx_int_t
ngx_http_refine_path_end(ngx_http_refine_path_match_t *m)
{
    if (m->done) {
        return m->rc;
    }

    return ngx_http_refine_json_end(&m->json);
}


static ngx_int_t
ngx_http_refine_path_open(ngx_http_refine_path_match_t *m,
    ngx_http_refine_json_token_e kind)
{
    ngx_uint_t                     depth, wanted;
    ngx_http_refine_path_value_t   value;
    ngx_http_refine_path_level_t  *level;
    ngx_http_refine_path_masks_t  *masks;

    /* as many steps lead to this value as there were levels around it */

    depth = m->json.depth - 1;
    masks = &m->set->masks[depth];
    wanted = ngx_http_refine_path_wanted(m, depth);

    if (wanted & masks->ends) {
        ngx_memzero(&value, sizeof(ngx_http_refine_path_value_t));
        value.kind = kind;

        if (ngx_http_refine_path_report(m, wanted & masks->ends, &value)
            != NGX_OK)
        {
            return NGX_ABORT;
        }
    }

    wanted &= (kind == NGX_HTTP_REFINE_JSON_ARRAY) ? masks->elements
                                                   : masks->names;

    if (wanted == 0) {
        ngx_http_refine_json_skip(&m->json);
        return NGX_OK;
    }

    level = &m->levels[depth + 1];
    level->live = wanted;
    level->index = 0;
    level->array = (kind == NGX_HTTP_REFINE_JSON_ARRAY);

    return NGX_OK;
}


/* the selectors that lead to or through the value at hand */

static ngx_uint_t
ngx_http_refine_path_wanted(ngx_http_refine_path_match_t *m, ngx_uint_t depth)
{
    ngx_uint_t                     i, mask, rest;
    ngx_http_refine_path_level_t  *level;

    level = &m->levels[depth];

    if (!level->array) {
        return m->wanted;
    }

    mask = level->live & m->set->masks[depth - 1].any;
    rest = level->live & ~mask;

    for (i = 0; rest; i++, rest >>= 1) {
        if ((rest & 1)
            && m->set->paths[i]->steps[depth - 1].index == level->index)
        {
            mask |= 1 << i;
        }
    }

    level->index++;

    return mask;
}


static ngx_int_t
ngx_http_refine_path_key(ngx_http_refine_path_match_t *m)
{
    ngx_int_t                      rc;
    ngx_str_t                     *name;
    ngx_uint_t                     i, step, live;
    ngx_http_refine_path_value_t   key;

    step = m->json.depth - 1;
    live = m->levels[step + 1].live;

    if (m->partial || m->json.more || m->json.escaped) {
        rc = ngx_http_refine_path_text(m, m->set->max_key, &key);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (m->too_long) {
            live = 0;

        } else if (rc == NGX_AGAIN) {
            return NGX_OK;

        } else if (key.bad) {
            live = 0;
        }

    } else {
        key.text = m->json.text;
    }

    m->wanted = 0;

    for (i = 0; live; i++, live >>= 1) {
        name = &m->set->paths[i]->steps[step].name;

        if ((live & 1) && name->len == key.text.len
            && ngx_memcmp(name->data, key.text.data, name->len) == 0)
        {
            m->wanted |= 1 << i;
        }
    }

    if (m->wanted == 0) {
        ngx_http_refine_json_skip(&m->json);
        m->partial = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_path_scalar(ngx_http_refine_path_match_t *m,
    ngx_http_refine_json_token_e kind)
{
    ngx_int_t                      rc;
    ngx_uint_t                     depth;
    ngx_http_refine_path_value_t   value;

    depth = m->json.depth;

    if (!m->partial) {
        m->matched = ngx_http_refine_path_wanted(m, depth)
                     & m->set->masks[depth].ends;

        if (m->matched == 0) {
            ngx_http_refine_json_skip(&m->json);
            return NGX_OK;
        }
    }

    rc = ngx_http_refine_path_text(m, m->max, &value);

    if (rc != NGX_OK) {
        return (rc == NGX_AGAIN) ? NGX_OK : NGX_ERROR;
    }

    value.kind = kind;

    return ngx_http_refine_path_report(m, m->matched, &value);
}


/*
 * The whole of a key or scalar of at most max raw bytes, from where it stands
 * if it can be used as it is.  NGX_AGAIN: the rest is still to come.
 */

static ngx_int_t
ngx_http_refine_path_text(ngx_http_refine_path_match_t *m, size_t max,
    ngx_http_refine_path_value_t *value)
{
    ngx_str_t   *piece;
    ngx_uint_t   partial;

    piece = &m->json.text;
    partial = m->partial;

    if (!partial) {
        m->used = 0;
        m->too_long = 0;
    }

    m->partial = m->json.more;

    if (m->too_long || piece->len > max - m->used) {
        m->too_long = 1;

    } else if (partial || m->json.more) {

        if (ngx_http_refine_path_carry(m, m->used + piece->len) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_memcpy(m->carry + m->used, piece->data, piece->len);
        m->used += piece->len;
    }

    if (m->json.more) {
        return NGX_AGAIN;
    }

    ngx_memzero(value, sizeof(ngx_http_refine_path_value_t));

    if (m->too_long) {
        value->too_long = 1;
        return NGX_OK;
    }

    value->text = *piece;

    if (partial) {
        value->text.data = m->carry;
        value->text.len = m->used;
    }

    return m->json.escaped ? ngx_http_refine_path_unescape(m, value) : NGX_OK;
}


/* room for size bytes, grown by doubling; what is used stays */

static ngx_int_t
ngx_http_refine_path_carry(ngx_http_refine_path_match_t *m, size_t size)
{
    u_char  *p;

    if (size <= m->size) {
        return NGX_OK;
    }

    size = ngx_max(ngx_max(size, m->size * 2), 64);

    p = ngx_pnalloc(m->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (m->carry != NULL) {
        ngx_memcpy(p, m->carry, m->used);
        (void) ngx_pfree(m->pool, m->carry);
    }

    m->carry = p;
    m->size = size;

    return NGX_OK;
}


/*
 * To UTF-8, which is never longer, in the carry.  The lexer has accepted the
 * text; a lone surrogate, RFC 8259, 8.2, becomes U+FFFD.
 */

static ngx_int_t
ngx_http_refine_path_unescape(ngx_http_refine_path_match_t *m,
    ngx_http_refine_path_value_t *value)
{
    size_t       len;
    u_char      *p, *src, *last, *slash;
    ngx_uint_t   code, low;

    if (ngx_http_refine_path_carry(m, value->text.len) != NGX_OK) {
        return NGX_ERROR;
    }

    p = m->carry;
    src = value->text.data;
    last = src + value->text.len;

    while (src < last) {
        slash = memchr(src, '\\', last - src);
        len = (slash ? slash : last) - src;

        p = ngx_movemem(p, src, len);
        src += len;

        if (slash == NULL) {
            break;
        }

        src += 2;

        if (src[-1] != 'u') {
            *p++ = ngx_http_refine_path_single(src[-1]);
            continue;
        }

        code = ngx_http_refine_path_four(src);
        src += 4;

        if (code >= 0xd800 && code <= 0xdbff
            && last - src >= 6 && src[0] == '\\' && src[1] == 'u')
        {
            low = ngx_http_refine_path_four(src + 2);

            if (low >= 0xdc00 && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                src += 6;
            }
        }

        if (code >= 0xd800 && code <= 0xdfff) {
            value->bad = 1;
            code = 0xfffd;
        }

        p = ngx_http_refine_path_encode(p, code);
    }

    value->text.data = m->carry;
    value->text.len = p - m->carry;

    return NGX_OK;
}


static u_char
ngx_http_refine_path_single(u_char c)
{
    const u_char  *p;

    static const u_char  names[] = "bfnrt";

    p = memchr(names, c, sizeof(names) - 1);

    return p ? (u_char) "\b\f\n\r\t"[p - names] : c;
}


static ngx_uint_t
ngx_http_refine_path_four(u_char *p)
{
    u_char      c;
    ngx_uint_t  i, code;

    code = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];
        code = code << 4 | ((c <= '9') ? c - '0' : (c | 0x20) - 'a' + 10);
    }

    return code;
}


static u_char *
ngx_http_refine_path_encode(u_char *p, ngx_uint_t code)
{
    if (code < 0x80) {
        *p++ = (u_char) code;
        return p;
    }

    if (code < 0x800) {
        *p++ = (u_char) (0xc0 | code >> 6);

    } else {
        if (code < 0x10000) {
            *p++ = (u_char) (0xe0 | code >> 12);

        } else {
            *p++ = (u_char) (0xf0 | code >> 18);
            *p++ = (u_char) (0x80 | (code >> 12 & 0x3f));
        }

        *p++ = (u_char) (0x80 | (code >> 6 & 0x3f));
    }

    *p++ = (u_char) (0x80 | (code & 0x3f));

    return p;
}


static ngx_int_t
ngx_http_refine_path_report(ngx_http_refine_path_match_t *m, ngx_uint_t mask,
    ngx_http_refine_path_value_t *value)
{
    ngx_uint_t  i;

    for (i = 0; mask; i++, mask >>= 1) {
        if ((mask & 1) && m->handler(m->data, i, value) != NGX_OK) {
            return NGX_ABORT;
        }
    }

    return NGX_OK;
}
