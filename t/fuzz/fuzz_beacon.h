
/*
 * What ngx_http_refine_beacon needs of nginx and of the module beside the
 * units that know no request.
 */


#ifndef _FUZZ_BEACON_H_INCLUDED_
#define _FUZZ_BEACON_H_INCLUDED_


#include "fuzz.h"
#include "ngx_http_refine_beacon.h"
#include "ngx_http_refine_funnel.h"


ngx_module_t  ngx_http_core_module;


/* "not JSON: %s at byte %uz" is the only one */

u_char * ngx_cdecl
ngx_snprintf(u_char *buf, size_t max, const char *format, ...)
{
    char     text[256];
    size_t   len;
    va_list  args;

    fuzz_assert(strcmp(format, "not JSON: %s at byte %uz") == 0);

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), "not JSON: %s at byte %zu", args);
    va_end(args);

    fuzz_assert(len <= max && len < sizeof(text));
    memcpy(buf, text, len);

    return buf + len;
}


ssize_t
ngx_read_file(ngx_file_t *file, u_char *buf, size_t size, off_t offset)
{
    return NGX_ERROR;
}


void
ngx_http_refine_queue_count(ngx_http_refine_queue_t *queue,
    ngx_http_refine_counter_e counter, ngx_uint_t n)
{
    fuzz_assert(counter < NGX_HTTP_REFINE_COUNTER_MAX && n);
}


ngx_int_t
ngx_http_refine_funnel_find(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_http_refine_event_t *events, ngx_uint_t n)
{
    return NGX_OK;
}


ngx_uint_t
ngx_http_refine_shared_seen(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    return 0;
}


#endif /* _FUZZ_BEACON_H_INCLUDED_ */
