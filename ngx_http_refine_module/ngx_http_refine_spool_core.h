
/*
 * Level 2: what the files of the spool share; included by spool*.c only.
 *
 * A segment is a header, then records.  Numbers are little-endian, a CRC is
 * zlib's.
 *
 *      0  "RefineSp"
 *      8  version, 4 bytes
 *     12  CRC of the 12 bytes before
 *     16  mark: the events written
 *     64  mark: the cursor, in turn with
 *    112  mark: the cursor
 *    160  records
 *
 * A mark: a sequence number, an offset, events, each 8 bytes, the CRC of these.
 * Of two cursors the one that was written later counts, and when that one was
 * torn the other: events are read twice rather than not at all.
 *
 * A record: the bytes FF 52 F5 0A, the length of what follows the head, its
 * CRC, the number of events, the CRC of the 16 bytes before; then the number of
 * arguments, the length of each, the types, the arguments (surface.h).  FF and
 * F5 occur in no UTF-8, so what comes after damage is found by looking for
 * these bytes.
 */


#ifndef _NGX_HTTP_REFINE_SPOOL_CORE_H_INCLUDED_
#define _NGX_HTTP_REFINE_SPOOL_CORE_H_INCLUDED_


#include "ngx_http_refine_spool.h"


/* versions 1 and 2 had other CRCs and are left alone */
#define NGX_HTTP_REFINE_SPOOL_VERSION   3
#define NGX_HTTP_REFINE_SPOOL_CRC_1     0x31aa3358
#define NGX_HTTP_REFINE_SPOOL_CRC_2     0x5388ba61
#define NGX_HTTP_REFINE_SPOOL_HEADER    160
#define NGX_HTTP_REFINE_SPOOL_WRITTEN   16
#define NGX_HTTP_REFINE_SPOOL_CURSOR    64
#define NGX_HTTP_REFINE_SPOOL_MARK      28
#define NGX_HTTP_REFINE_SPOOL_MARK_ROOM 48
#define NGX_HTTP_REFINE_SPOOL_HEAD      20
#define NGX_HTTP_REFINE_SPOOL_RECORD    (64 * 1024 * 1024)  /* at most */
#define NGX_HTTP_REFINE_SPOOL_SEGMENT   (16 * 1024 * 1024)
#define NGX_HTTP_REFINE_SPOOL_NAME      64
#define NGX_HTTP_REFINE_SPOOL_MAX_HELD  64
#define NGX_HTTP_REFINE_SPOOL_MAX_LEFT  16
#define NGX_HTTP_REFINE_SPOOL_SUFFIX    ".spool"


/* a cursor, or how much was written */

typedef struct {
    uint64_t                          seq;
    uint64_t                          offset;
    uint64_t                          events;
} ngx_http_refine_spool_mark_t;


typedef struct {
    int                               fd;        /* -1: none */
    char                              name[NGX_HTTP_REFINE_SPOOL_NAME];
    off_t                             size;
    ngx_http_refine_spool_mark_t      written;
    ngx_http_refine_spool_mark_t      cursor;
    uint64_t                          number;    /* of those read */
    ngx_uint_t                        undone;    /* places passed */
} ngx_http_refine_spool_segment_t;


/* what is found at a place of a segment */

typedef enum {
    NGX_HTTP_REFINE_SPOOL_FOUND = 0,
    NGX_HTTP_REFINE_SPOOL_BEYOND,     /* a record that ends behind the bytes */
    NGX_HTTP_REFINE_SPOOL_BAD
} ngx_http_refine_spool_found_e;


struct ngx_http_refine_spool_s {
    ngx_http_refine_spool_conf_t     *conf;
    ngx_log_t                        *log;
    ngx_http_refine_spool_state_t     state;

    /* being written */
    ngx_http_refine_spool_segment_t   out;
    size_t                            segment;   /* bytes, at most */
    ngx_uint_t                        nsegments; /* made by this worker */
    int64_t                           named_at;  /* ms, of the latest name */
    u_char                           *text;
    size_t                            room;
    int64_t                           counted_at;

    /* being read */
    ngx_http_refine_spool_segment_t   in;
    off_t                             pos;       /* where to read on */
    off_t                             next;      /* behind what was read */
    ngx_uint_t                        nread;     /* events of it */
    u_char                           *buf;
    size_t                            room_in;
    ngx_http_refine_spool_record_t   *records;
    ngx_uint_t                        nrecords;
    ngx_uint_t                        max_records;
    u_char                           *args;      /* ngx_str_t */
    size_t                            room_args;
    ngx_uint_t                        nargs;
    char                              after[NGX_HTTP_REFINE_SPOOL_NAME];

    /* read to the end, but not done */
    ngx_http_refine_spool_segment_t   left[NGX_HTTP_REFINE_SPOOL_MAX_LEFT];
    ngx_uint_t                        nleft;
    uint64_t                          nadopted;

    /* read, but not to be deleted */
    ngx_http_refine_spool_segment_t   held[NGX_HTTP_REFINE_SPOOL_MAX_HELD];
    ngx_uint_t                        nheld;

    unsigned                          counted:1; /* counted_at is set */
};


/* spool.c */

ngx_int_t ngx_http_refine_spool_failed(ngx_http_refine_spool_t *spool,
    const char *failed);
int ngx_http_refine_spool_open(ngx_http_refine_spool_t *spool,
    const char *name, int flags);
ngx_int_t ngx_http_refine_spool_unlink(ngx_http_refine_spool_t *spool,
    const char *name);
ngx_int_t ngx_http_refine_spool_mark_write(int fd,
    ngx_http_refine_spool_mark_t *mark, off_t offset);

/* makes room for "size" bytes at *p, which had *room */
ngx_int_t ngx_http_refine_spool_grow(ngx_http_refine_spool_t *spool,
    u_char **p, size_t *room, size_t size);

/* all of it or NGX_ERROR with errno; *n of a read: less at the file's end */
ngx_int_t ngx_http_refine_spool_pwrite(int fd, const u_char *p, size_t n,
    off_t offset);
ngx_int_t ngx_http_refine_spool_pread(int fd, u_char *p, size_t *n,
    off_t offset);


/* spool_record.c */

void ngx_http_refine_spool_header(u_char *p);

/*
 * NGX_OK, NGX_DECLINED: of another version; NGX_ERROR: damaged.  The marks are
 * set in any case.
 */
ngx_int_t ngx_http_refine_spool_header_read(u_char *p, size_t len,
    ngx_http_refine_spool_segment_t *segment);

void ngx_http_refine_spool_mark(u_char *p, ngx_http_refine_spool_mark_t *mark);

/* 0: longer than a record may be */
size_t ngx_http_refine_spool_length(ngx_http_refine_spool_record_t *record);
u_char *ngx_http_refine_spool_encode(u_char *p,
    ngx_http_refine_spool_record_t *record);

/* looks at p for a record; len: how many bytes it takes, head included */
ngx_http_refine_spool_found_e ngx_http_refine_spool_find(u_char *p,
    u_char *last, size_t *len);

/* the first place behind p where a record may begin, at most "last" */
u_char *ngx_http_refine_spool_skip(u_char *p, u_char *last);

/* what was found at p; args has room for record->nargs, or is NULL */
ngx_int_t ngx_http_refine_spool_decode(u_char *p,
    ngx_http_refine_spool_record_t *record, ngx_str_t *args);


/* spool_dir.c */

/*
 * Calls the handler for each segment in the directory, by its age; it may end
 * this with another value than NGX_OK, which is then returned.
 */
typedef ngx_int_t (*ngx_http_refine_spool_each_pt)(
    ngx_http_refine_spool_t *spool, const char *name, void *data);

ngx_int_t ngx_http_refine_spool_each(ngx_http_refine_spool_t *spool,
    ngx_http_refine_spool_each_pt handler, void *data);

/*
 * Opens one, with its size and its header's marks.  NGX_OK, NGX_DECLINED: of
 * another version, NGX_DONE: it is gone, or no segment; NGX_ERROR: see state.
 */
ngx_int_t ngx_http_refine_spool_look(ngx_http_refine_spool_t *spool,
    const char *name, ngx_uint_t lock,
    ngx_http_refine_spool_segment_t *segment);


#endif /* _NGX_HTTP_REFINE_SPOOL_CORE_H_INCLUDED_ */
