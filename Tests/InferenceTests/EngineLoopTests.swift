// The engine's loop over work that follows a script: start, housekeeping, drain, abort, and a clerk that fails.

import Inference
import Synchronization
import Testing

/// Work by a script: documents take so many tiles, questions so many steps, and what is handed away waits until it is
/// given back.
private final class ScriptedWork: EngineWork {
    enum Request: Sendable {
        case question(steps: Int)
        case document(tiles: Int, opening: EngineMachine.Event.OpeningScript, checkpointAfter: Int?)
    }
    enum Returned: Sendable { case sound, lost }

    /// What was done, in order, as words.
    var done: [String] = []
    var left: [RequestID: Int] = [:]
    var checkpointAt: [RequestID: Int] = [:]
    var openings: [RequestID: EngineMachine.Event.OpeningScript] = [:]
    var gone: Set<RequestID> = []

    func accept(_ request: Request, as id: RequestID) -> EngineMachine.Event {
        switch request {
        case .question(let steps):
            left[id] = steps
            return .question(id, user: 1)
        case .document(let tiles, let opening, let checkpointAfter):
            left[id] = tiles
            openings[id] = opening
            checkpointAt[id] = checkpointAfter.map { tiles - $0 }
            return .document(id, user: 1)
        }
    }

    func take(_ returned: Returned, for id: RequestID) -> [EngineMachine.Event] {
        guard left[id] != nil else { return [] }
        switch returned {
        case .sound: return left[id] == 0 ? ending(id, "stored") : [.returned(id)]
        case .lost: return ending(id, "failed")
        }
    }

    func perform(_ action: EngineMachine.Action) -> [EngineMachine.Event] {
        done.append("\(action)".replacing("Inference.RequestID(number: ", with: "").replacing("))", with: ")"))
        switch action {
        case .open(let id):
            switch openings[id] ?? .fresh {
            case .fresh: return [.opened(id, .fresh)]
            case .checkpointed: return [.opened(id, .checkpointed)]
            case .stored: return ending(id, "stored")
            case .refused: return ending(id, "failed")
            }
        case .reject(let id): return ending(id, "refused")
        case .drop(let id): return ending(id, "dropped")
        default: return []
        }
    }

    func perform(_ work: EngineMachine.Work) -> [EngineMachine.Event] {
        switch work {
        case .questions(let ids):
            return ids.flatMap { id -> [EngineMachine.Event] in
                left[id, default: 0] -= 1
                return left[id] == 0 ? ending(id, "answered") : []
            }
        case .read(let id):
            left[id, default: 0] -= 1
            if left[id] == 0 { return [.read(id, isChecked: false)] }
            return left[id] == checkpointAt[id] ? [.checkpointDue(id)] : []
        default: return []
        }
    }

    func look() -> [EngineMachine.Event] { gone.map { .abandoned($0) } }
    func note(runningQuestions: Int, runsDocument: Bool) {}
    func keepHouse() { done.append("keepHouse") }

    private func ending(_ id: RequestID, _ how: String) -> [EngineMachine.Event] {
        left[id] = nil
        gone.remove(id)
        done.append("\(how) \(id.number)")
        return [.ended(id)]
    }
}

extension EngineMachine.Event {
    /// What a scripted store says when a document's turn has come.
    enum OpeningScript: Sendable { case fresh, checkpointed, stored, refused }
}

@Suite("Engine loop")
struct EngineLoopTests {
    private typealias Message = EngineLoop<ScriptedWork>.Message

    /// A core over scripted work, without a thread, and the clock it goes by.
    private final class Bench {
        let work = ScriptedWork()
        var time = ContinuousClock().now
        private var core: EngineCore<ScriptedWork>?

        init(places: Int = 2) {
            core = EngineCore(machine: EngineMachine(maxRunningQuestions: places), work: work) { [unowned self] in
                time
            }
        }

        /// Turns until there is nothing to do.
        func run(_ messages: Message...) -> EngineLoop<ScriptedWork>.Turn {
            var turn = core?.turn(messages) ?? .ended
            for _ in 0..<1000 where turn == .worked { turn = core?.turn([]) ?? .ended }
            return turn
        }
    }

    private func document(
        tiles: Int = 3, _ opening: EngineMachine.Event.OpeningScript = .fresh, checkpointAfter: Int? = nil
    ) -> Message {
        .request(.document(tiles: tiles, opening: opening, checkpointAfter: checkpointAfter))
    }

    @Test("jobs that an earlier daemon left go on, each as the store knows it, in their order")
    func startsWithJobs() {
        let bench = Bench()
        #expect(bench.run(document(.stored), document(.refused), document(.checkpointed), document()) == .idle)
        #expect(bench.work.done == ["open(1)", "stored 1", "open(2)", "failed 2", "open(3)", "restore(3)"])
        #expect(bench.run(.returned(.sound, RequestID(3))) == .idle)
        #expect(bench.work.done.suffix(1) == ["write(3)"])
        #expect(bench.run(.returned(.sound, RequestID(3))) == .idle)
        #expect(bench.run(.returned(.sound, RequestID(4))) == .idle)
        #expect(bench.work.done.suffix(4) == ["stored 3", "open(4)", "write(4)", "stored 4"])
    }

    @Test("a drain with a reading and a question under way finishes both, and then the loop ends")
    func drains() {
        let bench = Bench()
        #expect(bench.run(document(tiles: 20, checkpointAfter: 2)) == .idle)
        #expect(bench.work.done == ["open(1)", "checkpoint(1)"])
        _ = bench.run(.request(.question(steps: 5)), .drain, .request(.question(steps: 5)))
        #expect(bench.work.done.suffix(5) == ["begin(2)", "hurry(1)", "reject(3)", "refused 3", "answered 2"])
        #expect(bench.run(.returned(.sound, RequestID(1))) == .idle)
        #expect(bench.work.done.last == "write(1)")
        #expect(bench.run(.returned(.sound, RequestID(1))) == .ended)
        #expect(bench.work.done.last == "stored 1")
    }

    @Test("an abort fails what runs and waits for the clerk alone", arguments: [true, false])
    func aborts(isWriting: Bool) {
        let bench = Bench()
        _ = bench.run(document(tiles: isWriting ? 1 : 9, checkpointAfter: isWriting ? nil : 1))
        let turn = bench.run(.request(.question(steps: 1 << 30)), .abort)
        #expect(turn == (isWriting ? .idle : .ended))
        #expect(bench.work.done.contains("refused 2") && bench.work.done.contains("refused 1") != isWriting)
        #expect(bench.run(.returned(.sound, RequestID(1))) == .ended)
        #expect(bench.work.done.contains("stored 1") == isWriting)
    }

    @Test(
        "a clerk that fails ends that request, and the next gets its place",
        arguments: ["restore", "checkpoint", "write"])
    func clerkFails(_ step: String) {
        let bench = Bench()
        let first =
            switch step {
            case "restore": document(.checkpointed)
            case "checkpoint": document(tiles: 9, checkpointAfter: 1)
            default: document(tiles: 1)
            }
        _ = bench.run(first, document(tiles: 1))
        #expect(bench.work.done.last == "\(step)(1)")
        #expect(bench.run(.returned(.lost, RequestID(1))) == .idle)
        #expect(bench.work.done.suffix(3) == ["failed 1", "open(2)", "write(2)"])
        // A second word about it changes nothing.
        let before = bench.work.done
        #expect(bench.run(.returned(.sound, RequestID(1))) == .idle)
        #expect(bench.work.done == before)
    }

    @Test("who goes away at any step is let go of once", arguments: ["restore", "checkpoint", "write"])
    func disconnects(_ step: String) {
        let bench = Bench()
        let first =
            switch step {
            case "restore": document(.checkpointed)
            case "checkpoint": document(tiles: 9, checkpointAfter: 1)
            default: document(tiles: 1)
            }
        _ = bench.run(first)
        bench.work.gone = [RequestID(1)]
        _ = bench.run()
        #expect(bench.work.done.contains("dropped 1") == (step != "write"))
        bench.work.gone = []
        #expect(bench.run(.returned(.sound, RequestID(1)), .drain) == .ended)
        #expect(bench.work.done.count { $0.hasSuffix(" 1") } == 1)
    }

    @Test("housekeeping is due by the clock, once in its interval, also while nothing happens")
    func housekeeping() {
        let bench = Bench()
        #expect(bench.run() == .idle && bench.work.done.isEmpty)
        bench.time += EngineCore<ScriptedWork>.maintenanceInterval + .seconds(1)
        _ = bench.run()
        _ = bench.run()
        #expect(bench.work.done == ["keepHouse"])
        bench.time += EngineCore<ScriptedWork>.maintenanceInterval + .seconds(1)
        _ = bench.run()
        #expect(bench.work.done == ["keepHouse", "keepHouse"])
    }

    @Test("on its thread it answers what was posted, beats, and takes nothing once it has ended")
    func thread() {
        let loop = EngineLoop<ScriptedWork>()
        loop.start(maxRunningQuestions: 2) { ScriptedWork() }
        for _ in 0..<50 { #expect(loop.post(.request(.question(steps: 3)))) }
        loop.post(.drain)
        loop.join()
        #expect(loop.heartbeat > 0)
        #expect(!loop.post(.request(.question(steps: 3))))
    }
}
