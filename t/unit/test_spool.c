
/*
 * Tests for ngx_http_refine_spool: what was written is read in order, whoever
 * reads it, and what is torn or damaged costs nothing beside it.
 */


#include "spool_run.h"


static void
test_order(void **state)
{
    ngx_uint_t                i, n, found[1000];
    struct stat               st;
    ngx_http_refine_spool_t  *spool, *other;

    static ngx_uint_t  events[] = { 1, 3, 50, 100000 };

    for (n = 0; n < 4; n++) {
        spool = test_create();
        other = test_create();

        for (i = 0; i < 500; i++) {
            assert_int_equal(test_write(spool, i, i), NGX_OK);
        }

        assert_int_equal(test_files(0), 1);
        assert_int_equal(stat(test_path(test_name), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        /* it is another one's as long as that one writes it */

        assert_int_equal(test_drain(other, 100, 1 << 20, found, 1000), 0);

        if (n & 1) {
            assert_int_equal(test_drain(spool, events[n], 20000, found, 1000),
                             500);
        }

        ngx_http_refine_spool_destroy(spool);

        if (!(n & 1)) {
            assert_int_equal(test_drain(other, events[n], 20000, found, 1000),
                             500);
        }

        for (i = 0; i < 500; i++) {
            assert_int_equal(found[i], i);
        }

        assert_int_equal(ngx_http_refine_spool_state(other)->torn, 0);
        assert_int_equal(ngx_http_refine_spool_state(other)->damaged, 0);

        ngx_http_refine_spool_destroy(other);
        assert_int_equal(test_files(0), 0);
    }
}


/* several segments, several workers, and a reader that is interrupted */

static void
test_segments(void **state)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i, n, total, seen[3000];
    ngx_http_refine_spool_t         *a, *b, *reader;
    ngx_http_refine_spool_record_t  *records;

    conf.size = 2 * 1024 * 1024;      /* segments of 128k */

    a = test_create();
    b = test_create();

    for (i = 0; i < 3000; i++) {
        assert_int_equal(test_write((i & 2) ? a : b, i, 300), NGX_OK);
    }

    assert_true(test_files(0) > 6);

    assert_int_equal(ngx_http_refine_spool_count(a), NGX_OK);
    assert_int_equal(ngx_http_refine_spool_state(a)->totals.events, 4500);
    assert_int_equal(ngx_http_refine_spool_state(a)->totals.segments,
                     test_files(0));

    ngx_http_refine_spool_destroy(a);
    ngx_http_refine_spool_destroy(b);

    /* each reader advances a few times, reads once more, and is gone */

    memset(seen, 0, sizeof(seen));
    total = 0;

    do {
        reader = test_create();

        for (i = 0; i < 3; i++) {
            rc = ngx_http_refine_spool_read(reader, 100, 1 << 20, &records, &n);

            if (rc != NGX_OK || i == 2) {
                break;
            }

            while (n--) {
                seen[test_number(&records[n])]++;
                total++;
            }

            ngx_http_refine_spool_advance(reader);
        }

        assert_int_equal(ngx_http_refine_spool_count(reader), NGX_OK);
        assert_true(ngx_http_refine_spool_state(reader)->totals.events
                    <= 4500);

        ngx_http_refine_spool_destroy(reader);

    } while (rc == NGX_OK);

    assert_int_equal(total, 3000);

    for (i = 0; i < 3000; i++) {
        assert_int_equal(seen[i], 1);
    }

    assert_int_equal(test_files(0), 0);
}


/* what is read behind the end of a chunk, and records larger than one */

static void
test_large(void **state)
{
    ngx_uint_t                i, found[64];
    ngx_http_refine_spool_t  *spool;

    conf.size = 64 * 1024 * 1024;

    spool = test_create();

    for (i = 0; i < 40; i++) {
        assert_int_equal(test_write(spool, i, (i * 48271) % 300000), NGX_OK);
    }

    assert_int_equal(test_drain(spool, 1000, 1 << 20, found, 64), 40);

    for (i = 0; i < 40; i++) {
        assert_int_equal(found[i], i);
    }

    ngx_http_refine_spool_destroy(spool);
}


/* at each length to which a segment may have been cut */

static void
test_torn(void **state)
{
    size_t                    n, len, ends[8];
    ngx_uint_t                i, got, found[8];
    ngx_http_refine_spool_t  *spool;

    spool = test_create();

    for (i = 0; i < 6; i++) {
        assert_int_equal(test_write(spool, i, 20), NGX_OK);
        ends[i] = test_load();
    }

    ngx_http_refine_spool_destroy(spool);
    len = test_load();
    test_files(1);

    for (n = 0; n <= len; n++) {
        test_save("00000000000001-1-0.spool", file, n);

        spool = test_create();
        got = test_drain(spool, 100, 1 << 20, found, 8);

        for (i = 0; i < 6 && ends[i] <= n; i++) {
            assert_true(i < got);
            assert_int_equal(found[i], i);
        }

        assert_int_equal(got, i);

        if (n >= 160) {
            assert_int_equal(ngx_http_refine_spool_state(spool)->torn,
                             n != 160 && n != ends[got ? got - 1 : 0]);
        }

        assert_int_equal(ngx_http_refine_spool_state(spool)->damaged, 0);
        assert_int_equal(test_files(0), 0);

        ngx_http_refine_spool_destroy(spool);
    }
}


/* each byte in turn, three ways */

static void
test_damaged(void **state)
{
    size_t                    n, len, ends[8];
    ngx_uint_t                i, k, hit, got, found[8];
    ngx_http_refine_spool_t  *spool;

    static u_char  flips[] = { 0x01, 0x80, 0xff };

    spool = test_create();

    for (i = 0; i < 6; i++) {
        assert_int_equal(test_write(spool, i, 20), NGX_OK);
        ends[i] = test_load();
    }

    ngx_http_refine_spool_destroy(spool);
    len = test_load();
    test_files(1);

    for (n = 0; n < len * 3; n++) {
        memcpy(copy, file, len);
        copy[n / 3] ^= flips[n % 3];

        hit = 6;

        if (n / 3 >= 160) {
            for (hit = 0; ends[hit] <= n / 3; hit++) { /* void */ }
        }

        test_save("00000000000001-1-0.spool", copy, len);

        spool = test_create();
        (void) ngx_http_refine_spool_count(spool);
        got = test_drain(spool, 100, 1 << 20, found, 8);

        /* one that claims to be of another version has a bad CRC as well */

        assert_int_equal(got, hit == 6 ? 6 : 5);

        for (i = 0, k = 0; i < 6; i++) {
            if (i != hit) {
                assert_int_equal(found[k++], i);
            }
        }

        assert_int_equal(ngx_http_refine_spool_state(spool)->damaged,
                         hit < 5);
        assert_int_equal(ngx_http_refine_spool_state(spool)->torn, hit == 5);

        ngx_http_refine_spool_destroy(spool);
        assert_int_equal(test_files(0), 0);
    }
}


/* a range of zeros or of noise, with the beginning of a record in it */

static void
test_noise(void **state)
{
    size_t                    from, to, len, ends[64];
    uint32_t                  seed;
    ngx_uint_t                i, k, n, got, found[64];
    ngx_http_refine_spool_t  *spool;

    spool = test_create();

    for (i = 0; i < 40; i++) {
        assert_int_equal(test_write(spool, i, i), NGX_OK);
        ends[i] = test_load();
    }

    ngx_http_refine_spool_destroy(spool);
    len = test_load();
    test_files(1);

    seed = 1;

    for (n = 0; n < 300; n++) {
        memcpy(copy, file, len);

        seed = seed * 1664525 + 1013904223;
        from = 160 + (seed >> 8) % (len - 160);
        seed = seed * 1664525 + 1013904223;
        to = from + 1 + (seed >> 8) % (len - from);

        for (i = from; i < to; i++) {
            seed = seed * 1664525 + 1013904223;
            copy[i] = (n % 3 == 0) ? 0
                      : (n % 3 == 1) ? (u_char) (seed >> 24)
                      : file[160 + (i - from)];
        }

        test_save("00000000000001-1-0.spool", copy, len);

        spool = test_create();
        got = test_drain(spool, 7, 1 << 20, found, 64);

        /* those that end before or begin behind it, each once and in order */

        for (i = 0, k = 0; i < 40; i++) {
            if (ends[i] <= from || (i && ends[i - 1] >= to)) {

                while (k < got && found[k] != i) {
                    /* a copy of the first records is a record */
                    assert_int_equal(n % 3, 2);
                    k++;
                }

                assert_true(k < got);
                k++;
            }
        }

        ngx_http_refine_spool_destroy(spool);
    }
}


/* where a cursor was torn the one before it counts: no event is left out */

static void
test_cursor(void **state)
{
    size_t                           n, len;
    ngx_uint_t                       i, k, got, found[16];
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_record_t  *records;

    spool = test_create();

    for (i = 0; i < 10; i++) {
        assert_int_equal(test_write(spool, i, 20), NGX_OK);
    }

    for (i = 0; i < 3; i++) {
        assert_int_equal(ngx_http_refine_spool_read(spool, 2, 1 << 20,
                                                    &records, &n), NGX_OK);
        assert_int_equal(n, 1);
        ngx_http_refine_spool_advance(spool);
    }

    ngx_http_refine_spool_destroy(spool);
    len = test_load();
    test_files(1);

    for (n = 64; n < 160; n++) {
        memcpy(copy, file, len);
        copy[n] ^= 0x55;
        test_save("00000000000001-1-0.spool", copy, len);

        spool = test_create();
        got = test_drain(spool, 100, 1 << 20, found, 16);

        /* the third is in the second place, which begins at 112 */

        k = (n >= 112 && n < 140) ? 2 : 3;

        assert_int_equal(got, 10 - k);
        assert_int_equal(found[0], k);
        assert_int_equal(ngx_http_refine_spool_state(spool)->torn, 0);

        ngx_http_refine_spool_destroy(spool);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_order),
        test(test_segments),
        test(test_large),
        test(test_torn),
        test(test_damaged),
        test(test_noise),
        test(test_cursor)
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
