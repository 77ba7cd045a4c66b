
/*
 * Tests for ngx_http_refine_batch: cutting, splitting, keys; the memory of a
 * claim goes with the last batch cut from it.  The unit is included, so that
 * the clock is here.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_batch.c"


volatile ngx_msec_t  ngx_current_msec = 77;

static ngx_queue_t   test_list;
static ngx_uint_t    test_gone;


static void
test_cleanup(void *data)
{
    test_gone++;
}


/* a claim of n events whose lines have these lengths, in turn */

static void
test_claim(ngx_http_refine_claim_t *claim, ngx_uint_t n, size_t *sizes,
    ngx_uint_t nsizes)
{
    size_t                    len;
    ngx_uint_t                i;
    ngx_http_refine_entry_t  *entry;

    ngx_queue_init(&test_list);
    test_gone = 0;

    ngx_memzero(claim, sizeof(ngx_http_refine_claim_t));

    claim->pool = ngx_create_pool(4096, NULL);
    ngx_pool_cleanup_add(claim->pool, 0)->handler = test_cleanup;

    claim->entries = ngx_pcalloc(claim->pool,
                                 n * sizeof(ngx_http_refine_entry_t));
    claim->nentries = n;

    for (i = 0; i < n; i++) {
        entry = &claim->entries[i];
        len = sizes[i % nsizes];

        entry->line.data = ngx_pnalloc(claim->pool, len + 1);
        entry->line.len = len;

        ngx_memset(entry->line.data, 'x', len);
        (void) sprintf((char *) entry->line.data, "{\"eventId\":\"e%02u\"",
                       (unsigned) i);
        entry->line.data[strlen((char *) entry->line.data)] = ',';

        entry->id.data = ngx_pnalloc(claim->pool, 8);
        entry->id.len = sprintf((char *) entry->id.data, "%u-1", (unsigned) i);
    }
}


/* the batches as "n:size ..." */

static const char *
test_shape(void)
{
    static char               text[512];
    size_t                    used;
    ngx_queue_t              *q;
    ngx_http_refine_batch_t  *batch;

    used = 0;
    text[0] = '\0';

    for (q = ngx_queue_head(&test_list);
         q != ngx_queue_sentinel(&test_list);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_refine_batch_t, queue);
        used += sprintf(text + used, "%s%u:%u", used ? " " : "",
                        (unsigned) batch->n, (unsigned) batch->size);
    }

    return text;
}


static ngx_http_refine_batch_t *
test_first(void)
{
    return ngx_queue_data(ngx_queue_head(&test_list), ngx_http_refine_batch_t,
                          queue);
}


static void
test_end(void)
{
    while (!ngx_queue_empty(&test_list)) {
        assert_int_equal(test_gone, 0);
        ngx_http_refine_batch_free(test_first());
    }

    assert_int_equal(test_gone, 1);
}


static void
test_cut(void **state)
{
    ngx_uint_t               i;
    ngx_http_refine_claim_t  claim;

    static struct {
        ngx_uint_t   n;
        size_t       sizes[3];
        ngx_uint_t   max_n;
        size_t       max_size;
        const char  *shape;
    } cases[] = {
        { 1, { 99, 99, 99 }, 10, 1000, "1:100" },
        { 10, { 99, 99, 99 }, 10, 1000, "10:1000" },
        { 10, { 99, 99, 99 }, 10, 999, "9:900 1:100" },
        { 10, { 99, 99, 99 }, 4, 1000, "4:400 4:400 2:200" },
        { 3, { 99, 99, 99 }, 1, 1000, "1:100 1:100 1:100" },

        /* what is too large by itself goes alone */

        { 3, { 99, 4999, 99 }, 10, 1000, "1:100 1:5000 1:100" },
        { 4, { 4999, 99, 99 }, 10, 1000, "1:5000 2:200 1:5000" },
        { 3, { 4999, 4999, 4999 }, 10, 1000, "1:5000 1:5000 1:5000" },
        { 3, { 500, 500, 500 }, 10, 1, "1:501 1:501 1:501" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_claim(&claim, cases[i].n, cases[i].sizes, 3);

        assert_int_equal(ngx_http_refine_batch_cut(&claim, &test_list, state,
                                                   cases[i].max_n,
                                                   cases[i].max_size, NULL),
                         NGX_OK);
        assert_string_equal(test_shape(), cases[i].shape);
        assert_ptr_equal(test_first()->owner, state);
        assert_int_equal(test_first()->retry_at, 77);

        test_end();
    }
}


static void
test_split(void **state)
{
    u_char                    key[2][NGX_HTTP_REFINE_BATCH_KEY];
    size_t                    sizes[] = { 99, 199, 299 };
    ngx_http_refine_claim_t   claim;
    ngx_http_refine_batch_t  *batch;

    test_claim(&claim, 7, sizes, 3);
    assert_int_equal(ngx_http_refine_batch_cut(&claim, &test_list, NULL, 10,
                                               100000, NULL), NGX_OK);
    assert_string_equal(test_shape(), "7:1300");

    batch = test_first();
    batch->suspect = 1;
    batch->mark = 5;
    batch->errors = 3;
    batch->refused = 2;
    batch->renewed = 11;

    assert_int_equal(ngx_http_refine_batch_key(batch, key[0]), NGX_OK);

    assert_int_equal(ngx_http_refine_batch_split(batch, NULL), NGX_OK);
    assert_string_equal(test_shape(), "3:600 4:700");
    assert_int_equal(batch->errors + batch->refused, 0);

    assert_int_equal(ngx_http_refine_batch_key(batch, key[1]), NGX_OK);
    assert_memory_not_equal(key[0], key[1], NGX_HTTP_REFINE_BATCH_KEY);

    batch = ngx_queue_data(ngx_queue_last(&test_list),
                           ngx_http_refine_batch_t, queue);
    assert_memory_equal(batch->entries[0].line.data, "{\"eventId\":\"e03\"",
                        16);
    assert_true(batch->suspect);
    assert_int_equal(batch->mark, 5);
    assert_int_equal(batch->errors + batch->refused, 0);
    assert_int_equal(batch->renewed, 11);

    assert_int_equal(ngx_http_refine_batch_split(test_first(), NULL), NGX_OK);
    assert_string_equal(test_shape(), "1:100 2:500 4:700");

    test_end();
}


static void
test_drop(void **state)
{
    size_t                    sizes[] = { 30, 40 };
    ngx_http_refine_batch_t  *batch;
    ngx_http_refine_claim_t   claim;

    ngx_str_t  ids[] = { ngx_string("11-1"), ngx_string("2-1"),
                         ngx_string("0-1"), ngx_string("1-"),
                         ngx_string("7-1") };

    test_claim(&claim, 5, sizes, 2);
    assert_int_equal(ngx_http_refine_batch_cut(&claim, &test_list, NULL, 5,
                                               10000, NULL), NGX_OK);
    batch = test_first();

    ngx_http_refine_batch_drop(batch, ids, 0);
    assert_string_equal(test_shape(), "5:175");

    ngx_http_refine_batch_drop(batch, ids, 5);
    assert_string_equal(test_shape(), "3:113");
    assert_memory_equal(batch->entries[0].id.data, "1-1", 3);
    assert_memory_equal(batch->entries[1].id.data, "3-1", 3);
    assert_memory_equal(batch->entries[2].id.data, "4-1", 3);

    /* a half has its own part of the entries */

    assert_int_equal(ngx_http_refine_batch_split(batch, NULL), NGX_OK);
    assert_string_equal(test_shape(), "1:41 2:72");

    ids[0] = batch->entries[0].id;
    ngx_http_refine_batch_drop(batch, ids, 1);
    assert_string_equal(test_shape(), "2:72");
    assert_int_equal(test_gone, 0);

    batch = test_first();
    ids[0] = batch->entries[0].id;
    ids[1] = batch->entries[1].id;
    ngx_http_refine_batch_drop(batch, ids, 2);
    assert_true(ngx_queue_empty(&test_list));
    assert_int_equal(test_gone, 1);
}


static void
test_lines(void **state)
{
    u_char                    buf[400], key[2][NGX_HTTP_REFINE_BATCH_KEY];
    size_t                    sizes[] = { 16, 17 };
    ngx_http_refine_claim_t   claim;
    ngx_http_refine_batch_t  *batch;

    /* printf 'e00\ne01\ne02\n' | sha256sum */

    static const char  expected[] =
        "3255f71672bcd25d789ea6ad7d9c5078fc1b95d834ab6291c072fce5ab783715";

    test_claim(&claim, 3, sizes, 2);
    assert_int_equal(ngx_http_refine_batch_cut(&claim, &test_list, NULL, 10,
                                               100000, NULL), NGX_OK);
    batch = test_first();

    buf[52 - 1] = '!';
    assert_ptr_equal(ngx_http_refine_batch_lines(batch, buf),
                     buf + batch->size - 1);
    assert_memory_equal(buf, "{\"eventId\":\"e00\",{\"eventId\":\"e01\",,"
                             "{\"eventId\":\"e02\"!", 52);

    assert_int_equal(ngx_http_refine_batch_key(batch, key[0]), NGX_OK);
    assert_memory_equal(key[0], expected, NGX_HTTP_REFINE_BATCH_KEY);

    /* what else is in the lines is of no concern, the order is */

    batch->entries[1].line.data[16] = 'y';
    assert_int_equal(ngx_http_refine_batch_key(batch, key[1]), NGX_OK);
    assert_memory_equal(key[0], key[1], NGX_HTTP_REFINE_BATCH_KEY);

    batch->entries[1].line = batch->entries[2].line;
    assert_int_equal(ngx_http_refine_batch_key(batch, key[1]), NGX_OK);
    assert_memory_not_equal(key[0], key[1], NGX_HTTP_REFINE_BATCH_KEY);

    test_end();
}


static void
test_no_memory(void **state)
{
    size_t                   sizes[] = { 99 };
    ngx_int_t                rc;
    ngx_uint_t               i, done;
    ngx_http_refine_claim_t  claim;

    done = 0;

    for (i = 1; !done; i++) {
        test_claim(&claim, 9, sizes, 1);

        ngx_stub_fail_after(i);
        rc = ngx_http_refine_batch_cut(&claim, &test_list, NULL, 3, 100000,
                                       NULL);
        done = !ngx_stub_failed();
        ngx_stub_fail_after(0);

        assert_int_equal(rc, done ? NGX_OK : NGX_ERROR);

        /* what was cut before is good, the rest is somebody else's later */

        if (i > 2) {
            ngx_stub_fail_after(1);
            assert_int_equal(ngx_http_refine_batch_split(test_first(), NULL),
                             NGX_ERROR);
            ngx_stub_fail_after(0);
            assert_int_equal(test_first()->n, 3);
            assert_int_equal(test_first()->size, 300);
        }

        test_end();
    }

    assert_int_equal(i, 6);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
