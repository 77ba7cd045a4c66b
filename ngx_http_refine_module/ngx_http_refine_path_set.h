
/*
 * Level 1: compiled selectors, for the files of this unit only.
 */


#ifndef _NGX_HTTP_REFINE_PATH_SET_H_INCLUDED_
#define _NGX_HTTP_REFINE_PATH_SET_H_INCLUDED_


#include "ngx_http_refine_path.h"


typedef enum {
    NGX_HTTP_REFINE_PATH_NAME = 0,
    NGX_HTTP_REFINE_PATH_ANY,               /* [] */
    NGX_HTTP_REFINE_PATH_INDEX              /* [N] */
} ngx_http_refine_path_step_e;


typedef struct {
    ngx_http_refine_path_step_e   kind;
    ngx_str_t                     name;
    ngx_uint_t                    index;
} ngx_http_refine_path_step_t;


struct ngx_http_refine_path_s {
    ngx_uint_t                    nsteps;
    ngx_http_refine_path_step_t   steps[NGX_HTTP_REFINE_PATH_MAX_STEPS];
};


/*
 * The selectors laid side by side: what can match inside d objects and arrays
 * is step d - 1 of every selector that is still live there.  Masks have a bit
 * for each selector.
 */

typedef struct {
    ngx_uint_t                    names;    /* this step is a name */
    ngx_uint_t                    elements; /* this step is [] or [N] */
    ngx_uint_t                    any;      /* this step is [] */
    ngx_uint_t                    ends;     /* the one before was the last */
} ngx_http_refine_path_masks_t;


struct ngx_http_refine_path_set_s {
    ngx_uint_t                    n;
    size_t                        max_key;  /* longest name, fully escaped */
    ngx_http_refine_path_t       *paths[NGX_HTTP_REFINE_PATH_MAX_SET];
    ngx_http_refine_path_masks_t  masks[NGX_HTTP_REFINE_PATH_MAX_STEPS + 1];
};


#endif /* _NGX_HTTP_REFINE_PATH_SET_H_INCLUDED_ */
