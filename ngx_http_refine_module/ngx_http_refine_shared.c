
#include "ngx_http_refine_shared.h"
#include <openssl/rand.h>


#define NGX_HTTP_REFINE_SHARED_LAYOUT   0x52460005
#define NGX_HTTP_REFINE_SHARED_BUCKETS  16384


typedef struct {
    uint64_t                   layout;
    uint64_t                   size;
    uint64_t                   key[2];
    uint64_t                   generation;      /* of the configuration */
    ngx_http_refine_circuit_t  circuit;

    /* of a bucket the latest first; 0: free */
    uint64_t                   ids[NGX_HTTP_REFINE_SHARED_BUCKETS]
                                  [NGX_HTTP_REFINE_TRACE_WAYS];

    ngx_http_refine_trace_t    trace;
} ngx_http_refine_shared_t;


/* a zone's data: what one configuration knows of it */

typedef struct {
    ngx_http_refine_shared_t   *sh;
    uint64_t                    generation;
    ngx_http_refine_shared_pt   handler;
    void                       *data;
} ngx_http_refine_shared_zone_t;


static ngx_int_t ngx_http_refine_shared_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_http_refine_shared_use(ngx_shm_zone_t *zone,
    ngx_http_refine_shared_t *sh);
static uint64_t *ngx_http_refine_shared_bucket(ngx_shm_zone_t *zone,
    ngx_str_t *id, uint64_t *hash);
static uint64_t ngx_http_refine_shared_hash(ngx_http_refine_shared_t *sh,
    ngx_str_t *id);


ngx_shm_zone_t *
ngx_http_refine_shared_add(ngx_conf_t *cf, ngx_str_t *catalog, void *tag)
{
    size_t                          size;
    ngx_str_t                       name;
    ngx_shm_zone_t                 *zone;
    ngx_http_refine_shared_zone_t  *data;

    name.len = sizeof("refine:") - 1 + catalog->len;

    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NULL;
    }

    ngx_memcpy(ngx_cpymem(name.data, "refine:", sizeof("refine:") - 1),
               catalog->data, catalog->len);

    /* the slab pool needs some pages for itself */

    size = ngx_align(sizeof(ngx_http_refine_shared_t), ngx_pagesize)
           + 16 * ngx_pagesize;

    zone = ngx_shared_memory_add(cf, &name, size, tag);
    if (zone == NULL) {
        return NULL;
    }

    data = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_shared_zone_t));
    if (data == NULL) {
        return NULL;
    }

    zone->init = ngx_http_refine_shared_init;
    zone->data = data;

    return zone;
}


void
ngx_http_refine_shared_then(ngx_shm_zone_t *zone,
    ngx_http_refine_shared_pt handler, void *data)
{
    ngx_http_refine_shared_zone_t *sz = zone->data;

    sz->handler = handler;
    sz->data = data;
}


static ngx_int_t
ngx_http_refine_shared_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t                *shpool;
    ngx_http_refine_shared_t       *sh;
    ngx_http_refine_shared_zone_t  *old = data;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old) {
        return ngx_http_refine_shared_use(zone, old->sh);
    }

    if (zone->shm.exists) {
        return ngx_http_refine_shared_use(zone, shpool->data);
    }

    sh = ngx_slab_alloc(shpool, sizeof(ngx_http_refine_shared_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(sh, sizeof(ngx_http_refine_shared_t));

    /* ids come from browsers: the key keeps them from choosing a bucket */

    if (RAND_bytes((u_char *) sh->key, sizeof(sh->key)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "refine: no random bytes for zone \"%V\"",
                      &zone->shm.name);
        return NGX_ERROR;
    }

    ngx_http_refine_circuit_init(&sh->circuit, ngx_current_msec);

    sh->size = sizeof(ngx_http_refine_shared_t);
    sh->layout = NGX_HTTP_REFINE_SHARED_LAYOUT;

    shpool->data = sh;

    return ngx_http_refine_shared_use(zone, sh);
}


static ngx_int_t
ngx_http_refine_shared_use(ngx_shm_zone_t *zone, ngx_http_refine_shared_t *sh)
{
    ngx_http_refine_shared_zone_t *data = zone->data;

    if (sh != NULL
        && sh->layout == NGX_HTTP_REFINE_SHARED_LAYOUT
        && sh->size == sizeof(ngx_http_refine_shared_t))
    {
        data->sh = sh;
        data->generation = ++sh->generation;

        return data->handler ? data->handler(data->data, zone->shm.log)
                             : NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                  "refine: zone \"%V\" is of another version of the module, "
                  "restart nginx instead of reloading it", &zone->shm.name);

    return NGX_ERROR;
}


uint64_t
ngx_http_refine_shared_generation(ngx_shm_zone_t *zone)
{
    ngx_http_refine_shared_zone_t *data = zone->data;

    return data->generation;
}


void
ngx_http_refine_shared_state(ngx_shm_zone_t *zone,
    ngx_http_refine_shared_state_t *state)
{
    ngx_msec_t                  left;
    ngx_time_t                 *tp;
    ngx_http_refine_circuit_t  *c;

    tp = ngx_timeofday();

    c = ngx_http_refine_shared_lock(zone);

    state->state = c->state;
    state->last_status = c->last_status;
    state->last_error_len = c->last_error_len;
    ngx_memcpy(state->last_error, c->last_error, c->last_error_len);
    state->limit = c->rate.limit;
    state->remaining = c->rate.remaining;
    state->reset = (c->rate.reset > 0) ? (uint64_t) c->rate.reset : 0;
    state->paused = c->paused;

    left = ngx_http_refine_circuit_left(c->retry_at, ngx_current_msec);

    ngx_http_refine_shared_unlock(zone);

    state->retry_at = left ? (uint64_t) tp->sec * 1000 + tp->msec + left : 0;
}


ngx_http_refine_circuit_t *
ngx_http_refine_shared_lock(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t                *shpool;
    ngx_http_refine_shared_zone_t  *data;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    data = zone->data;

    ngx_shmtx_lock(&shpool->mutex);

    return &data->sh->circuit;
}


void
ngx_http_refine_shared_unlock(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_http_refine_trace_t *
ngx_http_refine_shared_trace(ngx_shm_zone_t *zone)
{
    ngx_http_refine_shared_zone_t *data = zone->data;

    return &data->sh->trace;
}


uint64_t
ngx_http_refine_shared_key(ngx_shm_zone_t *zone, ngx_str_t *text)
{
    ngx_http_refine_shared_zone_t *data = zone->data;

    return ngx_http_refine_shared_hash(data->sh, text);
}


ngx_uint_t
ngx_http_refine_shared_seen(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    uint64_t    *ids, hash;
    ngx_uint_t   found;

    ids = ngx_http_refine_shared_bucket(zone, id, &hash);

    (void) ngx_http_refine_shared_lock(zone);

    found = (ngx_http_refine_trace_find(ids, hash, ~(uint64_t) 0) != 0);

    ngx_http_refine_shared_unlock(zone);

    return found;
}


void
ngx_http_refine_shared_remember(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    uint64_t  *ids, hash;

    ids = ngx_http_refine_shared_bucket(zone, id, &hash);

    (void) ngx_http_refine_shared_lock(zone);

    ngx_http_refine_trace_keep(ids, hash, ~(uint64_t) 0);

    ngx_http_refine_shared_unlock(zone);
}


static uint64_t *
ngx_http_refine_shared_bucket(ngx_shm_zone_t *zone, ngx_str_t *id,
    uint64_t *hash)
{
    ngx_http_refine_shared_zone_t *data = zone->data;

    *hash = ngx_http_refine_shared_hash(data->sh, id);

    return data->sh->ids[*hash % NGX_HTTP_REFINE_SHARED_BUCKETS];
}


/* SipHash-2-4; words are the machine's own, for a hash is of one machine */

#define ngx_http_refine_shared_rotl(x, n)  (((x) << (n)) | ((x) >> (64 - (n))))

#define ngx_http_refine_shared_round(a, b, c, d)                              \
    a += b;                                                                   \
    c += d;                                                                   \
    b = ngx_http_refine_shared_rotl(b, 13) ^ a;                               \
    d = ngx_http_refine_shared_rotl(d, 16) ^ c;                               \
    a = ngx_http_refine_shared_rotl(a, 32);                                   \
    c += b;                                                                   \
    a += d;                                                                   \
    b = ngx_http_refine_shared_rotl(b, 17) ^ c;                               \
    d = ngx_http_refine_shared_rotl(d, 21) ^ a;                               \
    c = ngx_http_refine_shared_rotl(c, 32)

static uint64_t
ngx_http_refine_shared_hash(ngx_http_refine_shared_t *sh, ngx_str_t *id)
{
    u_char      *p;
    size_t       len, i;
    uint64_t     m, a, b, c, d;
    ngx_uint_t   last;

    a = sh->key[0] ^ 0x736f6d6570736575ULL;
    b = sh->key[1] ^ 0x646f72616e646f6dULL;
    c = sh->key[0] ^ 0x6c7967656e657261ULL;
    d = sh->key[1] ^ 0x7465646279746573ULL;

    p = id->data;
    len = id->len;

    do {
        last = (len < 8);

        if (last) {
            m = (uint64_t) id->len << 56;

            for (i = 0; i < len; i++) {
                m |= (uint64_t) p[i] << (8 * i);
            }

        } else {
            ngx_memcpy(&m, p, 8);
            p += 8;
            len -= 8;
        }

        d ^= m;
        ngx_http_refine_shared_round(a, b, c, d);
        ngx_http_refine_shared_round(a, b, c, d);
        a ^= m;

    } while (!last);

    c ^= 0xff;

    for (i = 0; i < 4; i++) {
        ngx_http_refine_shared_round(a, b, c, d);
    }

    m = a ^ b ^ c ^ d;

    /* 0 marks a free place */

    return m ? m : 1;
}
