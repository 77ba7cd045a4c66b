
/*
 * What the tests of the spool share: a directory, numbered records, and a
 * reader that knows them again.
 */


#ifndef _SPOOL_RUN_H_INCLUDED_
#define _SPOOL_RUN_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "ngx_stub.h"
#include "ngx_http_refine_spool.h"


#define TEST_MAX  (64 * 1024)


static char                          dir[64];
static char                          test_name[256];
static ngx_http_refine_spool_conf_t  conf;
static u_char                        file[TEST_MAX];
static u_char                        copy[TEST_MAX];


static ngx_inline char *
test_path(const char *name)
{
    static char  path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    return path;
}


/* the number of files; leaves a name in test_name */

static ngx_inline ngx_uint_t
test_files(ngx_uint_t delete)
{
    DIR            *d;
    ngx_uint_t      n;
    struct dirent  *entry;

    d = opendir(dir);
    assert_non_null(d);

    n = 0;

    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }

        n++;
        snprintf(test_name, sizeof(test_name), "%s", entry->d_name);

        if (delete) {
            assert_int_equal(unlink(test_path(entry->d_name)), 0);
        }
    }

    closedir(d);

    return n;
}


static ngx_inline int
setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/refine_spool.XXXXXX");
    assert_non_null(mkdtemp(dir));

    conf.path.data = (u_char *) dir;
    conf.path.len = strlen(dir);
    conf.size = 16 * 1024 * 1024;
    conf.fsync = NGX_HTTP_REFINE_FSYNC_OFF;

    return 0;
}


static ngx_inline int
teardown(void **state)
{
    ngx_stub_fail_after(0);
    test_files(1);

    return rmdir(dir);
}


static ngx_inline ngx_http_refine_spool_t *
test_create(void)
{
    ngx_http_refine_spool_t  *spool;

    spool = ngx_http_refine_spool_create(&conf, NULL);
    assert_non_null(spool);

    return spool;
}


/* record number i: two events, the second with a label, or one */

static ngx_inline ngx_int_t
test_write(ngx_http_refine_spool_t *spool, ngx_uint_t i, size_t size)
{
    u_char                          *text;
    ngx_int_t                        rc;
    ngx_str_t                        args[3];
    static u_char                    label[] = "page\0text";
    ngx_http_refine_spool_record_t   record;

    text = malloc(size + 64);
    memset(text, 'x', size + 64);

    args[0].data = text;
    args[0].len = snprintf((char *) text, 64, "{\"n\":%lu}",
                           (unsigned long) i);
    text[args[0].len] = ' ';
    args[0].len += size;

    args[1] = args[0];
    args[2].data = label;
    args[2].len = sizeof(label) - 1;

    record.n = 1 + (i & 1);
    record.types = (u_char *) ((i & 1) ? "30" : "1");
    record.nargs = (i & 1) ? 3 : 1;
    record.args = args;

    rc = ngx_http_refine_spool_write(spool, &record, 1);

    free(text);

    return rc;
}


/* the number of a record, which has to be as it was written */

static ngx_inline ngx_uint_t
test_number(ngx_http_refine_spool_record_t *record)
{
    char           text[64];
    ngx_uint_t     i;
    unsigned long  n;

    assert_true(record->nargs >= 1 && record->args[0].len >= 7);

    snprintf(text, sizeof(text), "%.*s",
             (int) ngx_min(record->args[0].len, 63), record->args[0].data);
    assert_int_equal(sscanf(text, "{\"n\":%lu}", &n), 1);

    i = n;

    assert_int_equal(record->n, 1 + (i & 1));
    assert_int_equal(record->nargs, (i & 1) ? 3 : 1);
    assert_memory_equal(record->types, (i & 1) ? "30" : "1", record->n);

    if (i & 1) {
        assert_int_equal(record->args[1].len, record->args[0].len);
        assert_memory_equal(record->args[1].data, record->args[0].data,
                            record->args[0].len);
        assert_int_equal(record->args[2].len, 9);
        assert_memory_equal(record->args[2].data, "page\0text", 9);
    }

    return i;
}


/* reads all; "found" gets the numbers, in order */

static ngx_inline ngx_uint_t
test_drain(ngx_http_refine_spool_t *spool, ngx_uint_t events, size_t size,
    ngx_uint_t *found, ngx_uint_t max)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i, n, total, sum;
    ngx_http_refine_spool_record_t  *records;

    total = 0;

    while ((rc = ngx_http_refine_spool_read(spool, events, size, &records, &n))
           == NGX_OK)
    {
        assert_true(n > 0);

        for (i = 0, sum = 0; i < n; i++) {
            sum += records[i].n;
            assert_true(total < max);
            found[total++] = test_number(&records[i]);
        }

        assert_true(n == 1 || sum <= events);

        ngx_http_refine_spool_advance(spool);
    }

    assert_int_equal(rc, NGX_DONE);

    return total;
}


static ngx_inline size_t
test_load(void)
{
    FILE    *f;
    size_t   n;

    assert_int_equal(test_files(0), 1);

    f = fopen(test_path(test_name), "rb");
    assert_non_null(f);
    n = fread(file, 1, sizeof(file), f);
    assert_true(n < sizeof(file));
    fclose(f);

    return n;
}


static ngx_inline void
test_save(const char *name, u_char *p, size_t n)
{
    FILE  *f;

    f = fopen(test_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}


#define test(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)


#endif /* _SPOOL_RUN_H_INCLUDED_ */
