// Who is at the other end of a connection, and whose documents they see.

import CLinux
import NIOCore
import NIOPosix

/// The process that connected, as the kernel recorded it.
public struct PeerCredentials: Equatable, Sendable {
    /// What the kernel reports for a uid without a mapping in our user namespace (`/proc/sys/kernel/overflowuid`).
    public static let unmappedUser: UInt32 = 65534

    /// The process.
    public var process: Int32
    /// Its effective user when it connected.
    public var user: UInt32
    /// Its effective group when it connected.
    public var group: UInt32

    /// All three.
    public init(process: Int32, user: UInt32, group: UInt32) {
        self.process = process
        self.user = user
        self.group = group
    }

    /// Asks the kernel who connected `channel`, on whose event loop this is called (SO_PEERCRED, unix(7)).
    @Sendable static func of(_ channel: any Channel) throws -> PeerCredentials {
        let pipeline = channel.pipeline.syncOperations
        let peer = try pipeline.withUnsafeTransportIfAvailable { (socket: NIOBSDSocket.Handle) in
            var peer = PeerCredentials(process: 0, user: 0, group: 0)
            let error = unsafe caked_peer_credentials(socket, &peer.process, &peer.user, &peer.group)
            guard error == 0 else { throw IOError(errnoCode: error, reason: "getsockopt SO_PEERCRED") }
            return peer
        }
        guard let peer else { throw ChannelError.operationUnsupported }
        return peer
    }
}

/// Who shares a namespace of documents.
public enum Access: String, CaseIterable, Sendable {
    /// Every user sees only the documents they put.
    case user
    /// Everybody who may open the socket shares one namespace, the daemon's own.
    case group

    /// The owner whose documents `peer` means.
    func owner(for peer: PeerCredentials, daemonUser: UInt32) -> UInt32 {
        switch self {
        case .user: peer.user
        case .group: daemonUser
        }
    }
}
