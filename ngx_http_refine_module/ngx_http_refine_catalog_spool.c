
#include "ngx_http_refine_catalog_option.h"
#include "ngx_http_refine_catalog_spool.h"

#if (NGX_THREADS)
#include <ngx_thread_pool.h>
#endif


#define NGX_HTTP_REFINE_SPOOL_SIZE  (1024LL * 1024 * 1024)

#define NGX_HTTP_REFINE_SPOOL_FORMS                                           \
    "PATH SIZE [fsync=always|interval|off], or off"


#ifndef NGX_HTTP_PROXY_TEMP_PATH
#define NGX_HTTP_PROXY_TEMP_PATH  "proxy_temp"
#endif


static char *ngx_http_refine_spool_fsync(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value);
static ngx_int_t ngx_http_refine_spool_preset(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);
static ngx_int_t ngx_http_refine_spool_place(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);
static ngx_int_t ngx_http_refine_spool_threads(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);


char *
ngx_http_refine_option_spool(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    off_t       size;
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_http_refine_option_place(cf, &catalog->source.spool_at);

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        catalog->source.no_spool = 1;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 2) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              NGX_HTTP_REFINE_SPOOL_FORMS);
    }

    size = ngx_parse_offset(&value[2]);

    if (size == NGX_ERROR || size < option->low || size > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[2],
                                              option->allowed);
    }

    catalog->source.spool = value[1];
    catalog->queue.spool.size = size;
    catalog->queue.spool.fsync = NGX_HTTP_REFINE_FSYNC_INTERVAL;

    return (cf->args->nelts == 4) ? ngx_http_refine_spool_fsync(cf, catalog,
                                                                option,
                                                                &value[3])
                                  : NGX_CONF_OK;
}


static char *
ngx_http_refine_spool_fsync(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value)
{
    ngx_uint_t  *fsync;

    fsync = &catalog->queue.spool.fsync;

    if (ngx_strcmp(value->data, "fsync=always") == 0) {
        *fsync = NGX_HTTP_REFINE_FSYNC_ALWAYS;

    } else if (ngx_strcmp(value->data, "fsync=interval") == 0) {
        *fsync = NGX_HTTP_REFINE_FSYNC_INTERVAL;

    } else if (ngx_strcmp(value->data, "fsync=off") == 0) {
        *fsync = NGX_HTTP_REFINE_FSYNC_OFF;

    } else {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                              "fsync=always, fsync=interval "
                                              "or fsync=off");
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_refine_catalog_spool(ngx_conf_t *cf,
    ngx_http_refine_main_conf_t *rmcf, ngx_http_refine_catalog_t *catalog)
{
    ngx_str_t                    *path;
    ngx_uint_t                    i;
    ngx_conf_t                    conf;
    ngx_conf_file_t               file;
    ngx_http_refine_catalog_t   **catalogs;

    if (catalog->source.no_spool) {
        return NGX_OK;
    }

    if (catalog->source.spool.len == 0
        && ngx_http_refine_spool_preset(cf, catalog) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_refine_catalog_at(cf, &conf, &file, &catalog->source.spool_at);

    if (ngx_http_refine_spool_place(&conf, catalog) != NGX_OK) {
        return NGX_ERROR;
    }

    catalogs = rmcf->catalogs.elts;
    path = &catalog->queue.spool.path;

    for (i = 0; catalogs[i] != catalog; i++) {

        if (catalogs[i]->queue.spool.path.len == path->len
            && ngx_memcmp(catalogs[i]->queue.spool.path.data, path->data,
                          path->len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, &conf, 0,
                               "refine_catalog \"%V\" and \"%V\" have the "
                               "same spool \"%V\", allowed: a PATH each, or "
                               "another prefix= of \"queue\"",
                               &catalogs[i]->name, &catalog->name, path);
            return NGX_ERROR;
        }
    }

    if (ngx_http_refine_spool_threads(&conf, catalog) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_refine_spool_dir(cf, rmcf, catalog);
}


/* beside the directory of proxy_temp_path, as nginx was built */

static ngx_int_t
ngx_http_refine_spool_preset(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
    size_t      len;
    u_char     *p;
    ngx_str_t  *path;

    static ngx_str_t  proxy = ngx_string(NGX_HTTP_PROXY_TEMP_PATH);

    path = &catalog->source.spool;

    for (len = proxy.len; len && proxy.data[len - 1] != '/'; len--) {
        /* void */
    }

    path->len = len + sizeof("refine_spool") - 1;
    path->data = ngx_pnalloc(cf->pool, path->len + 1);
    if (path->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path->data, proxy.data, len);
    ngx_memcpy(p, "refine_spool", sizeof("refine_spool"));

    catalog->queue.spool.size = NGX_HTTP_REFINE_SPOOL_SIZE;
    catalog->queue.spool.fsync = NGX_HTTP_REFINE_FSYNC_INTERVAL;
    catalog->source.spool_at = catalog->source.block;
    catalog->source.preset_spool = 1;

    return NGX_OK;
}


/* each catalog has a directory within PATH, named as its keys in Redis are */

static ngx_int_t
ngx_http_refine_spool_place(ngx_conf_t *cf, ngx_http_refine_catalog_t *catalog)
{
    u_char      *p, *last;
    size_t       i;
    ngx_str_t   *base, *path, *name;
    ngx_uint_t   part;

    base = &catalog->source.spool;

    if (ngx_conf_full_name(cf->cycle, base, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    while (base->len > 1 && base->data[base->len - 1] == '/') {
        base->data[--base->len] = '\0';
    }

    path = &catalog->queue.spool.path;

    p = ngx_pnalloc(cf->pool, base->len + 3 + (catalog->queue.prefix.len
                                               + catalog->catalog_id.len) * 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    path->data = p;
    p = ngx_cpymem(p, base->data, base->len);
    *p++ = '/';
    last = p;

    for (part = 0; part < 2; part++) {
        name = part ? &catalog->catalog_id : &catalog->queue.prefix;

        if (part) {
            *p++ = ':';
        }

        for (i = 0; i < name->len; i++) {

            if (name->data[i] == '/' || name->data[i] == '%') {
                p = ngx_sprintf(p, "%%%02Xd", (ngx_int_t) name->data[i]);

            } else {
                *p++ = name->data[i];
            }
        }
    }

    *p = '\0';
    path->len = p - path->data;

    if (p - last > NAME_MAX
        || path->len + NGX_HTTP_REFINE_SPOOL_NAMES >= NGX_MAX_PATH)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the path of the \"spool\" in refine_catalog "
                           "\"%V\" is too long: \"%V\"",
                           &catalog->name, path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_threads(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
#if (NGX_THREADS)

    catalog->queue.threads = ngx_thread_pool_add(cf, NULL);

    return catalog->queue.threads ? NGX_OK : NGX_ERROR;

#else

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "nginx was built without threads, so a worker waits "
                       "for the disk of the \"spool\" in refine_catalog "
                       "\"%V\"", &catalog->name);
    return NGX_OK;

#endif
}
