// Why a file is refused: each case carries where (byte offsets) and what, and its description says how to mend it.

/// Why a GGUF file, or a value asked of it, is refused.
///
/// Offsets count bytes from the start of the file.
public enum GGUFError: Error, Equatable, Sendable {
    // The file
    case cannotOpen(path: String, errno: Int32)
    case notARegularFile(path: String)
    case notGGUF(firstBytes: [UInt8])
    case bigEndian(version: UInt32)
    case unsupportedVersion(UInt32)
    case splitFile(parts: Int)
    case unusablePart(path: String, String)
    case truncated(offset: Int, neededBytes: UInt64, fileBytes: Int, reading: String)
    case tooMany(String, count: UInt64, limit: UInt64, offset: Int)

    // Metadata
    case invalidKey(lengthBytes: UInt64, offset: Int)
    case duplicateKey(String, offset: Int)
    case unknownValueType(key: String, number: UInt32, offset: Int)
    case nestedTooDeeply(key: String, limit: Int, offset: Int)
    case invalidBool(key: String, byte: UInt8, offset: Int)
    case notUTF8(String, offset: Int)
    case wrongValueType(key: String, found: String, expected: String, offset: Int)
    case integerOutOfRange(key: String, offset: Int)
    case invalidAlignment(bytes: UInt64, offset: Int)

    // Tensors
    case invalidTensorName(lengthBytes: UInt64, offset: Int)
    case duplicateTensor(String, offset: Int)
    case invalidDimensionCount(tensor: String, count: UInt32, offset: Int)
    case invalidDimension(tensor: String, extent: UInt64, offset: Int)
    case unknownTensorType(tensor: String, number: UInt32, offset: Int)
    case partialBlock(tensor: String, type: TensorType, rowElements: Int, offset: Int)
    case tensorTooLarge(tensor: String, offset: Int)
    case misalignedTensor(tensor: String, dataOffset: UInt64, alignmentBytes: Int, offset: Int)
    case tensorOutsideFile(tensor: String, byteOffset: UInt64, byteCount: Int, fileBytes: Int)
    case overlappingTensors(String, String, byteOffset: Int)
}

extension GGUFError: CustomStringConvertible {
    /// The cause, where it stands in the file, and the mend.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let errno):
            "cannot open the model file \(quoted(path)): \(systemMessage(errno)). Check the path and its permissions."
        case .notARegularFile(let path):
            "\(quoted(path)) is not a regular file. Name a GGUF file."
        case .notGGUF(let firstBytes):
            "not a GGUF file: it begins with \(hexadecimal(firstBytes)), not with the bytes \"GGUF\". "
                + "Convert the model to GGUF, or download it again."
        case .bigEndian(let version):
            "big-endian GGUF (version field at byte 4 reads 0x\(String(version, radix: 16))) is not supported. "
                + "Convert the model for a little-endian machine."
        case .unsupportedVersion(let version):
            "GGUF version \(version) (at byte 4) is not supported; versions 2 and 3 are. "
                + (version > 3 ? "Use a newer caked." : "Convert the model again with a current llama.cpp.")
        case .splitFile(let parts):
            "the model is split into \(parts) files (split.count), and this is not the first by its name. Name the one "
                + "that ends in -00001-of-0000N.gguf, with the others beside it under their own names, or join them "
                + "with `llama-gguf-split --merge`."
        case .unusablePart(let path, let problem):
            "the part \(quoted(path)) of the model cannot be used: \(problem) Put all parts of one model into one "
                + "folder."
        case .truncated(let offset, let neededBytes, let fileBytes, let reading):
            "the file ends too early: \(reading) at byte \(offset) takes \(neededBytes) bytes, "
                + "but the file has \(fileBytes). \(downloadAgain)"
        case .tooMany(let what, let count, let limit, let offset):
            "\(what) at byte \(offset) is \(count), but at most \(limit) can stand there. \(downloadAgain)"
        case .invalidKey, .duplicateKey, .unknownValueType, .nestedTooDeeply, .invalidBool, .notUTF8, .wrongValueType,
            .integerOutOfRange, .invalidAlignment:
            metadataDescription
        default:
            tensorDescription
        }
    }

    private var metadataDescription: String {
        switch self {
        case .invalidKey(let lengthBytes, let offset):
            "the metadata key at byte \(offset) is \(lengthBytes) bytes long; 1 to \(GGUFLimits.keyBytes) are allowed. "
                + convertAgain
        case .duplicateKey(let key, let offset):
            "the metadata key \(quoted(key)) at byte \(offset) appears twice. \(convertAgain)"
        case .unknownValueType(let key, let number, let offset):
            "the metadata key \(quoted(key)) has value type \(number) at byte \(offset), which GGUF does not define. "
                + downloadAgain
        case .nestedTooDeeply(let key, let limit, let offset):
            "the metadata key \(quoted(key)) nests arrays deeper than \(limit) at byte \(offset). \(convertAgain)"
        case .invalidBool(let key, let byte, let offset):
            "the metadata key \(quoted(key)) holds a bool of value \(byte) at byte \(offset); only 0 and 1 are valid. "
                + downloadAgain
        case .notUTF8(let what, let offset):
            "\(what) at byte \(offset) is not valid UTF-8. \(convertAgain)"
        case .wrongValueType(let key, let found, let expected, let offset):
            "the metadata key \(quoted(key)) at byte \(offset) is of type \(found), but \(expected) is needed. "
                + convertAgain
        case .integerOutOfRange(let key, let offset):
            "the metadata key \(quoted(key)) at byte \(offset) holds an integer that does not fit 64 signed bits. "
                + convertAgain
        case .invalidAlignment(let bytes, let offset):
            "general.alignment at byte \(offset) is \(bytes); it must be a power of two "
                + "from 8 to \(GGUFLimits.alignmentBytes). \(convertAgain)"
        default:
            ""
        }
    }

    private var tensorDescription: String {
        switch self {
        case .invalidTensorName(let lengthBytes, let offset):
            "the tensor name at byte \(offset) is \(lengthBytes) bytes long; "
                + "1 to \(GGUFLimits.tensorNameBytes) are allowed. \(convertAgain)"
        case .duplicateTensor(let name, let offset):
            "the tensor \(quoted(name)) at byte \(offset) appears twice. \(convertAgain)"
        case .invalidDimensionCount(let tensor, let count, let offset):
            "the tensor \(quoted(tensor)) has \(count) dimensions at byte \(offset); 1 to 4 are allowed. "
                + downloadAgain
        case .invalidDimension(let tensor, let extent, let offset):
            "the tensor \(quoted(tensor)) has a dimension of \(extent) elements at byte \(offset). \(downloadAgain)"
        case .unknownTensorType(let tensor, let number, let offset):
            "the tensor \(quoted(tensor)) has type \(number) at byte \(offset), which ggml does not define or has "
                + "retired. Use a newer caked, or quantise the model again with a current llama.cpp."
        case .partialBlock(let tensor, let type, let rowElements, let offset):
            "the tensor \(quoted(tensor)) has rows of \(rowElements) elements at byte \(offset), not a multiple of "
                + "the \(type.blockElements) of a \(type.name) block. \(convertAgain)"
        case .tensorTooLarge(let tensor, let offset):
            "the size of the tensor \(quoted(tensor)), described at byte \(offset), overflows 63 bits. \(downloadAgain)"
        case .misalignedTensor(let tensor, let dataOffset, let alignmentBytes, let offset):
            "the tensor \(quoted(tensor)) starts \(dataOffset) bytes into the data (offset given at byte \(offset)), "
                + "not a multiple of the alignment, \(alignmentBytes). \(convertAgain)"
        case .tensorOutsideFile(let tensor, let byteOffset, let byteCount, let fileBytes):
            "the tensor \(quoted(tensor)) takes \(byteCount) bytes from byte \(byteOffset), "
                + "but the file has \(fileBytes). \(downloadAgain)"
        case .overlappingTensors(let first, let second, let byteOffset):
            "the tensors \(quoted(first)) and \(quoted(second)) overlap at byte \(byteOffset). \(convertAgain)"
        default:
            ""
        }
    }

    private var downloadAgain: String { "The file is damaged or incomplete: download it again." }
    private var convertAgain: String { "Convert the model again with a current llama.cpp." }
}

/// Text from an untrusted file, as it may stand in a log line: control characters escaped, cut to 80 characters.
private func quoted(_ text: String) -> String {
    String(text.prefix(80)).debugDescription
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.isEmpty ? "nothing" : bytes.map { String($0, radix: 16) }.joined(separator: " ")
}
