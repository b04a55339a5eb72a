// Counts of what the engine has done since it started, read by status and metrics from any thread.

import API
import CacheStore
import EngineInterface
import Locks

import struct Synchronization.Atomic

/// Totals and gauges, each read on its own; together they are no snapshot of one instant.
final class EngineTotals: Sendable {
    private let prefilledTokens = Atomic<Int>(0)
    private let questionTokens = Atomic<Int>(0)
    private let generatedTokens = Atomic<Int>(0)
    private let answeredQuestions = Atomic<Int>(0)
    private let writtenDocuments = Atomic<Int>(0)
    private let writtenCheckpoints = Atomic<Int>(0)
    private let checkpointMicroseconds = Atomic<Int>(0)
    private let resumedDocuments = Atomic<Int>(0)
    private let joinedRequests = Atomic<Int>(0)
    private let reclaimed = Mutex(DaemonStatus.Reclaimed())
    private let runningQuestions = Atomic<Int>(0)
    private let runningDocuments = Atomic<Int>(0)
    private let tails = Mutex(DaemonStatus.Tails())

    func prefilled(_ tokens: Int) { prefilledTokens.add(tokens, ordering: .relaxed) }

    func answered(read: Int, generated: Int) {
        questionTokens.add(read, ordering: .relaxed)
        generatedTokens.add(generated, ordering: .relaxed)
        answeredQuestions.add(1, ordering: .relaxed)
    }

    func wroteDocument() { writtenDocuments.add(1, ordering: .relaxed) }

    func wroteCheckpoint(seconds: Double) {
        writtenCheckpoints.add(1, ordering: .relaxed)
        checkpointMicroseconds.add(Int(seconds * 1e6), ordering: .relaxed)
    }

    func resumedDocument() { resumedDocuments.add(1, ordering: .relaxed) }

    func joinedRequest() { joinedRequests.add(1, ordering: .relaxed) }

    func reclaimed(_ act: Reclaim) {
        reclaimed.withLock { totals in
            switch act {
            case .expired: totals.expired.add(act.bytes)
            case .shrunk: totals.shrunk.add(act.bytes)
            case .deleted: totals.deleted.add(act.bytes)
            }
        }
    }

    func setRunning(questions: Int, document: Bool) {
        runningQuestions.store(questions, ordering: .relaxed)
        runningDocuments.store(document ? 1 : 0, ordering: .relaxed)
    }

    func setTailLimit(bytes: Int) { tails.withLock { $0.limitBytes = bytes } }

    func setTails(count: Int, bytes: Int, hits: Int, savedTokens: Int) {
        tails.withLock { ($0.count, $0.bytes, $0.hits, $0.savedTokens) = (count, bytes, hits, savedTokens) }
    }

    func fill(_ status: inout EngineStatus) {
        status.prefilledTokens = prefilledTokens.load(ordering: .relaxed)
        status.questionTokens = questionTokens.load(ordering: .relaxed)
        status.generatedTokens = generatedTokens.load(ordering: .relaxed)
        status.answeredQuestions = answeredQuestions.load(ordering: .relaxed)
        status.writtenDocuments = writtenDocuments.load(ordering: .relaxed)
        status.writtenCheckpoints = writtenCheckpoints.load(ordering: .relaxed)
        status.checkpointSeconds = Double(checkpointMicroseconds.load(ordering: .relaxed)) / 1e6
        status.resumedDocuments = resumedDocuments.load(ordering: .relaxed)
        status.joinedRequests = joinedRequests.load(ordering: .relaxed)
        status.daemon.reclaimed = reclaimed.withLock { $0 }
        status.daemon.tails = tails.withLock { $0 }
        status.daemon.running.questions = runningQuestions.load(ordering: .relaxed)
        status.daemon.running.documents = runningDocuments.load(ordering: .relaxed)
    }
}

extension DaemonStatus.Reclaimed.Acts {
    fileprivate mutating func add(_ bytes: Int) {
        count += 1
        self.bytes += bytes
    }
}
