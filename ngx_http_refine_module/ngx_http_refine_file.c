
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <zlib.h>
#include "ngx_http_refine_answer.h"
#include "ngx_http_refine_embedded.h"
#include "ngx_http_refine_file.h"
#include "ngx_http_refine_identity.h"


#define NGX_HTTP_REFINE_FILE_WINDOW  (MAX_WBITS + 16)    /* of gzip */
#define NGX_HTTP_REFINE_FILE_TAG     sizeof("\"01234567-gz\"")


typedef struct {
    const char  *suffix;
    const char  *type;
} ngx_http_refine_file_type_t;


static const char *ngx_http_refine_file_type(ngx_str_t *name);
static ngx_int_t ngx_http_refine_file_compress(ngx_conf_t *cf,
    ngx_http_refine_file_t *file);
static ngx_int_t ngx_http_refine_file_headers(ngx_http_request_t *r,
    ngx_http_refine_file_t *file, ngx_uint_t gzip);
static ngx_str_t *ngx_http_refine_file_cache(ngx_http_request_t *r,
    ngx_http_refine_file_t *file);


static const ngx_http_refine_file_type_t  ngx_http_refine_file_types[] = {
    { ".js", "text/javascript; charset=utf-8" },
    { ".html", "text/html; charset=utf-8" },
    { ".css", "text/css; charset=utf-8" },
    { ".svg", "image/svg+xml" },
    { NULL, NULL }
};


ngx_http_refine_file_t *
ngx_http_refine_file(ngx_conf_t *cf, const char *name)
{
    ngx_http_refine_file_t      *file;
    ngx_http_refine_embedded_t  *embedded;

    embedded = ngx_http_refine_embedded(name);

    file = ngx_pcalloc(cf->pool, sizeof(ngx_http_refine_file_t));
    if (file == NULL) {
        return NULL;
    }

    file->type = ngx_http_refine_file_type(&embedded->name);
    file->text = embedded->text;
    file->version = embedded->version;

    if (ngx_http_refine_file_compress(cf, file) != NGX_OK) {
        return NULL;
    }

    return file;
}


static const char *
ngx_http_refine_file_type(ngx_str_t *name)
{
    u_char                             *suffix;
    const ngx_http_refine_file_type_t  *type;

    suffix = (u_char *) ngx_strchr(name->data, '.');

    for (type = ngx_http_refine_file_types; type->suffix; type++) {
        if (ngx_strcmp(suffix, type->suffix) == 0) {
            break;
        }
    }

    return type->type;
}


static ngx_int_t
ngx_http_refine_file_compress(ngx_conf_t *cf, ngx_http_refine_file_t *file)
{
    int       rc;
    z_stream  z;

    ngx_memzero(&z, sizeof(z_stream));

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED,
                     NGX_HTTP_REFINE_FILE_WINDOW, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deflateInit2() failed");
        return NGX_ERROR;
    }

    rc = Z_MEM_ERROR;
    file->gzip.len = deflateBound(&z, file->text.len);
    file->gzip.data = ngx_pnalloc(cf->pool, file->gzip.len);

    if (file->gzip.data) {
        z.next_in = file->text.data;
        z.avail_in = file->text.len;
        z.next_out = file->gzip.data;
        z.avail_out = file->gzip.len;

        rc = deflate(&z, Z_FINISH);

        file->gzip.len = z.total_out;
    }

    deflateEnd(&z);

    return (rc == Z_STREAM_END) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_refine_file_send(ngx_http_request_t *r, ngx_http_refine_file_t *file)
{
    ngx_int_t   rc;
    ngx_uint_t  gzip;

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return ngx_http_refine_answer_method(r, "GET, HEAD",
                                             "the method must be GET or HEAD");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    gzip = ngx_http_refine_header_gzip(r);

    if (ngx_http_refine_file_headers(r, file, gzip) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_refine_answer_cached(r, NGX_HTTP_OK, file->type,
                                         gzip ? &file->gzip : &file->text);
}


/* the two codings are two representations: RFC 9110, 8.8.3.3 */

static ngx_int_t
ngx_http_refine_file_headers(ngx_http_request_t *r,
    ngx_http_refine_file_t *file, ngx_uint_t gzip)
{
    ngx_str_t         tag, *cache;
    ngx_table_elt_t  *h;

    static ngx_str_t  vary = ngx_string("Accept-Encoding");
    static ngx_str_t  coding = ngx_string("gzip");
    static ngx_str_t  nosniff = ngx_string("nosniff");

    cache = ngx_http_refine_file_cache(r, file);

    if (ngx_http_refine_header_add(r, "Cache-Control", cache) != NGX_OK
        || ngx_http_refine_header_add(r, "Vary", &vary) != NGX_OK
        || ngx_http_refine_header_add(r, "X-Content-Type-Options", &nosniff)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    tag.data = ngx_pnalloc(r->pool, NGX_HTTP_REFINE_FILE_TAG);
    if (tag.data == NULL) {
        return NGX_ERROR;
    }

    tag.len = ngx_sprintf(tag.data, "\"%V%s\"", &file->version,
                          gzip ? "-gz" : "")
              - tag.data;

    h = ngx_http_refine_header_push(r, "ETag", &tag);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.etag = h;

    if (gzip) {
        h = ngx_http_refine_header_push(r, "Content-Encoding", &coding);
        if (h == NULL) {
            return NGX_ERROR;
        }

        r->headers_out.content_encoding = h;
    }

    return NGX_OK;
}


static ngx_str_t *
ngx_http_refine_file_cache(ngx_http_request_t *r, ngx_http_refine_file_t *file)
{
    ngx_str_t  version;

    static ngx_str_t  checked = ngx_string("no-cache");
    static ngx_str_t  minutes = ngx_string("public, max-age=300");
    static ngx_str_t  ever =
        ngx_string("public, max-age=31536000, immutable");

    if (file->checked) {
        return &checked;
    }

    if (ngx_http_arg(r, (u_char *) "v", 1, &version) == NGX_OK
        && version.len == file->version.len
        && ngx_strncmp(version.data, file->version.data, version.len) == 0)
    {
        return &ever;
    }

    return &minutes;
}
