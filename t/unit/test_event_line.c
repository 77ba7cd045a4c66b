
/*
 * Tests for the line that an event becomes: what the server adds, corrects and
 * leaves out; serves; and every failed allocation.
 */

#include "event_cases.h"
#include <stdio.h>


static void
test_received(void **state)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t  line;
        int64_t    at;
    } cases[] = {
        { ngx_string(""), 0 },
        { ngx_string("{}"), 0 },
        { ngx_string("{\"eventId\":\"e\",\"receivedAt\":17"), 17 },
        { ngx_string("{\"eventId\":\"e\",\"receivedAt\":"), 0 },
        { ngx_string("{\"eventId\":\"e\",\"receivedAt\":1700000000000}"),
          1700000000000 },
        { ngx_string("{\"receivedAt\":\"1700000000000\"}"), 0 },
        { ngx_string("{\"receivedAt\":-5}"), 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(ngx_http_refine_event_received(&cases[i].line)
                    == cases[i].at);
    }
}


static void
test_received_id(void **state)
{
    char       id[256], line[512];
    ngx_str_t  text;

    /* the longest id that there may be */

    memset(id, 'x', sizeof(id));
    id[128] = '\0';

    text.data = (u_char *) line;
    text.len = sprintf(line, "{\"eventId\":\"%s\",\"type\":\"items_served\","
                       "\"timestamp\":1700000000000,"
                       "\"receivedAt\":1700000000001,\"a\":1}", id);

    assert_true(ngx_http_refine_event_received(&text) == 1700000000001);

    /* not searched for in all of a line that is somebody else's */

    memset(line, ' ', sizeof(line));
    text.len = 500;
    memcpy(line + 300, "\"receivedAt\":5", 14);

    assert_int_equal(ngx_http_refine_event_received(&text), 0);
}


static void
test_line(void **state)
{
    static const char  expected[] =
        "{\"eventId\":\"e1\",\"type\":\"click\",\"timestamp\":1700000000000,"
        "\"receivedAt\":1700000000000,\"visitorId\":\"v\",\"sessionId\":\"s\","
        "\"userId\":\"u\",\"serveId\":\"s1\",\"itemId\":\"a\",\"position\":3,"
        "\"page\":\"https://a/?q#f\",\"referrer\":\"https://b/\","
        "\"metadata\":{\"k\":[1,true,null,\"x\"]},\"context\":{"
        "\"ip\":\"192.0.2.0\",\"userAgent\":\"x\\\"y\",\"bot\":true,"
        "\"prefetch\":true}}";

    ngx_str_set(&env.visitor_id, "v");
    ngx_str_set(&env.session_id, "s");
    ngx_str_set(&env.ip, "192.0.2.0");
    ngx_str_set(&env.user_agent, "x\"y");
    env.bot = 1;
    env.prefetch = 1;

    assert_int_equal(parse("{\"metadata\":{\"k\":[1,true,null,\"x\"]},"
                           "\"referrer\":\"https://b/\",\"position\":3,"
                           "\"page\":\"https://a/?q#f\",\"itemId\":\"a\","
                           "\"userId\":\"u\",\"eventId\":\"e1\",\"x\":[{}],"
                           "\"serveId\":\"s1\",\"type\":\"click\"}"), NGX_OK);

    assert_int_equal(ev.line.len, sizeof(expected) - 1);
    assert_memory_equal(ev.line.data, expected, ev.line.len);
    assert_int_equal(ev.type, NGX_HTTP_REFINE_CLICK);
}


static void
test_timestamp(void **state)
{
    good(click, "timestamp", NULL, "1700000000000");
    good(click, "timestamp", "null", "1700000000000");
    same(click, "timestamp", "1699999999000");
    good(click, "timestamp", "1699999999000.9", "1699999999000");
    same(click, "timestamp", "1700000300000");
    good(click, "timestamp", "1700000300001", "1700000000000");
    same(click, "timestamp", "1699395200000");
    good(click, "timestamp", "1699395199999", "1700000000000");
    good(click, "timestamp", "0", "1700000000000");
    good(click, "timestamp", "-0", "1700000000000");
    good(click, "timestamp", "-5", "1700000000000");
    good(click, "timestamp", "9223372036854775808", "1700000000000");
    good(click, "timestamp", "1e300", "1700000000000");

    bad(click, "timestamp", "1e999", INVALID);
    bad(click, "timestamp", "-1e999", INVALID);
    bad(click, "timestamp", "\"1699999999000\"", INVALID);
    bad(click, "timestamp", "true", INVALID);

    /* a clock an hour ahead, and one of 1970 */

    env.sent_at = NOW + 3600000;
    good(click, "timestamp", "1700003599000", "1699999999000");
    good(click, "timestamp", "1699999999000", "1699996399000");

    env.sent_at = 5000;
    good(click, "timestamp", "3000", "1699999998000");
    good(click, "timestamp", "-3000", "1699999992000");

    /* before 1970 is no time to be had from a clock that starts there */

    env.now = 1000;
    env.sent_at = 0;
    good(click, "timestamp", "-1", "1000");
}


static void
test_url(void **state)
{
    static const char  *names[] = { "page", "referrer" };
    ngx_uint_t          i;

    for (i = 0; i < 2; i++) {
        env.anonymous = 0;
        same(click, names[i], "\"https://shop.example/a?b=c#d?e\"");
        same(click, names[i], "\"android-app://com.example/\"");
        same(click, names[i], many("http://", 'x', 2041));
        good(click, names[i], "\"\"", NULL);
        bad(click, names[i], many("http://", 'x', 2042), INVALID);
        bad(click, names[i], "\"/path\"", INVALID);
        bad(click, names[i], "\"https://\"", INVALID);
        bad(click, names[i], "\"://x\"", INVALID);
        bad(click, names[i], "\"1http://x\"", INVALID);
        bad(click, names[i], "\"javascript:alert(1)\"", INVALID);
        bad(click, names[i], "\"http://a b\"", INVALID);
        bad(click, names[i], "\"http://a\\nb\"", INVALID);
        bad(click, names[i], "1", INVALID);

        env.anonymous = 1;
        good(click, names[i], "\"https://a/b?c=d#e\"", "\"https://a/b\"");
        good(click, names[i], "\"https://a/b#e?f\"", "\"https://a/b\"");
        good(click, names[i], "\"https://a/b\"", "\"https://a/b\"");
        bad(click, names[i], "\"https://a/?b c\"", INVALID);
    }
}


static void
test_user(void **state)
{
    same(click, "userId", "\"u1\"");
    good(click, "userId", "\"\"", NULL);
    same(click, "userId", many("", 'u', 128));
    bad(click, "userId", many("", 'u', 129), INVALID);
    bad(click, "userId", "17", INVALID);
    bad(click, "userId", "\"a\\n\"", INVALID);

    ngx_str_set(&env.user_id, "known");
    good(click, "userId", "\"u1\"", "\"known\"");
    good(click, "userId", NULL, "\"known\"");
    bad(click, "userId", "17", INVALID);

    env.anonymous = 1;
    ngx_str_set(&env.visitor_id, "v");
    ngx_str_set(&env.session_id, "s");
    ngx_str_set(&env.ip, "192.0.2.0");
    ngx_str_set(&env.user_agent, "x");

    good(click, "userId", "\"u1\"", NULL);
    has("visitorId", NULL);
    has("sessionId", NULL);
    has("context", NULL);

    env.bot = 1;
    good(click, "userId", "\"u1\"", NULL);
    has("context", "{\"bot\":true}");
    env.anonymous = 0;
    env.prefetch = 1;
    ngx_str_null(&env.ip);
    good(click, "userId", NULL, "\"known\"");
    has("context", "{\"userAgent\":\"x\",\"bot\":true,\"prefetch\":true}");

    env.user_id.data = (u_char *) many("", 'u', 129);
    env.user_id.len = 129;
    good(click, "userId", "\"u1\"", NULL);
}


static void
test_user_agent(void **state)
{
    size_t   len;
    cJSON   *agent;
    u_char   text[600];

    memset(text, 'a', sizeof(text));
    memcpy(text + 510, "\xe2\x82\xac", 3);
    env.user_agent.data = text;

    for (len = 500; len < 600; len++) {
        env.user_agent.len = len;
        assert_int_equal(parse(click), NGX_OK);
        agent = cJSON_GetObjectItemCaseSensitive(line, "context")->child;
        assert_string_equal(agent->string, "userAgent");

        if (len < 511) {
            assert_int_equal(strlen(agent->valuestring), len);
        }

        if (len > 512) {
            assert_int_equal(strlen(agent->valuestring), 510);
        }
    }

    /* no text at all */

    memset(text, 0xbf, sizeof(text));
    assert_int_equal(parse(click), NGX_OK);
    agent = cJSON_GetObjectItemCaseSensitive(line, "context")->child;
    assert_int_equal(strlen(agent->valuestring), 512 * 3);
}


static void
test_id_of_line(void **state)
{
    static char  *bad_lines[] = {
        "", "{", "{\"eventId\":\"", "{\"eventId\":\"\"}", "{\"eventId\":\"abc",
        "{\"eventId\": \"abc\"}", "{\"eventid\":\"abc\"}",
        "{\"eventId\":\"a\\nb\"}", "{\"eventId\":\"a b\"}"
    };

    ngx_str_t   text, id;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        text.data = (u_char *) bad_lines[i];
        text.len = strlen(bad_lines[i]);
        assert_int_equal(ngx_http_refine_event_id(&text, &id), NGX_DECLINED);
    }

    ngx_str_set(&text, "{\"eventId\":\"abc\"}");
    assert_int_equal(ngx_http_refine_event_id(&text, &id), NGX_OK);
    assert_int_equal(id.len, 3);
}


static ngx_str_t  serve_items[] = {
    ngx_string("a"), ngx_string("b\"\n"), ngx_string("\xff")
};


static void
fill_serve(ngx_http_refine_event_serve_t *serve)
{
    memset(serve, 0, sizeof(*serve));
    ngx_str_set(&serve->serve_id, "s1");
    ngx_str_set(&serve->surface, "search_results");
    ngx_str_set(&serve->source, "text-search");
    ngx_str_set(&serve->query, "red shoes");
    ngx_str_set(&serve->anchor, "sku");
    serve->items = serve_items;
    serve->nitems = 3;
    serve->total = 42;
    serve->offset = -1;
    serve->truncated = 1;
}


static void
test_serve(void **state)
{
    u_char                         query[1100];
    ngx_http_refine_event_serve_t  serve;

    fill_serve(&serve);
    ngx_str_set(&env.visitor_id, "v");
    ngx_str_set(&env.user_id, "u");

    assert_int_equal(ngx_http_refine_event_serve(pool, &serve, &env, &ev),
                     NGX_OK);
    assert_int_equal(ev.type, NGX_HTTP_REFINE_ITEMS_SERVED);
    read_line();
    has("eventId", "\"s1\"");
    has("serveId", "\"s1\"");
    has("timestamp", "1700000000000");
    has("visitorId", "\"v\"");
    has("userId", "\"u\"");
    has("surface", "\"search_results\"");
    has("source", "\"text-search\"");
    has("query", "\"red shoes\"");
    has("itemIds", "[\"a\",\"b\\\"\\n\",\"\xef\xbf\xbd\"]");
    has("totalResults", "42");
    has("metadata", "{\"anchorId\":\"sku\",\"truncated\":true}");

    serve.truncated = 0;
    serve.total = 0;
    serve.nitems = 0;
    memset(query, 'q', sizeof(query));
    memcpy(query + 1022, "\xf0\x9f\x98\x80", 4);
    serve.query.data = query;
    serve.query.len = sizeof(query);
    env.anonymous = 1;
    assert_int_equal(ngx_http_refine_event_serve(pool, &serve, &env, &ev),
                     NGX_OK);
    read_line();
    has("itemIds", "[]");
    has("totalResults", "0");
    has("visitorId", NULL);
    has("userId", NULL);
    has("metadata", "{\"anchorId\":\"sku\"}");
    assert_int_equal(strlen(cJSON_GetObjectItemCaseSensitive(line, "query")
                                ->valuestring), 1022);

    memset(&serve, 0, sizeof(serve));
    serve.total = -1;
    serve.offset = -1;
    assert_int_equal(ngx_http_refine_event_serve(pool, &serve, &env, &ev),
                     NGX_OK);
    read_line();
    assert_int_equal(ev.id.len, 36);
    has("serveId", NULL);
    has("query", NULL);
    has("totalResults", NULL);
    has("metadata", NULL);

    serve.truncated = 1;
    assert_int_equal(ngx_http_refine_event_serve(pool, &serve, &env, &ev),
                     NGX_OK);
    read_line();
    has("metadata", "{\"truncated\":true}");
}


/* every allocation in turn fails */

static void
no_memory(const char *text, ngx_int_t expected)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 1; /* void */ ; n++) {
        ngx_stub_fail_after(n);
        rc = parse(text);

        if (!ngx_stub_failed()) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
    }

    assert_int_equal(rc, expected);
    assert_true(n > 1);
    ngx_stub_fail_after(0);
}


static void
test_no_memory(void **state)
{
    char                           *text;
    ngx_http_refine_event_serve_t   serve;

    ngx_str_set(&env.user_agent, "x");

    no_memory(click, NGX_OK);
    no_memory(purchase, NGX_OK);
    no_memory(served, NGX_OK);
    no_memory("{\"type\":\"x\"}", NGX_DECLINED);

    text = change(served, "itemIds", id_list(1000, 500));
    no_memory(text, NGX_OK);
    free(text);

    text = change(purchase, "items", "[{}]");
    no_memory(text, NGX_DECLINED);
    free(text);

    text = change(click, "metadata", "{\"1\":0,\"2\":0,\"3\":0,\"4\":0,"
                  "\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
                  "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,"
                  "\"17\":0}");
    no_memory(text, NGX_OK);
    free(text);

    fill_serve(&serve);

    ngx_stub_fail_after(1);
    assert_int_equal(ngx_http_refine_event_serve(pool, &serve, &env, &ev),
                     NGX_ERROR);
    ngx_stub_fail_after(0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_received),
        test(test_received_id),
        test(test_line),
        test(test_timestamp),
        test(test_url),
        test(test_user),
        test(test_user_agent),
        test(test_id_of_line),
        test(test_serve),
        test(test_no_memory),
    };

    return cmocka_run_group_tests_name("event_line", tests, NULL, NULL);
}
