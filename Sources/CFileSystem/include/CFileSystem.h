#ifndef HOLDFAST_CFILESYSTEM_H
#define HOLDFAST_CFILESYSTEM_H

// The Linux calls and constants that Swift's Glibc module does not export.

#include <stdint.h>
#include <sys/types.h>

/// `O_DIRECT` and `O_TMPFILE` need `_GNU_SOURCE`, which a Swift importer does not set.
extern const int32_t holdfast_o_direct;

/// `preadv2` with `RWF_NOWAIT`: reads only what is in the page cache.
/// Returns the bytes read, or -1 with `errno` (`EAGAIN` when it would block).
ssize_t holdfast_pread_nowait(int descriptor, void *buffer, size_t count, off_t offset);

/// `fallocate(2)` with mode 0. Returns 0, or -1 with `errno`.
int holdfast_allocate(int descriptor, off_t offset, off_t length);

/// Writes the file system's type magic (`statfs.f_type`) to `type`. Returns 0, or -1 with `errno`.
int holdfast_file_system_type(const char *path, int64_t *type);

/// `posix_fadvise(POSIX_FADV_DONTNEED)` over the whole file.
int holdfast_drop_cache(int descriptor);

/// `pthread_setname_np` for the thread that calls. Returns 0, or an error number for more than 15 bytes.
int holdfast_name_thread(const char *name);

/// `setpriority` for the thread that calls: 0 is ordinary, 19 yields to everybody, at once (`SCHED_IDLE`, sched(7)). Returns 0, or an
/// error number.
int holdfast_lower_thread(int niceness);

/// How many descriptors one message carries at most.
extern const int32_t holdfast_descriptor_limit;

/// Sends `count` bytes over a Unix stream socket with copies of 1 to `holdfast_descriptor_limit` open descriptors (`SCM_RIGHTS`, unix(7)).
/// Returns 0, or an error number.
int holdfast_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count);

/// Receives up to `count` bytes, and the descriptors that came with them, each closed on exec. `descriptor_count` says how
/// many there is room for, and then how many came; those beyond are closed. Returns the bytes, or -1 with `errno`.
ssize_t holdfast_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count);

/// Writes the user id of the process at the other end of a Unix socket to `user`, as it was when it connected
/// (`SO_PEERCRED`). Returns 0, or an error number.
int holdfast_peer_user(int socket, uint32_t *user);

/// Sets from which size on memory is asked of the kernel and given back to it at once (`M_MMAP_THRESHOLD`), how much that is
/// free at the end of an arena may stay with the process (`M_TRIM_THRESHOLD`), both in bytes and from now on fixed, and how many
/// arenas there may be (`M_ARENA_MAX`): mallopt(3). Returns 0, or -1 if the C library refuses one of them.
int holdfast_bound_free_memory(int map_from, int keep, int arenas);

/// Whether something keeps the machine's clock right, as far as the kernel knows (`adjtimex`): 1 or 0, or -1 with `errno`.
int holdfast_clock_is_synchronised(void);

#endif
