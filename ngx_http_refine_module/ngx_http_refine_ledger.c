
#include "ngx_http_refine_ledger.h"
#include <sys/file.h>
#include <sys/mman.h>


static ngx_int_t ngx_http_refine_ledger_map(ngx_http_refine_ledger_t *ledger);
static ngx_uint_t ngx_http_refine_ledger_valid(
    ngx_http_refine_ledger_data_t *data);
static ngx_uint_t ngx_http_refine_ledger_table(
    ngx_http_refine_surfaces_t *surfaces);
static void ngx_http_refine_ledger_names(ngx_http_refine_ledger_t *ledger);
static void ngx_http_refine_ledger_row(ngx_http_refine_ledger_t *ledger);
static ngx_uint_t ngx_http_refine_ledger_gone(int64_t pid);
static void ngx_http_refine_ledger_range(ngx_http_refine_ledger_t *ledger,
    off_t at, short type);


/* where the file ended at first: what was added is zeros in an older one */
#define NGX_HTTP_REFINE_LEDGER_SIZE                                           \
    offsetof(ngx_http_refine_ledger_data_t, surfaces[1])


static const u_char  ngx_http_refine_ledger_magic[] = "RefineCt";


ngx_int_t
ngx_http_refine_ledger_open(ngx_http_refine_ledger_t *ledger, ngx_str_t *dir)
{
    char       path[NGX_MAX_PATH];
    ngx_err_t  err;

    ngx_memzero(ledger, sizeof(ngx_http_refine_ledger_t));

    (void) snprintf(path, sizeof(path), "%s/counters", (char *) dir->data);

    ledger->self = &ledger->none;
    ledger->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (ledger->fd == -1) {
        return NGX_ERROR;
    }

    ledger->alone = (flock(ledger->fd, LOCK_EX | LOCK_NB) == 0);

    /* who is alone is not for long: it counts the segments */

    if (!ledger->alone && flock(ledger->fd, LOCK_SH) == -1) {
        goto failed;
    }

    if (ngx_http_refine_ledger_map(ledger) != NGX_OK) {
        goto failed;
    }

    ngx_http_refine_ledger_lock(ledger);

    if (!ngx_http_refine_ledger_valid(ledger->data)) {
        ngx_memzero(ledger->data, sizeof(ngx_http_refine_ledger_data_t));
        ngx_memcpy(ledger->data->magic, ngx_http_refine_ledger_magic, 8);
        ledger->data->size = NGX_HTTP_REFINE_LEDGER_SIZE;
    }

    if (ledger->alone) {
        ngx_memzero(ledger->data->workers, sizeof(ledger->data->workers));
    }

    ngx_http_refine_ledger_names(ledger);
    ngx_http_refine_ledger_row(ledger);

    ngx_http_refine_ledger_unlock(ledger);

    return NGX_OK;

failed:

    err = ngx_errno;
    (void) close(ledger->fd);
    ledger->fd = -1;
    ngx_set_errno(err);

    return NGX_ERROR;
}


/* all of it is written: where the disk is full a hole would be a SIGBUS */

static ngx_int_t
ngx_http_refine_ledger_map(ngx_http_refine_ledger_t *ledger)
{
    void         *p;
    size_t        size;
    ngx_err_t     err;
    struct stat   st;

    size = sizeof(ngx_http_refine_ledger_data_t);

    if (fstat(ledger->fd, &st) == -1) {
        return NGX_ERROR;
    }

    if (st.st_size < (off_t) size) {
        err = posix_fallocate(ledger->fd, 0, size);

        if (err) {
            ngx_set_errno(err);
            return NGX_ERROR;
        }
    }

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, ledger->fd, 0);

    if (p == MAP_FAILED) {
        return NGX_ERROR;
    }

    ledger->data = p;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_ledger_valid(ngx_http_refine_ledger_data_t *data)
{
    ngx_uint_t  i;

    if (ngx_memcmp(data->magic, ngx_http_refine_ledger_magic, 8) != 0
        || data->size != NGX_HTTP_REFINE_LEDGER_SIZE)
    {
        return 0;
    }

    for (i = 0; i < NGX_HTTP_REFINE_EVENT_TYPES; i++) {
        if (!ngx_http_refine_ledger_table(&data->surfaces[i])) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_refine_ledger_table(ngx_http_refine_surfaces_t *surfaces)
{
    ngx_uint_t                  i;
    ngx_http_refine_surface_t  *row;

    if (surfaces->n > NGX_HTTP_REFINE_SURFACES + 1) {
        return 0;
    }

    for (i = 0; i < surfaces->n; i++) {
        row = &surfaces->rows[i];

        if (row->surface_len > NGX_HTTP_REFINE_SURFACE_LABEL
            || row->source_len > NGX_HTTP_REFINE_SURFACE_LABEL
            || row->surface_len + row->source_len
               >= NGX_HTTP_REFINE_SURFACE_LABEL)
        {
            return 0;
        }
    }

    return 1;
}


/* by name, for another version of the module counts other things */

static void
ngx_http_refine_ledger_names(ngx_http_refine_ledger_t *ledger)
{
    ngx_uint_t        i, n;
    const ngx_str_t  *field;

    for (i = 0; i < NGX_HTTP_REFINE_COUNTER_MAX; i++) {
        field = &ngx_http_refine_counters[i].field;

        for (n = 0; n < NGX_HTTP_REFINE_LEDGER_COUNTERS - 1; n++) {

            if (ledger->data->counters[n].name[0] == '\0') {
                ngx_memcpy(ledger->data->counters[n].name, field->data,
                           ngx_min(field->len,
                                   NGX_HTTP_REFINE_LEDGER_NAME - 1));
                break;
            }

            if (ngx_strncmp(ledger->data->counters[n].name, field->data,
                            NGX_HTTP_REFINE_LEDGER_NAME - 1)
                == 0)
            {
                break;
            }
        }

        ledger->index[i] = n;
    }
}


static void
ngx_http_refine_ledger_row(ngx_http_refine_ledger_t *ledger)
{
    ngx_uint_t                        i;
    ngx_http_refine_ledger_worker_t  *row;

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_WORKERS; i++) {
        row = &ledger->data->workers[i];

        if (row->pid == 0 || ngx_http_refine_ledger_gone(row->pid)) {
            row->claimed = 0;
            row->oldest = 0;
            row->pid = ngx_pid;

            ledger->self = row;
            return;
        }
    }
}


static ngx_uint_t
ngx_http_refine_ledger_gone(int64_t pid)
{
    return kill((pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


void
ngx_http_refine_ledger_ready(ngx_http_refine_ledger_t *ledger)
{
    if (!ledger->alone) {
        return;
    }

    ledger->alone = 0;

    (void) flock(ledger->fd, LOCK_SH);

    /*
     * flock(2): the one lock is given up before the other is taken; who came
     * in between was alone, too, and has cleared the rows
     */

    ngx_http_refine_ledger_lock(ledger);

    if (ledger->self->pid != ngx_pid) {
        ngx_http_refine_ledger_row(ledger);
    }

    ngx_http_refine_ledger_unlock(ledger);
}


void
ngx_http_refine_ledger_close(ngx_http_refine_ledger_t *ledger)
{
    if (ledger->fd == -1) {
        return;
    }

    ledger->self->claimed = 0;
    ledger->self->oldest = 0;
    ledger->self->pid = 0;

    (void) munmap(ledger->data, sizeof(ngx_http_refine_ledger_data_t));
    (void) close(ledger->fd);

    ledger->fd = -1;
}


void
ngx_http_refine_ledger_lock(ngx_http_refine_ledger_t *ledger)
{
    ngx_http_refine_ledger_range(ledger, 0, F_WRLCK);
}


void
ngx_http_refine_ledger_unlock(ngx_http_refine_ledger_t *ledger)
{
    ngx_http_refine_ledger_range(ledger, 0, F_UNLCK);
}


void
ngx_http_refine_ledger_lock_letters(ngx_http_refine_ledger_t *ledger)
{
    ngx_http_refine_ledger_range(ledger, 1, F_WRLCK);
}


void
ngx_http_refine_ledger_unlock_letters(ngx_http_refine_ledger_t *ledger)
{
    ngx_http_refine_ledger_range(ledger, 1, F_UNLCK);
}


static void
ngx_http_refine_ledger_range(ngx_http_refine_ledger_t *ledger, off_t at,
    short type)
{
    struct flock  range;

    ngx_memzero(&range, sizeof(struct flock));

    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = at;
    range.l_len = 1;

    /*
     * The locks are of processes, and so is the search for a deadlock: where a
     * thread waits for the letters and the main thread of their holder for the
     * figures, EDEADLK comes although the next moment ends it.
     */

    while (fcntl(ledger->fd, F_SETLKW, &range) == -1
           && (ngx_errno == NGX_EINTR || ngx_errno == EDEADLK))
    {
        ngx_sched_yield();
    }
}


int64_t
ngx_http_refine_ledger_claimed(ngx_http_refine_ledger_t *ledger,
    int64_t *oldest)
{
    int64_t                           n;
    ngx_uint_t                        i;
    ngx_http_refine_ledger_worker_t  *row;

    n = 0;
    *oldest = 0;

    for (i = 0; i < NGX_HTTP_REFINE_LEDGER_WORKERS; i++) {
        row = &ledger->data->workers[i];

        if (row->pid == 0 || ngx_http_refine_ledger_gone(row->pid)) {
            continue;
        }

        n += row->claimed;

        if (row->oldest && (*oldest == 0 || row->oldest < *oldest)) {
            *oldest = row->oldest;
        }
    }

    return n;
}
