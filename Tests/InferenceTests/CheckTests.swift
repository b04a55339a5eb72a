// Where a document is checked, and what is made of what is found.

import API
import CacheStore
import Foundation
import Inference
import Testing
import Tokenizers
import Transformer

@Suite("Checks") struct CheckTests {
    let loaded: LoadedModel

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        loaded = try LoadedModel(
            path: root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path, templateName: nil)
    }

    private func places(_ text: String) throws -> (places: [CheckPlace], ids: [Int32]) {
        let (ids, prefixTokens, _) = try loaded.documentTokens(text)
        return (loaded.checkPlaces(in: ids, prefixTokens: prefixTokens), ids)
    }

    @Test(
        "every place quotes the document and goes on as it does, whatever the text",
        arguments: [
            (0..<200).map { "Room \($0) has the number \(7 * $0 + 13)." }.joined(separator: " "),
            String(repeating: "漢字かな交じりの文。", count: 120),
            String(repeating: "for(i=0;i<n;++i){a[i]^=b[i]<<2;}", count: 90),
            String(repeating: "a", count: 3000), String(repeating: "🦆\u{0}", count: 400),
        ])
    func anyText(_ text: String) throws {
        let (places, ids) = try places(text)
        #expect(places.count == LoadedModel.maximumCheckPlaces)
        for place in places {
            #expect(place.truth.count == LoadedModel.checkedTokens)
            let length = LoadedModel.quoteTokens + place.truth.count
            // The lead is the request around the quote: some stretch of it is what stands before the truth.
            let found = (0...(ids.count - length)).first { first in
                let quote = ids[first..<first + LoadedModel.quoteTokens]
                return ids[(first + LoadedModel.quoteTokens)..<(first + length)].elementsEqual(place.truth)
                    && place.lead.indices.dropLast(LoadedModel.quoteTokens - 1).contains {
                        place.lead[$0..<$0 + LoadedModel.quoteTokens].elementsEqual(quote)
                    }
            }
            #expect(found != nil)
        }
    }

    @Test("the places are spread over the document, and stand where its rare tokens are")
    func spread() throws {
        var sentences = Array(repeating: "The train to the town was late again.", count: 240)
        for index in stride(from: 7, to: 240, by: 15) { sentences[index] = "Zara Dandmouth met Ivan Quill in Muscat." }
        let (places, _) = try places(sentences.joined(separator: " "))
        let texts = places.map { loaded.tokenizer.decode($0.truth) }
        #expect(
            texts.allSatisfy { $0.contains("Dandmouth") || $0.contains("Muscat") || $0.contains("Quill") }, "\(texts)")
    }

    @Test("a text shorter than a quote and its continuation, or one that fills the context, is not checked")
    func impossible() throws {
        #expect(try places("Too short.").places.isEmpty)
        #expect(try places(String(repeating: "a b c d ", count: 14)).places.count == 1)
        let context = loaded.card.contextLength
        let ids = [Int32](repeating: 40, count: context - 20)
        #expect(loaded.checkPlaces(in: ids, prefixTokens: 3).isEmpty)
        #expect(!loaded.checkPlaces(in: Array(ids.dropLast(200)), prefixTokens: 3).isEmpty)
    }
}
