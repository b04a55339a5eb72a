// Completion of document names in the shell.
import API
import ArgumentParser
import CakedClient

extension CompletionKind {
    /// The names that the daemon knows; nothing when it does not answer at once.
    static let documentNames = CompletionKind.custom { _, _, prefix async in
        guard let path = try? SocketPath.resolve() else { return [] }
        // A shell that waits for its completion is worse than one without.
        let documents = try? await DaemonClient(socketPath: path, idleTimeoutSeconds: 1).documents()
        return (documents ?? []).map(\.id).filter { $0.hasPrefix(prefix) }
    }
}
