
#include "ngx_http_refine_catalog_option.h"
#include "ngx_http_refine_catalog_secret.h"
#include "ngx_http_refine_catalog_url.h"


#define NGX_HTTP_REFINE_QUEUE_MAX_PREFIX  64
#define NGX_HTTP_REFINE_QUEUE_MAX_DB      2147483647

#define NGX_HTTP_REFINE_QUEUE_FORMS                                           \
    "redis://[user:password@]host[:port][/db], the same with rediss:// or "   \
    "redis://[user:password@]unix:PATH[:/db], with user and password "        \
    "percent-encoded and db from 0 to 2147483647"

#define NGX_HTTP_REFINE_QUEUE_PARAMETERS                                      \
    "prefix=, password=file:PATH, and with rediss:// "                        \
    "trusted_certificate=, certificate=, certificate_key= and name=, each "   \
    "once"


static char *ngx_http_refine_queue_bad(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option);
static ngx_int_t ngx_http_refine_queue_db(ngx_str_t *tail, ngx_uint_t *db);
static char *ngx_http_refine_queue_parameter(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value);
static char *ngx_http_refine_queue_password(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, ngx_str_t *text);
static char *ngx_http_refine_queue_tls(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value);
static char *ngx_http_refine_queue_complete(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog);


char *
ngx_http_refine_option_queue(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t                      rc;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_refine_url_t          url;
    ngx_http_refine_redis_conf_t  *redis;

    value = cf->args->elts;
    redis = &catalog->queue.redis;

    rc = ngx_http_refine_url_parse(cf->pool, &value[1], &url);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc != NGX_OK
        || url.scheme.len < 5
        || url.scheme.len > 6
        || ngx_strncasecmp(url.scheme.data, (u_char *) "rediss",
                           url.scheme.len)
           != 0
        || (url.scheme.len == 6 && url.local)
        || ngx_http_refine_queue_db(&url.tail, &redis->db) != NGX_OK
        || (url.userinfo && url.user.len == 0 && url.password.len == 0))
    {
        return ngx_http_refine_queue_bad(cf, catalog, option);
    }

    redis->user = url.user;
    redis->password = url.password;
    catalog->source.store = url.address;
    catalog->source.rediss = (url.scheme.len == 6);

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_refine_queue_parameter(cf, catalog, option, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    ngx_http_refine_option_place(cf, &catalog->source.queue);

    return ngx_http_refine_queue_complete(cf, catalog);
}


static char *
ngx_http_refine_queue_bad(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t   *value, url;
    ngx_uint_t   i;

    static const char  *later[] = { "redis+sentinel://", "redis+cluster://",
                                    "rediss+sentinel://",
                                    "rediss+cluster://", NULL };

    value = cf->args->elts;

    if (ngx_http_refine_url_mask(cf->pool, &value[1], &url) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; later[i]; i++) {
        if (ngx_strncasecmp(url.data, (u_char *) later[i],
                            ngx_strlen(later[i]))
            == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"queue\" \"%V\" in refine_catalog \"%V\": %s "
                               "is not supported by this version, allowed: "
                               NGX_HTTP_REFINE_QUEUE_FORMS,
                               &url, &catalog->name, later[i]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_refine_option_invalid(cf, catalog, option, &url,
                                          NGX_HTTP_REFINE_QUEUE_FORMS);
}


static ngx_int_t
ngx_http_refine_queue_db(ngx_str_t *tail, ngx_uint_t *db)
{
    ngx_int_t  n;

    *db = 0;

    if (tail->len < 2) {
        return NGX_OK;
    }

    n = ngx_atoi(tail->data + 1, tail->len - 1);

    if (n == NGX_ERROR || n > NGX_HTTP_REFINE_QUEUE_MAX_DB) {
        return NGX_DECLINED;
    }

    *db = n;

    return NGX_OK;
}


static char *
ngx_http_refine_queue_parameter(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t   text;

    if (ngx_strncmp(value->data, "prefix=", 7) == 0) {

        text.data = value->data + 7;
        text.len = value->len - 7;

        if (text.len == 0 || text.len > NGX_HTTP_REFINE_QUEUE_MAX_PREFIX
            || ngx_http_refine_option_printable(&text, "\"\\{}") != NGX_OK)
        {
            return ngx_http_refine_option_invalid(cf, catalog, option, value,
                             "prefix= with 1 to 64 " NGX_HTTP_REFINE_ID_CHARS);
        }

        if (catalog->source.prefix) {
            return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                             NGX_HTTP_REFINE_QUEUE_PARAMETERS);
        }

        catalog->queue.prefix = text;
        catalog->source.prefix = 1;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "password=", 9) == 0) {

        text.data = value->data + 9;
        text.len = value->len - 9;

        return ngx_http_refine_queue_password(cf, catalog, &text);
    }

    if (ngx_strncmp(value->data, "trusted_certificate=", 20) == 0
        || ngx_strncmp(value->data, "certificate=", 12) == 0
        || ngx_strncmp(value->data, "certificate_key=", 16) == 0
        || ngx_strncmp(value->data, "name=", 5) == 0)
    {
        return ngx_http_refine_queue_tls(cf, catalog, option, value);
    }

    /* whatever stands behind "=" may be a secret under a mistyped name */

    p = ngx_strlchr(value->data, value->data + value->len, '=');

    text.data = value->data;
    text.len = p ? (size_t) (p - value->data) : value->len;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of \"queue\" in "
                       "refine_catalog \"%V\", allowed: "
                       NGX_HTTP_REFINE_QUEUE_PARAMETERS,
                       &text, &catalog->name);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_refine_queue_password(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, ngx_str_t *text)
{
    ngx_str_t  file, *password;

    password = &catalog->queue.redis.password;

    if (password->len || ngx_strncmp(text->data, "file:", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"password=\" (not shown) of \"queue\" "
                           "in refine_catalog \"%V\", allowed: "
                           "password=file:PATH, once, and then none in the "
                           "URL", &catalog->name);
        return NGX_CONF_ERROR;
    }

    file.data = text->data + 5;
    file.len = text->len - 5;

    return (ngx_http_refine_secret_read(cf, &file, "password of queue",
                                        password)
            == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_refine_queue_tls(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value)
{
    u_char                       *p;
    ngx_str_t                    *field, text;
    ngx_http_refine_queue_tls_t  *tls;

#if (NGX_HAVE_INET6)
    u_char                        ip[16];
#endif

    tls = &catalog->source.queue_tls;

    p = ngx_strlchr(value->data, value->data + value->len, '=') + 1;

    text.data = p;
    text.len = value->data + value->len - p;

    switch (p - value->data) {

    case 20:
        field = &tls->trusted_certificate;
        break;

    case 12:
        field = &tls->certificate;
        break;

    case 16:
        field = &tls->certificate_key;
        break;

    default:
        field = &tls->name;
    }

    if (!catalog->source.rediss || field->len || text.len == 0) {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                             NGX_HTTP_REFINE_QUEUE_PARAMETERS);
    }

    if (field == &tls->name
        && ngx_http_refine_option_host(&text) != NGX_OK
#if (NGX_HAVE_INET6)
        && ngx_inet6_addr(text.data, text.len, ip) != NGX_OK
#endif
       )
    {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                "name= with the name of a host or an address");
    }

    *field = text;

    return NGX_CONF_OK;
}


static char *
ngx_http_refine_queue_complete(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog)
{
    ngx_http_refine_queue_tls_t   *tls;
    ngx_http_refine_redis_conf_t  *redis;

    tls = &catalog->source.queue_tls;
    redis = &catalog->queue.redis;

    if (redis->user.len && redis->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"queue\" in refine_catalog \"%V\" has the user "
                           "\"%V\" but no password", &catalog->name,
                           &redis->user);
        return NGX_CONF_ERROR;
    }

    if ((tls->certificate.len == 0) != (tls->certificate_key.len == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"queue\" in refine_catalog \"%V\" has "
                           "\"%s=%V\" but no %s=", &catalog->name,
                           tls->certificate.len ? "certificate"
                                                : "certificate_key",
                           tls->certificate.len ? &tls->certificate
                                                : &tls->certificate_key,
                           tls->certificate.len ? "certificate_key"
                                                : "certificate");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
