
/*
 * The selectors on random texts: what cJSON finds is found, and no cut changes
 * what is found or refused.
 */


#include "path_run.h"


/* random texts: few names, so that much matches */

static const char  *test_names[] = { "a", "b", "ab", "\\u0061", "a\\u0062",
                                     "c\\n", "", "\xc3\xa4", "x.y" };

static char *
test_make(char *p, ngx_uint_t depth)
{
    ngx_uint_t  i, n, kind;

    static const char  *scalars[] = {
        "\"\"", "\"x\"", "\"\\u00e4\\ud83d\\ude00\"", "\"\\\"\\\\\\/\"",
        "\"0123456789abcdef0123456789abcde\"", "0", "-1", "12.5", "1e3",
        "true", "false", "null", "\"\xe2\x82\xac\"", "\" {[,]}: \""
    };

    kind = test_random(depth < 6 ? 10 : 3);

    if (depth == 0 && kind < 4) {
        kind = 4 + kind % 2 * 3;
    }

    if (kind < 4) {
        return p + sprintf(p, "%s", scalars[test_random(14)]);
    }

    *p++ = (kind < 7) ? '[' : '{';

    for (n = test_random(depth < 3 ? 8 : 3), i = 0; i < n; i++) {
        if (i) {
            *p++ = ',';
        }

        if (test_random(4) == 0) {
            *p++ = ' ';
        }

        if (kind >= 7) {
            p += sprintf(p, "\"%s\":", test_names[test_random(9)]);
        }

        p = test_make(p, depth + 1);
    }

    *p++ = (kind < 7) ? ']' : '}';

    return p;
}


/* the selectors of the random test, in a form that is easy to walk */

typedef struct {
    const char  *text;
    const char  *steps[5];          /* "*": [], "#N": [N] */
} test_path_t;

static const test_path_t  test_paths[] = {
    { "a", { "a" } },
    { "a.b", { "a", "b" } },
    { "[]", { "*" } },
    { "[].a", { "*", "a" } },
    { "ab[]", { "ab", "*" } },
    { "[1]", { "#1" } },
    { "[][0].a", { "*", "#0", "a" } },
    { "b.ab.a", { "b", "ab", "a" } },
    { "a[].b[]", { "a", "*", "b", "*" } },
    { "[\"x.y\"][\"\"]", { "x.y", "" } },
    { "[][]", { "*", "*" } },
    { "\xc3\xa4[2]", { "\xc3\xa4", "#2" } },
    { "a.a", { "a", "a" } },
    { "[].ab[]", { "*", "ab", "*" } }
};


static void
test_expect(test_run_t *run, cJSON *json, const test_path_t **paths,
    ngx_uint_t n, ngx_uint_t mask, ngx_uint_t depth)
{
    char         num[40];
    cJSON       *child;
    const char  *text, *step;
    ngx_uint_t   i, k, next, kind;

    kind = cJSON_IsObject(json) ? NGX_HTTP_REFINE_JSON_OBJECT
           : cJSON_IsArray(json) ? NGX_HTTP_REFINE_JSON_ARRAY
           : cJSON_IsString(json) ? NGX_HTTP_REFINE_JSON_STRING
           : cJSON_IsNumber(json) ? NGX_HTTP_REFINE_JSON_NUMBER
           : cJSON_IsTrue(json) ? NGX_HTTP_REFINE_JSON_TRUE
           : cJSON_IsFalse(json) ? NGX_HTTP_REFINE_JSON_FALSE
           : NGX_HTTP_REFINE_JSON_NULL;

    text = "";

    if (kind == NGX_HTTP_REFINE_JSON_STRING) {
        text = json->valuestring;

    } else if (kind == NGX_HTTP_REFINE_JSON_NUMBER) {
        sprintf(num, "%g", json->valuedouble);
        text = (json->valuedouble == 1000) ? "1e3" : num;
    }

    for (i = 0; i < n; i++) {
        if ((mask & (1 << i)) && paths[i]->steps[depth] == NULL) {
            test_log(run, i, kind, text, strlen(text), "");
        }
    }

    for (k = 0, child = json->child; child; k++, child = child->next) {

        next = 0;

        for (i = 0; i < n; i++) {
            step = paths[i]->steps[depth];

            if (!(mask & (1 << i)) || step == NULL) {
                continue;
            }

            if (kind == NGX_HTTP_REFINE_JSON_ARRAY
                ? (step[0] == '*'
                   || (step[0] == '#' && (ngx_uint_t) atoi(step + 1) == k))
                : strcmp(step, child->string) == 0)
            {
                next |= 1 << i;
            }
        }

        /* of members of one name the first one counts */

        if (kind == NGX_HTTP_REFINE_JSON_OBJECT) {
            mask &= ~next;
        }

        if (next) {
            test_expect(run, child, paths, n, next, depth + 1);
        }
    }
}


static void
test_against_cjson(void **state)
{
    char                        *text, *end;
    cJSON                       *json;
    size_t                       len, cut, found;
    ngx_uint_t                   i, k, n, round;
    const char                  *texts[MAX_PATHS];
    test_run_t                  *run, *want;
    const test_path_t           *paths[MAX_PATHS];
    ngx_http_refine_path_set_t  *set;

    text = malloc(1000000);
    run = malloc(sizeof(test_run_t));
    want = malloc(sizeof(test_run_t));
    assert_true(text && run && want);

    run->stop = 0;
    found = 0;

    for (round = 0; round < 3000; round++) {
        n = 1 + test_random(MAX_PATHS);

        for (i = 0; i < n; i++) {
            k = test_random(sizeof(test_paths) / sizeof(test_paths[0]));
            paths[i] = &test_paths[k];
            texts[i] = test_paths[k].text;
        }

        set = test_compile(texts, n);

        end = test_make(text, 0);
        *end = '\0';
        len = end - text;

        json = cJSON_Parse(text);
        assert_non_null(json);

        want->len = 0;
        want->log[0] = '\0';
        test_expect(want, json, paths, n, (1 << n) - 1, 0);
        cJSON_Delete(json);

        for (cut = NO_CUT; cut >= RANDOM_CUTS; cut--) {
            test_match(run, set, text, len, cut,
                       (round & 1) ? NGX_HTTP_REFINE_JSON_LOOSE : 0);

            if (run->rc != NGX_OK || strcmp(run->log, want->log) != 0) {
                fail_msg("%s of %d in %s: %d\n%s\nexpected:\n%s", texts[0],
                         (int) n, text, (int) run->rc, run->log, want->log);
            }
        }

        found += run->found;
    }

    assert_true(found > 5000);

    free(text);
    free(run);
    free(want);
}


/* a few bytes are replaced, left out or put in */

static size_t
test_spoil(char *text, size_t len)
{
    char        c;
    size_t      at;
    ngx_uint_t  n;

    static const char  bytes[] = "\"\"\"\\\\[]{}[]{},:.-0aeuy_ \n\x01\x7f"
                                 "\xc3\xa4\xff";

    for (n = test_random(4); n && len; n--) {
        at = test_random(len);
        c = bytes[test_random(sizeof(bytes) - 1)];

        switch (test_random(3)) {

        case 0:
            text[at] = c;
            break;

        case 1:
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
            break;

        default:
            memmove(text + at + 1, text + at, len - at);
            text[at] = c;
            len++;
        }
    }

    return len;
}


/*
 * What is passed over without a check makes texts valid that are not: which
 * ones must not depend on where the text is cut.
 */

static void
test_cuts(void **state)
{
    char                        *text;
    size_t                       len, cut;
    ngx_uint_t                   i, n, round, flags, good, bad;
    const char                  *texts[MAX_PATHS];
    test_run_t                  *run, *whole;
    ngx_http_refine_path_set_t  *set;

    text = malloc(1000000);
    run = malloc(sizeof(test_run_t));
    whole = malloc(sizeof(test_run_t));
    assert_true(text && run && whole);

    run->stop = 0;
    whole->stop = 0;
    good = 0;
    bad = 0;

    for (round = 0; round < 4000; round++) {
        n = 1 + test_random(2);

        for (i = 0; i < n; i++) {
            texts[i] = test_paths[test_random(sizeof(test_paths)
                                              / sizeof(test_paths[0]))].text;
        }

        set = test_compile(texts, n);

        do {
            len = test_make(text, 0) - text;
        } while (len > 400);

        len = test_spoil(text, len);
        flags = NGX_HTTP_REFINE_JSON_BOM
                | ((round & 3) ? NGX_HTTP_REFINE_JSON_LOOSE : 0);

        test_match(whole, set, text, len, NO_CUT, flags);

        *(whole->rc == NGX_OK ? &good : &bad) += 1;

        for (cut = RANDOM_CUTS; cut != len; cut++) {
            test_match(run, set, text, len, cut, flags);

            if (run->rc != whole->rc || strcmp(run->log, whole->log) != 0) {
                fail_msg("%s of %d in %.*s cut at %d: %d %s, uncut: %d %s",
                         texts[0], (int) n, (int) len, text, (int) cut,
                         (int) run->rc, run->log, (int) whole->rc, whole->log);
            }
        }
    }

    assert_true(good > 1000 && bad > 1000);

    free(text);
    free(run);
    free(whole);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_against_cjson),
        cmocka_unit_test(test_cuts)
    };

    return cmocka_run_group_tests_name("path_random", tests, test_setup,
                                       test_teardown);
}
