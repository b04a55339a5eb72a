// Reads an export piece by piece as it arrives: every byte is a stranger's until its digest and its meaning are
// checked.

import CacheStore

/// A parser that asks for one part after the other, each of a size that is known and bounded before it is taken.
///
/// Knows nothing of stores: what it has read whole it hands over.
package struct ImportReader: ~Copyable {
    /// What has been read and found right, in this order.
    package enum Part {
        /// The manifest, of a possible shape.
        case manifest(Manifest)
        /// The text.
        case text([UInt8])
        /// A layer's heads, as `LayerPart` lays them out.
        case layer(Int, LayerPart)
    }

    /// Why a file is refused.
    package enum Refusal: Error, Equatable {
        /// It is no export, or its format is another.
        case notAnExport
        /// It is not what was written.
        case damaged(String)
    }

    private enum Stage: Equatable {
        case magic
        case headerSize
        case header
        case text
        case layer(Int)
        case digest(before: Following)
        case done
    }
    private enum Following: Equatable { case text, layer(Int), end }

    private var stage = Stage.magic
    private var wanted = ExportFormat.magic.count
    private var buffer: [UInt8] = []
    private var hash = Hash128()
    private var manifest: Manifest?
    /// Handed over only once its digest is right.
    private var unchecked: Part?

    package init() {}

    /// Whether everything has come.
    package var isDone: Bool { stage == .done }

    /// Takes bytes and hands over what became complete.
    package mutating func append(_ bytes: [UInt8], _ take: (Part) throws -> Void) throws {
        var rest = bytes[...]
        while !rest.isEmpty || wanted == 0 {
            guard stage != .done else { throw Refusal.damaged("something follows its end") }
            let count = min(wanted - buffer.count, rest.count)
            buffer.append(contentsOf: rest.prefix(count))
            rest = rest.dropFirst(count)
            guard buffer.count == wanted else { return }
            if let part = try complete() { try take(part) }
        }
    }

    private mutating func want(_ count: Int, _ stage: Stage) {
        (wanted, self.stage) = (count, stage)
        buffer = []
        buffer.reserveCapacity(min(count, 1 << 20))
    }

    private mutating func complete() throws -> Part? {
        if case .digest(let following) = stage {
            guard buffer.elementsEqual(hash.hex.utf8) else { throw Refusal.damaged("a digest does not fit") }
            hash.update(buffer)
            let part = unchecked
            unchecked = nil
            try follow(following)
            return part
        }
        hash.update(buffer)
        switch stage {
        case .magic:
            guard buffer == ExportFormat.magic else { throw Refusal.notAnExport }
            want(8, .headerSize)
        case .headerSize:
            let size = buffer.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard size > 0, size <= ExportFormat.maximumHeaderBytes else {
                throw Refusal.damaged("its header has \(size) bytes")
            }
            want(Int(size), .header)
        case .header:
            guard let read = ExportFormat.decode(buffer) else { throw Refusal.damaged("its header is no manifest") }
            if let problem = read.problem() { throw Refusal.damaged(problem) }
            manifest = read
            unchecked = .manifest(read)
            want(ExportFormat.digestBytes, .digest(before: .text))
        case .text:
            unchecked = .text(buffer)
            want(ExportFormat.digestBytes, .digest(before: .layer(0)))
        case .layer(let layer):
            guard let manifest else { throw Refusal.damaged("its header is missing") }
            unchecked = .layer(layer, try LayerPart(buffer, manifest: manifest, layer: layer))
            let isLast = layer + 1 == manifest.shape.layers
            want(ExportFormat.digestBytes, .digest(before: isLast ? .end : .layer(layer + 1)))
        case .digest, .done: break
        }
        return nil
    }

    private mutating func follow(_ following: Following) throws {
        guard let manifest else { throw Refusal.damaged("its header is missing") }
        switch following {
        case .text: want(manifest.textBytes, .text)
        case .layer(let layer):
            want(ExportFormat.layerBytes(manifest.counts[layer], manifest.shape), .layer(layer))
        case .end: want(.max, .done)
        }
    }
}

/// One layer as it lies in an export, with everything checked that can be checked without the model.
package struct LayerPart: Sendable {
    private let bytes: [UInt8]
    private let counts: [Int]
    private let shape: CacheShape

    /// Checks positions, ranks and numbers.
    ///
    /// Throws `ImportReader.Refusal.damaged`.
    init(_ bytes: [UInt8], manifest: Manifest, layer: Int) throws {
        self.bytes = bytes
        counts = manifest.counts[layer]
        shape = manifest.shape
        try unsafe bytes.withUnsafeBytes { raw in
            var start = 0
            for (head, count) in counts.enumerated() {
                func refuse(_ problem: String) -> ImportReader.Refusal {
                    .damaged("layer \(layer), head \(head): \(problem)")
                }
                let parts = ExportFormat.parts(entries: count, shape)
                var isTaken = [Bool](repeating: false, count: manifest.shape.tokens)
                var previous = Float.infinity
                for entry in 0..<count {
                    let position = unsafe Int(
                        raw.loadUnaligned(fromByteOffset: start + 4 * entry, as: UInt32.self).littleEndian)
                    guard position < isTaken.count else { throw refuse("an entry beyond the document") }
                    guard !isTaken[position] else { throw refuse("an entry twice") }
                    isTaken[position] = true
                    let offset = start + parts.numbers + 4 * entry
                    let bits = unsafe UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                    let indicator = Float(bitPattern: bits)
                    guard indicator <= previous else { throw refuse("entries out of their order") }
                    previous = indicator
                }
                start += 2 * parts.numbers
                func part(_ bytes: Int) -> UnsafeRawBufferPointer {
                    unsafe UnsafeRawBufferPointer(rebasing: raw[start..<start + bytes])
                }
                let keys = unsafe part(shape.keyBytes(entries: count))
                start += parts.keys
                let values = unsafe part(shape.valueBytes(entries: count))
                start += parts.values
                guard unsafe Self.areFinite(keys: keys, shape), unsafe Self.areFinite(values, shape.rows) else {
                    throw refuse("a row that is not a number")
                }
            }
        }
    }

    // One number that is not finite would spoil every answer.
    private static func areFinite(_ rows: UnsafeRawBufferPointer, _ type: RowType) -> Bool {
        switch type {
        case .f32:
            stride(from: 0, to: rows.count, by: 4).allSatisfy {
                unsafe UInt32(littleEndian: rows.loadUnaligned(fromByteOffset: $0, as: UInt32.self)) & 0x7f80_0000
                    != 0x7f80_0000
            }
        case .f16: unsafe areFinite(halves: rows, at: stride(from: 0, to: rows.count, by: 2))
        case .q8_0: unsafe areFinite(halves: rows, at: stride(from: 0, to: rows.count, by: 34))
        case .q4:
            unsafe areFinite(halves: rows, at: stride(from: 0, to: rows.count, by: 20))
                && areFinite(halves: rows, at: stride(from: 2, to: rows.count, by: 20))
        }
    }

    // In q4 each group of keys begins with its scales and centres.
    private static func areFinite(keys: UnsafeRawBufferPointer, _ shape: CacheShape) -> Bool {
        guard shape.rows == .q4 else { return unsafe areFinite(keys, shape.rows) }
        let group = shape.keyBytes(entries: shape.rows.groupEntries)
        return stride(from: 0, to: keys.count, by: group).allSatisfy { first in
            unsafe areFinite(halves: keys, at: stride(from: first, to: first + 4 * shape.headWidth, by: 2))
        }
    }

    private static func areFinite(halves bytes: UnsafeRawBufferPointer, at offsets: StrideTo<Int>) -> Bool {
        offsets.allSatisfy {
            unsafe UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt16.self)) & 0x7c00 != 0x7c00
        }
    }

    /// Lends the heads in the store's form.
    @unsafe package func withHeads<Result>(_ body: ([StagedHead]) throws(StoreError) -> Result) throws(StoreError)
        -> Result
    {
        // Aligned for the numbers, which an array of bytes need not be.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 8), alignment: 8)
        defer { unsafe copy.deallocate() }
        unsafe copy.copyBytes(from: bytes)
        var heads: [StagedHead] = unsafe []
        var start = 0
        for (head, count) in counts.enumerated() {
            let parts = ExportFormat.parts(entries: count, shape)
            let positions = start
            let indicators = positions + parts.numbers
            let keys = indicators + parts.numbers
            let values = keys + parts.keys
            func slice(_ first: Int, _ bytes: Int) -> UnsafeRawBufferPointer {
                unsafe UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: copy[first..<first + bytes]))
            }
            unsafe heads.append(
                StagedHead(
                    head: head, positions: slice(positions, 4 * count).bindMemory(to: UInt32.self),
                    indicators: slice(indicators, 4 * count).bindMemory(to: Float.self),
                    keys: slice(keys, shape.keyBytes(entries: count)),
                    values: slice(values, shape.valueBytes(entries: count))))
            start = values + parts.values
        }
        return try unsafe body(heads)
    }
}
