// Sound files: what is written is what is read, for every value type and every tensor type.

import GGUF
import Testing

@Suite("A sound file")
struct SoundFileTests {
    @Test("may be empty", arguments: [UInt32(2), 3])
    func empty(version: UInt32) throws {
        var builder = GGUFBuilder()
        builder.version = version
        let file = try GGUFFile(copying: builder.bytes())
        #expect(file.version == version)
        #expect(file.tensors.isEmpty)
        #expect(file.metadata.keys.isEmpty)
        #expect(file.fileBytes == 24)
    }

    @Test("gives back the value of every type")
    func values() throws {
        var builder = GGUFBuilder()
        builder.keys = [
            ("u8", .uint8(200)), ("i8", .int8(-100)), ("u16", .uint16(60_000)), ("i16", .int16(-30_000)),
            ("u32", .uint32(4_000_000_000)), ("i32", .int32(-2_000_000_000)), ("f32", .float32(1.5)),
            ("true", .bool(1)), ("false", .bool(0)), ("text", .text("Kürbis")), ("none", .text("")),
            ("u64", .uint64(1 << 62)), ("i64", .int64(-1 << 62)), ("f64", .float64(-2.25)),
            ("texts", .array([.text("a"), .text(""), .text("ß")])),
            ("u8s", .array([.uint8(1), .uint8(255)])), ("i16s", .array([.int16(-1), .int16(300)])),
            ("f32s", .array([.float32(0.5), .float32(-4)])), ("f64s", .array([.float64(0.125)])),
            ("nested", .array([.array([.int32(1)]), .array([.text("x"), .text("y")])])),
            ("bools", .array([.bool(1), .bool(0)])),
        ]
        let metadata = try GGUFFile(copying: builder.bytes()).metadata
        #expect(metadata.keys == builder.keys.map(\.key).sorted())
        let integers = [
            ("u8", 200), ("i8", -100), ("u16", 60_000), ("i16", -30_000), ("u32", 4_000_000_000),
            ("i32", -2_000_000_000), ("u64", 1 << 62), ("i64", -1 << 62),
        ]
        for (key, expected) in integers { #expect(try metadata.integer(key) == expected, "\(key)") }
        for (key, expected) in [("f32", Float(1.5)), ("f64", -2.25), ("u8", 200)] {
            #expect(try metadata.float(key) == expected, "\(key)")
        }
        #expect(try metadata.bool("true") == true)
        #expect(try metadata.bool("false") == false)
        #expect(try metadata.string("text") == "Kürbis")
        #expect(try metadata.string("none") == "")
        #expect(try metadata.strings("texts") == ["a", "", "ß"])
        #expect(try metadata.integers("u8s") == [1, 255])
        #expect(try metadata.integers("i16s") == [-1, 300])
        #expect(try metadata.floats("f32s") == [0.5, -4])
        #expect(try metadata.floats("f64s") == [0.125])
        #expect(try metadata.floats("u8s") == [1, 255])
    }

    @Test("has nil for an absent key, and an error with both types for a key of another type")
    func wrongTypes() throws {
        var builder = GGUFBuilder()
        builder.keys = [
            ("text", .text("a")), ("n", .uint64(.max)), ("f", .float32(1)), ("ns", .array([.uint8(1)])),
            ("latin", .string([0xE9])), ("latins", .array([.text("a"), .string([0xE9])])),
        ]
        let metadata = try GGUFFile(copying: builder.bytes()).metadata
        #expect(try metadata.string("absent") == nil)
        #expect(try metadata.strings("absent") == nil)
        #expect(try metadata.floats("absent") == nil)
        #expect(
            throws: GGUFError.wrongValueType(key: "text", found: "string", expected: "an integer", offset: 40)
        ) { try metadata.integer("text") }
        #expect(throws: GGUFError.self) { try metadata.integer("f") }
        #expect(throws: GGUFError.integerOutOfRange(key: "n", offset: 62)) { try metadata.integer("n") }
        #expect(throws: GGUFError.self) { try metadata.integer("ns") }
        #expect(throws: GGUFError.self) { try metadata.integers("n") }
        #expect(throws: GGUFError.self) { try metadata.strings("ns") }
        #expect(throws: GGUFError.self) { try metadata.strings("text") }
        #expect(throws: GGUFError.self) { try metadata.bool("n") }
        #expect(throws: GGUFError.self) { try metadata.string("latin") }
        #expect(throws: GGUFError.self) { try metadata.strings("latins") }
    }

    @Test("gives back tensors of every type and shape, their bytes in place", arguments: [UInt64(32), 8, 64, 4096])
    func tensors(alignment: UInt64) throws {
        var builder = GGUFBuilder()
        builder.alignment = alignment
        if alignment != 32 { builder.keys = [("general.alignment", .uint32(UInt32(alignment)))] }
        let types = (0...UInt32(60)).compactMap(TensorType.init(rawValue:))
        builder.tensors = types.flatMap { type in
            (1...4).map { count in
                let dimensions = [UInt64(type.blockElements) * 3] + [2, 1, 5].prefix(count - 1)
                return .init(name: "\(type.name).\(count)", type: type.rawValue, dimensions: dimensions)
            }
        }
        let file = try GGUFFile(copying: builder.bytes())
        #expect(file.tensors.count == types.count * 4)
        let dataStart = try #require(file.tensors.first).byteOffset
        for (tensor, written) in zip(file.tensors, builder.tensors) {
            #expect(file.tensor(written.name) == tensor)
            #expect(tensor.dimensions == written.dimensions.map(Int.init))
            #expect(tensor.type.rawValue == written.type)
            #expect(tensor.byteCount == Int(written.byteCount))
            #expect(tensor.elementCount == tensor.dimensions.reduce(1, *))
            #expect(tensor.byteOffset.isMultiple(of: Int(alignment)))
            let bytes = unsafe file.bytes(of: tensor)
            let expected = (0..<tensor.byteCount).map { UInt8(truncatingIfNeeded: tensor.byteOffset - dataStart + $0) }
            #expect(unsafe Array(bytes) == expected)
        }
        #expect(file.tensor("absent") == nil)
    }

    @Test("may be one whole part of a split of one")
    func splitOfOne() throws {
        var builder = GGUFBuilder()
        builder.keys = [("split.count", .uint16(1))]
        #expect(try GGUFFile(copying: builder.bytes()).metadata.integer("split.count") == 1)
    }
}

@Suite("A tensor type")
struct TensorTypeTests {
    // Sizes as `llama-quantize` reports them in bits per weight, times the block: an oracle beside the table's sums.
    @Test(
        "has ggml's number, name and bits per weight",
        arguments: [
            (UInt32(0), "F32", 32.0), (1, "F16", 16), (2, "Q4_0", 4.5), (3, "Q4_1", 5), (6, "Q5_0", 5.5),
            (7, "Q5_1", 6),
            (8, "Q8_0", 8.5), (10, "Q2_K", 2.625), (11, "Q3_K", 3.4375), (12, "Q4_K", 4.5), (13, "Q5_K", 5.5),
            (14, "Q6_K", 6.5625), (16, "IQ2_XXS", 2.0625), (17, "IQ2_XS", 2.3125), (18, "IQ3_XXS", 3.0625),
            (19, "IQ1_S", 1.5625), (20, "IQ4_NL", 4.5), (21, "IQ3_S", 3.4375), (22, "IQ2_S", 2.5625),
            (23, "IQ4_XS", 4.25), (29, "IQ1_M", 1.75), (30, "BF16", 16), (34, "TQ1_0", 1.6875), (35, "TQ2_0", 2.0625),
            (39, "MXFP4", 4.25),
        ])
    func table(number: UInt32, name: String, bitsPerWeight: Double) throws {
        let type = try #require(TensorType(rawValue: number))
        #expect(type.name == name)
        #expect(Double(type.blockBytes * 8) / Double(type.blockElements) == bitsPerWeight)
    }

    @Test(
        "does not exist for retired and unheard-of numbers", arguments: [4, 5, 31, 32, 33, 36, 37, 38, 43, UInt32.max])
    func undefined(number: UInt32) {
        #expect(TensorType(rawValue: number) == nil)
    }

    @Test("has a constant with its number")
    func constants() {
        let constants: [TensorType] = [
            .f32, .f16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q4_K, .q5_K, .q6_K, .bf16,
        ]
        #expect(
            constants.map(\.name) == [
                "F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "BF16",
            ])
    }
}
