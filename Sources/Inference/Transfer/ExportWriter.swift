// Writes a stored document as an export, straight from the memory map.

import CacheStore
import EngineInterface
import Locks

/// The pieces of one export, in order.
package final class ExportWriter: @unchecked Sendable {
    // Unchecked: one caller at a time has it, whoever holds the turn.
    private let turn = Mutex(())
    private static let pieceBytes = 1 << 20

    private let document: OpenDocument
    private let header: [UInt8]
    private let text: [UInt8]
    private var hash = Hash128()
    private var blocks: Blocks.Iterator
    /// What is to be written of the block at hand.
    private var pending: [UInt8] = []
    private var offset = 0

    /// What follows what.
    private struct Blocks: Sequence {
        enum Block {
            case opening
            case text
            case layer(Int, head: Int)
            case digest
        }
        let layers: Int
        let heads: Int

        func makeIterator() -> IndexingIterator<[Block]> {
            var blocks: [Block] = [.opening, .digest, .text, .digest]
            for layer in 0..<layers {
                for head in 0..<heads { blocks.append(.layer(layer, head: head)) }
                blocks.append(.digest)
            }
            return blocks.makeIterator()
        }
    }

    /// Bytes of the whole export.
    package let byteCount: Int

    /// Prepares to write; throws when the manifest cannot be written down.
    package init(_ document: OpenDocument) throws(EngineError) {
        let manifest = ExportFormat.travelling(document.manifest)
        guard let header = ExportFormat.encode(manifest) else {
            throw .internalFailure(message: "the document's manifest cannot be written")
        }
        self.document = document
        self.header = header
        text = document.text()
        let shape = manifest.shape
        blocks = Blocks(layers: shape.layers, heads: shape.kvHeads).makeIterator()
        let rows = manifest.counts.reduce(0) { $0 + ExportFormat.layerBytes($1, shape) }
        byteCount =
            ExportFormat.magic.count + 8 + header.count + text.count + rows
            + (2 + shape.layers) * ExportFormat.digestBytes
    }

    /// The next piece; nil after the last.
    package func next() -> [UInt8]? { turn.withLock { _ in nextPiece() } }

    private func nextPiece() -> [UInt8]? {
        while offset >= pending.count {
            guard let block = blocks.next() else { return nil }
            pending = bytes(of: block)
            offset = 0
        }
        let piece = Array(pending[offset..<min(offset + Self.pieceBytes, pending.count)])
        offset += piece.count
        if offset == pending.count { pending = [] }
        hash.update(piece)
        return piece
    }

    private func bytes(of block: Blocks.Block) -> [UInt8] {
        switch block {
        case .opening:
            let size = UInt64(header.count).littleEndian
            let sizeBytes = unsafe withUnsafeBytes(of: size) { unsafe Array($0) }
            return ExportFormat.magic + sizeBytes + header
        case .text: return text
        case .digest: return Array(hash.hex.utf8)
        case .layer(let layer, let head): return self.head(layer, head)
        }
    }

    // A head's rows may lie in several segments; each part is joined and padded.
    private func head(_ layer: Int, _ head: Int) -> [UInt8] {
        let shape = document.manifest.shape
        let segments = unsafe document.segments(layer: layer, head: head)
        let entries = document.manifest.counts[layer][head]
        let parts = ExportFormat.parts(entries: entries, shape)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(2 * parts.numbers + parts.keys + parts.values)
        func pad() { bytes.append(contentsOf: repeatElement(0, count: ExportFormat.padded(bytes.count) - bytes.count)) }
        for index in unsafe segments.indices {
            let segment = unsafe segments[index]
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: segment.positions, count: 4 * segment.count))
        }
        pad()
        for index in unsafe segments.indices {
            let segment = unsafe segments[index]
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: segment.indicators, count: 4 * segment.count))
        }
        pad()
        for values in [false, true] {
            for index in unsafe segments.indices {
                let segment = unsafe segments[index]
                let start = unsafe values ? segment.values : segment.keys
                let entries = unsafe segment.count
                let count = values ? shape.valueBytes(entries: entries) : shape.keyBytes(entries: entries)
                unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: count))
            }
            pad()
        }
        return bytes
    }
}
