
/*
 * Selectors: no cut changes what they find; what they find is what a walk over
 * the tree of cJSON finds; what is not checked does not change what is found.
 * Two bytes of options, then a selector a line, an empty line, and the text.
 */


#include "fuzz.h"
#include <cjson/cJSON.h>
#include "ngx_http_refine_path_set.h"


#define FUZZ_LONG    32         /* of a value, where some are too long */

/* texts that cJSON reads alike */
#define FUZZ_STRICT  (NGX_HTTP_REFINE_JSON_NO_NUL|NGX_HTTP_REFINE_JSON_NO_LONE)


static ngx_http_refine_path_set_t  *fuzz_set;
static ngx_uint_t                   fuzz_flags;
static size_t                       fuzz_max;
static ngx_uint_t                   fuzz_end;   /* after so many values */
static ngx_uint_t                   fuzz_found;


static void
fuzz_report(fuzz_log_t *log, ngx_uint_t selector,
    ngx_http_refine_json_token_e kind, const char *text, size_t len)
{
    char   number[64];
    cJSON  *json;

    if (kind == NGX_HTTP_REFINE_JSON_NUMBER && fuzz_max > FUZZ_LONG) {

        /* cJSON has not kept how it was written */

        json = cJSON_ParseWithLength(text, len);
        fuzz_assert(json != NULL);

        text = number;
        len = sprintf(number, "%.17g", json->valuedouble);

        cJSON_Delete(json);
    }

    fuzz_print(log, "\n%d %c ", (int) selector, "..}{[ksntf0"[kind]);
    fuzz_write(log, text, len);
}


static ngx_int_t
fuzz_handler(void *data, ngx_uint_t selector,
    ngx_http_refine_path_value_t *value)
{
    fuzz_assert(selector < fuzz_set->n);
    fuzz_assert(!value->too_long || value->text.len == 0);
    fuzz_assert(value->text.len <= fuzz_max);

    fuzz_report(data, selector, value->kind, (char *) value->text.data,
                value->text.len);

    fuzz_print(data, "%s", value->too_long ? " (long)"
                           : value->bad ? " (bad)" : "");

    return (++fuzz_found == fuzz_end) ? NGX_ABORT : NGX_OK;
}


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    ngx_int_t                      rc;
    ngx_pool_t                    *pool;
    ngx_http_refine_path_match_t   m;

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    ngx_http_refine_path_init(&m, fuzz_set, pool, fuzz_flags, fuzz_max,
                              fuzz_handler, log);

    fuzz_found = 0;
    rc = NGX_OK;

    while (rc == NGX_OK && fuzz_next(in)) {
        rc = ngx_http_refine_path_feed(&m, in->piece.data, in->piece.len);
    }

    fuzz_assert(rc == NGX_OK || ngx_http_refine_path_end(&m) == rc);

    fuzz_print(log, "\nend %d", (int) ngx_http_refine_path_end(&m));

    ngx_destroy_pool(pool);
}


/* the selectors that lead from a node to its child, of those that led there */

static ngx_uint_t
fuzz_step(const cJSON *node, const cJSON *child, ngx_uint_t mask,
    ngx_uint_t depth, ngx_uint_t index)
{
    ngx_uint_t                    i, next;
    ngx_http_refine_path_t       *path;
    ngx_http_refine_path_step_t  *step;

    next = 0;

    for (i = 0; i < fuzz_set->n; i++) {
        path = fuzz_set->paths[i];
        step = &path->steps[depth];

        if (!(mask & (1 << i)) || depth == path->nsteps) {
            continue;
        }

        if (step->kind == NGX_HTTP_REFINE_PATH_NAME
            ? (cJSON_IsObject(node)
               && strlen(child->string) == step->name.len
               && memcmp(child->string, step->name.data, step->name.len) == 0)
            : (cJSON_IsArray(node)
               && (step->kind == NGX_HTTP_REFINE_PATH_ANY
                   || step->index == index)))
        {
            next |= 1 << i;
        }
    }

    return next;
}


static void
fuzz_walk(const cJSON *node, ngx_uint_t mask, ngx_uint_t depth,
    fuzz_log_t *log)
{
    ngx_uint_t                     i, index, next;
    const char                    *text;
    const cJSON                   *child;
    ngx_http_refine_json_token_e   kind;

    kind = cJSON_IsObject(node) ? NGX_HTTP_REFINE_JSON_OBJECT
           : cJSON_IsArray(node) ? NGX_HTTP_REFINE_JSON_ARRAY
           : cJSON_IsString(node) ? NGX_HTTP_REFINE_JSON_STRING
           : cJSON_IsNumber(node) ? NGX_HTTP_REFINE_JSON_NUMBER
           : cJSON_IsTrue(node) ? NGX_HTTP_REFINE_JSON_TRUE
           : cJSON_IsFalse(node) ? NGX_HTTP_REFINE_JSON_FALSE
           : NGX_HTTP_REFINE_JSON_NULL;

    for (i = 0; i < fuzz_set->n; i++) {

        if (!(mask & (1 << i)) || fuzz_set->paths[i]->nsteps != depth) {
            continue;
        }

        if (kind == NGX_HTTP_REFINE_JSON_NUMBER) {
            fuzz_print(log, "\n%d n %.17g", (int) i, node->valuedouble);

        } else {
            text = cJSON_IsString(node) ? node->valuestring : "";
            fuzz_report(log, i, kind, text, strlen(text));
        }
    }

    for (child = node->child, index = 0; child; child = child->next, index++) {
        next = fuzz_step(node, child, mask, depth, index);

        /* of members of one name the first one counts */

        if (cJSON_IsObject(node)) {
            mask &= ~next;
        }

        if (next) {
            fuzz_walk(child, next, depth + 1, log);
        }
    }
}


static void
fuzz_against_cjson(u_char *p, size_t len)
{
    size_t              offset;
    cJSON              *json;
    const char         *error;
    ngx_uint_t          loose;

    static fuzz_log_t   log, expected;

    if (ngx_http_refine_json_check(p, len, NGX_HTTP_REFINE_JSON_MAX_DEPTH,
                                   FUZZ_STRICT, &offset, &error)
        != NGX_OK)
    {
        return;
    }

    json = cJSON_ParseWithLength((char *) p, len);
    if (json == NULL) {
        return;
    }

    fuzz_max = FUZZ_LOG;
    fuzz_end = 0;
    expected.len = 0;

    if (json->child) {
        fuzz_walk(json, (1 << fuzz_set->n) - 1, 0, &expected);
    }

    fuzz_print(&expected, "\nend 0");

    cJSON_Delete(json);

    for (loose = 0; loose < 2; loose++) {
        fuzz_flags = loose ? NGX_HTTP_REFINE_JSON_LOOSE : FUZZ_STRICT;

        fuzz_cuts(p, len, fuzz_run, &log);

        if (log.len != expected.len
            || memcmp(log.text, expected.text, log.len) != 0)
        {
            fprintf(stderr, "found:\n%.*s\nexpected:\n%.*s\n", (int) log.len,
                    log.text, (int) expected.len, expected.text);
            abort();
        }
    }
}


/* n selectors, a line each, up to an empty one; what follows, or NULL */

static u_char *
fuzz_selectors(ngx_pool_t *pool, u_char *p, u_char *last)
{
    u_char                  *end;
    ngx_str_t                text;
    ngx_uint_t               n;
    const char              *error;
    ngx_http_refine_path_t  *paths[NGX_HTTP_REFINE_PATH_MAX_SET];

    n = 0;

    for ( ;; ) {
        end = memchr(p, '\n', last - p);

        if (end == NULL || n == NGX_HTTP_REFINE_PATH_MAX_SET) {
            return NULL;
        }

        if (end == p) {
            break;
        }

        /* the names of a selector stay in its text */

        text.len = end - p;
        text.data = ngx_pnalloc(pool, text.len);
        fuzz_assert(text.data != NULL);
        memcpy(text.data, p, text.len);

        error = ngx_http_refine_path_compile(pool, &text, &paths[n]);

        if (error == NULL) {
            n++;
        }

        p = end + 1;
    }

    if (n == 0) {
        return NULL;
    }

    fuzz_set = ngx_http_refine_path_set(pool, paths, n);
    fuzz_assert(fuzz_set != NULL);

    return end + 1;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char             *copy, *p, *last;
    ngx_pool_t         *pool;

    static fuzz_log_t   log;

    if (size < 2) {
        return 0;
    }

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    copy = fuzz_copy(data, size);
    last = copy + size;

    p = fuzz_selectors(pool, copy + 2, last);

    if (p) {
        fuzz_flags = (data[0] & 0x1f) & ~NGX_HTTP_REFINE_JSON_QUIET;
        fuzz_end = data[1] & 0x1f;
        fuzz_max = FUZZ_LONG;

        fuzz_cuts(p, last - p, fuzz_run, &log);

        fuzz_against_cjson(p, last - p);
    }

    free(copy);
    ngx_destroy_pool(pool);

    return 0;
}
