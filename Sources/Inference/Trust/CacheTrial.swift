// A compact cache on trial: checked at one budget after another until one is good enough, a fraction of a second a
// step.

import API
import CAKE
import CacheStore
import Transformer

/// Checks the cache of a document that has just been read, by its terms.
final class CacheTrial {
    private let terms: CheckTerms
    private let method: Method
    private let prefixTokens: Int
    private let largest: CompactCache
    private let full: OutputRows
    private let decoder: Decoder
    private var search: BudgetSearch
    /// What is expected without the document; nil until that is known.
    private var blind: [CacheCheck.Token]?
    /// The budget on trial, and its cache.
    private var current: (budget: Int, cache: CompactCache)?
    private var check: CacheCheck?
    /// Checks begun so far, that of nothing included.
    private(set) var trials = 0
    /// The latest figures of a budget that holds, else of the largest.
    private var outcome: FinishedReading?

    /// - Parameters:
    ///   - cache: what was kept at the largest budget.
    ///   - full: what the full cache made of the places.
    init(
        _ plan: ReadingPlan, terms: CheckTerms, cache: CompactCache, full: OutputRows, decoder: Decoder
    ) {
        (self.terms, method, prefixTokens) = (terms, plan.method, plan.prefixTokens)
        (largest, self.full, self.decoder) = (cache, full, decoder)
        search = BudgetSearch(terms.budgets, startsSmall: terms.startsSmall)
    }

    /// Does the next piece of work; the outcome when it was the last.
    func step() throws(ModelError) -> FinishedReading? {
        guard !terms.places.isEmpty else {
            let budget = terms.uncheckedBudget
            return FinishedReading(
                cache: try truncated(to: budget), budget: budget, figures: CheckFigures(budget: budget))
        }
        guard let check else {
            try begin()
            return nil
        }
        guard try check.step() else { return nil }
        self.check = nil
        guard let blind, let current else {
            // An empty base was asked: whoever has read nothing.
            blind = check.tokens
            return nil
        }
        var figures = CheckFigures(
            budget: current.budget, places: terms.places.count, tokens: check.tokens, blind: blind)
        figures.target = terms.target
        let holds = terms.isAtLeast(terms.target, figures.recall)
        let found = FinishedReading(cache: current.cache, budget: current.budget, figures: figures)
        if figures.recall == nil {
            // Then no budget can be told from another.
            guard current.budget != terms.uncheckedBudget else { return found }
            self.current = (terms.uncheckedBudget, try truncated(to: terms.uncheckedBudget))
            return nil
        }
        search.note(holds: holds)
        if holds || search.found == nil { outcome = found }
        self.current = nil
        return search.next == nil ? outcome : nil
    }

    private func begin() throws(ModelError) {
        guard blind != nil else {
            return check = checking(largest.emptyBase)
        }
        if current == nil, let budget = search.next { current = (budget, try truncated(to: budget)) }
        if let current { check = checking(current.cache.base) }
    }

    private func checking(_ base: BaseRows) -> CacheCheck {
        trials += 1
        return CacheCheck(decoder: decoder, places: terms.places, full: full, base: base)
    }

    private func truncated(to budget: Int) throws(ModelError) -> CompactCache {
        guard budget < terms.budgets[terms.budgets.count - 1] else { return largest }
        do throws(CAKEError) {
            return largest.truncated(
                to: try largest.retention.truncated(to: budget, method: method, templatePrefixTokens: prefixTokens))
        } catch {
            throw .eviction(error)
        }
    }
}
