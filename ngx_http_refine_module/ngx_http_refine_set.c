
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_set.h"


static ngx_uint_t ngx_http_refine_set_slot(ngx_http_refine_set_t *set,
    u_char *data, size_t len);


ngx_int_t
ngx_http_refine_set_init(ngx_http_refine_set_t *set, ngx_pool_t *pool,
    ngx_uint_t max)
{
    set->strings = set->small;
    set->nstrings = 0;
    set->slots = NULL;
    set->bits = 0;
    set->seed = 0;

    if (max <= NGX_HTTP_REFINE_SET_SMALL) {
        return NGX_OK;
    }

    /* at most half of the slots are taken */

    for (set->bits = 6; (ngx_uint_t) 1 << set->bits < 2 * max; set->bits++) {
        /* void */
    }

    set->strings = ngx_palloc(pool, max * sizeof(ngx_str_t));
    if (set->strings == NULL) {
        return NGX_ERROR;
    }

    set->slots = ngx_pcalloc(pool, sizeof(uint32_t) << set->bits);
    if (set->slots == NULL) {
        return NGX_ERROR;
    }

    /*
     * Strings come from anyone; where memory lies is not known outside, which
     * makes it hard to send strings that all fall into one place.
     */

    set->seed = (uint64_t) (uintptr_t) set->slots
                ^ (uint64_t) (uintptr_t) set << 24;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_set_add(ngx_http_refine_set_t *set, u_char *data, size_t len)
{
    ngx_str_t   *s;
    ngx_uint_t   i, slot;

    if (set->slots == NULL) {

        for (i = 0; i < set->nstrings; i++) {
            s = &set->strings[i];

            if (s->len == len && ngx_memcmp(s->data, data, len) == 0) {
                return NGX_DECLINED;
            }
        }

    } else {
        slot = ngx_http_refine_set_slot(set, data, len);

        if (set->slots[slot]) {
            return NGX_DECLINED;
        }

        set->slots[slot] = (uint32_t) (set->nstrings + 1);
    }

    s = &set->strings[set->nstrings++];
    s->data = data;
    s->len = len;

    return NGX_OK;
}


/* the slot of the string, or the free one where it belongs */

static ngx_uint_t
ngx_http_refine_set_slot(ngx_http_refine_set_t *set, u_char *data, size_t len)
{
    size_t       i;
    uint64_t     hash;
    ngx_str_t   *s;
    ngx_uint_t   slot, mask;

    /* FNV-1a; its high bits depend on all bits of the state, low ones do not */

    hash = set->seed;

    for (i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * 1099511628211ULL;
    }

    hash *= 11400714819323198485ULL;

    mask = ((ngx_uint_t) 1 << set->bits) - 1;
    slot = (ngx_uint_t) (hash >> (64 - set->bits));

    while (set->slots[slot]) {
        s = &set->strings[set->slots[slot] - 1];

        if (s->len == len && ngx_memcmp(s->data, data, len) == 0) {
            break;
        }

        slot = (slot + 1) & mask;
    }

    return slot;
}
