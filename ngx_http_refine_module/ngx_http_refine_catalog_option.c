
#include "ngx_http_refine_catalog_option.h"
#include "ngx_http_refine_catalog_secret.h"
#include "ngx_http_refine_catalog_url.h"


#define NGX_HTTP_REFINE_OPTION_MAX_ID    128
#define NGX_HTTP_REFINE_OPTION_MAX_NAME  64
#define NGX_HTTP_REFINE_OPTION_QUOTE     (size_t) 256

#define NGX_HTTP_REFINE_TOKEN_CHARS                                           \
    "1 to 64 of letters, digits and !#$%&'*+-.^_`|~"

#define NGX_HTTP_REFINE_URL_FORMS                                             \
    "https://host[:port][/uri], http://host[:port][/uri] or "                 \
    "http://unix:PATH[:/uri], without user and fragment"


static ngx_uint_t ngx_http_refine_option_listed(const char *words,
    ngx_str_t *word);
static char *ngx_http_refine_option_domain(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_http_refine_cookie_t *cookie, ngx_str_t *value);


char *
ngx_http_refine_option_number(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n < option->low || n > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              option->allowed);
    }

    *(ngx_uint_t *) ((char *) catalog + option->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_percent(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = NGX_ERROR;

    if (value[1].data[value[1].len - 1] == '%') {
        n = ngx_atoi(value[1].data, value[1].len - 1);
    }

    if (n == NGX_ERROR || n < option->low || n > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              option->allowed);
    }

    *(ngx_uint_t *) ((char *) catalog + option->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_msec(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n < option->low || n > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              option->allowed);
    }

    *(ngx_msec_t *) ((char *) catalog + option->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_sec(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = ngx_parse_time(&value[1], 1);

    if (n == NGX_ERROR || n < option->low || n > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              option->allowed);
    }

    *(time_t *) ((char *) catalog + option->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_size(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    off_t       n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = ngx_parse_offset(&value[1]);

    if (n == NGX_ERROR || n < option->low || n > option->high) {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              option->allowed);
    }

    *(off_t *) ((char *) catalog + option->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_flag(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t   *value;
    ngx_flag_t  *flag;

    value = cf->args->elts;
    flag = (ngx_flag_t *) ((char *) catalog + option->offset);

    if (ngx_strcmp(value[1].data, "on") == 0) {
        *flag = 1;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        *flag = 0;

    } else {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              "on or off");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_secure(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        catalog->cookie_secure = NGX_HTTP_REFINE_SECURE_ON;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        catalog->cookie_secure = NGX_HTTP_REFINE_SECURE_OFF;

    } else if (ngx_strcmp(value[1].data, "auto") == 0) {
        catalog->cookie_secure = NGX_HTTP_REFINE_SECURE_AUTO;

    } else {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              "on, off or auto");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_text(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    *(ngx_str_t *) ((char *) catalog + option->offset) = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_complex(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t                          *value;
    ngx_http_complex_value_t          **cv;
    ngx_http_compile_complex_value_t    ccv;

    value = cf->args->elts;
    cv = (ngx_http_complex_value_t **) ((char *) catalog + option->offset);

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = *cv;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK) ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
}


/* text without variables is always the same, so it has to be one that counts */

char *
ngx_http_refine_option_choice(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    char                      *rv;
    u_char                     allowed[128];
    ngx_str_t                 *value;
    ngx_http_complex_value_t  *cv;

    rv = ngx_http_refine_option_complex(cf, catalog, option);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;
    cv = *(ngx_http_complex_value_t **) ((char *) catalog + option->offset);

    if (cv->lengths == NULL
        && !ngx_http_refine_option_listed(option->allowed, &cv->value))
    {
        *ngx_snprintf(allowed, sizeof(allowed) - 1,
                      "%s, or text with variables", option->allowed) = '\0';

        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              (char *) allowed);
    }

    return NGX_CONF_OK;
}


/* words: separated by ", " */

static ngx_uint_t
ngx_http_refine_option_listed(const char *words, ngx_str_t *word)
{
    size_t  len;

    for ( ;; ) {
        len = strcspn(words, ",");

        if (len == word->len && ngx_memcmp(words, word->data, len) == 0) {
            return 1;
        }

        if (words[len] == '\0') {
            return 0;
        }

        words += len + 2;
    }
}


/* what goes into keys of Redis and JSON as it is; { and } mark a hash tag */

char *
ngx_http_refine_option_id(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len > NGX_HTTP_REFINE_OPTION_MAX_ID
        || ngx_http_refine_option_printable(&value[1], "\"\\{}") != NGX_OK)
    {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                 "1 to 128 " NGX_HTTP_REFINE_ID_CHARS);
    }

    *(ngx_str_t *) ((char *) catalog + option->offset) = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_key(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t  *value, file;

    value = cf->args->elts;

    catalog->api_key = value[1];

    if (ngx_strncmp(value[1].data, "file:", 5) == 0) {

        file.data = value[1].data + 5;
        file.len = value[1].len - 5;

        if (ngx_http_refine_secret_read(cf, &file, "api_key",
                                        &catalog->api_key)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (catalog->api_key.len > NGX_HTTP_REFINE_SECRET_MAX
        || ngx_http_refine_option_printable(&catalog->api_key, "") != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value of \"api_key\" in refine_catalog "
                           "\"%V\" (not shown), allowed: file:PATH, or 1 to "
                           "%d printable ASCII characters except the space",
                           &catalog->name, NGX_HTTP_REFINE_SECRET_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_endpoint(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_int_t               rc;
    ngx_str_t              *value;
    ngx_uint_t              https;
    ngx_http_refine_url_t   url;

    value = cf->args->elts;

    rc = ngx_http_refine_url_parse(cf->pool, &value[1], &url);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    https = (url.scheme.len == 5
             && ngx_strncasecmp(url.scheme.data, (u_char *) "https", 5) == 0);

    if (rc != NGX_OK
        || (!https
            && (url.scheme.len != 4
                || ngx_strncasecmp(url.scheme.data, (u_char *) "http", 4)))
        || (https && url.local)
        || url.userinfo
        || ngx_strlchr(url.tail.data, url.tail.data + url.tail.len, '#'))
    {
        if (ngx_http_refine_url_mask(cf->pool, &value[1], &value[1])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              NGX_HTTP_REFINE_URL_FORMS);
    }

    if (url.tail.len == 0) {
        ngx_str_set(&url.tail, "/");
    }

    catalog->url = value[1];
    catalog->uri = url.tail;
    catalog->host = url.address;

    if (url.local) {
        ngx_str_set(&catalog->host, "localhost");
    }

    catalog->source.address = url.address;
    catalog->source.https = https;

    ngx_http_refine_option_place(cf, &catalog->source.endpoint);

    return NGX_CONF_OK;
}


char *
ngx_http_refine_option_cookie(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option)
{
    ngx_str_t                 *value;
    ngx_int_t                  lifetime;
    ngx_uint_t                 n;
    ngx_http_refine_cookie_t  *cookie;

    value = cf->args->elts;
    cookie = (ngx_http_refine_cookie_t *) ((char *) catalog + option->offset);

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        cookie->name.len = 0;
        return NGX_CONF_OK;
    }

    if (value[1].len > NGX_HTTP_REFINE_OPTION_MAX_NAME
        || ngx_http_refine_option_printable(&value[1], "()<>@,;:\\\"/[]?={}")
           != NGX_OK)
    {
        return ngx_http_refine_option_invalid(cf, catalog, option, &value[1],
                                              NGX_HTTP_REFINE_TOKEN_CHARS);
    }

    cookie->name = value[1];
    n = 2;

    /* the session's is session_timeout */

    if (option->allowed) {

        lifetime = NGX_ERROR;

        if (n < cf->args->nelts) {
            lifetime = ngx_parse_time(&value[n], 1);
        }

        if (lifetime == NGX_ERROR || lifetime < option->low
            || lifetime > option->high)
        {
            return ngx_http_refine_option_invalid(cf, catalog, option,
                                &value[ngx_min(n, cf->args->nelts - 1)],
                                "off, or NAME LIFETIME [domain=DOMAIN] with a "
                                "lifetime from 1s to 400d");
        }

        cookie->lifetime = lifetime;
        n++;
    }

    if (n == cf->args->nelts) {
        return NGX_CONF_OK;
    }

    return ngx_http_refine_option_domain(cf, catalog, option, cookie,
                                         &value[n]);
}


static char *
ngx_http_refine_option_domain(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_http_refine_cookie_t *cookie, ngx_str_t *value)
{
    ngx_str_t  domain;

    if (ngx_strncmp(value->data, "domain=", 7) != 0) {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                              "domain= with a host name");
    }

    domain.data = value->data + 7;
    domain.len = value->len - 7;

    /* browsers ignore a leading dot: RFC 6265, 5.2.3 */

    if (domain.len && domain.data[0] == '.') {
        domain.data++;
        domain.len--;
    }

    if (ngx_http_refine_option_host(&domain) != NGX_OK) {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                              "domain= with a host name");
    }

    if (ngx_strncasecmp(cookie->name.data, (u_char *) "__Host-", 7) == 0) {
        return ngx_http_refine_option_invalid(cf, catalog, option, value,
                                              "no domain= with a name that "
                                              "begins with __Host-");
    }

    cookie->domain = domain;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_refine_option_host(ngx_str_t *host)
{
    u_char      ch, *p;
    ngx_uint_t  i, start;

    p = host->data;
    start = 0;

    for (i = 0; i <= host->len; i++) {

        if (i == host->len || p[i] == '.') {

            if (i == start || i - start > 63 || p[start] == '-'
                || p[i - 1] == '-')
            {
                return NGX_DECLINED;
            }

            start = i + 1;
            continue;
        }

        ch = p[i] | 0x20;

        if ((ch < 'a' || ch > 'z') && (p[i] < '0' || p[i] > '9')
            && p[i] != '-')
        {
            return NGX_DECLINED;
        }
    }

    return (host->len > 253) ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_refine_option_printable(ngx_str_t *text, const char *except)
{
    ngx_uint_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] <= 0x20 || text->data[i] >= 0x7f
            || ngx_strchr(except, text->data[i]))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


char *
ngx_http_refine_option_invalid(ngx_conf_t *cf,
    ngx_http_refine_catalog_t *catalog, const ngx_http_refine_option_t *option,
    ngx_str_t *value, const char *allowed)
{
    /* nginx cuts long messages: what is allowed has to be left */

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%*s%s\" of \"%V\" in refine_catalog "
                       "\"%V\", allowed: %s",
                       ngx_min(value->len, NGX_HTTP_REFINE_OPTION_QUOTE),
                       value->data,
                       value->len > NGX_HTTP_REFINE_OPTION_QUOTE ? "..." : "",
                       &option->name, &catalog->name, allowed);

    return NGX_CONF_ERROR;
}


void
ngx_http_refine_option_place(ngx_conf_t *cf, ngx_http_refine_place_t *place)
{
    place->file = cf->conf_file->file.name;
    place->line = cf->conf_file->line;
}
