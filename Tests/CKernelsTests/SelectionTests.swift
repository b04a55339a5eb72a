// The choice of an instruction set.

import CKernels
import Glibc
import Testing

@Suite struct SelectionTests {
    @Test("the set that CAKED_KERNELS names is in use from the start, or else the best")
    func start() throws {
        let inUse = unsafe String(cString: caked_kernels_name())
        let forced = unsafe getenv("CAKED_KERNELS").map { unsafe String(cString: $0) } ?? ""
        let isForced = !forced.isEmpty && forced != "auto"
        let best = try #require(Variant(rawValue: caked_kernels_best().rawValue))
        #expect(inUse == (isForced ? forced : best.name), "this processor has \(Variant.available.map(\.name))")
        #expect(Variant.available.contains(best))
        #expect(Variant.available.contains(.portable))
    }

    @Test("a set has a name exactly where it runs", arguments: Variant.allCases)
    func names(variant: Variant) {
        let name = unsafe caked_kernels_name_of(variant.instructionSet).map { unsafe String(cString: $0) }
        #expect(name == (Variant.available.contains(variant) ? variant.name : nil))
    }

    @Test("a name that is no set of this machine is refused and changes nothing", arguments: ["", "avx", "avx5120"])
    func refusedNames(name: String) {
        let before = unsafe String(cString: caked_kernels_name())
        #expect(unsafe !caked_kernels_select_named(name))
        #expect(unsafe String(cString: caked_kernels_name()) == before)
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
