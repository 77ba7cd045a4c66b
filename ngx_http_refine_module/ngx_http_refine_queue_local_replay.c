
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <cjson/cJSON.h>
#include "ngx_http_refine_queue_local.h"


#define NGX_HTTP_REFINE_REPLAY_LABEL  256
#define NGX_HTTP_REFINE_REPLAY_EVENT  ",\"event\":{\"eventId\":\""


/* what goes through the files, within the job */

typedef struct {
    ngx_http_refine_queue_t         *queue;
    FILE                            *rest;      /* what stays a letter */
    int64_t                          nrest;
    int64_t                          size;      /* of the rest, in bytes */
    char                            *line;
    size_t                           room;
} ngx_http_refine_replaying_t;


static ngx_int_t ngx_http_refine_replay_files(ngx_http_refine_replaying_t *r,
    const char *older, const char *newer, const char *rest);
static ngx_int_t ngx_http_refine_replay_file(ngx_http_refine_replaying_t *r,
    const char *path);
static ngx_int_t ngx_http_refine_replay_line(ngx_http_refine_replaying_t *r,
    size_t len);
static ngx_uint_t ngx_http_refine_replay_wanted(
    ngx_http_refine_local_replay_t *replay, u_char *line, size_t len);
static ngx_int_t ngx_http_refine_replay_store(ngx_http_refine_queue_t *queue,
    ngx_str_t *event);
static ngx_int_t ngx_http_refine_replay_label(ngx_str_t *event, u_char *type,
    u_char *label, size_t *len);


void
ngx_http_refine_local_revive(ngx_http_refine_queue_t *queue,
    ngx_str_t *reason, ngx_http_refine_step_pt handler, void *data)
{
    ngx_http_refine_step_t           step;
    ngx_http_refine_ledger_data_t   *ledger;
    ngx_http_refine_local_replay_t  *replay;

    replay = &queue->local->replay;

    if (replay->handler) {
        ngx_memzero(&step, sizeof(ngx_http_refine_step_t));
        step.failed = 1;
        handler(data, &step);
        return;
    }

    ledger = queue->local->ledger.data;

    ngx_memzero(replay, sizeof(ngx_http_refine_local_replay_t));

    replay->handler = handler;
    replay->data = data;
    replay->len = ngx_min(reason->len, sizeof(replay->reason));

    if (replay->len) {
        ngx_memcpy(replay->reason, reason->data, replay->len);
    }

    replay->room = queue->size.max - ledger->held;
    replay->room_bytes = queue->bytes.max - ledger->bytes
                         - ledger->held * NGX_HTTP_REFINE_QUEUE_ENTRY;

    ngx_http_refine_queue_spool_run(queue);
}


/*
 * In a thread.  The letters that stay are written to a new file, which takes
 * the place of the others in the end: when nginx is killed before, what was put
 * back is a letter as well, with the same event id.
 */

void
ngx_http_refine_local_replay(ngx_http_refine_queue_t *queue)
{
    char                            path[3][NGX_MAX_PATH];
    ngx_int_t                       rc;
    ngx_uint_t                      i, sync;
    ngx_http_refine_local_t        *local;
    ngx_http_refine_replaying_t     r;

    static const char  *names[] = { "dead.1", "dead", "dead.new" };

    local = queue->local;

    ngx_memzero(&r, sizeof(ngx_http_refine_replaying_t));
    r.queue = queue;

    for (i = 0; i < 3; i++) {
        (void) snprintf(path[i], NGX_MAX_PATH, "%s/%s.ndjson",
                        (char *) queue->conf->spool.path.data, names[i]);
    }

    ngx_http_refine_ledger_lock_letters(&local->ledger);

    /* one fsync() for all of them */

    sync = queue->conf->spool.fsync;

    if (sync == NGX_HTTP_REFINE_FSYNC_ALWAYS) {
        queue->conf->spool.fsync = NGX_HTTP_REFINE_FSYNC_INTERVAL;
    }

    rc = ngx_http_refine_replay_files(&r, path[0], path[1], path[2]);

    queue->conf->spool.fsync = sync;

    if (rc == NGX_OK && rename(path[2], path[1]) == 0) {
        (void) unlink(path[0]);

        local->ledger.data->dead_before = 0;
        local->ledger.data->dead_before_size = 0;
        local->ledger.data->dead = r.nrest;
        local->ledger.data->dead_size = r.size;

    } else {
        rc = NGX_ERROR;
        (void) unlink(path[2]);
    }

    ngx_http_refine_ledger_unlock_letters(&local->ledger);

    free(r.line);

    queue->disk.job.rc = rc;
}


static ngx_int_t
ngx_http_refine_replay_files(ngx_http_refine_replaying_t *r, const char *older,
    const char *newer, const char *rest)
{
    int        fd;
    ngx_int_t  rc;

    fd = open(rest, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
              0600);
    if (fd == -1) {
        return NGX_ERROR;
    }

    r->rest = fdopen(fd, "w");

    if (r->rest == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_http_refine_replay_file(r, older) == NGX_OK
        && ngx_http_refine_replay_file(r, newer) == NGX_OK
        && ngx_http_refine_spool_sync(r->queue->disk.spool) == NGX_OK
        && fflush(r->rest) == 0
        && fdatasync(fd) == 0)
    {
        r->size = lseek(fd, 0, SEEK_END);
        rc = NGX_OK;
    }

    (void) fclose(r->rest);

    return rc;
}


static ngx_int_t
ngx_http_refine_replay_file(ngx_http_refine_replaying_t *r, const char *path)
{
    int        fd;
    FILE      *f;
    ssize_t    len;
    ngx_int_t  rc;

    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd == -1) {
        return (ngx_errno == NGX_ENOENT) ? NGX_OK : NGX_ERROR;
    }

    f = fdopen(fd, "r");

    if (f == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    rc = NGX_OK;

    while (rc == NGX_OK) {
        len = getline(&r->line, &r->room, f);

        if (len <= 0) {
            break;
        }

        rc = ngx_http_refine_replay_line(r, len);
    }

    if (ferror(f)) {
        rc = NGX_ERROR;
    }

    (void) fclose(f);

    return rc;
}


static ngx_int_t
ngx_http_refine_replay_line(ngx_http_refine_replaying_t *r, size_t len)
{
    u_char                          *p, *line;
    ngx_str_t                        event;
    ngx_http_refine_local_replay_t  *replay;

    replay = &r->queue->local->replay;
    line = (u_char *) r->line;

    /* quotes within the reason are escaped, so this is the event */

    p = ngx_strnstr(line, NGX_HTTP_REFINE_REPLAY_EVENT, len);

    if (p && len > 2 && line[len - 1] == '\n' && line[len - 2] == '}'
        && replay->limit == NULL
        && ngx_http_refine_replay_wanted(replay, line, p - line))
    {
        event.data = p + sizeof(",\"event\":") - 1;
        event.len = line + len - 2 - event.data;

        if (ngx_http_refine_replay_store(r->queue, &event) == NGX_OK) {
            return NGX_OK;
        }
    }

    r->nrest++;

    if (fwrite(line, len, 1, r->rest) != 1
        || (line[len - 1] != '\n' && fputc('\n', r->rest) == EOF))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_refine_replay_wanted(ngx_http_refine_local_replay_t *replay,
    u_char *line, size_t len)
{
    char        *text;
    cJSON       *json, *reason;
    ngx_uint_t   wanted;

    if (replay->len == 0) {
        return 1;
    }

    text = malloc(len + 2);
    if (text == NULL) {
        return 0;
    }

    ngx_memcpy(text, line, len);
    text[len] = '}';
    text[len + 1] = '\0';

    json = cJSON_Parse(text);
    reason = cJSON_GetObjectItemCaseSensitive(json, "reason");

    wanted = cJSON_IsString(reason)
             && ngx_strlen(reason->valuestring) >= replay->len
             && ngx_memcmp(reason->valuestring, replay->reason, replay->len)
                == 0;

    cJSON_Delete(json);
    free(text);

    return wanted;
}


static ngx_int_t
ngx_http_refine_replay_store(ngx_http_refine_queue_t *queue, ngx_str_t *event)
{
    size_t                           len;
    u_char                           type, label[NGX_HTTP_REFINE_REPLAY_LABEL];
    ngx_str_t                        args[2];
    ngx_http_refine_spool_record_t   record;
    ngx_http_refine_local_replay_t  *replay;

    replay = &queue->local->replay;

    if (ngx_http_refine_replay_label(event, &type, label, &len) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (replay->n >= replay->room) {
        replay->limit = "the queue is full by max_queue_size";
        return NGX_DECLINED;
    }

    if (replay->bytes + (int64_t) event->len > replay->room_bytes) {
        replay->limit = "the queue is full by max_queue_bytes";
        return NGX_DECLINED;
    }

    args[0] = *event;
    args[1].data = label;
    args[1].len = len;

    record.n = 1;
    record.types = &type;
    record.nargs = (type == '0') ? 2 : 1;
    record.args = args;

    if (ngx_http_refine_spool_write(queue->disk.spool, &record, 1) != NGX_OK) {
        replay->limit = "the spool does not take events";
        return NGX_DECLINED;
    }

    replay->n++;
    replay->bytes += event->len + NGX_HTTP_REFINE_QUEUE_ENTRY;
    replay->types[type - '0']++;

    if (type == '0') {
        ngx_http_refine_surface_add(&replay->surfaces,
                                    NGX_HTTP_REFINE_ITEMS_SERVED, label, len,
                                    1);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_replay_label(ngx_str_t *event, u_char *type, u_char *label,
    size_t *len)
{
    u_char       *p;
    cJSON        *json, *name, *item;
    ngx_str_t     text[2];
    ngx_uint_t    i;

    static const char  *fields[] = { "surface", "source" };
    static const char  *types[] = { "items_served", "click", "view",
                                    "add_to_cart", "purchase" };

    p = event->data + event->len;
    i = *p;
    *p = '\0';
    json = cJSON_Parse((char *) event->data);
    *p = (u_char) i;

    *type = 0;
    *len = 0;
    name = cJSON_GetObjectItemCaseSensitive(json, "type");

    for (i = 0; cJSON_IsString(name) && i < 5; i++) {
        if (ngx_strcmp(name->valuestring, types[i]) == 0) {
            *type = (u_char) ('0' + i);
        }
    }

    if (*type == '0') {

        for (i = 0; i < 2; i++) {
            item = cJSON_GetObjectItemCaseSensitive(json, fields[i]);

            text[i].data = (u_char *) (cJSON_IsString(item)
                                       ? item->valuestring : "");
            text[i].len = ngx_min(ngx_strlen(text[i].data),
                                  NGX_HTTP_REFINE_EVENT_MAX_NAME);
        }

        *len = ngx_http_refine_surface_label(label, &text[0], &text[1])
               - label;
    }

    cJSON_Delete(json);

    return *type ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_refine_local_replayed(ngx_http_refine_queue_t *queue, ngx_int_t rc)
{
    ngx_uint_t                       i;
    ngx_http_refine_local_t         *local;
    ngx_http_refine_step_t           step;
    ngx_http_refine_surface_t       *row;
    ngx_http_refine_ledger_data_t   *data;
    ngx_http_refine_local_replay_t  *replay;
    ngx_http_refine_step_pt          handler;

    local = queue->local;
    replay = &local->replay;
    data = local->ledger.data;

    ngx_http_refine_ledger_lock(&local->ledger);

    data->accepted += replay->n;
    data->held += replay->n;
    data->entered += replay->n;
    data->dead_replayed += replay->n;
    data->bytes += replay->bytes - replay->n * NGX_HTTP_REFINE_QUEUE_ENTRY;

    for (i = 0; i < 5; i++) {
        data->counters[local->ledger.index[
                NGX_HTTP_REFINE_EVENT_ITEMS_SERVED + i]].n += replay->types[i];
    }

    for (i = 0; i < replay->surfaces.n; i++) {
        row = &replay->surfaces.rows[i];
        ngx_http_refine_surface_add(data->surfaces,
                                    NGX_HTTP_REFINE_ITEMS_SERVED, row->label,
                                    row->surface_len + 1 + row->source_len,
                                    row->n);
    }

    ngx_http_refine_ledger_unlock(&local->ledger);

    local->unread_at = local->unread ? local->unread_at
                                     : ngx_http_refine_local_now();
    local->unread += replay->n;

    ngx_memzero(&step, sizeof(ngx_http_refine_step_t));

    step.failed = (rc != NGX_OK);
    step.n = replay->n;
    step.limit = replay->limit;

    handler = replay->handler;
    replay->handler = NULL;

    handler(replay->data, &step);
}
