#define _GNU_SOURCE
#include "CFileSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <unistd.h>

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
    if (setpriority(PRIO_PROCESS, 0, niceness) != 0) return errno;
    // Since 6.6 the kernel lets a thread of any niceness run on for a millisecond or more when another wakes; one of this policy
    // makes room at once. Where a sandbox forbids it, niceness has to do.
    struct sched_param none = {.sched_priority = 0};
    if (niceness == 19 && sched_setscheduler(0, SCHED_IDLE, &none) == 0) {
        // With it a thread's reads and writes would be done only when nobody else's are: ioprio_set(2). They are what niceness
        // makes them, the last of the ordinary ones.
        const int this_thread = 1, best_effort = 2 << 13, last = 7;
        (void)syscall(SYS_ioprio_set, this_thread, 0, best_effort | last);
    }
    return 0;
}

// The kernel takes 253, and all that wait count against the sender's limit of files.
enum { descriptor_limit = 64 };
const int32_t holdfast_descriptor_limit = descriptor_limit;

int holdfast_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count) {
    if (descriptor_count < 1 || descriptor_count > descriptor_limit || count < 1) return EINVAL;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * descriptor_limit)];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)descriptor_count),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)descriptor_count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)descriptor_count);
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return errno;
    // A short message goes out whole on a stream socket that waits for room.
    return (size_t)sent == count ? 0 : EMSGSIZE;
}

ssize_t holdfast_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count) {
    int room_for = *descriptor_count;
    *descriptor_count = 0;
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * descriptor_limit)];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = sizeof control.room,
    };
    ssize_t received;
    do {
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < found; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
            if (*descriptor_count < room_for) {
                descriptors[(*descriptor_count)++] = descriptor;
            } else {
                close(descriptor);
            }
        }
    }
    return received;
}

int holdfast_peer_user(int socket, uint32_t *user) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return errno;
    *user = credentials.uid;
    return 0;
}

int holdfast_bound_free_memory(int map_from, int keep, int arenas) {
    return mallopt(M_MMAP_THRESHOLD, map_from) && mallopt(M_TRIM_THRESHOLD, keep) && mallopt(M_ARENA_MAX, arenas) ? 0 : -1;
}

int holdfast_clock_is_synchronised(void) {
    struct timex state;
    memset(&state, 0, sizeof state);
    int status = adjtimex(&state);
    if (status < 0) return -1;
    return status != TIME_ERROR && !(state.status & STA_UNSYNC);
}
