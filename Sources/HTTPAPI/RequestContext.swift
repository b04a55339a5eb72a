// What a handler knows about its request besides the request: who asks, and whose documents they mean.

import API
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
    func documentName() throws(RequestError) -> String {
        try DocumentName.checked(parameters.get("id") ?? "", param: "id")
    }
}
