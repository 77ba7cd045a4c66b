
/*
 * The answers of Refine: no cut changes what is read of them, and one that is
 * built from the input is read as what it was built from.  The first byte says
 * which of the two.
 */


#include "fuzz.h"
#include "ngx_http_refine_message.h"


static ngx_uint_t  fuzz_ended;


static void
fuzz_field(fuzz_log_t *log, const char *name, ngx_str_t *text)
{
    fuzz_print(log, "\n%s: ", name);
    fuzz_write(log, text->data, text->len);
}


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    size_t                      n, used;
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    ngx_http_refine_message_t   m;

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    ngx_http_refine_message_init(&m, pool);

    rc = NGX_AGAIN;
    used = 0;

    while (rc == NGX_AGAIN && fuzz_next(in)) {
        rc = ngx_http_refine_message_parse(&m, in->piece.data, in->piece.len,
                                           &n);

        fuzz_assert(rc == NGX_ERROR || n <= in->piece.len);
        fuzz_assert(rc != NGX_AGAIN || n == in->piece.len);

        used += (rc == NGX_ERROR) ? 0 : n;
    }

    if (rc == NGX_AGAIN && fuzz_ended) {
        rc = ngx_http_refine_message_end(&m);
    }

    fuzz_assert((rc == NGX_ERROR) == (m.error != NULL));
    fuzz_assert(m.body.len <= NGX_HTTP_REFINE_MESSAGE_BODY);
    fuzz_assert(rc != NGX_OK || (m.status >= 200 && m.status <= 999));
    fuzz_assert(rc != NGX_ERROR || (m.status == 0 && !m.keepalive));

    fuzz_print(log, "%d %s", (int) rc, m.error ? m.error : "");

    if (rc == NGX_OK) {
        fuzz_print(log, "\n%d bytes, status %d, keepalive %d", (int) used,
                   (int) m.status, (int) m.keepalive);
        fuzz_field(log, "retry_after", &m.retry_after);
        fuzz_field(log, "date", &m.date);
        fuzz_field(log, "limit", &m.limit);
        fuzz_field(log, "remaining", &m.remaining);
        fuzz_field(log, "reset", &m.reset);
        fuzz_field(log, "body", &m.body);
    }

    ngx_destroy_pool(pool);
}


/* the body in chunks of such lengths as its own bytes say */

static void
fuzz_chunks(fuzz_log_t *text, const u_char *p, size_t len)
{
    size_t  n;

    while (len) {
        n = 1 + p[0] % 40;
        n = ngx_min(n, len);

        fuzz_print(text, (p[0] & 0x40) ? "%02zX;a=\"b\"\r\n" : "%zx\r\n", n);
        fuzz_write(text, p, n);
        fuzz_print(text, "\r\n");

        p += n;
        len -= n;
    }

    fuzz_print(text, "0\r\n");
}


static void
fuzz_built(ngx_uint_t how, const u_char *p, size_t len)
{
    static fuzz_log_t  text, log, expected;

    text.len = 0;
    expected.len = 0;

    if (how & 2) {
        fuzz_print(&text, "HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n");
    }

    fuzz_print(&text, "HTTP/1.1 %d%s\r\nretry-AFTER: \t 7 \t\r\n",
               500 + (int) how, (how & 4) ? " No: Reason" : "");

    if (how & 8) {
        fuzz_print(&text, "Transfer-Encoding: chunked\r\n\r\n");
        fuzz_chunks(&text, p, len);
        fuzz_print(&text, (how & 16) ? "Date: x\r\n\r\n" : "\r\n");

    } else {
        fuzz_print(&text, "Content-Length: %zu\r\n\r\n", len);
        fuzz_write(&text, p, len);
    }

    fuzz_print(&expected, "0 \n%d bytes, status %d, keepalive 1\n"
               "retry_after: 7\ndate: \nlimit: \nremaining: \nreset: \nbody: ",
               (int) text.len, 500 + (int) how);
    fuzz_write(&expected, p, len);

    fuzz_print(&text, "HTTP/1.1 200 OK\r\n");

    fuzz_cuts((u_char *) text.text, text.len, fuzz_run, &log);

    fuzz_assert(log.len == expected.len
                && memcmp(log.text, expected.text, log.len) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_log_t  log;

    if (size == 0) {
        return 0;
    }

    fuzz_ended = data[0] & 1;

    if (data[0] & 0x20) {
        fuzz_built(data[0] & 0x1f, data + 1, size - 1);

    } else {
        fuzz_cuts(data + 1, size - 1, fuzz_run, &log);
    }

    return 0;
}
