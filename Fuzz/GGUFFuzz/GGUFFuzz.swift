// Feeds the GGUF reader what libFuzzer invents: a typed error or a sound reading, never a trap or a stray access.
//
// Run it on a folder of seeds: `GGUFFuzz -max_len=65536 -rss_limit_mb=256 -max_total_time=600 CORPUS`, with
// SWIFT_BACKTRACE=enable=no so that a crash is reported at once.

import GGUF

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

@main
enum GGUFFuzz {
    static func main() {
        unsafe run(CommandLine.argc, CommandLine.unsafeArgv)
    }

    // Parameters of its own: `inout` locals of `unsafeArgv`'s type in `main` crash the compiler (Swift 6.3.1).
    private nonisolated static func run(
        _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) {
        var count = count
        var arguments = unsafe arguments
        _ = unsafe runFuzzer(&count, &arguments, testOneInput)
    }

    private static let testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32 = { bytes, count in
        unsafe read(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }

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
