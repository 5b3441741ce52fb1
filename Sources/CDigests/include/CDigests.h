#ifndef HOLDFAST_CDIGESTS_H
#define HOLDFAST_CDIGESTS_H

// Reflected CRCs of 32 and 64 bits, by tables and by carry-less multiplication. Digests.swift is their Swift face.

#include <stddef.h>
#include <stdint.h>

enum holdfast_crc { HOLDFAST_CRC32 = 0, HOLDFAST_CRC32C = 1, HOLDFAST_CRC64NVME = 2 };

/// The kernels, from the slowest. Every one gives the same values; the machine decides which can run.
enum holdfast_kernel { HOLDFAST_KERNEL_TABLE = 0, HOLDFAST_KERNEL_CLMUL = 1, HOLDFAST_KERNEL_CLMUL512 = 2 };

/// The fastest kernel that this machine can run.
int holdfast_crc_best_kernel(void);

/// Continues the checksum `crc` (0 to begin) over `count` bytes, with `kernel`, which the machine must be able to run.
uint64_t holdfast_crc_update(int algorithm, int kernel, uint64_t crc, const void *bytes, size_t count);

/// The checksum of A followed by B, from the checksums of each and the number of bytes in B.
uint64_t holdfast_crc_combine(int algorithm, uint64_t crc_a, uint64_t crc_b, uint64_t length_b);

#endif
