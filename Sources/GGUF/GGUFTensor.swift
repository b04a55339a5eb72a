// A tensor's entry in the directory: name, type, shape and where its bytes lie, all checked.

/// A tensor as the file describes it.
public struct GGUFTensor: Sendable, Equatable {
    /// Unique in its file, for example `blk.0.attn_q.weight`.
    public let name: String
    /// How the elements are encoded.
    public let type: TensorType
    /// Elements in each of 1 to 4 dimensions as the file gives them: the fastest-varying, a row's length, first.
    public let dimensions: [Int]
    /// The part of a split file that it lies in, from 0.
    public let part: Int
    /// Of the first byte, from the start of its file; a multiple of the file's alignment.
    public let byteOffset: Int
    /// Of the encoded elements, without padding.
    public let byteCount: Int
    /// The product of the dimensions, at least 1.
    public let elementCount: Int

    var byteRange: Range<Int> { byteOffset..<byteOffset + byteCount }
}

/// A tensor's entry before the start of the data, and so its place in the file, is known.
struct TensorEntry {
    let name: String
    let type: TensorType
    let dimensions: [Int]
    let elementCount: Int
    let byteCount: Int
    /// From the start of the data.
    let dataOffset: UInt64
    /// Where in the file `dataOffset` stands.
    let offsetField: Int

    /// The least an entry takes: an empty name's length, a dimension count, one dimension, a type and an offset.
    static let minimumBytes = 8 + 4 + 8 + 4 + 8

    /// The tensor at its place, which must be aligned and inside the file.
    func placed(
        dataStart: Int, alignmentBytes: Int, fileBytes: Int, part: Int
    ) throws(GGUFError) -> GGUFTensor {
        guard dataOffset.isMultiple(of: UInt64(alignmentBytes)) else {
            throw .misalignedTensor(
                tensor: name, dataOffset: dataOffset, alignmentBytes: alignmentBytes, offset: offsetField)
        }
        let (start, startOverflows) = UInt64(dataStart).addingReportingOverflow(dataOffset)
        let (end, endOverflows) = start.addingReportingOverflow(UInt64(byteCount))
        guard !startOverflows, !endOverflows, end <= UInt64(fileBytes) else {
            throw .tensorOutsideFile(
                tensor: name, byteOffset: startOverflows ? .max : start, byteCount: byteCount, fileBytes: fileBytes)
        }
        return GGUFTensor(
            name: name, type: type, dimensions: dimensions, part: part, byteOffset: Int(start), byteCount: byteCount,
            elementCount: elementCount)
    }
}

extension ByteCursor {
    /// Reads one entry of the tensor directory.
    mutating func tensorEntry() throws(GGUFError) -> TensorEntry {
        let start = offset
        let nameRange = try string("a tensor's name")
        guard (1...GGUFLimits.tensorNameBytes).contains(nameRange.count) else {
            throw .invalidTensorName(lengthBytes: UInt64(nameRange.count), offset: start)
        }
        guard let name = bytes.string(in: nameRange) else {
            throw .notUTF8("a tensor's name", offset: nameRange.lowerBound)
        }
        let (dimensions, elementCount) = try shape(tensor: name)
        let typeField = offset
        let number = try integer(UInt32.self, "a tensor's type")
        guard let type = TensorType(rawValue: number) else {
            throw .unknownTensorType(tensor: name, number: number, offset: typeField)
        }
        guard dimensions[0].isMultiple(of: type.blockElements) else {
            throw .partialBlock(tensor: name, type: type, rowElements: dimensions[0], offset: typeField)
        }
        let (byteCount, overflows) = (elementCount / type.blockElements).multipliedReportingOverflow(
            by: type.blockBytes)
        guard !overflows else { throw .tensorTooLarge(tensor: name, offset: start) }
        let offsetField = offset
        return TensorEntry(
            name: name, type: type, dimensions: dimensions, elementCount: elementCount, byteCount: byteCount,
            dataOffset: try integer(UInt64.self, "a tensor's offset"), offsetField: offsetField)
    }

    private mutating func shape(tensor name: String) throws(GGUFError) -> (dimensions: [Int], elementCount: Int) {
        let start = offset
        let count = try integer(UInt32.self, "a tensor's dimension count")
        guard (1...UInt32(GGUFLimits.dimensions)).contains(count) else {
            throw .invalidDimensionCount(tensor: name, count: count, offset: start)
        }
        var dimensions: [Int] = []
        var elementCount = 1
        for _ in 0..<count {
            let field = offset
            let extent = try integer(UInt64.self, "a tensor's dimension")
            // No element at all: no model has such a tensor, and whoever divides by a dimension may rely on that.
            guard extent > 0, let dimension = Int(exactly: extent) else {
                throw .invalidDimension(tensor: name, extent: extent, offset: field)
            }
            let (product, overflows) = elementCount.multipliedReportingOverflow(by: dimension)
            guard !overflows else { throw .tensorTooLarge(tensor: name, offset: field) }
            elementCount = product
            dimensions.append(dimension)
        }
        return (dimensions, elementCount)
    }
}
