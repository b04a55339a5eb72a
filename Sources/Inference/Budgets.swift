// How many entries of a document are kept, from what was asked for: when it is read, and when it is shrunk.

import API
import CAKE
import EngineInterface

extension Method {
    /// The average entries for each layer and KV head that a share or a budget comes to; nil for `auto`, which only a
    /// check can tell.
    ///
    /// A share is rounded up to what the method keeps in any case; an explicit number is taken at its word.
    func budget(_ keep: Keep, tokens: Int, prefixTokens: Int, capacities: [Int]?) -> Int? {
        switch keep {
        case .percent(let percent):
            budget(
                keepingPercent: percent, tokens: tokens, templatePrefixTokens: prefixTokens, capacities: capacities)
        case .budget(let entries): entries
        case .auto: nil
        }
    }

    /// Throws when a budget is less than the method keeps of a document in any case.
    func check(budget: Int, tokens: Int, prefixTokens: Int) throws(EngineError) {
        let smallest = min(tokens, smallestBudget(tokens: tokens, templatePrefixTokens: prefixTokens))
        guard budget < smallest else { return }
        throw .invalidBudget(
            """
            the budget is \(budget) entries; method \(name) always keeps \(smallest) of this document: use at least \
            \(smallest)
            """)
    }
}

extension EngineError {
    /// A budget that this document cannot have.
    static func invalidBudget(_ message: String, parameter: String = "budget") -> EngineError {
        .invalid(code: "invalid_budget", message: message, parameter: parameter)
    }
}
