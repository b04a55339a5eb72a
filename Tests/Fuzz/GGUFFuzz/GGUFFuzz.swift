// Feeds the GGUF reader what libFuzzer invents: a typed error or a sound reading, never a trap or a stray access.

import FuzzDriver
import GGUF

@main
enum GGUFFuzz {
    static func main() { fuzz(read) }

    /// Opens the file and asks for every value as every type, and for every byte of every tensor.
    private static func read(_ bytes: [UInt8]) {
        guard let file = try? GGUFFile(copying: bytes) else { return }
        for key in file.metadata.keys {
            _ = try? file.metadata.string(key)
            _ = try? file.metadata.integer(key)
            _ = try? file.metadata.float(key)
            _ = try? file.metadata.bool(key)
            _ = try? file.metadata.strings(key)
            _ = try? file.metadata.floats(key)
            _ = try? file.metadata.integers(key)
        }
        var sum: UInt8 = 0
        for tensor in file.tensors {
            let bytes = unsafe file.bytes(of: tensor)
            precondition(bytes.count == tensor.byteCount && tensor.elementCount > 0)
            sum = unsafe bytes.reduce(sum, &+)
        }
        // Tensors lie apart from each other, so together they are no larger than the file.
        precondition(file.tensors.reduce(0) { $0 + $1.byteCount } <= bytes.count, "overlap; sum \(sum)")
    }
}
