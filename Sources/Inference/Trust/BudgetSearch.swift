// The smallest of a few budgets that is good enough, with as few trials as need be.

/// A pure search: says which budget to try and is told whether that one holds, until it has found.
///
/// A larger budget is taken to hold where a smaller one does. Where that is not so the found budget holds all the same,
/// only a smaller one might have too.
package struct BudgetSearch: Sendable {
    private let budgets: [Int]
    /// Below it nothing holds; from `holding` on everything does, as far as is known.
    private var untried = 0
    private var holding: Int
    private var startsSmall: Bool

    /// - Parameters:
    ///   - budgets: at least one, rising.
    ///   - startsSmall: whether the smallest is likely to hold, and is tried first.
    package init(_ budgets: [Int], startsSmall: Bool) {
        precondition(!budgets.isEmpty && zip(budgets, budgets.dropFirst()).allSatisfy { $0 < $1 }, "budgets rise")
        (self.budgets, self.startsSmall) = (budgets, startsSmall)
        holding = budgets.count
    }

    private var index: Int { startsSmall ? 0 : (untried + holding) / 2 }

    /// The budget to try now; nil when the search is over.
    package var next: Int? { untried < holding ? budgets[index] : nil }

    /// Notes whether `next` holds.
    package mutating func note(holds: Bool) {
        precondition(untried < holding, "the search is over")
        if holds { holding = index } else { untried = index + 1 }
        startsSmall = false
    }

    /// The smallest budget found to hold; nil while, or when, none is.
    package var found: Int? { holding < budgets.count ? budgets[holding] : nil }
}
