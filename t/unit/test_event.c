
/*
 * Tests for the fields of an event: each with what is right, at its limits,
 * wrong, missing, null and given twice.
 */

#include "event_cases.h"
#include "ngx_http_refine_event_field.h"
#include "ngx_http_refine_event_value.h"


static const char  *all[] = { click, view, cart, served, purchase };


static void
test_types(void **state)
{
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_refine_event_type_e  type;

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {
        name = ngx_http_refine_event_names[i];
        assert_int_equal(ngx_http_refine_event_type(&name, &type), NGX_OK);
        assert_int_equal(type, i);
        name.len--;
        assert_int_equal(ngx_http_refine_event_type(&name, &type),
                         NGX_DECLINED);

        assert_int_equal(parse(all[i]), NGX_OK);
        assert_int_equal(ev.id.len, 36);
        has("context", NULL);
        has("visitorId", NULL);
        has("metadata", NULL);
    }

    bad(click, "type", NULL, MISSING);
    bad(click, "type", "null", MISSING);
    bad(click, "type", "\"Click\"", TYPE);
    bad(click, "type", "\"\"", TYPE);
    bad(click, "type", "1", TYPE);
    bad(click, "type", "[\"click\"]", TYPE);
    bad(click, "type", many("", 'x', 5000), TYPE);
    error_is("must be items_served or click or view or add_to_cart"
             " or purchase");

    env.types = (1 << NGX_HTTP_REFINE_CLICK) | (1 << NGX_HTTP_REFINE_VIEW);
    bad_at(purchase, "x", "1", "type", TYPE);
    error_is("must be click or view");
}


/* no two names share a place */

static void
test_names(void **state)
{
    char        *name;
    ngx_uint_t   i;

    static const char  *none[] = { "", "e", "eventid", "eventIds", "Type",
                                   "typ", "itemID", "productid", "\xff\xff" };

    for (i = 0; i < NGX_HTTP_REFINE_FIELDS; i++) {
        name = (char *) ngx_http_refine_event_fields[i].name.data;
        assert_int_equal(ngx_http_refine_event_field_find(name), i);
    }

    assert_int_equal(ngx_http_refine_event_field_find("productId"),
                     NGX_HTTP_REFINE_FIELD_ITEM_ID);

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(ngx_http_refine_event_field_find(none[i]),
                         NGX_DECLINED);
    }
}


static void
test_not_event(void **state)
{
    static const char  *texts[] = { "[]", "1", "\"x\"", "null", "true" };
    ngx_uint_t          i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(parse(texts[i]), NGX_DECLINED);
        assert_int_equal(err.reason, NOT_EVENT);
        assert_int_equal(err.field.len, 0);
    }

    assert_int_equal(parse("{}"), NGX_DECLINED);
    assert_int_equal(err.reason, MISSING);
}


/* by type: what is required, and what is known */

static void
test_required(void **state)
{
    static const char  *required[] = {
        "serveId itemId position", "serveId itemId position",
        "serveId itemId", "surface source itemIds",
        "orderId value currency items"
    };

    char        names[64], *name;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {
        strcpy(names, required[i]);

        for (name = strtok(names, " "); name; name = strtok(NULL, " ")) {
            bad(all[i], name, NULL, MISSING);
            error_is("is required for this type");
            bad(all[i], name, "null", MISSING);
        }

        good(all[i], "userId", "null", NULL);
        good(all[i], "unknown", "1", NULL);
        good(all[i], "UserId", "\"x\"", NULL);
        good(all[i], "visitorId", "\"x\"", NULL);
        good(all[i], "sessionId", "\"x\"", NULL);
        good(all[i], "context", "{\"ip\":\"x\"}", NULL);
        good(all[i], "receivedAt", "1", "1700000000000");
    }

    /* the fields of other types are not known */

    good(click, "orderId", "[]", NULL);
    good(click, "surface", "7", NULL);
    good(purchase, "itemId", "7", NULL);
    good(purchase, "position", "-1", NULL);
    good(served, "value", "\"x\"", NULL);
    good(click, "filters", "{}", NULL);
}


static void
test_case(void **state)
{
    assert_int_equal(parse("{\"Type\":\"click\"}"), NGX_DECLINED);
    assert_int_equal(err.reason, MISSING);

    assert_int_equal(parse("{\"type\":\"click\",\"serveid\":\"s\","
                           "\"itemId\":\"a\",\"position\":0}"), NGX_DECLINED);
    assert_int_equal(err.reason, MISSING);

    /* neither a duplicate, nor the value */

    good(click, "ITEMID", "\"x\"", NULL);
    has("itemId", "\"a\"");
}


static void
test_duplicates(void **state)
{
    static const char  *keys[] = {
        "type", "eventId", "timestamp", "userId", "serveId", "itemId",
        "position", "page", "referrer", "metadata"
    };

    char        text[256];
    ngx_uint_t  i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        sprintf(text, "{\"%s\":null,%.*s,\"%s\":null}", keys[i],
                (int) sizeof(click) - 3, click + 1, keys[i]);
        assert_int_equal(parse(text), NGX_DECLINED);
        assert_int_equal(err.reason, DUPLICATE);
        assert_memory_equal(err.field.data, keys[i], err.field.len);
    }

    bad_at(click, "productId", "\"a\"", "itemId", DUPLICATE);
    good(purchase, "productId", "\"a\"", NULL);

    good("{\"type\":\"click\",\"serveId\":\"s\",\"position\":0}", "productId",
         "\"p\"", NULL);
    has("itemId", "\"p\"");

    /* unknown ones are left out, however often */

    assert_int_equal(parse("{\"x\":1,\"x\":2,\"type\":\"add_to_cart\","
                           "\"serveId\":\"s\",\"itemId\":\"a\"}"), NGX_OK);

    bad(click, "metadata", "{\"a\":1,\"a\":1}", DUPLICATE);
    bad(click, "metadata", "{\"a\":[{\"b\":1,\"c\":2,\"b\":1}]}", DUPLICATE);
    bad(served, "filters", "[{\"b\":1,\"b\":1}]", DUPLICATE);
    bad(served, "sortBy", "{\"b\":1,\"b\":1}", DUPLICATE);
    same(click, "metadata", "{\"a\":1,\"A\":1,\"b\":{\"a\":1}}");

    bad(click, "metadata", "{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,"
        "\"7\":0,\"8\":0,\"9\":0,\"10\":0,\"11\":0,\"12\":0,\"13\":0,"
        "\"14\":0,\"15\":0,\"16\":0,\"17\":0,\"3\":0}", DUPLICATE);
}


static void
test_event_id(void **state)
{
    same(click, "eventId", "\"A-z_09\"");
    same(click, "eventId", many("", 'x', 64));
    bad(click, "eventId", many("", 'x', 65), INVALID);
    bad(click, "eventId", "\"\"", INVALID);
    bad(click, "eventId", "\"a b\"", INVALID);
    bad(click, "eventId", "\"a\\r\\nX: y\"", INVALID);
    bad(click, "eventId", "\"\\u00e4\"", INVALID);
    bad(click, "eventId", "1", INVALID);
    bad(click, "eventId", "{}", INVALID);

    /* an items_served is its serve */

    good(served, "serveId", "\"s:1\"", "\"s:1\"");
    has("eventId", "\"s:1\"");
    good(served, "serveId", many("", 's', 128), many("", 's', 128));
    has("eventId", many("", 's', 128));
    bad(served, "serveId", many("", 's', 129), INVALID);

    good("{\"type\":\"items_served\",\"surface\":\"a\",\"source\":\"b\","
         "\"itemIds\":[],\"serveId\":\"s1\"}", "eventId", "\"e1\"", "\"s1\"");

    same(served, "eventId", "\"e1\"");
}


static void
test_serve_id(void **state)
{
    same(click, "serveId", "\"!#$%()*+,-./:;=?@[]^_`{|}~\"");
    same(view, "serveId", many("", 's', 128));
    bad(cart, "serveId", many("", 's', 129), INVALID);
    bad(click, "serveId", "\"\"", INVALID);
    bad(click, "serveId", "\"a b\"", INVALID);
    bad(click, "serveId", "\"a\\\"\"", INVALID);
    bad(click, "serveId", "\"a<\"", INVALID);
    bad(click, "serveId", "\"a\\u007f\"", INVALID);
    bad(click, "serveId", "\"\xc3\xa4\"", INVALID);
    bad(click, "serveId", "7", INVALID);
}


static void
test_item_id(void **state)
{
    same(click, "itemId", many("", 'i', 256));
    same(click, "itemId", many("\xe2\x82\xac", 'i', 253));
    same(click, "itemId", "\"a b<\xc2\xa0>\"");
    bad(click, "itemId", many("\xe2\x82\xac", 'i', 254), INVALID);
    bad(view, "itemId", many("", 'i', 257), INVALID);
    bad(cart, "itemId", "\"\"", INVALID);
    bad(click, "itemId", "\"a\\n\"", INVALID);
    bad(click, "itemId", "\"a\\u007f\"", INVALID);
    bad(click, "itemId", "\"a\\u0085\"", INVALID);
    bad(click, "itemId", "5", INVALID);
    bad(click, "itemId", "[\"a\"]", INVALID);
    bad(click, "itemId", "false", INVALID);
}


static void
test_position(void **state)
{
    same(click, "position", "0");
    good(click, "position", "-0", "0");
    good(click, "position", "1.0", "1");
    good(view, "position", "1e2", "100");
    same(click, "position", "1000000");
    bad(click, "position", "1000001", INVALID);
    error_is("must be an integer from 0 to 1000000");
    bad(click, "position", "-1", INVALID);
    bad(click, "position", "1.5", INVALID);
    bad(click, "position", "9223372036854775808", INVALID);
    bad(click, "position", "1e999", INVALID);
    bad(view, "position", "-1e999", INVALID);
    bad(click, "position", "\"1\"", INVALID);
    bad(click, "position", "true", INVALID);
    bad(click, "position", "{}", INVALID);

    same(cart, "position", "7");
    good(cart, "position", "null", NULL);
    bad(cart, "position", "-1", INVALID);
}


static void
test_served(void **state)
{
    static const char  *names[] = { "surface", "source" };
    ngx_uint_t          i;

    for (i = 0; i < 2; i++) {
        same(served, names[i], "\"my surface\"");
        same(served, names[i], many("", 'x', 64));
        bad(served, names[i], many("", 'x', 65), INVALID);
        bad(served, names[i], "\"\"", INVALID);
        bad(served, names[i], "\"a\\n\"", INVALID);
        bad(served, names[i], "1", INVALID);
    }

    same(served, "query", "\"\"");
    same(served, "query", "\" Red\\tshoes\\u0001 \xc3\xa4\"");
    same(served, "query", many("", 'q', 1024));
    bad(served, "query", many("", 'q', 1025), INVALID);
    bad(served, "query", "[]", INVALID);

    same(served, "totalResults", "0");
    same(served, "totalResults", "1000000000");
    good(served, "totalResults", "2e3", "2000");
    same(served, "totalResults", "9007199254740991");
    bad(served, "totalResults", "9007199254740992", INVALID);
    bad(served, "totalResults", "-1", INVALID);
    bad(served, "totalResults", "0.5", INVALID);
    bad(served, "totalResults", "1e999", INVALID);
    bad(served, "totalResults", "\"5\"", INVALID);
}


static void
test_item_ids(void **state)
{
    char  *text;

    same(served, "itemIds", "[]");
    same(served, "itemIds", "[\"a\"]");
    good(served, "itemIds", "[\"b\",\"a\",\"b\",\"b\",\"A\",\"a\"]",
         "[\"b\",\"a\",\"A\"]");
    same(served, "itemIds", id_list(1000, 1000));
    bad(served, "itemIds", id_list(1001, 1001), INVALID);
    bad(served, "itemIds", id_list(1001, 1), INVALID);

    text = change(served, "itemIds", id_list(1000, 300));
    assert_int_equal(parse(text), NGX_OK);
    free(text);
    has("itemIds", id_list(300, 300));

    bad(served, "itemIds", "{\"a\":\"b\"}", INVALID);
    bad(served, "itemIds", "\"a\"", INVALID);
    bad_at(served, "itemIds", "[\"a\",5]", "itemIds[1]", INVALID);
    bad_at(served, "itemIds", "[\"a\",\"\"]", "itemIds[1]", INVALID);
    bad_at(served, "itemIds", "[null]", "itemIds[0]", INVALID);
    bad_at(served, "itemIds", "[\"a\",\"b\",\"c\",\"\\u0000\"]", "itemIds[3]",
           INVALID);
    bad_at(served, "itemIds", "[[\"a\"]]", "itemIds[0]", INVALID);
}


static void
test_json(void **state)
{
    char  text[9000];

    same(served, "filters", "[]");
    same(served, "filters", "{}");
    same(served, "filters", "[{\"field\":\"price\",\"operator\":\"lt\","
         "\"value\":9.99},{\"a\":[true,false,null,-1,1e+20,\"\\u0001\"]}]");
    bad(served, "filters", "\"x\"", INVALID);
    bad(served, "filters", "1", INVALID);
    same(served, "sortBy", "\"price\"");
    same(served, "sortBy", "{\"field\":\"price\",\"order\":\"ascending\"}");
    bad(served, "sortBy", "1", INVALID);
    same(served, "metadata", "{\"offset\":24,\"parentServeId\":\"s0\"}");
    bad(click, "metadata", "[]", INVALID);
    bad(click, "metadata", "\"x\"", INVALID);
    good(click, "metadata", "null", NULL);

    same(click, "metadata", "{\"a\":{\"b\":[{\"c\":[1]}]}}");
    bad(click, "metadata", "{\"a\":{\"b\":[{\"c\":[[]]}]}}", INVALID);
    bad(click, "metadata", "{\"a\":1e999}", INVALID);
    error_is("must have only finite numbers");
    bad(served, "filters", "[[-1e999]]", INVALID);

    sprintf(text, "{\"a\":%s}", many("", 'x', 4096 - 8));
    same(click, "metadata", text);
    sprintf(text, "{\"a\":%s}", many("", 'x', 4096 - 7));
    bad(click, "metadata", text, INVALID);
    sprintf(text, "{%s:0}", many("", 'x', 4500));
    bad(click, "metadata", text, INVALID);
}


static void
test_json_size(void **state)
{
    char  text[9000], *event;

    /* blanks do not count, escapes do */

    sprintf(text, "{  \"a\" :  \"%*s\\n\\n\"  }", 4096 - 12, "x");
    event = change(click, "metadata", text);
    assert_int_equal(parse(event), NGX_OK);
    free(event);

    sprintf(text, "{\"a\":\"%*s\\n\\n\"}", 4096 - 11, "x");
    bad(click, "metadata", text, INVALID);
}


static void
test_purchase(void **state)
{
    assert_int_equal(parse(purchase), NGX_OK);
    has("value", "25.5");
    has("items", "[{\"itemId\":\"a\",\"quantity\":2,\"unitPrice\":10},"
        "{\"itemId\":\"b\",\"quantity\":1,\"unitPrice\":5.5}]");
    has("metadata", NULL);

    same(purchase, "orderId", many("", 'o', 128));
    bad(purchase, "orderId", many("", 'o', 129), INVALID);
    bad(purchase, "orderId", "\"\"", INVALID);
    bad(purchase, "orderId", "17", INVALID);
    bad(purchase, "orderId", "\"a\\u0007\"", INVALID);

    same(purchase, "value", "0");
    good(purchase, "value", "-0", "0");
    bad(purchase, "value", "-0.01", INVALID);
    bad(purchase, "value", "1e999", INVALID);
    bad(purchase, "value", "\"25.5\"", INVALID);
    same(purchase, "value", "1e+300");

    bad(purchase, "currency", "\"eur\"", INVALID);
    bad(purchase, "currency", "\"EURO\"", INVALID);
    bad(purchase, "currency", "\"EU\"", INVALID);
    bad(purchase, "currency", "\"E\xc3\xa4\"", INVALID);
    bad(purchase, "currency", "978", INVALID);
    same(purchase, "currency", "\"USD\"");
}


/* each byte at each place of a word of eight bytes, and behind the last */

static void
test_plain(void **state)
{
    u_char      bytes[24];
    ngx_str_t   text;
    ngx_uint_t  c, i, odd;

    text.data = bytes;

    for (text.len = 1; text.len <= sizeof(bytes); text.len++) {
        for (i = 0; i < text.len; i++) {
            for (c = 0; c < 256; c++) {
                ngx_memset(bytes, 'a', sizeof(bytes));
                bytes[i] = (u_char) c;

                odd = c < 0x20 || c == 0x7f
                      || (c == 0xc2 && i + 1 < text.len);

                assert_int_equal(ngx_http_refine_value_plain(&text),
                                 odd ? NGX_DECLINED : NGX_OK);
            }

            if (i + 1 < text.len) {
                ngx_memcpy(bytes + i, "\xc2\x9f", 2);
                assert_int_equal(ngx_http_refine_value_plain(&text),
                                 NGX_DECLINED);

                ngx_memcpy(bytes + i, "\xc2\xa0", 2);
                assert_int_equal(ngx_http_refine_value_plain(&text), NGX_OK);
            }
        }
    }
}


#define item(id, q, p)                                                        \
    "{\"itemId\":" id ",\"quantity\":" q ",\"unitPrice\":" p "}"

static void
test_items(void **state)
{
    char  text[32768], *p;
    int   i;

    bad(purchase, "items", "[]", INVALID);
    bad(purchase, "items", "{}", INVALID);
    bad(purchase, "items", "\"a\"", INVALID);
    bad_at(purchase, "items", "[1]", "items[0]", INVALID);
    bad_at(purchase, "items", "[null]", "items[0]", INVALID);
    bad_at(purchase, "items", "[{}]", "items[0].itemId", MISSING);
    bad_at(purchase, "items", "[{\"itemId\":\"a\"}]", "items[0].quantity",
           MISSING);
    bad_at(purchase, "items", "[{\"itemId\":\"a\",\"quantity\":1}]",
           "items[0].unitPrice", MISSING);
    bad_at(purchase, "items", "[" item("null", "1", "1") "]",
           "items[0].itemId", MISSING);
    bad_at(purchase, "items", "[" item("\"a\"", "null", "1") "]",
           "items[0].quantity", MISSING);
    bad_at(purchase, "items", "[" item("\"a\"", "1", "1") ","
           item("7", "1", "1") "]", "items[1].itemId", INVALID);
    bad_at(purchase, "items", "[" item("\"\"", "1", "1") "]",
           "items[0].itemId", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "0", "1") "]",
           "items[0].quantity", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1.5", "1") "]",
           "items[0].quantity", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1000001", "1") "]",
           "items[0].quantity", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1e999", "1") "]",
           "items[0].quantity", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "\"1\"", "1") "]",
           "items[0].quantity", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1", "-1") "]",
           "items[0].unitPrice", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1", "1e999") "]",
           "items[0].unitPrice", INVALID);
    bad_at(purchase, "items", "[" item("\"a\"", "1", "\"1\"") "]",
           "items[0].unitPrice", INVALID);

    good(purchase, "items", "[{\"productId\":\"a\",\"quantity\":1.0,"
         "\"unitPrice\":25.5,\"x\":{\"y\":1}}]",
         "[" item("\"a\"", "1", "25.5") "]");
    has("metadata", NULL);

    bad_at(purchase, "items", "[{\"itemId\":\"a\",\"productId\":\"a\","
           "\"quantity\":1,\"unitPrice\":1}]", "items[0]", DUPLICATE);
    bad_at(purchase, "items", "[{\"itemId\":\"a\",\"quantity\":1,"
           "\"quantity\":1,\"unitPrice\":1}]", "items[0]", DUPLICATE);
    bad_at(purchase, "items", "[{\"itemId\":\"a\",\"quantity\":1,\"x\":1,"
           "\"unitPrice\":1,\"x\":1}]", "items[0]", DUPLICATE);
    bad_at(purchase, "items", "[{\"itemId\":\"a\",\"quantity\":1,"
           "\"unitPrice\":1,\"x\":[{\"y\":1,\"y\":1}]}]", "items[0]",
           DUPLICATE);

    for (i = 0, p = text; i < 501; i++) {
        p += sprintf(p, "%s" item("\"a\"", "1", "0.1"), i ? "," : "[");

        if (i == 499) {
            strcpy(p, "]");
            same(purchase, "items", text);
        }
    }

    strcpy(p, "]");
    bad(purchase, "items", text, INVALID);
}


static void
test_sum(void **state)
{
    good(purchase, "value", "25.505", "25.505");
    has("metadata", NULL);
    good(purchase, "value", "25.51", "25.51");
    has("metadata", "{\"valueMismatch\":true}");
    good(purchase, "value", "25.49", "25.49");
    has("metadata", "{\"valueMismatch\":true}");

    /* 3 * 0.1 is not 0.3 in binary; many thirds */

    good("{\"type\":\"purchase\",\"orderId\":\"o\",\"value\":0.3,"
         "\"currency\":\"EUR\"}", "items", "[" item("\"a\"", "3", "0.1") "]",
         "[" item("\"a\"", "3", "0.1") "]");
    has("metadata", NULL);
    good("{\"type\":\"purchase\",\"orderId\":\"o\",\"value\":1e11,"
         "\"currency\":\"EUR\"}", "items",
         "[" item("\"a\"", "3", "33333333333.33333") "]",
         "[" item("\"a\"", "3", "33333333333.33333") "]");
    has("metadata", NULL);

    /* the sum may be infinite */

    good(purchase, "items", "[" item("\"a\"", "1000000", "1e308") "]",
         "[" item("\"a\"", "1000000", "1e+308") "]");
    has("metadata", "{\"valueMismatch\":true}");

    good(purchase, "metadata", "{\"valueMismatch\":false}", "{}");
    good(purchase, "metadata", "{\"a\":1,\"valueMismatch\":1,\"b\":2}",
         "{\"a\":1,\"b\":2}");
    bad(purchase, "metadata", "{\"valueMismatch\":1,\"valueMismatch\":1}",
        DUPLICATE);

    good("{\"type\":\"purchase\",\"orderId\":\"o\",\"value\":1,"
         "\"currency\":\"EUR\",\"metadata\":{\"a\":1,\"valueMismatch\":0}}",
         "items", "[" item("\"a\"", "1", "2") "]",
         "[" item("\"a\"", "1", "2") "]");
    has("metadata", "{\"a\":1,\"valueMismatch\":true}");

    good("{\"type\":\"purchase\",\"orderId\":\"o\",\"value\":1,"
         "\"currency\":\"EUR\",\"metadata\":{}}",
         "items", "[" item("\"a\"", "1", "2") "]",
         "[" item("\"a\"", "1", "2") "]");
    has("metadata", "{\"valueMismatch\":true}");

    /* on other types it is the client's */

    same(click, "metadata", "{\"valueMismatch\":1}");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(test_types),
        test(test_names),
        test(test_not_event),
        test(test_required),
        test(test_case),
        test(test_duplicates),
        test(test_event_id),
        test(test_serve_id),
        test(test_item_id),
        test(test_position),
        test(test_served),
        test(test_item_ids),
        test(test_json),
        test(test_json_size),
        test(test_plain),
        test(test_purchase),
        test(test_items),
        test(test_sum),
    };

    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
