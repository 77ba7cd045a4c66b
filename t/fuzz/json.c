
/*
 * The JSON lexer: no cut changes what it reports or refuses; it accepts what a
 * plain recogniser of RFC 8259 does; it reads the values that cJSON reads, and
 * makes the same tree of them.
 * Three bytes of options precede the text, "@@@" for none.
 */


#include "fuzz.h"
#include <cjson/cJSON.h>
#include "ngx_http_refine_json.h"
#include "ngx_http_refine_tree.h"


#define FUZZ_STRICT  (NGX_HTTP_REFINE_JSON_NO_NUL|NGX_HTTP_REFINE_JSON_NO_LONE)


static ngx_uint_t  fuzz_flags;
static ngx_uint_t  fuzz_depth;
static ngx_uint_t  fuzz_skips;      /* bits by the number of the token */
static ngx_uint_t  fuzz_leaves;


static const u_char *fuzz_value(const u_char *p, const u_char *last,
    ngx_uint_t depth);


/* the recogniser: what follows is returned, NULL when it is not JSON */

static const u_char *
fuzz_blank(const u_char *p, const u_char *last)
{
    while (p < last && memchr(" \t\r\n", *p, 4)) {
        p++;
    }

    return p;
}


static const u_char *
fuzz_digits(const u_char *p, const u_char *last)
{
    const u_char  *start;

    for (start = p; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

    return (p == start) ? NULL : p;
}


static const u_char *
fuzz_number(const u_char *p, const u_char *last)
{
    if (*p == '-') {
        p++;
    }

    if (p < last && *p == '0') {
        p++;

    } else {
        p = fuzz_digits(p, last);
    }

    if (p && p < last && *p == '.') {
        p = fuzz_digits(p + 1, last);
    }

    if (p && p < last && (*p | 0x20) == 'e') {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        p = fuzz_digits(p, last);
    }

    return p;
}


static int
fuzz_unit(const u_char *p, const u_char *last)
{
    char  hex[5];

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }

    memcpy(hex, p + 2, 4);
    hex[4] = '\0';

    return (strspn(hex, "0123456789abcdefABCDEF") == 4)
           ? (int) strtol(hex, NULL, 16) : -1;
}


static const u_char *
fuzz_escape(const u_char *p, const u_char *last)
{
    int  unit, low;

    if (last - p >= 2 && p[1] && strchr("\"\\/bfnrt", p[1])) {
        return p + 2;
    }

    unit = fuzz_unit(p, last);

    if (unit < 0
        || (unit == 0 && (fuzz_flags & NGX_HTTP_REFINE_JSON_NO_NUL)))
    {
        return NULL;
    }

    p += 6;

    if (!(fuzz_flags & NGX_HTTP_REFINE_JSON_NO_LONE)
        || unit < 0xd800 || unit > 0xdfff)
    {
        return p;
    }

    low = fuzz_unit(p, last);

    return (unit <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) ? p + 6 : NULL;
}


/* RFC 3629: decoded, and compared with the bounds of its length */

static const u_char *
fuzz_utf8(const u_char *p, const u_char *last)
{
    uint32_t   code;
    ngx_int_t  i, n;

    static const uint32_t  least[] = { 0, 0x80, 0x800, 0x10000 };

    n = (*p >= 0xf0) + (*p >= 0xe0) + (*p >= 0xc0);

    if (n == 0 || *p >= 0xf8 || last - p <= n) {
        return NULL;
    }

    code = *p & (0x3f >> n);

    for (i = 1; i <= n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return NULL;
        }

        code = code << 6 | (p[i] & 0x3f);
    }

    return (code >= least[n] && code <= 0x10ffff
            && (code < 0xd800 || code > 0xdfff)) ? p + n + 1 : NULL;
}


static const u_char *
fuzz_string(const u_char *p, const u_char *last)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    for (p++; p && p < last && *p != '"'; /* void */ ) {
        p = (*p < 0x20) ? NULL
            : (*p == '\\') ? fuzz_escape(p, last)
            : (*p < 0x80) ? p + 1
            : fuzz_utf8(p, last);
    }

    return (p && p < last) ? p + 1 : NULL;
}


static const u_char *
fuzz_list(const u_char *p, const u_char *last, ngx_uint_t depth)
{
    u_char  end;

    end = (*p == '{') ? '}' : ']';

    p = fuzz_blank(p + 1, last);

    if (p < last && *p == end) {
        return depth ? p + 1 : NULL;
    }

    for ( ;; ) {

        if (end == '}') {
            p = fuzz_string(fuzz_blank(p, last), last);
            p = p ? fuzz_blank(p, last) : NULL;

            if (p == NULL || p == last || *p != ':') {
                return NULL;
            }

            p++;
        }

        p = depth ? fuzz_value(fuzz_blank(p, last), last, depth - 1) : NULL;
        p = p ? fuzz_blank(p, last) : NULL;

        if (p == NULL || p == last || (*p != ',' && *p != end)) {
            return NULL;
        }

        if (*p++ == end) {
            return p;
        }
    }
}


static const u_char *
fuzz_value(const u_char *p, const u_char *last, ngx_uint_t depth)
{
    ngx_uint_t  i;

    static const ngx_str_t  words[] = {
        ngx_string("true"), ngx_string("false"), ngx_string("null")
    };

    if (p == last) {
        return NULL;
    }

    if (*p == '{' || *p == '[') {
        return fuzz_list(p, last, depth);
    }

    if (*p == '"') {
        return fuzz_string(p, last);
    }

    for (i = 0; i < 3; i++) {
        if ((size_t) (last - p) >= words[i].len
            && memcmp(p, words[i].data, words[i].len) == 0)
        {
            return p + words[i].len;
        }
    }

    return fuzz_number(p, last);
}


static ngx_uint_t
fuzz_is_json(const u_char *p, size_t len)
{
    const u_char  *last;

    last = p + len;

    if ((fuzz_flags & NGX_HTTP_REFINE_JSON_BOM)
        && len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
    {
        p += 3;
    }

    p = fuzz_value(fuzz_blank(p, last), last, fuzz_depth);

    return p && fuzz_blank(p, last) == last;
}


/*
 * The lexer, by pieces.  When the text is refused what has come of the token
 * at hand does not count, nor do those before it that were passed over.
 */

static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    size_t                         sure;
    ngx_int_t                      rc;
    ngx_uint_t                     n, partial, text;
    ngx_http_refine_json_t         json;
    ngx_http_refine_json_token_e   token;

    ngx_http_refine_json_init(&json, fuzz_depth, fuzz_flags);

    n = 0;
    sure = 0;
    partial = 0;
    token = NGX_HTTP_REFINE_JSON_AGAIN;

    while (token != NGX_HTTP_REFINE_JSON_ERROR && fuzz_next(in)) {

        ngx_http_refine_json_input(&json, in->piece.data, in->piece.len);

        for ( ;; ) {
            token = ngx_http_refine_json_next(&json);

            if (token <= NGX_HTTP_REFINE_JSON_ERROR) {
                break;
            }

            fuzz_assert(json.depth <= fuzz_depth);

            text = (token >= NGX_HTTP_REFINE_JSON_KEY
                    && token <= NGX_HTTP_REFINE_JSON_NUMBER);

            if (!partial) {
                fuzz_print(log, "\n%d %c ", (int) json.depth,
                           "..}{[ksntf0"[token]);

                if ((fuzz_skips >> (n++ % 5) & 1)
                    && token != NGX_HTTP_REFINE_JSON_END)
                {
                    ngx_http_refine_json_skip(&json);
                    fuzz_print(log, "skip");
                    continue;
                }
            }

            if (text) {
                fuzz_assert(json.text.data >= in->piece.data
                            && json.text.data + json.text.len
                               <= in->piece.data + in->piece.len);
                fuzz_write(log, json.text.data, json.text.len);
            }

            partial = text && json.more;

            if (text && !partial) {
                fuzz_print(log, "%s", json.escaped ? " escaped" : "");
            }

            if (!partial && token != NGX_HTTP_REFINE_JSON_KEY
                && token != NGX_HTTP_REFINE_JSON_OBJECT
                && token != NGX_HTTP_REFINE_JSON_ARRAY
                && json.depth && (fuzz_leaves >> (n % 5) & 1))
            {
                ngx_http_refine_json_leave(&json);
                fuzz_print(log, " leave");
            }

            sure = partial ? sure : log->len;
        }
    }

    rc = ngx_http_refine_json_end(&json);

    if (rc != NGX_OK) {
        log->len = sure;
    }

    fuzz_assert((rc == NGX_OK) == (json.error == NULL));
    fuzz_print(log, "\nend %d %s %d", (int) rc, json.error ? json.error : "",
               (int) ngx_http_refine_json_offset(&json));
}


/* unlike cJSON_Compare(): in the same order, and infinite numbers are equal */

static ngx_uint_t
fuzz_equal(const cJSON *a, const cJSON *b)
{
    for ( /* void */ ; a && b; a = a->next, b = b->next) {

        if (a->type != b->type
            || !a->string != !b->string
            || (a->string && strcmp(a->string, b->string) != 0)
            || (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring))
            || (cJSON_IsNumber(a) && a->valuedouble != b->valuedouble)
            || !fuzz_equal(a->child, b->child))
        {
            return 0;
        }
    }

    return a == b;
}


/* what cJSON has read, token by token */

static void
fuzz_same(ngx_http_refine_json_t *json, ngx_http_refine_json_token_e token,
    const cJSON *node)
{
    char   *text;
    cJSON  *value;

    fuzz_assert(!json->more);
    fuzz_assert(json->escaped
                == (memchr(json->text.data, '\\', json->text.len) != NULL));

    text = malloc(json->text.len + 2);
    fuzz_assert(text != NULL);

    /* the quotes around it */
    memcpy(text, json->text.data - 1, json->text.len + 2);

    value = (token == NGX_HTTP_REFINE_JSON_NUMBER)
            ? cJSON_ParseWithLength(text + 1, json->text.len)
            : cJSON_ParseWithLength(text, json->text.len + 2);

    free(text);

    fuzz_assert(value != NULL);

    if (token == NGX_HTTP_REFINE_JSON_KEY) {
        fuzz_assert(strcmp(value->valuestring, node->string) == 0);

    } else {
        fuzz_assert(value->type == node->type);
        fuzz_assert(cJSON_IsString(value)
                    ? strcmp(value->valuestring, node->valuestring) == 0
                    : value->valuedouble == node->valuedouble);
    }

    cJSON_Delete(value);
}


static void
fuzz_walk(ngx_http_refine_json_t *json, const cJSON *node)
{
    const cJSON                   *child;
    ngx_http_refine_json_token_e   token;

    for (child = node->child; child; child = child->next) {

        if (cJSON_IsObject(node)) {
            token = ngx_http_refine_json_next(json);
            fuzz_assert(token == NGX_HTTP_REFINE_JSON_KEY);
            fuzz_same(json, token, child);
        }

        token = ngx_http_refine_json_next(json);

        switch (child->type & 0xff) {

        case cJSON_Object:
        case cJSON_Array:
            fuzz_assert(token == (cJSON_IsObject(child)
                                  ? NGX_HTTP_REFINE_JSON_OBJECT
                                  : NGX_HTTP_REFINE_JSON_ARRAY));
            fuzz_walk(json, child);
            break;

        case cJSON_String:
            fuzz_assert(token == NGX_HTTP_REFINE_JSON_STRING);
            fuzz_same(json, token, child);
            break;

        case cJSON_Number:
            fuzz_assert(token == NGX_HTTP_REFINE_JSON_NUMBER);
            fuzz_same(json, token, child);
            break;

        default:
            fuzz_assert(token == (cJSON_IsNull(child)
                                  ? NGX_HTTP_REFINE_JSON_NULL
                                  : cJSON_IsTrue(child)
                                    ? NGX_HTTP_REFINE_JSON_TRUE
                                    : NGX_HTTP_REFINE_JSON_FALSE));
        }
    }

    token = ngx_http_refine_json_next(json);
    fuzz_assert(token == NGX_HTTP_REFINE_JSON_END);
}


/* the same tree, or what check() says of the text */

static void
fuzz_tree(u_char *p, size_t len, cJSON *root)
{
    size_t                   offset;
    u_char                  *before;
    ngx_int_t                rc;
    const char              *error;
    ngx_http_refine_tree_t   tree;

    memset(&tree, 0, sizeof(ngx_http_refine_tree_t));

    tree.pool = ngx_create_pool(1024, NULL);
    fuzz_assert(tree.pool != NULL);

    before = fuzz_copy(p, len);

    rc = ngx_http_refine_tree_parse(&tree, p, len, fuzz_depth, FUZZ_STRICT);

    fuzz_assert(memcmp(before, p, len) == 0);

    if (ngx_http_refine_json_check(p, len, fuzz_depth, FUZZ_STRICT, &offset,
                                   &error)
        == NGX_OK)
    {
        fuzz_assert(rc == NGX_OK);
        fuzz_assert(!root
                    || !(cJSON_IsObject(root) || cJSON_IsArray(root))
                    || fuzz_equal(tree.root, root));

    } else {
        fuzz_assert(rc == NGX_DECLINED);
        fuzz_assert(tree.error == error && tree.offset == offset);
    }

    ngx_http_refine_tree_free(&tree);
    ngx_destroy_pool(tree.pool);
    free(before);
}


/* cJSON reads 63 characters of a number */

static void
fuzz_cjson(const u_char *p, size_t len)
{
    cJSON                         *root;
    const char                    *end;
    ngx_http_refine_json_t         json;
    ngx_http_refine_json_token_e   token;

    root = cJSON_ParseWithLengthOpts((const char *) p, len, &end, 0);

    if (root == NULL) {
        fuzz_assert(end < (const char *) p + len
                    && strchr("0123456789+-.eE", *end) && *end);
        return;
    }

    if (cJSON_IsObject(root) || cJSON_IsArray(root)) {
        ngx_http_refine_json_init(&json, fuzz_depth, 0);
        ngx_http_refine_json_input(&json, (u_char *) p, len);

        token = ngx_http_refine_json_next(&json);
        fuzz_assert(token == (cJSON_IsObject(root)
                              ? NGX_HTTP_REFINE_JSON_OBJECT
                              : NGX_HTTP_REFINE_JSON_ARRAY));

        fuzz_walk(&json, root);
    }

    fuzz_tree((u_char *) p, len, root);

    cJSON_Delete(root);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char             *text;
    size_t              offset;
    ngx_int_t           rc;
    const char         *error;
    ngx_uint_t          accepted;

    static fuzz_log_t   log;

    if (size < 3) {
        return 0;
    }

    fuzz_flags = data[0] & 0x1f;
    fuzz_depth = (data[0] & 0x20) ? 3 : NGX_HTTP_REFINE_JSON_MAX_DEPTH;
    fuzz_skips = data[1] & 0x1f;
    fuzz_leaves = data[2] & 0x1f;

    data += 3;
    size -= 3;

    fuzz_cuts(data, size, fuzz_run, &log);

    text = fuzz_copy(data, size);

    rc = ngx_http_refine_json_check(text, size, fuzz_depth, fuzz_flags,
                                    &offset, &error);

    fuzz_assert((rc == NGX_OK) == fuzz_is_json(text, size));

    /* what is passed over is checked, unless it is LOOSE */

    accepted = (memmem(log.text, log.len, "\nend 0 ", 7) != NULL);

    fuzz_assert((rc == NGX_OK) == accepted
                || (accepted && (fuzz_flags & NGX_HTTP_REFINE_JSON_LOOSE)));

    if (rc == NGX_OK && (fuzz_flags & FUZZ_STRICT) == FUZZ_STRICT
        && !(fuzz_flags & NGX_HTTP_REFINE_JSON_BOM))
    {
        fuzz_cjson(text, size);

    } else {
        fuzz_tree(text, size, NULL);
    }

    free(text);

    return 0;
}
