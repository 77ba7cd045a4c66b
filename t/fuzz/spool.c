
/*
 * The spool's reader.  The first byte says what the input is: bytes that a
 * segment consists of, its head or not, where the size of what is read at once
 * must not change what is found; or damage, to a segment of good records: each
 * of those that it does not touch is found, once, in order, as it was.
 */


#include "fuzz.h"
#include <sys/stat.h>
#include "ngx_http_refine_spool.h"


#define FUZZ_HEADER  160
#define FUZZ_GOOD    12


static ngx_http_refine_spool_conf_t  fuzz_conf;
static char                          fuzz_name[128];


static void
fuzz_setup(void)
{
    static char  dir[64];

    if (fuzz_conf.path.len) {
        return;
    }

    (void) snprintf(dir, sizeof(dir), "/tmp/refine_fuzz.XXXXXX");
    fuzz_assert(mkdtemp(dir) != NULL);

    fuzz_conf.path.data = (u_char *) dir;
    fuzz_conf.path.len = strlen(dir);
    fuzz_conf.size = 1024 * 1024;

    (void) snprintf(fuzz_name, sizeof(fuzz_name), "%s/1-1-1.spool", dir);
}


static void
fuzz_save(const u_char *p, size_t len)
{
    FILE  *file;

    file = fopen(fuzz_name, "wb");
    fuzz_assert(file != NULL);
    fuzz_assert(fwrite(p, 1, len, file) == len);
    fuzz_assert(fclose(file) == 0);
}


static void
fuzz_cleanup(void)
{
    (void) unlink(fuzz_name);
    (void) rmdir((char *) fuzz_conf.path.data);
}


static void
fuzz_record(fuzz_log_t *log, ngx_http_refine_spool_record_t *record)
{
    ngx_uint_t  i;

    fuzz_print(log, "\n%d:", (int) record->n);
    fuzz_write(log, record->types, record->n);

    for (i = 0; i < record->nargs; i++) {
        fuzz_print(log, " %d:", (int) record->args[i].len);
        fuzz_write(log, record->args[i].data, record->args[i].len);
    }
}


static void
fuzz_drain(fuzz_log_t *log, ngx_uint_t events)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i, n;
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_state_t   *state;
    ngx_http_refine_spool_record_t  *records;

    spool = ngx_http_refine_spool_create(&fuzz_conf, NULL);
    fuzz_assert(spool != NULL);

    log->len = 0;

    fuzz_assert(ngx_http_refine_spool_count(spool) == NGX_OK);

    while ((rc = ngx_http_refine_spool_read(spool, events, 1024 * 1024,
                                            &records, &n))
           == NGX_OK)
    {
        fuzz_assert(n > 0);

        for (i = 0; i < n; i++) {
            fuzz_record(log, &records[i]);
        }

        ngx_http_refine_spool_advance(spool);
    }

    fuzz_assert(rc == NGX_DONE);

    state = ngx_http_refine_spool_state(spool);

    fuzz_print(log, "\ntorn %d, damaged %d, other %d", (int) state->torn,
               (int) state->damaged, (int) state->other);

    /* what was read is gone, what is of another version stays */

    fuzz_assert((access(fuzz_name, F_OK) == 0) == state->other);

    ngx_http_refine_spool_destroy(spool);
}


static void
fuzz_bytes(const u_char *p, size_t len)
{
    static fuzz_log_t  one, many;

    fuzz_save(p, len);
    fuzz_drain(&one, 1);
    fuzz_save(p, len);
    fuzz_drain(&many, 100000);

    fuzz_assert(one.len == many.len
                && memcmp(one.text, many.text, one.len) == 0);
}


/* the good segment; returns its length; ends[i]: where record i ends */

static size_t
fuzz_good(u_char *p, size_t *ends, fuzz_log_t *texts)
{
    char                             text[64];
    FILE                            *file;
    size_t                           len;
    ngx_str_t                        args[2];
    ngx_uint_t                       i;
    ngx_http_refine_spool_t         *spool;
    ngx_http_refine_spool_record_t   record;
    static char                      path[256];

    spool = ngx_http_refine_spool_create(&fuzz_conf, NULL);
    fuzz_assert(spool != NULL);

    len = FUZZ_HEADER;

    for (i = 0; i < FUZZ_GOOD; i++) {
        args[0].data = (u_char *) text;
        args[0].len = snprintf(text, sizeof(text), "record %d%*s", (int) i,
                               (int) i, "");
        ngx_str_set(&args[1], "page\0text");

        record.n = 1;
        record.types = (u_char *) ((i & 1) ? "0" : "1");
        record.nargs = 1 + (i & 1);
        record.args = args;

        fuzz_assert(ngx_http_refine_spool_write(spool, &record, 1) == NGX_OK);

        len += 20 + 4 + record.nargs * 4 + 1 + args[0].len
               + (record.nargs - 1) * args[1].len;
        ends[i] = len;

        texts[i].len = 0;
        fuzz_record(&texts[i], &record);
    }

    ngx_http_refine_spool_destroy(spool);

    (void) snprintf(path, sizeof(path), "mv %s/0*.spool %s",
                    (char *) fuzz_conf.path.data, fuzz_name);
    fuzz_assert(system(path) == 0);

    file = fopen(fuzz_name, "rb");
    fuzz_assert(file != NULL);
    fuzz_assert(fread(p, 1, 4096, file) == len);
    (void) fclose(file);

    return len;
}


/* a byte: how much is cut off; then triples: where, twice, and with what */

static void
fuzz_damage(const u_char *p, size_t len)
{
    char               *pos, *found;
    u_char              text[4096];
    size_t              at, begin, size;
    ngx_uint_t          i, hit[FUZZ_GOOD];

    static u_char       good[4096];
    static size_t       ngood, ends[FUZZ_GOOD];
    static fuzz_log_t   texts[FUZZ_GOOD], log;

    if (ngood == 0) {
        ngood = fuzz_good(good, ends, texts);
    }

    ngx_memcpy(text, good, ngood);
    ngx_memzero(hit, sizeof(hit));

    size = ngood;

    if (p[0] != 0 && (size_t) p[0] * 3 < ngood - FUZZ_HEADER) {
        size -= p[0] * 3;
    }

    for (p++, len--; len >= 3; p += 3, len -= 3) {
        at = (p[0] << 8 | p[1]) % (ngood - FUZZ_HEADER) + FUZZ_HEADER;

        text[at] ^= p[2];

        for (i = 0; i < FUZZ_GOOD && ends[i] <= at; i++) { /* void */ }
        hit[i] = 1;
    }

    fuzz_save(text, size);
    fuzz_drain(&log, 3);
    fuzz_write(&log, "", 1);

    pos = log.text;
    begin = FUZZ_HEADER;

    for (i = 0; i < FUZZ_GOOD; begin = ends[i++]) {

        /* bytes that were changed may have been changed back */

        if ((hit[i] && memcmp(text + begin, good + begin, ends[i] - begin) != 0)
            || ends[i] > size)
        {
            continue;
        }

        found = memmem(pos, log.text + log.len - pos, texts[i].text,
                       texts[i].len);
        fuzz_assert(found == pos);

        pos = found + texts[i].len;
    }

    fuzz_assert(strncmp(pos, "\ntorn ", 6) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ngx_uint_t  set;

    if (size < 2) {
        return 0;
    }

    fuzz_setup();

    if (!set) {
        set = 1;
        fuzz_assert(atexit(fuzz_cleanup) == 0);
    }

    if (data[0] & 1) {
        fuzz_bytes(data + 1, size - 1);

    } else {
        fuzz_damage(data + 1, size - 1);
    }

    (void) unlink(fuzz_name);

    return 0;
}
