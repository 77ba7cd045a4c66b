
#include "ngx_http_refine_catalog_option.h"
#include "ngx_http_refine_catalog_spool.h"


typedef struct {
    ngx_cycle_t                  *cycle;
    ngx_http_refine_main_conf_t  *rmcf;
    ngx_http_refine_catalog_t    *catalog;
    ngx_log_t                    *log;
    ngx_uint_t                    level;     /* of messages */
    ngx_uid_t                     user;      /* of the workers */
    ngx_gid_t                     group;
} ngx_http_refine_spool_dir_t;


static ngx_int_t ngx_http_refine_spool_dir_ready(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_refine_spool_dir_make(
    ngx_http_refine_spool_dir_t *dir, ngx_str_t *path);
static ngx_int_t ngx_http_refine_spool_dir_check(
    ngx_http_refine_spool_dir_t *dir, ngx_str_t *path);
static void ngx_http_refine_spool_dir_others(ngx_http_refine_spool_dir_t *dir);
static ngx_uint_t ngx_http_refine_spool_dir_known(
    ngx_http_refine_spool_dir_t *dir, ngx_str_t *path);
static ngx_uint_t ngx_http_refine_spool_dir_holds(ngx_str_t *path);


ngx_int_t
ngx_http_refine_spool_dir(ngx_conf_t *cf, ngx_http_refine_main_conf_t *rmcf,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_http_refine_spool_dir_t  *dir;

    dir = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_spool_dir_t));
    if (dir == NULL) {
        return NGX_ERROR;
    }

    dir->cycle = cf->cycle;
    dir->rmcf = rmcf;
    dir->catalog = catalog;
    dir->level = (catalog->source.preset_spool && !catalog->queue.alone)
                 ? NGX_LOG_ERR : NGX_LOG_EMERG;

    ngx_http_refine_shared_then(catalog->zone, ngx_http_refine_spool_dir_ready,
                                dir);

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_dir_ready(void *data, ngx_log_t *log)
{
    ngx_http_refine_spool_dir_t *dir = data;

    ngx_core_conf_t            *ccf;
    ngx_http_refine_catalog_t  *catalog;

    catalog = dir->catalog;
    dir->log = log;

    ccf = (ngx_core_conf_t *) ngx_get_conf(dir->cycle->conf_ctx,
                                           ngx_core_module);

    dir->user = geteuid();
    dir->group = getegid();

    if (dir->user == 0 && ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        dir->user = ccf->user;
        dir->group = ccf->group;
    }

    if (ngx_http_refine_spool_dir_make(dir, &catalog->source.spool) == NGX_OK
        && ngx_http_refine_spool_dir_make(dir, &catalog->queue.spool.path)
           == NGX_OK)
    {
        ngx_http_refine_spool_dir_others(dir);

        return NGX_OK;
    }

    if (!catalog->source.preset_spool || catalog->queue.alone) {
        return NGX_ERROR;
    }

    /* nobody has asked for it */

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "refine: catalog \"%V\" has no spool, so events are refused "
                  "while redis is away: set \"spool PATH SIZE\" or "
                  "\"spool off\"", &catalog->name);

    catalog->queue.spool.path.len = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_dir_make(ngx_http_refine_spool_dir_t *dir,
    ngx_str_t *path)
{
    if (ngx_create_dir(path->data, 0700) == NGX_FILE_ERROR) {

        if (ngx_errno == NGX_EEXIST) {
            return ngx_http_refine_spool_dir_check(dir, path);
        }

        ngx_log_error(dir->level, dir->log, ngx_errno,
                      "refine: the spool \"%V\" of refine_catalog \"%V\" "
                      "cannot be made: " ngx_create_dir_n " failed",
                      path, &dir->catalog->name);
        return NGX_ERROR;
    }

    if (dir->user != geteuid()
        && chown((const char *) path->data, dir->user, dir->group) == -1)
    {
        ngx_log_error(dir->level, dir->log, ngx_errno,
                      "refine: the spool \"%V\" of refine_catalog \"%V\" "
                      "cannot be given to the workers: chown() failed",
                      path, &dir->catalog->name);

        (void) ngx_delete_dir(path->data);

        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_dir_check(ngx_http_refine_spool_dir_t *dir,
    ngx_str_t *path)
{
    const char       *what;
    ngx_file_info_t   fi;

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(dir->level, dir->log, ngx_errno,
                      "refine: the spool \"%V\" of refine_catalog \"%V\": "
                      ngx_file_info_n " failed", path, &dir->catalog->name);
        return NGX_ERROR;
    }

    what = NULL;

    if (!ngx_is_dir(&fi)) {
        what = "is not a directory";

    } else if (fi.st_mode & S_IWOTH) {
        what = "can be written to by everyone, its mode should be 0700";

    } else if ((fi.st_mode & S_IRWXU) != S_IRWXU) {
        what = "cannot be written to by its owner, its mode should be 0700";
    }

    if (what) {
        ngx_log_error(dir->level, dir->log, 0,
                      "refine: the spool \"%V\" of refine_catalog \"%V\" %s",
                      path, &dir->catalog->name, what);
        return NGX_ERROR;
    }

    if (fi.st_uid != dir->user) {
        ngx_log_error(dir->level, dir->log, 0,
                      "refine: the spool \"%V\" of refine_catalog \"%V\" "
                      "belongs to the user %ui, allowed: that of the workers, "
                      "%ui", path, &dir->catalog->name,
                      (ngx_uint_t) fi.st_uid, (ngx_uint_t) dir->user);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* events of a catalog that was taken out of the configuration stay there */

static void
ngx_http_refine_spool_dir_others(ngx_http_refine_spool_dir_t *dir)
{
    u_char       name[NGX_MAX_PATH];
    ngx_str_t    path, *base;
    ngx_dir_t    d;

    base = &dir->catalog->source.spool;

    if (ngx_open_dir(base, &d) == NGX_ERROR) {
        return;
    }

    while (ngx_read_dir(&d) == NGX_OK) {

        if (ngx_de_name(&d)[0] == '.'
            || base->len + ngx_de_namelen(&d) + NGX_HTTP_REFINE_SPOOL_NAMES
               > sizeof(name))
        {
            continue;
        }

        path.data = name;
        path.len = ngx_sprintf(name, "%V/%s%Z", base, ngx_de_name(&d)) - name
                   - 1;

        if (!ngx_http_refine_spool_dir_known(dir, &path)
            && ngx_http_refine_spool_dir_holds(&path))
        {
            ngx_log_error(NGX_LOG_WARN, dir->log, 0,
                          "refine: the spool \"%V\" holds events of a catalog "
                          "that is not configured, they stay there", &path);
        }
    }

    (void) ngx_close_dir(&d);
}


/* that of a catalog, or seen by one that came before and has the same base */

static ngx_uint_t
ngx_http_refine_spool_dir_known(ngx_http_refine_spool_dir_t *dir,
    ngx_str_t *path)
{
    ngx_str_t                   *base, *other;
    ngx_uint_t                   i, before;
    ngx_http_refine_catalog_t  **catalogs;

    catalogs = dir->rmcf->catalogs.elts;
    base = &dir->catalog->source.spool;
    before = 1;

    for (i = 0; i < dir->rmcf->catalogs.nelts; i++) {

        other = &catalogs[i]->queue.spool.path;

        if (other->len == path->len
            && ngx_memcmp(other->data, path->data, path->len) == 0)
        {
            return 1;
        }

        if (catalogs[i] == dir->catalog) {
            before = 0;
        }

        other = &catalogs[i]->source.spool;

        if (before && other->len == base->len
            && ngx_memcmp(other->data, base->data, base->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_refine_spool_dir_holds(ngx_str_t *path)
{
    u_char      *p;
    ngx_dir_t    d;
    ngx_uint_t   found;

    if (ngx_open_dir(path, &d) == NGX_ERROR) {
        return 0;
    }

    found = 0;

    while (!found && ngx_read_dir(&d) == NGX_OK) {
        p = (u_char *) ngx_strstr(ngx_de_name(&d), ".spool");
        found = (p != NULL);
    }

    (void) ngx_close_dir(&d);

    return found;
}
