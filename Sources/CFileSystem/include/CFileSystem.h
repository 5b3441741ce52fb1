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

/// `setpriority` for the thread that calls: 0 is ordinary, 19 yields to everybody. Returns 0, or an error number.
int holdfast_lower_thread(int niceness);

#endif
