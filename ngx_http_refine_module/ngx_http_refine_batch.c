
#include "ngx_http_refine_batch.h"
#include <openssl/evp.h>


static ngx_http_refine_batch_t *ngx_http_refine_batch_make(
    ngx_http_refine_batch_source_t *source, ngx_http_refine_entry_t *entries,
    ngx_uint_t n, ngx_log_t *log);


ngx_int_t
ngx_http_refine_batch_cut(ngx_http_refine_claim_t *claim, ngx_queue_t *list,
    void *owner, ngx_uint_t max_n, size_t max_size, ngx_log_t *log)
{
    size_t                           size;
    ngx_uint_t                       i, n;
    ngx_http_refine_entry_t         *entries;
    ngx_http_refine_batch_t         *batch;
    ngx_http_refine_batch_source_t  *source;

    source = ngx_palloc(claim->pool, sizeof(ngx_http_refine_batch_source_t));
    if (source == NULL) {
        ngx_destroy_pool(claim->pool);
        return NGX_ERROR;
    }

    /* this reference keeps the pool while batches are made */

    source->pool = claim->pool;
    source->batches = 1;

    entries = claim->entries;
    n = claim->nentries;

    while (n) {
        size = 0;

        for (i = 0; i < n && i < max_n; i++) {
            size += entries[i].line.len + 1;

            if (size > max_size && i > 0) {
                break;
            }
        }

        batch = ngx_http_refine_batch_make(source, entries, i, log);
        if (batch == NULL) {
            break;
        }

        batch->owner = owner;
        ngx_queue_insert_tail(list, &batch->queue);

        entries += i;
        n -= i;
    }

    if (--source->batches == 0) {
        ngx_destroy_pool(source->pool);
    }

    return n ? NGX_ERROR : NGX_OK;
}


static ngx_http_refine_batch_t *
ngx_http_refine_batch_make(ngx_http_refine_batch_source_t *source,
    ngx_http_refine_entry_t *entries, ngx_uint_t n, ngx_log_t *log)
{
    ngx_uint_t                i;
    ngx_http_refine_batch_t  *batch;

    batch = ngx_calloc(sizeof(ngx_http_refine_batch_t), log);
    if (batch == NULL) {
        return NULL;
    }

    batch->source = source;
    batch->entries = entries;
    batch->n = n;
    batch->retry_at = ngx_current_msec;
    batch->renewed = ngx_current_msec;

    for (i = 0; i < n; i++) {
        batch->size += entries[i].line.len + 1;
    }

    source->batches++;

    return batch;
}


ngx_int_t
ngx_http_refine_batch_split(ngx_http_refine_batch_t *batch, ngx_log_t *log)
{
    ngx_uint_t                n;
    ngx_http_refine_batch_t  *half;

    n = batch->n / 2;

    half = ngx_http_refine_batch_make(batch->source, batch->entries + n,
                                      batch->n - n, log);
    if (half == NULL) {
        return NGX_ERROR;
    }

    half->owner = batch->owner;
    half->renewed = batch->renewed;
    half->mark = batch->mark;
    half->since = batch->since;
    half->suspect = batch->suspect;

    batch->n = n;
    batch->size -= half->size;
    batch->errors = 0;
    batch->tries = 0;
    batch->refused = 0;
    batch->retry_at = half->retry_at;

    ngx_queue_insert_after(&batch->queue, &half->queue);

    return NGX_OK;
}


void
ngx_http_refine_batch_drop(ngx_http_refine_batch_t *batch, ngx_str_t *ids,
    ngx_uint_t n)
{
    ngx_str_t                *id;
    ngx_uint_t                i, j, left;
    ngx_http_refine_entry_t  *entries;

    entries = batch->entries;
    left = 0;

    for (i = 0; i < batch->n; i++) {
        id = &entries[i].id;

        for (j = 0; j < n; j++) {
            if (ids[j].len == id->len
                && ngx_memcmp(ids[j].data, id->data, id->len) == 0)
            {
                break;
            }
        }

        if (j < n) {
            batch->size -= entries[i].line.len + 1;
            continue;
        }

        entries[left++] = entries[i];
    }

    batch->n = left;

    if (left == 0) {
        ngx_http_refine_batch_free(batch);
    }
}


void
ngx_http_refine_batch_free(ngx_http_refine_batch_t *batch)
{
    ngx_queue_remove(&batch->queue);

    if (--batch->source->batches == 0) {
        ngx_destroy_pool(batch->source->pool);
    }

    ngx_free(batch);
}


ngx_int_t
ngx_http_refine_batch_key(ngx_http_refine_batch_t *batch,
    u_char key[NGX_HTTP_REFINE_BATCH_KEY])
{
    u_char       hash[EVP_MAX_MD_SIZE];
    ngx_int_t    rc;
    ngx_str_t    id;
    ngx_uint_t   i;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? NGX_OK : NGX_ERROR;

    for (i = 0; i < batch->n && rc == NGX_OK; i++) {

        if (ngx_http_refine_event_id(&batch->entries[i].line, &id) != NGX_OK) {
            id = batch->entries[i].id;
        }

        /* an id holds no newline, so the list is unambiguous */

        if (EVP_DigestUpdate(ctx, id.data, id.len) != 1
            || EVP_DigestUpdate(ctx, "\n", 1) != 1)
        {
            rc = NGX_ERROR;
        }
    }

    if (rc == NGX_OK && EVP_DigestFinal_ex(ctx, hash, NULL) != 1) {
        rc = NGX_ERROR;
    }

    EVP_MD_CTX_free(ctx);

    if (rc == NGX_OK) {
        ngx_hex_dump(key, hash, NGX_HTTP_REFINE_BATCH_KEY / 2);
    }

    return rc;
}


u_char *
ngx_http_refine_batch_lines(ngx_http_refine_batch_t *batch, u_char *p)
{
    ngx_uint_t  i;

    for (i = 0; i < batch->n; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, batch->entries[i].line.data,
                       batch->entries[i].line.len);
    }

    return p;
}
