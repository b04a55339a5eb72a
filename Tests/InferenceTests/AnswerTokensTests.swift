// Which tokens are told with which text, where some of it is held back, and how likely tokens are.

import API
import Foundation
import Inference
import Testing
import Transformer

@Suite struct AnswerTokensTests {
    private func token(_ text: String) -> TokenProbability {
        TokenProbability(bytes: Array(text.utf8), logprob: -1, top: [])
    }

    @Test("a token is told as soon as the text that it begins in is, and no sooner")
    func held() {
        var tokens = AnswerTokens()
        func names() -> [String] { tokens.take().map(\.token) }
        tokens.append(token("a"), text: "a")
        tokens.append(token("b"), text: "b")
        #expect(names() == [])
        tokens.release("a")
        #expect(names() == ["a"] && names() == [])
        // A character of two tokens: the first brings no text.
        tokens.append(token("x"), text: "")
        tokens.append(token("y"), text: "é")
        tokens.append(token("stop"), text: "stop")
        tokens.release("b")
        #expect(names() == ["b"])
        tokens.release("é")
        #expect(names() == ["x", "y"])
        // The stop text never comes.
        tokens.release("")
        #expect(names() == [])
        // A part of a token is a token.
        tokens.release("s")
        #expect(names() == ["stop"])
    }

    @Test("probabilities add up to one, the likeliest come first, and of equals the lower id")
    func likelihoods() {
        let logits: [Float] = [1, 3, -.infinity, 3, 2]
        let (chosen, likeliest) = TokenLikelihood.of(2, likeliest: 3, in: logits.span)
        #expect(chosen == TokenLikelihood(id: 2, logProbability: -.infinity))
        #expect(likeliest.map(\.id) == [1, 3, 4])
        let all = TokenLikelihood.of(0, likeliest: 9, in: logits.span).likeliest
        #expect(all.map(\.id) == [1, 3, 4, 0, 2])
        #expect(abs(all.reduce(0) { $0 + exp($1.logProbability) } - 1) < 1e-6)
        #expect(TokenLikelihood.of(0, likeliest: 0, in: logits.span).likeliest.isEmpty)
    }
}
