
/*
 * Level 1: where an outgoing connection goes.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_refine_target.h"


/* longer chains than this are not seen in the wild */
#define NGX_HTTP_REFINE_TARGET_DEPTH  9


/* of a connection with TLS, in its pool */

typedef struct {
    ngx_http_refine_target_t  *target;
    ngx_uint_t                 alert;       /* received, 0: none */
} ngx_http_refine_target_tls_t;


static ngx_int_t ngx_http_refine_target_host(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_url_t *u);
static ngx_int_t ngx_http_refine_target_addrs(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_url_t *u);
static ngx_int_t ngx_http_refine_target_ssl_name(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *name);
static ngx_int_t ngx_http_refine_target_trust(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_str_t *trusted_certificate);
static void ngx_http_refine_target_cleanup(void *data);
static ngx_int_t ngx_http_refine_target_tls_name(
    ngx_http_refine_target_t *target, SSL *ssl);
static size_t ngx_http_refine_target_ip(ngx_str_t *name, u_char *ip);
static const char *ngx_http_refine_target_tls_error(long rc);
static void ngx_http_refine_target_info(const SSL *ssl, int where, int ret);
static void ngx_http_refine_target_save_session(ngx_connection_t *c);


char *
ngx_http_refine_target_parse(ngx_conf_t *cf, ngx_http_refine_target_t *target,
    ngx_str_t *text, in_port_t default_port, ngx_resolver_t *resolver,
    ngx_msec_t resolver_timeout)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    /* names are resolved apart, so as to tell unknown from malformed */

    u.default_port = default_port;
    u.no_resolve = 1;
    u.url.len = text->len;
    u.url.data = ngx_pstrdup(cf->pool, text);

    if (u.url.data == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in \"%V\", expected host[:port], [v6][:port] "
                           "or unix:PATH",
                           u.err ? u.err : "no memory", text);
        return NGX_CONF_ERROR;
    }

    target->port = u.port;
    target->numeric = (u.naddrs != 0);

    if (ngx_http_refine_target_host(cf, target, &u) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* the name of this machine is no matter of DNS servers */

    if (!target->numeric
        && !(target->host.len == 9
             && ngx_strncasecmp(target->host.data, (u_char *) "localhost", 9)
                == 0))
    {
        target->resolver = resolver;
        target->resolver_timeout = resolver_timeout;
    }

    if (ngx_http_refine_target_addrs(cf, target, &u) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_refine_target_host(ngx_conf_t *cf, ngx_http_refine_target_t *target,
    ngx_url_t *u)
{
    u_char      *p, ch;
    ngx_str_t    host;
    ngx_uint_t   i;

    host = u->host;

    if (host.len && host.data[0] == '[') {
        host.data++;
        host.len -= 2;
    }

    for (i = 0; !target->numeric && i < host.len; i++) {
        ch = host.data[i];

        if ((ch < '0' || ch > '9') && ((ch | 0x20) < 'a' || (ch | 0x20) > 'z')
            && ch != '.' && ch != '-' && ch != '_')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid host in \"%V\", expected letters, "
                               "digits, \".\", \"-\" and \"_\"", &u->url);
            return NGX_ERROR;
        }
    }

    target->host.len = host.len;
    target->host.data = ngx_pnalloc(cf->pool, host.len + 1);
    if (target->host.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(target->host.data, host.data, host.len + 1);

    if (u->family == AF_UNIX || !u->no_port) {
        target->name = u->url;
        return NGX_OK;
    }

    p = ngx_pnalloc(cf->pool, u->url.len + sizeof(":65535") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->name.data = p;
    target->name.len = ngx_sprintf(p, "%V:%ui", &u->url, (ngx_uint_t) u->port)
                       - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_target_addrs(ngx_conf_t *cf, ngx_http_refine_target_t *target,
    ngx_url_t *u)
{
    target->addrs = NULL;
    target->naddrs = 0;

    /* a resolver is asked at each connect; a start waits for no DNS then */

    if (target->resolver != NULL) {
        return NGX_OK;
    }

    if (!target->numeric && ngx_inet_resolve_host(cf->pool, u) != NGX_OK) {

        if (u->err == NULL) {
            return NGX_ERROR;
        }

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "%s in \"%V\" and no resolver is configured: "
                           "nothing can be sent there before a reload",
                           u->err, &target->name);
        return NGX_OK;
    }

    target->addrs = u->addrs;
    target->naddrs = u->naddrs;

    return NGX_OK;
}


char *
ngx_http_refine_target_tls(ngx_conf_t *cf, ngx_http_refine_target_t *target,
    ngx_str_t *trusted_certificate, ngx_str_t *name, ngx_flag_t verify)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln, *last;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_CONF_ERROR;
    }

    ssl->log = cf->log;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    last = ngx_pool_cleanup_add(cf->pool, 0);

    if (cln == NULL || last == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    last->handler = ngx_http_refine_target_cleanup;
    last->data = target;

    if (ngx_ssl_client_session_cache(cf, ssl, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (verify
        && ngx_http_refine_target_trust(cf, ssl, trusted_certificate)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_refine_target_ssl_name(cf, target, name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    target->ssl = ssl;
    target->ssl_verify = verify;

    return NGX_CONF_OK;
}


char *
ngx_http_refine_target_certificate(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *certificate, ngx_str_t *key)
{
    return (ngx_ssl_certificate(cf, target->ssl, certificate, key, NULL)
            == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_refine_target_trust(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_str_t *trusted_certificate)
{
    ngx_str_t  file;

    file = *trusted_certificate;

    if (ngx_ssl_trusted_certificate(cf, ssl, &file,
                                    NGX_HTTP_REFINE_TARGET_DEPTH)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (file.len == 0 && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1) {
        ngx_ssl_error(NGX_LOG_EMERG, ssl->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_refine_target_ssl_name(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *name)
{
    ngx_str_t  *from;

    from = name->len ? name : &target->host;

    target->ssl_name.len = from->len;
    target->ssl_name.data = ngx_pnalloc(cf->pool, from->len + 1);
    if (target->ssl_name.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(target->ssl_name.data, from->data, from->len + 1);

    /* certificates and SNI know names without the final dot */

    if (from->len && from->data[from->len - 1] == '.') {
        target->ssl_name.data[--target->ssl_name.len] = '\0';
    }

    return NGX_OK;
}


static void
ngx_http_refine_target_cleanup(void *data)
{
    ngx_http_refine_target_tls_forget(data);
}


ngx_int_t
ngx_http_refine_target_tls_init(ngx_http_refine_target_t *target,
    ngx_connection_t *c)
{
    SSL                           *ssl;
    ngx_http_refine_target_tls_t  *tls;

    tls = ngx_pcalloc(c->pool, sizeof(ngx_http_refine_target_tls_t));
    if (tls == NULL) {
        return NGX_ERROR;
    }

    tls->target = target;

    if (ngx_ssl_create_connection(target->ssl, c, NGX_SSL_CLIENT) != NGX_OK) {
        return NGX_ERROR;
    }

    ssl = c->ssl->connection;

    /* what waits to be written may move when more is queued behind it */

    SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                      |SSL_MODE_ENABLE_PARTIAL_WRITE);

    if (SSL_set_app_data(ssl, tls) != 1) {
        return NGX_ERROR;
    }

    SSL_set_info_callback(ssl, ngx_http_refine_target_info);

    c->ssl->save_session = ngx_http_refine_target_save_session;

    if (target->session && ngx_ssl_set_session(c, target->session) != NGX_OK) {
        ngx_http_refine_target_tls_forget(target);
    }

    return ngx_http_refine_target_tls_name(target, ssl);
}


static ngx_int_t
ngx_http_refine_target_tls_name(ngx_http_refine_target_t *target, SSL *ssl)
{
    size_t  len;
    u_char  ip[16];

    len = ngx_http_refine_target_ip(&target->ssl_name, ip);

    if (len) {

        /* an address is verified in the handshake and is no name for SNI */

        if (target->ssl_verify
            && X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), ip, len) != 1)
        {
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (target->ssl_name.len == 0 || target->ssl_name.data[0] == '/') {

        /* a unix socket */

        return NGX_OK;
    }

    if (SSL_set_tlsext_host_name(ssl, (char *) target->ssl_name.data) != 1) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static size_t
ngx_http_refine_target_ip(ngx_str_t *name, u_char *ip)
{
    in_addr_t  addr;

    addr = ngx_inet_addr(name->data, name->len);

    if (addr != INADDR_NONE) {
        ngx_memcpy(ip, &addr, 4);
        return 4;
    }

#if (NGX_HAVE_INET6)

    if (ngx_inet6_addr(name->data, name->len, ip) == NGX_OK) {
        return 16;
    }

#endif

    return 0;
}


const char *
ngx_http_refine_target_tls_verify(ngx_http_refine_target_t *target,
    ngx_connection_t *c)
{
    long                rc;
    u_char              ip[16];
    ngx_ssl_session_t  *session;

    if (target->ssl_verify) {

        rc = SSL_get_verify_result(c->ssl->connection);

        if (rc != X509_V_OK) {
            return ngx_http_refine_target_tls_error(rc);
        }

        if (ngx_http_refine_target_ip(&target->ssl_name, ip) == 0
            && ngx_ssl_check_host(c, &target->ssl_name) != NGX_OK)
        {
            return "certificate is for another name";
        }
    }

    /* since TLSv1.3 sessions come after the handshake */

    if (SSL_version(c->ssl->connection) <= TLS1_2_VERSION) {

        session = ngx_ssl_get_session(c);

        if (session) {
            ngx_http_refine_target_tls_forget(target);
            target->session = session;
        }
    }

    return NULL;
}


static const char *
ngx_http_refine_target_tls_error(long rc)
{
    switch (rc) {

    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "certificate has expired";

    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "certificate is not yet valid";

    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "certificate is self-signed";

    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "certificate is not signed by a trusted authority";

    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "certificate is for another name";

    default:
        return X509_verify_cert_error_string(rc);
    }
}


/*
 * Since TLSv1.3 a client certificate is judged when the handshake is over for
 * the client: it learns of it by the alert that ends the stream.
 */

static void
ngx_http_refine_target_info(const SSL *ssl, int where, int ret)
{
    ngx_http_refine_target_tls_t  *tls;

    if (where == SSL_CB_READ_ALERT && (ret >> 8) == SSL3_AL_FATAL) {
        tls = SSL_get_app_data(ssl);
        tls->alert = ret & 0xff;
    }
}


const char *
ngx_http_refine_target_tls_refusal(ngx_connection_t *c)
{
    ngx_http_refine_target_tls_t  *tls;

    tls = SSL_get_app_data(c->ssl->connection);

    switch (tls->alert) {

    case 0:
        return NULL;

    case SSL_AD_HANDSHAKE_FAILURE:
        return "TLS refused: nothing in common, or no client certificate";

#ifdef SSL_AD_CERTIFICATE_REQUIRED
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "TLS refused: a client certificate is required";
#endif

    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_DECRYPT_ERROR:
        return "TLS refused: the client certificate is not accepted";

    case SSL_AD_PROTOCOL_VERSION:
        return "TLS refused: TLSv1.2 or TLSv1.3 is needed";

    case SSL_AD_UNRECOGNIZED_NAME:
        return "TLS refused: unknown server name";

    default:
        return "TLS refused by an alert";
    }
}


static void
ngx_http_refine_target_save_session(ngx_connection_t *c)
{
    ngx_ssl_session_t             *session;
    ngx_http_refine_target_t      *target;
    ngx_http_refine_target_tls_t  *tls;

    /*
     * A session remembers the result of the verification: one whose
     * certificate was not accepted must not come to be resumed.
     */

    if (!c->ssl->handshaked) {
        return;
    }

    tls = SSL_get_app_data(c->ssl->connection);
    target = tls->target;

    session = ngx_ssl_get_session(c);

    if (session) {
        ngx_http_refine_target_tls_forget(target);
        target->session = session;
    }
}


void
ngx_http_refine_target_tls_forget(ngx_http_refine_target_t *target)
{
    if (target->session) {
        ngx_ssl_free_session(target->session);
        target->session = NULL;
    }
}
