// Names everything that must be equal for a compact cache to be usable with the loaded model.

import CXXHash
import CacheStore
import GGUF
import Jinja
import Tokenizers
import Transformer

/// The fields a stored document is compared by; a mismatch names the field that differs.
///
/// They are the fields of the model's configuration and of its vocabulary, one by one and whatever they are, the chat
/// template by what it renders, the weights, and the version of the engine's own arithmetic.
package struct Fingerprint: Equatable, Sendable {
    /// The version of the engine's results: raised whenever logits of the same model, or the meaning of a record,
    /// change.
    ///
    /// `ArithmeticTests` fails when logits change and this does not.
    package static let arithmetic = 3

    /// The names in the order in which a mismatch is looked for: the engine, then the weights, then what describes
    /// them.
    private enum Name {
        static let engine = "engine"
        static let model = "model"
        static let template = "template"
        static let tokenizer = "tokenizer"
    }

    /// Field by field, for the store, which compares them in the order of their names.
    package let fields: [String: String]
    /// A hash of them all, as lists have it.
    package let hash: UInt64

    /// The fingerprint of a model, with the hash of its weights as `weights(of:)` gives it.
    package init(
        configuration: ModelConfiguration, vocabulary: Vocabulary, template: ChatTemplate, weights: String
    ) {
        var fields = [
            Name.engine: String(Self.arithmetic), Name.model: weights,
            Name.template: "\(template.name) \(CanonicalForm(Self.rendering(of: template)).hash)",
        ]
        for (name, value) in CanonicalForm(configuration).fields { fields["\(Name.model).\(name)"] = value.summary }
        for (name, value) in CanonicalForm(vocabulary).fields { fields["\(Name.tokenizer).\(name)"] = value.summary }
        self.fields = fields
        hash = Manifest.hash(ofFingerprint: fields)
    }

    /// Whether text is cut into the same tokens.
    package func hasTokenizer(of stored: [String: String]) -> Bool {
        func part(_ fields: [String: String]) -> [String: String] {
            fields.filter { $0.key.hasPrefix(Name.tokenizer + ".") }
        }
        return part(fields) == part(stored)
    }

    /// What a template makes of chats that show every place text can stand in, or the words that refuse one, and its
    /// source.
    private static func rendering(of template: ChatTemplate) -> [[PromptSegment]] {
        // Of a template that writes the date all days are one.
        let now = Moment(year: 2000, month: 1, day: 1)
        let user = ChatMessage(role: .user, content: "question")
        let system = ChatMessage(role: .system, content: "rules")
        let chats = [[user], [system, user], [system, user, ChatMessage(role: .assistant, content: "answer"), user]]
        func shown(_ render: () throws(TokenizerError) -> [PromptSegment]) -> [PromptSegment] {
            do throws(TokenizerError) { return try render() } catch { return [.text("\(error)")] }
        }
        return [
            [.text(template.source)],
            shown { () throws(TokenizerError) in try template.documentPrefix("document", now: now) },
        ]
            + chats.flatMap { chat in
                [
                    shown { () throws(TokenizerError) in try template.render(chat, now: now) },
                    shown { () throws(TokenizerError) in try template.continuation(chat, now: now) },
                ]
            }
    }

    /// The hash of all tensors: reads the whole file, at the disk's speed or at memory's when it is in the page cache.
    package static func weights(of file: GGUFFile) -> String {
        var weights = Hash128()
        for tensor in file.tensors {
            weights.update("\(tensor.name)\0\(tensor.type.rawValue)\0".utf8)
            for size in tensor.dimensions { weights.update("\(size)\0".utf8) }
            unsafe weights.update(file.bytes(of: tensor))
        }
        return weights.hex
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
    package mutating func update(_ bytes: some Swift.Sequence<UInt8>) {
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
