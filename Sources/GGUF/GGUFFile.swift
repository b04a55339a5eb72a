// A GGUF model file, mapped read-only: header and tensor directory are read and checked at open, weights on use.

/// A GGUF file of version 2 or 3, little-endian, in one part or several (llama.cpp's gguf-split).
///
/// Format: ggml's docs/gguf.md. The bytes are untrusted: once `init` returns, every metadata value and every tensor is
/// known to lie inside its file.
public final class GGUFFile: Sendable {
    /// 2 or 3.
    public let version: UInt32
    /// The key-value pairs; of a split file, the first part's.
    public let metadata: GGUFMetadata
    /// In file order, part after part.
    public let tensors: [GGUFTensor]
    /// The files it is made of, the first part first; empty for one in memory.
    public let paths: [String]

    private let parts: [FileBytes]
    private let indexByName: [String: Int]

    /// Maps the file at `path`, and the other parts of a split one, and reads their headers.
    public convenience init(path: String) throws(GGUFError) {
        try self.init(FileBytes(mapping: path), path: path)
    }

    /// Reads a file that is in memory already.
    package convenience init(copying bytes: [UInt8]) throws(GGUFError) {
        try self.init(FileBytes(copying: bytes), path: nil)
    }

    private init(_ bytes: FileBytes, path: String?) throws(GGUFError) {
        let first = try GGUFPart(bytes, number: 0)
        let split = try SplitFile(first.metadata, path: path)
        var parts = [first]
        for number in 1..<split.parts {
            let path = split.path(of: number)
            let part: GGUFPart
            do throws(GGUFError) { part = try GGUFPart(FileBytes(mapping: path), number: number) } catch {
                throw .unusablePart(path: path, error.description)
            }
            try split.check(part.metadata, number: number, path: path)
            parts.append(part)
        }
        (version, metadata) = (first.version, first.metadata)
        tensors = parts.flatMap(\.tensors)
        try split.check(tensorCount: tensors.count)
        var indexByName: [String: Int] = [:]
        for (index, tensor) in tensors.enumerated() {
            guard indexByName.updateValue(index, forKey: tensor.name) == nil else {
                throw .duplicateTensor(tensor.name, offset: tensor.byteOffset)
            }
        }
        self.indexByName = indexByName
        self.parts = parts.map(\.bytes)
        paths = path == nil ? [] : (0..<split.parts).map { split.path(of: $0) }
    }

    /// Which files were mapped, in which state; none for one in memory.
    public var identities: [FileIdentity] { parts.compactMap(\.identity) }

    /// The size of the file, all parts together.
    public var fileBytes: Int { parts.reduce(0) { $0 + $1.count } }

    /// The tensor of this name, if there is one.
    public func tensor(_ name: String) -> GGUFTensor? {
        indexByName[name].map { tensors[$0] }
    }

    /// The bytes of one of this file's tensors, `byteCount` of them, valid while this object lives.
    @unsafe public func bytes(of tensor: GGUFTensor) -> UnsafeRawBufferPointer {
        unsafe parts[tensor.part].buffer(in: tensor.byteRange)
    }

    /// Gives back the memory of what was read so far; it is read from the file, or the page cache, again when needed.
    public func releasePages() { for part in parts { part.releasePages() } }
}

/// One file: header, metadata and directory.
private struct GGUFPart {
    let version: UInt32
    let metadata: GGUFMetadata
    let tensors: [GGUFTensor]
    let bytes: FileBytes

    init(_ bytes: FileBytes, number: Int) throws(GGUFError) {
        var cursor = ByteCursor(bytes)
        version = try cursor.magicAndVersion()
        let tensorCount = try cursor.count(
            itemBytes: TensorEntry.minimumBytes, limit: GGUFLimits.tensors, "the number of tensors")
        metadata = GGUFMetadata(bytes: bytes, values: try cursor.metadataValues())
        var entries: [TensorEntry] = []
        var names: Set<String> = []
        entries.reserveCapacity(tensorCount)
        for _ in 0..<tensorCount {
            let start = cursor.offset
            let entry = try cursor.tensorEntry()
            guard names.insert(entry.name).inserted else { throw .duplicateTensor(entry.name, offset: start) }
            entries.append(entry)
        }
        tensors = try Self.place(entries, dataAfter: cursor.offset, metadata: metadata, part: number)
        self.bytes = bytes
    }

    /// Gives every tensor its place behind the directory; none may overlap another.
    private static func place(
        _ entries: [TensorEntry], dataAfter end: Int, metadata: GGUFMetadata, part: Int
    ) throws(GGUFError) -> [GGUFTensor] {
        let alignmentBytes = try metadata.alignmentBytes()
        let dataStart = (end + alignmentBytes - 1) / alignmentBytes * alignmentBytes
        var tensors: [GGUFTensor] = []
        tensors.reserveCapacity(entries.count)
        for entry in entries {
            tensors.append(
                try entry.placed(
                    dataStart: dataStart, alignmentBytes: alignmentBytes, fileBytes: metadata.bytes.count, part: part))
        }
        let ordered = tensors.sorted { $0.byteOffset < $1.byteOffset }
        for (tensor, next) in zip(ordered, ordered.dropFirst()) where tensor.byteRange.upperBound > next.byteOffset {
            throw .overlappingTensors(tensor.name, next.name, byteOffset: next.byteOffset)
        }
        return tensors
    }
}

extension ByteCursor {
    /// Reads the first 8 bytes; returns the version.
    fileprivate mutating func magicAndVersion() throws(GGUFError) -> UInt32 {
        let magic = try take(UInt64(min(4, bytes.count)), "the magic number")
        let firstBytes = magic.map { bytes.integer(at: $0, as: UInt8.self) }
        guard firstBytes == Array("GGUF".utf8) else { throw .notGGUF(firstBytes: firstBytes) }
        let version = try integer(UInt32.self, "the version")
        // A big-endian file has its small version number in the upper half.
        if version != 0, version & 0xFFFF == 0 { throw .bigEndian(version: version) }
        guard version == 2 || version == 3 else { throw .unsupportedVersion(version) }
        return version
    }

    /// Reads the number of key-value pairs and all of them.
    fileprivate mutating func metadataValues() throws(GGUFError) -> [String: MetadataValue] {
        // A pair takes at least the key's length, one byte of it, the value's type and one byte of that.
        let count = try count(itemBytes: 8 + 1 + 4 + 1, limit: GGUFLimits.keys, "the number of metadata keys")
        var values: [String: MetadataValue] = [:]
        for _ in 0..<count {
            let start = offset
            let keyRange = try string("a metadata key")
            guard (1...GGUFLimits.keyBytes).contains(keyRange.count) else {
                throw .invalidKey(lengthBytes: UInt64(keyRange.count), offset: start)
            }
            guard let key = bytes.string(in: keyRange) else {
                throw .notUTF8("a metadata key", offset: keyRange.lowerBound)
            }
            let value = try metadataValue(key: key)
            guard values.updateValue(value, forKey: key) == nil else { throw .duplicateKey(key, offset: start) }
        }
        return values
    }
}

extension GGUFMetadata {
    /// What tensors' offsets are multiples of: `general.alignment`, by default 32.
    fileprivate func alignmentBytes() throws(GGUFError) -> Int {
        let key = "general.alignment"
        guard let value = values[key] else { return 32 }
        guard value.type == .uint32 else {
            throw .wrongValueType(key: key, found: value.typeName, expected: "uint32", offset: value.offset)
        }
        let alignment = bytes.integer(at: value.offset, as: UInt32.self)
        guard (8...UInt32(GGUFLimits.alignmentBytes)).contains(alignment), alignment.nonzeroBitCount == 1 else {
            throw .invalidAlignment(bytes: UInt64(alignment), offset: value.offset)
        }
        return Int(alignment)
    }
}
