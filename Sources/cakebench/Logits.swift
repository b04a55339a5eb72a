// cakebench logits: the model's own next-token logits, without any cache in between.

import ArgumentParser
import Inference
import Transformer

struct LogitsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logits", abstract: "Prints the largest logits behind a prompt of token ids, and greedy tokens.",
        discussion: "KV rows are kept as floats unless --rows says otherwise: the exact forward pass.")

    @OptionGroup var options: ModelOptions

    @Option(name: .long, help: "Token ids, separated by commas.")
    var ids: String

    @Option(name: .long, help: "How many of the largest logits to print.")
    var top = 8

    @Option(name: .long, help: "How many tokens to continue greedily.")
    var greedy = 0

    @Option(name: .long, help: "How KV rows are stored: f32, f16 or q8_0.")
    var rows = "f32"

    struct Report: Encodable {
        struct Logit: Encodable {
            var id: Int
            var logit: Float
        }
        var tokens: Int
        var top: [Logit]
        var greedy: [Int32]
    }

    mutating func run() throws {
        let bench = try Bench(options)
        guard let rows = KVRows(rawValue: rows), rows == rows.growing else {
            throw ValidationError("--rows is f32, f16 or q8_0")
        }
        let prompt = try ids.split(separator: ",").map { text in
            guard let id = Int32(text.filter { $0 != " " }) else { throw ValidationError("\"\(text)\" is no token id") }
            return id
        }
        let sequence = try Sequence(model: bench.loaded.model, base: nil, rows: rows)
        let decoder = try Decoder(model: bench.loaded.model, pool: bench.pool)
        var logits = try decoder.feed(prompt, to: sequence)
        let best = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }.prefix(top)
        let report = best.map { Report.Logit(id: $0, logit: logits[$0]) }
        var continued: [Int32] = []
        while continued.count < greedy {
            let next = Int32(logits.indices.max { (logits[$0], $1) < (logits[$1], $0) } ?? 0)
            continued.append(next)
            if continued.count < greedy { logits = try decoder.feed([next], to: sequence) }
        }
        try printJSON(Report(tokens: prompt.count, top: report, greedy: continued))
    }
}
