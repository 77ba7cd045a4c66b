
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


static void ngx_http_refine_queue_disk_write(ngx_http_refine_queue_t *queue);
static void ngx_http_refine_queue_disk_error(ngx_http_refine_queue_t *queue,
    ngx_http_refine_spool_state_t *state);
static void ngx_http_refine_queue_disk_damage(ngx_http_refine_queue_t *queue,
    ngx_http_refine_spool_state_t *state);
static void ngx_http_refine_queue_disk_level(ngx_http_refine_queue_t *queue);


void
ngx_http_refine_queue_disk_report(ngx_http_refine_queue_t *queue,
    ngx_http_refine_disk_e op)
{
    ngx_http_refine_queue_spool_t  *disk;
    ngx_http_refine_spool_state_t  *state;

    disk = &queue->disk;
    state = ngx_http_refine_spool_state(disk->spool);

    if (op == NGX_HTTP_REFINE_DISK_WRITE) {
        ngx_http_refine_queue_disk_write(queue);

    } else if (state->failed) {
        ngx_http_refine_queue_disk_error(queue, state);
    }

    state->failed = NULL;

    ngx_http_refine_queue_disk_damage(queue, state);
    ngx_http_refine_queue_disk_level(queue);

    if (op == NGX_HTTP_REFINE_DISK_READ && disk->job.rc == NGX_DONE) {
        disk->used = 0;

        if (disk->ndrained) {
            ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                          "refine: catalog \"%V\": %L events of the spool are "
                          "in redis now", &queue->conf->name, disk->ndrained);
            disk->ndrained = 0;
        }
    }
}


static void
ngx_http_refine_queue_disk_write(ngx_http_refine_queue_t *queue)
{
    ngx_str_t                      *name, *path;
    ngx_http_refine_queue_spool_t  *disk;
    ngx_http_refine_spool_state_t  *state;

    disk = &queue->disk;
    name = &queue->conf->name;
    path = &queue->conf->spool.path;
    state = ngx_http_refine_spool_state(disk->spool);

    switch (disk->job.rc) {

    case NGX_OK:

        if (disk->failed || disk->full) {
            disk->failed = 0;
            disk->full = 0;
            ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                          "refine: catalog \"%V\": the spool takes events "
                          "again", name);
        }

        if (!disk->used && !queue->conf->alone) {
            disk->used = 1;
            ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                          "refine: catalog \"%V\": redis does not take events, "
                          "they go to the spool \"%V\"", name, path);
        }

        break;

    case NGX_DECLINED:

        if (!disk->full) {
            disk->full = 1;
            ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                          "refine: catalog \"%V\": the spool \"%V\" is full: "
                          "%L of %O bytes, new events are refused",
                          name, path, disk->totals.bytes,
                          queue->conf->spool.size);
        }

        break;

    default:

        if (!disk->failed) {
            disk->failed = 1;
            ngx_log_error(NGX_LOG_ERR, queue->log, state->err,
                          "refine: catalog \"%V\": the spool \"%V\" does not "
                          "take events, new ones are refused: %s failed",
                          name, path, state->failed);
        }
    }
}


/* of what was to be read, synced or counted: once a minute */

static void
ngx_http_refine_queue_disk_error(ngx_http_refine_queue_t *queue,
    ngx_http_refine_spool_state_t *state)
{
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    if (disk->error_logged && ngx_time() - disk->error_logged < 60) {
        return;
    }

    disk->error_logged = ngx_time();

    ngx_log_error(NGX_LOG_ERR, queue->log, state->err,
                  "refine: catalog \"%V\": the spool \"%V\" has a problem: "
                  "%s failed",
                  &queue->conf->name, &queue->conf->spool.path, state->failed);
}


static void
ngx_http_refine_queue_disk_damage(ngx_http_refine_queue_t *queue,
    ngx_http_refine_spool_state_t *state)
{
    ngx_uint_t                      torn, damaged;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;

    torn = state->torn - disk->torn;
    damaged = state->damaged - disk->damaged;

    if (torn || damaged) {
        disk->torn = state->torn;
        disk->damaged = state->damaged;

        ngx_http_refine_queue_count(queue, NGX_HTTP_REFINE_SPOOL_TORN, torn);
        ngx_http_refine_queue_count(queue, NGX_HTTP_REFINE_SPOOL_DAMAGED,
                                    damaged);

        ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                      "refine: catalog \"%V\": the spool \"%V\" was damaged: "
                      "%ui torn ends and %ui places within were left out",
                      &queue->conf->name, &queue->conf->spool.path,
                      torn, damaged);
    }

    if (state->other && !disk->other) {
        disk->other = 1;
        ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                      "refine: catalog \"%V\": the spool \"%V\" has segments "
                      "of another version of this module, they are left alone",
                      &queue->conf->name, &queue->conf->spool.path);
    }
}


static void
ngx_http_refine_queue_disk_level(ngx_http_refine_queue_t *queue)
{
    off_t                           size;
    ngx_http_refine_queue_spool_t  *disk;

    disk = &queue->disk;
    size = queue->conf->spool.size;

    if (!disk->filling && disk->totals.bytes >= size - size / 5) {
        disk->filling = 1;
        ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                      "refine: catalog \"%V\": the spool \"%V\" holds %L "
                      "bytes, 80%% of its limit",
                      &queue->conf->name, &queue->conf->spool.path,
                      disk->totals.bytes);

    } else if (disk->filling && disk->totals.bytes < size - size / 5 * 2) {
        disk->filling = 0;
    }
}
