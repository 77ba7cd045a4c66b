
#include <ngx_config.h>
#include <ngx_core.h>
#include <time.h>
#include "rate.h"


#define RATE_MAX_ROUNDS  99


static uint64_t    rate_seed = 88172645463325252ULL;
static double      rate_seconds = 0.1;
static ngx_uint_t  rate_rounds = 9;


ngx_uint_t
rate_random(ngx_uint_t n)
{
    rate_seed ^= rate_seed << 13;
    rate_seed ^= rate_seed >> 7;
    rate_seed ^= rate_seed << 17;

    return rate_seed % n;
}


char *
rate_letters(char *p, ngx_uint_t min, ngx_uint_t max)
{
    ngx_uint_t  n;

    for (n = min + rate_random(max - min + 1); n; n--) {
        *p++ = 'a' + rate_random(26);
    }

    return p;
}


static double
rate_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* GB/s over rate_seconds of CPU time */

static double
rate_run(rate_pt run, const char *name, char *text, size_t len, size_t *found)
{
    double  start, now, bytes;

    bytes = 0;
    start = rate_now();

    do {
        *found = run(text, len);

        if (*found == 0) {
            fprintf(stderr, "%s: refused\n", name);
            exit(1);
        }

        bytes += len;
        now = rate_now();

    } while (now - start < rate_seconds);

    return bytes / (now - start) / 1e9;
}


static int
rate_compare(const void *one, const void *two)
{
    double  a = *(double *) one, b = *(double *) two;

    return (a > b) - (a < b);
}


static double
rate_median(double *values)
{
    qsort(values, rate_rounds, sizeof(double), rate_compare);

    return values[rate_rounds / 2];
}


static char *
rate_make(const rate_text_t *text, char *p)
{
    char        *last;
    ngx_uint_t   i;

    last = p + text->size;
    p += sprintf(p, "%s", text->head);

    for (i = 0; p < last; i++) {
        p = text->piece(p, i);
    }

    return p + sprintf(p, "%s", text->tail);
}


void
rate_print(const rate_text_t *text, const rate_pt *runs, ngx_uint_t nruns,
    ngx_uint_t same)
{
    char        *p, *last;
    double       speed[RATE_MAX_RUNS][RATE_MAX_ROUNDS];
    double       ratio[RATE_MAX_RUNS][RATE_MAX_ROUNDS];
    size_t       found[RATE_MAX_RUNS];
    ngx_uint_t   i, k;

    /* twice the size: what is written at last may run past it */

    p = malloc(text->size * 2 + 1000000);
    if (p == NULL) {
        exit(1);
    }

    last = rate_make(text, p);

    for (i = 0; i < rate_rounds; i++) {
        for (k = 0; k < nruns; k++) {
            speed[k][i] = rate_run(runs[k], text->name, p, last - p,
                                   &found[k]);
            ratio[k][i] = speed[k][i] / speed[0][i];

            if (same && found[k] != found[0]) {
                fprintf(stderr, "%s: %lu found, and %lu\n", text->name,
                        (unsigned long) found[0], (unsigned long) found[k]);
                exit(1);
            }
        }
    }

    printf("%-22s %7lu KB  %6.2f", text->name,
           (unsigned long) (last - p) / 1000, rate_median(speed[0]));

    for (k = 1; k < nruns; k++) {
        printf("   %6.2f %6.1fx", rate_median(speed[k]), rate_median(ratio[k]));
    }

    printf("  (%lu found)\n", (unsigned long) found[nruns - 1]);

    free(p);
}


void
rate_init(int argc, char **argv, const char **names, ngx_uint_t nruns)
{
    ngx_uint_t  k;

    if (argc > 1) {
        rate_rounds = strtoul(argv[1], NULL, 10);
        rate_rounds = ngx_max(1, ngx_min(rate_rounds, RATE_MAX_ROUNDS));
    }

    if (argc > 2) {
        rate_seconds = strtod(argv[2], NULL) / 1000;
    }

    printf("GB/s by CPU time, chunks of %d bytes, %lu rounds\n"
           "%-22s %10s  %6s", RATE_CHUNK, (unsigned long) rate_rounds, "", "",
           names[0]);

    for (k = 1; k < nruns; k++) {
        printf("   %14s", names[k]);
    }

    printf("\n");
}
