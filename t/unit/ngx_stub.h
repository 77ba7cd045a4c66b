
/*
 * The parts of nginx that the levels 0 and 1 use, for tests that run without
 * it.  Each allocation is its own malloc(), so that a sanitizer sees a write
 * past its end and a use after ngx_pfree(); a pool frees what is left.
 */


#ifndef _NGX_STUB_H_INCLUDED_
#define _NGX_STUB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * From now on the nth allocation (1: the next) fails, that one only; 0: none
 * does.  Making a pool counts as an allocation.
 */
void ngx_stub_fail_after(ngx_uint_t n);

/* whether the allocation that was to fail has been asked for */
ngx_uint_t ngx_stub_failed(void);

/* the allocations since ngx_stub_fail_after() */
ngx_uint_t ngx_stub_allocations(void);


#endif /* _NGX_STUB_H_INCLUDED_ */
