// Names everything that must be equal for a compact cache to be usable with the loaded model.

import CXXHash
import GGUF
import Tokenizers

/// The fields a stored document is compared by; a mismatch names the field that differs (DESIGN's fingerprint).
package struct Fingerprint: Equatable, Sendable {
    /// Raised whenever the engine's arithmetic or the meaning of a record changes.
    package static let engineFormat = "1"

    /// Field by field, for the store.
    package let fields: [String: String]

    /// The fingerprint of a loaded model, with the hash of its weights as `weights(of:)` gives it.
    package init(file: GGUFFile, weights: String, rope: String, template: ChatTemplate) {
        var tokenizer = Hash128()
        for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
            for entry in (try? file.metadata.strings(key)) ?? [] {
                tokenizer.update(entry.utf8)
                tokenizer.update([0])
            }
        }
        for key in ["tokenizer.ggml.model", "tokenizer.ggml.pre"] {
            tokenizer.update(((try? file.metadata.string(key)) ?? "").utf8)
            tokenizer.update([0])
        }
        fields = [
            "engine": Self.engineFormat,
            "weights": weights,
            "tokenizer": tokenizer.hex,
            "rope": rope,
            "template": template.name,
        ]
    }

    /// The hash of all tensors: reads the whole file, at the disk's speed or at memory's when it is in the page cache.
    package static func weights(of file: GGUFFile) -> String {
        var weights = Hash128()
        for tensor in file.tensors {
            weights.update(tensor.name.utf8)
            unsafe weights.update(file.bytes(of: tensor))
        }
        return weights.hex
    }

    /// All fields in one line, for hashing.
    package var canonical: String {
        fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ";")
    }
}

/// XXH3's 128-bit hash, fed in pieces.
///
/// Tells versions apart; it is no defence against someone who wants a collision.
@safe package struct Hash128: ~Copyable {
    private let state: OpaquePointer

    package init() {
        unsafe state = XXH3_createState()
        unsafe XXH3_128bits_reset(state)
    }

    deinit { unsafe XXH3_freeState(state) }

    /// Feeds bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        unsafe XXH3_128bits_update(state, base, bytes.count)
    }

    /// Feeds bytes.
    package mutating func update(_ bytes: some Sequence<UInt8>) {
        let fast: Void? = bytes.withContiguousStorageIfAvailable { unsafe update(UnsafeRawBufferPointer($0)) }
        if fast == nil { unsafe Array(bytes).withUnsafeBytes { unsafe update($0) } }
    }

    /// The hash so far, 32 hexadecimal digits.
    package var hex: String {
        let hash = unsafe XXH3_128bits_digest(state)
        func digits(_ half: UInt64) -> String {
            let text = String(half, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(hash.high64) + digits(hash.low64)
    }
}
