
/*
 * Tests for ngx_http_refine_surface: labels, their order, the bound, and what
 * is no label.
 */


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ngx_stub.h"
#include "ngx_http_refine_surface.h"


static ngx_http_refine_surfaces_t   tables[NGX_HTTP_REFINE_EVENT_TYPES];

#define table  tables[0]


/* the label is copied, so that a read past its end is seen */

static void
add(const char *label, size_t len, int64_t n)
{
    u_char  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, label, len);

    ngx_http_refine_surface_add(tables, 0, copy, len, n);

    free(copy);
}


#define add_lit(label, n)  add(label, sizeof(label) - 1, n)


static int64_t
served(const char *surface, const char *source)
{
    ngx_str_t   a, b;
    ngx_uint_t  i;

    for (i = 0; i < table.n; i++) {
        ngx_http_refine_surface_names(&table.rows[i], &a, &b);

        if (a.len == strlen(surface) && b.len == strlen(source)
            && memcmp(a.data, surface, a.len) == 0
            && memcmp(b.data, source, b.len) == 0)
        {
            return table.rows[i].n;
        }
    }

    return -1;
}


static int
reset(void **state)
{
    ngx_memzero(tables, sizeof(tables));
    return 0;
}


static void
test_label(void **state)
{
    u_char     *p, dst[NGX_HTTP_REFINE_SURFACE_LABEL];
    ngx_str_t   a = ngx_string("cart"), b = ngx_string("plp"), none;

    ngx_str_null(&none);

    p = ngx_http_refine_surface_label(dst, &a, &b);
    assert_int_equal(p - dst, 8);
    assert_memory_equal(dst, "cart\0plp", 8);

    p = ngx_http_refine_surface_label(dst, &none, &none);
    assert_int_equal(p - dst, 1);
    assert_int_equal(dst[0], 0);
}


static void
test_order(void **state)
{
    add_lit("b\0x", 1);
    add_lit("a\0y", 2);
    add_lit("ab\0x", 3);
    add_lit("a\0x", 4);
    add_lit("\0", 5);
    add_lit("a\0y", 10);
    add_lit("a\0yy", 20);

    assert_int_equal(table.n, 6);
    assert_int_equal(table.rows[0].n, 5);
    assert_int_equal(table.rows[1].n, 4);
    assert_int_equal(table.rows[2].n, 12);
    assert_int_equal(table.rows[3].n, 20);
    assert_int_equal(table.rows[4].n, 3);
    assert_int_equal(table.rows[5].n, 1);
    assert_int_equal(served("", ""), 5);
    assert_int_equal(served("ab", "x"), 3);
}


static void
test_bound(void **state)
{
    u_char      label[3];
    ngx_uint_t  i;

    for (i = 0; i < 200; i++) {
        label[0] = (u_char) ('0' + i % 50);
        label[1] = '\0';
        label[2] = '1';

        add((char *) label, 3, 1);
    }

    assert_int_equal(table.n, NGX_HTTP_REFINE_SURFACES + 1);
    assert_int_equal(served("0", "1"), 4);
    assert_int_equal(served("other", "other"), (50 - 32) * 4);
}


/* it needs no place among the others, whenever it comes */

static void
test_other(void **state)
{
    u_char      label[3];
    ngx_uint_t  i;

    add_lit("other\0other", 7);

    for (i = 0; i < 32; i++) {
        label[0] = (u_char) ('0' + i);
        label[1] = '\0';
        label[2] = '1';

        add((char *) label, 3, 1);
    }

    assert_int_equal(table.n, 33);
    assert_int_equal(served("other", "other"), 7);

    add_lit("other\0one", 1);
    assert_int_equal(served("other", "other"), 8);
}


static void
test_no_label(void **state)
{
    char  label[2 * 65 + 1];

    memset(label, 'x', sizeof(label));

    add("", 0, 1);
    add_lit("none", 2);
    add_lit("a\0b\0c", 4);
    add_lit("\0\0", 8);
    add_lit("a\xff\0b", 16);
    add_lit("a\0\xe2\x82", 32);
    add_lit("\xed\xa0\x80\0b", 64);

    label[64] = '\0';
    add(label, 64 + 1 + 65, 128);

    label[64] = 'x';
    label[65] = '\0';
    add(label, 65 + 1 + 1, 256);

    assert_int_equal(table.n, 1);
    assert_int_equal(served("other", "other"), 511);

    label[64] = '\0';
    label[65] = 'x';
    add(label, 64 + 1 + 64, 1);
    add_lit("\xe2\x82\xac\0\xf0\x9f\x98\x80", 2);

    assert_int_equal(table.n, 3);
    assert_int_equal(served("\xe2\x82\xac", "\xf0\x9f\x98\x80"), 2);
}


/* a sum that no counter can hold is not one of its own making */

static void
test_huge(void **state)
{
    add_lit("a\0b", INT64_MAX);
    add_lit("a\0b", 1);

    assert_int_equal(table.n, 1);
    assert_true(served("a", "b") == INT64_MIN);
}


/* what came of serves: never a label that the serves do not have */

static void
test_steps(void **state)
{
    u_char      label[4];
    ngx_str_t   arg;
    ngx_uint_t  i, type;

    arg.data = (u_char *) "a\0x\0b\0y\0a\0x\0\0\0c\0";
    arg.len = 16;
    ngx_http_refine_surface_argument(tables, '8', &arg);
    arg.len = 4;
    ngx_http_refine_surface_argument(tables, '5', &arg);
    arg.len = 3;
    ngx_http_refine_surface_argument(tables, '0', &arg);
    ngx_http_refine_surface_argument(tables, '0', &arg);

    assert_int_equal(table.n, 3);
    assert_int_equal(served("a", "x"), 2);
    assert_int_equal(served("b", "y"), 0);
    assert_int_equal(served("", ""), 0);

    for (i = 0; i < 3; i++) {
        assert_int_equal(ngx_http_refine_surface_count(
                             &tables[NGX_HTTP_REFINE_PURCHASE],
                             &table.rows[i]), i == 1 ? 2 : 1);
        assert_int_equal(ngx_http_refine_surface_count(
                             &tables[NGX_HTTP_REFINE_CLICK],
                             &table.rows[i]), i == 1);
        assert_int_equal(ngx_http_refine_surface_count(
                             &tables[NGX_HTTP_REFINE_VIEW],
                             &table.rows[i]), 0);
    }

    for (i = 0; i < 80; i++) {
        type = i < 40 ? 0 : NGX_HTTP_REFINE_VIEW;
        label[0] = (u_char) ('0' + i);
        label[1] = '\0';
        label[2] = '1';
        ngx_http_refine_surface_add(tables, type, label, 3, 1);
    }

    /* 29 of the 40 have a row; the 40 others are all of the rest */

    assert_int_equal(table.n, NGX_HTTP_REFINE_SURFACES + 1);
    assert_int_equal(served("other", "other"), 11);
    assert_int_equal(tables[NGX_HTTP_REFINE_VIEW].n, 1);
    assert_int_equal(tables[NGX_HTTP_REFINE_VIEW].rows[0].n, 40);
}


static void
test_field(void **state)
{
    ngx_uint_t  i, type;

    static const struct {
        const char  *field;
        size_t       label;
        ngx_uint_t   type;
    } fields[] = {
        { "served:", 7, NGX_HTTP_REFINE_ITEMS_SERVED },
        { "clicked:a", 8, NGX_HTTP_REFINE_CLICK },
        { "viewed:a", 7, NGX_HTTP_REFINE_VIEW },
        { "carted:a", 7, NGX_HTTP_REFINE_ADD_TO_CART },
        { "purchased:", 10, NGX_HTTP_REFINE_PURCHASE },
        { "", 0, 0 }, { "served", 0, 0 }, { "accepted", 0, 0 },
        { "Served:a", 0, 0 }, { ":", 0, 0 }, { "serves:logged", 0, 0 }
    };

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        type = 0;

        assert_int_equal(ngx_http_refine_surface_field(
                             (u_char *) fields[i].field,
                             strlen(fields[i].field), &type),
                         fields[i].label);
        assert_int_equal(type, fields[i].type);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_label, reset),
        cmocka_unit_test_setup(test_order, reset),
        cmocka_unit_test_setup(test_bound, reset),
        cmocka_unit_test_setup(test_other, reset),
        cmocka_unit_test_setup(test_no_label, reset),
        cmocka_unit_test_setup(test_huge, reset),
        cmocka_unit_test_setup(test_steps, reset),
        cmocka_unit_test_setup(test_field, reset)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
