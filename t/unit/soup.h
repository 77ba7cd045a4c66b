
/*
 * Documents that are put together of pieces at random, the same in each run.
 */


#ifndef _SOUP_H_INCLUDED_
#define _SOUP_H_INCLUDED_


#include <string.h>
#include <ngx_config.h>
#include <ngx_core.h>


#define SOUP_PIECES  23
#define SOUP_MAX     1024


/*
 * Gives check() that many documents, the nth of n % SOUP_PIECES pieces, each
 * ended by a NUL that does not count.  An empty piece is a NUL.
 */

static void
soup(uint32_t seed, ngx_uint_t documents, const char **pieces, size_t count,
    void (*check)(const char *doc, size_t len, ngx_uint_t n))
{
    char         doc[SOUP_MAX];
    size_t       len, size;
    ngx_uint_t   n, k;
    const char  *piece;

    for (n = 0; n < documents; n++) {
        len = 0;

        for (k = n % SOUP_PIECES; k; k--) {
            seed = seed * 1664525 + 1013904223;
            piece = pieces[(seed >> 8) % count];
            size = piece[0] ? strlen(piece) : 1;
            memcpy(doc + len, piece, size);
            len += size;
        }

        doc[len] = '\0';
        check(doc, len, n);
    }
}


#endif /* _SOUP_H_INCLUDED_ */
