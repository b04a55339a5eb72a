// The door of the socket: every connection passes it once, when the kernel has said whose it is.

import CLinux
import Locks
import NIOCore
import NIOPosix

/// Knows the open connections and who is behind each.
final class Door: Sendable {
    private struct Entry {
        var channel: any Channel
        var peer: PeerCredentials
    }
    private struct State {
        var table: ConnectionTable<ObjectIdentifier>
        var entries: [ObjectIdentifier: Entry] = [:]
    }

    private let state: Mutex<State>
    private let identify: @Sendable (any Channel) throws -> PeerCredentials

    /// A door with so many places behind it.
    init(places: Int, identify: @escaping @Sendable (any Channel) throws -> PeerCredentials) {
        state = Mutex(State(table: ConnectionTable(places: places)))
        self.identify = identify
    }

    /// Lets a connection in, in place of another where it must be; false when there is no place for it.
    ///
    /// Called on the connection's event loop.
    func enter(_ channel: any Channel) throws -> Bool {
        let peer = try identify(channel)
        let (isAdmitted, other) = state.withLock { state -> (Bool, (any Channel)?) in
            switch state.table.arrive(ObjectIdentifier(channel), user: peer.user) {
            case .refused: return (false, nil)
            case .admitted:
                state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, peer: peer)
                return (true, nil)
            case .admittedInstead(let other):
                state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, peer: peer)
                return (true, state.entries[other]?.channel)
            }
        }
        other?.close(promise: nil)
        return isAdmitted
    }

    /// Who is behind a connection that was let in, until it is forgotten.
    func peer(of channel: any Channel) -> PeerCredentials? {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.peer }
    }

    /// A request begins on a connection, or its answer has been written.
    func setBusy(_ channel: any Channel, _ isBusy: Bool) {
        state.withLock { $0.table.setBusy(ObjectIdentifier(channel), isBusy) }
    }

    /// A connection has ended, and its place is free.
    func leave(_ channel: any Channel) { state.withLock { $0.table.leave(ObjectIdentifier(channel)) } }

    /// Nothing that came over a connection is worked on any more.
    func forget(_ channel: any Channel) { state.withLock { $0.entries[ObjectIdentifier(channel)] = nil } }
}
