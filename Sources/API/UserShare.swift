// How much of the store's quota one user may hold.

/// How much of the quota one user may hold.
public enum UserShare: Equatable, Sendable {
    /// All of it.
    case all
    /// The quota divided by one more than the users who have documents: the last part is for the next to come.
    case equal
    /// So many bytes.
    case bytes(Int)
    /// This share of the quota, 0...1.
    case fraction(Double)
}
