// The operations of the forward pass that treat every row by itself, as parallel regions over blocks of rows.

import CKernels

/// Work on independent rows; `run(_:)` handles some of them.
protocol RowTask: SendableMetatype {
    var rows: Int { get }
    func run(_ range: Range<Int>)
}

extension RowTask {
    /// Runs all rows.
    ///
    /// Few rows, as in a decode step, run on the caller at once.
    mutating func run(on pool: WorkerPool) {
        let blockRows = 16
        unsafe pool.run((rows + blockRows - 1) / blockRows, on: &self) { context, block, _ in
            let first = block * blockRows
            unsafe context.pointee.run(first..<min(first + blockRows, context.pointee.rows))
        }
    }
}

/// x ← x + scale · norm(addend): the residual connection; then y = norm(x), if something reads it.
struct AddAndNormalise: RowTask {
    let rows: Int
    let epsilon: Float
    let width: Int
    /// `[rows, width]`; `addend`, which is overwritten where it is normed or scaled, and `y` likewise.
    let x: Floats
    var addend: Floats?
    /// `[width]`; nil: added as it is.
    var addendNorm: Floats?
    var addendScale: Float = 1
    /// `[width]`; nil: y is not written.
    let norm: Floats?
    let y: Floats

    func run(_ range: Range<Int>) {
        for row in range {
            let x = x.slice(row * width, width)
            if let addend = addend?.slice(row * width, width) {
                if let addendNorm { unsafe caked_rms_norm(addend.base, addendNorm.base, epsilon, addend.base, width) }
                addend.multiply(by: addendScale)
                unsafe caked_add(addend.base, x.base, width)
            }
            if let norm { unsafe caked_rms_norm(x.base, norm.base, epsilon, y.slice(row * width, width).base, width) }
        }
    }
}

/// gate = f(gate) · up.
struct GateRows: RowTask {
    let function: Architecture.Gate
    let rows: Int
    let width: Int
    /// `[rows, width]`; `up` likewise.
    let gate: Floats
    let up: Floats

    func run(_ range: Range<Int>) {
        let count = range.count * width
        let first = range.lowerBound * width
        let (gate, up) = (gate.slice(first, count), up.slice(first, count))
        switch function {
        case .silu: unsafe caked_swiglu(gate.base, up.base, count)
        case .gelu: unsafe caked_geglu(gate.base, up.base, count)
        case .clampedSilu: unsafe caked_clamped_swiglu(gate.base, up.base, count)
        }
    }
}

/// Fills cos and sin of the angles of consecutive positions, `[rows, half]`.
struct FillAngles: RowTask {
    let rows: Int
    let firstPosition: Int
    let rope: RotaryEmbedding
    let cosines: Floats
    let sines: Floats

    func run(_ range: Range<Int>) {
        let half = rope.half
        for row in range {
            rope.angles(
                position: firstPosition + row, cosines: cosines.slice(row * half, half),
                sines: sines.slice(row * half, half))
        }
    }
}

/// What becomes of projected queries or keys: norm, RoPE, in either order, and a scale, that of attention for queries.
struct PrepareHeads: RowTask {
    let rows: Int
    let heads: Int
    let headWidth: Int
    /// `[rows, heads, headWidth]`.
    let x: Floats
    /// Over each head, `[headWidth]`, or over all of a row, `[heads · headWidth]`; nil: none.
    let norm: Floats?
    let epsilon: Float
    let normFollowsRotation: Bool
    /// nil: nothing turns.
    let rotation: RotaryEmbedding?
    /// `[rows, half]`.
    let cosines: Floats
    let sines: Floats
    let scale: Float
    /// `[rows]`: another factor of each row; nil: none.
    let temperatures: Floats?

    func run(_ range: Range<Int>) {
        let width = heads * headWidth
        for row in range {
            let x = x.slice(row * width, width)
            if !normFollowsRotation { normalise(x) }
            rotate(x, row)
            if normFollowsRotation { normalise(x) }
            x.multiply(by: scale * (temperatures?[row] ?? 1))
        }
    }

    private func normalise(_ x: Floats) {
        guard let norm else { return }
        for first in stride(from: 0, to: x.count, by: norm.count) {
            let part = x.slice(first, norm.count)
            unsafe caked_rms_norm(part.base, norm.base, epsilon, part.base, norm.count)
        }
    }

    private func rotate(_ x: Floats, _ row: Int) {
        guard let rotation else { return }
        let half = rotation.half
        for head in 0..<heads {
            rotation.rotate(
                x.slice(head * headWidth, headWidth), cosines: cosines.slice(row * half, half),
                sines: sines.slice(row * half, half))
        }
    }
}

/// Stores the keys and values of some rows: in all heads, or in the one that a cache of one head is for.
struct StoreRows: RowTask {
    let rows: Int
    /// `[rows, heads, headWidth]`; `values` likewise, nil where nobody reads them.
    let keys: Floats
    let values: Floats?
    let heads: Int
    /// The head that is the cache's first.
    var firstHead = 0
    let cache: HeadRows
    /// The cache row of the first row.
    let firstRow: Int

    func run(_ range: Range<Int>) {
        let width = cache.headWidth
        for row in range {
            for head in 0..<cache.heads {
                let offset = (row * heads + firstHead + head) * width
                let key = keys.slice(offset, width)
                if let values {
                    cache.store(head: head, row: firstRow + row, key: key, value: values.slice(offset, width))
                } else {
                    cache.storeKey(head: head, row: firstRow + row, key)
                }
            }
        }
    }
}

/// Looks up the embeddings of a tile's tokens.
struct Embed: RowTask {
    let rows: Int
    let model: Model
    let ids: [Int32]
    /// The index of the first row's token in `ids`.
    let firstToken: Int
    /// `[rows, width]`.
    let x: Floats

    func run(_ range: Range<Int>) {
        let width = model.configuration.width
        for row in range { model.embed(ids[firstToken + row], into: x.slice(row * width, width)) }
    }
}
