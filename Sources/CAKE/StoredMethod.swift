// A method as a document keeps it: whole and with a version, so that it is shrunk by the rules it was written by.

/// All parts of a method, for a manifest; read back from files that may be anyone's.
public struct StoredMethod: Codable, Sendable, Hashable {
    /// Raised when a part changes its meaning, or a method what it does with its parts.
    public static let version = 1

    /// The version that wrote it.
    public let version: Int
    private let method: Method

    /// A method as this version understands it.
    public init(_ method: Method) {
        version = Self.version
        self.method = method
    }

    /// The method; nil when another version wrote it, or no version can have.
    public var usable: Method? { version == Self.version && method.isPossible ? method : nil }
}

extension Method {
    /// Tokens that a part of a method may speak of: more than any context has, and small enough to add up.
    private static let maximumTokens = 1 << 30
    /// Neighbours an indicator may be averaged over: a thousand times what any method does.
    private static let maximumPoolWidth = 4_095

    /// Whether every number is one that the arithmetic takes.
    var isPossible: Bool {
        let tokens = 0...Self.maximumTokens
        guard tokens ~= protectedTokens, tokens ~= recentTokens, Self.isPossible(observation) else { return false }
        if case .largestChange = indicator, weighsValues { return false }
        if case .compete(let safeguard) = heads, !(0...1 ~= safeguard) { return false }
        return Self.isPossible(indicator) && Self.isPossible(allocation)
    }

    private static func isPossible(_ observation: Observation) -> Bool {
        func isPossible(_ sight: Sight) -> Bool {
            if case .around(let tokens) = sight { 0...maximumTokens ~= tokens } else { true }
        }
        return switch observation {
        case .none, .everyRow, .probe, .predicted: true
        case .window(let rows): 1...maximumTokens ~= rows
        case .reconstruction(let rows, let reads, let judges):
            1...maximumTokens ~= rows && isPossible(reads) && isPossible(judges)
        }
    }

    private static func isPossible(_ indicator: Indicator) -> Bool {
        func isPool(_ width: Int) -> Bool { 1...maximumPoolWidth ~= width && !width.isMultiple(of: 2) }
        return switch indicator {
        case .position, .recency, .meanOverHeads, .accumulated, .maximum, .pooledMaximum: true
        case .meanPlusVariance(let gamma, let width): gamma.isFinite && isPool(width)
        case .largestChange(let width): isPool(width)
        }
    }

    private static func isPossible(_ allocation: Allocation) -> Bool {
        func isExponent(_ tau: Double) -> Bool { tau.isFinite && tau > 0 }
        return switch allocation {
        case .everything, .uniform: true
        case .pyramid(let beta): 1...maximumTokens ~= beta
        case .cake(let tau1, let tau2, let floor): isExponent(tau1) && isExponent(tau2) && 0...1 ~= floor
        case .global(let floor): 0...1 ~= floor
        case .guardedGlobal(let tau1, let tau2, let share, let floor):
            isExponent(tau1) && isExponent(tau2) && 0...1 ~= share && 0...share ~= floor
        }
    }
}
