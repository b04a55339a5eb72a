// The instruction set that the C kernels run on: the best of this processor, unless somebody forces another.

import CKernels
import Glibc

/// A set of instructions that the kernels are compiled for and this processor runs.
public struct KernelSet: Sendable, Equatable {
    /// The environment variable that forces a set in every program and test.
    public static let variable = "CAKED_KERNELS"
    /// Names no set: the best one is used, or the one that the variable forces.
    public static let automatic = "auto"

    /// The name, such as "avx2".
    public let name: String
    /// Whether products of quantised weights are sums of integers; elsewhere weights are unpacked to floats.
    public let multipliesBytes: Bool
    /// Whether blockwise attention multiplies bfloats; elsewhere floats.
    public let multipliesBfloats: Bool

    /// Those that this processor runs, the plainest first.
    public static var available: [KernelSet] {
        (0..<UInt32(CAKED_INSTRUCTION_SETS)).compactMap { number in
            let set = caked_instruction_set(number)
            guard caked_kernels_override(set) else { return nil }
            defer { caked_kernels_end_override() }
            return current
        }
    }

    /// The one in use.
    public static var current: KernelSet {
        KernelSet(
            name: unsafe String(cString: caked_kernels_name()), multipliesBytes: caked_int8_is_fast(),
            multipliesBfloats: caked_bfloat_is_fast())
    }

    /// What `select` takes, for messages and documentation.
    public static var wanted: String {
        "\(automatic) or a set that this processor has: \(available.map(\.name).joined(separator: ", "))"
    }

    /// Whether `name` is `automatic` or a set that this processor has.
    public static func knows(_ name: String) -> Bool { name == automatic || available.contains { $0.name == name } }

    /// Forces a set, unless `name` is `automatic`; not while kernels run.
    ///
    /// - Throws: `ModelError.invalidOption`, with the names there are, when this processor has none of this name.
    public static func select(_ name: String) throws(ModelError) {
        guard name == automatic || (unsafe caked_kernels_select_named(name)) else {
            throw .invalidOption(name: "kernels", value: name, needed: wanted)
        }
    }

    /// Refuses a `CAKED_KERNELS` that could not be followed when the process started, so that nothing is computed, or
    /// measured, by another set than the one that was asked for.
    static func checkVariable() throws(ModelError) {
        guard let value = unsafe getenv(variable), unsafe value.pointee != 0 else { return }
        let name = unsafe String(cString: value)
        guard knows(name) else {
            throw .invalidOption(name: variable, value: name, needed: wanted)
        }
    }
}

extension KernelSet: CustomStringConvertible {
    /// "avx2 (no products of bytes, no products of bfloats)".
    public var description: String {
        "\(name) (\(multipliesBytes ? "" : "no ")products of bytes, "
            + "\(multipliesBfloats ? "" : "no ")products of bfloats)"
    }
}
