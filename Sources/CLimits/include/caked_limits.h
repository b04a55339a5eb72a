// What this machine can do at most: loops that do nothing but one kind of work, for benches to compare with.
#ifndef CAKED_LIMITS_H
#define CAKED_LIMITS_H

#include <stddef.h>
#include <stdint.h>

// Multiply-adds by the type of what is multiplied; sums are int32 or float.
typedef enum {
    CAKED_LIMIT_INT8 = 0,  // AVX-512 VNNI; pairs of products on AVX2
    CAKED_LIMIT_BF16 = 1,  // AVX-512 BF16
    CAKED_LIMIT_F32 = 2,   // AVX-512, AVX2 with FMA, NEON
} caked_limit;

// Runs `rounds` rounds of independent multiply-adds on registers, on the calling thread. Returns how many operations
// that was, two for a multiply-add; 0, and nothing runs, when this CPU has no such instructions.
double caked_limit_multiply(caked_limit limit, size_t rounds);

// Reads `bytes` bytes, a multiple of 64 at an address that is one, on the calling thread; returns a sum of them all.
uint64_t caked_limit_read(const void *memory, size_t bytes);

#endif
