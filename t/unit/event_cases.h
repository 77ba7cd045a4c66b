
/*
 * What the tests of ngx_http_refine_event share: an event that is changed in
 * one place, and what becomes of it.
 */


#ifndef _EVENT_CASES_H_INCLUDED_
#define _EVENT_CASES_H_INCLUDED_


#include "ngx_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_event.h"


#define NOW  1700000000000ULL

#define MISSING    NGX_HTTP_REFINE_REJECTED_MISSING
#define INVALID    NGX_HTTP_REFINE_REJECTED_INVALID
#define TYPE       NGX_HTTP_REFINE_REJECTED_TYPE
#define DUPLICATE  NGX_HTTP_REFINE_REJECTED_DUPLICATE
#define NOT_EVENT  NGX_HTTP_REFINE_REJECTED_NOT_EVENT


static const char  click[] =
    "{\"type\":\"click\",\"serveId\":\"s1\",\"itemId\":\"a\",\"position\":3}";
static const char  view[] =
    "{\"type\":\"view\",\"serveId\":\"s1\",\"itemId\":\"a\",\"position\":3}";
static const char  cart[] =
    "{\"type\":\"add_to_cart\",\"serveId\":\"s1\",\"itemId\":\"a\"}";
static const char  served[] =
    "{\"type\":\"items_served\",\"surface\":\"home_page\","
    "\"source\":\"curated\",\"itemIds\":[\"a\",\"b\"]}";
static const char  purchase[] =
    "{\"type\":\"purchase\",\"orderId\":\"o1\",\"value\":25.5,"
    "\"currency\":\"EUR\",\"items\":["
    "{\"itemId\":\"a\",\"quantity\":2,\"unitPrice\":10},"
    "{\"itemId\":\"b\",\"quantity\":1,\"unitPrice\":5.5}]}";

static ngx_pool_t                     *pool;
static ngx_http_refine_event_t         ev;
static ngx_http_refine_event_env_t     env;
static ngx_http_refine_event_error_t   err;
static cJSON                          *line;       /* the last, parsed */
static char                           *line_text;


static ngx_inline int
setup(void **state)
{
    ngx_stub_fail_after(0);
    pool = ngx_create_pool(4096, NULL);

    memset(&env, 0, sizeof(env));
    env.now = NOW;
    env.types = (1 << NGX_HTTP_REFINE_EVENT_TYPES) - 1;

    return pool == NULL;
}


static ngx_inline int
teardown(void **state)
{
    cJSON_Delete(line);
    line = NULL;
    free(line_text);
    line_text = NULL;
    ngx_destroy_pool(pool);
    return 0;
}


/* reads back the line of ev */

static ngx_inline void
read_line(void)
{
    ngx_str_t  id;

    free(line_text);
    line_text = malloc(ev.line.len + 1);
    memcpy(line_text, ev.line.data, ev.line.len);
    line_text[ev.line.len] = '\0';
    assert_int_equal(strlen(line_text), ev.line.len);
    assert_null(strchr(line_text, '\n'));

    cJSON_Delete(line);
    line = cJSON_Parse(line_text);

    if (line == NULL) {
        fail_msg("not JSON: %s", line_text);
    }

    assert_int_equal(ngx_http_refine_event_id(&ev.line, &id), NGX_OK);
    assert_ptr_equal(id.data, ev.id.data);
    assert_int_equal(id.len, ev.id.len);
    assert_string_equal(line->child->string, "eventId");
    assert_int_equal(strlen(line->child->valuestring), id.len);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(line, "type")
                            ->valuestring,
                        (char *) ngx_http_refine_event_names[ev.type].data);
}


static ngx_inline ngx_int_t
parse(const char *text)
{
    cJSON      *json;
    ngx_int_t   rc;

    json = cJSON_Parse(text);

    if (json == NULL) {
        fail_msg("the test's own JSON is broken: %s", text);
    }

    memset(&ev, 0, sizeof(ev));
    memset(&err, 0, sizeof(err));

    rc = ngx_http_refine_event_parse(pool, json, &env, &ev, &err);

    /* nothing may point into it */

    cJSON_Delete(json);

    if (rc == NGX_OK) {
        read_line();
    }

    return rc;
}


/* the event with one member replaced by the raw text, NULL: left out */

static ngx_inline char *
change(const char *base, const char *key, const char *raw)
{
    char   *text, *changed;
    cJSON  *json;

    json = cJSON_Parse(base);
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);

    changed = malloc(strlen(text) + strlen(key) + (raw ? strlen(raw) : 0) + 8);

    if (raw) {
        sprintf(changed, "%.*s,\"%s\":%s}", (int) strlen(text) - 1, text, key,
                raw);
    } else {
        strcpy(changed, text);
    }

    free(text);

    return changed;
}


/* the line has the member with exactly this JSON text; NULL: not at all */

static ngx_inline void
has(const char *key, const char *expected)
{
    char   *member, *at;
    size_t  len;

    if (expected == NULL) {
        assert_null(cJSON_GetObjectItemCaseSensitive(line, key));
        return;
    }

    assert_non_null(cJSON_GetObjectItemCaseSensitive(line, key));

    len = strlen(key) + strlen(expected) + 3;
    member = malloc(len + 1);
    sprintf(member, "\"%s\":%s", key, expected);

    at = strstr(line_text, member);

    if (at == NULL || (at[len] != ',' && at[len] != '}')) {
        fail_msg("no %s in %s", member, line_text);
    }

    free(member);
}


static ngx_inline void
good(const char *base, const char *key, const char *raw, const char *expected)
{
    char  *text;

    text = change(base, key, raw);

    if (parse(text) != NGX_OK) {
        fail_msg("%s: %.*s: %.*s", text, (int) err.field.len,
                 (char *) err.field.data, (int) err.error.len,
                 (char *) err.error.data);
    }

    free(text);
    has(key, expected);
}


#define same(base, key, raw)  good(base, key, raw, raw)


static ngx_inline void
bad_at(const char *base, const char *key, const char *raw, const char *field,
    ngx_http_refine_counter_e reason)
{
    char  *text;

    text = change(base, key, raw);

    if (parse(text) != NGX_DECLINED) {
        fail_msg("accepted: %s", text);
    }

    free(text);

    assert_int_equal(err.reason, reason);
    assert_int_equal(err.field.len, strlen(field));
    if (err.field.len) {
        assert_memory_equal(err.field.data, field, err.field.len);
    }
    assert_in_range(err.error.len, 5, 200);
}


static ngx_inline void
bad(const char *base, const char *key, const char *raw,
    ngx_http_refine_counter_e reason)
{
    bad_at(base, key, raw, key, reason);
}


/* "ccc...", n times, as JSON text, with something before */

static ngx_inline char *
many(const char *before, char c, size_t n)
{
    static char  text[8192];

    sprintf(text, "\"%s", before);
    memset(text + 1 + strlen(before), c, n);
    strcpy(text + 1 + strlen(before) + n, "\"");

    return text;
}


static ngx_inline void
error_is(const char *text)
{
    assert_int_equal(err.error.len, strlen(text));
    assert_memory_equal(err.error.data, text, err.error.len);
}


static ngx_inline char *
id_list(ngx_uint_t n, ngx_uint_t different)
{
    char         *p;
    ngx_uint_t    i;
    static char   text[32768];

    p = text;
    *p++ = '[';

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s\"id-%u\"", i ? "," : "",
                     (unsigned) (i % different));
    }

    strcpy(p, "]");

    return text;
}


#define test(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)


#endif /* _EVENT_CASES_H_INCLUDED_ */
