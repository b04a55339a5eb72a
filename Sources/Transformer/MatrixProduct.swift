// Dense products on OpenBLAS, one thread a call: the pool's tasks call it for the tiles that are theirs.

import COpenBLAS

/// Row-major single-precision products.
enum MatrixProduct {
    /// c `[m, n]` = a `[m, k]` · bᵀ, b `[n, k]`, plus c itself when `adding`.
    ///
    /// Strides are rows' lengths in memory.
    static func timesTransposed(
        _ a: Floats, stride aStride: Int, _ b: Floats, stride bStride: Int, into c: Floats, stride cStride: Int,
        m: Int, n: Int, k: Int, adding: Bool = false
    ) {
        guard m > 0, n > 0 else { return }
        precondition(
            a.count >= (m - 1) * aStride + k && b.count >= (n - 1) * bStride + k && c.count >= (m - 1) * cStride + n)
        unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(m), Int32(n), Int32(k), 1, a.base, Int32(aStride), b.base,
            Int32(bStride), adding ? 1 : 0, c.base, Int32(cStride))
    }

    /// c `[n, n]` += aᵀ · a, a `[k, n]`.
    static func addGram(_ a: Floats, stride aStride: Int, into c: Floats, n: Int, k: Int) {
        precondition(n > 0 && k > 0 && a.count >= (k - 1) * aStride + n && c.count >= n * n)
        unsafe cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(n), Int32(n), Int32(k), 1, a.base, Int32(aStride), a.base,
            Int32(aStride), 1, c.base, Int32(n))
    }
}
