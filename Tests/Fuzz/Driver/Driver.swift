// libFuzzer's main loop around a Swift closure.
//
// `CAKED_FUZZ=1 swift build -c release --product GGUFFuzz`, then, with SWIFT_BACKTRACE=enable=no so that a crash is
// reported at once: `GGUFFuzz -rss_limit_mb=512 -max_total_time=600 CORPUS`; `make fuzz` does that for all of them.

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

// Set once, before the loop begins; a C function pointer can carry no context.
nonisolated(unsafe) private var test: ([UInt8]) -> Void = { _ in }

/// Calls `body` with what libFuzzer invents until it crashes or the time is up.
public func fuzz(_ body: @escaping ([UInt8]) -> Void) {
    unsafe test = body
    unsafe run(CommandLine.argc, CommandLine.unsafeArgv)
}

// Parameters of its own: `inout` locals of `unsafeArgv`'s type beside it crash the compiler (Swift 6.3.1).
private func run(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
    var count = count
    var arguments = unsafe arguments
    _ = unsafe runDriver(&count, &arguments) { bytes, count in
        unsafe test(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}
