
#include "ngx_http_refine_path.h"
#include "ngx_http_refine_path_set.h"


static const char *ngx_http_refine_path_bracket(ngx_pool_t *pool,
    ngx_str_t *rest, ngx_http_refine_path_step_t *step);
static const char *ngx_http_refine_path_quoted(ngx_pool_t *pool,
    ngx_str_t *rest, ngx_http_refine_path_step_t *step);
static const char *ngx_http_refine_path_name(ngx_str_t *rest,
    ngx_http_refine_path_step_t *step);


const char *
ngx_http_refine_path_compile(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_refine_path_t **path)
{
    ngx_str_t                     rest;
    const char                   *error;
    ngx_uint_t                    first;
    ngx_http_refine_path_t       *found;
    ngx_http_refine_path_step_t  *step;

    if (text->len == 0) {
        return "is empty, a selector such as \"results[].id\" is expected";
    }

    found = ngx_pcalloc(pool, sizeof(ngx_http_refine_path_t));
    if (found == NULL) {
        return "cannot be compiled: no memory";
    }

    rest = *text;

    while (rest.len) {

        if (found->nsteps == NGX_HTTP_REFINE_PATH_MAX_STEPS) {
            return "has too many steps, at most 16 are allowed";
        }

        first = (found->nsteps == 0);
        step = &found->steps[found->nsteps++];

        if (rest.data[0] == '[') {
            error = ngx_http_refine_path_bracket(pool, &rest, step);

        } else {

            if (rest.data[0] == '.') {

                if (first) {
                    return "starts with \".\", "
                           "a name or \"[\" is expected there";
                }

                rest.data++;
                rest.len--;

            } else if (!first) {
                return "has text after \"]\", "
                       "only \".\" and \"[\" are allowed there";
            }

            error = ngx_http_refine_path_name(&rest, step);
        }

        if (error != NULL) {
            return error;
        }
    }

    *path = found;

    return NULL;
}


static const char *
ngx_http_refine_path_bracket(ngx_pool_t *pool, ngx_str_t *rest,
    ngx_http_refine_path_step_t *step)
{
    size_t       len;
    u_char      *p, *digit;
    ngx_uint_t   n;

    if (rest->len >= 2 && rest->data[1] == '"') {
        return ngx_http_refine_path_quoted(pool, rest, step);
    }

    p = memchr(rest->data, ']', rest->len);
    if (p == NULL) {
        return "has a \"[\" without its \"]\"";
    }

    len = p - (rest->data + 1);

    if (len == 0) {
        step->kind = NGX_HTTP_REFINE_PATH_ANY;

    } else {
        n = 0;

        for (digit = rest->data + 1; digit < p; digit++) {

            if (len > 9 || *digit < '0' || *digit > '9') {
                return "has something else between \"[\" and \"]\" than "
                       "nothing, a number of at most 9 digits or a name in "
                       "double quotes";
            }

            n = n * 10 + (*digit - '0');
        }

        step->kind = NGX_HTTP_REFINE_PATH_INDEX;
        step->index = n;
    }

    rest->data += len + 2;
    rest->len -= len + 2;

    return NULL;
}


static const char *
ngx_http_refine_path_quoted(ngx_pool_t *pool, ngx_str_t *rest,
    ngx_http_refine_path_step_t *step)
{
    u_char  *p, *last, *dst;

    dst = ngx_pnalloc(pool, rest->len);
    if (dst == NULL) {
        return "cannot be compiled: no memory";
    }

    step->kind = NGX_HTTP_REFINE_PATH_NAME;
    step->name.data = dst;

    last = rest->data + rest->len;

    for (p = rest->data + 2; p < last && *p != '"'; p++) {

        if (*p == '\\') {
            p++;

            if (p == last || (*p != '"' && *p != '\\')) {
                return "has an unknown escape in a quoted name, "
                       "only \\\" and \\\\ are allowed";
            }
        }

        *dst++ = *p;
    }

    if (last - p < 2 || p[1] != ']') {
        return "has a quoted name that does not end with \"] behind it";
    }

    step->name.len = dst - step->name.data;

    if (step->name.len > NGX_HTTP_REFINE_PATH_MAX_NAME) {
        return "has a name that is too long, at most 128 bytes are allowed";
    }

    rest->data = p + 2;
    rest->len = last - rest->data;

    return NULL;
}


static const char *
ngx_http_refine_path_name(ngx_str_t *rest, ngx_http_refine_path_step_t *step)
{
    u_char  *p, *last;

    last = rest->data + rest->len;

    for (p = rest->data; p < last && *p != '.' && *p != '['; p++) {

        if (*p <= ' ' || *p == 0x7f || *p == ']' || *p == '"' || *p == '\\'
            || *p == '|')
        {
            return "has a space, control character, \"]\", '\"', \"\\\" or "
                   "\"|\" in a name; such a name has to be written as "
                   "[\"name\"]";
        }
    }

    step->kind = NGX_HTTP_REFINE_PATH_NAME;
    step->name.data = rest->data;
    step->name.len = p - rest->data;

    if (step->name.len == 0) {
        return "has no name before or after a \".\", "
               "an empty name has to be written as [\"\"]";
    }

    if (step->name.len > NGX_HTTP_REFINE_PATH_MAX_NAME) {
        return "has a name that is too long, at most 128 bytes are allowed";
    }

    rest->data = p;
    rest->len = last - p;

    return NULL;
}


ngx_http_refine_path_t *
ngx_http_refine_path_list(ngx_pool_t *pool, ngx_http_refine_path_t *path)
{
    ngx_uint_t               n;
    ngx_http_refine_path_t  *list;

    for (n = path->nsteps; n; n--) {
        if (path->steps[n - 1].kind == NGX_HTTP_REFINE_PATH_ANY) {
            break;
        }
    }

    if (n <= 1) {
        return NULL;
    }

    list = ngx_palloc(pool, sizeof(ngx_http_refine_path_t));
    if (list == NULL) {
        return NULL;
    }

    *list = *path;
    list->nsteps = n - 1;

    return list;
}


ngx_http_refine_path_set_t *
ngx_http_refine_path_set(ngx_pool_t *pool, ngx_http_refine_path_t **paths,
    ngx_uint_t n)
{
    ngx_uint_t                     i, k;
    ngx_http_refine_path_set_t    *set;
    ngx_http_refine_path_step_t   *step;
    ngx_http_refine_path_masks_t  *masks;

    if (n > NGX_HTTP_REFINE_PATH_MAX_SET) {
        return NULL;
    }

    set = ngx_pcalloc(pool, sizeof(ngx_http_refine_path_set_t));
    if (set == NULL) {
        return NULL;
    }

    set->n = n;

    for (i = 0; i < n; i++) {
        set->paths[i] = paths[i];
        set->masks[paths[i]->nsteps].ends |= (ngx_uint_t) 1 << i;

        for (k = 0; k < paths[i]->nsteps; k++) {
            step = &paths[i]->steps[k];
            masks = &set->masks[k];

            if (step->kind == NGX_HTTP_REFINE_PATH_NAME) {
                masks->names |= (ngx_uint_t) 1 << i;

                /* a byte takes six at most: \u0041 */

                set->max_key = ngx_max(set->max_key, step->name.len * 6);

            } else {
                masks->elements |= (ngx_uint_t) 1 << i;

                if (step->kind == NGX_HTTP_REFINE_PATH_ANY) {
                    masks->any |= (ngx_uint_t) 1 << i;
                }
            }
        }
    }

    return set;
}
