
#include "ngx_http_refine_catalog.h"
#include "ngx_http_refine_catalog_option.h"


#define NGX_HTTP_REFINE_CATALOG_MAX_NAME   64
#define NGX_HTTP_REFINE_CATALOG_SERVES     (4 * 1024 * 1024)

#define NGX_HTTP_REFINE_REDIS_CONNECT      5000


static ngx_http_refine_catalog_t *ngx_http_refine_catalog_get(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_str_t *name);
static ngx_int_t ngx_http_refine_catalog_name(ngx_str_t *name);
static void ngx_http_refine_catalog_preset(ngx_http_refine_catalog_t *catalog);
static char *ngx_http_refine_catalog_option(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_refine_catalog_unknown(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, ngx_str_t *name);
static ngx_int_t ngx_http_refine_catalog_cookie(ngx_conf_t *cf,
    ngx_http_refine_cookie_t *cookie);
static char *ngx_http_refine_catalog_complete(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);
static ngx_int_t ngx_http_refine_catalog_missing(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_http_refine_catalog_t *catalog);
static void ngx_http_refine_catalog_share(ngx_http_refine_main_conf_t *rmcf,
    ngx_http_refine_catalog_t *catalog);
static ngx_uint_t ngx_http_refine_catalog_same(ngx_http_refine_catalog_t *one,
    ngx_http_refine_catalog_t *two);
static ngx_int_t ngx_http_refine_catalog_apart(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *one, ngx_http_refine_catalog_t *two);


#define ngx_http_refine_catalog_equal(a, b)                                   \
    ((a)->len == (b)->len && ngx_memcmp((a)->data, (b)->data, (a)->len) == 0)


char *
ngx_http_refine_catalog_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_main_conf_t *rmcf = conf;

    char                       *rv;
    ngx_str_t                  *value;
    ngx_conf_t                  save;
    ngx_http_refine_catalog_t  *catalog;

    value = cf->args->elts;

    catalog = ngx_http_refine_catalog_get(cf, rmcf, &value[1]);
    if (catalog == NULL) {
        return NGX_CONF_ERROR;
    }

    if (catalog->source.block.line) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate refine_catalog \"%V\", the first is in "
                           "%V:%ui",
                           &catalog->name, &catalog->source.block.file,
                           catalog->source.block.line);
        return NGX_CONF_ERROR;
    }

    ngx_http_refine_option_place(cf, &catalog->source.block);

    ngx_http_refine_catalog_preset(catalog);

    catalog->zone = ngx_http_refine_shared_add(cf, &catalog->name,
                                               &ngx_http_refine_module);
    if (catalog->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    save = *cf;
    cf->handler = ngx_http_refine_catalog_option;
    cf->handler_conf = (void *) catalog;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_refine_catalog_complete(cf, catalog);
}


char *
ngx_http_refine_catalog_use(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_refine_loc_conf_t *rlcf = conf;

    ngx_str_t                    *value;
    ngx_http_refine_main_conf_t  *rmcf;

    if (rlcf->catalog != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->catalog = NULL;
        return NGX_CONF_OK;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);

    rlcf->catalog = ngx_http_refine_catalog_get(cf, rmcf, &value[1]);
    if (rlcf->catalog == NULL) {
        return NGX_CONF_ERROR;
    }

    if (rlcf->catalog->source.use.line == 0) {
        ngx_http_refine_option_place(cf, &rlcf->catalog->source.use);
    }

    return NGX_CONF_OK;
}


/* finds the catalog or makes one whose block is still to come */

static ngx_http_refine_catalog_t *
ngx_http_refine_catalog_get(ngx_conf_t *cf, ngx_http_refine_main_conf_t *rmcf,
    ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_refine_catalog_t  *catalog, **catalogs;

    if (ngx_http_refine_catalog_name(name) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of a refine_catalog \"%V\", allowed: "
                           "1 to %d of letters, digits, \".\", \"_\" and "
                           "\"-\", except \"off\"",
                           name, NGX_HTTP_REFINE_CATALOG_MAX_NAME);
        return NULL;
    }

    catalogs = rmcf->catalogs.elts;

    for (i = 0; i < rmcf->catalogs.nelts; i++) {
        if (ngx_http_refine_catalog_equal(&catalogs[i]->name, name)) {
            return catalogs[i];
        }
    }

    catalog = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_catalog_t));
    catalogs = ngx_array_push(&rmcf->catalogs);

    if (catalog == NULL || catalogs == NULL) {
        return NULL;
    }

    catalog->name = *name;
    *catalogs = catalog;

    return catalog;
}


static ngx_int_t
ngx_http_refine_catalog_name(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_REFINE_CATALOG_MAX_NAME
        || ngx_strcmp(name->data, "off") == 0)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (((ch | 0x20) < 'a' || (ch | 0x20) > 'z')
            && (ch < '0' || ch > '9') && ch != '.' && ch != '_' && ch != '-')
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void
ngx_http_refine_catalog_preset(ngx_http_refine_catalog_t *catalog)
{
    char                            *p;
    ngx_uint_t                       i;
    const ngx_http_refine_option_t  *option;

    for (i = 0; i < ngx_http_refine_noptions; i++) {

        option = &ngx_http_refine_options[i];
        p = (char *) catalog + option->offset;

        if (option->set == ngx_http_refine_option_number
            || option->set == ngx_http_refine_option_percent)
        {
            *(ngx_uint_t *) p = option->preset;

        } else if (option->set == ngx_http_refine_option_msec) {
            *(ngx_msec_t *) p = option->preset;

        } else if (option->set == ngx_http_refine_option_sec) {
            *(time_t *) p = option->preset;

        } else if (option->set == ngx_http_refine_option_size) {
            *(off_t *) p = option->preset;

        } else if (option->set == ngx_http_refine_option_flag) {
            *(ngx_flag_t *) p = option->preset;
        }
    }

    ngx_str_set(&catalog->url, "https://api.joinrefine.io/events");
    ngx_str_set(&catalog->host, "api.joinrefine.io");
    ngx_str_set(&catalog->uri, "/events");
    catalog->source.address = catalog->host;
    catalog->source.https = 1;
    catalog->source.endpoint = catalog->source.block;

    ngx_str_set(&catalog->queue.prefix, "refine");
    catalog->queue.serve_buffer = NGX_HTTP_REFINE_CATALOG_SERVES;

    ngx_str_set(&catalog->visitor.name, "refine_vid");
    catalog->visitor.lifetime = 365 * NGX_HTTP_REFINE_DAY;
    ngx_str_set(&catalog->session.name, "refine_sid");
    catalog->cookie_secure = NGX_HTTP_REFINE_SECURE_AUTO;
}


static char *
ngx_http_refine_catalog_option(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    ngx_http_refine_catalog_t *catalog = conf;

    ngx_str_t                       *value;
    ngx_uint_t                       i;
    const ngx_http_refine_option_t  *option;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "include") == 0 && cf->args->nelts == 2) {
        return ngx_conf_include(cf, dummy, conf);
    }

    option = ngx_http_refine_options;

    for (i = 0; i < ngx_http_refine_noptions; i++, option++) {

        if (ngx_strcmp(value[0].data, option->name.data) == 0) {
            break;
        }
    }

    if (i == ngx_http_refine_noptions) {
        return ngx_http_refine_catalog_unknown(cf, catalog, &value[0]);
    }

    if (catalog->source.seen & ((uint64_t) 1 << i)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate option \"%V\" in refine_catalog \"%V\"",
                           &option->name, &catalog->name);
        return NGX_CONF_ERROR;
    }

    catalog->source.seen |= (uint64_t) 1 << i;

    /* the values are not quoted: one of them may be a key without its ";" */

    if (cf->args->nelts < 2 || cf->args->nelts - 1 > option->args) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of values of \"%V\" in "
                           "refine_catalog \"%V\", allowed: 1 to %ui",
                           &option->name, &catalog->name, option->args);
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (value[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "empty value of \"%V\" in refine_catalog "
                               "\"%V\"", &option->name, &catalog->name);
            return NGX_CONF_ERROR;
        }
    }

    return option->set(cf, catalog, option);
}


static char *
ngx_http_refine_catalog_unknown(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, ngx_str_t *name)
{
    u_char      *p, *last, list[NGX_MAX_CONF_ERRSTR];
    ngx_str_t    known;
    ngx_uint_t   i;

    p = list;
    last = list + sizeof(list);

    for (i = 0; i < ngx_http_refine_noptions; i++) {
        p = ngx_slprintf(p, last, "%s%V", i ? ", " : "",
                         &ngx_http_refine_options[i].name);
    }

    known.data = list;
    known.len = p - list;

    /* "api_key=KEY" is such a mistake, so nothing behind "=" is quoted */

    p = ngx_strlchr(name->data, name->data + name->len, '=');

    if (p) {
        name->len = p - name->data;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown option \"%V\" in refine_catalog \"%V\", "
                       "allowed: %V", name, &catalog->name, &known);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_refine_catalog_complete(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
    const char  *missing;

    missing = NULL;

    if (catalog->organization_id.len == 0) {
        missing = "organization_id";

    } else if (catalog->catalog_id.len == 0) {
        missing = "catalog_id";

    } else if (catalog->api_key.len == 0) {
        missing = "api_key";

    } else if (catalog->source.store.len == 0 && catalog->source.no_spool) {
        missing = "queue";
    }

    if (missing) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s\" in refine_catalog \"%V\", which needs "
                           "organization_id, catalog_id, api_key, and queue "
                           "or a spool",
                           missing, &catalog->name);
        return NGX_CONF_ERROR;
    }

    if (catalog->visitor.name.len
        && ngx_http_refine_catalog_equal(&catalog->visitor.name,
                                         &catalog->session.name))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "visitor_cookie and session_cookie have the same "
                           "name \"%V\" in refine_catalog \"%V\"",
                           &catalog->visitor.name, &catalog->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_refine_catalog_cookie(cf, &catalog->visitor) != NGX_OK
        || ngx_http_refine_catalog_cookie(cf, &catalog->session) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    catalog->queue.alone = (catalog->source.store.len == 0);
    catalog->queue.name = catalog->name;
    catalog->queue.catalog = catalog->catalog_id;
    catalog->queue.redis.owner = catalog->name;
    catalog->queue.redis.target.connect_timeout = NGX_HTTP_REFINE_REDIS_CONNECT;
    catalog->queue.redis.target.send_timeout = catalog->queue.redis.timeout;
    catalog->queue.redis.target.read_timeout = catalog->queue.redis.timeout;

    return NGX_CONF_OK;
}


/* what each Set-Cookie of it ends with */

static ngx_int_t
ngx_http_refine_catalog_cookie(ngx_conf_t *cf, ngx_http_refine_cookie_t *cookie)
{
    u_char  *p;
    size_t   len;

    len = sizeof("; Max-Age=") - 1 + NGX_TIME_T_LEN
          + sizeof("; Domain=") - 1 + cookie->domain.len
          + sizeof("; Path=/; SameSite=Lax; HttpOnly") - 1;

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    cookie->max_age.data = p;
    p = ngx_sprintf(p, "; Max-Age=%T", cookie->lifetime);
    cookie->max_age.len = p - cookie->max_age.data;

    cookie->attributes.data = p;
    p = ngx_sprintf(p, "%s%V; Path=/; SameSite=Lax; HttpOnly",
                    cookie->domain.len ? "; Domain=" : "", &cookie->domain);
    cookie->attributes.len = p - cookie->attributes.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_catalog_check(ngx_conf_t *cf)
{
    ngx_uint_t                    i, j;
    ngx_http_refine_catalog_t   **catalogs;
    ngx_http_refine_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_refine_module);
    catalogs = rmcf->catalogs.elts;

    for (i = 0; i < rmcf->catalogs.nelts; i++) {

        if (catalogs[i]->source.block.line == 0) {
            return ngx_http_refine_catalog_missing(cf, rmcf, catalogs[i]);
        }

        if (ngx_http_refine_catalog_targets(cf, catalogs[i]) != NGX_OK
            || ngx_http_refine_catalog_spool(cf, rmcf, catalogs[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (j = 0; j < i; j++) {
            if (ngx_http_refine_catalog_apart(cf, catalogs[j], catalogs[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        ngx_http_refine_catalog_share(rmcf, catalogs[i]);
    }

    return NGX_OK;
}


/* a limit is of an organization: its catalogs share it evenly */

static void
ngx_http_refine_catalog_share(ngx_http_refine_main_conf_t *rmcf,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_uint_t                   i;
    ngx_http_refine_catalog_t  **catalogs;

    catalogs = rmcf->catalogs.elts;

    for (i = 0; i < rmcf->catalogs.nelts; i++) {

        if (ngx_http_refine_catalog_equal(&catalogs[i]->organization_id,
                                          &catalog->organization_id)
            && ngx_http_refine_catalog_equal(&catalogs[i]->source.address,
                                             &catalog->source.address))
        {
            catalog->rate_share.catalogs++;
        }
    }
}


static ngx_int_t
ngx_http_refine_catalog_missing(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_http_refine_catalog_t *catalog)
{
    u_char                      *p, *last, list[NGX_MAX_CONF_ERRSTR];
    ngx_str_t                    known;
    ngx_uint_t                   i;
    ngx_conf_t                   conf;
    ngx_conf_file_t              file;
    ngx_http_refine_catalog_t  **catalogs;

    p = list;
    last = list + sizeof(list);

    catalogs = rmcf->catalogs.elts;

    for (i = 0; i < rmcf->catalogs.nelts; i++) {
        if (catalogs[i]->source.block.line) {
            p = ngx_slprintf(p, last, "%s%V", p == list ? "" : ", ",
                             &catalogs[i]->name);
        }
    }

    known.data = list;
    known.len = p - list;

    if (known.len == 0) {
        ngx_str_set(&known, "none, there is no refine_catalog");
    }

    ngx_http_refine_catalog_at(cf, &conf, &file, &catalog->source.use);

    ngx_conf_log_error(NGX_LOG_EMERG, &conf, 0,
                       "unknown catalog \"%V\" in \"refine\", known: %V",
                       &catalog->name, &known);

    return NGX_ERROR;
}


/* two catalogs on the same keys would deliver each other's events */

static ngx_int_t
ngx_http_refine_catalog_apart(ngx_conf_t *cf, ngx_http_refine_catalog_t *one,
    ngx_http_refine_catalog_t *two)
{
    ngx_conf_t       conf;
    ngx_conf_file_t  file;

    if (!ngx_http_refine_catalog_same(one, two)) {
        return NGX_OK;
    }

    ngx_http_refine_catalog_at(cf, &conf, &file, &two->source.block);

    ngx_conf_log_error(NGX_LOG_EMERG, &conf, 0,
                       "refine_catalog \"%V\" and \"%V\" have the same "
                       "catalog_id \"%V\" in the same queue \"%V\", allowed: "
                       "a queue each, or another prefix=",
                       &one->name, &two->name, &one->queue.catalog,
                       &one->queue.redis.target.name);

    return NGX_ERROR;
}


void
ngx_http_refine_catalog_compare(ngx_array_t *before, ngx_array_t *now,
    ngx_log_t *log)
{
    ngx_uint_t                   i, j, n;
    ngx_http_refine_catalog_t  **old, **catalogs;

    old = before->elts;
    catalogs = now ? now->elts : NULL;
    n = now ? now->nelts : 0;

    for (i = 0; i < before->nelts; i++) {

        for (j = 0; j < n; j++) {
            if (ngx_http_refine_catalog_same(old[i], catalogs[j])) {
                break;
            }
        }

        if (j == n && old[i]->queue.alone) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "refine: catalog \"%V\" is not delivered any more: "
                          "what its queue holds stays in the spool \"%V\"",
                          &old[i]->name, &old[i]->queue.spool.path);

        } else if (j == n) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "refine: catalog \"%V\" is not delivered any more: "
                          "what its queue holds stays in redis %V under "
                          "%V:{%V}:events", &old[i]->name,
                          &old[i]->queue.redis.target.name,
                          &old[i]->queue.prefix,
                          &old[i]->catalog_id);
        }
    }
}


/* under whatever name, they have one queue */

static ngx_uint_t
ngx_http_refine_catalog_same(ngx_http_refine_catalog_t *one,
    ngx_http_refine_catalog_t *two)
{
    ngx_http_refine_queue_conf_t  *a, *b;

    a = &one->queue;
    b = &two->queue;

    /* a queue in Redis takes what the spool held that was one before */

    if (a->alone || b->alone) {
        return a->alone && a->spool.path.len
               && ngx_http_refine_catalog_equal(&a->spool.path,
                                                &b->spool.path);
    }

    return a->redis.db == b->redis.db
           && ngx_http_refine_catalog_equal(&a->catalog, &b->catalog)
           && ngx_http_refine_catalog_equal(&a->prefix, &b->prefix)
           && ngx_http_refine_catalog_equal(&a->redis.target.name,
                                            &b->redis.target.name);
}
