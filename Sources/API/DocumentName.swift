// The names of documents, as they stand in paths and requests.

/// The names of documents.
public enum DocumentName {
    /// The longest name, well under what a store's key may hold.
    public static let maximumBytes = 128

    /// Whether a name is 1 to 128 of `A-Z a-z 0-9 . _ -` and does not begin with a dot.
    public static func isPossible(_ name: String) -> Bool {
        (1...maximumBytes).contains(name.utf8.count) && name.utf8.allSatisfy(isAllowed)
            && name.utf8.first != UInt8(ascii: ".")
    }

    /// `name`, or the error that says what a name may be.
    public static func checked(_ name: String, param: String) throws(RequestError) -> String {
        guard isPossible(name) else {
            throw RequestError(
                "invalid_name",
                "a document's name is 1 to \(maximumBytes) characters of A-Z a-z 0-9 . _ - "
                    + "and does not begin with a dot",
                param: param)
        }
        return name
    }

    static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
