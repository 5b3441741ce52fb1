#define _GNU_SOURCE
#include "CFileSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/resource.h>

const int32_t holdfast_o_direct = O_DIRECT;

ssize_t holdfast_pread_nowait(int descriptor, void *buffer, size_t count, off_t offset) {
    struct iovec vector = {.iov_base = buffer, .iov_len = count};
    return preadv2(descriptor, &vector, 1, offset, RWF_NOWAIT);
}

int holdfast_allocate(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, 0, offset, length);
}

int holdfast_file_system_type(const char *path, int64_t *type) {
    struct statfs information;
    if (statfs(path, &information) != 0) return -1;
    *type = (int64_t)information.f_type;
    return 0;
}

int holdfast_drop_cache(int descriptor) {
    return posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
}

int holdfast_name_thread(const char *name) {
    return pthread_setname_np(pthread_self(), name);
}

int holdfast_lower_thread(int niceness) {
    // On Linux a priority is a thread's, and 0 is the one that calls.
    return setpriority(PRIO_PROCESS, 0, niceness) == 0 ? 0 : errno;
}
