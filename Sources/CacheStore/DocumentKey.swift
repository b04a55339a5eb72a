// What a document is found by: its owner and its name.

/// An owner and a checked name; every name that reaches the store has passed here.
public struct DocumentKey: Hashable, Sendable, CustomStringConvertible {
    /// A name's greatest length; with the owner it stays far below LMDB's 511 bytes for a key.
    public static let maximumNameBytes = 128

    /// The user id that the document belongs to.
    public let owner: UInt32
    /// 1 to 128 of `A-Za-z0-9._-`, not starting with ".".
    public let name: String

    /// Checks a name, which may be anything; throws `StoreError.invalidName`, whose text holds nothing of it.
    public init(owner: UInt32, name: String) throws(StoreError) {
        let bytes = name.utf8
        guard !bytes.isEmpty else { throw .invalidName("it is empty") }
        guard bytes.count <= Self.maximumNameBytes else { throw .invalidName("it has \(bytes.count) bytes") }
        guard bytes.first != UInt8(ascii: ".") else { throw .invalidName("it starts with a dot") }
        for (offset, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                continue
            default: throw .invalidName("byte \(offset) is 0x\(String(byte, radix: 16))")
            }
        }
        (self.owner, self.name) = (owner, name)
    }

    /// The name, for messages.
    public var description: String { name }
}
