// The ways of byte-level models to cut text into pieces, an entry each: the names files have for it, and its patterns.

extension Vocabulary {
    /// Which regular expressions cut text into the pieces that merges never cross (GGUF `tokenizer.ggml.pre`).
    ///
    /// The patterns are those of the models' own tokenizers (`tokenizer.json`); names and flags are those of
    /// llama.cpp's `llama-vocab.cpp`.
    public enum PreTokenizer: String, Sendable, CaseIterable, Codable {
        case llamaBPE = "llama-bpe"
        case qwen2
        case gpt2 = "gpt-2"
        case smollm
        /// As `llamaBPE`, but pieces are merged even where a token has all of one.
        case smaug = "smaug-bpe"
        /// As `llamaBPE`, but nothing begins a text that does not say so.
        case glm4
        case qwen35
        case seedCoder = "seed-coder"
        case bailing = "bailingmoe"
        case tekken
        case gpt4o = "gpt-4o"
        case deepseekV3 = "deepseek-v3"
        case deepseekCoder = "deepseek-coder"
        case falcon
        case viking

        /// The cutter of that name in a file; nil when it is none that is known.
        public init?(named name: String) {
            guard let found = PreTokenizer(rawValue: name) ?? Self.aliases[name] else { return nil }
            self = found
        }

        /// The names that files may have for it, its own included.
        public var names: [String] { [rawValue] + Self.aliases.filter { $0.value == self }.keys.sorted() }

        private static let aliases: [String: PreTokenizer] = {
            var aliases: [String: PreTokenizer] = [:]
            for (cutter, names) in [
                (.llamaBPE, ["llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"]),
                (.smaug, ["dbrx", "chatglm-bpe"]),
                (
                    .qwen2,
                    ["deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo", "solar-open", "grok-2", "f2llmv2"]
                ),
                (.smollm, ["refact", "starcoder", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"]),
                (
                    .gpt2,
                    [
                        "gpt2", "phi-2", "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling", "gigachat",
                        "mellum", "a.x-4.0", "modern-bert",
                    ]
                ),
                (.gpt4o, ["llama4", "kanana2"]), (.bailing, ["bailingmoe2", "llada-moe"]),
                (.deepseekV3, ["hunyuan-dense", "joyai-llm"]),
            ] as [(PreTokenizer, [String])] {
                for name in names { aliases[name] = cutter }
            }
            return aliases
        }()

        /// Whether a piece that is a token is that token, whatever its merges would make of it.
        var takesWholePieces: Bool { [.llamaBPE, .glm4, .tekken].contains(self) }

        /// The patterns that cut a text, each what the one before has left whole; nil for a cutter that is written out
        /// by hand.
        package var patterns: [String]? {
            switch self {
            case .llamaBPE, .qwen2, .gpt2, .smollm, .smaug, .glm4: nil
            case .qwen35:
                [
                    Self.contractions + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"#
                        + Self.lines
                ]
            case .seedCoder:
                [Self.contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|"# + Self.lines]
            case .bailing:
                [
                    #"'(?i:s|d|m|t|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"#
                        + #"|\s+(?!\S)|\s+"#
                ]
            case .tekken: [Self.casedWords() + #"|\p{N}"# + Self.symbols]
            case .gpt4o: [Self.casedWords(behind: Self.contractions + "?") + #"|\p{N}{1,3}"# + Self.symbols]
            case .deepseekV3:
                [
                    #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
                    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
                        + #"| ?[\p{P}\p{S}]+[\r\n]*|"# + Self.lines,
                ]
            case .deepseekCoder: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}"#]
            case .falcon: [#"[\p{P}\$\+<=>\^~\|`]+"#, Self.gpt2Words, "[0-9][0-9][0-9]"]
            case .viking: [#" ?[^(\s|.,!?…。，、।۔،)]+"#, #"\p{N}"#]
            }
        }

        private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
        private static let lines = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
        private static let symbols = #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + lines
        private static let gpt2Words =
            #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"#

        /// Words cut where small letters end and a capital begins, and what may stand behind one.
        private static func casedWords(behind end: String = "") -> String {
            let (upper, lower) = (#"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#)
            let before = #"[^\r\n\p{L}\p{N}]?"#
            return before + upper + "*" + lower + "+" + end + "|" + before + upper + "+" + lower + "*" + end
        }
    }
}

extension Vocabulary.Algorithm {
    /// Whether a text begins with the token of its begin where the file does not say (llama.cpp's `llama-vocab.cpp`).
    public var addsBeginOfText: Bool {
        switch self {
        case .sentencePiece: true
        case .byteLevelBPE(let cutter): cutter == .llamaBPE || cutter == .tekken
        }
    }
}
