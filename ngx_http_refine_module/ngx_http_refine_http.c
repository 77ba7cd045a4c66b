
/*
 * Level 2: HTTP POSTs over peers.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_message.h"
#include "ngx_http_refine_http.h"


/* beyond this a kept connection may be forgotten by what is in between */
#define NGX_HTTP_REFINE_HTTP_IDLE  60000


typedef struct {
    ngx_queue_t                       queue;    /* of http->idle */
    ngx_http_refine_http_t           *http;
    ngx_http_refine_peer_t           *peer;
    ngx_http_refine_http_post_t      *post;     /* NULL: idle */
    ngx_msec_t                        since;    /* it is idle */

    unsigned                          open:1;   /* was ever connected */
    unsigned                          idle:1;   /* in http->idle */
    unsigned                          kept:1;   /* served a post before */
} ngx_http_refine_http_conn_t;


struct ngx_http_refine_http_s {
    ngx_http_refine_target_t         *target;
    ngx_uint_t                        max_idle;
    ngx_log_t                        *log;
    ngx_queue_t                       idle;     /* the latest first */
    ngx_queue_t                       posts;
    ngx_uint_t                        nidle;
};


struct ngx_http_refine_http_post_s {

    /* the fourth word is what nginx logs of a timer */

    ngx_pool_t                       *pool;
    ngx_http_refine_http_t           *http;
    ngx_http_refine_http_conn_t      *conn;
    ngx_int_t                         ident;

    ngx_queue_t                       queue;
    ngx_event_t                       timer;
    ngx_str_t                         request;
    ngx_http_refine_http_handler_pt   handler;
    void                             *data;
    size_t                            received;
    ngx_uint_t                        retried;
    ngx_uint_t                        done;     /* the handler is running */
    ngx_http_refine_message_t         message;
};


static ngx_int_t ngx_http_refine_http_request(
    ngx_http_refine_http_post_t *post, ngx_str_t *head, size_t size,
    ngx_http_refine_http_body_pt body);
static ngx_int_t ngx_http_refine_http_start(ngx_http_refine_http_post_t *post,
    ngx_uint_t fresh);
static ngx_http_refine_http_conn_t *ngx_http_refine_http_idle(
    ngx_http_refine_http_t *http);
static ngx_http_refine_http_conn_t *ngx_http_refine_http_connect(
    ngx_http_refine_http_t *http);
static void ngx_http_refine_http_keep(ngx_http_refine_http_conn_t *conn);
static void ngx_http_refine_http_close(ngx_http_refine_http_conn_t *conn);
static void ngx_http_refine_http_forget(ngx_http_refine_http_conn_t *conn);

static void ngx_http_refine_http_connected(void *data);
static void ngx_http_refine_http_received(void *data, u_char *p, size_t len);
static void ngx_http_refine_http_closed(void *data, const char *reason);
static void ngx_http_refine_http_lost(ngx_http_refine_http_post_t *post,
    ngx_uint_t kept, ngx_uint_t open, const char *reason);
static ngx_http_refine_http_failure_e ngx_http_refine_http_failure(
    ngx_uint_t open, const char *reason);
static void ngx_http_refine_http_timeout(ngx_event_t *ev);

static void ngx_http_refine_http_answered(ngx_http_refine_http_post_t *post);
static void ngx_http_refine_http_failed(ngx_http_refine_http_post_t *post,
    ngx_http_refine_http_failure_e failure, const char *error);
static void ngx_http_refine_http_finish(ngx_http_refine_http_post_t *post,
    ngx_http_refine_http_answer_t *answer);
static void ngx_http_refine_http_detach(ngx_http_refine_http_post_t *post);


static const ngx_http_refine_peer_handlers_t
    ngx_http_refine_http_peer_handlers =
{
    ngx_http_refine_http_connected,
    ngx_http_refine_http_received,
    ngx_http_refine_http_closed
};


ngx_http_refine_http_t *
ngx_http_refine_http_create(ngx_http_refine_target_t *target,
    ngx_uint_t max_idle, ngx_log_t *log)
{
    ngx_http_refine_http_t  *http;

    http = ngx_calloc(sizeof(ngx_http_refine_http_t), log);
    if (http == NULL) {
        return NULL;
    }

    http->target = target;
    http->max_idle = max_idle;
    http->log = log;

    ngx_queue_init(&http->idle);
    ngx_queue_init(&http->posts);

    return http;
}


ngx_http_refine_http_post_t *
ngx_http_refine_http_post(ngx_http_refine_http_t *http, ngx_str_t *head,
    size_t size, ngx_http_refine_http_body_pt body, ngx_msec_t timeout,
    ngx_http_refine_http_handler_pt handler, void *data)
{
    ngx_pool_t                   *pool;
    ngx_http_refine_http_post_t  *post;

    pool = ngx_create_pool(4096, http->log);
    if (pool == NULL) {
        return NULL;
    }

    post = ngx_pcalloc(pool, sizeof(ngx_http_refine_http_post_t));
    if (post == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    post->pool = pool;
    post->http = http;
    post->ident = -1;
    post->handler = handler;
    post->data = data;

    post->timer.data = post;
    post->timer.log = http->log;
    post->timer.handler = ngx_http_refine_http_timeout;

    ngx_http_refine_message_init(&post->message, pool);

    if (ngx_http_refine_http_request(post, head, size, body) != NGX_OK
        || ngx_http_refine_http_start(post, 0) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_queue_insert_tail(&http->posts, &post->queue);

    ngx_add_timer(&post->timer, timeout);

    return post;
}


void
ngx_http_refine_http_cancel(ngx_http_refine_http_post_t *post)
{
    if (post->done) {
        return;
    }

    ngx_http_refine_http_detach(post);

    ngx_destroy_pool(post->pool);
}


void
ngx_http_refine_http_destroy(ngx_http_refine_http_t *http)
{
    ngx_queue_t                  *q;
    ngx_http_refine_http_conn_t  *conn;
    ngx_http_refine_http_post_t  *post;

    while (!ngx_queue_empty(&http->posts)) {
        q = ngx_queue_head(&http->posts);
        post = ngx_queue_data(q, ngx_http_refine_http_post_t, queue);

        ngx_http_refine_http_cancel(post);
    }

    while (!ngx_queue_empty(&http->idle)) {
        q = ngx_queue_head(&http->idle);
        conn = ngx_queue_data(q, ngx_http_refine_http_conn_t, queue);

        ngx_http_refine_http_close(conn);
    }

    ngx_free(http);
}


static ngx_int_t
ngx_http_refine_http_request(ngx_http_refine_http_post_t *post,
    ngx_str_t *head, size_t size, ngx_http_refine_http_body_pt body)
{
    u_char  *p;
    size_t   len;

    len = head->len + sizeof("Content-Length: " CRLF CRLF) - 1
          + NGX_SIZE_T_LEN + size;

    p = ngx_pnalloc(post->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    post->request.data = p;

    p = ngx_cpymem(p, head->data, head->len);
    p = ngx_sprintf(p, "Content-Length: %uz" CRLF CRLF, size);
    p = body(post->data, p);

    post->request.len = p - post->request.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_http_start(ngx_http_refine_http_post_t *post,
    ngx_uint_t fresh)
{
    ngx_http_refine_http_conn_t  *conn;

    conn = fresh ? NULL : ngx_http_refine_http_idle(post->http);

    if (conn == NULL) {
        conn = ngx_http_refine_http_connect(post->http);
        if (conn == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_refine_peer_send(conn->peer, post->request.data,
                                  post->request.len)
        != NGX_OK)
    {
        ngx_http_refine_http_close(conn);
        return NGX_ERROR;
    }

    conn->post = post;
    post->conn = conn;

    if (conn->kept) {
        ngx_http_refine_peer_read_timeout(conn->peer,
                                          post->http->target->read_timeout);
    }

    return NGX_OK;
}


/* the connection that was used last: the others may come to be not needed */

static ngx_http_refine_http_conn_t *
ngx_http_refine_http_idle(ngx_http_refine_http_t *http)
{
    ngx_queue_t                  *q;
    ngx_http_refine_http_conn_t  *conn;

    while (!ngx_queue_empty(&http->idle)) {
        q = ngx_queue_head(&http->idle);
        conn = ngx_queue_data(q, ngx_http_refine_http_conn_t, queue);

        if (ngx_current_msec - conn->since > NGX_HTTP_REFINE_HTTP_IDLE) {
            ngx_http_refine_http_close(conn);
            continue;
        }

        ngx_queue_remove(q);
        http->nidle--;
        conn->idle = 0;

        return conn;
    }

    return NULL;
}


static ngx_http_refine_http_conn_t *
ngx_http_refine_http_connect(ngx_http_refine_http_t *http)
{
    ngx_http_refine_http_conn_t  *conn;

    conn = ngx_calloc(sizeof(ngx_http_refine_http_conn_t), http->log);
    if (conn == NULL) {
        return NULL;
    }

    conn->http = http;
    conn->peer = ngx_http_refine_peer_connect(http->target,
                                         &ngx_http_refine_http_peer_handlers,
                                         conn, http->log);
    if (conn->peer == NULL) {
        ngx_free(conn);
        return NULL;
    }

    return conn;
}


static void
ngx_http_refine_http_keep(ngx_http_refine_http_conn_t *conn)
{
    ngx_queue_t                  *q;
    ngx_http_refine_http_t       *http;
    ngx_http_refine_http_conn_t  *oldest;

    http = conn->http;

    /* nobody would close it later: nginx has been through all idle ones */

    if (http->max_idle == 0 || ngx_exiting || ngx_terminate
        || ngx_http_refine_peer_unsent(conn->peer))
    {
        ngx_http_refine_http_close(conn);
        return;
    }

    if (http->nidle >= http->max_idle) {
        q = ngx_queue_last(&http->idle);
        oldest = ngx_queue_data(q, ngx_http_refine_http_conn_t, queue);

        ngx_http_refine_http_close(oldest);
    }

    conn->kept = 1;
    conn->idle = 1;
    conn->since = ngx_current_msec;

    ngx_queue_insert_head(&http->idle, &conn->queue);
    http->nidle++;

    ngx_http_refine_peer_idle(conn->peer);
}


static void
ngx_http_refine_http_close(ngx_http_refine_http_conn_t *conn)
{
    ngx_http_refine_peer_close(conn->peer);
    ngx_http_refine_http_forget(conn);
}


static void
ngx_http_refine_http_forget(ngx_http_refine_http_conn_t *conn)
{
    if (conn->idle) {
        ngx_queue_remove(&conn->queue);
        conn->http->nidle--;
    }

    ngx_free(conn);
}


static void
ngx_http_refine_http_connected(void *data)
{
    ngx_http_refine_http_conn_t *conn = data;

    conn->open = 1;

    ngx_http_refine_peer_read_timeout(conn->peer,
                                      conn->http->target->read_timeout);
}


static void
ngx_http_refine_http_received(void *data, u_char *p, size_t len)
{
    ngx_http_refine_http_conn_t *conn = data;

    size_t                        used;
    ngx_int_t                     rc;
    ngx_http_refine_http_post_t  *post;

    post = conn->post;

    rc = ngx_http_refine_message_parse(&post->message, p, len, &used);

    if (rc == NGX_AGAIN) {

        post->received += len;

        if (post->received > NGX_HTTP_REFINE_HTTP_MAX_READ) {

            /* far beyond any header: the status is there */

            ngx_http_refine_http_answered(post);
            return;
        }

        ngx_http_refine_peer_read_timeout(conn->peer,
                                          conn->http->target->read_timeout);
        return;
    }

    if (rc == NGX_OK) {

        if (post->message.keepalive && used == len) {
            conn->post = NULL;
            post->conn = NULL;

            ngx_http_refine_http_keep(conn);
        }

        ngx_http_refine_http_answered(post);
        return;
    }

    ngx_http_refine_http_failed(post, NGX_HTTP_REFINE_HTTP_INVALID,
                                post->message.error);
}


static void
ngx_http_refine_http_closed(void *data, const char *reason)
{
    ngx_http_refine_http_conn_t *conn = data;

    ngx_uint_t                    kept, open;
    ngx_http_refine_http_post_t  *post;

    post = conn->post;
    kept = conn->kept;
    open = conn->open;

    ngx_http_refine_http_forget(conn);

    if (post) {
        post->conn = NULL;
        ngx_http_refine_http_lost(post, kept, open, reason);
    }
}


static void
ngx_http_refine_http_lost(ngx_http_refine_http_post_t *post, ngx_uint_t kept,
    ngx_uint_t open, const char *reason)
{
    ngx_uint_t  ended, untouched;

    ended = (ngx_strcmp(reason, NGX_HTTP_REFINE_PEER_CLOSED) == 0);
    untouched = ngx_http_refine_message_untouched(&post->message);

    if (ended && !untouched) {

        if (ngx_http_refine_message_end(&post->message) == NGX_OK) {
            ngx_http_refine_http_answered(post);

        } else {
            ngx_http_refine_http_failed(post, NGX_HTTP_REFINE_HTTP_CLOSED,
                                        post->message.error);
        }

        return;
    }

    ended |= (ngx_strcmp(reason, NGX_HTTP_REFINE_PEER_RESET) == 0);

    /* the server closed a kept connection while the request was on its way */

    if (kept && ended && untouched && !post->retried) {
        post->retried = 1;

        if (ngx_http_refine_http_start(post, 1) != NGX_OK) {
            ngx_http_refine_http_failed(post, NGX_HTTP_REFINE_HTTP_CONNECTION,
                                        "out of memory");
        }

        return;
    }

    ngx_http_refine_http_failed(post,
                                ngx_http_refine_http_failure(open, reason),
                                reason);
}


/* by peer.h the reasons of all timeouts end so */

static ngx_http_refine_http_failure_e
ngx_http_refine_http_failure(ngx_uint_t open, const char *reason)
{
    size_t  len;

    static const char  late[] = "timed out";

    len = ngx_strlen(reason);

    if (len >= sizeof(late) - 1
        && ngx_strcmp(reason + len - (sizeof(late) - 1), late) == 0)
    {
        return NGX_HTTP_REFINE_HTTP_TIMEOUT;
    }

    return open ? NGX_HTTP_REFINE_HTTP_CLOSED
                : NGX_HTTP_REFINE_HTTP_CONNECTION;
}


static void
ngx_http_refine_http_timeout(ngx_event_t *ev)
{
    ngx_http_refine_http_failed(ev->data, NGX_HTTP_REFINE_HTTP_TIMEOUT,
                                "timed out");
}


static void
ngx_http_refine_http_answered(ngx_http_refine_http_post_t *post)
{
    ngx_http_refine_message_t      *m;
    ngx_http_refine_http_answer_t   answer;

    m = &post->message;

    answer.status = m->status;
    answer.error = NULL;
    answer.failure = NGX_HTTP_REFINE_HTTP_ANSWERED;
    answer.body = m->body;
    answer.retry_after = m->retry_after;
    answer.date = m->date;
    answer.limit = m->limit;
    answer.remaining = m->remaining;
    answer.reset = m->reset;

    ngx_http_refine_http_finish(post, &answer);
}


static void
ngx_http_refine_http_failed(ngx_http_refine_http_post_t *post,
    ngx_http_refine_http_failure_e failure, const char *error)
{
    ngx_http_refine_http_answer_t  answer;

    ngx_memzero(&answer, sizeof(ngx_http_refine_http_answer_t));

    answer.error = error;
    answer.failure = failure;

    ngx_http_refine_http_finish(post, &answer);
}


/* the handler may destroy the client: nothing of it is used after the call */

static void
ngx_http_refine_http_finish(ngx_http_refine_http_post_t *post,
    ngx_http_refine_http_answer_t *answer)
{
    post->done = 1;

    ngx_http_refine_http_detach(post);

    post->handler(post->data, answer);

    ngx_destroy_pool(post->pool);
}


static void
ngx_http_refine_http_detach(ngx_http_refine_http_post_t *post)
{
    if (post->conn) {
        ngx_http_refine_http_close(post->conn);
        post->conn = NULL;
    }

    if (post->timer.timer_set) {
        ngx_del_timer(&post->timer);
    }

    ngx_queue_remove(&post->queue);
}
