// Feeds the reader of exported documents what libFuzzer invents: a stated refusal, or parts that hold what they say.

import CacheStore
import FuzzDriver
import Inference

@main
enum ExportFuzz {
    static func main() {
        fuzz { bytes in
            guard let kind = bytes.first else { return }
            let rest = Array(bytes.dropFirst())
            // Digests are a wall that no fuzzer climbs: with them set right its bytes get past it.
            let file = kind & 1 == 0 ? rest : sealed(rest)
            let whole = read(file, pieces: file.count)
            let cut = read(file, pieces: 1 + Int(kind >> 1))
            precondition(whole == cut, "what is read depends on how the file is cut")
        }
    }

    /// Digests of the parts that came, and how reading ended.
    private static func read(_ file: [UInt8], pieces: Int) -> [String] {
        var reader = ImportReader()
        var parts: [String] = []
        var shape: CacheShape?
        do {
            for first in stride(from: 0, to: file.count, by: max(pieces, 1)) {
                try reader.append(Array(file[first..<min(first + max(pieces, 1), file.count)])) { part in
                    if case .manifest(let manifest) = part { shape = manifest.shape }
                    parts.append(try checked(part, shape))
                }
            }
            parts.append(reader.isDone ? "done" : "more")
        } catch {
            parts.append("\(error)")
        }
        return parts
    }

    private static func checked(_ part: ImportReader.Part, _ shape: CacheShape?) throws -> String {
        switch part {
        case .manifest(let manifest):
            precondition(manifest.problem() == nil)
            // Who imports refuses a document that its model's context cannot hold, before any of its layers comes.
            guard manifest.shape.tokens <= 1 << 17 else { throw ImportReader.Refusal.damaged("too many tokens") }
            return "manifest \(manifest.entries)"
        case .text(let text): return "text \(text.count)"
        case .layer(let layer, let part):
            guard let shape else { preconditionFailure("a layer before the manifest") }
            let (rows, width) = (shape.rows, shape.headWidth)
            var sum = 0
            try unsafe part.withHeads { heads in
                for index in unsafe heads.indices {
                    let head = unsafe heads[index]
                    let count = unsafe head.positions.count
                    unsafe precondition(count == head.indicators.count)
                    unsafe precondition(head.keys.count == rows.keyBytes(entries: count, headWidth: width))
                    unsafe precondition(head.values.count == rows.valueBytes(entries: count, headWidth: width))
                    sum = unsafe head.positions.reduce(sum) { $0 &+ Int($1) }
                    sum = unsafe head.keys.reduce(sum) { $0 &+ Int($1) }
                    sum = unsafe head.values.reduce(sum) { $0 &+ Int($1) }
                }
            }
            return "layer \(layer) \(sum)"
        }
    }

    /// Makes an export of a header's size, a header and whatever follows: the magic before it, right digests between.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count > 2 else { return ExportFormat.magic + bytes }
        let size = min(Int(bytes[0]) << 8 | Int(bytes[1]), bytes.count - 2)
        let header = Array(bytes[2..<2 + size])
        var rest = bytes[(2 + size)...]
        var file: [UInt8] = []
        var hash = Hash128()
        func seal(_ block: [UInt8]) {
            hash.update(block)
            let digest = Array(hash.hex.utf8)
            hash.update(digest)
            file += block + digest
        }
        seal(ExportFormat.magic + (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } + header)
        var sizes = [rest.count]
        // As much as the header asks for, as far as it can be read and is there.
        if let manifest = ExportFormat.decode(header), manifest.problem() == nil {
            sizes =
                [manifest.textBytes]
                + manifest.counts.map { ExportFormat.layerBytes($0, manifest.shape) }
        }
        for size in sizes where size <= rest.count {
            seal(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return file + rest
    }
}
