
/*
 * What the fuzz targets share.  A target reads its input piece by piece, each
 * of them an allocation of its own, and writes down what it makes of it: the
 * same must be written however the input is cut.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include "ngx_stub.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>


#define FUZZ_CUTS  5
#define FUZZ_LOG   (4 * 1024 * 1024)


typedef struct {
    const u_char  *pos;
    const u_char  *last;
    ngx_uint_t     cut;       /* 0: not at all, 1: each byte, else at random */
    uint32_t       seed;
    ngx_str_t      piece;
} fuzz_input_t;


typedef struct {
    size_t         len;
    char           text[FUZZ_LOG];
} fuzz_log_t;


typedef void (*fuzz_run_pt)(fuzz_input_t *in, fuzz_log_t *log);


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define fuzz_assert(x)                                                        \
    if (!(x)) {                                                               \
        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);       \
        abort();                                                              \
    }


static ngx_inline void *
fuzz_copy(const void *p, size_t len)
{
    void  *copy;

    copy = malloc(len);
    fuzz_assert(copy != NULL || len == 0);

    if (len) {
        memcpy(copy, p, len);
    }

    return copy;
}


static ngx_inline uint32_t
fuzz_random(fuzz_input_t *in, uint32_t n)
{
    in->seed = in->seed * 1664525 + 1013904223;

    return (in->seed >> 8) % n;
}


/* the next piece, in in->piece until the next call; 0: there is none */

static ngx_inline ngx_uint_t
fuzz_next(fuzz_input_t *in)
{
    size_t  n, size;

    free(in->piece.data);
    in->piece.data = NULL;

    n = in->last - in->pos;

    if (n == 0) {
        return 0;
    }

    if (in->cut) {
        size = (in->cut == 1) ? 1 : fuzz_random(in, 4 << in->cut);
        n = ngx_min(n, size);
    }

    in->piece.data = fuzz_copy(in->pos, n);
    in->piece.len = n;
    in->pos += n;

    return 1;
}


/* what is left of the input is not read */

static ngx_inline void
fuzz_stop(fuzz_input_t *in)
{
    free(in->piece.data);
    in->piece.data = NULL;
}


static ngx_inline void
fuzz_write(fuzz_log_t *log, const void *p, size_t len)
{
    fuzz_assert(log->len + len < FUZZ_LOG);

    if (len) {
        memcpy(log->text + log->len, p, len);
        log->len += len;
    }
}


static ngx_inline void
fuzz_print(fuzz_log_t *log, const char *format, ...)
{
    int      n;
    char     text[512];
    va_list  args;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    fuzz_assert(n >= 0 && n < (int) sizeof(text));
    fuzz_write(log, text, n);
}


/* leaves in *log what is written of the input that is not cut */

static ngx_inline void
fuzz_cuts(const u_char *p, size_t len, fuzz_run_pt run, fuzz_log_t *log)
{
    uint32_t           seed;
    ngx_uint_t         cut;
    fuzz_log_t        *other;
    fuzz_input_t       in;

    static fuzz_log_t  cuts;

    seed = (uint32_t) len;

    for (cut = 0; cut < FUZZ_CUTS; cut++) {
        other = cut ? &cuts : log;
        other->len = 0;

        in.pos = p;
        in.last = p + len;
        in.cut = cut;
        in.seed = seed;
        in.piece.data = NULL;
        in.piece.len = 0;

        run(&in, other);
        fuzz_stop(&in);

        if (other->len != log->len
            || memcmp(other->text, log->text, log->len) != 0)
        {
            fprintf(stderr, "not cut:\n%.*s\ncut:\n%.*s\n", (int) log->len,
                    log->text, (int) other->len, other->text);
            abort();
        }
    }
}


#endif /* _FUZZ_H_INCLUDED_ */
