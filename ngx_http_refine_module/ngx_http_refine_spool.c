
#include "ngx_http_refine_spool_core.h"
#include <sys/file.h>


#define NGX_HTTP_REFINE_SPOOL_FRESH  1000    /* ms that a count is good for */
#define NGX_HTTP_REFINE_SPOOL_TRIES  100     /* of names */


static void ngx_http_refine_spool_path(ngx_http_refine_spool_t *spool,
    char *path, const char *name);
static int64_t ngx_http_refine_spool_now(clockid_t clock);
static ngx_int_t ngx_http_refine_spool_fit(ngx_http_refine_spool_t *spool,
    size_t len);
static ngx_int_t ngx_http_refine_spool_make(ngx_http_refine_spool_t *spool);
static ngx_int_t ngx_http_refine_spool_begin(ngx_http_refine_spool_t *spool,
    int fd);
static ngx_int_t ngx_http_refine_spool_sync_dir(
    ngx_http_refine_spool_t *spool);
static ngx_int_t ngx_http_refine_spool_append(ngx_http_refine_spool_t *spool,
    size_t len, ngx_uint_t events);


ngx_http_refine_spool_t *
ngx_http_refine_spool_create(ngx_http_refine_spool_conf_t *conf,
    ngx_log_t *log)
{
    ngx_http_refine_spool_t  *spool;

    spool = ngx_calloc(sizeof(ngx_http_refine_spool_t), log);
    if (spool == NULL) {
        return NULL;
    }

    spool->conf = conf;
    spool->log = log;
    spool->in.fd = -1;
    spool->out.fd = -1;

    /* space comes back by whole segments, and each worker has one */

    spool->segment = (size_t) ngx_min(conf->size / 16,
                                      NGX_HTTP_REFINE_SPOOL_SEGMENT);

    return spool;
}


void
ngx_http_refine_spool_destroy(ngx_http_refine_spool_t *spool)
{
    ngx_uint_t  i;

    ngx_http_refine_spool_seal(spool);
    ngx_http_refine_spool_leave(spool);

    for (i = 0; i < spool->nheld; i++) {
        (void) close(spool->held[i].fd);
    }

    ngx_free(spool->text);
    ngx_free(spool->buf);
    ngx_free(spool->records);
    ngx_free(spool->args);
    ngx_free(spool);
}


ngx_http_refine_spool_state_t *
ngx_http_refine_spool_state(ngx_http_refine_spool_t *spool)
{
    return &spool->state;
}


ngx_int_t
ngx_http_refine_spool_failed(ngx_http_refine_spool_t *spool,
    const char *failed)
{
    spool->state.err = ngx_errno;
    spool->state.failed = failed;

    return NGX_ERROR;
}


int
ngx_http_refine_spool_open(ngx_http_refine_spool_t *spool, const char *name,
    int flags)
{
    char  path[NGX_MAX_PATH];

    ngx_http_refine_spool_path(spool, path, name);

    /* NONBLOCK is for a pipe that somebody has put there */

    return open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
}


ngx_int_t
ngx_http_refine_spool_unlink(ngx_http_refine_spool_t *spool, const char *name)
{
    char  path[NGX_MAX_PATH];

    ngx_http_refine_spool_path(spool, path, name);

    return unlink(path) == -1 ? ngx_http_refine_spool_failed(spool, "unlink()")
                              : NGX_OK;
}


/* the configuration has seen to it that there is room for the longest name */

static void
ngx_http_refine_spool_path(ngx_http_refine_spool_t *spool, char *path,
    const char *name)
{
    u_char  *p;

    p = ngx_cpymem(path, spool->conf->path.data, spool->conf->path.len);
    *p++ = '/';

    ngx_memcpy(p, name, ngx_strlen(name) + 1);
}


/* threads do not see the time that nginx keeps */

static int64_t
ngx_http_refine_spool_now(clockid_t clock)
{
    struct timespec  ts;

    (void) clock_gettime(clock, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


ngx_int_t
ngx_http_refine_spool_grow(ngx_http_refine_spool_t *spool, u_char **p,
    size_t *room, size_t size)
{
    u_char  *grown;

    if (size <= *room) {
        return NGX_OK;
    }

    grown = ngx_alloc(size, spool->log);
    if (grown == NULL) {
        ngx_set_errno(NGX_ENOMEM);
        return ngx_http_refine_spool_failed(spool, "malloc()");
    }

    ngx_free(*p);

    *p = grown;
    *room = size;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_spool_pwrite(int fd, const u_char *p, size_t n, off_t offset)
{
    ssize_t  rc;

    while (n) {
        rc = pwrite(fd, p, n, offset);

        if (rc == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return NGX_ERROR;
        }

        if (rc == 0) {
            ngx_set_errno(NGX_ENOSPC);
            return NGX_ERROR;
        }

        p += rc;
        n -= rc;
        offset += rc;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_spool_pread(int fd, u_char *p, size_t *n, off_t offset)
{
    size_t   len;
    ssize_t  rc;

    len = 0;

    while (len < *n) {
        rc = pread(fd, p + len, *n - len, offset + len);

        if (rc == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return NGX_ERROR;
        }

        if (rc == 0) {
            break;
        }

        len += rc;
    }

    *n = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_refine_spool_write(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_record_t *records, ngx_uint_t n)
{
    u_char      *p;
    size_t       len, size;
    ngx_int_t    rc;
    ngx_uint_t   i, events;

    len = 0;
    events = 0;

    for (i = 0; i < n; i++) {
        size = ngx_http_refine_spool_length(&records[i]);

        if (size == 0) {
            return NGX_DECLINED;
        }

        len += size;
        events += records[i].n;
    }

    rc = ngx_http_refine_spool_fit(spool, len);

    if (rc != NGX_OK
        || ngx_http_refine_spool_grow(spool, &spool->text, &spool->room, len)
           != NGX_OK)
    {
        return (rc == NGX_DECLINED) ? NGX_DECLINED : NGX_ERROR;
    }

    for (p = spool->text, i = 0; i < n; i++) {
        p = ngx_http_refine_spool_encode(p, &records[i]);
    }

    if (spool->out.fd != -1
        && spool->out.written.events
        && spool->out.size + len > spool->segment)
    {
        ngx_http_refine_spool_seal(spool);
    }

    if (spool->out.fd == -1 && ngx_http_refine_spool_make(spool) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_refine_spool_append(spool, len, events);
}


/* what the others write becomes known with the next count */

static ngx_int_t
ngx_http_refine_spool_fit(ngx_http_refine_spool_t *spool, size_t len)
{
    int64_t  now;

    now = ngx_http_refine_spool_now(CLOCK_MONOTONIC);

    if (!spool->counted
        || now - spool->counted_at >= NGX_HTTP_REFINE_SPOOL_FRESH)
    {
        if (ngx_http_refine_spool_count(spool) != NGX_OK) {
            return NGX_ERROR;
        }

        spool->counted = 1;
        spool->counted_at = now;
    }

    if (spool->out.fd == -1) {
        len += NGX_HTTP_REFINE_SPOOL_HEADER;
    }

    return spool->state.totals.bytes + (off_t) len > spool->conf->size
           ? NGX_DECLINED : NGX_OK;
}


/* names sort by the time of their making, and are of this process alone */

static ngx_int_t
ngx_http_refine_spool_make(ngx_http_refine_spool_t *spool)
{
    int                               fd;
    int64_t                           now;
    ngx_int_t                         rc;
    ngx_uint_t                        i;
    ngx_http_refine_spool_segment_t  *out;

    out = &spool->out;

    /* the clock may have been set back */

    now = ngx_http_refine_spool_now(CLOCK_REALTIME);
    spool->named_at = ngx_max(spool->named_at, now);

    for (i = 0; i < NGX_HTTP_REFINE_SPOOL_TRIES; i++) {

        (void) snprintf(out->name, sizeof(out->name), "%014lld-%08lu-%ld%s",
                        (long long) spool->named_at,
                        (unsigned long) spool->nsegments++, (long) getpid(),
                        NGX_HTTP_REFINE_SPOOL_SUFFIX);

        fd = ngx_http_refine_spool_open(spool, out->name,
                                        O_RDWR | O_CREAT | O_EXCL);

        if (fd == -1 && ngx_errno == NGX_EEXIST) {
            continue;
        }

        if (fd == -1) {
            return ngx_http_refine_spool_failed(spool, "open()");
        }

        rc = ngx_http_refine_spool_begin(spool, fd);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        (void) close(fd);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_refine_spool_failed(spool, "flock()");
}


/*
 * Until it is locked, another worker may take it for one that was left, find
 * nothing in it, and delete it: then there has to be another one.
 */

static ngx_int_t
ngx_http_refine_spool_begin(ngx_http_refine_spool_t *spool, int fd)
{
    u_char                            header[NGX_HTTP_REFINE_SPOOL_HEADER];
    struct stat                       st;
    ngx_http_refine_spool_segment_t  *out;

    if (flock(fd, LOCK_EX | LOCK_NB) == -1
        || fstat(fd, &st) == -1
        || st.st_nlink == 0)
    {
        return NGX_AGAIN;
    }

    out = &spool->out;

    ngx_http_refine_spool_header(header);

    if (ngx_http_refine_spool_pwrite(fd, header, sizeof(header), 0)
        != NGX_OK)
    {
        (void) ngx_http_refine_spool_failed(spool, "pwrite()");

    } else if (ngx_http_refine_spool_sync_dir(spool) == NGX_OK) {

        out->fd = fd;
        out->size = sizeof(header);
        ngx_memzero(&out->written, sizeof(ngx_http_refine_spool_mark_t));

        spool->state.totals.bytes += sizeof(header);
        spool->state.totals.segments++;

        return NGX_OK;
    }

    (void) ngx_http_refine_spool_unlink(spool, out->name);

    return NGX_ERROR;
}


/* without this a power failure may take the name of a new file */

static ngx_int_t
ngx_http_refine_spool_sync_dir(ngx_http_refine_spool_t *spool)
{
    int        fd;
    ngx_int_t  rc;

    if (spool->conf->fsync == NGX_HTTP_REFINE_FSYNC_OFF) {
        return NGX_OK;
    }

    fd = open((const char *) spool->conf->path.data,
              O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        return ngx_http_refine_spool_failed(spool, "open()");
    }

    rc = NGX_OK;

    if (fsync(fd) == -1) {
        rc = ngx_http_refine_spool_failed(spool, "fsync()");
    }

    (void) close(fd);

    return rc;
}


/*
 * After an error the file is cut where it was, so that no half record is
 * followed by a good one, and not written to any more: what an fsync() that
 * has failed leaves on the disk is not known.
 */

static ngx_int_t
ngx_http_refine_spool_append(ngx_http_refine_spool_t *spool, size_t len,
    ngx_uint_t events)
{
    ngx_http_refine_spool_mark_t      mark;
    ngx_http_refine_spool_segment_t  *out;

    out = &spool->out;

    mark = out->written;
    mark.seq++;
    mark.offset = out->size + len;
    mark.events += events;

    if (ngx_http_refine_spool_pwrite(out->fd, spool->text, len, out->size)
        != NGX_OK)
    {
        (void) ngx_http_refine_spool_failed(spool, "pwrite()");
        goto failed;
    }

    /* for who counts, no more: it need not succeed */

    (void) ngx_http_refine_spool_mark_write(out->fd, &mark,
                                            NGX_HTTP_REFINE_SPOOL_WRITTEN);

    if (spool->conf->fsync == NGX_HTTP_REFINE_FSYNC_ALWAYS
        && fdatasync(out->fd) == -1)
    {
        (void) ngx_http_refine_spool_failed(spool, "fdatasync()");
        goto failed;
    }

    out->size = mark.offset;
    out->written = mark;

    spool->state.totals.bytes += len;
    spool->state.totals.events += events;
    spool->state.dirty = (spool->conf->fsync
                          == NGX_HTTP_REFINE_FSYNC_INTERVAL);

    return NGX_OK;

failed:

    if (ftruncate(out->fd, out->size) == -1) {
        /* its reader will find the half record and leave it out */
        out->written = mark;

    } else {
        (void) ngx_http_refine_spool_mark_write(out->fd, &out->written,
                                                NGX_HTTP_REFINE_SPOOL_WRITTEN);
    }

    ngx_http_refine_spool_seal(spool);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_refine_spool_mark_write(int fd, ngx_http_refine_spool_mark_t *mark,
    off_t offset)
{
    u_char  text[NGX_HTTP_REFINE_SPOOL_MARK];

    ngx_http_refine_spool_mark(text, mark);

    return ngx_http_refine_spool_pwrite(fd, text, sizeof(text), offset);
}


ngx_int_t
ngx_http_refine_spool_sync(ngx_http_refine_spool_t *spool)
{
    if (!spool->state.dirty) {
        return NGX_OK;
    }

    spool->state.dirty = 0;

    if (fdatasync(spool->out.fd) == -1) {
        (void) ngx_http_refine_spool_failed(spool, "fdatasync()");
        ngx_http_refine_spool_seal(spool);

        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_refine_spool_seal(ngx_http_refine_spool_t *spool)
{
    ngx_http_refine_spool_segment_t  *out;

    out = &spool->out;

    if (out->fd == -1) {
        return;
    }

    if (spool->state.dirty) {
        spool->state.dirty = 0;
        (void) fdatasync(out->fd);
    }

    if (out->written.events == 0) {
        (void) ngx_http_refine_spool_unlink(spool, out->name);

        spool->state.totals.bytes -= out->size;
        spool->state.totals.segments--;
    }

    (void) close(out->fd);
    out->fd = -1;
}


void
ngx_http_refine_spool_leave(ngx_http_refine_spool_t *spool)
{
    if (spool->in.fd != -1) {
        (void) close(spool->in.fd);
        spool->in.fd = -1;
    }

    while (spool->nleft) {
        (void) close(spool->left[--spool->nleft].fd);
    }
}
