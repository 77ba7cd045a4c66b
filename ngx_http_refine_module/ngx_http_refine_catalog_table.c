
#include "ngx_http_refine_catalog_option.h"


#define ngx_http_refine_option_offset(field)                                  \
    offsetof(ngx_http_refine_catalog_t, field)


const ngx_http_refine_option_t  ngx_http_refine_options[] = {

    { ngx_string("organization_id"), 1, ngx_http_refine_option_id,
      ngx_http_refine_option_offset(organization_id), 0, 0, 0, NULL },

    { ngx_string("catalog_id"), 1, ngx_http_refine_option_id,
      ngx_http_refine_option_offset(catalog_id), 0, 0, 0, NULL },

    { ngx_string("api_key"), 1, ngx_http_refine_option_key,
      ngx_http_refine_option_offset(api_key), 0, 0, 0, NULL },

    { ngx_string("endpoint"), 1, ngx_http_refine_option_endpoint,
      ngx_http_refine_option_offset(url), 0, 0, 0, NULL },

    { ngx_string("enabled"), 1, ngx_http_refine_option_flag,
      ngx_http_refine_option_offset(enabled), 1, 0, 1, NULL },

    { ngx_string("queue"), 8, ngx_http_refine_option_queue,
      ngx_http_refine_option_offset(queue), 0, 0, 0, NULL },

    { ngx_string("queue_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(queue.redis.timeout),
      2000, 10, 60000, "10ms to 60s" },

    { ngx_string("spool"), 3, ngx_http_refine_option_spool,
      ngx_http_refine_option_offset(queue.spool),
      0, 1024 * 1024, 1024LL * 1024 * 1024 * 1024, "1m to 1024g" },

    { ngx_string("batch_size"), 1, ngx_http_refine_option_number,
      ngx_http_refine_option_offset(batch_size),
      500, 1, 10000, "1 to 10000" },

    { ngx_string("flush_interval"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(flush_interval),
      5000, 10, 3600000, "10ms to 1h" },

    { ngx_string("max_in_flight"), 1, ngx_http_refine_option_number,
      ngx_http_refine_option_offset(max_in_flight),
      4, 1, 256, "1 to 256" },

    { ngx_string("rate_share"), 1, ngx_http_refine_option_percent,
      ngx_http_refine_option_offset(rate_share.percent),
      50, 1, 100, "1% to 100%" },

    { ngx_string("max_queue_size"), 1, ngx_http_refine_option_number,
      ngx_http_refine_option_offset(queue.max_size),
      1000000, 1, 1000000000, "1 to 1000000000" },

    { ngx_string("max_queue_bytes"), 1, ngx_http_refine_option_size,
      ngx_http_refine_option_offset(queue.max_bytes),
      1024 * 1024 * 1024, 64 * 1024, 1024LL * 1024 * 1024 * 1024,
      "64k to 1024g" },

    { ngx_string("max_retries"), 1, ngx_http_refine_option_number,
      ngx_http_refine_option_offset(max_retries),
      3, 1, 100, "1 to 100" },

    { ngx_string("retry_window"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(retry_window),
      7 * NGX_HTTP_REFINE_DAY * 1000, 1000, 400LL * 86400 * 1000,
      "1s to 400d" },

    { ngx_string("dead_letters"), 1, ngx_http_refine_option_number,
      ngx_http_refine_option_offset(queue.dead_letters),
      100000, 1, 100000000, "1 to 100000000" },

    { ngx_string("claim_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(queue.claim_timeout),
      90000, 1000, 86400000, "1s to 1d" },

    { ngx_string("session_timeout"), 1, ngx_http_refine_option_sec,
      ngx_http_refine_option_offset(session.lifetime),
      30 * 60, 1, NGX_HTTP_REFINE_MAX_LIFETIME, "1s to 400d" },

    { ngx_string("visitor_cookie"), 3, ngx_http_refine_option_cookie,
      ngx_http_refine_option_offset(visitor),
      0, 1, NGX_HTTP_REFINE_MAX_LIFETIME, "1s to 400d" },

    { ngx_string("session_cookie"), 2, ngx_http_refine_option_cookie,
      ngx_http_refine_option_offset(session), 0, 0, 0, NULL },

    { ngx_string("cookie_secure"), 1, ngx_http_refine_option_secure,
      ngx_http_refine_option_offset(cookie_secure), 0, 0, 0, NULL },

    { ngx_string("user_id"), 1, ngx_http_refine_option_complex,
      ngx_http_refine_option_offset(user_id), 0, 0, 0, NULL },

    { ngx_string("consent"), 1, ngx_http_refine_option_choice,
      ngx_http_refine_option_offset(consent), 0, 0, 0,
      "granted, 1, denied, 0, pending" },

    { ngx_string("require_consent"), 1, ngx_http_refine_option_flag,
      ngx_http_refine_option_offset(require_consent), 0, 0, 1, NULL },

    { ngx_string("bot"), 1, ngx_http_refine_option_choice,
      ngx_http_refine_option_offset(bot), 0, 0, 0, "1, 0" },

    { ngx_string("anonymize_ip"), 1, ngx_http_refine_option_flag,
      ngx_http_refine_option_offset(anonymize_ip), 1, 0, 1, NULL },

    { ngx_string("allow_origin"), 64, ngx_http_refine_option_origins,
      ngx_http_refine_option_offset(origins), 0, 0, 0, NULL },

    { ngx_string("connect_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(endpoint.connect_timeout),
      5000, 10, 600000, "10ms to 10m" },

    { ngx_string("send_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(endpoint.send_timeout),
      10000, 10, 600000, "10ms to 10m" },

    { ngx_string("read_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(endpoint.read_timeout),
      10000, 10, 600000, "10ms to 10m" },

    { ngx_string("delivery_timeout"), 1, ngx_http_refine_option_msec,
      ngx_http_refine_option_offset(delivery_timeout),
      30000, 10, 600000, "10ms to 10m" },

    { ngx_string("ssl_verify"), 1, ngx_http_refine_option_flag,
      ngx_http_refine_option_offset(source.ssl_verify), 1, 0, 1, NULL },

    { ngx_string("ssl_trusted_certificate"), 1, ngx_http_refine_option_text,
      ngx_http_refine_option_offset(source.trusted_certificate),
      0, 0, 0, NULL },

    { ngx_string("ssl_name"), 1, ngx_http_refine_option_text,
      ngx_http_refine_option_offset(source.ssl_name), 0, 0, 0, NULL }
};


const ngx_uint_t  ngx_http_refine_noptions =
    sizeof(ngx_http_refine_options) / sizeof(ngx_http_refine_options[0]);
