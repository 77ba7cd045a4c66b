
#include "ngx_http_refine_spool_core.h"


#define NGX_HTTP_REFINE_SPOOL_CHUNK  (256 * 1024)


/* what was read of a segment, from spool->pos on */

typedef struct {
    u_char                          *p;        /* looked at up to here */
    u_char                          *last;
    off_t                            left;     /* bytes of the segment */
    size_t                           need;     /* from p, for a record */
    unsigned                         end:1;    /* of the segment */
    unsigned                         bad:1;    /* no record before p */
} ngx_http_refine_spool_bytes_t;


static ngx_int_t ngx_http_refine_spool_adopt(ngx_http_refine_spool_t *spool);
static ngx_int_t ngx_http_refine_spool_adopt_one(
    ngx_http_refine_spool_t *spool, const char *name, void *data);
static ngx_uint_t ngx_http_refine_spool_busy(ngx_http_refine_spool_t *spool,
    const char *name);
static ngx_int_t ngx_http_refine_spool_fill(ngx_http_refine_spool_t *spool,
    ngx_uint_t events, size_t size);
static ngx_int_t ngx_http_refine_spool_parse(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_bytes_t *bytes, ngx_uint_t events, size_t size);
static ngx_int_t ngx_http_refine_spool_take(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_record_t *record);
static ngx_int_t ngx_http_refine_spool_arguments(
    ngx_http_refine_spool_t *spool);
static void ngx_http_refine_spool_move(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_segment_t *segment);
static void ngx_http_refine_spool_end(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_segment_t *segment);


ngx_int_t
ngx_http_refine_spool_read(ngx_http_refine_spool_t *spool, ngx_uint_t events,
    size_t size, ngx_http_refine_spool_record_t **records, ngx_uint_t *n)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if (spool->in.fd == -1) {
            rc = ngx_http_refine_spool_adopt(spool);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        rc = ngx_http_refine_spool_fill(spool, events, size);

        if (rc == NGX_OK) {
            *records = spool->records;
            *n = spool->nrecords;

            return NGX_OK;
        }

        if (rc == NGX_ERROR) {

            /* what was read of it counts first, or it is read again */

            if (spool->in.undone) {
                return NGX_ERROR;
            }

            /* the others have their turn before it is tried again */

            (void) close(spool->in.fd);
            spool->in.fd = -1;

            ngx_memcpy(spool->after, spool->in.name, sizeof(spool->after));

            return NGX_ERROR;
        }

        if (spool->in.undone) {
            spool->left[spool->nleft++] = spool->in;
            spool->in.fd = -1;

        } else {
            ngx_http_refine_spool_end(spool, &spool->in);
        }
    }
}


static ngx_int_t
ngx_http_refine_spool_adopt(ngx_http_refine_spool_t *spool)
{
    char       name[NGX_HTTP_REFINE_SPOOL_NAME];
    ngx_int_t  rc;

    if (spool->nleft == NGX_HTTP_REFINE_SPOOL_MAX_LEFT) {
        return NGX_DONE;
    }

    if (spool->nheld + spool->nleft >= NGX_HTTP_REFINE_SPOOL_MAX_HELD) {
        ngx_set_errno(NGX_EACCES);
        return ngx_http_refine_spool_failed(spool, "unlink()");
    }

    rc = ngx_http_refine_spool_each(spool, ngx_http_refine_spool_adopt_one,
                                    NULL);

    if (rc == NGX_OK && spool->out.fd != -1 && spool->out.written.events) {
        ngx_memcpy(name, spool->out.name, sizeof(name));

        ngx_http_refine_spool_seal(spool);

        rc = ngx_http_refine_spool_adopt_one(spool, name, NULL);
    }

    if (rc == NGX_BUSY) {
        spool->pos = spool->in.cursor.offset;
        spool->in.number = ++spool->nadopted;
        spool->in.undone = 0;
        return NGX_OK;
    }

    spool->after[0] = '\0';

    return (rc == NGX_OK) ? NGX_DONE : NGX_ERROR;
}


/* NGX_BUSY: it is held now; one that cannot be opened does not stop others */

static ngx_int_t
ngx_http_refine_spool_adopt_one(ngx_http_refine_spool_t *spool,
    const char *name, void *data)
{
    ngx_int_t  rc;

    if (ngx_strcmp(name, spool->after) <= 0
        || ngx_http_refine_spool_busy(spool, name))
    {
        return NGX_OK;
    }

    rc = ngx_http_refine_spool_look(spool, name, 1, &spool->in);

    if (rc == NGX_DECLINED) {
        spool->state.other = 1;
    }

    return (rc == NGX_OK) ? NGX_BUSY : NGX_OK;
}


static ngx_uint_t
ngx_http_refine_spool_busy(ngx_http_refine_spool_t *spool, const char *name)
{
    ngx_uint_t  i;

    if (spool->out.fd != -1 && ngx_strcmp(name, spool->out.name) == 0) {
        return 1;
    }

    for (i = 0; i < spool->nheld; i++) {
        if (ngx_strcmp(name, spool->held[i].name) == 0) {
            return 1;
        }
    }

    return 0;
}


/* NGX_DONE: there is nothing more in this segment */

static ngx_int_t
ngx_http_refine_spool_fill(ngx_http_refine_spool_t *spool, ngx_uint_t events,
    size_t size)
{
    size_t                         n;
    ngx_int_t                      rc;
    ngx_http_refine_spool_bytes_t  bytes;

    spool->nrecords = 0;
    spool->nargs = 0;
    spool->nread = 0;

    bytes.bad = 0;
    bytes.need = NGX_HTTP_REFINE_SPOOL_CHUNK;

    /* the buffer stays where it is once there are records in it */

    do {
        if (ngx_http_refine_spool_grow(spool, &spool->buf, &spool->room_in,
                                       bytes.need)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        n = (spool->in.size > spool->pos)
            ? (size_t) ngx_min(spool->in.size - spool->pos,
                               (off_t) spool->room_in)
            : 0;

        if (ngx_http_refine_spool_pread(spool->in.fd, spool->buf, &n,
                                        spool->pos)
            != NGX_OK)
        {
            return ngx_http_refine_spool_failed(spool, "pread()");
        }

        bytes.p = spool->buf;
        bytes.last = spool->buf + n;
        bytes.left = spool->in.size - spool->pos;
        bytes.end = (n < spool->room_in || bytes.left <= (off_t) n);

        rc = ngx_http_refine_spool_parse(spool, &bytes, events, size);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (spool->nrecords) {
            return ngx_http_refine_spool_arguments(spool);
        }

        spool->pos += bytes.p - spool->buf;

    } while (!bytes.end || bytes.p < bytes.last);

    spool->state.torn += bytes.bad;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_refine_spool_parse(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_bytes_t *bytes, ngx_uint_t events, size_t size)
{
    off_t                           left;
    size_t                          len;
    ngx_http_refine_spool_found_e   found;
    ngx_http_refine_spool_record_t  record;

    bytes->need = 0;

    while (bytes->p < bytes->last) {

        found = ngx_http_refine_spool_find(bytes->p, bytes->last, &len);
        left = bytes->left - (bytes->p - spool->buf);

        if (found == NGX_HTTP_REFINE_SPOOL_BEYOND && !bytes->end
            && (off_t) len <= left)
        {
            bytes->need = len;
            break;
        }

        if (found != NGX_HTTP_REFINE_SPOOL_FOUND) {
            bytes->bad = 1;
            bytes->p = ngx_http_refine_spool_skip(bytes->p, bytes->last);
            continue;
        }

        (void) ngx_http_refine_spool_decode(bytes->p, &record, NULL);

        if (spool->nrecords
            && (spool->nread + record.n > events
                || (size_t) (bytes->p - spool->buf) + len > size))
        {
            break;
        }

        if (ngx_http_refine_spool_take(spool, &record) != NGX_OK) {
            return NGX_ERROR;
        }

        spool->state.damaged += bytes->bad;
        bytes->bad = 0;

        bytes->p += len;
        spool->next = spool->pos + (bytes->p - spool->buf);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_take(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_record_t *record)
{
    size_t                           room;
    ngx_http_refine_spool_record_t  *records;

    if (spool->nrecords == spool->max_records) {
        room = spool->max_records ? spool->max_records * 2 : 64;

        records = ngx_alloc(room * sizeof(ngx_http_refine_spool_record_t),
                            spool->log);
        if (records == NULL) {
            ngx_set_errno(NGX_ENOMEM);
            return ngx_http_refine_spool_failed(spool, "malloc()");
        }

        if (spool->nrecords) {
            ngx_memcpy(records, spool->records, spool->nrecords
                                 * sizeof(ngx_http_refine_spool_record_t));
        }

        ngx_free(spool->records);

        spool->records = records;
        spool->max_records = room;
    }

    spool->records[spool->nrecords++] = *record;
    spool->nargs += record->nargs;
    spool->nread += record->n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_spool_arguments(ngx_http_refine_spool_t *spool)
{
    u_char                          *p;
    ngx_str_t                       *args;
    ngx_uint_t                       i;
    ngx_http_refine_spool_record_t  *record;

    if (ngx_http_refine_spool_grow(spool, &spool->args, &spool->room_args,
                                   spool->nargs * sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    args = (ngx_str_t *) spool->args;

    for (i = 0; i < spool->nrecords; i++) {
        record = &spool->records[i];

        p = record->types - record->nargs * 4 - 4 - NGX_HTTP_REFINE_SPOOL_HEAD;

        (void) ngx_http_refine_spool_decode(p, record, args);

        args += record->nargs;
    }

    return NGX_OK;
}


void
ngx_http_refine_spool_advance(ngx_http_refine_spool_t *spool)
{
    ngx_http_refine_spool_place_t  place;

    if (spool->in.fd != -1) {
        ngx_http_refine_spool_pass(spool, &place);
        ngx_http_refine_spool_done(spool, &place);
    }
}


void
ngx_http_refine_spool_pass(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_place_t *place)
{
    place->segment = spool->in.number;
    place->offset = spool->next;
    place->events = spool->nread;

    spool->in.undone++;
    spool->pos = spool->next;
}


void
ngx_http_refine_spool_done(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_place_t *place)
{
    ngx_uint_t                        i;
    ngx_http_refine_spool_mark_t     *cursor;
    ngx_http_refine_spool_segment_t  *segment;

    segment = &spool->in;

    for (i = 0; i < spool->nleft; i++) {
        if (spool->left[i].number == place->segment) {
            segment = &spool->left[i];
        }
    }

    /* it was left to others meanwhile */

    if (segment->fd == -1 || segment->number != place->segment) {
        return;
    }

    cursor = &segment->cursor;

    cursor->seq++;
    cursor->offset = place->offset;
    cursor->events += place->events;

    spool->state.totals.events -= place->events;

    segment->undone--;

    if (segment->undone == 0
        && (segment != &spool->in || spool->pos >= segment->size))
    {
        ngx_http_refine_spool_end(spool, segment);
        return;
    }

    ngx_http_refine_spool_move(spool, segment);
}


static void
ngx_http_refine_spool_move(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_segment_t *segment)
{
    ngx_http_refine_spool_mark_t  *cursor;

    cursor = &segment->cursor;

    if (ngx_http_refine_spool_mark_write(segment->fd, cursor,
                NGX_HTTP_REFINE_SPOOL_CURSOR
                + (cursor->seq & 1) * NGX_HTTP_REFINE_SPOOL_MARK_ROOM)
        != NGX_OK)
    {
        (void) ngx_http_refine_spool_failed(spool, "pwrite()");
    }
}


/*
 * Where it cannot be deleted it is held on to, lest it is read again, and the
 * cursor tells a later worker that it is done.
 */

static void
ngx_http_refine_spool_end(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_segment_t *segment)
{
    ngx_http_refine_spool_totals_t  *totals;

    if (ngx_http_refine_spool_unlink(spool, segment->name) != NGX_OK
        && spool->state.err != NGX_ENOENT)
    {
        ngx_http_refine_spool_move(spool, segment);
        spool->held[spool->nheld++] = *segment;

    } else {
        (void) close(segment->fd);

        spool->state.totals.bytes -= segment->size;
        spool->state.totals.segments--;
    }

    if (segment == &spool->in) {
        segment->fd = -1;

    } else {
        *segment = spool->left[--spool->nleft];
    }

    /* it may be one that was not there when they were counted */

    totals = &spool->state.totals;

    totals->bytes = ngx_max(totals->bytes, 0);
    totals->events = ngx_max(totals->events, 0);
    totals->segments = ngx_max(totals->segments, 0);
}
