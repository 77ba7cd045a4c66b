
#include "ngx_http_refine_spool_core.h"
#include <sys/file.h>


typedef struct {
    char                            *names;    /* of NAME bytes each */
    size_t                           n;
    size_t                           room;
} ngx_http_refine_spool_names_t;


static ngx_int_t ngx_http_refine_spool_list(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_names_t *list);
static ngx_uint_t ngx_http_refine_spool_named(const char *name);
static ngx_int_t ngx_http_refine_spool_list_add(
    ngx_http_refine_spool_t *spool, ngx_http_refine_spool_names_t *list,
    const char *name);
static int ngx_libc_cdecl ngx_http_refine_spool_cmp(const void *one,
    const void *two);
static ngx_int_t ngx_http_refine_spool_open_header(
    ngx_http_refine_spool_t *spool, ngx_uint_t lock,
    ngx_http_refine_spool_segment_t *segment);
static ngx_int_t ngx_http_refine_spool_add(ngx_http_refine_spool_t *spool,
    const char *name, void *data);


ngx_int_t
ngx_http_refine_spool_each(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_each_pt handler, void *data)
{
    size_t                         i;
    ngx_int_t                      rc;
    ngx_http_refine_spool_names_t  list;

    ngx_memzero(&list, sizeof(ngx_http_refine_spool_names_t));

    rc = ngx_http_refine_spool_list(spool, &list);

    if (list.n > 1) {
        qsort(list.names, list.n, NGX_HTTP_REFINE_SPOOL_NAME,
              ngx_http_refine_spool_cmp);
    }

    for (i = 0; i < list.n && rc == NGX_OK; i++) {
        rc = handler(spool, list.names + i * NGX_HTTP_REFINE_SPOOL_NAME, data);
    }

    ngx_free(list.names);

    return rc;
}


static ngx_int_t
ngx_http_refine_spool_list(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_names_t *list)
{
    DIR            *dir;
    ngx_int_t       rc;
    struct dirent  *entry;

    dir = opendir((const char *) spool->conf->path.data);
    if (dir == NULL) {
        return ngx_http_refine_spool_failed(spool, "opendir()");
    }

    rc = NGX_OK;

    while (rc == NGX_OK) {
        ngx_set_errno(0);
        entry = readdir(dir);

        if (entry == NULL) {
            if (ngx_errno) {
                rc = ngx_http_refine_spool_failed(spool, "readdir()");
            }

            break;
        }

        if (ngx_http_refine_spool_named(entry->d_name)) {
            rc = ngx_http_refine_spool_list_add(spool, list, entry->d_name);
        }
    }

    (void) closedir(dir);

    return rc;
}


static ngx_uint_t
ngx_http_refine_spool_named(const char *name)
{
    size_t  len, suffix;

    len = ngx_strlen(name);
    suffix = sizeof(NGX_HTTP_REFINE_SPOOL_SUFFIX) - 1;

    return len > suffix
           && len < NGX_HTTP_REFINE_SPOOL_NAME
           && name[0] >= '0' && name[0] <= '9'
           && ngx_strcmp(name + len - suffix, NGX_HTTP_REFINE_SPOOL_SUFFIX)
              == 0;
}


static ngx_int_t
ngx_http_refine_spool_list_add(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_names_t *list, const char *name)
{
    char    *names;
    size_t   room;

    if (list->n == list->room) {
        room = list->room ? list->room * 2 : 64;

        names = ngx_alloc(room * NGX_HTTP_REFINE_SPOOL_NAME, spool->log);
        if (names == NULL) {
            ngx_set_errno(NGX_ENOMEM);
            return ngx_http_refine_spool_failed(spool, "malloc()");
        }

        if (list->n) {
            ngx_memcpy(names, list->names,
                       list->n * NGX_HTTP_REFINE_SPOOL_NAME);
        }

        ngx_free(list->names);

        list->names = names;
        list->room = room;
    }

    ngx_memcpy(list->names + list->n++ * NGX_HTTP_REFINE_SPOOL_NAME, name,
               ngx_strlen(name) + 1);

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_refine_spool_cmp(const void *one, const void *two)
{
    return ngx_strcmp(one, two);
}


ngx_int_t
ngx_http_refine_spool_look(ngx_http_refine_spool_t *spool, const char *name,
    ngx_uint_t lock, ngx_http_refine_spool_segment_t *segment)
{
    ngx_int_t  rc;

    segment->fd = ngx_http_refine_spool_open(spool, name,
                                             lock ? O_RDWR : O_RDONLY);
    if (segment->fd == -1) {
        return (ngx_errno == NGX_ENOENT || ngx_errno == NGX_ELOOP)
               ? NGX_DONE : ngx_http_refine_spool_failed(spool, "open()");
    }

    ngx_memcpy(segment->name, name, ngx_strlen(name) + 1);

    rc = ngx_http_refine_spool_open_header(spool, lock, segment);

    if (rc != NGX_OK) {
        (void) close(segment->fd);
        segment->fd = -1;
    }

    return rc;
}


/* who waited for the lock may have got one of a file that is gone */

static ngx_int_t
ngx_http_refine_spool_open_header(ngx_http_refine_spool_t *spool,
    ngx_uint_t lock, ngx_http_refine_spool_segment_t *segment)
{
    size_t       n;
    u_char       header[NGX_HTTP_REFINE_SPOOL_HEADER];
    struct stat  st;

    if (lock && flock(segment->fd, LOCK_EX | LOCK_NB) == -1) {
        return (ngx_errno == NGX_EAGAIN)
               ? NGX_DONE : ngx_http_refine_spool_failed(spool, "flock()");
    }

    if (fstat(segment->fd, &st) == -1) {
        return ngx_http_refine_spool_failed(spool, "fstat()");
    }

    if (st.st_nlink == 0 || !S_ISREG(st.st_mode)) {
        return NGX_DONE;
    }

    segment->size = st.st_size;

    n = sizeof(header);

    if (ngx_http_refine_spool_pread(segment->fd, header, &n, 0) != NGX_OK) {
        return ngx_http_refine_spool_failed(spool, "pread()");
    }

    /* the records of one whose head is damaged are found all the same */

    return ngx_http_refine_spool_header_read(header, n, segment)
           == NGX_DECLINED ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_refine_spool_count(ngx_http_refine_spool_t *spool)
{
    ngx_http_refine_spool_totals_t  totals;

    ngx_memzero(&totals, sizeof(ngx_http_refine_spool_totals_t));

    if (ngx_http_refine_spool_each(spool, ngx_http_refine_spool_add, &totals)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    spool->state.totals = totals;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_add(ngx_http_refine_spool_t *spool, const char *name,
    void *data)
{
    ngx_http_refine_spool_totals_t *totals = data;

    int64_t                          events;
    ngx_int_t                        rc;
    ngx_http_refine_spool_segment_t  segment;

    rc = ngx_http_refine_spool_look(spool, name, 0, &segment);

    if (rc == NGX_DONE) {
        return NGX_OK;
    }

    totals->segments++;

    if (rc != NGX_OK) {

        /* it cannot be counted, which is no reason to refuse events */

        return NGX_OK;
    }

    (void) close(segment.fd);

    /* a damaged mark is no number of events that fit into the file */

    events = segment.written.events - segment.cursor.events;

    if (events > 0 && events <= segment.size) {
        totals->events += events;
    }

    totals->bytes += segment.size;

    return NGX_OK;
}
