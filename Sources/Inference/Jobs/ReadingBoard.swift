// The documents that are on their way into the store, so that the same request joins the one that runs, and everybody
// can see how far each is.

import API
import CacheStore
import EngineInterface
import Locks

/// Jobs that wait, run or were set aside, by name; from any thread.
final class ReadingBoard: Sendable {
    /// A job that was interrupted too often, or failed with nobody to hear of it: its files stay until it is put again.
    struct SetAside: Sendable {
        var document: Document
        var fileName: String
    }

    private struct State {
        var jobs: [DocumentKey: [DocumentJob]] = [:]
        var setAside: [DocumentKey: [SetAside]] = [:]

        mutating func takeOff(_ job: DocumentJob) {
            jobs[job.key]?.removeAll { $0 === job }
            if jobs[job.key]?.isEmpty == true { jobs[job.key] = nil }
        }
    }

    private let state = Mutex(State())

    /// Lets `feed` wait for a job that does the same, or adds `job`; true when it joined one.
    func join(_ feed: EventFeed<PutEvent>, orAdd job: DocumentJob) -> DocumentJob? {
        state.withLock { state in
            let same = state.jobs[job.key]?.first { $0.fileName == job.fileName }
            if let same, same.audience.join(feed, detaching: job.audience.isDetached) { return same }
            state.jobs[job.key, default: []].append(job)
            state.setAside[job.key]?.removeAll { $0.fileName == job.fileName }
            return nil
        }
    }

    /// Adds a job that nobody waits for.
    func add(_ job: DocumentJob) { state.withLock { $0.jobs[job.key, default: []].append(job) } }

    /// Takes a job off; the files of those set aside under its name, which a stored document replaces.
    @discardableResult
    func remove(_ job: DocumentJob, stored: Bool = false) -> [String] {
        state.withLock { state in
            state.takeOff(job)
            return stored ? state.setAside.removeValue(forKey: job.key)?.map(\.fileName) ?? [] : []
        }
    }

    /// Takes a job off and notes that it goes on only when it is put again, in one step: its name is never unknown.
    func setAside(_ job: DocumentJob, problem: String) {
        var document = job.document(state: .interrupted)
        document.problem = problem
        state.withLock { [document] state in
            state.takeOff(job)
            state.setAside[job.key, default: []].removeAll { $0.fileName == job.fileName }
            state.setAside[job.key, default: []].append(SetAside(document: document, fileName: job.fileName))
        }
    }

    /// The jobs of a name, the earliest first.
    func jobs(_ key: DocumentKey) -> [DocumentJob] { state.withLock { $0.jobs[key] ?? [] } }

    /// Whether a job of a name has these files.
    func holds(_ fileName: String, of key: DocumentKey) -> Bool {
        state.withLock { $0.jobs[key]?.contains { $0.fileName == fileName } ?? false }
    }

    /// Forgets what was set aside under a name, and says which files it has.
    func takeSetAside(_ key: DocumentKey) -> [String] {
        state.withLock { $0.setAside.removeValue(forKey: key)?.map(\.fileName) ?? [] }
    }

    /// What is to be said of a name that is not in the store, or not yet again.
    func document(_ key: DocumentKey) -> Document? {
        state.withLock { state in
            state.jobs[key]?.first.map { $0.document() } ?? state.setAside[key]?.last?.document
        }
    }

    /// The same for all names of an owner.
    func documents(owner: UInt32) -> [Document] {
        state.withLock { state in
            Set(state.jobs.keys).union(state.setAside.keys).filter { $0.owner == owner }
                .compactMap { key in state.jobs[key]?.first.map { $0.document() } ?? state.setAside[key]?.last?.document
                }
                .sorted { $0.id < $1.id }
        }
    }

    /// Jobs that have files, and those set aside.
    var counts: (durable: Int, setAside: Int) {
        state.withLock { state in
            (
                state.jobs.values.joined().count { $0.isKept }, state.setAside.values.reduce(0) { $0 + $1.count }
            )
        }
    }
}
