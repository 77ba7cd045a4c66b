
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_refine_cookie.h"


void
ngx_http_refine_cookie_find(ngx_str_t *header, ngx_str_t **names,
    ngx_str_t *values, ngx_uint_t n)
{
    size_t       len;
    u_char      *p, *end, *last;
    ngx_uint_t   i;

    p = header->data;
    last = p + header->len;

    for ( /* void */ ; p < last; p = end + 1) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        end = memchr(p, ';', last - p);

        if (end == NULL) {
            end = last;
        }

        for (i = 0; i < n; i++) {
            len = names[i]->len;

            if (len && (size_t) (end - p) > len && p[len] == '='
                && values[i].data == NULL
                && ngx_memcmp(p, names[i]->data, len) == 0)
            {
                values[i].data = p + len + 1;
                values[i].len = end - values[i].data;
            }
        }
    }
}
