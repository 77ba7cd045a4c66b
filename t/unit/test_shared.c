
/*
 * Tests for ngx_http_refine_shared: the zone over configurations, and the table
 * of event ids.  The unit is included, for it needs more of nginx than the
 * others: what it needs is below.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_shared.c"


#define IDS  (NGX_HTTP_REFINE_SHARED_BUCKETS * NGX_HTTP_REFINE_TRACE_WAYS)


ngx_uint_t            ngx_pagesize = 4096;
volatile ngx_msec_t   ngx_current_msec = 1000000;
volatile ngx_time_t  *ngx_cached_time;

static ngx_uint_t       test_locked;
static ngx_uint_t       test_logged;
static ngx_shm_zone_t   test_zone;
static ngx_slab_pool_t  test_slab;
static ngx_log_t        test_log;
static ngx_conf_t       test_cf;


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
    assert_false(test_locked);
    test_locked = 1;
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
    assert_true(test_locked);
    test_locked = 0;
}


void *
ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_alloc(size, NULL);
}


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ngx_memzero(&test_zone, sizeof(ngx_shm_zone_t));

    test_zone.shm.name = *name;
    test_zone.shm.size = size;
    test_zone.shm.addr = (u_char *) &test_slab;
    test_zone.shm.log = &test_log;
    test_zone.tag = tag;

    return &test_zone;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    test_logged++;
}


/* a configuration is loaded, as ngx_init_cycle() does it */

static ngx_int_t
test_load(void *old)
{
    ngx_str_t  name = ngx_string("shop");

    assert_ptr_equal(ngx_http_refine_shared_add(&test_cf, &name, &test_log),
                     &test_zone);
    assert_int_equal(test_zone.shm.name.len, 11);
    assert_memory_equal(test_zone.shm.name.data, "refine:shop", 11);

    return test_zone.init(&test_zone, old);
}


static int
test_setup(void **state)
{
    ngx_stub_fail_after(0);

    test_log.log_level = NGX_LOG_DEBUG;
    test_logged = 0;
    test_slab.data = NULL;
    test_cf.pool = ngx_create_pool(4096, NULL);

    return test_load(NULL) == NGX_OK ? 0 : -1;
}


static int
test_teardown(void **state)
{
    free(test_slab.data);
    ngx_destroy_pool(test_cf.pool);

    return 0;
}


static ngx_str_t *
test_id(u_char *buf, ngx_uint_t n)
{
    static ngx_str_t  id;

    id.data = buf;
    id.len = (size_t) sprintf((char *) buf, "%08x-of-an-event", (unsigned) n);

    return &id;
}


static void
test_reload(void **state)
{
    void                       *first;
    uint64_t                    generation;
    ngx_str_t                   id = ngx_string("e1");
    ngx_http_refine_circuit_t  *c;

    ngx_http_refine_shared_remember(&test_zone, &id);

    c = ngx_http_refine_shared_lock(&test_zone);
    c->passes = 7;
    ngx_http_refine_shared_unlock(&test_zone);

    first = test_zone.data;
    generation = ngx_http_refine_shared_generation(&test_zone);

    assert_int_equal(test_load(first), NGX_OK);
    assert_true(ngx_http_refine_shared_generation(&test_zone) > generation);
    assert_true(ngx_http_refine_shared_seen(&test_zone, &id));

    /* the zone of the old workers is the same memory */

    c = ngx_http_refine_shared_lock(&test_zone);
    assert_int_equal(c->passes, 7);
    ngx_http_refine_shared_unlock(&test_zone);

    test_zone.data = first;
    assert_int_equal(ngx_http_refine_shared_generation(&test_zone),
                     generation);

    /* a segment that was there before */

    test_zone.shm.exists = 1;
    assert_int_equal(test_zone.init(&test_zone, NULL), NGX_OK);
    assert_true(ngx_http_refine_shared_seen(&test_zone, &id));
    assert_int_equal(test_logged, 0);
}


static void
test_layout(void **state)
{
    void                      *old;
    ngx_http_refine_shared_t  *sh;

    old = test_zone.data;
    sh = test_slab.data;

    sh->layout--;
    assert_int_equal(test_load(old), NGX_ERROR);
    assert_int_equal(test_logged, 1);
    sh->layout++;

    sh->size -= 8;
    assert_int_equal(test_load(old), NGX_ERROR);
    assert_int_equal(test_logged, 2);
    sh->size += 8;

    assert_int_equal(test_load(old), NGX_OK);

    test_zone.shm.exists = 1;
    sh->layout++;
    assert_int_equal(test_zone.init(&test_zone, NULL), NGX_ERROR);
}


static void
test_no_memory(void **state)
{
    ngx_int_t    rc;
    ngx_str_t    name = ngx_string("shop");
    ngx_uint_t   i, done;
    ngx_pool_t  *pool;

    done = 0;

    for (i = 1; !done; i++) {
        pool = test_cf.pool;
        test_cf.pool = ngx_create_pool(4096, NULL);
        free(test_slab.data);
        test_slab.data = NULL;

        ngx_stub_fail_after(i);

        rc = NGX_ERROR;

        if (ngx_http_refine_shared_add(&test_cf, &name, NULL) != NULL) {
            rc = test_zone.init(&test_zone, NULL);
        }

        done = !ngx_stub_failed();
        ngx_stub_fail_after(0);

        assert_int_equal(rc, done ? NGX_OK : NGX_ERROR);

        ngx_destroy_pool(pool);
    }

    assert_int_equal(i, 5);
}


static void
test_ids(void **state)
{
    u_char      buf[64];
    ngx_str_t   empty = ngx_null_string;
    ngx_uint_t  i, n, lost;

    /* while there is room next to nothing is lost */

    n = IDS / 4;
    lost = 0;

    for (i = 0; i < n; i++) {
        assert_false(ngx_http_refine_shared_seen(&test_zone, test_id(buf, i)));
        ngx_http_refine_shared_remember(&test_zone, test_id(buf, i));
        assert_true(ngx_http_refine_shared_seen(&test_zone, test_id(buf, i)));
    }

    for (i = 0; i < n; i++) {
        lost += !ngx_http_refine_shared_seen(&test_zone, test_id(buf, i));
    }

    assert_true(lost < n / 100);

    for (i = n; i < 2 * n; i++) {
        assert_false(ngx_http_refine_shared_seen(&test_zone, test_id(buf, i)));
    }

    /* every byte and the length count */

    for (i = 0; i < 40; i++) {
        ngx_memset(buf, 'a', 40);

        empty.data = buf;
        empty.len = i;

        assert_false(ngx_http_refine_shared_seen(&test_zone, &empty));
        ngx_http_refine_shared_remember(&test_zone, &empty);
        assert_true(ngx_http_refine_shared_seen(&test_zone, &empty));

        if (i) {
            buf[i - 1]++;
            assert_false(ngx_http_refine_shared_seen(&test_zone, &empty));
        }
    }
}


static void
test_oldest(void **state)
{
    u_char      buf[64], first[64];
    ngx_str_t   id;
    uint64_t   *bucket, hash;
    ngx_uint_t  i, n;

    /* of a bucket the one that was not heard of for longest gives way */

    id.data = first;
    id.len = test_id(first, 0)->len;

    bucket = ngx_http_refine_shared_bucket(&test_zone, &id, &hash);
    ngx_http_refine_shared_remember(&test_zone, &id);

    for (i = 1, n = 1; n < NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        if (ngx_http_refine_shared_bucket(&test_zone, test_id(buf, i), &hash)
            == bucket)
        {
            ngx_http_refine_shared_remember(&test_zone, test_id(buf, i));
            n++;
        }
    }

    assert_true(ngx_http_refine_shared_seen(&test_zone, &id));

    /* one that is there takes no place, and is the latest again */

    ngx_http_refine_shared_remember(&test_zone, &id);
    ngx_http_refine_shared_remember(&test_zone, &id);

    for (n = 0; n < NGX_HTTP_REFINE_TRACE_WAYS; i++) {
        if (ngx_http_refine_shared_bucket(&test_zone, test_id(buf, i), &hash)
            == bucket)
        {
            assert_true(ngx_http_refine_shared_seen(&test_zone, &id));
            ngx_http_refine_shared_remember(&test_zone, test_id(buf, i));
            n++;
        }
    }

    assert_false(ngx_http_refine_shared_seen(&test_zone, &id));
}


static void
test_hash(void **state)
{
    u_char                     buf[15];
    ngx_str_t                  id;
    ngx_uint_t                 i;
    ngx_http_refine_shared_t  *sh;

    /* the example in the paper on SipHash */

    sh = test_slab.data;
    sh->key[0] = 0x0706050403020100ULL;
    sh->key[1] = 0x0f0e0d0c0b0a0908ULL;

    for (i = 0; i < 15; i++) {
        buf[i] = (u_char) i;
    }

    id.data = buf;
    id.len = 15;

    assert_true(ngx_http_refine_shared_hash(sh, &id) == 0xa129ca6149be45e5ULL);
}


static void
test_state(void **state)
{
    ngx_time_t                       tp;
    ngx_http_refine_circuit_t       *c;
    ngx_http_refine_shared_state_t   s;

    tp.sec = 1700000000;
    tp.msec = 250;
    ngx_cached_time = &tp;

    ngx_http_refine_shared_state(&test_zone, &s);
    assert_int_equal(s.state, NGX_HTTP_REFINE_CIRCUIT_UNKNOWN);
    assert_int_equal(s.retry_at, 0);
    assert_int_equal(s.limit, -1);

    c = ngx_http_refine_shared_lock(&test_zone);
    c->retry_at = ngx_current_msec + 500;
    c->paused = 1;
    ngx_http_refine_shared_unlock(&test_zone);

    ngx_http_refine_shared_state(&test_zone, &s);
    assert_true(s.retry_at == 1700000000750ULL);
    assert_true(s.paused);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_reload, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_layout, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_ids, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_oldest, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_hash, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_state, test_setup, test_teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
