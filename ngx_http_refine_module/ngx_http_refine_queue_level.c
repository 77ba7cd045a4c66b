
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_queue_private.h"


void
ngx_http_refine_queue_levels(ngx_http_refine_queue_t *queue)
{
    queue->size.limit = "max_queue_size";
    queue->size.unit = "events";
    queue->size.max = queue->conf->max_size;

    queue->bytes.limit = "max_queue_bytes";
    queue->bytes.unit = "bytes";
    queue->bytes.max = queue->conf->max_bytes;
}


void
ngx_http_refine_queue_level(ngx_http_refine_queue_t *queue,
    ngx_http_refine_level_t *level, int64_t n, ngx_uint_t refused)
{
    int64_t     max;
    ngx_str_t  *name;

    max = level->max;
    name = &queue->conf->name;

    /* a request too large for what is left does not make the queue full */

    if (!level->full && refused && n >= max - max / 10) {
        level->full = 1;
        ngx_log_error(NGX_LOG_ERR, queue->log, 0,
                      "refine: catalog \"%V\": the queue is full: %L of %s %L, "
                      "new events are refused",
                      name, n, level->limit, max);

    } else if (level->full && n < max - max / 10) {
        level->full = 0;
        ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                      "refine: catalog \"%V\": the queue is not full any more: "
                      "%L of %s %L", name, n, level->limit, max);
    }

    if (!level->filling && n >= max - max / 5) {
        level->filling = 1;
        ngx_log_error(NGX_LOG_WARN, queue->log, 0,
                      "refine: catalog \"%V\": the queue holds %L %s, "
                      "80%% of %s", name, n, level->unit, level->limit);

    } else if (level->filling && n < max - max / 5 * 2) {
        level->filling = 0;
    }
}
