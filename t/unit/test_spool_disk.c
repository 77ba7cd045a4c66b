
/*
 * Tests for ngx_http_refine_spool: files that are not its own, the limit, a
 * full disk, what cannot be deleted, no directory, no memory.
 */


#include "spool_run.h"


static void
test_foreign(void **state)
{
    ngx_uint_t                i, other, found[8];
    ngx_http_refine_spool_t  *spool;

    test_save("readme", (u_char *) "hello", 5);
    test_save("1.spool~", (u_char *) "hello", 5);
    test_save("00000000000001-1-0.spool", (u_char *) "", 0);
    test_save("00000000000002-1-0.spool", (u_char *) "hello", 5);
    assert_int_equal(symlink("readme",
                             test_path("00000000000003-1-0.spool")), 0);
    assert_int_equal(mkfifo(test_path("00000000000004-1-0.spool"), 0600), 0);

    /* of other versions, rightly: left alone */

    memset(copy, 0, 400);
    memcpy(copy, "RefineSp\004\0\0\0\x44\xa7\x6a\x46", 16);
    test_save("00000000000005-1-0.spool", copy, 400);
    memcpy(copy, "RefineSp\001\0\0\0\x58\x33\xaa\x31", 16);
    test_save("00000000000006-1-0.spool", copy, 400);
    memcpy(copy, "RefineSp\002\0\0\0\x61\xba\x88\x53", 16);
    test_save("00000000000007-1-0.spool", copy, 400);

    spool = test_create();
    assert_int_equal(test_write(spool, 1, 1), NGX_OK);
    assert_int_equal(ngx_http_refine_spool_count(spool), NGX_OK);
    assert_int_equal(ngx_http_refine_spool_state(spool)->totals.events, 2);

    i = test_drain(spool, 100, 1 << 20, found, 8);
    assert_int_equal(i, 1);
    assert_int_equal(found[0], 1);
    other = ngx_http_refine_spool_state(spool)->other;

    ngx_http_refine_spool_destroy(spool);

    assert_true(other);

    /* readme, 1.spool~, the link, the pipe, the others */
    assert_int_equal(test_files(0), 7);
}


static void
test_limit(void **state)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, n, found[2000];
    ngx_http_refine_spool_t  *spool;

    conf.size = 256 * 1024;
    spool = test_create();

    for (n = 0; n < 2000; n++) {
        rc = test_write(spool, n, 400);

        if (rc != NGX_OK) {
            break;
        }
    }

    assert_int_equal(rc, NGX_DECLINED);
    assert_true(n > 300 && n < 600);
    assert_true(ngx_http_refine_spool_state(spool)->totals.bytes
                <= 256 * 1024);

    assert_int_equal(test_drain(spool, 100, 1 << 20, found, 2000), n);

    for (i = 0; i < n; i++) {
        assert_int_equal(found[i], i);
    }

    assert_int_equal(test_files(0), 0);
    assert_int_equal(test_write(spool, 1, 400), NGX_OK);

    ngx_http_refine_spool_destroy(spool);
}


/* the disk ends in the middle of a record: EFBIG after a short write */

static void
test_full(void **state)
{
    rlim_t                    end;
    ngx_uint_t                n, found[64];
    struct stat               st;
    struct rlimit             limit, old;
    ngx_http_refine_spool_t  *spool;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);

    for (end = 0; end < 900; end += 7) {
        spool = test_create();

        limit = old;
        limit.rlim_cur = end;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

        for (n = 0; test_write(spool, n, 30) == NGX_OK; n++) {
            assert_true(n < 64);
        }

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

        assert_int_equal(ngx_http_refine_spool_state(spool)->err, EFBIG);

        /* what is there ends with a record; without one there is no file */

        assert_int_equal(test_files(0), n != 0);

        if (n) {
            assert_int_equal(stat(test_path(test_name), &st), 0);
            assert_true(st.st_size <= (off_t) end);
        }

        /* it recovers by itself, in another segment */

        assert_int_equal(test_write(spool, n, 30), NGX_OK);
        assert_int_equal(test_drain(spool, 100, 1 << 20, found, 64), n + 1);
        assert_int_equal(found[n], n);
        assert_int_equal(ngx_http_refine_spool_state(spool)->torn, 0);

        ngx_http_refine_spool_destroy(spool);
    }
}


static void
test_fsync(void **state)
{
    ngx_uint_t                found[8];
    ngx_http_refine_spool_t  *spool;

    conf.fsync = NGX_HTTP_REFINE_FSYNC_INTERVAL;
    spool = test_create();

    assert_int_equal(test_write(spool, 1, 1), NGX_OK);
    assert_true(ngx_http_refine_spool_state(spool)->dirty);
    assert_int_equal(ngx_http_refine_spool_sync(spool), NGX_OK);
    assert_false(ngx_http_refine_spool_state(spool)->dirty);
    assert_int_equal(ngx_http_refine_spool_sync(spool), NGX_OK);
    ngx_http_refine_spool_destroy(spool);

    conf.fsync = NGX_HTTP_REFINE_FSYNC_ALWAYS;
    spool = test_create();

    assert_int_equal(test_write(spool, 2, 1), NGX_OK);
    assert_false(ngx_http_refine_spool_state(spool)->dirty);
    assert_int_equal(test_drain(spool, 100, 1 << 20, found, 8), 2);
    ngx_http_refine_spool_destroy(spool);
}


/* a directory that is not there is an error, and no more than that */

/* reading ahead: the cursor stays behind what is not done */

static void
test_ahead(void **state)
{
    ngx_uint_t                       i, n, last, found[8];
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_place_t    place[4];
    ngx_http_refine_spool_record_t  *records;

    last = 0;
    spool = test_create();

    for (i = 0; i < 4; i++) {
        assert_int_equal(test_write(spool, i, 30), NGX_OK);

        if (i == 1) {
            ngx_http_refine_spool_seal(spool);
        }
    }

    for (i = 0; i < 4; i++) {
        assert_int_equal(ngx_http_refine_spool_read(spool, 1, 1 << 20,
                                                    &records, &n), NGX_OK);
        assert_int_equal(n, 1);
        ngx_http_refine_spool_pass(spool, &place[i]);
        last = records[0].n;
    }

    assert_int_equal(ngx_http_refine_spool_read(spool, 1, 1 << 20, &records,
                                                &n), NGX_DONE);
    assert_int_equal(test_files(0), 2);

    ngx_http_refine_spool_done(spool, &place[0]);
    assert_int_equal(test_files(0), 2);

    ngx_http_refine_spool_done(spool, &place[1]);
    assert_int_equal(test_files(0), 1);

    ngx_http_refine_spool_done(spool, &place[2]);
    assert_int_equal(ngx_http_refine_spool_count(spool), NGX_OK);
    assert_int_equal(ngx_http_refine_spool_state(spool)->totals.events, last);

    /* left to others: what was done is not read again, the rest is */

    ngx_http_refine_spool_leave(spool);
    ngx_http_refine_spool_done(spool, &place[3]);

    assert_int_equal(test_drain(spool, 100, 1 << 20, found, 8), 1);
    assert_int_equal(found[0], 3);
    assert_int_equal(test_files(0), 0);

    ngx_http_refine_spool_destroy(spool);
}


static void
test_missing(void **state)
{
    ngx_uint_t                       n;
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_record_t  *records;

    spool = test_create();
    assert_int_equal(rmdir(dir), 0);

    assert_int_equal(test_write(spool, 1, 1), NGX_ERROR);
    assert_int_equal(ngx_http_refine_spool_state(spool)->err, ENOENT);
    assert_string_equal(ngx_http_refine_spool_state(spool)->failed,
                        "opendir()");
    assert_int_equal(ngx_http_refine_spool_read(spool, 1, 1, &records, &n),
                     NGX_ERROR);
    assert_int_equal(ngx_http_refine_spool_count(spool), NGX_ERROR);

    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(test_write(spool, 1, 1), NGX_OK);

    ngx_http_refine_spool_destroy(spool);
}


/* what cannot be deleted is held, and not read again */

static void
test_held(void **state)
{
    ngx_uint_t                       n, found[8];
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_record_t  *records;

    spool = test_create();

    assert_int_equal(test_write(spool, 1, 1), NGX_OK);
    assert_int_equal(ngx_http_refine_spool_read(spool, 10, 1 << 20, &records,
                                                &n), NGX_OK);
    assert_int_equal(test_files(0), 1);
    assert_int_equal(link(test_path(test_name), "/tmp/refine_spool.kept"), 0);
    assert_int_equal(unlink(test_path(test_name)), 0);
    assert_int_equal(mkdir(test_path(test_name), 0700), 0);

    ngx_http_refine_spool_advance(spool);

    assert_int_equal(ngx_http_refine_spool_state(spool)->err, EISDIR);

    assert_int_equal(rmdir(test_path(test_name)), 0);
    assert_int_equal(rename("/tmp/refine_spool.kept", test_path(test_name)), 0);

    assert_int_equal(test_drain(spool, 100, 1 << 20, found, 8), 0);
    assert_int_equal(test_files(0), 1);

    ngx_http_refine_spool_destroy(spool);

    /* nor by the next worker */

    spool = test_create();

    assert_int_equal(test_drain(spool, 100, 1 << 20, found, 8), 0);
    assert_int_equal(test_files(0), 0);

    ngx_http_refine_spool_destroy(spool);
}


/* a read that fails does not make what was read before it be read again */

static void
test_failed_ahead(void **state)
{
    ngx_uint_t                       n, found[8];
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_place_t    place;
    ngx_http_refine_spool_record_t  *records;

    spool = test_create();

    assert_int_equal(test_write(spool, 1, 1), NGX_OK);
    assert_int_equal(test_write(spool, 2, 300000), NGX_OK);

    assert_int_equal(ngx_http_refine_spool_read(spool, 1, 4 << 20, &records,
                                                &n), NGX_OK);
    ngx_http_refine_spool_pass(spool, &place);

    /* there is no memory for the second record */

    ngx_stub_fail_after(1);
    assert_int_equal(ngx_http_refine_spool_read(spool, 1, 4 << 20, &records,
                                                &n), NGX_ERROR);
    assert_true(ngx_stub_failed());
    ngx_stub_fail_after(0);

    ngx_http_refine_spool_done(spool, &place);

    assert_int_equal(test_drain(spool, 1, 4 << 20, found, 8), 1);
    assert_int_equal(found[0], 2);
    assert_int_equal(test_files(0), 0);

    ngx_http_refine_spool_destroy(spool);
}


static void
test_no_memory(void **state)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i, n, failed, found[8];
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_record_t  *records;

    failed = 0;

    for (i = 1; i < 20; i++) {
        ngx_stub_fail_after(i);

        spool = ngx_http_refine_spool_create(&conf, NULL);

        if (spool == NULL) {
            failed++;
            continue;
        }

        rc = test_write(spool, 1, 100);
        assert_true(rc == NGX_OK || ngx_stub_failed());

        if (rc == NGX_OK) {
            rc = ngx_http_refine_spool_read(spool, 10, 1000, &records, &n);
            assert_true(rc == NGX_OK || ngx_stub_failed());

            failed += ngx_stub_failed();
            ngx_stub_fail_after(0);

            /* nothing was lost by it */

            if (rc == NGX_ERROR) {
                rc = test_drain(spool, 10, 1000, found, 8);
                rc += test_drain(spool, 10, 1000, found, 8);
                assert_int_equal(rc, 1);

            } else {
                ngx_http_refine_spool_advance(spool);
            }
        }

        ngx_stub_fail_after(0);
        ngx_http_refine_spool_destroy(spool);
        test_files(1);
    }

    assert_true(failed > 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_foreign),
        test(test_limit),
        test(test_full),
        test(test_fsync),
        test(test_ahead),
        test(test_missing),
        test(test_held),
        test(test_failed_ahead),
        test(test_no_memory)
    };

    return cmocka_run_group_tests_name("spool_disk", tests, NULL, NULL);
}
