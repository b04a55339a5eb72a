// Which writing of a document is stored, for those who keep what they made of it.

import Locks

import struct Synchronization.Atomic

/// What changes with a document's entries: it is written anew, or shrunk.
public struct Writing: Hashable, Sendable {
    /// The id under which its records are stored.
    public var generation: UInt64
    /// Average entries kept for each layer and KV head.
    public var budget: Int

    /// Both.
    public init(generation: UInt64, budget: Int) {
        (self.generation, self.budget) = (generation, budget)
    }
}

extension DocumentStore {
    /// Grows with every write, so that who keeps something of a document knows when to look again.
    public var writes: UInt64 { changes.load(ordering: .acquiring) }

    /// The writing of a document that is stored now; nil where it is gone or damaged.
    public func writing(of key: DocumentKey) -> Writing? {
        state.withLock { state in
            guard state.quarantine[key] == nil, let entry = state.shelf.entries[key], !entry.isDamaged else {
                return nil
            }
            return Writing(generation: entry.generation, budget: entry.budget)
        }
    }
}
