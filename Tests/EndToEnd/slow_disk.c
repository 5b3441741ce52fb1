/* Makes one directory's disk slow: while a file is there, every write and sync below the directory waits.
   Loaded into a server by LD_PRELOAD. HOLDFAST_SLOW_BELOW names the directory, HOLDFAST_SLOW_WHILE the file,
   HOLDFAST_SLOW_SECONDS how long each call waits. With HOLDFAST_SLOW_READS reads wait as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_if_slow(int file) {
    const char *below = getenv("HOLDFAST_SLOW_BELOW"), *switched = getenv("HOLDFAST_SLOW_WHILE");
    const char *seconds = getenv("HOLDFAST_SLOW_SECONDS");
    char link[64], path[PATH_MAX];
    if (!below || !switched || !seconds || access(switched, F_OK)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return;
    path[count] = 0;
    if (strncmp(path, below, strlen(below))) return;
    usleep((useconds_t)(atof(seconds) * 1e6));
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_if_slow(file);
    return next(file);
}

int fsync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_if_slow(file);
    return next(file);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next) next = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    wait_if_slow(file);
    return next(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset) {
    return pwrite(file, bytes, count, offset);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    static ssize_t (*next)(int, void *, size_t, off_t);
    if (!next) next = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    if (getenv("HOLDFAST_SLOW_READS")) wait_if_slow(file);
    return next(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off_t offset) {
    return pread(file, bytes, count, offset);
}
