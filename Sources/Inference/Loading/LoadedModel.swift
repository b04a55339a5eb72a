// Everything read from one model file: weights, tokenizer, chat template, fingerprint.

import API
import CAKE
import CLinux
import EngineInterface
import GGUF
import Glibc
import Jinja
import Tokenizers
import Transformer

/// A model ready to read documents and to answer.
package final class LoadedModel: Sendable {
    /// The instruction that precedes each chunk of the document when it is reconstructed, as a user would ask for it.
    package static let reconstructionInstruction = "Repeat the text above exactly."

    /// What is asked of a document where a method wants questions and nobody has given any.
    package static let generalQuestions = [
        "What is the text above about?", "Which names, numbers and dates does the text above mention?",
        "What are the most important statements of the text above?", "Repeat the text above exactly.",
    ]

    package let model: Model
    /// Whether its files are still what was loaded.
    package let watch: ModelWatch
    package let tokenizer: Tokenizer
    package let template: ChatTemplate
    package let fingerprint: Fingerprint
    package let card: ModelCard
    /// The instruction as tokens, rendered as a question about the document.
    package let reconstructionTokens: [Int32]
    /// The general questions as tokens.
    package let generalProbes: [[Int32]]
    /// The control tokens that part an answer, with the text they have in `AnswerParts`.
    let marks: [Int32: String]
    /// Control tokens, which stand for no bytes, by their names in the vocabulary.
    let controls: [Int32: String]
    /// Bytes of the longest token: no text of n bytes has fewer than n / this tokens.
    package let longestTokenBytes: Int

    /// Maps the file and prepares it; `templateName` nil takes the template in the file, which is given
    /// `templateArguments` unless a request says otherwise.
    ///
    /// The hash of its weights is remembered in `cache`, if there is one. With threads to do it, weights are re-tiled
    /// as `repacking` says.
    ///
    /// Throws `EngineError.invalid` with code `unusable_model`, naming what is wrong.
    package init(
        path: String, templateName: String?, templateArguments: [String: TemplateValue] = [:],
        cache: WeightsHashCache? = nil, repacking: Repacking = .off, pool: WorkerPool? = nil
    ) throws(EngineError) {
        do {
            let parts = try ModelParts(
                path: path, templateName: templateName, templateArguments: templateArguments
            ) { file in
                if let pool { try Model(file: file, repacking: repacking, pool: pool) } else { try Model(file: file) }
            }
            let (file, shape) = (parts.file, parts.model.configuration)
            (watch, model, tokenizer, template) = (parts.watch, parts.model, parts.tokenizer, parts.template)
            let weights = cache.map { $0.hash(of: file.paths) { Fingerprint.weights(of: file) } }
            fingerprint = Fingerprint(
                configuration: shape, vocabulary: parts.vocabulary, template: template,
                weights: weights ?? Fingerprint.weights(of: file))
            if model.isRepacked { file.releasePages() }
            card = parts.card
            (reconstructionTokens, generalProbes) = (try parts.reconstructionTokens(), try parts.generalProbes())
            controls = Self.controls(parts.vocabulary, tokenizer)
            marks = controls.filter { AnswerParts.marks.contains($0.value) }
            var longest = 1
            for id in 0..<Int32(shape.vocabulary) { longest = max(longest, tokenizer.bytes(of: id).count) }
            longestTokenBytes = longest
            // What was hashed and what was repacked must be one file.
            try watch.check()
        } catch let error as EngineError {
            throw error
        } catch {
            throw .unusableModel("\(error)")
        }
    }

    private static func controls(_ vocabulary: Vocabulary, _ tokenizer: Tokenizer) -> [Int32: String] {
        var controls: [Int32: String] = [:]
        for (index, text) in vocabulary.tokens.enumerated() {
            let id = Int32(truncatingIfNeeded: index)
            // Others say it themselves.
            if tokenizer.bytes(of: id).isEmpty { controls[id] = text }
        }
        return controls
    }

    /// The bytes by which a token is shown: a control token's are its name.
    func shownBytes(of id: Int32) -> [UInt8] { controls[id].map { Array($0.utf8) } ?? tokenizer.bytes(of: id) }

    /// A model file's chat template alone: the one named, else its own.
    package static func template(path: String, templateName: String?) throws(EngineError) -> ChatTemplate {
        do {
            let file = try GGUFFile(path: path)
            return try ModelParts.template(named: templateName, of: file, Vocabulary(file.metadata))
        } catch let error as EngineError {
            throw error
        } catch {
            throw .unusableModel("\(error)")
        }
    }

    /// A model file's tokenizer alone.
    package static func tokenizer(path: String) throws(EngineError) -> Tokenizer {
        do {
            return try Tokenizer(Vocabulary(GGUFFile(path: path).metadata))
        } catch let error as EngineError {
            throw error
        } catch {
            throw .unusableModel("\(error)")
        }
    }

    /// A document as the model reads it, in its place in the chat template; how many tokens stand before its text.
    ///
    /// - Parameter readBehind: what stood before the text when it was read; it counts where the template writes the
    /// date there.
    package func documentTokens(
        _ text: String, readBehind: String? = nil
    ) throws(TokenizerError) -> (ids: [Int32], prefixTokens: Int, prefix: String) {
        var segments = try template.documentPrefix(text, now: .now)
        var opening = Self.opening(of: segments)
        if let readBehind, try opening != Self.opening(of: template.documentPrefix(text, now: Self.longAgo)) {
            segments.replaceSubrange(..<opening.count, with: [.template(readBehind)])
            opening = [.template(readBehind)]
        }
        return (tokenizer.encode(segments), tokenizer.encode(opening).count, opening.map(\.content).joined())
    }

    /// What a document read at `now` would stand behind; nil where the template cannot say.
    package func documentOpening(now: Moment = .now) -> String? {
        (try? template.documentPrefix("?", now: now)).map { Self.opening(of: $0).map(\.content).joined() }
    }

    /// A day that is not today.
    private static let longAgo = Moment(year: 2000, month: 1, day: 1)

    private static func opening(of segments: [PromptSegment]) -> [PromptSegment] {
        Array(segments.prefix { if case .template = $0 { true } else { false } })
    }

    /// A first question about a document, up to where the answer begins.
    package func questionTokens(_ question: String) throws(TokenizerError) -> [Int32] {
        try Self.questionTokens(question, tokenizer: tokenizer, template: template)
    }

    static func questionTokens(
        _ question: String, tokenizer: Tokenizer, template: ChatTemplate
    ) throws(TokenizerError) -> [Int32] {
        tokenizer.encode(
            try template.continuation([Tokenizers.ChatMessage(role: .user, content: question)], now: .now),
            continuing: true)
    }
}
