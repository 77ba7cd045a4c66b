
/*
 * Tests for events that say themselves who the visitor was, as the shop's own
 * servers send them.
 */

#include "event_cases.h"


static int
trusted(void **state)
{
    if (setup(state)) {
        return 1;
    }

    env.trusted = 1;

    return 0;
}


#undef test
#define test(name)  cmocka_unit_test_setup_teardown(name, trusted, teardown)


static void
test_all(void **state)
{
    static const char  expected[] =
        "{\"eventId\":\"e1\",\"type\":\"click\",\"timestamp\":1700000000000,"
        "\"receivedAt\":1700000000000,\"visitorId\":\"v1\","
        "\"sessionId\":\"s1\","
        "\"userId\":\"u1\",\"serveId\":\"x\",\"itemId\":\"a\",\"position\":3,"
        "\"context\":{\"ip\":\"192.0.2.17\",\"userAgent\":\"x\\\"y\","
        "\"bot\":true,\"prefetch\":true}}";

    assert_int_equal(parse("{\"context\":{\"ip\":\"192.0.2.17\",\"x\":1,"
                           "\"userAgent\":\"x\\\"y\",\"bot\":true,"
                           "\"prefetch\":true},\"sessionId\":\"s1\","
                           "\"visitorId\":\"v1\",\"userId\":\"u1\","
                           "\"type\":\"click\",\"serveId\":\"x\","
                           "\"eventId\":\"e1\",\"itemId\":\"a\","
                           "\"position\":3}"), NGX_OK);

    assert_int_equal(ev.line.len, sizeof(expected) - 1);
    assert_memory_equal(ev.line.data, expected, ev.line.len);
}


static void
test_ids(void **state)
{
    static const char  *names[] = { "visitorId", "sessionId" };
    ngx_uint_t          i;

    for (i = 0; i < 2; i++) {
        good(click, names[i], NULL, NULL);
        good(click, names[i], "null", NULL);
        good(click, names[i], "\"\"", NULL);
        same(click, names[i], "\"v\"");
        same(purchase, names[i], "\"v_0123456789abcdefABCDEF\"");
        same(served, names[i], "\"device:17/{x}\"");
        same(click, names[i], many("", 'v', 128));

        bad(click, names[i], many("", 'v', 129), INVALID);
        bad(click, names[i], "\"a b\"", INVALID);
        bad(click, names[i], "\"a<b\"", INVALID);
        bad(click, names[i], "\"\\u00e4\"", INVALID);
        bad(click, names[i], "\"a\\n\"", INVALID);
        bad(click, names[i], "17", INVALID);
        bad(click, names[i], "true", INVALID);
        bad(click, names[i], "{}", INVALID);
    }

    assert_int_equal(parse("{\"type\":\"add_to_cart\",\"serveId\":\"s\","
                           "\"itemId\":\"a\",\"visitorId\":\"v\","
                           "\"visitorId\":\"v\"}"), NGX_DECLINED);
    assert_int_equal(err.reason, DUPLICATE);
}


static void
test_context(void **state)
{
    good(click, "context", NULL, NULL);
    good(click, "context", "null", NULL);
    good(click, "context", "{}", NULL);
    good(click, "context", "{\"ip\":null,\"userAgent\":null,\"bot\":null,"
                           "\"prefetch\":null}", NULL);
    good(click, "context", "{\"ip\":\"\",\"userAgent\":\"\",\"bot\":false,"
                           "\"prefetch\":false,\"other\":{\"ip\":1}}", NULL);
    same(click, "context", "{\"bot\":true}");
    same(click, "context", "{\"prefetch\":true}");
    same(click, "context", "{\"ip\":\"192.0.2.17\"}");
    same(click, "context", "{\"userAgent\":\"\xc3\xa4\"}");
    good(click, "context", "{\"IP\":\"192.0.2.17\"}", NULL);

    bad(click, "context", "[]", INVALID);
    bad(click, "context", "\"x\"", INVALID);
    bad(click, "context", "true", INVALID);

    bad_at(click, "context", "{\"ip\":1}", "context.ip", INVALID);
    bad_at(click, "context", "{\"ip\":\"localhost\"}", "context.ip", INVALID);
    bad_at(click, "context", "{\"ip\":\"192.0.2.256\"}", "context.ip", INVALID);
    bad_at(click, "context", "{\"ip\":{}}", "context.ip", INVALID);
    bad_at(click, "context", "{\"userAgent\":7}", "context.userAgent", INVALID);
    bad_at(click, "context", "{\"bot\":1}", "context.bot", INVALID);
    bad_at(click, "context", "{\"bot\":\"true\"}", "context.bot", INVALID);
    bad_at(click, "context", "{\"prefetch\":\"\"}", "context.prefetch",
           INVALID);

    bad_at(click, "context", "{\"ip\":\"::1\",\"ip\":\"::1\"}", "context.ip",
           DUPLICATE);
    bad_at(click, "context", "{\"bot\":true,\"bot\":null}", "context.bot",
           DUPLICATE);
}


static void
test_address(void **state)
{
    env.anonymize = 1;
    good(click, "context", "{\"ip\":\"192.0.2.17\"}", "{\"ip\":\"192.0.2.0\"}");
    good(click, "context", "{\"ip\":\"::ffff:192.0.2.17\"}",
         "{\"ip\":\"192.0.2.0\"}");
    good(click, "context", "{\"ip\":\"2001:db8:1:2::3\"}",
         "{\"ip\":\"2001:db8:1::\"}");

    env.anonymize = 0;
    good(click, "context", "{\"ip\":\"2001:DB8:1:2::3\"}",
         "{\"ip\":\"2001:db8:1:2::3\"}");
}


/* without consent it is checked all the same, and left out */

static void
test_anonymous(void **state)
{
    env.anonymous = 1;

    good(click, "visitorId", "\"v\"", NULL);
    good(click, "sessionId", "\"s\"", NULL);
    good(click, "userId", "\"u\"", NULL);
    good(click, "context", "{\"ip\":\"192.0.2.17\",\"userAgent\":\"x\","
                           "\"bot\":true}", "{\"bot\":true}");
    bad(click, "visitorId", "1", INVALID);
    bad_at(click, "context", "{\"ip\":\"x\"}", "context.ip", INVALID);
}


/* who is not trusted has no such fields, whatever is in them */

static void
test_not_trusted(void **state)
{
    env.trusted = 0;
    ngx_str_set(&env.visitor_id, "mine");
    ngx_str_set(&env.ip, "192.0.2.0");

    good(click, "visitorId", "\"v\"", "\"mine\"");
    good(click, "visitorId", "17", "\"mine\"");
    good(click, "sessionId", "\"s\"", NULL);
    good(click, "context", "{\"ip\":\"x\",\"bot\":true}",
         "{\"ip\":\"192.0.2.0\"}");
    good(click, "context", "1", "{\"ip\":\"192.0.2.0\"}");

    assert_int_equal(parse("{\"type\":\"add_to_cart\",\"serveId\":\"s\","
                           "\"itemId\":\"a\",\"visitorId\":\"v\","
                           "\"visitorId\":\"w\"}"), NGX_OK);
    has("visitorId", "\"mine\"");
}


/* each event of a request is on its own */

static void
test_next(void **state)
{
    same(click, "visitorId", "\"v\"");
    assert_int_equal(env.visitor_id.len, 0);
    good(click, "visitorId", NULL, NULL);
    same(click, "context", "{\"bot\":true}");
    good(click, "context", NULL, NULL);
}


static void
test_memory(void **state)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    static const char  text[] =
        "{\"type\":\"add_to_cart\",\"serveId\":\"s\",\"itemId\":\"a\","
        "\"visitorId\":\"v\",\"context\":{\"ip\":\"192.0.2.17\"}}";

    for (n = 1; n < 20; n++) {
        ngx_stub_fail_after(n);
        rc = parse(text);
        ngx_stub_fail_after(0);

        if (rc == NGX_OK) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
    }

    assert_in_range(n, 2, 19);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_all),
        test(test_ids),
        test(test_context),
        test(test_address),
        test(test_anonymous),
        test(test_not_trusted),
        test(test_next),
        test(test_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
