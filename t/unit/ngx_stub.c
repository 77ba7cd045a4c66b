
#include "ngx_stub.h"
#include <stdlib.h>


ngx_pid_t  ngx_pid = 1;


static void *ngx_stub_malloc(size_t size);
static void *ngx_stub_pool_add(ngx_pool_t *pool, void *p);


static ngx_uint_t  ngx_stub_count;
static ngx_uint_t  ngx_stub_fail_at;


void
ngx_stub_fail_after(ngx_uint_t n)
{
    ngx_stub_count = 0;
    ngx_stub_fail_at = n;
}


ngx_uint_t
ngx_stub_failed(void)
{
    return ngx_stub_fail_at != 0 && ngx_stub_count >= ngx_stub_fail_at;
}


ngx_uint_t
ngx_stub_allocations(void)
{
    return ngx_stub_count;
}


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    pool = ngx_stub_malloc(sizeof(ngx_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    ngx_memzero(pool, sizeof(ngx_pool_t));

    pool->current = pool;
    pool->max = size;
    pool->log = log;

    return pool;
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    ngx_pool_large_t    *node, *next;
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        if (cln->handler) {
            cln->handler(cln->data);
        }
    }

    for (node = pool->large; node; node = next) {
        next = node->next;
        free(node->alloc);
        free(node);
    }

    free(pool);
}


void
ngx_reset_pool(ngx_pool_t *pool)
{
    ngx_pool_large_t  *node, *next;

    for (node = pool->large; node; node = next) {
        next = node->next;
        free(node->alloc);
        free(node);
    }

    pool->large = NULL;
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return ngx_stub_pool_add(pool, ngx_stub_malloc(size));
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_stub_pool_add(pool, ngx_stub_malloc(size));
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


void *
ngx_pmemalign(ngx_pool_t *pool, size_t size, size_t alignment)
{
    void  *p;

    if (++ngx_stub_count == ngx_stub_fail_at) {
        return NULL;
    }

    if (posix_memalign(&p, alignment, size) != 0) {
        return NULL;
    }

    return ngx_stub_pool_add(pool, p);
}


ngx_int_t
ngx_pfree(ngx_pool_t *pool, void *p)
{
    ngx_pool_large_t  *node, **link;

    for (link = &pool->large; *link; link = &(*link)->next) {
        node = *link;

        if (node->alloc == p) {
            *link = node->next;
            free(node->alloc);
            free(node);

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_palloc(pool, sizeof(ngx_pool_cleanup_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->data = NULL;

    if (size) {
        cln->data = ngx_palloc(pool, size);
        if (cln->data == NULL) {
            return NULL;
        }
    }

    cln->handler = NULL;
    cln->next = pool->cleanup;

    pool->cleanup = cln;

    return cln;
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return ngx_stub_malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = ngx_stub_malloc(size);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


static void *
ngx_stub_malloc(size_t size)
{
    if (++ngx_stub_count == ngx_stub_fail_at) {
        return NULL;
    }

    return malloc(size);
}


static void *
ngx_stub_pool_add(ngx_pool_t *pool, void *p)
{
    ngx_pool_large_t  *node;

    if (p == NULL) {
        return NULL;
    }

    node = malloc(sizeof(ngx_pool_large_t));
    if (node == NULL) {
        free(p);
        return NULL;
    }

    node->alloc = p;
    node->next = pool->large;
    pool->large = node;

    return p;
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    return strncasecmp((char *) s1, (char *) s2, n);
}


/* as in nginx, the second takes the length of the needle less one */

u_char *
ngx_strnstr(u_char *s1, char *s2, size_t n)
{
    return memmem(s1, strnlen((char *) s1, n), s2, strlen(s2));
}


u_char *
ngx_strlcasestrn(u_char *s1, u_char *last, u_char *s2, size_t n)
{
    for ( /* void */ ; last - s1 > (ssize_t) n; s1++) {

        if (ngx_strncasecmp(s1, s2, n + 1) == 0) {
            return s1;
        }
    }

    return NULL;
}


u_char *
ngx_hex_dump(u_char *dst, u_char *src, size_t len)
{
    while (len--) {
        *dst++ = "0123456789abcdef"[*src >> 4];
        *dst++ = "0123456789abcdef"[*src++ & 0x0f];
    }

    return dst;
}


/* the text ends with a NUL here, for which the caller has no room */

size_t
ngx_inet_ntop(int family, void *addr, u_char *text, size_t len)
{
    char    name[INET6_ADDRSTRLEN];
    size_t  n;

    if (inet_ntop(family, addr, name, sizeof(name)) == NULL) {
        return 0;
    }

    n = strlen(name);

    if (n > len) {
        return 0;
    }

    memcpy(text, name, n);

    return n;
}
