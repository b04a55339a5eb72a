// What a handler knows about its request besides the request: who asks, and whose documents they mean.

import Hummingbird
import HummingbirdCore
import Logging

/// Where a request comes from.
struct RequestSource: RequestContextSource {
    var logger: Logger
    var peer: PeerCredentials
    var owner: UInt32
}

/// The context of one request.
struct APIContext: RequestContext {
    typealias Source = RequestSource

    var coreContext: CoreRequestContextStorage
    let peer: PeerCredentials
    /// The namespace of document names.
    let owner: UInt32

    init(source: RequestSource) {
        coreContext = CoreRequestContextStorage(source: source)
        peer = source.peer
        owner = source.owner
    }

    /// The `{id}` of the path, if it may name a document: `[A-Za-z0-9._-]{1,128}` and no leading dot.
    func documentName() throws(APIError) -> String { try DocumentName.checked(parameters.get("id") ?? "", param: "id") }
}

/// The names of documents.
enum DocumentName {
    /// The longest name, well under what a store's key may hold.
    static let maxBytes = 128

    /// `name`, or the error that says what a name may be.
    static func checked(_ name: String, param: String) throws(APIError) -> String {
        let legal = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard legal, (1...maxBytes).contains(name.utf8.count), name.utf8.first != UInt8(ascii: ".") else {
            throw APIError(
                .badRequest, "invalid_name",
                "a document's name is 1 to \(maxBytes) characters of A-Z a-z 0-9 . _ - and does not begin with a dot",
                param: param)
        }
        return name
    }
}
