
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_set.h"


static ngx_int_t ngx_http_refine_set_room(ngx_http_refine_set_t *set,
    ngx_uint_t max);
static ngx_uint_t ngx_http_refine_set_slot(ngx_http_refine_set_t *set,
    u_char *data, size_t len, uint32_t *tag);


ngx_int_t
ngx_http_refine_set_init(ngx_http_refine_set_t *set, ngx_pool_t *pool,
    ngx_uint_t max)
{
    set->pool = pool;
    set->strings = set->small;
    set->nstrings = 0;
    set->max = NGX_HTTP_REFINE_SET_SMALL;
    set->slots = NULL;
    set->bits = 0;
    set->seed = 0;

    return (max > set->max) ? ngx_http_refine_set_room(set, max) : NGX_OK;
}


ngx_int_t
ngx_http_refine_set_add(ngx_http_refine_set_t *set, u_char *data, size_t len)
{
    ngx_str_t   *s;
    uint32_t     tag;
    ngx_uint_t   i, slot;

    slot = 0;
    tag = 0;

    if (set->slots == NULL) {

        for (i = 0; i < set->nstrings; i++) {
            s = &set->strings[i];

            if (s->len == len && ngx_memcmp(s->data, data, len) == 0) {
                return NGX_DECLINED;
            }
        }

    } else {
        slot = ngx_http_refine_set_slot(set, data, len, &tag);

        if (set->slots[slot]) {
            return NGX_DECLINED;
        }
    }

    if (set->nstrings == set->max) {

        if (ngx_http_refine_set_room(set, set->max * 8) != NGX_OK) {
            return NGX_ERROR;
        }

        slot = ngx_http_refine_set_slot(set, data, len, &tag);
    }

    s = &set->strings[set->nstrings++];
    s->data = data;
    s->len = len;

    if (set->slots != NULL) {
        set->slots[slot] = tag | (uint32_t) set->nstrings;
    }

    return NGX_OK;
}


/* moves the set to where max strings have room */

static ngx_int_t
ngx_http_refine_set_room(ngx_http_refine_set_t *set, ngx_uint_t max)
{
    uint32_t     tag, *slots;
    ngx_str_t   *strings, *s;
    ngx_uint_t   i, slot, bits;

    /* at most half of the slots are taken */

    for (bits = 6; (ngx_uint_t) 1 << bits < 2 * max; bits++) {
        /* void */
    }

    strings = ngx_palloc(set->pool, max * sizeof(ngx_str_t));
    slots = ngx_pcalloc(set->pool, sizeof(uint32_t) << bits);

    if (strings == NULL || slots == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(strings, set->strings, set->nstrings * sizeof(ngx_str_t));

    if (set->slots != NULL) {
        (void) ngx_pfree(set->pool, set->slots);
        (void) ngx_pfree(set->pool, set->strings);
    }

    set->strings = strings;
    set->slots = slots;
    set->bits = bits;
    set->max = max;

    /*
     * Strings come from anyone; where memory lies is not known outside, which
     * makes it hard to send strings that all fall into one place.
     */

    set->seed = (uint64_t) (uintptr_t) slots ^ (uint64_t) (uintptr_t) set << 24;

    for (i = 0; i < set->nstrings; i++) {
        s = &strings[i];
        slot = ngx_http_refine_set_slot(set, s->data, s->len, &tag);
        slots[slot] = tag | (uint32_t) (i + 1);
    }

    return NGX_OK;
}


/*
 * The slot of the string, or the free one where it belongs.  Beside the number
 * of its string, which is less than that of the slots, a slot has room for a
 * part of the hash: the tag, by which most other strings are known as such.
 */

static ngx_uint_t
ngx_http_refine_set_slot(ngx_http_refine_set_t *set, u_char *data, size_t len,
    uint32_t *tag)
{
    size_t       i;
    uint32_t     word, taken;
    uint64_t     hash;
    ngx_str_t   *s;
    ngx_uint_t   slot, mask;

    /*
     * As FNV-1a, but four bytes at a time.  What a word changes spreads to the
     * upper half of the state, where no further word can undo it.
     */

    hash = set->seed;

    for (i = 0; len - i >= sizeof(word); i += sizeof(word)) {
        ngx_memcpy(&word, data + i, sizeof(word));
        hash = (hash ^ word) * 11400714819323198485ULL;
    }

    for ( /* void */ ; i < len; i++) {
        hash = (hash ^ data[i]) * 11400714819323198485ULL;
    }

    mask = ((ngx_uint_t) 1 << set->bits) - 1;
    slot = (ngx_uint_t) (hash >> (64 - set->bits));
    *tag = (uint32_t) (hash >> 16) & ~(uint32_t) mask;

    for ( ;; ) {
        taken = set->slots[slot];

        if (taken == 0) {
            return slot;
        }

        if ((taken & ~(uint32_t) mask) == *tag) {
            s = &set->strings[(taken & mask) - 1];

            if (s->len == len && ngx_memcmp(s->data, data, len) == 0) {
                return slot;
            }
        }

        slot = (slot + 1) & mask;
    }
}
