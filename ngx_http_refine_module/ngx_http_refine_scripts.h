
/*
 * Level 2: the steps in Redis that have to be atomic, as Lua scripts.
 *
 * KEYS are always events, stats and dead, in this order, or the first "nkeys"
 * of them.  Two rules hold in all of them: whatever can be refused for a wrong
 * type is read before the first write, for Redis does not undo; and where a
 * full Redis has to be written to, the first write is one that takes no
 * memory: after it the others are not refused for OOM (HDEL "" does nothing
 * else).
 */


#ifndef _NGX_HTTP_REFINE_SCRIPTS_H_INCLUDED_
#define _NGX_HTTP_REFINE_SCRIPTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_SHA1_LEN  40


typedef enum {
    /*
     * ARGV: max_queue_size, a length, max_queue_bytes, what an entry takes
     * beside its line, the types of the events of each group (a digit each, see
     * surface.h, the groups separated by a comma), the events, some of them
     * followed by an argument as surface.h has it, pairs of field and increment
     * for the stats.
     * "surfaces" is the number of labels counted apart, in "served:LABEL" and
     * "clicked:LABEL" and so on.
     * A group that would exceed a limit is left out as a whole.
     * Reply: a text with a character for each group, 1 (stored), 0
     * (max_queue_size) or - (max_queue_bytes), the length of the stream, how
     * many of it nobody has claimed (0 below that length), then about how many
     * bytes it takes.  "bytes" begins anew with an empty stream, which may have
     * been trimmed by hand.
     */
    NGX_HTTP_REFINE_SCRIPT_STORE = 0,

    /*
     * ARGV: consumer, ids.  Reply: the delivery count of each id, 0 when the
     * consumer does not hold it.
     */
    NGX_HTTP_REFINE_SCRIPT_ATTEMPTS,

    /*
     * ARGV: consumer.  Removes what is pending for it and no event of the
     * stream any more.  Reply: how many.
     */
    NGX_HTTP_REFINE_SCRIPT_CLEAN,

    /*
     * ARGV: own consumer, ms.  Removes consumers idle for longer that hold
     * nothing.  Reply: how many.
     */
    NGX_HTTP_REFINE_SCRIPT_CONSUMERS,

    /* ARGV: pairs of id and length.  Reply: how many were there */
    NGX_HTTP_REFINE_SCRIPT_ACK,

    /*
     * ARGV: id, status, reason, attempts, how many dead letters are kept.
     * Reply: 1, or 0 when the event was not there.
     */
    NGX_HTTP_REFINE_SCRIPT_DEAD,

    /*
     * ARGV: consumer, first id of an XRANGE, an age in ms, claim_timeout,
     * status, reason, how many dead letters are kept.  Dead letters become of
     * up to 100 events that are older, by the later of their id and "resumed"
     * of the stats, that nobody but the consumer holds; of none in a pause.
     * Reply: where to go on, or "", then their ids.
     */
    NGX_HTTP_REFINE_SCRIPT_EXPIRE,

    /*
     * ARGV: first id of an XRANGE, last id or "" for the last one there is,
     * how a reason begins, max_queue_size, max_queue_bytes, what an entry takes
     * beside its line.  Of up to 200 dead letters those of such a reason become
     * events again, as long as there is room.
     * Reply: how many, where to go on or "", the last id, then 1
     * (max_queue_size) or 2 (max_queue_bytes) when there was no room, else 0.
     */
    NGX_HTTP_REFINE_SCRIPT_REVIVE,

    /* ARGV: consumer, ids.  Reply: how many the consumer still held */
    NGX_HTTP_REFINE_SCRIPT_RENEW,

    /*
     * ARGV: consumer, idle time in ms, pairs of id and delivery count.
     * Reply: how many the consumer still held.
     */
    NGX_HTTP_REFINE_SCRIPT_RETURN,

    /*
     * ARGV: pairs of field and increment.  Reply: "" or why the increments
     * were refused; length of the stream, number pending, dead letters, first
     * id, last id, time in ms, then the stats' fields and values.
     */
    NGX_HTTP_REFINE_SCRIPT_METRICS,

    /*
     * ARGV: 1 or 0, or 2 while delivery is held: "resumed" is the last time
     * when nothing could be delivered for a reason that is not Refine's.
     * Reply: the same.
     */
    NGX_HTTP_REFINE_SCRIPT_PAUSE,

    NGX_HTTP_REFINE_SCRIPT_MAX
} ngx_http_refine_script_e;


typedef struct {
    ngx_str_t    text;
    ngx_uint_t   nkeys;
} ngx_http_refine_script_t;


/* indexed by ngx_http_refine_script_e */
extern const ngx_http_refine_script_t
    ngx_http_refine_scripts[NGX_HTTP_REFINE_SCRIPT_MAX];


/* writes the 40 hexadecimal characters that EVALSHA wants */
void ngx_http_refine_script_sha1(ngx_http_refine_script_e script, u_char *dst);


#endif /* _NGX_HTTP_REFINE_SCRIPTS_H_INCLUDED_ */
