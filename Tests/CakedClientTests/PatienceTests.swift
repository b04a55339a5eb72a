// What is repeated, when, and for how long.
import CakedClient
import Testing

@Suite struct PatienceTests {
    static let patience = Patience(unreachableSeconds: 10, busySeconds: 30)

    static func refused(_ status: Int, _ code: String, after: Int? = nil) -> ClientError {
        .api(status: status, code: code, message: "no", param: nil, retryAfterSeconds: after)
    }

    @Test(
        "pauses double, honour Retry-After, and end within the bound of their kind",
        arguments: [
            (.unreachable(path: "s", reason: ""), 0, 1, 0.05), (.unreachable(path: "s", reason: ""), 1, 3, 0.2),
            (.unreachable(path: "s", reason: ""), 9, 20, 1), (.unreachable(path: "s", reason: ""), 9.1, 20, nil),
            (.backlogFull(path: "s"), 28, 20, 1), (.backlogFull(path: "s"), 29.5, 20, nil),
            (.backlogFull(path: "s"), 1, 100, nil), (refused(503, "shutting_down", after: 5), 0, 1, 5),
            (refused(503, "busy", after: 0), 0, 1, 0.05), (refused(503, "model_changed", after: 5), 26, 5, nil),
            (refused(503, "store_lost", after: 5), 0, 1, nil), (refused(429, "busy", after: 1), 0, 1, nil),
            (refused(404, "document_not_found"), 0, 1, nil), (.closedEarly("without an answer"), 0, 1, 0.05),
            (refused(200, "shutting_down"), 0, 1, 0.05), (.timedOut(seconds: 1), 0, 1, nil), (.cancelled, 0, 1, nil),
        ] as [(ClientError, Double, Int, Double?)])
    func pauses(error: ClientError, elapsedSeconds: Double, tries: Int, pause: Double?) {
        let failure = Patience.Failure(error, wasAnswered: false, isRepeatable: true)
        #expect(Self.patience.pause(after: failure, elapsedSeconds: elapsedSeconds, tries: tries) == pause)
        #expect(Patience.none.pause(after: failure, elapsedSeconds: elapsedSeconds, tries: tries) == nil)
    }

    @Test("what may have been done is repeated only where that does no harm, and never once there was an answer")
    func harm() {
        func pause(_ error: ClientError, wasAnswered: Bool, isRepeatable: Bool) -> Double? {
            Self.patience.pause(
                after: .init(error, wasAnswered: wasAnswered, isRepeatable: isRepeatable), elapsedSeconds: 0, tries: 1)
        }
        let closed = ClientError.closedEarly("without an answer")
        #expect(pause(closed, wasAnswered: false, isRepeatable: false) == nil)
        #expect(pause(closed, wasAnswered: true, isRepeatable: true) == nil)
        #expect(pause(Self.refused(200, "shutting_down"), wasAnswered: true, isRepeatable: true) != nil)
        #expect(pause(Self.refused(200, "shutting_down"), wasAnswered: true, isRepeatable: false) == nil)
        #expect(pause(Self.refused(503, "shutting_down"), wasAnswered: true, isRepeatable: false) != nil)
        #expect(pause(.unreachable(path: "s", reason: ""), wasAnswered: false, isRepeatable: false) != nil)
    }
}
