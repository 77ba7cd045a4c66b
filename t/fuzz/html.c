
/*
 * The HTML scanner: no cut of the document changes what is reported; and a
 * document into which the id of each serve and a script where the head ends
 * have been put reads as the one before, but for just these.
 */


#include "fuzz.h"
#include "ngx_http_refine_html.h"


#define FUZZ_ID      " data-refine-serve-id=\"x\""
#define FUZZ_SCRIPT  "<script data-collect=\"/\"></script>"

#define fuzz_has(html, attr)                                                  \
    (((html)->attrs >> NGX_HTTP_REFINE_HTML_##attr) & 1)


static fuzz_log_t  fuzz_out;            /* the document, rewritten */
static ngx_uint_t  fuzz_rewritten;      /* it was before */
static ngx_uint_t  fuzz_script;         /* 1: it is to come, 2: it is open */
static size_t      fuzz_at;             /* where it was put */


static void
fuzz_tag(ngx_http_refine_html_t *html, fuzz_log_t *log)
{
    ngx_uint_t  attrs;

    attrs = html->attrs & ~(1 << NGX_HTTP_REFINE_HTML_SERVE_ID);

    if (fuzz_script && html->tag == NGX_HTTP_REFINE_HTML_SCRIPT
        && (html->end ? (fuzz_script == 2) : (size_t) html->start == fuzz_at))
    {
        fuzz_script = html->end ? 0 : 2;
        return;
    }

    fuzz_print(log, "\n%s%d %lx %d %d", html->end ? "/" : "", html->tag,
               (long) html->hash, (int) attrs, html->empty);
    fuzz_print(log, " %d", (int) html->inert);

    if (!fuzz_has(html, SERVE) || html->inert) {
        return;
    }

    fuzz_assert(!html->end);

    if (fuzz_rewritten) {
        fuzz_assert(fuzz_has(html, SERVE_ID));
        return;
    }

    if (!fuzz_has(html, SERVE_ID)) {
        fuzz_print(&fuzz_out, "%s" FUZZ_ID "%s", html->bare ? "\"\"" : "",
                   html->slash ? "/" : "");
    }
}


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    size_t                         at;
    u_char                        *done;
    ngx_uint_t                     partial;
    ngx_http_refine_html_t         html;
    ngx_http_refine_html_token_e   token;

    fuzz_out.len = 0;
    fuzz_script = fuzz_rewritten;
    partial = 0;

    ngx_http_refine_html_init(&html);

    while (fuzz_next(in)) {
        done = in->piece.data;
        ngx_http_refine_html_input(&html, done, in->piece.len);

        for ( ;; ) {
            token = ngx_http_refine_html_next(&html);

            fuzz_assert(html.pos >= done
                        && html.pos <= in->piece.data + in->piece.len);
            fuzz_write(&fuzz_out, done, html.pos - done);
            done = html.pos;

            if (token == NGX_HTTP_REFINE_HTML_AGAIN) {
                break;
            }

            if (token == NGX_HTTP_REFINE_HTML_HEAD_END) {
                at = (size_t) (ngx_http_refine_html_offset(&html, html.pos)
                               - html.start);
                fuzz_assert(fuzz_out.len >= at);
                at = fuzz_out.len - at;

                if (!fuzz_rewritten) {
                    fuzz_at = at;
                    memmove(fuzz_out.text + at + sizeof(FUZZ_SCRIPT) - 1,
                            fuzz_out.text + at, fuzz_out.len - at);
                    memcpy(fuzz_out.text + at, FUZZ_SCRIPT,
                           sizeof(FUZZ_SCRIPT) - 1);
                    fuzz_out.len += sizeof(FUZZ_SCRIPT) - 1;
                }

                fuzz_print(log, "\nhead %d", html.page);
                continue;
            }

            if (token == NGX_HTTP_REFINE_HTML_TAG) {
                fuzz_tag(&html, log);
                continue;
            }

            if (html.attr == NGX_HTTP_REFINE_HTML_SERVE_ID) {
                continue;
            }

            /* an empty value is as good as none */

            if (!partial && html.text.len) {
                fuzz_print(log, "\n%d=", html.attr);
                partial = 1;
            }

            fuzz_write(log, html.text.data, html.text.len);
            partial = partial && html.more;
        }

        fuzz_assert(ngx_http_refine_html_held(&html)
                    <= NGX_HTTP_REFINE_HTML_MAX_TAG + 3);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char             *text, decoded[4096];
    size_t              len;

    static fuzz_log_t   first, again;

    fuzz_rewritten = 0;
    fuzz_at = (size_t) -1;
    fuzz_cuts(data, size, fuzz_run, &first);

    text = fuzz_copy(fuzz_out.text, fuzz_out.len);
    len = fuzz_out.len;

    fuzz_rewritten = 1;
    fuzz_cuts(text, len, fuzz_run, &again);
    free(text);

    fuzz_assert(first.len == again.len
                && memcmp(first.text, again.text, first.len) == 0);

    len = sizeof(decoded);

    if (ngx_http_refine_html_decode(decoded, &len, (u_char *) data, size)
        == NGX_OK)
    {
        fuzz_assert(len <= 3 * size);
    }

    return 0;
}
