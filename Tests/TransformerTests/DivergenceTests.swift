// How far two next-token distributions are apart, computed by hand.

import Testing
import Transformer

@Suite("Divergence")
struct DivergenceTests {
    @Test("divergence: hand-computed for two tokens")
    func divergence() {
        var same = Divergence()
        same.add(reference: [1, 2, 3], other: [1, 2, 3], truth: 2)
        #expect(same.meanDivergence == 0 && same.agreement == 1 && same.perplexity == same.referencePerplexity)
        // p = (1/2, 1/2), q = (1/4, 3/4): KL = ½ ln 2 + ½ ln ⅔ = ½ ln 4/3; q finds the first token with 1/4.
        var other = Divergence()
        other.add(reference: [0, 0], other: [0, 1.098_612_3], truth: 0)
        #expect(abs(other.meanDivergence - 0.143_841_036) < 1e-6)
        #expect(abs(other.referencePerplexity - 2) < 1e-6 && abs(other.perplexity - 4) < 1e-5)
        #expect(other.agreement == 0)
        var masked = Divergence()
        masked.add(reference: [0, -.infinity], other: [0, 0], truth: 0)
        #expect(abs(masked.meanDivergence - 0.693_147_18) < 1e-6)
    }
}
