// The choice of the kernels' instruction set by name, as the configuration and the environment make it.

import Testing
import Transformer

@Suite("Kernel sets")
struct KernelSetTests {
    @Test("the portable set is always there, and the set in use is one of those there are")
    func available() {
        #expect(KernelSet.available.first?.name == "portable")
        #expect(KernelSet.available.contains(KernelSet.current))
        #expect(KernelSet.available.first?.multipliesBytes == false)
    }

    @Test(
        "a set that this processor lacks is refused by a sentence that lists those it has",
        arguments: ["sse2", "avx", ""])
    func refused(_ name: String) throws {
        #expect(!KernelSet.knows(name))
        let before = KernelSet.current
        let error = #expect(throws: ModelError.self) { try KernelSet.select(name) }
        let message = try #require(error).description
        for set in KernelSet.available { #expect(message.contains(set.name)) }
        #expect(KernelSet.current == before)
    }

    @Test("a set that this processor has can be selected by its name, and auto changes nothing")
    func selected() throws {
        let before = KernelSet.current
        for set in KernelSet.available { #expect(KernelSet.knows(set.name)) }
        try KernelSet.select(before.name)
        try KernelSet.select(KernelSet.automatic)
        #expect(KernelSet.current == before)
    }
}
