
/*
 * Request headers: cookies are those of a plain split at each semicolon; an
 * origin that is allowed is the rule's or below it; a list of Accept is what
 * its halves are.  The first byte says which: c, o or a.
 */


#include "fuzz.h"
#include <ctype.h>
#include "ngx_http_refine_accept.h"
#include "ngx_http_refine_cookie.h"
#include "ngx_http_refine_origin.h"


#define FUZZ_NAMES   4
#define FUZZ_OFFERS  4


static void
fuzz_lower(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        text->data[i] = tolower(text->data[i]);
    }
}


static void
fuzz_cookie(ngx_str_t *header)
{
    u_char      *p, *end, *last;
    ngx_str_t    values[FUZZ_NAMES], value;
    ngx_uint_t   i;

    static ngx_str_t   name[FUZZ_NAMES] = {
        ngx_string("a"), ngx_string("refine_vid"), ngx_string("ab"),
        ngx_null_string
    };

    static ngx_str_t  *names[FUZZ_NAMES] = {
        &name[0], &name[1], &name[2], &name[3]
    };

    memset(values, 0, sizeof(values));

    ngx_http_refine_cookie_find(header, names, values, FUZZ_NAMES);

    last = header->data + header->len;

    for (i = 0; i < FUZZ_NAMES; i++) {
        ngx_str_null(&value);

        for (p = header->data; p < last && value.data == NULL; p = end + 1) {
            end = memchr(p, ';', last - p);
            end = end ? end : last;

            while (p < end && (*p == ' ' || *p == '\t')) {
                p++;
            }

            if (name[i].len && memchr(p, '=', end - p) == p + name[i].len
                && memcmp(p, name[i].data, name[i].len) == 0)
            {
                value.data = p + name[i].len + 1;
                value.len = end - value.data;
            }
        }

        fuzz_assert(value.data == values[i].data
                    && value.len == values[i].len);
    }
}


/* lower case, without the port that is the scheme's own */

static void
fuzz_canonical(ngx_str_t *text)
{
    ngx_uint_t  i;

    static const char  *schemes[] = { "https://", "http://" };
    static const char  *ports[] = { ":443", ":80" };

    fuzz_lower(text);

    for (i = 0; i < 2; i++) {
        if (text->len > strlen(schemes[i]) + strlen(ports[i])
            && memcmp(text->data, schemes[i], strlen(schemes[i])) == 0
            && memcmp(text->data + text->len - strlen(ports[i]), ports[i],
                      strlen(ports[i])) == 0)
        {
            text->len -= strlen(ports[i]);
            break;
        }
    }
}


/* a rule, and on the next line what a browser sends */

static void
fuzz_origin(ngx_str_t *rule, ngx_str_t *text)
{
    size_t                     n, m;
    u_char                    *star;
    ngx_uint_t                 allowed;
    ngx_http_refine_origin_t   compiled;

    if (ngx_http_refine_origin_rule(rule, &compiled) != NGX_OK) {
        return;
    }

    fuzz_assert(ngx_http_refine_origin_allowed(rule, &compiled, 1)
                == !compiled.below);

    allowed = ngx_http_refine_origin_allowed(text, &compiled, 1);

    fuzz_lower(text);
    fuzz_assert(allowed
                == ngx_http_refine_origin_allowed(text, &compiled, 1));

    fuzz_canonical(rule);
    fuzz_canonical(text);

    star = memchr(rule->data, '*', rule->len);
    fuzz_assert((star != NULL) == compiled.below);

    if (star == NULL) {
        fuzz_assert(allowed == (text->len == rule->len
                                && memcmp(text->data, rule->data, rule->len)
                                   == 0));
        return;
    }

    if (!allowed) {
        return;
    }

    /* what stands for the star are names only */

    n = star - rule->data;
    m = rule->len - n - 1;

    fuzz_assert(text->len > rule->len - 1);
    fuzz_assert(memcmp(text->data, rule->data, n) == 0);
    fuzz_assert(memcmp(text->data + text->len - m, star + 1, m) == 0);

    for ( /* void */ ; n < text->len - m; n++) {
        fuzz_assert(isalnum(text->data[n]) || strchr("-._", text->data[n]));
    }
}


static void
fuzz_offers(ngx_http_refine_accept_t *offers)
{
    ngx_uint_t  i;

    static const ngx_http_refine_accept_t  all[FUZZ_OFFERS] = {
        { ngx_string("application"), ngx_string("json"), ngx_null_string,
          0, 0 },
        { ngx_string("text"), ngx_string("plain"), ngx_string("0.0.4"), 0, 0 },
        { ngx_string("text"), ngx_string("html"), ngx_null_string, 0, 0 },
        { ngx_string("a"), ngx_string("b"), ngx_string("1"), 0, 0 }
    };

    for (i = 0; i < FUZZ_OFFERS; i++) {
        offers[i] = all[i];
    }
}


static void
fuzz_same(ngx_http_refine_accept_t *a, ngx_http_refine_accept_t *b)
{
    ngx_uint_t  i;

    for (i = 0; i < FUZZ_OFFERS; i++) {
        fuzz_assert(a[i].quality == b[i].quality && a[i].rank == b[i].rank);
    }
}


static void
fuzz_accept(ngx_str_t *first, ngx_str_t *second, ngx_str_t *both)
{
    ngx_uint_t                 i, best, n;
    ngx_http_refine_accept_t   offers[FUZZ_OFFERS], others[FUZZ_OFFERS];

    fuzz_offers(offers);
    n = ngx_http_refine_accept_read(both, offers, FUZZ_OFFERS);

    best = ngx_http_refine_accept_best(offers, FUZZ_OFFERS);

    for (i = 0; i < FUZZ_OFFERS; i++) {
        fuzz_assert(offers[i].quality <= 1000);
        fuzz_assert(offers[i].rank || offers[i].quality == 0);
        fuzz_assert(offers[i].rank == 0 || n);
        fuzz_assert(best < FUZZ_OFFERS
                    ? offers[i].quality <= offers[best].quality
                    : offers[i].quality == 0);
    }

    if (memchr(first->data, '"', first->len) == NULL) {
        fuzz_offers(others);

        fuzz_assert(n == ngx_http_refine_accept_read(first, others,
                                                     FUZZ_OFFERS)
                         + ngx_http_refine_accept_read(second, others,
                                                       FUZZ_OFFERS));
        fuzz_same(offers, others);
    }

    fuzz_lower(both);
    fuzz_offers(others);

    (void) ngx_http_refine_accept_read(both, others, FUZZ_OFFERS);
    fuzz_same(offers, others);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char     *end;
    ngx_str_t   whole, first, second;

    if (size < 2) {
        return 0;
    }

    whole.len = size - 1;
    whole.data = fuzz_copy(data + 1, whole.len);

    end = memchr(whole.data, '\n', whole.len);
    end = end ? end : whole.data + whole.len - 1;

    first.len = end - whole.data;
    second.len = whole.len - first.len - 1;

    first.data = fuzz_copy(whole.data, first.len);
    second.data = fuzz_copy(end + 1, second.len);

    switch (data[0]) {

    case 'c':
        fuzz_cookie(&whole);
        break;

    case 'o':
        if (first.len && second.len) {
            fuzz_origin(&first, &second);
        }

        break;

    case 'a':
        *end = ',';
        fuzz_accept(&first, &second, &whole);
    }

    free(first.data);
    free(second.data);
    free(whole.data);

    return 0;
}
