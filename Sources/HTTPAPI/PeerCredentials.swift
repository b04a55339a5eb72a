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

    /// Asks the kernel who connected `channel` (SO_PEERCRED, unix(7)).
    @Sendable static func of(_ channel: any Channel) async throws -> PeerCredentials {
        guard let provider = channel as? any SocketOptionProvider else { throw ChannelError.operationUnsupported }
        // The option's value has exactly the layout of this struct: CLinux declares Linux's `struct ucred`.
        let ucred: caked_ucred = try await provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        ).get()
        return PeerCredentials(process: ucred.pid, user: ucred.uid, group: ucred.gid)
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
