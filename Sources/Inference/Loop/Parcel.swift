// Something that one thread hands over to another for good.

import Synchronization

/// A value on its way between threads; it can be taken out once.
///
/// Unchecked: who puts a value in keeps no reference to it, and the exchange orders what the one thread wrote before
/// what the other reads.
package final class Parcel<Value>: @unchecked Sendable {
    private var value: Value?
    private let isTaken = Atomic<Bool>(false)

    /// Packs a value that the caller uses no more.
    package init(_ value: consuming Value) { self.value = value }

    /// Unpacks it; nil when that was done before.
    package func take() -> Value? {
        guard !isTaken.exchange(true, ordering: .acquiringAndReleasing) else { return nil }
        defer { value = nil }
        return value
    }
}
