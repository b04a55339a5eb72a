// How much of a document's cache is kept, and every way to write it.

/// How much of a document's cache to keep.
public enum Keep: Equatable, Sendable {
    /// A share of all entries, more than 0 and at most 100.
    case percent(Double)
    /// The average number of entries for each layer and KV head, the observation window and protected entries included.
    case budget(Int)
    /// As little as recalls the configured share of what the document's check asks for, and at most half.
    case auto

    /// What a share must be, for error messages.
    public static let wantedShare =
        "a percentage such as 10% or 10, or a share such as 0.1, more than nothing and at most all"
    /// What a value must be that may leave the share to the check.
    public static let wanted = wantedShare + ", or auto"

    /// What a budget must be.
    static let wantedBudget = "a whole number of entries, 1 to \(Int.max)"

    /// What "10%" or "10" or, as a share, "0.1" or "auto" stands for; nil where it is none of them or out of range.
    public init?(_ text: String) {
        if text == "auto" {
            self = .auto
        } else if let percent = Self.percent(text) {
            self = .percent(percent)
        } else {
            return nil
        }
    }

    /// The percentage of "10%" or "10" or, as a share, "0.1"; nil where it is neither or out of range.
    ///
    /// A number without a sign is a share as far as it can be one: 1 is all.
    public static func percent(_ text: String) -> Double? {
        let percent = text.hasSuffix("%") ? Double(text.dropLast()) : Double(text).map { $0 > 1 ? $0 : $0 * 100 }
        return percent.flatMap { isPossible(percent: $0) ? $0 : nil }
    }

    /// Whether a percentage keeps something and no more than all.
    private static func isPossible(percent: Double) -> Bool { percent > 0 && percent <= 100 }

    /// Throws what is wrong with it.
    func check() throws(RequestError) {
        switch self {
        case .percent(let percent):
            guard Self.isPossible(percent: percent) else { throw Self.wrongShare }
        case .budget(let budget):
            guard budget > 0 else { throw Self.wrongBudget }
        case .auto: break
        }
    }

    /// The share that a request gives as text.
    static func share(_ text: String) throws(RequestError) -> Keep {
        guard let keep = Keep(text) else { throw wrongShare }
        return keep
    }

    /// What a request wants that may give a share or a budget, but not both.
    static func either(share: Keep?, budget: Int?) throws(RequestError) -> Keep? {
        guard let budget else { return share }
        guard share == nil else { throw refusal("give either `keep` or `budget`, not both", "budget") }
        try Keep.budget(budget).check()
        return .budget(budget)
    }

    static let wrongShare = refusal("`keep` must be \(wanted)", "keep")
    static let wrongBudget = refusal("`budget` must be \(wantedBudget)", "budget")

    /// An error about how much to keep.
    private static func refusal(_ message: String, _ param: String) -> RequestError {
        RequestError("invalid_budget", message, param: param)
    }
}
