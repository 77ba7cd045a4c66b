
/*
 * Level 1: where an outgoing connection goes: what the configuration says of
 * it, and the addresses known.
 */


#ifndef _NGX_HTTP_REFINE_TARGET_H_INCLUDED_
#define _NGX_HTTP_REFINE_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct {
    ngx_str_t            name;          /* host:port or unix:PATH, for logs */
    ngx_str_t            host;          /* without brackets, NUL-terminated */
    in_port_t            port;
    ngx_addr_t          *addrs;         /* resolved at start */
    ngx_uint_t           naddrs;

    ngx_resolver_t      *resolver;      /* NULL: only addrs */
    ngx_msec_t           resolver_timeout;

    ngx_ssl_t           *ssl;           /* NULL: plain */
    ngx_str_t            ssl_name;      /* SNI and verification */
    ngx_flag_t           ssl_verify;
    ngx_ssl_session_t   *session;       /* this worker's last, to resume */

    ngx_msec_t           connect_timeout;   /* TLS handshake included */
    ngx_msec_t           send_timeout;
    ngx_msec_t           read_timeout;

    unsigned             numeric:1;     /* host is an address or a path */
} ngx_http_refine_target_t;


/*
 * Fills in name, host, port, numeric and addrs.  text is host[:port],
 * [v6][:port] or unix:PATH; it is copied.  resolver is the location's (NULL
 * when none is configured, http/ngx_http_core_module.c:ngx_http_core_resolver).
 * With a resolver a name is resolved at each connect, and not here.
 *
 * Without one a name that does not resolve is a warning, and resolved again
 * by a later reload only.  A malformed address is logged as an error of the
 * configuration: NGX_CONF_ERROR.
 */
char *ngx_http_refine_target_parse(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *text, in_port_t default_port,
    ngx_resolver_t *resolver, ngx_msec_t resolver_timeout);

/*
 * Makes target->ssl, verified against the file of CAs, or the system's when
 * the name is empty.  name: what the certificate must be for, empty: host.
 */
char *ngx_http_refine_target_tls(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *trusted_certificate,
    ngx_str_t *name, ngx_flag_t verify);

/*
 * After it: the certificate, a file as its key, that is shown to a server that
 * asks for one.
 */
char *ngx_http_refine_target_certificate(ngx_conf_t *cf,
    ngx_http_refine_target_t *target, ngx_str_t *certificate, ngx_str_t *key);

/*
 * For a connection with c->pool set: makes c->ssl ready for
 * ngx_ssl_handshake(), the name and a session to resume included.
 */
ngx_int_t ngx_http_refine_target_tls_init(ngx_http_refine_target_t *target,
    ngx_connection_t *c);

/*
 * After a handshake: NULL, or a constant text that says what is wrong with
 * the certificate.
 */
const char *ngx_http_refine_target_tls_verify(
    ngx_http_refine_target_t *target, ngx_connection_t *c);

/* NULL, or a constant text: by what alert the other side has ended TLS */
const char *ngx_http_refine_target_tls_refusal(ngx_connection_t *c);

/* what may be wrong with a session must not be repeated */
void ngx_http_refine_target_tls_forget(ngx_http_refine_target_t *target);


#endif /* _NGX_HTTP_REFINE_TARGET_H_INCLUDED_ */
