// What a model file holds, each part checked as far as it can be without reading the weights.

import API
import CLinux
import EngineInterface
import GGUF
import Glibc
import Jinja
import Tokenizers
import Transformer

/// The parts of a model file that can be run.
struct ModelParts {
    let file: GGUFFile
    let watch: ModelWatch
    let model: Model
    let vocabulary: Vocabulary
    let tokenizer: Tokenizer
    let template: ChatTemplate
    let card: ModelCard

    /// Maps the file and checks its header, the place, type and shape of every tensor, the vocabulary, the template.
    init(
        path: String, templateName: String?, templateArguments: [String: TemplateValue],
        makeModel: (GGUFFile) throws -> Model
    ) throws {
        file = try GGUFFile(path: path)
        watch = ModelWatch(file.identities)
        for part in file.identities { unsafe caked_watch_mapped_file(part.path, Int64(part.bytes)) }
        model = try makeModel(file)
        vocabulary = try Vocabulary(file.metadata)
        tokenizer = try Tokenizer(vocabulary)
        template = try Self.template(named: templateName, of: file, vocabulary).with(Datum.entries(templateArguments))
        let shape = model.configuration
        guard tokenizer.vocabularyCount == shape.vocabulary else {
            throw EngineError.unusableModel(
                "its tokenizer has \(tokenizer.vocabularyCount) tokens and its head \(shape.vocabulary)")
        }
        card = ModelCard(
            id: Self.identifier(name: shape.name, path: path), created: Self.modificationSeconds(path),
            contextLength: shape.contextLength, parameters: file.tensors.reduce(0) { $0 + $1.elementCount })
    }

    /// Throws `EngineError` of code `unusable_model` where loading the file would.
    static func check(
        path: String, templateName: String?, templateArguments: [String: TemplateValue]
    ) throws(EngineError) -> ModelCard {
        do {
            let parts = try ModelParts(
                path: path, templateName: templateName, templateArguments: templateArguments
            ) { try Model(file: $0) }
            // A template is run by them for the first time.
            (_, _) = (try parts.reconstructionTokens(), try parts.generalProbes())
            return parts.card
        } catch let error as EngineError {
            throw error
        } catch {
            throw .unusableModel("\(error)")
        }
    }

    /// The instruction that precedes the chunks of a document when it is reconstructed.
    func reconstructionTokens() throws(TokenizerError) -> [Int32] {
        try LoadedModel.questionTokens(
            LoadedModel.reconstructionInstruction, tokenizer: tokenizer, template: template)
    }

    /// What is asked where nobody has given questions.
    func generalProbes() throws(TokenizerError) -> [[Int32]] {
        try LoadedModel.generalQuestions.map { question throws(TokenizerError) in
            try LoadedModel.questionTokens(question, tokenizer: tokenizer, template: template)
        }
    }

    /// The chat template of a model file: the one named, else its own.
    static func template(
        named name: String?, of file: GGUFFile, _ vocabulary: Vocabulary
    ) throws -> ChatTemplate {
        if let name { return try ChatTemplate.named(name) }
        guard let source = try file.metadata.string("tokenizer.chat_template"), !source.isEmpty else {
            throw TokenizerError.missingTemplate
        }
        func text(_ id: Int32?) -> String { id.map { vocabulary.tokens[Int($0)] } ?? "" }
        return try ChatTemplate(
            jinja: source, beginOfText: text(vocabulary.beginOfText), endOfText: text(vocabulary.endOfText))
    }

    // The name a client uses: general.name if it is a plain one, else the file's name without its ending.
    private static func identifier(name: String, path: String) -> String {
        if !name.isEmpty, name.utf8.count <= 128, !name.utf8.contains(where: { $0 <= 0x20 }) { return name }
        let file = path.split(separator: "/").last.map(String.init) ?? path
        return file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file
    }

    private static func modificationSeconds(_ path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status.st_mtim.tv_sec : 0
    }
}
