
/*
 * Preloaded into nginx: what opens, reads, writes or syncs a file of the spool
 * takes 200 ms.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>


static void
slow_path(const char *path)
{
    if (strstr(path, "/spool/")) {
        usleep(200000);
    }
}


static void
slow(int fd)
{
    char     name[64], path[PATH_MAX + 1];
    ssize_t  n;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);

    n = readlink(name, path, PATH_MAX);

    if (n > 0) {
        path[n] = '\0';
        slow_path(path);
    }
}


#define next(name, type)  ((type) dlsym(RTLD_NEXT, name))

#define OPEN(name)                                                            \
    int                                                                       \
    name(const char *path, int flags, ...)                                    \
    {                                                                         \
        mode_t   mode;                                                        \
        va_list  args;                                                        \
                                                                              \
        va_start(args, flags);                                                \
        mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;                  \
        va_end(args);                                                         \
                                                                              \
        slow_path(path);                                                      \
                                                                              \
        return next(#name, int (*)(const char *, int, mode_t))                \
                   (path, flags, mode);                                       \
    }

#define READ(name, off)                                                       \
    ssize_t                                                                   \
    name(int fd, void *p, size_t n, off offset)                               \
    {                                                                         \
        slow(fd);                                                             \
        return next(#name, ssize_t (*)(int, void *, size_t, off))             \
                   (fd, p, n, offset);                                        \
    }

#define WRITE(name, off)                                                      \
    ssize_t                                                                   \
    name(int fd, const void *p, size_t n, off offset)                         \
    {                                                                         \
        slow(fd);                                                             \
        return next(#name, ssize_t (*)(int, const void *, size_t, off))       \
                   (fd, p, n, offset);                                        \
    }

#define SYNC(name)                                                            \
    int                                                                       \
    name(int fd)                                                              \
    {                                                                         \
        slow(fd);                                                             \
        return next(#name, int (*)(int))(fd);                                 \
    }


OPEN(open)
OPEN(open64)
READ(pread, off_t)
READ(pread64, off64_t)
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)
SYNC(fsync)
SYNC(fdatasync)
