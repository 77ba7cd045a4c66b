
/*
 * Tests for ngx_http_refine_circuit: who may send, and when, over the states
 * of delivery; the clock is a number here.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_circuit.h"


#define OPEN     NGX_HTTP_REFINE_GATE_OPEN
#define PROBE    NGX_HTTP_REFINE_GATE_PROBE
#define WAIT     NGX_HTTP_REFINE_GATE_WAIT
#define CLOSED   NGX_HTTP_REFINE_GATE_CLOSED
#define PAUSED   NGX_HTTP_REFINE_GATE_PAUSED

#define CONF     77
#define A        1001
#define B        1002
#define START    5000000

#define gate(who, now)  ngx_http_refine_circuit_gate(&c, CONF, who, 1, now)


static ngx_http_refine_circuit_t  c;


static ngx_http_refine_circuit_post_t *
test_post(uint64_t who, ngx_msec_t now, ngx_msec_t wait, ngx_uint_t probe)
{
    static ngx_http_refine_circuit_post_t  post;

    post.conf = CONF;
    post.who = who;
    post.now = now;
    post.wait = wait;
    post.random = 1000000006;
    post.probe = probe;
    post.resumes = c.resumes;
    post.size = 0;

    return &post;
}


static int
test_setup(void **state)
{
    ngx_http_refine_circuit_init(&c, START);
    ngx_http_refine_circuit_use(&c, CONF, 1, START);

    return 0;
}


static void
test_up(void)
{
    assert_int_equal(gate(A, START), PROBE);
    assert_true(ngx_http_refine_circuit_passed(&c, test_post(A, START, 0, 1)));
    assert_int_equal(gate(A, START), OPEN);
}


static void
test_first(void **state)
{
    /* one at a time until the first 2xx */

    assert_false(ngx_http_refine_circuit_known(&c, CONF));
    assert_int_equal(ngx_http_refine_circuit_gate(&c, CONF, A, 0, START),
                     CLOSED);
    assert_int_equal(gate(A, START), PROBE);
    assert_int_equal(gate(B, START), CLOSED);

    assert_true(ngx_http_refine_circuit_passed(&c, test_post(A, START, 0, 1)));
    assert_int_equal(gate(B, START), OPEN);
    assert_true(ngx_http_refine_circuit_known(&c, CONF));
    assert_int_equal(c.passes, 1);

    /* a worker that has nothing leaves it to others */

    (void) test_setup(NULL);
    assert_int_equal(gate(A, START), PROBE);
    ngx_http_refine_circuit_release(&c, B);
    assert_int_equal(gate(B, START), CLOSED);
    ngx_http_refine_circuit_release(&c, A);
    assert_int_equal(gate(B, START), PROBE);
}


static void
test_outage(void **state)
{
    ngx_uint_t  i;
    ngx_msec_t  now;

    test_up();

    now = START + 10;

    assert_true(ngx_http_refine_circuit_outage(&c, test_post(A, now, 0, 0)));
    assert_int_equal(c.state, NGX_HTTP_REFINE_CIRCUIT_BACKOFF);
    assert_true(c.retry_at - now <= 1000);

    /* those under way at that time neither prolong nor end it */

    assert_false(ngx_http_refine_circuit_outage(&c, test_post(B, now, 0, 0)));
    assert_int_equal(c.attempts, 1);
    assert_false(ngx_http_refine_circuit_passed(&c, test_post(B, now, 0, 0)));
    assert_int_equal(c.passes, 2);
    assert_int_equal(gate(B, now), CLOSED);

    /* but one of them may ask for more time */

    assert_false(ngx_http_refine_circuit_outage(&c,
                                                test_post(B, now, 20000, 0)));
    assert_true(c.retry_at - now >= 20000 && c.retry_at - now <= 22000);
    assert_int_equal(gate(A, now), WAIT);

    for (i = 2; i < 20; i++) {

        /* the prober has to be heard of, or it loses its right */

        for ( /* void */ ; (ngx_msec_int_t) (now - c.retry_at) < 0;
             now += 250)
        {
            assert_int_equal(gate(A, now), WAIT);
            assert_int_equal(gate(B, now), CLOSED);
        }

        assert_int_equal(gate(A, now), PROBE);
        assert_false(ngx_http_refine_circuit_outage(&c,
                                                    test_post(A, now, 0, 1)));
        assert_int_equal(c.attempts, i);
        assert_true(c.retry_at - now <= 60000);
    }

    now = c.retry_at;
    assert_true(ngx_http_refine_circuit_passed(&c, test_post(A, now, 0, 1)));
    assert_int_equal(gate(B, now), OPEN);
    assert_int_equal(c.attempts, 0);
}


static void
test_dead_prober(void **state)
{
    test_up();

    (void) ngx_http_refine_circuit_outage(&c, test_post(A, START, 0, 0));

    assert_false(ngx_http_refine_circuit_tick(&c, 3600000, START + 1));
    assert_false(ngx_http_refine_circuit_tick(&c, 3600000, START + 4000));
    assert_int_equal(gate(B, START + 4999), CLOSED);

    /* the interval is far off, yet somebody has to probe */

    assert_true(ngx_http_refine_circuit_tick(&c, 3600000, START + 5000));
    assert_int_equal(gate(B, START + 5000), PROBE);
    assert_int_equal(gate(A, START + 5000), CLOSED);
    assert_false(ngx_http_refine_circuit_tick(&c, 3600000, START + 5000));
}


static void
test_delay(void **state)
{
    ngx_uint_t  i, attempts, low, high;
    ngx_msec_t  most, delay;

    for (attempts = 0; attempts < 100; attempts++) {
        most = (attempts <= 1) ? 1000
               : (attempts > 6) ? 60000 : 1000 << (attempts - 1);
        low = 0;
        high = 0;

        for (i = 0; i < 10000; i++) {
            delay = ngx_http_refine_circuit_delay(attempts, i * 7919);
            assert_true(delay <= most);
            low += (delay < most / 4);
            high += (delay > most - most / 4);
        }

        /* full jitter: all of the range is used alike */

        assert_in_range(low, 2000, 3000);
        assert_in_range(high, 2000, 3000);
    }
}


static void
test_wait_asked(void **state)
{
    test_up();

    (void) ngx_http_refine_circuit_outage(&c, test_post(A, START, 30000, 0));

    assert_true(c.retry_at >= START + 30000);
    assert_true(c.retry_at <= START + 33000);

    ngx_http_refine_circuit_resume(&c, START + 1);
    assert_int_equal(gate(A, START + 1), PROBE);
}


static void
test_hold(void **state)
{
    assert_int_equal(gate(A, START), PROBE);
    assert_true(ngx_http_refine_circuit_hold(&c, test_post(A, START, 0, 1)));
    assert_int_equal(c.state, NGX_HTTP_REFINE_CIRCUIT_HELD);
    assert_int_equal(gate(A, START + 4999), WAIT);
    assert_int_equal(c.retry_at, START + 60000);

    /* neither another refusal nor an outage is a change */

    assert_false(ngx_http_refine_circuit_hold(&c,
                                           test_post(A, START + 60000, 0, 1)));
    assert_int_equal(c.retry_at, START + 120000);
    assert_false(ngx_http_refine_circuit_outage(&c,
                                          test_post(A, START + 120000, 0, 1)));
    assert_int_equal(c.state, NGX_HTTP_REFINE_CIRCUIT_HELD);
    assert_int_equal(c.retry_at, START + 180000);

    assert_true(ngx_http_refine_circuit_passed(&c,
                                          test_post(A, START + 180000, 0, 1)));
    assert_int_equal(gate(B, START + 180000), OPEN);
}


static void
test_resume(void **state)
{
    ngx_http_refine_circuit_post_t  sent, old;

    /* a probe that was under way at a resume is followed by another at once */

    test_up();
    old = *test_post(B, START, 30000, 0);
    (void) ngx_http_refine_circuit_outage(&c, test_post(A, START, 30000, 0));

    sent = *test_post(A, START + 50000, 30000, 1);
    ngx_http_refine_circuit_resume(&c, START + 50000);
    assert_false(ngx_http_refine_circuit_outage(&c, &sent));
    assert_int_equal(c.retry_at, START + 50000);

    /* nor does an older answer take it back */

    assert_false(ngx_http_refine_circuit_outage(&c, &old));
    assert_int_equal(gate(A, START + 50000), PROBE);

    /* the other way round: the failure of that one counts */

    sent = *test_post(A, START + 50001, 30000, 1);
    (void) ngx_http_refine_circuit_outage(&c, &sent);
    assert_true(c.retry_at >= START + 80001);

    sent = *test_post(A, START + 90000, 0, 1);
    ngx_http_refine_circuit_resume(&c, START + 90000);
    assert_true(ngx_http_refine_circuit_hold(&c, &sent));
    assert_int_equal(c.retry_at, START + 90000);

    sent = *test_post(A, START + 90001, 0, 1);
    ngx_http_refine_circuit_resume(&c, START + 90001);
    assert_false(ngx_http_refine_circuit_outage(&c, &sent));
    assert_int_equal(c.retry_at, START + 90001);

    (void) ngx_http_refine_circuit_hold(&c, test_post(A, START + 90002, 0, 1));
    assert_int_equal(c.retry_at, START + 150002);
}


static void
test_generation(void **state)
{
    /* of two reloads the workers of the first one may come last */

    ngx_http_refine_circuit_use(&c, CONF + 2, 3, START);
    ngx_http_refine_circuit_use(&c, CONF + 1, 2, START);
    assert_int_equal(c.conf, CONF + 2);
    ngx_http_refine_circuit_use(&c, CONF + 1, 4, START);
    assert_int_equal(c.conf, CONF + 1);
    ngx_http_refine_circuit_use(&c, CONF + 1, 5, START);
    ngx_http_refine_circuit_use(&c, CONF, 4, START);
    assert_int_equal(c.conf, CONF + 1);
}


static void
test_pause(void **state)
{
    test_up();

    c.paused = 1;
    assert_int_equal(gate(A, START), PAUSED);
    ngx_http_refine_circuit_resume(&c, START);
    assert_int_equal(gate(A, START), OPEN);
}


static void
test_conf(void **state)
{
    ngx_uint_t                       i;
    ngx_http_refine_circuit_post_t  *post;

    test_up();
    assert_true(ngx_http_refine_circuit_hold(&c, test_post(A, START, 0, 0)));

    /* the key was corrected: a hold of the old one means nothing */

    ngx_http_refine_circuit_use(&c, CONF + 1, 1, START);
    assert_int_equal(c.state, NGX_HTTP_REFINE_CIRCUIT_UNKNOWN);
    assert_false(ngx_http_refine_circuit_known(&c, CONF + 1));
    assert_int_equal(gate(A, START), CLOSED);
    assert_int_equal(ngx_http_refine_circuit_gate(&c, CONF + 1, B, 1, START),
                     PROBE);

    /* an old worker's answers change nothing, but its 2xx is remembered */

    assert_false(ngx_http_refine_circuit_hold(&c, test_post(A, START, 0, 1)));
    assert_false(ngx_http_refine_circuit_outage(&c,
                                                test_post(A, START, 0, 1)));
    assert_false(ngx_http_refine_circuit_passed(&c,
                                                test_post(A, START, 0, 1)));
    assert_int_equal(c.state, NGX_HTTP_REFINE_CIRCUIT_UNKNOWN);

    /* the same configuration again keeps what is known */

    ngx_http_refine_circuit_use(&c, CONF, 1, START);
    assert_true(ngx_http_refine_circuit_known(&c, CONF));
    test_up();
    ngx_http_refine_circuit_use(&c, CONF, 1, START);
    assert_int_equal(gate(A, START), OPEN);

    for (i = 0; i < NGX_HTTP_REFINE_CIRCUIT_CONFS; i++) {
        assert_true(ngx_http_refine_circuit_known(&c, CONF));
        post = test_post(A, START, 0, 0);
        post->conf = 1000 + i;
        (void) ngx_http_refine_circuit_passed(&c, post);
    }

    assert_false(ngx_http_refine_circuit_known(&c, CONF));
}


static void
test_tick(void **state)
{
    /* one flush an interval over all who ask */

    assert_false(ngx_http_refine_circuit_tick(&c, 5000, START - 5000));
    assert_false(ngx_http_refine_circuit_tick(&c, 5000, START - 1));
    assert_true(ngx_http_refine_circuit_tick(&c, 5000, START));
    assert_false(ngx_http_refine_circuit_tick(&c, 5000, START));
    assert_false(ngx_http_refine_circuit_tick(&c, 5000, START + 4999));
    assert_true(ngx_http_refine_circuit_tick(&c, 5000, START + 5000));
    assert_false(ngx_http_refine_circuit_tick(&c, 5000, START + 5001));

    /* a reload made it shorter */

    assert_true(ngx_http_refine_circuit_tick(&c, 100, START + 5001));

    /* the clock of milliseconds wraps on 32 bits */

    ngx_http_refine_circuit_init(&c, (ngx_msec_t) -10);
    assert_false(ngx_http_refine_circuit_tick(&c, 100, (ngx_msec_t) -110));
    assert_true(ngx_http_refine_circuit_tick(&c, 100, (ngx_msec_t) -10));
    assert_false(ngx_http_refine_circuit_tick(&c, 100, 5));
    assert_true(ngx_http_refine_circuit_tick(&c, 100, 90));
}


static void
test_bytes(void **state)
{
    ngx_http_refine_circuit_post_t  *post;

    test_up();

    assert_int_equal(c.bytes, 524288);

    /* four POSTs of one size, refused at once, halve it once */

    ngx_http_refine_circuit_too_large(&c, 524288, START);
    ngx_http_refine_circuit_too_large(&c, 524288, START);
    assert_int_equal(c.bytes, 262144);

    ngx_http_refine_circuit_too_large(&c, 100000, START);
    assert_int_equal(c.bytes, 50000);

    ngx_http_refine_circuit_too_large(&c, 100, START);
    assert_int_equal(c.bytes, 4096);

    (void) ngx_http_refine_circuit_passed(&c, test_post(A, START + 600000, 0,
                                                        0));
    assert_int_equal(c.bytes, 4096);
    (void) ngx_http_refine_circuit_passed(&c, test_post(A, START + 600001, 0,
                                                        0));
    assert_int_equal(c.bytes, 8192);
    (void) ngx_http_refine_circuit_passed(&c, test_post(A, START + 600002, 0,
                                                        0));
    assert_int_equal(c.bytes, 8192);

    /* what passes shows that the limit is not below it */

    post = test_post(A, START + 600003, 0, 0);
    post->size = 40000;
    (void) ngx_http_refine_circuit_passed(&c, post);
    assert_int_equal(c.bytes, 40000);
    post->size = 30000;
    (void) ngx_http_refine_circuit_passed(&c, post);
    assert_int_equal(c.bytes, 40000);
    post->size = 600000;
    (void) ngx_http_refine_circuit_passed(&c, post);
    assert_int_equal(c.bytes, 524288);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_first, test_setup),
        cmocka_unit_test_setup(test_outage, test_setup),
        cmocka_unit_test_setup(test_dead_prober, test_setup),
        cmocka_unit_test_setup(test_delay, test_setup),
        cmocka_unit_test_setup(test_wait_asked, test_setup),
        cmocka_unit_test_setup(test_hold, test_setup),
        cmocka_unit_test_setup(test_resume, test_setup),
        cmocka_unit_test_setup(test_generation, test_setup),
        cmocka_unit_test_setup(test_pause, test_setup),
        cmocka_unit_test_setup(test_conf, test_setup),
        cmocka_unit_test_setup(test_tick, test_setup),
        cmocka_unit_test_setup(test_bytes, test_setup)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
