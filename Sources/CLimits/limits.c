// The loops behind caked_limits.h: enough independent chains to hide every latency, no memory in the arithmetic.
#include "caked_limits.h"

enum { CHAINS = 12 };  // latencies are at most 6 cycles at two a cycle; with an operand, 16 registers of AVX2 hold them

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>

// Keeps the compiler from working the sums out beforehand.
#define KEEP(x) __asm__ volatile("" : "+v"(x))
#define TARGET(features) __attribute__((target(features)))

TARGET("avx512f,avx512bw,avx512vnni") static void multiply_int8(size_t rounds) {
    __m512i sums[CHAINS], x = _mm512_set1_epi8(3);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_si512();
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_dpbusd_epi32(sums[i], x, x);
            KEEP(sums[i]);
        }
    }
}

// Pairs of products added up in 16 bits, which is what quants of few bits cost at least without VNNI.
TARGET("avx2") static void multiply_int8_avx2(size_t rounds) {
    __m256i sums[CHAINS], x = _mm256_set1_epi8(3);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_setzero_si256();
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+x"(x));
            sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(x, x));
            __asm__ volatile("" : "+x"(sums[i]));
        }
    }
}

TARGET("avx512f,avx512bf16") static void multiply_bf16(size_t rounds) {
    __m512 sums[CHAINS], one = _mm512_set1_ps(1);
    __m512bh x = _mm512_cvtne2ps_pbh(one, one);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_ps();
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_dpbf16_ps(sums[i], x, x);
            KEEP(sums[i]);
        }
    }
}

TARGET("avx512f") static void multiply_f32_avx512(size_t rounds) {
    __m512 sums[CHAINS], x = _mm512_set1_ps(0.5f);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_ps();
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_fmadd_ps(sums[i], x, x);
            KEEP(sums[i]);
        }
    }
}

TARGET("avx2,fma") static void multiply_f32_avx2(size_t rounds) {
    __m256 sums[CHAINS], x = _mm256_set1_ps(0.5f);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_setzero_ps();
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm256_fmadd_ps(sums[i], x, x);
            __asm__ volatile("" : "+x"(sums[i]));
        }
    }
}

TARGET("avx2") static uint64_t read_avx2(const void *memory, size_t bytes) {
    const __m256i *from = memory;
    __m256i sums[4];
    for (int i = 0; i < 4; i++) sums[i] = _mm256_setzero_si256();
    for (size_t line = 0; line < bytes / 64; line++) {
        __builtin_prefetch((const char *)(from + 2 * line) + 256);
        sums[line % 2 * 2] = _mm256_add_epi64(sums[line % 2 * 2], _mm256_load_si256(from + 2 * line));
        sums[line % 2 * 2 + 1] = _mm256_add_epi64(sums[line % 2 * 2 + 1], _mm256_load_si256(from + 2 * line + 1));
    }
    __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
    uint64_t parts[4];
    _mm256_storeu_si256((__m256i *)parts, sum);
    return parts[0] + parts[1] + parts[2] + parts[3];
}

typedef struct {
    bool avx2, avx512, vnni, bf16;
} features;

// What the CPU has and the operating system saves (XCR0).
static features present(void) {
    features none = {false, false, false, false};
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & 1u << 27) == 0 || (c & 1u << 12) == 0) return none;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    if ((low & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & 1u << 5) == 0) return none;
    features found = {.avx2 = true, .avx512 = (low & 0xe6) == 0xe6 && (b & 1u << 16) != 0 && (b & 1u << 30) != 0};
    found.vnni = found.avx512 && (c & 1u << 11) != 0;
    found.bf16 = found.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) != 0;
    return found;
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static void multiply_f32_neon(size_t rounds) {
    float32x4_t sums[CHAINS], x = vdupq_n_f32(0.5f);
    for (int i = 0; i < CHAINS; i++) sums[i] = vdupq_n_f32(0);
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {
            sums[i] = vfmaq_f32(x, sums[i], x);
            __asm__ volatile("" : "+w"(sums[i]));
        }
    }
}
#endif

double caked_limit_multiply(caked_limit limit, size_t rounds) {
    double instructions = (double)rounds * CHAINS;
#if defined(__x86_64__)
    features cpu = present();
    switch (limit) {
        case CAKED_LIMIT_INT8:
            if (cpu.vnni) {
                multiply_int8(rounds);
                return 2 * 64 * instructions;
            }
            if (!cpu.avx2) return 0;
            multiply_int8_avx2(rounds);
            return 2 * 32 * instructions;
        case CAKED_LIMIT_BF16:
            if (!cpu.bf16) return 0;
            multiply_bf16(rounds);
            return 2 * 32 * instructions;
        case CAKED_LIMIT_F32:
            if (cpu.avx512) {
                multiply_f32_avx512(rounds);
                return 2 * 16 * instructions;
            }
            if (!cpu.avx2) return 0;
            multiply_f32_avx2(rounds);
            return 2 * 8 * instructions;
    }
#elif defined(__aarch64__)
    if (limit == CAKED_LIMIT_F32) {
        multiply_f32_neon(rounds);
        return 2 * 4 * instructions;
    }
#else
    (void)limit;
    (void)instructions;
#endif
    return 0;
}

uint64_t caked_limit_read(const void *memory, size_t bytes) {
#if defined(__x86_64__)
    if (present().avx2) return read_avx2(memory, bytes);
#endif
    const uint64_t *from = memory;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < bytes / 64; i++)
        for (int k = 0; k < 8; k++) sums[k] += from[8 * i + k];
    return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}
