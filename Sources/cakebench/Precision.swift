// cakebench precision: how far next-token distributions move because weights and activations are multiplied as bytes.

import API
import ArgumentParser
import CAKE
import GGUF
import Inference
import Transformer

struct Precision: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares products of bytes and bfloats with products of floats, over the same weights.",
        discussion: """
            The first half of a text is read as a document whose cache is kept whole, the second half is followed \
            token by \
            token. The weights are those of the file both times: what differs is that activations are quantised for \
            products of bytes, in blocks of 32, and that attention multiplies bfloats while it reads. KL is the mean \
            divergence from the floats' distribution, in nats. Where the CPU has no such products, nothing differs.

              cakebench precision --model model.gguf --text contract.txt
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "The text, UTF-8.") var text: String
    @Option(name: .long, help: "Tokens of the text at most.") var tokens = 2048
    @Option(name: .long, help: "How KV rows are kept.") var rows = KVRows.q8_0.rawValue
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Report: Encodable {
        var model: String
        var read_tokens: Int
        var followed_tokens: Int
        var kl: Double
        var same_best: Double
        var perplexity: Double
        var perplexity_floats: Double
    }

    mutating func run() throws {
        let bench = try Bench(options)
        let floats = try Model(file: GGUFFile(path: options.model), integerProducts: false)
        guard let content = String(validating: try readFile(text), as: UTF8.self) else {
            throw ValidationError("\(text) is not UTF-8")
        }
        guard let rows = KVRows(rawValue: rows), rows == rows.growing else {
            throw ValidationError("--rows is f32, f16 or q8_0")
        }
        let ids = Array(try bench.loaded.documentTokens(content).ids.prefix(tokens))
        guard ids.count > 3 else { throw ValidationError("the text is too short to compare anything") }
        let read = ids.count / 2
        let models = [floats, bench.model]
        let decoders = try models.map { try Decoder(model: $0, pool: bench.pool) }
        let sequences = try models.map { model in
            try Sequence(model: model, base: Self.base(model, bench.pool, Array(ids[..<read]), rows))
        }
        var divergence = Divergence()
        for index in read..<ids.count - 1 {
            let logits = try zip(decoders, sequences).map { try $0.feed([ids[index]], to: $1) }
            divergence.add(reference: logits[0], other: logits[1], truth: Int(ids[index + 1]))
        }
        let report = Report(
            model: bench.loaded.card.id, read_tokens: read, followed_tokens: divergence.tokens,
            kl: divergence.meanDivergence, same_best: divergence.agreement, perplexity: divergence.perplexity,
            perplexity_floats: divergence.referencePerplexity)
        if json { return try printJSON(report) }
        print(
            """
            \(report.model): \(read) tokens read, \(report.followed_tokens) followed
            KL from floats     \(fixed(report.kl, 6)) nats
            same likeliest     \(fixed(report.same_best * 100, 2)) %
            perplexity         \(fixed(report.perplexity, 3)) (floats \(fixed(report.perplexity_floats, 3)))
            """)
    }

    private static func base(
        _ model: Model, _ pool: WorkerPool, _ ids: [Int32], _ rows: KVRows
    ) throws -> BaseRows {
        let prefill = try DocumentPrefill(
            model: model, pool: pool, tokens: ids, templatePrefixTokens: 0, method: .preset("full"),
            budget: ids.count, rows: rows)
        while try !prefill.step().isDone {}
        return try prefill.finish().base
    }
}
