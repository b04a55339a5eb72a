// cakebench tokenize: text in, token ids out.

import ArgumentParser
import Inference
import Tokenizers

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads text from standard input and prints its token ids as a JSON array.",
        discussion: "The text is what a user wrote: no special token is recognised in it, none is added.")

    @Option(name: .long, help: "The GGUF file.")
    var model: String

    @Flag(name: .long, help: "Print the throughput to standard error.")
    var time = false

    mutating func run() throws {
        let tokenizer = try LoadedModel.tokenizer(path: model)
        let input = try StandardInput.readAll()
        guard let text = String(validating: input, as: UTF8.self) else {
            throw ValidationError("standard input is not UTF-8")
        }
        let clock = ContinuousClock()
        let begun = clock.now
        let ids = tokenizer.encode(text)
        let seconds = (clock.now - begun).seconds
        if time {
            printError(
                "\(input.count) bytes, \(ids.count) tokens, \(fixed(Double(input.count) / 1e6 / seconds, 1)) MB/s")
        }
        print("[" + ids.map(String.init).joined(separator: ",") + "]")
    }
}
