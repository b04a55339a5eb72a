// What a document's check is for: to be reported, to choose the budget, or to refuse what is too small.

import API
import CAKE
import CacheStore
import EngineInterface
import Transformer

/// What becomes of a document whose cache recalls less than the configured floor.
public enum BelowFloor: String, CaseIterable, Sendable {
    /// It is not stored.
    case refuse
    /// It is given a larger budget, up to half of its bytes.
    case enlarge
}

/// Fixed with the request, before the document is read.
struct CheckTerms: Sendable, Equatable {
    /// Budgets that are tried where one is chosen, in percent as `keep` counts them: steps of about two fifths.
    ///
    /// A document is read with the largest, which is what memory it takes meanwhile.
    static let ladderPercents = [3.2, 5, 7, 10, 14, 20, 28, 40, 50]
    /// Fewer known tokens say nothing: one of them would be an eighth of the recall.
    static let fewestKnownTokens = 8

    /// Where the caches are compared; none when the document is too short.
    var places: [CheckPlace]
    /// The budgets it may get, rising; it is read with the last.
    var budgets: [Int]
    /// Whether the smallest budget is what was asked for, and the others are for want of recall.
    var startsSmall: Bool
    /// The recall that the budget is to reach; nil: none in particular.
    var target: Double?
    /// The recall below which the document is refused; nil: none.
    var floor: Double?

    /// The terms of a request; nil when nothing is to be checked.
    ///
    /// - Parameter budget: what was asked for, the largest where it is to be chosen.
    init?(
        _ request: PutRequest, keep: Keep, budget: Int, method: Method, tokens: [Int32], of cache: CacheExtent,
        loaded: LoadedModel, configuration: EngineConfiguration
    ) {
        let floor = configuration.checkFloor > 0 ? configuration.checkFloor : nil
        let chooses = keep == .auto
        guard request.options.check == true || chooses || floor != nil else { return nil }
        self.floor = floor
        startsSmall = !chooses
        budgets = [budget]
        let ladder = Self.ladder(method, of: cache)
        if chooses {
            target = max(configuration.checkTarget, floor ?? 0)
            budgets = ladder
        } else if let floor, configuration.belowFloor == .enlarge {
            target = floor
            budgets += ladder.filter { $0 > budget }
        }
        places = loaded.checkPlaces(in: tokens, prefixTokens: cache.prefixTokens)
    }

    /// The budgets of the ladder for a document, rising.
    static func ladder(_ method: Method, of cache: CacheExtent) -> [Int] {
        Set(ladderPercents.map { method.budget(keepingPercent: $0, of: cache) }).sorted()
    }

    /// The budget of a document that nothing is known about.
    var uncheckedBudget: Int { startsSmall ? budgets[0] : budgets[budgets.count - 1] }

    /// Whether a stored document satisfies the terms without being read again.
    func accepts(_ found: CheckFigures?) -> Bool {
        guard let found else { return false }
        return isAtLeast(floor, found.recall)
    }

    /// Why a document is not stored; nil when it is.
    func refusal(of outcome: FinishedReading, plan: ReadingPlan) -> EngineError? {
        guard let floor, let recall = outcome.figures?.recall, recall < floor else { return nil }
        func percent(_ share: Double) -> String { "\((share * 1000).rounded(.down) / 10) %" }
        let kept = plan.extent.entryShare(ofBudget: outcome.budget)
        let ladder = Self.ladder(plan.method, of: plan.extent)
        let mend =
            ladder.contains { $0 > outcome.budget }
            ? "ask for a larger budget, or let keep \"auto\" find one"
            : "ask for a larger budget, another method, or configure a lower floor"
        return .unacceptable(
            code: "below_floor",
            message: """
                with \(percent(kept)) of its entries the document's cache recalls \(percent(recall)) of what the full \
                cache \
                knows, below the configured floor (check_floor) of \(percent(floor)), and is not stored: \(mend)
                """)
    }

    /// Whether a recall will do; an unknown one will.
    func isAtLeast(_ least: Double?, _ recall: Double?) -> Bool {
        guard let least, let recall else { return true }
        return recall >= least
    }
}

extension CheckFigures {
    /// Whether the full cache knows a token, and it is not known without the document.
    private static func isKnown(_ token: CacheCheck.Token, blind: CacheCheck.Token) -> Bool {
        token.fullBest == token.truth && blind.best != token.truth
    }

    /// What a check of a budget found; `blind` is what is expected without the document.
    package init(budget: Int, places: Int, tokens: [CacheCheck.Token], blind: [CacheCheck.Token]) {
        self.init(budget: budget)
        (self.places, self.tokens) = (places, tokens.count)
        guard !tokens.isEmpty else { return }
        func share(_ isCounted: (CacheCheck.Token) -> Bool) -> Double {
            Double(tokens.count(where: isCounted)) / Double(tokens.count)
        }
        let known = zip(tokens, blind).filter { Self.isKnown($0, blind: $1) }.map(\.0)
        self.known = known.count
        if known.count >= CheckTerms.fewestKnownTokens {
            recall = Double(known.count { $0.best == $0.truth }) / Double(known.count)
        }
        agreement = share { $0.best == $0.fullBest }
        right = share { $0.best == $0.truth }
        rightFull = share { $0.fullBest == $0.truth }
        // A token that one cache rules out makes the divergence infinite, which JSON cannot say.
        kl = min(tokens.reduce(0) { $0 + $1.divergence } / Double(tokens.count), 1e6)
    }
}
