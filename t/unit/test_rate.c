
/*
 * Tests for ngx_http_refine_rate: windows, shares and the pace, and a server
 * with a limit that others use as well, simulated over many windows.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_rate.h"


#define START  5000000
#define DATE   1700000000


static ngx_http_refine_rate_t        rate;
static ngx_http_refine_rate_share_t  half = { 50, 1 };
static ngx_http_refine_rate_share_t  all = { 100, 1 };


static int
test_setup(void **state)
{
    ngx_memzero(&rate, sizeof(ngx_http_refine_rate_t));
    ngx_http_refine_rate_init(&rate);

    return 0;
}


/* an answer, ms after START by both clocks, with the reset as it is sent */

static void
test_answer(uint64_t seq, ngx_msec_t ms, int64_t limit, int64_t remaining,
    int64_t reset, ngx_uint_t passed)
{
    ngx_http_refine_rate_answer_t  answer;

    answer.limit = limit;
    answer.remaining = remaining;
    answer.reset = reset;
    answer.date = DATE + ms / 1000;
    answer.now = START + ms;
    answer.seq = seq;
    answer.passed = passed;

    ngx_http_refine_rate_answer(&rate, &answer);
}


static void
test_none(void **state)
{
    ngx_uint_t  i;

    for (i = 1; i < 1000; i++) {
        assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);
        assert_int_equal(ngx_http_refine_rate_take(&rate, &half, START), i);
        test_answer(i, 0, -1, -1, -1, 1);
    }

    assert_int_equal(rate.limit, -1);

    /* what makes no sense is shown, and kept to by nobody */

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                0, 5, DATE + 5, 1);
    assert_int_equal(rate.limit, 0);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                10, 0, (int64_t) DATE * 1000, 1);
    assert_int_equal(rate.remaining, 0);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                999999999999999, 0, DATE + 50, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                10, 0, -1, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);
}


static void
test_pace(void **state)
{
    ngx_uint_t  i;
    ngx_msec_t  now;

    /* 100 a minute, half of it for delivery: one in 1.2 s */

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                100, 99, DATE + 60, 1);
    assert_int_equal(rate.limit, 100);
    assert_int_equal(rate.remaining, 99);
    assert_int_equal(rate.reset, DATE + 60);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START), 0);

    now = START;

    for (i = 1; i < 50; i++) {
        assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, now), 0);
        (void) ngx_http_refine_rate_take(&rate, &half, now);
        test_answer(rate.seq, now - START, 100, 99 - i, DATE + 60, 1);
        now += ngx_http_refine_rate_wait(&rate, &half, now);
    }

    /* the share is used up at the end of the window, and not before */

    assert_int_equal(now, START + 60000);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, now - 1), 1);

    /* the next one begins without an answer */

    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, now), 0);
    (void) ngx_http_refine_rate_take(&rate, &half, now);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, now), 1200);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, now), 1200);
}


static void
test_share(void **state)
{
    ngx_uint_t  i;

    static struct {
        ngx_http_refine_rate_share_t  share;
        int64_t                       limit;
        ngx_uint_t                    posts;
    } cases[] = {
        { { 50, 1 }, 100, 50 },
        { { 100, 1 }, 100, 100 },
        { { 1, 1 }, 100, 1 },
        { { 1, 1 }, 10, 1 },        /* one at least */
        { { 50, 4 }, 100, 12 },
        { { 50, 1 }, 1, 1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) test_setup(NULL);

        test_answer(ngx_http_refine_rate_take(&rate, &cases[i].share, START),
                    0, cases[i].limit, cases[i].limit - 1, DATE + 60, 1);

        /* none is answered any more */

        while (ngx_http_refine_rate_wait(&rate, &cases[i].share,
                                         START + 59999) == 0)
        {
            (void) ngx_http_refine_rate_take(&rate, &cases[i].share,
                                             START + 59999);
        }

        assert_int_equal(rate.sent, cases[i].posts);
    }
}


static void
test_others(void **state)
{
    /* others have used 60 in 30 s and will use as many: 40 are left */

    (void) ngx_http_refine_rate_take(&rate, &half, START);
    test_answer(rate.seq, 30000, 100, 39, DATE + 60, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START + 30000),
                     30000);

    /* none remain */

    (void) ngx_http_refine_rate_take(&rate, &half, START + 30000);
    test_answer(rate.seq, 31000, 100, 0, DATE + 60, 0);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 31000),
                     29000);

    /* what they used in one window is left to them in the next */

    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 60000), 0);
    (void) ngx_http_refine_rate_take(&rate, &all, START + 60000);
    assert_int_equal(rate.sent, 1);
    test_answer(rate.seq, 60000, 100, 99, DATE + 120, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 60000),
                     60000);
    test_answer(rate.seq, 60000, 100, 99, DATE + 120, 1);
    assert_int_equal(rate.window, DATE + 120);

    /* and when they use nothing then, no longer */

    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 120000),
                     0);
    (void) ngx_http_refine_rate_take(&rate, &all, START + 120000);
    test_answer(rate.seq, 120000, 100, 99, DATE + 180, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 120000),
                     600);
}


static void
test_order(void **state)
{
    uint64_t    first, second, third;

    first = ngx_http_refine_rate_take(&rate, &half, START);
    second = ngx_http_refine_rate_take(&rate, &half, START);
    third = ngx_http_refine_rate_take(&rate, &half, START);

    test_answer(second, 100, 100, 98, DATE + 60, 1);
    assert_int_equal(rate.left, 97);        /* the third is under way */

    test_answer(first, 200, 100, 99, DATE + 60, 1);
    assert_int_equal(rate.left, 97);

    /* of the window before, answered late */

    test_answer(third, 60100, 100, 99, DATE + 120, 1);
    first = ngx_http_refine_rate_take(&rate, &half, START + 60100);
    test_answer(first, 60200, 100, 5, DATE + 60, 1);
    assert_int_equal(rate.window, DATE + 120);

    /* one that did not go counts for nothing */

    second = ngx_http_refine_rate_take(&rate, &half, START + 60300);
    assert_int_equal(rate.sent, 3);
    ngx_http_refine_rate_give(&rate, second, START + 60300);
    assert_int_equal(rate.sent, 2);
    assert_int_equal(rate.seq, first);
    assert_int_equal(ngx_http_refine_rate_take(&rate, &half, START + 60400),
                     second);
    (void) ngx_http_refine_rate_take(&rate, &half, START + 60400);
    ngx_http_refine_rate_give(&rate, second, START + 60300);
    assert_int_equal(rate.sent, 4);

    /* an error page without headers changes nothing, a 2xx ends the limit */

    test_answer(rate.seq, 60500, -1, -1, -1, 0);
    assert_int_equal(rate.paced, 1);
    (void) ngx_http_refine_rate_take(&rate, &half, START + 60600);
    test_answer(rate.seq, 60700, -1, -1, -1, 1);
    assert_int_equal(rate.paced, 0);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START + 60700),
                     0);
}


static void
test_reset(void **state)
{
    /* the earliest of all that was said about one reset is the best */

    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 0, 10, 0, DATE + 5, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START), 5000);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 999, 10, 0, DATE + 5, 1);
    assert_int_equal(rate.end, START + 5000);
    (void) ngx_http_refine_rate_take(&rate, &all, START + 1000);
    test_answer(rate.seq, 1000, 10, 0, DATE + 5, 1);
    assert_int_equal(rate.end, START + 5000);

    /* in seconds: rounded, so that the time seems to move */

    (void) test_setup(NULL);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 0, 10, 9, 8, 1);
    assert_int_equal(rate.reset, DATE + 8);
    assert_int_equal(rate.end, START + 8000);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 1000, 10, 8, 8, 1);
    assert_int_equal(rate.sent, 2);
    assert_int_equal(rate.end, START + 8000);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 8500, 10, 9, 10, 1);
    assert_int_equal(rate.sent, 1);
    assert_int_equal(rate.end, START + 18500);

    /* over within the second that says so */

    (void) test_setup(NULL);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 0, 10, 0, DATE, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START), 0);

    /* a day: asked again in an hour */

    (void) test_setup(NULL);
    (void) ngx_http_refine_rate_take(&rate, &all, START);
    test_answer(rate.seq, 0, 10, 0, DATE + 86400, 1);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START), 3600000);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 3600000),
                     0);
    (void) ngx_http_refine_rate_take(&rate, &all, START + 3600000);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &all, START + 3600000),
                     3600000);

    assert_int_equal(ngx_http_refine_rate_left(DATE + 86401, DATE), -1);
    assert_int_equal(ngx_http_refine_rate_left(DATE - 5, DATE), 0);
    assert_int_equal(ngx_http_refine_rate_left(-1, DATE), -1);
    assert_int_equal(ngx_http_refine_rate_left(0, DATE), 0);
    assert_int_equal(ngx_http_refine_rate_left(86400, DATE), 86400);
}


static void
test_length(void **state)
{
    ngx_msec_t  wait;

    /* windows of 4 s: taken for a minute until there is another reset */

    (void) ngx_http_refine_rate_take(&rate, &half, START);
    test_answer(rate.seq, 0, 12, 11, DATE + 4, 1);

    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START + 4000), 0);
    (void) ngx_http_refine_rate_take(&rate, &half, START + 4000);
    test_answer(rate.seq, 4000, 12, 11, DATE + 8, 1);
    assert_int_equal(rate.length, 4000);
    assert_int_equal(rate.sent, 1);

    wait = ngx_http_refine_rate_wait(&rate, &half, START + 4000);
    assert_int_equal(wait, 0);
    (void) ngx_http_refine_rate_take(&rate, &half, START + 4000);
    assert_int_equal(ngx_http_refine_rate_wait(&rate, &half, START + 4000),
                     800);

    /* a limit of longer windows instead, and back */

    test_answer(rate.seq, 5000, 1000, 999, DATE + 3605, 1);
    assert_int_equal(rate.length, 3600000);
    (void) ngx_http_refine_rate_take(&rate, &half, START + 6000);
    test_answer(rate.seq, 6000, 12, 11, DATE + 8, 1);
    assert_int_equal(rate.end, START + 8000);
    assert_int_equal(rate.window, DATE + 8);
}


static void
test_fast(void **state)
{
    ngx_uint_t  n;
    ngx_msec_t  now;

    /* a limit that pacing must not slow down: late timers are made up for */

    test_answer(ngx_http_refine_rate_take(&rate, &half, START), 0,
                1000000, 999999, DATE + 3600, 1);

    n = 0;

    for (now = START; now < START + 10000; now += 50) {
        while (ngx_http_refine_rate_wait(&rate, &half, now) == 0) {
            (void) ngx_http_refine_rate_take(&rate, &half, now);
            n++;
        }
    }

    assert_in_range(n, 1300, 1600);         /* 138.9 a second */
}


/*
 * The server of the simulation: windows of WINDOW ms that began PHASE ms before
 * START, an answer 0 to 300 ms after the POST, and others who use from 0 to
 * 90 % of the limit, evenly or at random.
 */

#define WINDOW   60000
#define PHASE    17345
#define LIMIT    100
#define POSTS    16

static uint32_t  seed;


static uint32_t
test_random(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


/* returns how many POSTs were refused after the first window */

static ngx_uint_t
test_simulate(ngx_uint_t others, ngx_uint_t random,
    ngx_http_refine_rate_share_t *share)
{
    ngx_uint_t  i, n, own, window, last, refused, used, total;
    ngx_msec_t  ms, wait;

    struct {
        ngx_uint_t  busy;
        uint64_t    seq;
        ngx_msec_t  done;
        ngx_msec_t  date;
        int64_t     remaining;
        ngx_uint_t  window;
    } posts[POSTS];

    ngx_memzero(posts, sizeof(posts));
    (void) test_setup(NULL);

    own = 0;
    last = 0;
    refused = 0;
    total = 0;
    used = 0;

    for (ms = 0; ms < WINDOW * 10; ms += 5) {

        window = (ms + PHASE) / WINDOW;

        if (window != last) {
            if (window > 2) {
                total += own;
                assert_true(own <= LIMIT * share->percent / 100
                                   / share->catalogs);
            }

            own = 0;
            used = 0;
            last = window;
        }

        if (!random) {
            used = others * ((ms + PHASE) % WINDOW) / WINDOW;

        } else if (test_random(WINDOW / 5) < others && used + own < LIMIT) {
            used++;
        }

        for (i = 0, n = 0; i < POSTS; i++) {

            if (posts[i].busy && ms >= posts[i].done) {
                posts[i].busy = 0;

                test_answer(posts[i].seq, ms, LIMIT,
                            ngx_max(posts[i].remaining, 0),
                            DATE + ((posts[i].window + 1) * WINDOW - PHASE)
                                   / 1000 + 1,
                            posts[i].remaining >= 0);
            }

            n += posts[i].busy;
        }

        /* until the first answer there is one probe */

        wait = ngx_http_refine_rate_wait(&rate, share, START + ms);

        if (wait || n == POSTS || (rate.limit < 0 && n)) {
            continue;
        }

        for (i = 0; posts[i].busy; i++) { /* void */ }

        posts[i].busy = 1;
        posts[i].seq = ngx_http_refine_rate_take(&rate, share, START + ms);
        posts[i].done = ms + test_random(300);
        posts[i].window = window;
        posts[i].remaining = LIMIT - (int64_t) (used + ++own);

        if (posts[i].remaining < 0) {
            own--;
            refused += (window > 0);
        }
    }

    /* of what could be used in the seven windows, most is */

    n = ngx_min(LIMIT - others,
                LIMIT * share->percent / 100 / share->catalogs);

    n -= (others != 0) * 2;
    n = random ? n * 5 / 10 : n * 8 / 10;

    if (total < n * 7) {
        fail_msg("others %d, share %d: %d of %d", (int) others,
                 (int) share->percent, (int) total, (int) n * 7);
    }

    return refused;
}


static void
test_simulated(void **state)
{
    ngx_uint_t                    others;
    ngx_http_refine_rate_share_t  share;

    seed = 1;
    share.catalogs = 1;

    for (others = 0; others <= 90; others += 10) {
        for (share.percent = 10; share.percent <= 100; share.percent += 30) {
            assert_int_equal(test_simulate(others, 0, &share), 0);
            assert_in_range(test_simulate(others, 1, &share), 0,
                            others < 50 ? 1 : 3);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_none, test_setup),
        cmocka_unit_test_setup(test_pace, test_setup),
        cmocka_unit_test_setup(test_share, test_setup),
        cmocka_unit_test_setup(test_others, test_setup),
        cmocka_unit_test_setup(test_order, test_setup),
        cmocka_unit_test_setup(test_reset, test_setup),
        cmocka_unit_test_setup(test_length, test_setup),
        cmocka_unit_test_setup(test_fast, test_setup),
        cmocka_unit_test_setup(test_simulated, test_setup)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
