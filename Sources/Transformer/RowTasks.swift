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

/// y = RMSNorm(x + addend) · weight, and x becomes x + addend: the residual connection and the norm that follows it.
struct Normalise: RowTask {
    let rows: Int
    /// `[rows, width]`; `addend` and `y` likewise.
    let x: Floats
    var addend: Floats?
    let weight: Floats
    let epsilon: Float
    let y: Floats

    func run(_ range: Range<Int>) {
        let width = weight.count
        for row in range {
            let x = x.slice(row * width, width)
            if let addend { unsafe caked_add(addend.slice(row * width, width).base, x.base, width) }
            unsafe caked_rms_norm(x.base, weight.base, epsilon, y.slice(row * width, width).base, width)
        }
    }
}

/// x += addend.
struct AddRows: RowTask {
    let rows: Int
    let width: Int
    /// `[rows, width]`; `addend` likewise.
    let x: Floats
    let addend: Floats

    func run(_ range: Range<Int>) {
        let count = range.count * width
        let first = range.lowerBound * width
        unsafe caked_add(addend.slice(first, count).base, x.slice(first, count).base, count)
    }
}

/// gate = silu(gate) · up.
struct SwiGLU: RowTask {
    let rows: Int
    let width: Int
    /// `[rows, width]`; `up` likewise.
    let gate: Floats
    let up: Floats

    func run(_ range: Range<Int>) {
        let count = range.count * width
        let first = range.lowerBound * width
        unsafe caked_swiglu(gate.slice(first, count).base, up.slice(first, count).base, count)
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

/// RoPE on every head of every row, then a scale: 1/√D for queries, so that attention need not think of it.
struct Rotate: RowTask {
    let rows: Int
    let heads: Int
    let headWidth: Int
    /// `[rows, heads, headWidth]`.
    let x: Floats
    let rope: RotaryEmbedding
    /// `[rows, half]`.
    let cosines: Floats
    let sines: Floats
    var scale: Float = 1

    func run(_ range: Range<Int>) {
        let half = rope.half
        let width = heads * headWidth
        for row in range {
            let cosines = cosines.slice(row * half, half)
            let sines = sines.slice(row * half, half)
            for head in 0..<heads {
                rope.rotate(x.slice(row * width + head * headWidth, headWidth), cosines: cosines, sines: sines)
            }
            guard scale != 1 else { continue }
            let base = unsafe x.slice(row * width, width).base
            for index in 0..<width { unsafe base[index] *= scale }
        }
    }
}

/// Stores the keys and values of a tile's rows in a layer's cache.
struct StoreRows: RowTask {
    let rows: Int
    /// `[rows, kvHeads, headWidth]`; `values` likewise.
    let keys: Floats
    let values: Floats
    let cache: HeadRows
    /// The cache row of the tile's first row.
    let firstRow: Int

    func run(_ range: Range<Int>) {
        let width = cache.headWidth
        for row in range {
            for head in 0..<cache.heads {
                let offset = (row * cache.heads + head) * width
                cache.store(
                    head: head, row: firstRow + row, key: keys.slice(offset, width),
                    value: values.slice(offset, width))
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
