
/* Tests for ngx_http_refine_cookie: which cookie of a header is found. */

#include "ngx_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "ngx_http_refine_cookie.h"


static ngx_str_t   name_a = ngx_string("a");
static ngx_str_t   name_id = ngx_string("id");
static ngx_str_t   name_off = ngx_string("");
static ngx_str_t  *names[] = { &name_a, &name_id, &name_off };


static void
same(ngx_str_t *value, const char *text)
{
    if (text == NULL) {
        assert_null(value->data);
        return;
    }

    assert_non_null(value->data);
    assert_int_equal(value->len, strlen(text));
    assert_memory_equal(value->data, text, value->len);
}


/* the header is in a block of its own size, so that ASan sees its end */

static void
expect(const char *text, const char *a, const char *id)
{
    ngx_str_t  header, values[3];

    header.len = strlen(text);
    header.data = malloc(header.len);
    assert_non_null(header.data);
    memcpy(header.data, text, header.len);

    memset(values, 0, sizeof(values));

    ngx_http_refine_cookie_find(&header, names, values, 3);

    same(&values[0], a);
    same(&values[1], id);
    same(&values[2], NULL);

    free(header.data);
}


static void
test_find(void **state)
{
    expect("a=1; id=2", "1", "2");
    expect("id=2;a=1", "1", "2");
    expect("x=y; id=2; z=", NULL, "2");
    expect("a=1;  \tid=2;", "1", "2");
    expect("a=b=c; id=\"q\"", "b=c", "\"q\"");
    expect("a=; id=", "", "");
    expect("a=x y ; id=1,2", "x y ", "1,2");
}


static void
test_first(void **state)
{
    ngx_str_t  values[3];

    static ngx_str_t  header = ngx_string("a=1; id=2");

    expect("a=1; a=2", "1", NULL);
    expect("a=; a=2", "", NULL);

    /* of several headers */

    memset(values, 0, sizeof(values));
    values[0].data = (u_char *) "7";
    values[0].len = 1;

    ngx_http_refine_cookie_find(&header, names, values, 3);

    same(&values[0], "7");
    same(&values[1], "2");
}


static void
test_others(void **state)
{
    expect("", NULL, NULL);
    expect(";", NULL, NULL);
    expect(" ", NULL, NULL);
    expect("=", NULL, NULL);
    expect("=1; ;;=", NULL, NULL);
    expect("a", NULL, NULL);
    expect("id", NULL, NULL);
    expect("a;id", NULL, NULL);
    expect("a ;id =1", NULL, NULL);
    expect("aa=1; i=2; idd=3; xid=4", NULL, NULL);
    expect("A=1; ID=2; Id=3", NULL, NULL);
    expect("x=a=1,id=2", NULL, NULL);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
