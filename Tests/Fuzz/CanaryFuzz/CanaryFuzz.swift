// A planted bug: if this fuzzer does not crash within seconds, the others prove nothing.

import FuzzDriver

@main
enum CanaryFuzz {
    static func main() {
        fuzz { bytes in
            // Each comparison is a branch of its own, so that coverage leads to the last one.
            guard bytes.count > 4, bytes[0] == UInt8(ascii: "C") else { return }
            guard bytes[1] == UInt8(ascii: "A"), bytes[2] == UInt8(ascii: "K") else { return }
            guard bytes[3] == UInt8(ascii: "E") else { return }
            // Out of bounds on purpose.
            precondition(bytes[bytes.count - 5 + Int(bytes[4])] < 0xFF)
        }
    }
}
