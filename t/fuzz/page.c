
/*
 * The rewriting of a page: no cut of it changes what goes in where, nor which
 * items are in which serve; without what was put in it is the page that came;
 * and once rewritten it is not rewritten again.
 */


#include "fuzz.h"
#include "ngx_http_refine_page.h"


#define FUZZ_SCRIPT  "<script data-collect=\"/\"></script>"


static fuzz_log_t  fuzz_plain;      /* what passed */
static fuzz_log_t  fuzz_sent;       /* and with what was put in */
static ngx_uint_t  fuzz_rewritten;  /* it was before */


static void
fuzz_steps(ngx_http_refine_page_t *page, fuzz_log_t *log)
{
    ngx_uint_t                    id;
    ngx_http_refine_page_step_e   step;

    for (id = 0; /* void */ ; id = (step == NGX_HTTP_REFINE_PAGE_SERVE)) {
        step = ngx_http_refine_page_next(page);

        switch (step) {

        case NGX_HTTP_REFINE_PAGE_AGAIN:
            fuzz_assert(!id);
            return;

        case NGX_HTTP_REFINE_PAGE_PASS:
        case NGX_HTTP_REFINE_PAGE_COPY:
            fuzz_assert(page->out.len > 0);
            fuzz_write(&fuzz_sent, page->out.data, page->out.len);

            if (id) {
                fuzz_assert(step == NGX_HTTP_REFINE_PAGE_COPY);
                break;
            }

            fuzz_write(&fuzz_plain, page->out.data, page->out.len);
            break;

        case NGX_HTTP_REFINE_PAGE_HEAD:
            fuzz_print(log, "head %d at %d\n", page->html.page,
                       (int) fuzz_plain.len);

            if (fuzz_rewritten) {
                fuzz_assert(page->script || !ngx_http_refine_page_whole(page));

            } else if (ngx_http_refine_page_whole(page)) {
                fuzz_print(&fuzz_sent, FUZZ_SCRIPT);
            }

            break;

        case NGX_HTTP_REFINE_PAGE_SERVE:
            fuzz_assert(!fuzz_rewritten || page->beyond);
            memset(page->serve->id, 'x', NGX_HTTP_REFINE_UUID_LEN);
            fuzz_print(log, "serve at %d\n", (int) fuzz_plain.len);
            break;

        default:
            fuzz_assert(0);
        }
    }
}


static void
fuzz_items(ngx_http_refine_items_t *items, fuzz_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < items->set.nstrings; i++) {
        fuzz_write(log, items->set.strings[i].data, items->set.strings[i].len);
        fuzz_print(log, "\n");
    }
}


static void
fuzz_run(fuzz_input_t *in, fuzz_log_t *log)
{
    ngx_pool_t                    *pool;
    ngx_http_refine_page_t         page;
    ngx_http_refine_page_serve_t  *serve;

    fuzz_plain.len = 0;
    fuzz_sent.len = 0;

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    ngx_http_refine_page_init(&page, pool, 1, 1);

    while (fuzz_next(in)) {

        if (in->piece.len == 0) {
            continue;
        }

        ngx_http_refine_page_input(&page, in->piece.data, in->piece.len);
        fuzz_steps(&page, log);
    }

    ngx_http_refine_page_end(&page);
    fuzz_steps(&page, log);

    for (serve = page.serves; serve; serve = serve->next) {
        fuzz_write(log, serve->surface.data, serve->surface.len);
        fuzz_print(log, "|");
        fuzz_write(log, serve->source.data, serve->source.len);
        fuzz_print(log, "\n");
        fuzz_items(&serve->items, log);
    }

    fuzz_print(log, "outside\n");
    fuzz_items(&page.items, log);
    fuzz_print(log, "%d %d %d\n", page.script, page.meta, (int) page.beyond);

    ngx_destroy_pool(pool);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              len;
    u_char             *sent;

    static fuzz_log_t   log;

    fuzz_rewritten = 0;
    fuzz_cuts(data, size, fuzz_run, &log);

    fuzz_assert(fuzz_plain.len == size
                && memcmp(fuzz_plain.text, data, size) == 0);

    len = fuzz_sent.len;
    sent = fuzz_copy(fuzz_sent.text, len);

    fuzz_rewritten = 1;
    fuzz_cuts(sent, len, fuzz_run, &log);

    free(sent);

    return 0;
}
