
/*
 * Tests for ngx_http_refine_verdict: every row of the table of answers, what
 * an answer asks to wait, and hostile bodies.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_verdict.h"


#define text(s)  { sizeof(s) - 1, (u_char *) s }

#define DELIVERED   NGX_HTTP_REFINE_VERDICT_DELIVERED
#define FAILED      NGX_HTTP_REFINE_VERDICT_FAILED
#define BUSY        NGX_HTTP_REFINE_VERDICT_BUSY
#define REFUSED     NGX_HTTP_REFINE_VERDICT_REFUSED
#define TOO_LARGE   NGX_HTTP_REFINE_VERDICT_TOO_LARGE
#define WRONG       NGX_HTTP_REFINE_VERDICT_WRONG

#define ACK         NGX_HTTP_REFINE_ACTION_ACK
#define RETRY       NGX_HTTP_REFINE_ACTION_RETRY
#define ASIDE       NGX_HTTP_REFINE_ACTION_ASIDE
#define ALONE       NGX_HTTP_REFINE_ACTION_ALONE
#define SPLIT       NGX_HTTP_REFINE_ACTION_SPLIT
#define DEAD        NGX_HTTP_REFINE_ACTION_DEAD
#define HOLD        NGX_HTTP_REFINE_ACTION_HOLD
#define HOLD_ASIDE  NGX_HTTP_REFINE_ACTION_HOLD_ASIDE


static void
test_status(void **state)
{
    ngx_uint_t  i, status;

    static struct {
        ngx_uint_t                 status;
        ngx_http_refine_verdict_e  verdict;
    } cases[] = {
        { 0, FAILED },
        { 100, FAILED }, { 199, FAILED },
        { 200, DELIVERED }, { 202, DELIVERED }, { 299, DELIVERED },
        { 300, WRONG }, { 301, WRONG }, { 304, WRONG }, { 308, WRONG },
        { 400, REFUSED }, { 401, WRONG }, { 403, WRONG }, { 404, WRONG },
        { 405, WRONG }, { 408, BUSY }, { 409, WRONG }, { 413, TOO_LARGE },
        { 415, WRONG }, { 418, WRONG }, { 422, REFUSED }, { 425, BUSY },
        { 429, BUSY }, { 451, WRONG }, { 499, WRONG },
        { 500, FAILED }, { 502, FAILED }, { 503, FAILED }, { 504, FAILED },
        { 599, FAILED }, { 600, FAILED }, { 999, FAILED }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ngx_http_refine_verdict(cases[i].status),
                         cases[i].verdict);
    }

    for (status = 0; status < 1000; status++) {
        assert_int_equal(ngx_http_refine_verdict(status) == DELIVERED,
                         status / 100 == 2);
    }
}


static void
test_action(void **state)
{
    ngx_uint_t  i;

    /* n, errors, refused, singles, max; known, held, probe, suspect, passed */

    static struct {
        ngx_http_refine_verdict_e     verdict;
        ngx_http_refine_situation_t   s;
        ngx_http_refine_action_e      action;
    } cases[] = {
        { DELIVERED, { 500, 0, 0, 0, 3, 0, 0, 0, 0, 0 }, ACK },
        { DELIVERED, { 1, 9, 9, 19, 3, 1, 1, 1, 1, 1 }, ACK },

        /* an outage uses nothing up, whatever the number of tries */

        { BUSY, { 500, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, RETRY },
        { BUSY, { 1, 99, 0, 0, 3, 1, 0, 1, 0, 1 }, RETRY },
        { BUSY, { 1, 99, 0, 0, 3, 1, 0, 0, 1, 1 }, RETRY },
        { FAILED, { 500, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, RETRY },
        { FAILED, { 500, 1, 0, 0, 3, 1, 0, 1, 0, 0 }, RETRY },
        { FAILED, { 500, 2, 0, 0, 3, 1, 0, 1, 0, 0 }, ASIDE },
        { FAILED, { 1, 99, 0, 0, 3, 1, 0, 1, 0, 1 }, ASIDE },
        { FAILED, { 1, 99, 0, 0, 3, 1, 0, 1, 1, 1 }, ASIDE },
        { FAILED, { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0 }, ASIDE },

        /* others pass, this one does not */

        { FAILED, { 250, 0, 0, 0, 3, 1, 0, 0, 1, 0 }, ALONE },
        { FAILED, { 250, 0, 0, 0, 3, 1, 0, 0, 1, 1 }, SPLIT },
        { FAILED, { 1, 0, 0, 0, 3, 1, 0, 0, 1, 1 }, ALONE },
        { FAILED, { 1, 1, 0, 0, 3, 1, 0, 0, 1, 1 }, ALONE },
        { FAILED, { 1, 2, 0, 0, 3, 1, 0, 0, 1, 1 }, DEAD },
        { FAILED, { 1, 99, 0, 0, 3, 1, 0, 0, 1, 0 }, ALONE },

        { REFUSED, { 500, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, SPLIT },
        { REFUSED, { 2, 0, 0, 19, 3, 1, 0, 1, 0, 0 }, SPLIT },
        { REFUSED, { 1, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, DEAD },
        { REFUSED, { 1, 0, 0, 18, 3, 1, 0, 0, 0, 0 }, DEAD },
        { REFUSED, { 1, 0, 0, 19, 3, 1, 0, 0, 0, 0 }, HOLD },

        /* before the first 2xx it may be the configuration */

        { REFUSED, { 500, 0, 0, 0, 3, 0, 0, 1, 0, 0 }, HOLD },
        { REFUSED, { 500, 0, 1, 0, 3, 0, 1, 1, 0, 0 }, HOLD_ASIDE },
        { REFUSED, { 500, 0, 1, 0, 3, 1, 1, 1, 0, 0 }, HOLD_ASIDE },
        { REFUSED, { 1, 0, 5, 0, 3, 1, 1, 0, 0, 0 }, HOLD },

        { TOO_LARGE, { 500, 0, 0, 0, 3, 0, 0, 1, 0, 0 }, SPLIT },
        { TOO_LARGE, { 2, 0, 0, 0, 3, 1, 1, 1, 0, 0 }, SPLIT },
        { TOO_LARGE, { 1, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, DEAD },
        { TOO_LARGE, { 1, 0, 0, 0, 3, 0, 0, 1, 0, 0 }, HOLD },

        { WRONG, { 500, 0, 0, 0, 3, 1, 0, 0, 0, 0 }, HOLD },
        { WRONG, { 1, 9, 9, 0, 3, 1, 1, 1, 1, 1 }, HOLD }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ngx_http_refine_verdict_action(cases[i].verdict,
                                                        &cases[i].s),
                         cases[i].action);
    }
}


static void
test_wait(void **state)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t   retry_after;
        ngx_str_t   remaining;
        ngx_str_t   reset;
        ngx_str_t   body;
        time_t      retry;
        ngx_msec_t  wait;
    } cases[] = {
        { text(""), text(""), text(""), text(""), -1, 0 },
        { text("0"), text(""), text(""), text(""), -1, 0 },
        { text("7"), text(""), text(""), text(""), -1, 7000 },
        { text("3600"), text(""), text(""), text(""), -1, 3600000 },
        { text("3601"), text(""), text(""), text(""), -1, 3600001 },
        { text("999999999999999"), text(""), text(""), text(""), -1, 3600001 },
        { text("9999999999999999"), text(""), text(""), text(""), -1, 0 },
        { text("-5"), text(""), text(""), text(""), -1, 0 },
        { text("5s"), text(""), text(""), text(""), -1, 0 },
        { text("date"), text(""), text(""), text(""), 1000012, 12000 },
        { text("date"), text(""), text(""), text(""), 999000, 0 },
        { text("date"), text(""), text(""), text(""), 2000000, 3600001 },
        { text(""), text(""), text(""), text("{\"retry_after\":3}"), -1,
          3000 },
        { text(""), text(""), text(""), text("{\"retry_after\":0.25}"), -1,
          250 },
        { text("9"), text(""), text(""), text("{\"retry_after\":3}"), -1,
          9000 },
        { text("2"), text(""), text(""), text("{\"retry_after\":3}"), -1,
          3000 },
        { text(""), text(""), text(""), text("{\"retry_after\":-3}"), -1, 0 },
        { text(""), text(""), text(""), text("{\"retry_after\":1e999}"), -1,
          3600001 },
        { text(""), text(""), text(""), text("{\"retry_after\":\"3\"}"), -1,
          0 },
        { text(""), text(""), text(""), text("{\"Retry_After\":3}"), -1, 0 },
        { text(""), text(""), text(""), text("[3"), -1, 0 },
        { text(""), text("0"), text("1000020"), text(""), -1, 20000 },
        { text(""), text("1"), text("1000020"), text(""), -1, 0 },
        { text(""), text(""), text("1000020"), text(""), -1, 0 },
        { text(""), text("0"), text("999999"), text(""), -1, 0 },
        { text(""), text("0"), text("soon"), text(""), -1, 0 },
        { text(""), text("0"), text("20"), text(""), -1, 20000 },
        { text(""), text("0"), text("1700000000"), text(""), -1, 0 },
        { text("30"), text("0"), text("1000020"), text(""), -1, 30000 }
    };

    ngx_http_refine_http_answer_t  answer;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&answer, 0, sizeof(answer));
        answer.status = 429;
        answer.retry_after = cases[i].retry_after;
        answer.remaining = cases[i].remaining;
        answer.reset = cases[i].reset;
        answer.body = cases[i].body;

        assert_int_equal(ngx_http_refine_verdict_wait(&answer, 1000000,
                                                      cases[i].retry),
                         cases[i].wait);
    }
}


static void
test_number(void **state)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t  text;
        int64_t    n;
    } cases[] = {
        { text(""), -1 }, { text("0"), 0 }, { text("00"), 0 },
        { text("100"), 100 }, { text("999999999999999"), 999999999999999 },
        { text("1000000000000000"), -1 }, { text("+1"), -1 },
        { text("-1"), -1 }, { text("1 "), -1 }, { text("1.5"), -1 },
        { text("0x1"), -1 }, { text("100, 100"), -1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(ngx_http_refine_verdict_number(&cases[i].text)
                    == cases[i].n);
    }
}


static void
test_reason_is(ngx_uint_t status, const char *error, const char *body,
    const char *expected)
{
    u_char                         buf[NGX_HTTP_REFINE_VERDICT_REASON];
    ngx_str_t                      reason;
    ngx_http_refine_http_answer_t  answer;

    memset(&answer, 0, sizeof(answer));
    answer.status = status;
    answer.error = error;
    answer.body.data = (u_char *) body;
    answer.body.len = strlen(body);

    ngx_http_refine_verdict_reason(&answer, buf, &reason);

    assert_int_equal(reason.len, strlen(expected));
    assert_memory_equal(reason.data, expected, reason.len);
}


static void
test_reason(void **state)
{
    ngx_uint_t   i;
    char         body[1024], expected[256];

    test_reason_is(0, "timed out", "", "timed out");
    test_reason_is(0, NULL, "", "no answer");
    test_reason_is(400, NULL, "", "status 400");
    test_reason_is(422, NULL, "<html>", "status 422");
    test_reason_is(422, NULL, "{\"message\":7}", "status 422");
    test_reason_is(422, NULL, "{\"message\":\"\"}", "status 422");
    test_reason_is(422, NULL, "{\"message\":\"bad position\"}",
                   "bad position");
    test_reason_is(400, NULL, "{\"message\":\"a\\nb\\u007fc\\u0085d\"}",
                   "a?b?c?""?d");
    test_reason_is(400, NULL, "{\"message\":\"gr\\u00fc\\u00dfe \\u20ac\"}",
                   "gr\303\274\303\237e \342\202\254");
    test_reason_is(400, NULL, "{\"message\":\"\xff\xc0\xafx\xed\xa0\x80\"}",
                   "?""?""?x?""?""?");
    test_reason_is(400, NULL, "{\"message\":\"\xf0\x9f\x98\x80\xf0\x9f\"}",
                   "\xf0\x9f\x98\x80?""?");

    /* cut at 200 bytes, not within a character */

    strcpy(body, "{\"message\":\"x");
    strcpy(expected, "x");

    for (i = 0; i < 150; i++) {
        strcat(body, "\303\274");
    }

    for (i = 0; i < 99; i++) {
        strcat(expected, "\303\274");
    }

    strcat(body, "\"}");
    test_reason_is(400, NULL, body, expected);

    /* deeper than cJSON goes, and cut off */

    memset(body, '[', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    test_reason_is(400, NULL, body, "status 400");
    test_reason_is(400, NULL, "{\"message\":\"x", "status 400");
}


static void
test_advice(void **state)
{
    ngx_uint_t  status;

    assert_non_null(strstr(ngx_http_refine_verdict_advice(401), "api_key"));
    assert_non_null(strstr(ngx_http_refine_verdict_advice(404), "endpoint"));
    assert_non_null(strstr(ngx_http_refine_verdict_advice(302), "redirect"));
    assert_non_null(strstr(ngx_http_refine_verdict_advice(400),
                           "organization_id"));

    for (status = 0; status < 1000; status++) {
        assert_non_null(strstr(ngx_http_refine_verdict_advice(status),
                               "check"));
    }
}


static void
test_counter(void **state)
{
    ngx_uint_t  i;

    static struct {
        ngx_uint_t                      status;
        ngx_http_refine_http_failure_e  failure;
        const char                     *name;
    } cases[] = {
        { 200, 0, "2xx" }, { 204, 0, "2xx" }, { 299, 0, "2xx" },
        { 300, 0, "3xx" }, { 308, 0, "3xx" }, { 399, 0, "3xx" },
        { 400, 0, "refused" }, { 422, 0, "refused" },
        { 401, 0, "unauthorized" }, { 403, 0, "unauthorized" },
        { 404, 0, "not_found" }, { 405, 0, "not_found" },
        { 413, 0, "too_large" },
        { 408, 0, "busy" }, { 425, 0, "busy" }, { 429, 0, "busy" },
        { 402, 0, "other_4xx" }, { 409, 0, "other_4xx" },
        { 499, 0, "other_4xx" },
        { 500, 0, "5xx" }, { 599, 0, "5xx" },
        { 0, NGX_HTTP_REFINE_HTTP_CONNECTION, "connection" },
        { 0, NGX_HTTP_REFINE_HTTP_TIMEOUT, "timeout" },
        { 0, NGX_HTTP_REFINE_HTTP_CLOSED, "closed" },
        { 0, NGX_HTTP_REFINE_HTTP_INVALID, "invalid" }
    };

    ngx_http_refine_http_answer_t     answer;
    const ngx_http_refine_counter_t  *counter;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&answer, 0, sizeof(answer));
        answer.status = cases[i].status;
        answer.failure = cases[i].failure;

        counter = &ngx_http_refine_counters[
                                     ngx_http_refine_verdict_counter(&answer)];

        assert_string_equal(counter->group.data, "posts");
        assert_string_equal(counter->name.data, cases[i].name);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_action),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_reason),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_counter)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
