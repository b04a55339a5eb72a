// e^x over lanes, within 2 ulp: 2^n * e^r with |r| <= ln 2 / 2 and the polynomial of Cephes' expf.
//
// -infinity and whatever underflows give 0, overflow gives infinity, NaN stays NaN; subnormal results are kept.

// Below this e^x rounds to 0 in float.
#define EXP_FLOOR -105.0f

#ifndef CAKED_SCALES
// x * 2^n for whole n, in two factors, so that n beyond the exponents of normal floats is right too.
INLINE lanes v_scale(lanes x, lanes n) {
    const lanes magic = v_set(0x1.8p23f);
    bits exponent = (bits)(n + magic) - (bits)magic;
    bits half = (exponent >> 1) | (exponent & 0x80000000);
    lanes first = (lanes)((half + 127) << 23), second = (lanes)((exponent - half + 127) << 23);
    return x * first * second;
}
#endif

INLINE lanes v_exp(lanes x) {
    const lanes magic = v_set(0x1.8p23f);  // added, it leaves the nearest integer in the low bits of the mantissa
    x = v_max(v_set(EXP_FLOOR), x);
    x = -v_max(v_set(-90), -x);
    lanes n = v_fma(x, v_set(0x1.715476p0f), magic) - magic;
    lanes r = v_fma(n, v_set(-0x1.63p-1f), x);  // ln 2 in two parts, the first exact times any n
    r = v_fma(n, v_set(0x1.bd0106p-13f), r);
    lanes p = v_set(1.9875691500e-4f);
    p = v_fma(p, r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    return v_scale(v_fma(p, r * r, r) + v_set(1), n);
}

INLINE float one_exp(float x) { return v_exp(v_set(x))[0]; }
