/* Counts the calls that change files below a folder; at one of them it kills the process, before,
 * within or after it, or lets the call fail. tests/stress/kill.py builds and preloads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BEFORE = -1, WITHIN = -2, AFTER = -3 }; /* or the errno with which the call fails */

static char folder[4096];
static long at, seen;
static int act;

void shim_set(const char *where, long call, int what) {
    at = call;
    act = what;
    seen = 0;
    strncpy(folder, where, sizeof folder - 1);
}

long shim_seen(void) { return seen; }

/* For a process of its own, which nobody can tell after its start. */
__attribute__((constructor)) static void set_from_environment(void) {
    const char *where = getenv("SHIM_FOLDER");
    if (where) shim_set(where, atol(getenv("SHIM_AT")), atoi(getenv("SHIM_ACT")));
}

static int below(const char *path) { return folder[0] && path && strstr(path, folder); }

static int names_below(int fd) {
    char link[64], path[4096];
    if (!folder[0] || fd < 3) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static int is_due(int mine) { return mine && ++seen == at; }

static void end(void) { kill(getpid(), SIGKILL); }

/* result NAME(PARAMETERS), which counts if MINE */
#define CHANGING(result, name, parameters, arguments, mine)      \
    result name parameters {                                     \
        result(*real) parameters = dlsym(RTLD_NEXT, #name);      \
        if (!is_due(mine)) return real arguments;                \
        if (act > 0) {                                           \
            errno = act;                                         \
            return (result)-1;                                   \
        }                                                        \
        if (act == AFTER) real arguments;                        \
        end();                                                   \
        return (result)-1;                                       \
    }

CHANGING(int, rename, (const char *a, const char *b), (a, b), below(b))
CHANGING(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), below(b))
CHANGING(int, unlink, (const char *a), (a), below(a))
CHANGING(int, rmdir, (const char *a), (a), below(a))
CHANGING(int, mkdir, (const char *a, mode_t m), (a, m), below(a))
CHANGING(int, chmod, (const char *a, mode_t m), (a, m), below(a))
CHANGING(int, fsync, (int fd), (fd), names_below(fd))
CHANGING(int, ftruncate, (int fd, off_t n), (fd, n), names_below(fd))
CHANGING(int, ftruncate64, (int fd, off_t n), (fd, n), names_below(fd))
CHANGING(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o),
         names_below(fd))
CHANGING(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), names_below(fd))

ssize_t write(int fd, const void *data, size_t n) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (!is_due(names_below(fd))) return real(fd, data, n);
    if (act > 0) {
        errno = act;
        return -1;
    }
    if (act == AFTER) real(fd, data, n);
    if (act == WITHIN) real(fd, data, n / 2);
    end();
    return -1;
}

#define OPEN(name)                                                                             \
    int name(const char *path, int flags, ...) {                                               \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);                         \
        va_list rest;                                                                          \
        va_start(rest, flags);                                                                 \
        int mode = flags & O_CREAT ? va_arg(rest, int) : 0;                                    \
        va_end(rest);                                                                          \
        int is_change = flags & (O_CREAT | O_TRUNC) && below(path);                            \
        if (!is_due(is_change)) return real(path, flags, mode);                                \
        if (act > 0) {                                                                         \
            errno = act;                                                                       \
            return -1;                                                                         \
        }                                                                                      \
        if (act == AFTER) real(path, flags, mode);                                             \
        end();                                                                                 \
        return -1;                                                                             \
    }

OPEN(open)
OPEN(open64)
