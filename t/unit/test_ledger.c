
/*
 * Tests for ngx_http_refine_ledger: the figures survive whoever wrote them,
 * whatever is in the file, and the locks those who held them.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "ngx_stub.h"
#include "ngx_http_refine_ledger.h"


#define TEST_TURNS  20000


static char                           dir[64];
static char                           path[96];
static ngx_str_t                      name;
static ngx_http_refine_ledger_t       ledger, other;
static ngx_http_refine_ledger_data_t  data;


static int
setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/refine_ledger.XXXXXX");
    assert_non_null(mkdtemp(dir));

    snprintf(path, sizeof(path), "%s/counters", dir);

    name.data = (u_char *) dir;
    name.len = strlen(dir);

    ngx_pid = getpid();
    ledger.fd = -1;
    other.fd = -1;

    /* a lock that nobody releases must not last for ever */

    alarm(60);

    return 0;
}


static int
teardown(void **state)
{
    alarm(0);

    ngx_http_refine_ledger_close(&ledger);
    ngx_http_refine_ledger_close(&other);

    (void) unlink(path);

    return rmdir(dir);
}


static void
test_open(ngx_http_refine_ledger_t *one)
{
    assert_int_equal(ngx_http_refine_ledger_open(one, &name), NGX_OK);
    ngx_http_refine_ledger_ready(one);
}


/* what is in the file, and what shall be in it */

static void
test_load(void)
{
    FILE  *f;

    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(&data, sizeof(data), 1, f), 1);
    fclose(f);
}


static void
test_save(size_t size)
{
    FILE  *f;

    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(&data, size, 1, f), 1);
    fclose(f);
}


static int64_t *
test_counter(ngx_uint_t i)
{
    return &ledger.data->counters[ledger.index[i]].n;
}


static void
test_ended(pid_t pid)
{
    int  status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}


static void
test_new(void **state)
{
    int64_t      oldest;
    ngx_uint_t   i, k;
    struct stat  st;

    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_OK);
    assert_true(ledger.alone);

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, sizeof(data));
    assert_true(st.st_blocks * 512 >= (off_t) sizeof(data));

    assert_int_equal(ledger.data->accepted, 0);
    assert_int_equal(ledger.data->held, 0);
    assert_int_equal(ledger.data->paused, 0);
    assert_int_equal(ledger.data->surfaces[0].n, 0);
    assert_int_equal(ngx_http_refine_ledger_claimed(&ledger, &oldest), 0);
    assert_int_equal(oldest, 0);

    /* each has a place of its own */

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        assert_int_equal(*test_counter(i), 0);
        assert_true(ledger.index[i] < NGX_HTTP_REFINE_LEDGER_COUNTERS - 1);
        assert_string_equal(ledger.data->counters[ledger.index[i]].name,
                            (char *) ngx_http_refine_counters[i].field.data);

        for (k = 0; k < i; k++) {
            assert_int_not_equal(ledger.index[i], ledger.index[k]);
        }
    }

    ngx_http_refine_ledger_ready(&ledger);
    assert_false(ledger.alone);

    assert_int_equal(ngx_http_refine_ledger_open(&other, &name), NGX_OK);
    assert_false(other.alone);
    assert_ptr_not_equal(other.self - other.data->workers,
                         ledger.self - ledger.data->workers);

    other.data->sent = 7;
    assert_int_equal(ledger.data->sent, 7);

    /* closed twice is closed once */

    ngx_http_refine_ledger_close(&other);
    ngx_http_refine_ledger_close(&other);
    assert_int_equal(other.fd, -1);

    assert_int_equal(ledger.data->sent, 7);
}


static void
test_again(void **state)
{
    ngx_uint_t  i, n, last;

    test_open(&ledger);

    ledger.data->accepted = 5;
    ledger.data->paused = 1700000000000;
    ledger.self->claimed = 3;
    *test_counter(NGX_HTTP_REFINE_EVENT_CLICK) = 4;
    *test_counter(NGX_HTTP_REFINE_DUPLICATES) = 9;
    ngx_http_refine_surface_add(ledger.data->surfaces, 0,
                                (u_char *) "page\0text", 9, 2);

    /* as a worker that is killed leaves it */

    memcpy(&data, ledger.data, sizeof(data));
    ngx_http_refine_ledger_close(&ledger);
    test_save(sizeof(data));

    test_open(&ledger);

    assert_int_equal(ledger.data->accepted, 5);
    assert_int_equal(ledger.data->paused, 1700000000000);
    assert_int_equal(ledger.self->claimed, 0);
    assert_int_equal(*test_counter(NGX_HTTP_REFINE_EVENT_CLICK), 4);
    assert_int_equal(ledger.data->surfaces[0].rows[0].n, 2);

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_WORKERS; i++) {
        assert_true(&ledger.data->workers[i] == ledger.self
                    || ledger.data->workers[i].pid == 0);
    }

    /* another version had others before them, one more, and lacked one */

    test_load();
    ngx_http_refine_ledger_close(&ledger);

    for (n = 0; data.counters[n].name[0]; n++) { /* void */ }

    assert_true(n > 2);
    last = n - 1;

    for (i = 0; i < n / 2; i++) {
        data.counters[n] = data.counters[i];
        data.counters[i] = data.counters[last - i];
        data.counters[last - i] = data.counters[n];
    }

    memset(&data.counters[n], 0, sizeof(data.counters[n]));
    snprintf(data.counters[0].name, sizeof(data.counters[0].name),
             "rejected:unheard_of");
    data.counters[0].n = 77;
    test_save(sizeof(data));

    test_open(&ledger);

    assert_int_equal(*test_counter(NGX_HTTP_REFINE_EVENT_CLICK), 4);
    assert_int_equal(*test_counter(NGX_HTTP_REFINE_DUPLICATES), 9);
    assert_int_equal(*test_counter(NGX_HTTP_REFINE_COUNTER_MAX - 1), 0);
    assert_int_equal(ledger.data->counters[0].n, 77);
}


/* no room for a name more: nothing is written past the table */

static void
test_many_names(void **state)
{
    ngx_uint_t  i;

    test_open(&ledger);
    memcpy(&data, ledger.data, sizeof(data));
    ngx_http_refine_ledger_close(&ledger);

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_COUNTERS; i++) {
        memset(data.counters[i].name, 'a' + i % 26,
               NGX_HTTP_REFINE_LEDGER_NAME);
    }

    test_save(sizeof(data));
    test_open(&ledger);

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        assert_int_equal(ledger.index[i], NGX_HTTP_REFINE_LEDGER_COUNTERS - 1);
    }
}


/* whatever is no ledger of this version begins as zeros */

static void
test_damaged(void **state)
{
    int         fd;
    ngx_uint_t  i;

    test_open(&ledger);
    ledger.data->accepted = 5;
    ngx_http_refine_surface_add(ledger.data->surfaces, 0,
                                (u_char *) "page\0text", 9, 2);
    ngx_http_refine_ledger_close(&ledger);

    for (i = 0; i < 7; i++) {
        test_load();
        data.accepted = 5;

        switch (i) {
        case 0: data.magic[7]++; break;
        case 1: data.size--; break;
        case 2: data.surfaces[0].n = NGX_HTTP_REFINE_SURFACES + 2; break;
        case 3: data.surfaces[0].n = 1;
                data.surfaces[0].rows[0].surface_len = (size_t) -1; break;
        case 4: data.surfaces[0].n = 1;
                data.surfaces[0].rows[0].source_len = (size_t) -4; break;
        case 5: data.surfaces[0].n = 1;
                data.surfaces[0].rows[0].surface_len
                    = NGX_HTTP_REFINE_SURFACE_LABEL - 4;
                data.surfaces[0].rows[0].source_len = 4; break;
        default: memset(&data, 0xff, sizeof(data));
        }

        test_save(sizeof(data));
        test_open(&ledger);

        assert_int_equal(ledger.data->accepted, 0);
        assert_int_equal(ledger.data->surfaces[0].n, 0);
        assert_int_equal(*test_counter(0), 0);

        ngx_http_refine_ledger_close(&ledger);
    }

    /* the tables of what came of serves are looked at as well */

    test_load();
    data.accepted = 5;
    data.surfaces[4].n = NGX_HTTP_REFINE_SURFACES + 2;
    test_save(sizeof(data));
    test_open(&ledger);
    assert_int_equal(ledger.data->accepted, 0);
    assert_int_equal(ledger.data->surfaces[4].n, 0);
    ngx_http_refine_ledger_close(&ledger);

    /* an earlier version had no more than the first of them */

    test_load();
    data.accepted = 5;
    memset(&data.surfaces[1], 0xff, sizeof(data.surfaces[1]));
    test_save(offsetof(ngx_http_refine_ledger_data_t, surfaces[1]));
    test_open(&ledger);
    assert_int_equal(ledger.data->accepted, 5);
    assert_int_equal(ledger.data->surfaces[1].n, 0);
    ngx_http_refine_ledger_close(&ledger);

    /* one that ends early is made longer, and what it had is kept */

    test_load();
    data.accepted = 6;
    test_save(offsetof(ngx_http_refine_ledger_data_t, workers));
    test_open(&ledger);
    assert_int_equal(ledger.data->accepted, 6);
    ngx_http_refine_ledger_close(&ledger);

    fd = open(path, O_WRONLY|O_TRUNC);
    assert_int_not_equal(fd, -1);
    close(fd);
    test_open(&ledger);
    assert_int_equal(ledger.data->accepted, 0);
}


static void
test_errors(void **state)
{
    ngx_str_t      none;
    struct rlimit  limit, small;

    /* a link could lead anywhere */

    assert_int_equal(symlink("/tmp/refine_nowhere", path), 0);
    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_ERROR);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(ledger.fd, -1);
    ngx_http_refine_ledger_close(&ledger);
    unlink(path);

    ngx_str_set(&none, "/tmp/refine_nowhere");
    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &none), NGX_ERROR);
    assert_int_equal(errno, ENOENT);

    /* a full disk: an error now, not a SIGBUS later */

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_ERROR);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(ledger.fd, -1);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    /* and no lock is left behind */

    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_OK);
    assert_true(ledger.alone);
}


/* those of workers that live; a row of one that is gone is taken */

static void
test_claimed(void **state)
{
    int64_t     oldest;
    pid_t       gone;
    ngx_uint_t  i;

    gone = fork();

    if (gone == 0) {
        _exit(0);
    }

    test_ended(gone);
    test_open(&ledger);

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_WORKERS; i++) {
        ledger.data->workers[i].pid = (i % 2) ? getpid() : gone;
        ledger.data->workers[i].claimed = 1 + i % 2;
        ledger.data->workers[i].oldest = (i == 0 || i == 3) ? 0 : 1000 - i;
    }

    assert_int_equal(ngx_http_refine_ledger_claimed(&ledger, &oldest),
                     NGX_HTTP_REFINE_LEDGER_WORKERS);
    assert_int_equal(oldest, 1000 - (NGX_HTTP_REFINE_LEDGER_WORKERS - 1));

    test_open(&other);

    assert_int_equal(other.self - other.data->workers, 0);
    assert_int_equal(other.self->pid, getpid());
    assert_int_equal(other.self->claimed, 0);
    assert_int_equal(other.self->oldest, 0);

    other.self->claimed = 10;
    assert_int_equal(ngx_http_refine_ledger_claimed(&ledger, &oldest),
                     NGX_HTTP_REFINE_LEDGER_WORKERS + 10);

    ngx_http_refine_ledger_close(&other);
    assert_int_equal(ngx_http_refine_ledger_claimed(&ledger, &oldest),
                     NGX_HTTP_REFINE_LEDGER_WORKERS);

    /* none is free: a worker more counts nowhere, and writes nowhere */

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_WORKERS; i++) {
        ledger.data->workers[i].pid = getpid();
        ledger.data->workers[i].claimed = 1;
    }

    test_open(&other);
    assert_ptr_equal(other.self, &other.none);
    other.self->claimed = 5;
    ngx_http_refine_ledger_close(&other);

    assert_int_equal(ngx_http_refine_ledger_claimed(&ledger, &oldest),
                     NGX_HTTP_REFINE_LEDGER_WORKERS);
}


/* another one was alone while the lock was changed: it has taken the row */

static void
test_alone_twice(void **state)
{
    ngx_http_refine_ledger_worker_t  *row;

    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_OK);
    assert_true(ledger.alone);

    row = ledger.self;
    assert_int_equal(row->pid, ngx_pid);
    row->pid = getppid();

    ngx_http_refine_ledger_ready(&ledger);

    assert_ptr_not_equal(ledger.self, row);
    assert_int_equal(ledger.self->pid, ngx_pid);
    assert_int_equal(row->pid, getppid());
}


/* who is alone counts the segments first */

static void
test_alone(void **state)
{
    int    pipe_fd[2];
    char   byte;
    pid_t  pid;

    assert_int_equal(ngx_http_refine_ledger_open(&ledger, &name), NGX_OK);
    assert_int_equal(pipe(pipe_fd), 0);

    pid = fork();

    if (pid == 0) {
        (void) close(ledger.fd);
        byte = 1;

        if (write(pipe_fd[1], &byte, 1) != 1
            || ngx_http_refine_ledger_open(&other, &name) != NGX_OK)
        {
            _exit(1);
        }

        _exit(other.data->held == 42 && !other.alone ? 0 : 2);
    }

    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);

    /* were it not waited for, it would read too early by now */

    usleep(50000);
    ledger.data->held = 42;
    ngx_http_refine_ledger_ready(&ledger);

    test_ended(pid);

    close(pipe_fd[0]);
    close(pipe_fd[1]);
}


static void
test_lock(void **state)
{
    pid_t              pid;
    ngx_int_t          i;
    volatile int64_t  *a, *b;

    test_open(&ledger);

    pid = fork();

    if (pid == 0) {
        test_open(&other);
        ledger = other;
    }

    a = &ledger.data->accepted;
    b = &ledger.data->held;

    for (i = 0; i < TEST_TURNS; i++) {
        ngx_http_refine_ledger_lock(&ledger);

        if (*a != *b) {
            break;
        }

        (*a)++;
        (*b)++;

        ngx_http_refine_ledger_unlock(&ledger);
    }

    if (pid == 0) {
        _exit(i == TEST_TURNS ? 0 : 1);
    }

    assert_int_equal(i, TEST_TURNS);
    test_ended(pid);
    assert_int_equal(*a, 2 * TEST_TURNS);
    assert_int_equal(*b, 2 * TEST_TURNS);
}


/* a worker is killed with both locks; one lock does not wait for the other */

static void
test_killed(void **state)
{
    int    pipe_fd[2], status;
    char   byte;
    pid_t  pid;

    test_open(&ledger);
    assert_int_equal(pipe(pipe_fd), 0);

    pid = fork();

    if (pid == 0) {
        test_open(&other);
        ngx_http_refine_ledger_lock_letters(&other);
        (void) write(pipe_fd[1], "1", 1);

        /* until the other one has had it */

        while (*(volatile int64_t *) &other.data->sent == 0) {
            usleep(1000);
        }

        ngx_http_refine_ledger_lock(&other);
        (void) write(pipe_fd[1], "2", 1);
        pause();
        _exit(1);
    }

    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    assert_int_equal(byte, '1');

    ngx_http_refine_ledger_lock(&ledger);
    ledger.data->sent = 1;
    ngx_http_refine_ledger_unlock(&ledger);

    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    assert_int_equal(byte, '2');

    assert_int_equal(kill(pid, SIGKILL), 0);

    ngx_http_refine_ledger_lock(&ledger);
    ngx_http_refine_ledger_lock_letters(&ledger);
    ngx_http_refine_ledger_unlock_letters(&ledger);
    ngx_http_refine_ledger_unlock(&ledger);

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));

    close(pipe_fd[0]);
    close(pipe_fd[1]);
}


static void *
test_crossed_letters(void *arg)
{
    ngx_http_refine_ledger_lock_letters(&other);
    ngx_http_refine_ledger_unlock_letters(&other);

    return NULL;
}


/*
 * A thread waits for the letters, and their holder for the figures: no
 * deadlock, for who has the figures waits for nothing.
 */

static void
test_crossed(void **state)
{
    int        pipe_fd[2];
    char       byte;
    pid_t      pid;
    int64_t    sent;
    pthread_t  thread;

    test_open(&ledger);
    ngx_http_refine_ledger_lock_letters(&ledger);

    assert_int_equal(pipe(pipe_fd), 0);

    pid = fork();

    if (pid == 0) {
        test_open(&other);
        ngx_http_refine_ledger_lock(&other);

        if (pthread_create(&thread, NULL, test_crossed_letters, NULL) != 0) {
            _exit(1);
        }

        usleep(100000);
        (void) write(pipe_fd[1], "1", 1);
        usleep(100000);

        other.data->sent = 1;
        ngx_http_refine_ledger_unlock(&other);

        _exit(pthread_join(thread, NULL) == 0 ? 0 : 1);
    }

    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);

    ngx_http_refine_ledger_lock(&ledger);
    sent = ledger.data->sent;
    ngx_http_refine_ledger_unlock(&ledger);
    ngx_http_refine_ledger_unlock_letters(&ledger);

    test_ended(pid);
    assert_int_equal(sent, 1);

    close(pipe_fd[0]);
    close(pipe_fd[1]);
}


#define test(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        test(test_new),
        test(test_again),
        test(test_many_names),
        test(test_damaged),
        test(test_errors),
        test(test_claimed),
        test(test_alone),
        test(test_alone_twice),
        test(test_lock),
        test(test_killed),
        test(test_crossed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
