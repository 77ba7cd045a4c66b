
/* gzip: every split of the input and of the output, damage, no memory */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <zlib.h>

#include "ngx_stub.h"
#include "ngx_http_refine_inflate.h"


#define TEXT  "{\"results\":[{\"productId\":\"a\"},{\"productId\":\"b\"}]," \
              "\"totalResults\":2,\"words\":\"wool wool wool wool wool\"}"

#define SIZE  (256 * 1024)


static u_char  in[2 * SIZE];
static u_char  plain[2 * SIZE];
static u_char  out[2 * SIZE];

static ngx_int_t  whole;        /* what the last run said of all at once */


/* appends a member to what is at p; its end; header: NULL, or what it has */

static u_char *
test_with(u_char *p, const void *text, size_t len, gz_header *header)
{
    z_stream  stream;

    memset(&stream, 0, sizeof(stream));

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);

    if (header) {
        assert_int_equal(deflateSetHeader(&stream, header), Z_OK);
    }

    stream.next_in = (Bytef *) text;
    stream.avail_in = len;
    stream.next_out = p;
    stream.avail_out = in + sizeof(in) - p;

    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);

    p = stream.next_out;

    deflateEnd(&stream);

    return p;
}


static u_char *
test_member(u_char *p, const void *text, size_t len)
{
    return test_with(p, text, len, NULL);
}


/* what is taken at once is what came out by the piece */

static void
test_whole(size_t len, ngx_int_t rc, size_t got)
{
    u_char     *p;
    ngx_str_t   text;

    p = malloc(len + 1);
    memcpy(p, in, len);

    whole = ngx_http_refine_inflate_whole(p, len, &text);

    if (whole == NGX_OK) {
        assert_int_equal(rc, NGX_OK);
        assert_int_equal(text.len, got);
        assert_memory_equal(text.data, out, got);

    } else {
        assert_int_equal(whole, NGX_DECLINED);
    }

    free(p);
}


/*
 * Inflates len bytes at in, fed in pieces of "piece" and read in pieces of
 * "room"; each piece is an allocation of its own.  The last return code of
 * read(), or that of end(); *got: bytes in out.
 */

static ngx_int_t
test_run(size_t len, size_t piece, size_t room, size_t *got)
{
    size_t                      i, n, size;
    u_char                     *p, *dst;
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    ngx_http_refine_inflate_t  *inflate;

    pool = ngx_create_pool(4096, NULL);
    inflate = ngx_http_refine_inflate_create(pool);
    assert_non_null(inflate);

    dst = malloc(room);
    *got = 0;
    rc = NGX_AGAIN;

    for (i = 0; i < len && rc == NGX_AGAIN; i += n) {
        n = ngx_min(piece, len - i);
        p = malloc(n);
        memcpy(p, in + i, n);

        ngx_http_refine_inflate_feed(inflate, p, n);

        do {
            size = room;
            rc = ngx_http_refine_inflate_read(inflate, dst, &size);

            assert_true(size <= room);
            assert_true(*got + size <= sizeof(out));
            memcpy(out + *got, dst, size);
            *got += size;

        } while (rc == NGX_OK);

        free(p);
    }

    if (rc == NGX_AGAIN) {
        rc = ngx_http_refine_inflate_end(inflate);

    } else {
        size = room;
        assert_int_equal(ngx_http_refine_inflate_read(inflate, dst, &size),
                         rc);
        assert_int_equal(size, 0);
    }

    free(dst);
    ngx_http_refine_inflate_free(inflate);
    ngx_destroy_pool(pool);

    test_whole(len, rc, *got);

    return rc;
}


static void
test_splits(void **state)
{
    size_t  len, got, piece, room;

    len = test_member(in, TEXT, sizeof(TEXT) - 1) - in;

    for (piece = 1; piece <= len; piece++) {
        for (room = 1; room <= sizeof(TEXT); room += 7) {
            assert_int_equal(test_run(len, piece, room, &got), NGX_OK);
            assert_int_equal(whole, NGX_OK);
            assert_int_equal(got, sizeof(TEXT) - 1);
            assert_memory_equal(out, TEXT, got);
        }
    }
}


static void
test_members(void **state)
{
    u_char  *p;
    size_t   len, got, piece;

    p = test_member(in, TEXT, sizeof(TEXT) - 1);
    p = test_member(p, "", 0);
    p = test_member(p, "end", 3);
    len = p - in;

    for (piece = 1; piece <= len; piece++) {
        assert_int_equal(test_run(len, piece, 5, &got), NGX_OK);
        assert_int_equal(whole, NGX_DECLINED);
        assert_int_equal(got, sizeof(TEXT) - 1 + 3);
        assert_memory_equal(out, TEXT "end", got);
    }
}


static void
test_trailing(void **state)
{
    u_char      *end;
    size_t       len, got, piece;
    ngx_uint_t   i;

    static const struct {
        const char  *text;
        size_t       len;
        ngx_int_t    rc;
    } cases[] = {
        { "\0", 1, NGX_DONE },
        { "garbage", 7, NGX_DONE },
        { "\x1f", 1, NGX_DONE },
        { "\x1f\x1f\x8b", 3, NGX_DONE },
        { "\x1f\x8b", 2, NGX_AGAIN },
        { "\x1f\x8b\x08\x00\x00", 5, NGX_AGAIN },
        { "\x1f\x8b\x09\x00\x00\x00\x00\x00\x00\x03", 10, NGX_DECLINED }
    };

    end = test_member(in, TEXT, sizeof(TEXT) - 1);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(end, cases[i].text, cases[i].len);
        len = end - in + cases[i].len;

        for (piece = 1; piece <= len; piece++) {
            assert_int_equal(test_run(len, piece, 1000, &got), cases[i].rc);
            assert_int_equal(got, sizeof(TEXT) - 1);
            assert_memory_equal(out, TEXT, got);
        }
    }
}


static void
test_cut(void **state)
{
    size_t  len, got, n;

    len = test_member(in, TEXT, sizeof(TEXT) - 1) - in;

    for (n = 0; n < len; n++) {
        assert_int_equal(test_run(n, 3, 10, &got), NGX_AGAIN);
        assert_true(got <= sizeof(TEXT) - 1);
        assert_memory_equal(out, TEXT, got);
    }
}


/* what is damaged is never taken for another text */

static void
test_damage(void **state)
{
    size_t      len, got, i;
    ngx_int_t   rc;
    ngx_uint_t  bit, declined;

    len = test_member(in, TEXT, sizeof(TEXT) - 1) - in;
    declined = 0;

    for (i = 0; i < len; i++) {
        for (bit = 0; bit < 8; bit++) {
            in[i] ^= 1 << bit;

            rc = test_run(len, 7, 64, &got);
            declined += (rc == NGX_DECLINED);

            if (rc == NGX_OK) {
                assert_int_equal(got, sizeof(TEXT) - 1);
                assert_memory_equal(out, TEXT, got);
            }

            in[i] ^= 1 << bit;
        }
    }

    assert_true(declined > len);

    memcpy(in, "plain", 5);
    assert_int_equal(test_run(5, 5, 5, &got), NGX_DECLINED);
    assert_int_equal(got, 0);

    /* zlib's own format is none of ours */

    got = sizeof(in);
    assert_int_equal(compress(in, &got, (Bytef *) TEXT, sizeof(TEXT)), Z_OK);
    assert_int_equal(test_run(got, 100, 100, &got), NGX_DECLINED);
}


static void
test_large(void **state)
{
    size_t    len, got, i;
    uint32_t  seed;

    seed = 1;

    for (i = 0; i < SIZE; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (i / 5000 % 2) ? 'a' : (u_char) (seed >> 24);
    }

    len = test_member(in, plain, SIZE) - in;

    assert_int_equal(test_run(len, 4096, 4096, &got), NGX_OK);
    assert_int_equal(whole, NGX_OK);
    assert_int_equal(got, SIZE);
    assert_memory_equal(out, plain, SIZE);

    assert_int_equal(test_run(len, 1, 100000, &got), NGX_OK);
    assert_int_equal(got, SIZE);
    assert_memory_equal(out, plain, SIZE);
}


/* no byte more than the buffer has */

static void
test_larger(void **state)
{
    size_t     len;
    ngx_str_t  text;

    static u_char  longer[sizeof(plain) + 1];

    memset(plain, 'x', sizeof(plain));

    len = test_member(in, plain, sizeof(plain)) - in;
    assert_int_equal(ngx_http_refine_inflate_whole(in, len, &text), NGX_OK);
    assert_int_equal(text.len, sizeof(plain));
    assert_memory_equal(text.data, plain, text.len);

    len = test_member(in, longer, sizeof(longer)) - in;
    assert_int_equal(ngx_http_refine_inflate_whole(in, len, &text),
                     NGX_DECLINED);

    ngx_http_refine_inflate_exit();
    ngx_http_refine_inflate_exit();
}


/* a checksum of the header is for the stream to look at */

static void
test_header(void **state)
{
    size_t      len, got;
    gz_header   header;
    ngx_uint_t  hcrc;

    for (hcrc = 0; hcrc < 2; hcrc++) {
        memset(&header, 0, sizeof(header));

        header.name = (Bytef *) "name";
        header.comment = (Bytef *) "comment";
        header.hcrc = hcrc;

        len = test_with(in, TEXT, sizeof(TEXT) - 1, &header) - in;

        assert_int_equal(test_run(len, 5, 100, &got), NGX_OK);
        assert_int_equal(whole, hcrc ? NGX_DECLINED : NGX_OK);

        in[12] ^= 1;

        assert_int_equal(test_run(len, 5, 100, &got),
                         hcrc ? NGX_DECLINED : NGX_OK);
    }
}


static void
test_no_memory(void **state)
{
    size_t                      len, size;
    ngx_int_t                   rc;
    ngx_uint_t                  n, failed;
    ngx_pool_t                 *pool;
    ngx_http_refine_inflate_t  *inflate;

    len = test_member(in, TEXT, sizeof(TEXT) - 1) - in;
    failed = 0;

    for (n = 1; n < 10; n++) {
        pool = ngx_create_pool(4096, NULL);

        ngx_stub_fail_after(n);

        inflate = ngx_http_refine_inflate_create(pool);

        if (inflate != NULL) {
            ngx_http_refine_inflate_feed(inflate, in, len);

            do {
                size = 10;
                rc = ngx_http_refine_inflate_read(inflate, out, &size);
            } while (rc == NGX_OK);

            assert_int_equal(rc, ngx_stub_failed() ? NGX_ERROR : NGX_AGAIN);
        }

        failed += ngx_stub_failed();
        ngx_stub_fail_after(0);
        ngx_destroy_pool(pool);
    }

    /* its own, zlib's, the window */
    assert_int_equal(failed, 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_trailing),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_larger),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
