
/*
 * So much of nginx as redis and queue need to run: an event loop whose turns
 * and clock the target holds, timers in a list, and the formats that they use.
 */


#ifndef _FUZZ_NGINX_H_INCLUDED_
#define _FUZZ_NGINX_H_INCLUDED_


#include "fuzz.h"
#include <ngx_event.h>
#include <ngx_sha1.h>
#include <ngx_thread_pool.h>


#define FUZZ_TEXT  8192


volatile ngx_msec_t    ngx_current_msec;
ngx_uint_t             ngx_exiting;
ngx_uint_t             ngx_process;
ngx_uint_t             ngx_worker;
ngx_queue_t            ngx_posted_events;
ngx_queue_t            ngx_posted_next_events;
ngx_rbtree_t           ngx_event_timer_rbtree;

static ngx_time_t      fuzz_time = { 1700000000, 0, 0 };
static ngx_cycle_t     fuzz_cycle;
static ngx_queue_t     fuzz_timers;

volatile ngx_time_t   *ngx_cached_time = &fuzz_time;
volatile ngx_cycle_t  *ngx_cycle = &fuzz_cycle;


/* a node of the tree is a link of the list */

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_queue_insert_tail(&fuzz_timers, (ngx_queue_t *) &node->left);
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_queue_remove((ngx_queue_t *) &node->left);
}


void
ngx_event_process_posted(ngx_cycle_t *cycle, ngx_queue_t *posted)
{
    ngx_queue_t  *q;
    ngx_event_t  *ev;

    while (!ngx_queue_empty(posted)) {
        q = ngx_queue_head(posted);
        ev = ngx_queue_data(q, ngx_event_t, queue);

        ngx_delete_posted_event(ev);

        ev->handler(ev);
    }
}


static void
fuzz_loop_init(void)
{
    ngx_current_msec = 1000;
    ngx_queue_init(&fuzz_timers);
    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);
    ngx_str_set(&fuzz_cycle.hostname, "host");
}


/* the clock goes on; what has expired by then runs, and what is posted */

static void
fuzz_turn(ngx_msec_t ms)
{
    ngx_queue_t        *q, *next;
    ngx_event_t        *ev;
    ngx_rbtree_node_t  *node;

    ngx_current_msec += ms;

    for (q = ngx_queue_head(&fuzz_timers);
         ms && q != ngx_queue_sentinel(&fuzz_timers);
         q = next)
    {
        next = ngx_queue_next(q);
        node = ngx_queue_data(q, ngx_rbtree_node_t, left);
        ev = ngx_queue_data(node, ngx_event_t, timer);

        if (node->key <= ngx_current_msec) {
            ngx_del_timer(ev);
            ev->timedout = 1;

            /* the handler may end any timer, and start some */

            ev->handler(ev);
            next = ngx_queue_head(&fuzz_timers);
        }
    }

    ngx_event_process_posted(NULL, &ngx_posted_events);
    ngx_event_process_posted(NULL, &ngx_posted_next_events);
}


static u_char *
fuzz_format(u_char *p, u_char *last, const char *format, va_list args)
{
    int         n;
    ngx_str_t  *s;

    for ( /* void */ ; *format; format++) {
        n = 0;

        if (*format != '%' || *++format == '%') {
            fuzz_assert(p < last);
            *p++ = *format;
            continue;
        }

        switch (*format) {

        case 'V':
            s = va_arg(args, ngx_str_t *);
            n = snprintf((char *) p, last - p, "%.*s", (int) s->len, s->data);
            break;

        case 's':
            n = snprintf((char *) p, last - p, "%s", va_arg(args, char *));
            break;

        case 'L':
            n = snprintf((char *) p, last - p, "%lld",
                         (long long) va_arg(args, int64_t));
            break;

        case 'P':
            n = snprintf((char *) p, last - p, "%d", va_arg(args, int));
            break;

        case '0':
            fuzz_assert(strncmp(format, "08xD", 4) == 0);
            format += 3;
            n = snprintf((char *) p, last - p, "%08x", va_arg(args, uint32_t));
            break;

        default:
            fuzz_assert(strncmp(format, "ui", 2) == 0);
            format++;
            n = snprintf((char *) p, last - p, "%lu",
                         (u_long) va_arg(args, ngx_uint_t));
        }

        fuzz_assert(n >= 0 && n < last - p);
        p += n;
    }

    return p;
}


u_char * ngx_cdecl
ngx_sprintf(u_char *buf, const char *format, ...)
{
    size_t   len;
    u_char   text[FUZZ_TEXT];
    va_list  args;

    va_start(args, format);
    len = fuzz_format(text, text + sizeof(text), format, args) - text;
    va_end(args);

    memcpy(buf, text, len);

    return buf + len;
}


u_char * ngx_cdecl
ngx_slprintf(u_char *buf, u_char *last, const char *format, ...)
{
    size_t   len;
    u_char   text[FUZZ_TEXT];
    va_list  args;

    va_start(args, format);
    len = fuzz_format(text, text + sizeof(text), format, args) - text;
    va_end(args);

    len = ngx_min(len, (size_t) (last - buf));
    memcpy(buf, text, len);

    return buf + len;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *format, ...)
{
    u_char   text[FUZZ_TEXT];
    va_list  args;

    fuzz_assert(level > NGX_LOG_CRIT);

    va_start(args, format);
    (void) fuzz_format(text, text + sizeof(text), format, args);
    va_end(args);
}


/* there are no threads here: what would run in one runs at once */

#if (NGX_THREADS)

ngx_thread_task_t *
ngx_thread_task_alloc(ngx_pool_t *pool, size_t size)
{
    return NULL;
}


ngx_int_t
ngx_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    return NGX_DECLINED;
}

#endif


/* nobody compares the digests of the scripts here */

void
ngx_sha1_init(ngx_sha1_t *ctx)
{
}


void
ngx_sha1_update(ngx_sha1_t *ctx, const void *data, size_t size)
{
}


void
ngx_sha1_final(u_char result[20], ngx_sha1_t *ctx)
{
    memset(result, 0, 20);
}


#endif /* _FUZZ_NGINX_H_INCLUDED_ */
