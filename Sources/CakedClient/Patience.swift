// When a request is repeated: where that is harmless, a bounded number of times, within a bounded time.

/// How long a client goes on asking a daemon that is away for a moment, such as one that is started again.
public struct Patience: Equatable, Sendable {
    /// Seconds in which a daemon has to appear where none answers.
    public var unreachableSeconds: Double
    /// Seconds in which one that is there has to take the request.
    public var busySeconds: Double

    /// Nothing is repeated.
    public static let none = Patience(unreachableSeconds: 0, busySeconds: 0)
    /// A restart takes as long as the answers that are finished before it, and mapping a model.
    public static let standard = Patience(unreachableSeconds: 10, busySeconds: 30)

    /// Of 503: what goes away by itself.
    private static let passingCodes: Set<String> = ["busy", "shutting_down", "model_changed"]
    /// Times a request is sent at most, whatever the pauses are.
    static let maximumTries = 100
    /// The first pause, which doubles from try to try up to the longest.
    private static let firstPauseSeconds = 0.05
    private static let longestPauseSeconds = 1.0

    /// Both bounds.
    public init(unreachableSeconds: Double, busySeconds: Double) {
        (self.unreachableSeconds, self.busySeconds) = (unreachableSeconds, busySeconds)
    }

    /// How a request failed.
    package struct Failure: Sendable {
        package var error: ClientError
        /// Whether any of an answer had come.
        package var wasAnswered: Bool
        /// Whether it does no harm to do what was asked a second time.
        package var isRepeatable: Bool

        /// All three.
        package init(_ error: ClientError, wasAnswered: Bool, isRepeatable: Bool) {
            (self.error, self.wasAnswered, self.isRepeatable) = (error, wasAnswered, isRepeatable)
        }
    }

    /// The seconds to wait before the next of `tries` tries, the first failure so many seconds ago; nil to give up.
    package func pause(after failure: Failure, elapsedSeconds: Double, tries: Int) -> Double? {
        guard let bound = bound(of: failure), tries < Self.maximumTries else { return nil }
        var pause = min(Self.longestPauseSeconds, Self.firstPauseSeconds * Double(1 << min(tries - 1, 10)))
        if case .api(_, _, _, _, let seconds?) = failure.error { pause = max(pause, Double(seconds)) }
        return elapsedSeconds + pause <= bound ? pause : nil
    }

    private func bound(of failure: Failure) -> Double? {
        switch failure.error {
        case .unreachable: unreachableSeconds
        case .backlogFull: busySeconds
        // Refused before anything was begun, and for no longer than a restart or a moment.
        case .api(status: 503, let code, _, _, _): Self.passingCodes.contains(code) ? busySeconds : nil
        // Inside a stream, of which nothing has been used.
        case .api(status: 200, _, _, _, _) where failure.error.isBusy && failure.isRepeatable: busySeconds
        case .closedEarly where !failure.wasAnswered && failure.isRepeatable: busySeconds
        default: nil
        }
    }
}
