// Tensors by name, each checked against the shape that the configuration makes it.

import CKernels
import GGUF

/// Finds tensors by name, checks type and shape, and remembers which were read.
struct TensorReader {
    let file: GGUFFile
    /// Whether quantised weights may be multiplied as bytes.
    let integers: Bool
    private var read: Set<String> = []

    init(file: GGUFFile, integers: Bool) {
        self.file = file
        self.integers = integers
    }

    /// Whether there is a tensor `name.weight`.
    func has(_ name: String) -> Bool { file.tensor(name + ".weight") != nil }

    /// The matrix `name.weight` of shape `[outputs, inputs]`, with `name.bias` if the file has one; where `all` is
    /// given, the outputs from `first` on of a tensor of so many.
    mutating func linear(
        _ name: String, inputs: Int, outputs: Int, from first: Int = 0, of all: Int? = nil
    ) throws(ModelError) -> Linear {
        let all = all ?? outputs
        precondition(first >= 0 && first + outputs <= all)
        let (type, base) = unsafe try matrix(name + ".weight", dimensions: [inputs, all], rows: all)
        let bias = try optionalVector(name + ".bias", count: all)
        return unsafe Linear(
            base + first * caked_bytes(type, inputs), type: type, inputs: inputs, outputs: outputs,
            bias: try bias?.part(from: first, outputs), integers: integers)
    }

    /// `count` matrices `[outputs, inputs]` that lie one behind the other in the tensor `name.weight`, with their parts
    /// of `name.bias` if the file has one.
    mutating func linears(_ name: String, inputs: Int, outputs: Int, count: Int) throws(ModelError) -> [Linear] {
        let rows = outputs.multipliedReportingOverflow(by: count)
        let (type, base) = unsafe try matrix(
            name + ".weight", dimensions: [inputs, outputs, count], rows: rows.overflow ? .max : rows.partialValue)
        let biases = try optionalVector(name + ".bias", dimensions: [outputs, count])
        return try (0..<count).map { index throws(ModelError) in
            unsafe Linear(
                base + index * outputs * caked_bytes(type, inputs), type: type, inputs: inputs, outputs: outputs,
                bias: try biases?.part(from: index * outputs, outputs), integers: integers)
        }
    }

    /// The type and the bytes of a tensor of so many rows, each of `dimensions[0]` elements.
    @unsafe private mutating func matrix(
        _ name: String, dimensions: [Int], rows: Int
    ) throws(ModelError) -> (type: caked_type, base: UnsafeRawPointer) {
        let tensor = try find(name, dimensions: dimensions)
        guard Linear.supportedTypes.contains(tensor.type) else {
            throw .unsupportedTensorType(tensor: tensor.name, type: tensor.type.name)
        }
        let type = caked_type(rawValue: tensor.type.rawValue)
        let bytes = unsafe file.bytes(of: tensor)
        let rowBytes = caked_bytes(type, dimensions[0])
        let needed = rowBytes.multipliedReportingOverflow(by: rows)
        guard rowBytes > 0, !needed.overflow, needed.partialValue <= bytes.count, let base = bytes.baseAddress
        else {
            throw .wrongShape(tensor: tensor.name, dimensions: tensor.dimensions, expected: dimensions)
        }
        return unsafe (type, base)
    }

    /// A vector, as floats.
    mutating func vector(_ name: String, count: Int) throws(ModelError) -> FloatBuffer {
        try vector(name, dimensions: [count])
    }

    /// The same of several, one behind the other.
    private mutating func vector(_ name: String, dimensions: [Int]) throws(ModelError) -> FloatBuffer {
        let tensor = try find(name, dimensions: dimensions)
        let count = dimensions.reduce(1, *)
        guard [.f32, .f16, .bf16].contains(tensor.type) else {
            throw .unsupportedTensorType(tensor: name, type: tensor.type.name)
        }
        let bytes = unsafe file.bytes(of: tensor)
        let type = caked_type(rawValue: tensor.type.rawValue)
        guard bytes.count >= caked_bytes(type, count) else {
            throw .wrongShape(tensor: name, dimensions: tensor.dimensions, expected: dimensions)
        }
        let values = try FloatBuffer(count)
        if let source = bytes.baseAddress { unsafe caked_dequantise(type, source, values.floats.base, count) }
        guard (0..<count).allSatisfy({ values.floats[$0].isFinite }) else { throw .tensorNotFinite(name) }
        return values
    }

    mutating func optionalVector(_ name: String, count: Int) throws(ModelError) -> FloatBuffer? {
        try optionalVector(name, dimensions: [count])
    }

    private mutating func optionalVector(_ name: String, dimensions: [Int]) throws(ModelError) -> FloatBuffer? {
        file.tensor(name) == nil ? nil : try vector(name, dimensions: dimensions)
    }

    /// Refuses a tensor whose presence explains why others are missing.
    func refuse(_ name: String) throws(ModelError) {
        if file.tensor(name) != nil { throw .unsupportedTensor(name) }
    }

    /// A tensor nobody asked for belongs to a network that is not this one (normed queries, gates, adapters).
    func refuseUnread() throws(ModelError) {
        for tensor in file.tensors where !read.contains(tensor.name) { throw .unsupportedTensor(tensor.name) }
    }

    private mutating func find(_ name: String, dimensions: [Int]) throws(ModelError) -> GGUFTensor {
        guard let tensor = file.tensor(name) else { throw .missingTensor(name) }
        // Trailing extents of 1 are the same shape.
        var found = tensor.dimensions
        while found.count > dimensions.count, found.last == 1 { found.removeLast() }
        while found.count < dimensions.count, dimensions[found.count...].allSatisfy({ $0 == 1 }) { found.append(1) }
        guard found == dimensions else {
            throw .wrongShape(tensor: name, dimensions: tensor.dimensions, expected: dimensions)
        }
        read.insert(name)
        return tensor
    }
}
