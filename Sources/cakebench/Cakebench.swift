// cakebench: measurements and evaluations, each a subcommand that can print JSON.

import API
import ArgumentParser
import CAKE
import Transformer

@main
struct Cakebench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cakebench",
        abstract: "Measures caked's parts on this machine and evaluates its answers.",
        version: CakedVersion.current,
        subcommands: [
            Tokenize.self, Render.self, LogitsCommand.self, Prefill.self, Decode.self, Batch.self, Crowd.self,
            Turns.self, Reload.self, Pressure.self, Kernels.self, Sets.self, Calibrate.self, Roofline.self,
            Precision.self,
            Needle.self, Ruler.self, LongBench.self, Fidelity.self, Trust.self,
        ])
}

/// The model every subcommand works with.
struct ModelOptions: ParsableArguments {
    @Option(name: .long, help: "The GGUF file.")
    var model: String

    @Option(name: .long, help: "Compute threads (default: one for each processor).")
    var threads: Int?

    @Option(name: .long, help: "Whether weights are re-tiled in memory first: auto, on or off.")
    var repack = Repacking.auto

    @Option(name: .long, help: "What `cakebench calibrate` made of this model, for methods with the effort learned.")
    var surrogate: String?
}

extension Repacking: ExpressibleByArgument {}

/// The document a measurement reads, and how its cache is compressed.
struct CacheOptions: ParsableArguments {
    @Option(name: .long, help: "Document tokens.")
    var tokens = 4096

    @Option(name: .long, help: "The preset of the compact cache.")
    var method = Method.defaultPreset

    @Option(name: .long, help: "Share of the entries to keep, in percent.")
    var keep = 10.0
}
