
#include "ngx_http_refine_catalog_secret.h"


/* the longest line with CR LF, and a byte that shows that it is longer */
#define NGX_HTTP_REFINE_SECRET_BUFFER  (NGX_HTTP_REFINE_SECRET_MAX + 3)


static ngx_int_t ngx_http_refine_secret_load(ngx_conf_t *cf, ngx_str_t *file,
    const char *what, u_char *buf, size_t *size);
static ngx_int_t ngx_http_refine_secret_line(ngx_conf_t *cf, ngx_str_t *file,
    const char *what, u_char *buf, size_t size, ngx_str_t *secret);


ngx_int_t
ngx_http_refine_secret_read(ngx_conf_t *cf, ngx_str_t *file, const char *what,
    ngx_str_t *secret)
{
    size_t     size;
    u_char     buf[NGX_HTTP_REFINE_SECRET_BUFFER];
    ngx_int_t  rc;
    ngx_str_t  name;

    if (file->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no file name for the %s behind \"file:\"", what);
        return NGX_ERROR;
    }

    name = *file;

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_refine_secret_load(cf, &name, what, buf, &size);

    if (rc == NGX_OK) {
        rc = ngx_http_refine_secret_line(cf, &name, what, buf, size, secret);
    }

    ngx_explicit_memzero(buf, sizeof(buf));

    return rc;
}


static ngx_int_t
ngx_http_refine_secret_load(ngx_conf_t *cf, ngx_str_t *file, const char *what,
    u_char *buf, size_t *size)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    /* a FIFO that nobody writes to must not block the start */

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" with the %s failed",
                           file, what);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    *size = 0;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" with the %s failed",
                           file, what);
        goto done;
    }

    do {
        n = ngx_read_fd(fd, buf + *size, NGX_HTTP_REFINE_SECRET_BUFFER - *size);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" with the %s failed",
                               file, what);
            goto done;
        }

        *size += n;

    } while (n > 0 && *size < NGX_HTTP_REFINE_SECRET_BUFFER);

    if (fi.st_mode & S_IROTH) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" with the %s can be read by everyone, "
                           "its mode should be 0600", file, what);
    }

    rc = NGX_OK;

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ERR, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", file);
    }

    return rc;
}


static ngx_int_t
ngx_http_refine_secret_line(ngx_conf_t *cf, ngx_str_t *file, const char *what,
    u_char *buf, size_t size, ngx_str_t *secret)
{
    u_char     *p;
    ngx_str_t   line;

    p = ngx_strlchr(buf, buf + size, LF);

    line.data = buf;
    line.len = (p ? p : buf + size) - buf;

    while (line.len && (line.data[line.len - 1] == ' '
                        || line.data[line.len - 1] == '\t'
                        || line.data[line.len - 1] == CR))
    {
        line.len--;
    }

    if (line.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the first line of \"%V\" should be the %s, "
                           "but is empty", file, what);
        return NGX_ERROR;
    }

    if (line.len > NGX_HTTP_REFINE_SECRET_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the %s in \"%V\" is too long, at most %d bytes "
                           "are allowed",
                           what, file, NGX_HTTP_REFINE_SECRET_MAX);
        return NGX_ERROR;
    }

    secret->len = line.len;
    secret->data = ngx_pstrdup(cf->pool, &line);

    return (secret->data == NULL) ? NGX_ERROR : NGX_OK;
}
