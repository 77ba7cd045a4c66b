
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_buf.h"
#include "ngx_http_refine_queue_local.h"


#define NGX_HTTP_REFINE_LETTER_HEAD  2048
#define NGX_HTTP_REFINE_LETTER_MAX   (8 * 1024 * 1024)


static ngx_int_t ngx_http_refine_local_letter(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t *item, ngx_uint_t status, ngx_str_t *reason,
    ngx_uint_t old);
static void ngx_http_refine_local_letter_text(ngx_http_refine_buf_t *b,
    ngx_http_refine_item_t *item, ngx_uint_t status, ngx_str_t *reason);
static ngx_int_t ngx_http_refine_local_letters_append(
    ngx_http_refine_queue_t *queue, int fd);
static void ngx_http_refine_local_letters_count(const char *path, int64_t *n,
    int64_t *size);
static void ngx_http_refine_local_letters_rotate(
    ngx_http_refine_queue_t *queue, char *path, char *before);
static void ngx_http_refine_local_letters_again(
    ngx_http_refine_queue_t *queue);
static void ngx_http_refine_local_unexpire(ngx_http_refine_queue_t *queue);
static ngx_uint_t ngx_http_refine_local_old(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t **old);
static void ngx_http_refine_local_expired(ngx_http_refine_queue_t *queue,
    ngx_uint_t failed);


void
ngx_http_refine_local_dead(ngx_http_refine_queue_t *queue,
    ngx_http_refine_entry_t *entry, ngx_uint_t status, ngx_str_t *reason)
{
    ngx_http_refine_item_t  *item;

    item = ngx_http_refine_local_item(queue, &entry->id);

    if (item) {
        item->attempts = entry->attempts;

        /* without memory it stays claimed, and is read again after a restart */

        (void) ngx_http_refine_local_letter(queue, item, status, reason, 0);
        ngx_http_refine_queue_spool_run(queue);
    }
}


/* one line of JSON in the file, the event at its end, as it was stored */

static ngx_int_t
ngx_http_refine_local_letter(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t *item, ngx_uint_t status, ngx_str_t *reason,
    ngx_uint_t old)
{
    size_t                     len;
    ngx_pool_t                *pool;
    ngx_http_refine_buf_t      b;
    ngx_http_refine_letter_t  *letter;

    letter = NULL;

    pool = ngx_create_pool(4096, queue->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_refine_buf_init(&b, pool, NGX_HTTP_REFINE_LETTER_HEAD
                                           + item->line.len,
                                 NGX_HTTP_REFINE_LETTER_MAX)
        == NGX_OK)
    {
        ngx_http_refine_local_letter_text(&b, item, status, reason);

        len = ngx_http_refine_buf_size(&b);

        if (!b.failed) {
            letter = ngx_alloc(sizeof(ngx_http_refine_letter_t) + len,
                               queue->log);
        }

        if (letter) {
            letter->item = item;
            letter->state = item->state;
            letter->old = old;
            letter->len = len;
            ngx_memcpy(letter->text, b.start, len);

            ngx_queue_insert_tail(&queue->local->letters, &letter->queue);
        }

        ngx_http_refine_buf_free(&b);
    }

    ngx_destroy_pool(pool);

    if (letter == NULL) {
        return NGX_ERROR;
    }

    if (item->state == NGX_HTTP_REFINE_ITEM_FREE) {
        ngx_queue_remove(&item->queue);
        queue->local->nclaimed++;
    }

    item->state = NGX_HTTP_REFINE_ITEM_DYING;

    return NGX_OK;
}


static void
ngx_http_refine_local_letter_text(ngx_http_refine_buf_t *b,
    ngx_http_refine_item_t *item, ngx_uint_t status, ngx_str_t *reason)
{
    ngx_http_refine_buf_lit(b, "{\"at\":");
    ngx_http_refine_buf_int(b, ngx_http_refine_local_now());
    ngx_http_refine_buf_lit(b, ",\"status\":");
    ngx_http_refine_buf_int(b, status);
    ngx_http_refine_buf_lit(b, ",\"attempts\":");
    ngx_http_refine_buf_int(b, item->attempts);
    ngx_http_refine_buf_lit(b, ",\"reason\":");
    ngx_http_refine_buf_json(b, reason->data, reason->len);
    ngx_http_refine_buf_lit(b, ",\"event\":");

    if (item->line.len && item->line.data[0] == '{') {
        ngx_http_refine_buf_append(b, item->line.data, item->line.len);

    } else {
        ngx_http_refine_buf_json(b, item->line.data, item->line.len);
    }

    ngx_http_refine_buf_lit(b, "}\n");
}


/* in a thread: all that wait are appended, or none */

void
ngx_http_refine_local_letters(ngx_http_refine_queue_t *queue)
{
    int                       fd;
    char                      path[NGX_MAX_PATH], before[NGX_MAX_PATH];
    u_char                   *dir;
    ngx_int_t                 rc;
    ngx_http_refine_local_t  *local;

    local = queue->local;
    dir = queue->conf->spool.path.data;

    (void) snprintf(path, sizeof(path), "%s/dead.ndjson", (char *) dir);
    (void) snprintf(before, sizeof(before), "%s/dead.1.ndjson", (char *) dir);

    rc = NGX_ERROR;

    ngx_http_refine_ledger_lock_letters(&local->ledger);

    ngx_http_refine_local_letters_rotate(queue, path, before);

    fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
              0600);

    if (fd == -1) {
        local->err = ngx_errno;
        local->failed = "open()";

    } else {
        rc = ngx_http_refine_local_letters_append(queue, fd);
        (void) close(fd);
    }

    ngx_http_refine_ledger_unlock_letters(&local->ledger);

    queue->disk.job.rc = rc;
}


static ngx_int_t
ngx_http_refine_local_letters_append(ngx_http_refine_queue_t *queue, int fd)
{
    off_t                      size;
    u_char                     end;
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_http_refine_local_t   *local;
    ngx_http_refine_letter_t  *letter;

    n = 0;
    local = queue->local;

    size = lseek(fd, 0, SEEK_END);

    /* the last line may have been torn when nginx was killed */

    if (size > 0 && pread(fd, &end, 1, size - 1) == 1 && end != LF
        && write(fd, "\n", 1) != 1)
    {
        local->err = ngx_errno;
        local->failed = "write()";
        goto failed;
    }

    for (q = ngx_queue_head(&local->writing);
         q != ngx_queue_sentinel(&local->writing);
         q = ngx_queue_next(q))
    {
        letter = ngx_queue_data(q, ngx_http_refine_letter_t, queue);
        n++;

        if (write(fd, letter->text, letter->len) != (ssize_t) letter->len) {
            local->err = ngx_errno;
            local->failed = "write()";
            goto failed;
        }
    }

    if (queue->conf->spool.fsync != NGX_HTTP_REFINE_FSYNC_OFF
        && fdatasync(fd) == -1)
    {
        local->err = ngx_errno;
        local->failed = "fdatasync()";
        goto failed;
    }

    local->ledger.data->dead += n;
    local->ledger.data->dead_size = lseek(fd, 0, SEEK_END);

    return NGX_OK;

failed:

    if (size != -1) {
        (void) ftruncate(fd, size);
    }

    return NGX_ERROR;
}


/*
 * A worker that was killed may have written what it could not count, and
 * somebody may have deleted or changed them: by its size a file is as it was.
 */

static void
ngx_http_refine_local_letters_count(const char *path, int64_t *n,
    int64_t *size)
{
    int          fd;
    char         buf[16384], end;
    ssize_t      len, i;
    int64_t      lines;
    struct stat  st;

    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd == -1) {
        if (ngx_errno == NGX_ENOENT) {
            *n = 0;
            *size = 0;
        }

        return;
    }

    if (fstat(fd, &st) == 0 && st.st_size != *size) {
        lines = 0;
        end = LF;

        while ((len = read(fd, buf, sizeof(buf))) > 0) {

            for (i = 0; i < len; i++) {
                lines += (buf[i] == LF);
            }

            end = buf[len - 1];
        }

        if (len == 0) {
            *n = lines + (end != LF);
            *size = st.st_size;
        }
    }

    (void) close(fd);
}


/* two files of half of "dead_letters" each: the oldest go with the older one */

static void
ngx_http_refine_local_letters_rotate(ngx_http_refine_queue_t *queue,
    char *path, char *before)
{
    int64_t                         half;
    ngx_http_refine_ledger_data_t  *data;

    data = queue->local->ledger.data;
    half = queue->conf->dead_letters / 2;

    ngx_http_refine_local_letters_count(path, &data->dead, &data->dead_size);
    ngx_http_refine_local_letters_count(before, &data->dead_before,
                                        &data->dead_before_size);

    if (data->dead == 0 || data->dead < half) {
        return;
    }

    if (rename(path, before) == -1) {
        return;
    }

    data->dead_trimmed += data->dead_before;
    data->dead_before = data->dead;
    data->dead_before_size = data->dead_size;
    data->dead = 0;
    data->dead_size = 0;

    if (half == 0 && unlink(before) == 0) {
        data->dead_trimmed += data->dead_before;
        data->dead_before = 0;
    }
}


void
ngx_http_refine_local_lettered(ngx_http_refine_queue_t *queue, ngx_int_t rc)
{
    int64_t                         n, bytes;
    ngx_queue_t                    *q;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_letter_t       *letter;
    ngx_http_refine_ledger_data_t  *data;

    local = queue->local;
    data = local->ledger.data;

    if (rc != NGX_OK) {
        ngx_http_refine_local_letters_again(queue);
        return;
    }

    local->troubled = 0;
    n = 0;
    bytes = 0;

    while (!ngx_queue_empty(&local->writing)) {
        q = ngx_queue_head(&local->writing);
        ngx_queue_remove(q);

        letter = ngx_queue_data(q, ngx_http_refine_letter_t, queue);

        n++;
        bytes += letter->item->line.len;
        ngx_http_refine_local_finish(queue, letter->item);
        ngx_free(letter);
    }

    ngx_http_refine_ledger_lock(&local->ledger);

    data->failed += n;
    data->held -= n;
    data->bytes -= bytes;

    ngx_http_refine_ledger_unlock(&local->ledger);

    if (local->expire.n) {
        ngx_http_refine_local_expired(queue, 0);
    }

    ngx_http_refine_local_finished(queue);
}


/* the cursor does not move meanwhile */

static void
ngx_http_refine_local_letters_again(ngx_http_refine_queue_t *queue)
{
    ngx_http_refine_local_t  *local;

    local = queue->local;

    ngx_queue_add(&local->writing, &local->letters);
    ngx_queue_init(&local->letters);
    ngx_queue_add(&local->letters, &local->writing);
    ngx_queue_init(&local->writing);

    local->letters_at = ngx_current_msec + 1000;

    if (!local->troubled) {
        local->troubled = 1;
        ngx_log_error(NGX_LOG_ERR, queue->log, local->err,
                      "refine: catalog \"%V\": dead letters cannot be written "
                      "to the spool \"%V\": %s failed",
                      &queue->conf->name, &queue->conf->spool.path,
                      local->failed);
    }

    if (local->expire.n) {
        ngx_http_refine_local_unexpire(queue);
        ngx_http_refine_local_expired(queue, 1);
    }
}


/* what was to be given up is delivered after all, if it can be */

static void
ngx_http_refine_local_unexpire(ngx_http_refine_queue_t *queue)
{
    ngx_queue_t               *q, *next;
    ngx_http_refine_local_t   *local;
    ngx_http_refine_letter_t  *letter;

    local = queue->local;

    for (q = ngx_queue_head(&local->letters);
         q != ngx_queue_sentinel(&local->letters);
         q = next)
    {
        next = ngx_queue_next(q);
        letter = ngx_queue_data(q, ngx_http_refine_letter_t, queue);

        if (!letter->old) {
            continue;
        }

        letter->item->state = letter->state;

        if (letter->state == NGX_HTTP_REFINE_ITEM_FREE) {
            ngx_queue_insert_tail(&local->returned, &letter->item->queue);
            local->nclaimed--;
        }

        ngx_queue_remove(q);
        ngx_free(letter);
    }

    ngx_http_refine_local_row(queue);
}


void
ngx_http_refine_local_expire(ngx_http_refine_queue_t *queue,
    ngx_msec_t window, ngx_uint_t status, ngx_str_t *reason,
    ngx_http_refine_step_pt handler, void *data)
{
    ngx_http_refine_local_expire_t  *expire;

    expire = &queue->local->expire;

    expire->handler = handler;
    expire->data = data;
    expire->window = window;
    expire->status = status;
    expire->reason = *reason;
    expire->n = 0;

    ngx_http_refine_local_post(queue);
}


void
ngx_http_refine_local_expire_run(ngx_http_refine_queue_t *queue)
{
    ngx_uint_t                       i, n;
    ngx_http_refine_item_t          *old[NGX_HTTP_REFINE_LOCAL_EXPIRE], *item;
    ngx_http_refine_local_t         *local;
    ngx_http_refine_local_expire_t  *expire;

    local = queue->local;
    expire = &local->expire;

    if (expire->handler == NULL || expire->n) {

        if (expire->handler && queue->closing) {
            ngx_http_refine_local_expired(queue, 1);
        }

        return;
    }

    n = ngx_http_refine_local_old(queue, old);

    if (n == NGX_MAX_UINT32_VALUE) {
        local->read = 1;
        ngx_http_refine_queue_spool_run(queue);
        return;
    }

    for (i = 0; i < n; i++) {
        item = old[i];

        if (ngx_http_refine_local_letter(queue, item, expire->status,
                                         &expire->reason, 1)
            != NGX_OK)
        {
            break;
        }

        expire->ids[i].data = expire->text[i];
        expire->ids[i].len = ngx_http_refine_local_id(item, expire->text[i])
                             - expire->text[i];
        expire->n++;
    }

    if (expire->n == 0) {
        local->end = 0;
        ngx_http_refine_local_expired(queue, 0);
        return;
    }

    ngx_http_refine_queue_spool_run(queue);
}


/* the log is in order, so it ends at the first that is not too old */

static ngx_uint_t
ngx_http_refine_local_old(ngx_http_refine_queue_t *queue,
    ngx_http_refine_item_t **old)
{
    int64_t                         now, window, at;
    ngx_uint_t                      i, n;
    ngx_queue_t                    *q;
    ngx_http_refine_item_t         *item;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_window_t       *w;
    ngx_http_refine_ledger_data_t  *data;

    n = 0;
    local = queue->local;
    data = local->ledger.data;
    now = ngx_http_refine_local_now();
    window = local->expire.window;

    if (data->paused || now - data->resumed <= window || queue->closing
        || ngx_exiting)
    {
        return 0;
    }

    for (q = ngx_queue_head(&local->windows);
         q != ngx_queue_sentinel(&local->windows);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_http_refine_window_t, queue);

        for (i = 0; i < w->n; i++) {
            item = &w->items[i];
            at = item->at;

            if (item->state > NGX_HTTP_REFINE_ITEM_CLAIMED) {
                continue;
            }

            if (now - at <= window || n == NGX_HTTP_REFINE_LOCAL_EXPIRE) {
                return n;
            }

            old[n++] = item;
        }
    }

    return (n || !ngx_http_refine_local_room(queue)) ? n
                                                     : NGX_MAX_UINT32_VALUE;
}


static void
ngx_http_refine_local_expired(ngx_http_refine_queue_t *queue,
    ngx_uint_t failed)
{
    ngx_http_refine_step_t           step;
    ngx_http_refine_step_pt          handler;
    ngx_http_refine_local_expire_t  *expire;

    expire = &queue->local->expire;

    ngx_memzero(&step, sizeof(ngx_http_refine_step_t));

    step.failed = failed ? 1 : 0;
    step.ids = expire->ids;
    step.n = failed ? 0 : expire->n;

    if (step.n) {
        ngx_str_set(&step.next, "-");
    }

    handler = expire->handler;
    expire->handler = NULL;
    expire->n = 0;

    handler(expire->data, &step);
}
