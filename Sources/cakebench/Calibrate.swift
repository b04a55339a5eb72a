// cakebench calibrate: a surrogate of the second reading, from texts that are read twice.

import ArgumentParser
import CAKE
import Foundation
import Inference
import Tokenizers
import Transformer

struct Calibrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads texts twice and learns to predict what the second reading says.",
        discussion: """
            The daemon learns by itself from the documents that it is given; this is to measure with what other texts \
            teach.

              cakebench calibrate --model model.gguf --out learned.json /usr/share/common-licenses/Apache-2.0 README.md
              cakebench ruler --model model.gguf --surrogate learned.json --methods cake-global,cake-global:learned
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "Tokens of a document: texts are cut.") var tokens = 1500
    @Option(name: .long, help: "The most documents of a text.") var documents = 4
    @Option(name: .long, help: "The file to write.") var out: String
    @Argument(help: "Texts, UTF-8.") var texts: [String]

    /// A shorter end of a text teaches nothing.
    private static let leastTokens = 64

    func run() throws {
        let bench = try Bench(options)
        let shape = bench.model.configuration
        let method = try Method.preset(Method.defaultPreset)
        var training = SurrogateTraining(
            layers: shape.layers, kvHeads: shape.kvHeads, features: shape.entryFeatures)
        for path in texts {
            let ids = bench.loaded.tokenizer.encode(
                String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self))
            for first in stride(from: 0, to: ids.count - Self.leastTokens, by: tokens).prefix(documents) {
                let text = bench.loaded.tokenizer.decode(ids[first..<min(ids.count, first + tokens)])
                let document = try bench.loaded.documentTokens(text)
                let lesson = SurrogateLesson()
                _ = try bench.read(
                    document.ids, prefixTokens: document.prefixTokens, method: method,
                    budget: bench.budget(
                        method, percent: 10, tokens: document.ids.count, prefixTokens: document.prefixTokens,
                        rows: Bench.defaultRows),
                    lesson: lesson)
                _ = lesson.teach(&training, shape)
            }
            printError("\(path): \(training.documents) documents, \(training.entries) entries")
        }
        guard let surrogate = training.solved() else { throw ValidationError("the texts are too short") }
        try JSONEncoder().encode(surrogate).write(to: URL(filePath: out))
    }
}
