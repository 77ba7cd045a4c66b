
/*
 * How fast functions read a text, each in turn, in GB/s of CPU time, and as a
 * ratio to the first of them: medians of the rounds.
 *
 *     PROGRAM [rounds] [milliseconds of a measurement]
 */


#ifndef _RATE_H_INCLUDED_
#define _RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define RATE_CHUNK     4096             /* bytes that are given at a time */
#define RATE_MAX_RUNS  3


/* what it has found in a text that ends with NUL; 0: it was refused */
typedef size_t (*rate_pt)(char *text, size_t len);

/* writes the ith piece; returns the end */
typedef char *(*rate_piece_pt)(char *p, ngx_uint_t i);


/* pieces, until there are about size bytes, between a head and a tail */

typedef struct {
    const char    *name;
    size_t         size;
    const char    *head;
    rate_piece_pt  piece;
    const char    *tail;
} rate_text_t;


/* 0 .. n - 1, the same in each run */
ngx_uint_t rate_random(ngx_uint_t n);

/* letters; returns the end */
char *rate_letters(char *p, ngx_uint_t min, ngx_uint_t max);

/*
 * Prints a line for a text; ends the process when a run has refused it.  With
 * "same" all have to find as much as the first.
 */
void rate_print(const rate_text_t *text, const rate_pt *runs, ngx_uint_t nruns,
    ngx_uint_t same);

/* reads the options and prints the line above: a name for each run */
void rate_init(int argc, char **argv, const char **names, ngx_uint_t nruns);


#endif /* _RATE_H_INCLUDED_ */
