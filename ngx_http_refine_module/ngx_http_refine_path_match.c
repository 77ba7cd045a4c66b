
#include "ngx_http_refine_path.h"
#include "ngx_http_refine_path_set.h"


static ngx_int_t ngx_http_refine_path_open(ngx_http_refine_path_match_t *m,
    ngx_http_refine_json_token_e kind);
static ngx_int_t ngx_http_refine_path_key(ngx_http_refine_path_match_t *m);
static void ngx_http_refine_path_leave(ngx_http_refine_path_match_t *m);
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
static ngx_int_t ngx_http_refine_path_report(ngx_http_refine_path_match_t *m,
    ngx_uint_t mask, ngx_http_refine_path_value_t *value);


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

    m->wanted = ((ngx_uint_t) 1 << set->n) - 1;
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
            ngx_http_refine_path_leave(m);
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

    if (kind == NGX_HTTP_REFINE_JSON_ARRAY) {
        m->arrays |= (ngx_uint_t) 1 << (depth + 1);

    } else {
        m->arrays &= ~((ngx_uint_t) 1 << (depth + 1));
    }

    return NGX_OK;
}


/* the selectors that lead to or through the value at hand */

static ngx_uint_t
ngx_http_refine_path_wanted(ngx_http_refine_path_match_t *m, ngx_uint_t depth)
{
    ngx_uint_t                     i, mask, rest;
    ngx_http_refine_path_level_t  *level;

    if (!(m->arrays & (ngx_uint_t) 1 << depth)) {
        return m->wanted;
    }

    level = &m->levels[depth];

    mask = level->live & m->set->masks[depth - 1].any;
    rest = level->live & ~mask;

    for (i = 0; rest; i++, rest >>= 1) {
        if ((rest & 1)
            && m->set->paths[i]->steps[depth - 1].index == level->index)
        {
            mask |= (ngx_uint_t) 1 << i;
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
            m->wanted |= (ngx_uint_t) 1 << i;
        }
    }

    if (m->wanted == 0) {
        ngx_http_refine_json_skip(&m->json);
        m->partial = 0;
    }

    m->levels[step + 1].live &= ~(uint32_t) m->wanted;

    return NGX_OK;
}


/* a value is over: what follows in its object is not wanted if all was found */

static void
ngx_http_refine_path_leave(ngx_http_refine_path_match_t *m)
{
    ngx_uint_t  depth;

    depth = m->json.depth;

    if (depth && !(m->arrays & (ngx_uint_t) 1 << depth)
        && m->levels[depth].live == 0)
    {
        ngx_http_refine_json_leave(&m->json);
    }
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

    rc = ngx_http_refine_path_report(m, m->matched, &value);

    if (!value.too_long) {
        ngx_http_refine_path_leave(m);
    }

    return rc;
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


/* in the carry */

static ngx_int_t
ngx_http_refine_path_unescape(ngx_http_refine_path_match_t *m,
    ngx_http_refine_path_value_t *value)
{
    ngx_uint_t  lone;

    if (ngx_http_refine_path_carry(m, value->text.len) != NGX_OK) {
        return NGX_ERROR;
    }

    value->text.len = ngx_http_refine_json_unescape(m->carry,
                                                    value->text.data,
                                                    value->text.len, &lone);
    value->text.data = m->carry;
    value->bad |= lone;

    return NGX_OK;
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
