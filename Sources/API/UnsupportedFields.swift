// The fields of OpenAI's completion requests that caked refuses by name.

/// Fields that would change the answer if caked knew them: ignoring them would give a wrong one.
enum UnsupportedFields {
    /// A field, whether a value of it asks for nothing, and what is lacking.
    private struct Rule {
        var field: String
        var lacking: String
        var isHarmless: @Sendable (Value) -> Bool
    }

    private static let rules: [Rule] = [
        Rule(field: "tools", lacking: "caked calls no tools") { $0.isEmpty },
        Rule(field: "tool_choice", lacking: "caked calls no tools") { $0 == .text("none") || $0 == .text("auto") },
        Rule(field: "functions", lacking: "caked calls no tools") { $0.isEmpty },
        Rule(field: "function_call", lacking: "caked calls no tools") { $0 == .text("none") || $0 == .text("auto") },
        Rule(field: "best_of", lacking: "caked chooses among no answers; `n` gives several") { $0 == .number(1) },
        Rule(field: "response_format", lacking: "caked answers in plain text") { $0.type == "text" },
        Rule(field: "modalities", lacking: "caked answers in text") {
            $0 == .other(count: 1, type: nil, first: "text")
        },
        Rule(field: "audio", lacking: "caked answers in text") { _ in false },
        Rule(field: "web_search_options", lacking: "caked searches nothing") { _ in false },
        Rule(field: "verbosity", lacking: "say in the question how long the answer is to be") { $0 == .text("medium") },
        Rule(
            field: "reasoning_effort",
            lacking: "say in `chat_template_kwargs` what the model's template knows of thinking"
        ) { $0 == .text("none") || $0 == .text("minimal") },
        Rule(field: "echo", lacking: "caked does not repeat the prompt") { $0 == .flag(false) },
        Rule(field: "suffix", lacking: "caked fills no gaps") { $0 == .text("") },
    ]

    /// Their names.
    static let names = rules.map(\.field)

    /// Fields of OpenAI's that say who asks, what is stored of it, or how it is billed or made faster there.
    static let withoutEffect: Set<String> = [
        "user", "safety_identifier", "store", "metadata", "service_tier", "parallel_tool_calls", "prediction",
        "prompt_cache_key", "prompt_cache_retention",
    ]

    static func check(_ decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: AnyKey.self)
        for rule in rules {
            let key = AnyKey(stringValue: rule.field)
            guard let value = try fields.decodeIfPresent(Value.self, forKey: key) else { continue }
            if !rule.isHarmless(value) {
                throw RequestError.unsupported("`\(rule.field)` is not supported: \(rule.lacking)", param: rule.field)
            }
        }
    }

    /// Enough of any JSON value to see whether it asks for something.
    private enum Value: Decodable, Equatable {
        case flag(Bool)
        case number(Double)
        case text(String)
        case other(count: Int, type: String?, first: String?)

        var isEmpty: Bool { if case .other(count: 0, _, _) = self { true } else { false } }
        var type: String? { if case .other(_, let type, _) = self { type } else { nil } }

        init(from decoder: any Decoder) throws {
            if let fields = try? decoder.container(keyedBy: AnyKey.self) {
                let type = try? fields.decodeIfPresent(String.self, forKey: AnyKey(stringValue: "type"))
                self = .other(count: fields.allKeys.count, type: type, first: nil)
                return
            }
            if var items = try? decoder.unkeyedContainer() {
                let count = items.count ?? 0
                self = .other(count: count, type: nil, first: try? items.decode(String.self))
                return
            }
            let value = try decoder.singleValueContainer()
            if let flag = try? value.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? value.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try value.decode(String.self))
            }
        }
    }
}
