// The element types of GGUF tensors: every ggml type by number, name and block layout.

/// How a tensor's elements are encoded: `enum ggml_type` of ggml.h, with the block sizes of ggml-common.h.
///
/// Every type ggml defines has a row, so that a file's extents can be checked and an error can name what it met; which
/// of them can be computed with is for whoever computes to say.
public struct TensorType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number in the file.
    public let rawValue: UInt32

    /// The type with this number, or nil when ggml defines none (or has retired it: 4, 5, 31 to 33 and 36 to 38).
    public init?(rawValue: UInt32) {
        guard rawValue < UInt32(Self.layouts.count), Self.layouts[Int(rawValue)] != nil else { return nil }
        self.rawValue = rawValue
    }

    private init(defined rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// IEEE binary32.
    public static let f32 = TensorType(defined: 0)
    /// IEEE binary16.
    public static let f16 = TensorType(defined: 1)
    /// Blocks of 32: a Float16 scale, then 16 bytes of two 4-bit values each.
    public static let q4_0 = TensorType(defined: 2)
    /// Blocks of 32: a Float16 scale and shift, then 16 bytes of two 4-bit values each.
    public static let q4_1 = TensorType(defined: 3)
    /// Blocks of 32: a Float16 scale, 32 fifth bits, then 16 bytes of two 4-bit values each.
    public static let q5_0 = TensorType(defined: 6)
    /// Blocks of 32: a Float16 scale and shift, 32 fifth bits, then 16 bytes of two 4-bit values each.
    public static let q5_1 = TensorType(defined: 7)
    /// Blocks of 32: a Float16 scale, then 32 Int8.
    public static let q8_0 = TensorType(defined: 8)
    /// Blocks of 256: a Float16 scale and shift, eight 6-bit factors of each, then 128 bytes of two 4-bit values each.
    public static let q4_K = TensorType(defined: 12)
    /// Blocks of 256: as `q4_K`, with 256 fifth bits before the 4-bit values.
    public static let q5_K = TensorType(defined: 13)
    /// Blocks of 256: 4-bit values, 2 more bits of each, 16 Int8 factors of the Float16 scale that ends the block.
    public static let q6_K = TensorType(defined: 14)
    /// Blocks of 256: scales and shifts of 4 bits for each 16, 2 bits each, a Float16 scale and shift.
    public static let q2_K = TensorType(defined: 10)
    /// Blocks of 256: 3 bits each, 6-bit factors of a Float16 scale for each 16.
    public static let q3_K = TensorType(defined: 11)
    /// Blocks of 32: a Float16 scale, then 4 bits each that choose one of 16 levels.
    public static let iq4_NL = TensorType(defined: 20)
    /// Blocks of 256: the same levels, 6-bit factors of a Float16 scale for each 32.
    public static let iq4_XS = TensorType(defined: 23)
    /// Blocks of 32: a power of two, then 4-bit floats.
    public static let mxfp4 = TensorType(defined: 39)
    /// Blocks of 256 of -1, 0 and 1: five or four in a byte, or four.
    public static let ternary = [34, 35].map { TensorType(defined: $0) }
    /// Blocks of 256, four or eight at a time from a lattice: IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ3_S, IQ2_S, IQ1_M.
    public static let lattices = [16, 17, 18, 19, 21, 22, 29].map { TensorType(defined: $0) }
    /// The upper half of an IEEE binary32.
    public static let bf16 = TensorType(defined: 30)

    /// ggml's name, for example `Q8_0`.
    public var name: String { layout.name }
    /// How many elements a block holds; a row (the first dimension) is a whole number of blocks.
    public var blockElements: Int { layout.blockElements }
    /// How many bytes a block takes.
    public var blockBytes: Int { layout.blockBytes }

    /// The name.
    public var description: String { name }

    private var layout: Layout {
        Self.layouts[Int(rawValue)] ?? Layout(name: "type \(rawValue)", blockElements: 1, blockBytes: 1)
    }

    private struct Layout: Sendable {
        let name: String
        let blockElements: Int
        let blockBytes: Int
    }

    /// Indexed by `rawValue`; nil where ggml has no type.
    private static let layouts: [Layout?] = {
        var layouts: [Layout?] = []
        for (number, name, blockElements, blockBytes) in table {
            layouts += Array(repeating: nil, count: number - layouts.count)
            layouts.append(Layout(name: name, blockElements: blockElements, blockBytes: blockBytes))
        }
        return layouts
    }()

    // swift-format-ignore
    /// Number, name, elements and bytes of a block, by rising number. The terms of a sum are the fields of ggml's
    /// struct.
    private static let table: [(number: Int, name: String, blockElements: Int, blockBytes: Int)] = [
        (0,  "F32",     1,   4),
        (1,  "F16",     1,   2),
        (2,  "Q4_0",    32,  2 + 16),
        (3,  "Q4_1",    32,  2 + 2 + 16),
        (6,  "Q5_0",    32,  2 + 4 + 16),
        (7,  "Q5_1",    32,  2 + 2 + 4 + 16),
        (8,  "Q8_0",    32,  2 + 32),
        (9,  "Q8_1",    32,  2 + 2 + 32),
        (10, "Q2_K",    256, 16 + 64 + 2 + 2),
        (11, "Q3_K",    256, 32 + 64 + 12 + 2),
        (12, "Q4_K",    256, 2 + 2 + 12 + 128),
        (13, "Q5_K",    256, 2 + 2 + 12 + 32 + 128),
        (14, "Q6_K",    256, 128 + 64 + 16 + 2),
        (15, "Q8_K",    256, 4 + 256 + 32),
        (16, "IQ2_XXS", 256, 2 + 64),
        (17, "IQ2_XS",  256, 2 + 64 + 8),
        (18, "IQ3_XXS", 256, 2 + 64 + 32),
        (19, "IQ1_S",   256, 2 + 32 + 16),
        (20, "IQ4_NL",  32,  2 + 16),
        (21, "IQ3_S",   256, 2 + 64 + 8 + 32 + 4),
        (22, "IQ2_S",   256, 2 + 64 + 8 + 8),
        (23, "IQ4_XS",  256, 2 + 2 + 4 + 128),
        (24, "I8",      1,   1),
        (25, "I16",     1,   2),
        (26, "I32",     1,   4),
        (27, "I64",     1,   8),
        (28, "F64",     1,   8),
        (29, "IQ1_M",   256, 32 + 16 + 8),
        (30, "BF16",    1,   2),
        (34, "TQ1_0",   256, 48 + 4 + 2),
        (35, "TQ2_0",   256, 64 + 2),
        (39, "MXFP4",   32,  1 + 16),
        (40, "NVFP4",   64,  4 + 32),
        (41, "Q1_0",    128, 2 + 16),
        (42, "Q2_0",    64,  2 + 16),
    ]
}
