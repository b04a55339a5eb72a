// Broken files, each refused with the error that names what is broken: the catalogue of llama.cpp's test-gguf.cpp, and
// more.

import GGUF
import Testing

struct RefusedFile: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let isExpected: @Sendable (GGUFError) -> Bool

    init(
        _ description: String, _ isExpected: @escaping @Sendable (GGUFError) -> Bool,
        _ breakIt: (inout GGUFBuilder) -> Void
    ) {
        testDescription = description
        var file = GGUFBuilder()
        file.keys = [("general.architecture", .text("llama")), ("llama.block_count", .uint32(2))]
        file.tensors = [.init(name: "a", dimensions: [32, 2]), .init(name: "b", type: 8, dimensions: [64])]
        breakIt(&file)
        bytes = file.bytes()
        self.isExpected = isExpected
    }

    // The names are llama.cpp's. Two of its cases are stricter here, as the specification has it: an alignment of 1
    // (the CUSTOM_ALIGN cases) and a tensor without elements (ZERO_DIM) are refused.
    static let llamaCatalogue: [RefusedFile] = [
        RefusedFile("HEADER_BAD_MAGIC", { $0 == .notGGUF(firstBytes: Array("FUGG".utf8)) }) {
            $0.magic = Array("FUGG".utf8)
        },
        RefusedFile("HEADER_BAD_VERSION_0", { $0 == .unsupportedVersion(0) }) { $0.version = 0 },
        RefusedFile("HEADER_BAD_VERSION_1", { $0 == .unsupportedVersion(1) }) { $0.version = 1 },
        RefusedFile("HEADER_BAD_VERSION_FUTURE", { $0 == .unsupportedVersion(4) }) { $0.version = 4 },
        RefusedFile("HEADER_BAD_N_TENSORS", { $0.isTooMany("the number of tensors", at: 8) }) { $0.tensorCount = .max },
        RefusedFile("HEADER_BAD_N_KV", { $0.isTooMany("the number of metadata keys", at: 16) }) { $0.keyCount = .max },
        RefusedFile("KV_BAD_KEY_SIZE", { $0.isTruncated(reading: "a metadata key", at: 32) }) {
            $0.firstKeyLength = .max
        },
        RefusedFile("KV_EMPTY_KEY", { $0 == .invalidKey(lengthBytes: 0, offset: 24) }) {
            $0.keys = [("", .uint32(1))]
        },
        RefusedFile("KV_BAD_TYPE", { $0 == .unknownValueType(key: "k", number: 13, offset: 33) }) {
            $0.keys = [("k", .unknown(type: 13, [0]))]
        },
        RefusedFile("KV_BAD_VALUE_SIZE", { $0.isTruncated(reading: "a metadata string", at: 45) }) {
            var length: [UInt8] = []
            length.write(UInt64.max)
            $0.keys = [("k", .unknown(type: 8, length))]
        },
        RefusedFile("KV_DUPLICATE_KEY", { $0 == .duplicateKey("k", offset: 41) }) {
            $0.keys = [("k", .uint32(1)), ("k", .uint32(1))]
        },
        RefusedFile("KV_BAD_ALIGN", { $0 == .invalidAlignment(bytes: 13, offset: 53) }) {
            $0.keys = [("general.alignment", .uint32(13))]
        },
        RefusedFile("KV_WRONG_TYPE_ALIGN", { $0.isWrongType("general.alignment", found: "int32") }) {
            $0.keys = [("general.alignment", .int32(32))]
        },
        RefusedFile("TENSORS_BAD_NAME_SIZE", { $0.isInvalidTensorName(bytes: 65) }) {
            $0.tensors[0].name = String(repeating: "n", count: 65)
        },
        RefusedFile("TENSORS_BAD_N_DIMS", { $0.isDimensionCount(5) }) { $0.tensors[0].dimensionCount = 5 },
        RefusedFile("TENSORS_BAD_SHAPE", { $0.isDimension(.max) }) { $0.tensors[0].dimensions = [.max, .max] },
        RefusedFile("TENSORS_ZERO_DIM", { $0.isDimension(0) }) { $0.tensors[0].dimensions = [32, 0] },
        RefusedFile("TENSORS_NE_TOO_BIG", { $0.isTooLarge("a") }) {
            $0.tensors[0].dimensions = [4 * (1 << 31 - 1), 4 * (1 << 31 - 1)]
        },
        RefusedFile("TENSORS_NBYTES_TOO_BIG", { $0.isTooLarge("a") }) {
            $0.tensors[0].type = 27
            $0.tensors[0].dimensions = [1 << 31, 1 << 30]
        },
        RefusedFile("TENSORS_BAD_TYPE", { $0.isUnknownType(43) }) { $0.tensors[0].type = 43 },
        RefusedFile("TENSORS_BAD_OFFSET", { $0.isMisaligned("a") }) { $0.tensors[0].offset = .max },
        RefusedFile("TENSORS_DUPLICATE_NAME", { $0.isDuplicateTensor("a") }) { $0.tensors[1].name = "a" },
        RefusedFile("TENSORS_BAD_ALIGN", { $0 == .invalidAlignment(bytes: 13, offset: 53) }) {
            $0.keys = [("general.alignment", .uint32(13))]
            $0.alignment = 13
        },
        RefusedFile("TENSORS_INCONSISTENT_ALIGN", { $0.isMisaligned("c") }) {
            $0.tensors = [.init(name: "a", dimensions: [1]), .init(name: "c", dimensions: [1])]
            $0.alignment = 1
            $0.missingDataBytes = -64
        },
        RefusedFile("CUSTOM_ALIGN of 1", { $0 == .invalidAlignment(bytes: 1, offset: 53) }) {
            $0.keys = [("general.alignment", .uint32(1))]
            $0.alignment = 1
        },
        RefusedFile("DATA_NOT_ENOUGH_DATA", { $0.isOutside("b") }) {
            $0.tensors[1].dimensions = [32 * 16]
            $0.missingDataBytes = 1
        },
        RefusedFile("DATA_MEM_SIZE_OVERFLOW", { $0.isOutside("a") }) {
            $0.tensors[0] = .init(name: "a", type: 24, dimensions: [0x7FFF_FFFF_FFFF_FFC0])
            $0.tensors[1] = .init(name: "b", type: 24, dimensions: [0x7FFF_FFFF_FFFF_FFC0])
        },
    ]

    static let more: [RefusedFile] = [
        RefusedFile("big-endian", { $0 == .bigEndian(version: 0x0300_0000) }) { $0.version = 0x0300_0000 },
        RefusedFile("split in parts", { $0 == .splitFile(parts: 3) }) { $0.keys.append(("split.count", .uint16(3))) },
        RefusedFile("a key longer than the format allows", { $0.isInvalidKey(bytes: 65_536) }) {
            $0.keys = [(String(repeating: "k", count: 65_536), .uint8(0))]
        },
        RefusedFile("more keys than the bound", { $0.isTooMany("the number of metadata keys", at: 16) }) {
            $0.keys = (0...65_536).map { ("k\($0)", .uint32(0)) }
        },
        RefusedFile("an array longer than the file", { $0.isTooMany("the length of a metadata array", at: 41) }) {
            $0.keys = [("k", .array(elementType: 6, count: 1 << 40, []))]
        },
        RefusedFile("a string array longer than the file", { $0.isTooMany("the length of a metadata array", at: 41) }) {
            $0.keys = [("k", .array(elementType: 8, count: .max, []))]
        },
        RefusedFile("an array of an unknown type", { $0 == .unknownValueType(key: "k", number: 99, offset: 37) }) {
            $0.keys = [("k", .array(elementType: 99, count: 0, []))]
        },
        RefusedFile("arrays nested deeply", { $0.isNestedTooDeeply("k") }) {
            $0.keys = [("k", (0..<5).reduce(.uint8(0)) { inner, _ in .array([inner]) })]
        },
        RefusedFile("a bool that is neither", { $0 == .invalidBool(key: "k", byte: 2, offset: 37) }) {
            $0.keys = [("k", .bool(2))]
        },
        RefusedFile("an array with a bool that is neither", { $0 == .invalidBool(key: "k", byte: 7, offset: 50) }) {
            $0.keys = [("k", .array([.bool(1), .bool(7)]))]
        },
        RefusedFile("an alignment of 0", { $0 == .invalidAlignment(bytes: 0, offset: 53) }) {
            $0.keys = [("general.alignment", .uint32(0))]
        },
        RefusedFile("an alignment of 2 GiB", { $0 == .invalidAlignment(bytes: 1 << 31, offset: 53) }) {
            $0.keys = [("general.alignment", .uint32(1 << 31))]
        },
        RefusedFile("a tensor without a name", { $0.isInvalidTensorName(bytes: 0) }) { $0.tensors[0].name = "" },
        RefusedFile("a tensor without dimensions", { $0.isDimensionCount(0) }) { $0.tensors[0].dimensions = [] },
        RefusedFile("a retired tensor type", { $0.isUnknownType(31) }) { $0.tensors[0].type = 31 },
        RefusedFile("rows of a block and a half", { $0.isPartialBlock("b", rowElements: 48) }) {
            $0.tensors[1].dimensions = [48, 2]
        },
        RefusedFile("tensors that overlap", { $0.isOverlap("a", "b") }) { $0.tensors[1].offset = 32 },
        RefusedFile("an offset that overflows", { $0.isOutside("a") }) { $0.tensors[0].offset = .max - 31 },
        RefusedFile("no data at all", { $0.isOutside("a") }) { $0.writesData = false },
    ]
}

@Suite("A broken file")
struct RefusedFileTests {
    @Test(
        "is refused with the error that names what is broken", arguments: RefusedFile.llamaCatalogue + RefusedFile.more)
    func refused(_ file: RefusedFile) throws {
        let error = try #require(throws: GGUFError.self) { try GGUFFile(copying: file.bytes) }
        #expect(file.isExpected(error), "\(error)")
        #expect(error.description.contains { $0 == "." }, "a cause and a mend")
    }

    @Test("has its names escaped and cut in the error, so that a log line stays one line")
    func escapesNames() throws {
        var file = GGUFBuilder()
        file.keys = [("evil\n\u{1B}[2J" + String(repeating: "x", count: 1000), .bool(9))]
        let error = try #require(throws: GGUFError.self) { try GGUFFile(copying: file.bytes()) }
        #expect(!error.description.contains("\n"))
        #expect(!error.description.contains("\u{1B}"))
        #expect(error.description.count < 300)
    }
}

extension GGUFError {
    fileprivate func isTooMany(_ expected: String, at expectedOffset: Int) -> Bool {
        guard case .tooMany(expected, _, _, expectedOffset) = self else { return false }
        return true
    }

    fileprivate func isTruncated(reading expected: String, at expectedOffset: Int) -> Bool {
        guard case .truncated(expectedOffset, .max, _, expected) = self else { return false }
        return true
    }

    fileprivate func isWrongType(_ expected: String, found expectedType: String) -> Bool {
        guard case .wrongValueType(expected, expectedType, _, _) = self else { return false }
        return true
    }

    fileprivate func isInvalidKey(bytes: UInt64) -> Bool {
        guard case .invalidKey(bytes, _) = self else { return false }
        return true
    }

    fileprivate func isNestedTooDeeply(_ expected: String) -> Bool {
        guard case .nestedTooDeeply(expected, 4, _) = self else { return false }
        return true
    }

    fileprivate func isInvalidTensorName(bytes: UInt64) -> Bool {
        guard case .invalidTensorName(bytes, _) = self else { return false }
        return true
    }

    fileprivate func isDimensionCount(_ expected: UInt32) -> Bool {
        guard case .invalidDimensionCount("a", expected, _) = self else { return false }
        return true
    }

    fileprivate func isDimension(_ expected: UInt64) -> Bool {
        guard case .invalidDimension("a", expected, _) = self else { return false }
        return true
    }

    fileprivate func isTooLarge(_ expected: String) -> Bool {
        guard case .tensorTooLarge(expected, _) = self else { return false }
        return true
    }

    fileprivate func isUnknownType(_ expected: UInt32) -> Bool {
        guard case .unknownTensorType("a", expected, _) = self else { return false }
        return true
    }

    fileprivate func isMisaligned(_ expected: String) -> Bool {
        guard case .misalignedTensor(expected, _, 32, _) = self else { return false }
        return true
    }

    fileprivate func isDuplicateTensor(_ expected: String) -> Bool {
        guard case .duplicateTensor(expected, _) = self else { return false }
        return true
    }

    fileprivate func isPartialBlock(_ expected: String, rowElements: Int) -> Bool {
        guard case .partialBlock(expected, .q8_0, rowElements, _) = self else { return false }
        return true
    }

    fileprivate func isOutside(_ expected: String) -> Bool {
        guard case .tensorOutsideFile(expected, _, _, _) = self else { return false }
        return true
    }

    fileprivate func isOverlap(_ first: String, _ second: String) -> Bool {
        guard case .overlappingTensors(first, second, _) = self else { return false }
        return true
    }
}
