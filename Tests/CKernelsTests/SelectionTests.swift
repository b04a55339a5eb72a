// The choice of an instruction set.

import CKernels
import Testing

@Suite struct SelectionTests {
    @Test("the best set is in use from the start, under its name")
    func best() throws {
        let best = try #require(Variant(rawValue: caked_kernels_best().rawValue))
        #expect(unsafe String(cString: caked_kernels_name()) == best.name)
        #expect(Variant.available.contains(best))
        #expect(Variant.available.contains(.portable))
        #expect(caked_kernels_select(caked_kernels_best()))
    }

    @Test("a set this machine cannot run is refused and changes nothing", arguments: Variant.unavailable)
    func refused(variant: Variant) {
        let before = unsafe String(cString: caked_kernels_name())
        #expect(!caked_kernels_select(variant.instructionSet))
        #expect(!caked_kernels_override(variant.instructionSet))
        #expect(unsafe String(cString: caked_kernels_name()) == before)
    }

    @Test("a thread's own choice lasts until it ends it", arguments: Variant.available)
    func override(variant: Variant) throws {
        let before = unsafe String(cString: caked_kernels_name())
        let during = variant.run { unsafe String(cString: caked_kernels_name()) }
        #expect(during == variant.name)
        #expect(unsafe String(cString: caked_kernels_name()) == before)
    }
}
