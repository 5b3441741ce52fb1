// CRCs over reflected polynomials.
//
// Table kernel: eight bytes at a time ("slicing by 8", Kounavis and Berry, 2005).
//
// Carry-less kernels: the message is a polynomial over GF(2). A register of 16 bytes is folded D bits forward by multiplying
// its halves with x^(64+D) and x^D modulo P and adding them to the bytes there (Gopal et al., "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction", Intel, 2009). Several registers are folded side by side, then into one; its 16
// bytes are congruent to the whole message before them, so the table kernel finishes.
//
// All three CRCs are reflected: the first bit of the message is the lowest bit of the first byte and has the highest power. A
// value of 64 bits has the coefficient of x^i at bit 63 - i; a product of two comes out multiplied by x, which the constants
// make up for (x^(n-1) in place of x^n). A CRC of 32 bits is kept in the upper half of such a value.

#include "CDigests.h"

#include <pthread.h>
#include <string.h>

typedef struct {
    uint64_t polynomial; // reflected, as a 64-bit value in the sense above
    int width;
    uint64_t table[8][256]; // reflected remainders, right-aligned
    uint64_t fold[3][2];    // x^(64+D-1), x^(D-1) for D = 128, 512, 2048
} crc_t;

static crc_t crcs[3];
static int best_kernel;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Multiplies by x modulo P.
static uint64_t times_x(const crc_t *c, uint64_t v) {
    if (c->width == 64) return (v >> 1) ^ ((v & 1) ? c->polynomial : 0);
    uint64_t carry = (v >> 32) & 1;
    v = (v >> 1) & 0xFFFFFFFF00000000u;
    return carry ? v ^ c->polynomial : v;
}

static uint64_t multiply(const crc_t *c, uint64_t a, uint64_t b) {
    uint64_t result = 0;
    for (int i = 0; i < c->width; i++) { // coefficient of x^i of b
        if ((b >> (63 - i)) & 1) result ^= a;
        a = times_x(c, a);
    }
    return result;
}

// x^n modulo P.
static uint64_t power_of_x(const crc_t *c, uint64_t n) {
    uint64_t result = (uint64_t)1 << 63, square = (uint64_t)1 << 62;
    for (; n; n >>= 1) {
        if (n & 1) result = multiply(c, result, square);
        square = multiply(c, square, square);
    }
    return result;
}

static void prepare(crc_t *c, int width, uint64_t reflected) {
    c->width = width;
    c->polynomial = width == 64 ? reflected : reflected << 32;
    for (int byte = 0; byte < 256; byte++) {
        uint64_t v = (uint64_t)byte;
        for (int bit = 0; bit < 8; bit++) v = (v >> 1) ^ ((v & 1) ? reflected : 0);
        c->table[0][byte] = v;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++) {
            uint64_t v = c->table[k - 1][byte];
            c->table[k][byte] = (v >> 8) ^ c->table[0][v & 0xFF];
        }
    const uint64_t distances[3] = {128, 512, 2048};
    for (int i = 0; i < 3; i++) {
        c->fold[i][0] = power_of_x(c, 64 + distances[i] - 1);
        c->fold[i][1] = power_of_x(c, distances[i] - 1);
    }
}

static void prepare_all(void) {
    prepare(&crcs[HOLDFAST_CRC32], 32, 0xEDB88320u);
    prepare(&crcs[HOLDFAST_CRC32C], 32, 0x82F63B78u);
    prepare(&crcs[HOLDFAST_CRC64NVME], 64, 0x9A6C9329AC4BC9B5u);
    best_kernel = HOLDFAST_KERNEL_TABLE;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) best_kernel = HOLDFAST_KERNEL_CLMUL;
    if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("pclmul"))
        best_kernel = HOLDFAST_KERNEL_CLMUL512;
#endif
}

int holdfast_crc_best_kernel(void) {
    pthread_once(&once, prepare_all);
    return best_kernel;
}

// `state` is the checksum without its final inversion, right-aligned.
static uint64_t update_table(const crc_t *c, uint64_t state, const uint8_t *p, size_t n) {
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= state;
        state = c->table[7][v & 0xFF] ^ c->table[6][(v >> 8) & 0xFF] ^ c->table[5][(v >> 16) & 0xFF] ^
                c->table[4][(v >> 24) & 0xFF] ^ c->table[3][(v >> 32) & 0xFF] ^ c->table[2][(v >> 40) & 0xFF] ^
                c->table[1][(v >> 48) & 0xFF] ^ c->table[0][v >> 56];
    }
    for (; n; p++, n--) state = (state >> 8) ^ c->table[0][(state ^ *p) & 0xFF];
    return state;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("pclmul,sse4.1"))) static __m128i fold128(__m128i a, __m128i k, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(a, k, 0x00), high = _mm_clmulepi64_si128(a, k, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul,sse4.1"))) static uint64_t
update_clmul(const crc_t *c, uint64_t state, const uint8_t *p, size_t n) {
    if (n < 128) return update_table(c, state, p, n);
    const __m128i *in = (const __m128i *)p;
    __m128i a[4];
    for (int i = 0; i < 4; i++) a[i] = _mm_loadu_si128(in + i);
    a[0] = _mm_xor_si128(a[0], _mm_set_epi64x(0, (long long)state));
    const __m128i k512 = _mm_set_epi64x((long long)c->fold[1][1], (long long)c->fold[1][0]);
    const __m128i k128 = _mm_set_epi64x((long long)c->fold[0][1], (long long)c->fold[0][0]);
    in += 4, n -= 64;
    for (; n >= 64; in += 4, n -= 64)
        for (int i = 0; i < 4; i++) a[i] = fold128(a[i], k512, _mm_loadu_si128(in + i));
    __m128i one = a[0];
    for (int i = 1; i < 4; i++) one = fold128(one, k128, a[i]);
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, one);
    return update_table(c, update_table(c, 0, rest, 16), (const uint8_t *)in, n);
}

__attribute__((target("pclmul,sse4.1,avx512f,vpclmulqdq"))) static uint64_t
update_clmul512(const crc_t *c, uint64_t state, const uint8_t *p, size_t n) {
    if (n < 512) return update_clmul(c, state, p, n);
    __m512i a[4];
    for (int i = 0; i < 4; i++) a[i] = _mm512_loadu_si512(p + 64 * i);
    a[0] = _mm512_xor_si512(a[0], _mm512_zextsi128_si512(_mm_set_epi64x(0, (long long)state)));
    const __m512i k2048 = _mm512_broadcast_i32x4(_mm_set_epi64x((long long)c->fold[2][1], (long long)c->fold[2][0]));
    p += 256, n -= 256;
    for (; n >= 256; p += 256, n -= 256)
        for (int i = 0; i < 4; i++) {
            __m512i low = _mm512_clmulepi64_epi128(a[i], k2048, 0x00), high = _mm512_clmulepi64_epi128(a[i], k2048, 0x11);
            a[i] = _mm512_ternarylogic_epi64(low, high, _mm512_loadu_si512(p + 64 * i), 0x96); // three-way xor
        }
    __m128i registers[16];
    for (int i = 0; i < 4; i++) _mm512_storeu_si512(registers + 4 * i, a[i]);
    const __m128i k128 = _mm_set_epi64x((long long)c->fold[0][1], (long long)c->fold[0][0]);
    __m128i one = registers[0];
    for (int i = 1; i < 16; i++) one = fold128(one, k128, registers[i]);
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, one);
    return update_clmul(c, update_table(c, 0, rest, 16), p, n);
}
#endif

uint64_t holdfast_crc_update(int algorithm, int kernel, uint64_t crc, const void *bytes, size_t count) {
    pthread_once(&once, prepare_all);
    const crc_t *c = &crcs[algorithm];
    const uint64_t ones = c->width == 64 ? ~(uint64_t)0 : 0xFFFFFFFFu;
    uint64_t state = crc ^ ones;
#if defined(__x86_64__)
    if (kernel == HOLDFAST_KERNEL_CLMUL512) return update_clmul512(c, state, bytes, count) ^ ones;
    if (kernel == HOLDFAST_KERNEL_CLMUL) return update_clmul(c, state, bytes, count) ^ ones;
#endif
    return update_table(c, state, bytes, count) ^ ones;
}

uint64_t holdfast_crc_combine(int algorithm, uint64_t crc_a, uint64_t crc_b, uint64_t length_b) {
    pthread_once(&once, prepare_all);
    const crc_t *c = &crcs[algorithm];
    const int shift = 64 - c->width;
    // 8 × length_b may not fit 64 bits: x^(8n) is (x^8)^n, three squarings more.
    uint64_t power = power_of_x(c, length_b);
    for (int i = 0; i < 3; i++) power = multiply(c, power, power);
    return (multiply(c, crc_a << shift, power) >> shift) ^ crc_b;
}
