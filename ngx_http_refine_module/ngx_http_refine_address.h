
/*
 * Level 0: the address of a client, as it is stored.
 */


#ifndef _NGX_HTTP_REFINE_ADDRESS_H_INCLUDED_
#define _NGX_HTTP_REFINE_ADDRESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_REFINE_ADDRESS_LEN  NGX_INET6_ADDRSTRLEN


/*
 * Writes the text of an address of 4 or 16 bytes in network order to dst,
 * which has room for NGX_HTTP_REFINE_ADDRESS_LEN, and returns its length.
 * Anonymized are the last octet of an IPv4 address and the last 80 bits of
 * an IPv6 address.
 */
size_t ngx_http_refine_address_text(u_char *dst, const u_char *addr,
    size_t len, ngx_uint_t anonymize);

/* the same for an address given as text; 0: it is none */
size_t ngx_http_refine_address_copy(u_char *dst, ngx_str_t *text,
    ngx_uint_t anonymize);


#endif /* _NGX_HTTP_REFINE_ADDRESS_H_INCLUDED_ */
