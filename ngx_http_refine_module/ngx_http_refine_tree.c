
#include "ngx_http_refine_tree.h"


/* of the first block, 1k: more than a click needs */
#define NGX_HTTP_REFINE_TREE_NODES   16

/* that many digits are exact in a double */
#define NGX_HTTP_REFINE_TREE_DIGITS  15


static ngx_int_t ngx_http_refine_tree_build(ngx_http_refine_tree_t *tree,
    ngx_http_refine_json_t *json);
static cJSON *ngx_http_refine_tree_node(ngx_http_refine_tree_t *tree);
static void ngx_http_refine_tree_value(cJSON *node,
    ngx_http_refine_json_t *json, ngx_http_refine_json_token_e token);
static char *ngx_http_refine_tree_string(ngx_http_refine_json_t *json);
static double ngx_http_refine_tree_number(ngx_str_t *text);


ngx_int_t
ngx_http_refine_tree_parse(ngx_http_refine_tree_t *tree, u_char *p, size_t len,
    ngx_uint_t max_depth, ngx_uint_t flags)
{
    ngx_http_refine_json_t  json;

    /* the end of a number that ends the text is for strtod() */

    tree->text = ngx_pnalloc(tree->pool, len + 1);
    if (tree->text == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(tree->text, p, len) = '\0';

    ngx_http_refine_json_init(&json, max_depth, flags);
    ngx_http_refine_json_input(&json, tree->text, len);

    if (ngx_http_refine_tree_build(tree, &json) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_refine_json_end(&json) == NGX_OK) {
        return NGX_OK;
    }

    tree->error = json.error;
    tree->offset = ngx_http_refine_json_offset(&json);

    return NGX_DECLINED;
}


/* what the lexer refuses is the end, too, and what is cut off */

static ngx_int_t
ngx_http_refine_tree_build(ngx_http_refine_tree_t *tree,
    ngx_http_refine_json_t *json)
{
    char                           *key;
    cJSON                          *node, **next;
    cJSON                         **outer[NGX_HTTP_REFINE_JSON_MAX_DEPTH];
    ngx_http_refine_json_token_e    token;

    key = NULL;
    next = &tree->root;

    for ( ;; ) {
        token = ngx_http_refine_json_next(json);

        if (token <= NGX_HTTP_REFINE_JSON_ERROR || json->more) {
            return NGX_OK;
        }

        switch (token) {

        case NGX_HTTP_REFINE_JSON_KEY:
            key = ngx_http_refine_tree_string(json);
            continue;

        case NGX_HTTP_REFINE_JSON_END:
            next = outer[json->depth];
            continue;

        default:
            break;
        }

        node = ngx_http_refine_tree_node(tree);
        if (node == NULL) {
            return NGX_ERROR;
        }

        *next = node;
        next = &node->next;

        node->string = key;
        key = NULL;

        ngx_http_refine_tree_value(node, json, token);

        if (token == NGX_HTTP_REFINE_JSON_OBJECT
            || token == NGX_HTTP_REFINE_JSON_ARRAY)
        {
            outer[json->depth - 1] = next;
            next = &node->child;
        }
    }
}


static cJSON *
ngx_http_refine_tree_node(ngx_http_refine_tree_t *tree)
{
    cJSON       *block;
    ngx_uint_t   n;

    if (tree->used == tree->nodes) {
        n = tree->nodes ? tree->nodes * 2 : NGX_HTTP_REFINE_TREE_NODES;

        block = ngx_palloc(tree->pool, n * sizeof(cJSON));
        if (block == NULL) {
            return NULL;
        }

        block->next = tree->block;

        tree->block = block;
        tree->nodes = n;
        tree->used = 1;
    }

    block = &tree->block[tree->used++];

    ngx_memzero(block, sizeof(cJSON));

    return block;
}


static void
ngx_http_refine_tree_value(cJSON *node, ngx_http_refine_json_t *json,
    ngx_http_refine_json_token_e token)
{
    switch (token) {

    case NGX_HTTP_REFINE_JSON_OBJECT:
        node->type = cJSON_Object;
        return;

    case NGX_HTTP_REFINE_JSON_ARRAY:
        node->type = cJSON_Array;
        return;

    case NGX_HTTP_REFINE_JSON_STRING:
        node->type = cJSON_String;
        node->valuestring = ngx_http_refine_tree_string(json);
        return;

    case NGX_HTTP_REFINE_JSON_NUMBER:
        node->type = cJSON_Number;
        node->valuedouble = ngx_http_refine_tree_number(&json->text);
        return;

    case NGX_HTTP_REFINE_JSON_TRUE:
        node->type = cJSON_True;
        return;

    case NGX_HTTP_REFINE_JSON_FALSE:
        node->type = cJSON_False;
        return;

    default:
        node->type = cJSON_NULL;
    }
}


/* in its place; the quote behind it, which has been read, makes room for \0 */

static char *
ngx_http_refine_tree_string(ngx_http_refine_json_t *json)
{
    size_t      len;
    u_char     *p;
    ngx_uint_t  lone;

    p = json->text.data;
    len = json->text.len;

    if (json->escaped) {
        len = ngx_http_refine_json_unescape(p, p, len, &lone);
    }

    p[len] = '\0';

    return (char *) p;
}


/* what follows the number in the text ends it for strtod() as well */

static double
ngx_http_refine_tree_number(ngx_str_t *text)
{
    size_t   i;
    int64_t  n;

    if (text->len > NGX_HTTP_REFINE_TREE_DIGITS) {
        return strtod((char *) text->data, NULL);
    }

    n = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return strtod((char *) text->data, NULL);
        }

        n = n * 10 + (text->data[i] - '0');
    }

    return (double) n;
}


void
ngx_http_refine_tree_free(ngx_http_refine_tree_t *tree)
{
    cJSON  *block;

    while (tree->block) {
        block = tree->block;
        tree->block = block->next;

        (void) ngx_pfree(tree->pool, block);
    }

    if (tree->text) {
        (void) ngx_pfree(tree->pool, tree->text);
        tree->text = NULL;
    }

    tree->root = NULL;
    tree->nodes = 0;
    tree->used = 0;
}
