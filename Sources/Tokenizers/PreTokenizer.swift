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
        case deepseekLLM = "deepseek-llm"
        case falcon
        case standard = "default"
        case viking
        case bloom
        case kimiK2 = "kimi-k2"
        case youtu
        case jais2 = "jais-2"
        case miniCPM5 = "minicpm5"
        case spark = "spark2_5"
        case laguna
        case ufakzeka
        case chameleon

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
                (
                    .llamaBPE,
                    ["llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"]
                ),
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
                        "mellum", "a.x-4.0", "modern-bert", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de",
                        "jina-v1-en", "jina-v2-code", "roberta-bpe",
                    ]
                ),
                (.gpt4o, ["llama4", "kanana2", "talkie", "minimax-m2"]), (.bailing, ["bailingmoe2", "llada-moe"]),
                (.deepseekV3, ["hunyuan-dense", "joyai-llm", "hy_v4"]), (.bloom, ["poro-chat", "gpt3-finnish"]),
            ] as [(PreTokenizer, [String])] {
                for name in names { aliases[name] = cutter }
            }
            return aliases
        }()

        /// Whether a piece that is a token is that token, whatever its merges would make of it.
        var takesWholePieces: Bool { [.llamaBPE, .glm4, .tekken, .youtu, .miniCPM5].contains(self) }

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
            case .deepseekV3: [Self.threeDigits, Self.ideographs, Self.deepseekWords + #"[\r\n]*|"# + Self.lines]
            case .spark:
                [
                    Self.threeDigits, Self.ideographs, Self.deepseekWords + #"|[\r\n]|\s+(?!\S)|\s+"#, #"\p{N}"#,
                ]
            case .deepseekCoder: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, Self.eastAsian, #"\p{N}"#]
            case .deepseekLLM:
                [
                    #"[\r\n]"#, #"\s?["# + Self.casedLetters + "]+",
                    #"\s?[!-/:-~\#u{FF01}-\#u{FF0F}\#u{FF1A}-\#u{FF5E}\#u{2018}-\#u{201F}\#u{3000}-\#u{3002}]+"#,
                    #"\s+$"#, Self.eastAsian, #"\p{N}+"#,
                ]
            case .falcon: [#"[\p{P}\$\+<=>\^~\|`]+"#, Self.gpt2Words, "[0-9][0-9][0-9]"]
            case .standard: [#"[\p{P}\$\+<=>\^~\|]+"#, Self.gpt2Words, #"\p{N}+"#, "[0-9][0-9][0-9]"]
            case .viking: [Self.phrases, #"\p{N}"#]
            case .bloom: [Self.phrases]
            case .kimiK2:
                [
                    #"\p{Han}+|"# + Self.casedWords(besides: #"\p{Han}"#, behind: Self.contractions + "?")
                        + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + Self.lines
                ]
            case .youtu:
                [
                    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，\u{3001}-\u{303F}\u{FE30}-\u{FE4F}]+|[ㄅ-ㄯ]+|" + Self.ideographs,
                    Self.casedWords(behind: Self.contractions + "?") + #"|\p{N}"# + Self.symbols,
                ]
            case .jais2:
                [
                    Self.contractions + "|" + Self.words + #"|\p{N}{1,3}"# + Self.marks + #"|\s*[\r\n]+"#
                        + [512, 256, 128, 64, 32, 16, 8, 4].map { "|\\s{\($0)}(?!\\S)" }.joined()
                        + #"|\s{1,2}(?!\S)|\s"#
                ]
            case .miniCPM5:
                [
                    Self.threeDigits,
                    Self.contractions + "|" + Self.words + #"|\p{N}+"# + Self.marks + "|" + Self.lines,
                ]
            case .laguna:
                [
                    #"[^\n]+|\n+"#, Self.contractions + "|" + Self.words + #"|\p{N}"# + Self.marks + "|" + Self.lines,
                ]
            case .ufakzeka: [Self.words + #"|\p{N}"# + Self.marks + "|" + Self.lines]
            case .chameleon:
                [
                    "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", #"[\t\n]|    |  "#, #"\p{N}"#,
                    #"[\p{P}!-/:-@\[-`{-~]"#, Self.gpt2Words,
                ]
            }
        }

        private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
        private static let lines = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
        private static let symbols = #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + lines
        private static let gpt2Words =
            #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"#

        private static let words = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
        private static let marks = #"| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        private static let phrases = " ?[^(\\s|.,!?…。，、।۔،)]+"
        private static let threeDigits = #"\p{N}{1,3}"#
        private static let ideographs = "[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"
        private static let eastAsian = "[一-龥\u{800}-一가-\u{D7FF}]+"
        private static let deepseekWords =
            ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
            + #"| ?[\p{P}\p{S}]+"#

        /// Words cut where small letters end and a capital begins, of letters `besides` some, and what may stand behind
        /// one.
        private static func casedWords(besides excluded: String = "", behind end: String = "") -> String {
            let without = excluded.isEmpty ? "" : "&&[^" + excluded + "]"
            let (upper, lower) = (
                #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"# + without + "]", #"[\p{Ll}\p{Lm}\p{Lo}\p{M}"# + without + "]"
            )
            let before = #"[^\r\n\p{L}\p{N}]?"#
            return before + upper + "*" + lower + "+" + end + "|" + before + upper + "+" + lower + "*" + end
        }

        /// The letters with case that DeepSeek LLM's tokenizer lists.
        private static let casedLetters =
            "A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}"
            + "\u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}"
            + "\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}"
            + "\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}"
            + "\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}"
            + "\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}"
            + "\u{1FBE}\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}"
            + "\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}"
            + "\u{2124}\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}"
            + "\u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}"
            + "\u{2CF2}\u{2CF3}\u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}"
            + "\u{A78B}-\u{A78E}\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}"
            + "\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}"
            + "\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}"
    }
}

extension Vocabulary.Algorithm {
    /// Whether a text begins with the token of its begin where the file does not say (llama.cpp's `llama-vocab.cpp`).
    public var addsBeginOfText: Bool {
        switch self {
        case .sentencePiece: true
        case .byteLevelBPE(let cutter): [.llamaBPE, .tekken, .chameleon].contains(cutter)
        }
    }
}
