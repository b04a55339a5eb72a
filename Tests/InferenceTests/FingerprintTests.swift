// What must be equal for a stored cache to be used: every field of the model's description, each by its own name.

import CacheStore
import Foundation
import GGUF
import Inference
import Testing
import Tokenizers
import Transformer

@Suite("Fingerprints")
struct FingerprintTests {
    let configuration: ModelConfiguration
    let vocabulary: Vocabulary
    let template: ChatTemplate

    init() throws {
        let file = try GGUFFile(
            path: StoreIdentityTests.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path)
        configuration = try ModelConfiguration(file)
        vocabulary = try Vocabulary(file.metadata)
        template = try ChatTemplate.named("chatml")
    }

    private func fields(
        _ configuration: ModelConfiguration? = nil, _ vocabulary: Vocabulary? = nil, _ template: ChatTemplate? = nil,
        weights: String = "w"
    ) -> [String: String] {
        Fingerprint(
            configuration: configuration ?? self.configuration, vocabulary: vocabulary ?? self.vocabulary,
            template: template ?? self.template, weights: weights
        ).fields
    }

    /// The names of the fields in which two fingerprints differ.
    private func differences(_ a: [String: String], _ b: [String: String]) -> Set<String> {
        Set(a.keys).union(b.keys).filter { a[$0] != b[$0] }
    }

    /// A value's JSON with one field changed a little; nil where no other value of the field can be decoded.
    private func changed<Value: Codable & Equatable>(_ value: Value, _ field: String) throws -> Value? {
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(value)) as? [String: Any] ?? [:]
        let candidates: [Any]
        switch json[field] {
        case let list as [Any]:
            candidates = [Array(list.dropLast()) + ["x"], Array(list.dropLast()) + [2], [2.5] + list]
        case let text as String: candidates = [text + "x", "neox", "interleaved"]
        // JSON's true is also the number 1: a number first, then a truth.
        case let number as NSNumber: candidates = [number.doubleValue + 1, !number.boolValue]
        default:
            candidates = [
                ["sentencePiece": [String: Any]()], 7, [true],
                ["count": 8, "used": 2, "width": 4, "isRenormalised": true] as [String: Any],
            ]
        }
        for candidate in candidates {
            var other = json
            other[field] = candidate
            if let value2 = try? JSONDecoder().decode(Value.self, from: JSONSerialization.data(withJSONObject: other)),
                value2 != value
            {
                return value2
            }
        }
        return nil
    }

    @Test("every stored field of the model's configuration is in it, alone and under its name")
    func configurationFields() throws {
        let names = Mirror(reflecting: configuration).children.compactMap(\.label)
        #expect(names.count >= 16)
        for name in names {
            let other = try #require(try changed(configuration, name), "\(name)")
            #expect(differences(fields(), fields(other)) == ["model.\(name)"])
        }
    }

    @Test("every stored field of the vocabulary is in it, alone and under its name")
    func vocabularyFields() throws {
        // Fields that this model's file leaves out are given a value first.
        var full = vocabulary
        full.scores = [0.5, 1]
        (full.kinds, full.merges) = ([.normal, .control], ["a b"])
        (full.beginOfText, full.endOfText, full.endOfTurn, full.endOfMessage, full.unknown) = (1, 2, 3, 4, 5)
        let names = Mirror(reflecting: full).children.compactMap(\.label)
        #expect(names.count >= 11)
        for name in names {
            let other = try #require(try changed(full, name), "\(name)")
            #expect(differences(fields(nil, full), fields(nil, other)) == ["tokenizer.\(name)"])
        }
        // A field that is absent differs from every value of it.
        var without = full
        without.endOfTurn = nil
        #expect(differences(fields(nil, full), fields(nil, without)) == ["tokenizer.endOfTurn"])
    }

    @Test("the same parts have the same fields in every process")
    func stable() {
        #expect(fields() == fields())
        // Written down, since a hash that changes from one start to the next would set every document aside.
        #expect(CanonicalForm(["a", "b"]).hash == CanonicalForm([Word(text: "a"), Word(text: "b")]).hash)
        #expect(CanonicalForm(["ab"]).hash != CanonicalForm(["a", "b"]).hash)
        #expect(CanonicalForm(1).hash != CanonicalForm("1").hash)
        #expect(CanonicalForm(["a", "b"]).hash == "a3bf4fc3fb6a4c428504074eac8360d3")
    }

    /// Encodes as a text, by another way than an array of strings.
    private struct Word: Encodable {
        var text: String
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        }
    }

    @Test(
        "a template is compared by what it renders", arguments: zip(ChatTemplate.names, ChatTemplate.names.dropFirst()))
    func templates(_ one: String, _ other: String) throws {
        let (a, b) = (try ChatTemplate.named(one), try ChatTemplate.named(other))
        #expect(differences(fields(nil, nil, a), fields(nil, nil, b)) == ["template"])
    }

    @Test("of several differences the engine is named first, then the weights, then what describes them")
    func order() throws {
        var other = try #require(try changed(configuration, "ropeBase"))
        var current = fields(other, nil, nil, weights: "v")
        func named(_ stored: [String: String], _ current: [String: String]) -> String? {
            guard case .mismatch(let field, _, _)? = Manifest.difference(stored: stored, current: current) else {
                return nil
            }
            return field
        }
        #expect(named(fields(), current) == "model")
        current["engine"] = "0"
        #expect(named(fields(), current) == "engine")
        other = try #require(try changed(configuration, "rmsEpsilon"))
        #expect(named(fields(), fields(other)) == "model.rmsEpsilon")
        #expect(named(fields(), fields()) == nil)
    }
}
