
/*
 * Level 6: refine_collect, the endpoint that takes the browser's events.
 * design: 3.1.
 *
 * What it leaves in $refine_outcome:
 *
 *     stored        every event is stored
 *     partial       some are, the others were refused
 *     duplicate     all that is valid had been stored before
 *     dropped       all that is valid was dropped on purpose
 *     rejected      nothing was acceptable
 *     full          max_queue_size or max_queue_bytes is reached
 *     unavailable   Redis is away, too slow, or refused
 *     aborted       the body did not arrive, or was too large on the way
 */


#ifndef _NGX_HTTP_REFINE_COLLECT_H_INCLUDED_
#define _NGX_HTTP_REFINE_COLLECT_H_INCLUDED_


#include "ngx_http_refine_module.h"


/* the setter of the directive */
char *ngx_http_refine_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * From postconfiguration: where refine_collect is in use, counts at the end of
 * a request what nginx itself has refused: a body too large, or cut off.
 */
ngx_int_t ngx_http_refine_collect_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_REFINE_COLLECT_H_INCLUDED_ */
