// The scheduler: every request gets its turn, nothing starves, bounds hold.

import Inference
import Testing

@Suite struct SchedulerTests {
    @Test("questions run together up to the bound, the rest wait in order")
    func admission() {
        var scheduler = Scheduler(maxRunningQuestions: 2)
        let ids = (1...4).map { RequestID(UInt64($0)) }
        #expect(scheduler.addQuestion(ids[0]) == [.start(ids[0])])
        #expect(scheduler.addQuestion(ids[1]) == [.start(ids[1])])
        #expect(scheduler.addQuestion(ids[2]) == [])
        #expect(scheduler.addQuestion(ids[3]) == [])
        #expect(scheduler.next() == .questions([ids[0], ids[1]]))
        #expect(scheduler.remove(ids[0]) == [.start(ids[2])])
        #expect(scheduler.next() == .questions([ids[1], ids[2]]))
        #expect(scheduler.remove(ids[3]) == [])
        #expect(scheduler.remove(ids[1]) == [])
        #expect(scheduler.remove(ids[2]) == [])
        #expect(scheduler.next() == .idle)
        #expect(scheduler.isEmpty)
    }

    @Test("a document gets every tile while no question runs, and one tile after a few steps otherwise")
    func documentsFillIn() {
        var scheduler = Scheduler(maxRunningQuestions: 2)
        let (document, question) = (RequestID(1), RequestID(2))
        #expect(scheduler.addDocument(document) == [.start(document)])
        for _ in 0..<3 { #expect(scheduler.next() == .document(document)) }
        _ = scheduler.addQuestion(question)
        for _ in 0..<3 {
            for _ in 0..<Scheduler.stepsBetweenTiles { #expect(scheduler.next() == .questions([question])) }
            #expect(scheduler.next() == .document(document))
        }
    }

    @Test("users take turns, and each user's requests keep their order")
    func turns() {
        var scheduler = Scheduler(maxRunningQuestions: 1)
        let ids = (1...6).map { RequestID(UInt64($0)) }
        for (index, user) in [1, 1, 1, 2, 2, 3].enumerated() {
            let started = scheduler.addDocument(ids[index], user: UInt32(user))
            #expect(started == (index == 0 ? [.start(ids[0])] : []))
        }
        var order = [1]
        var running = ids[0]
        while case .start(let next)? = scheduler.remove(running).first {
            order.append(Int(next.number))
            running = next
        }
        #expect(order == [1, 4, 6, 2, 5, 3])
    }

    @Test("a document in another thread's hands gets no tile until it is back")
    func pausing() {
        var scheduler = Scheduler(maxRunningQuestions: 1)
        let (document, question) = (RequestID(1), RequestID(2))
        _ = scheduler.addDocument(document)
        scheduler.setPaused(document, true)
        #expect(scheduler.next() == .idle)
        #expect(!scheduler.isEmpty)
        _ = scheduler.addQuestion(question)
        for _ in 0..<9 { #expect(scheduler.next() == .questions([question])) }
        _ = scheduler.remove(question)
        scheduler.setPaused(document, false)
        #expect(scheduler.next() == .document(document))
        scheduler.setPaused(document, true)
        #expect(scheduler.remove(document) == [])
        #expect(scheduler.pausedDocument == nil && scheduler.isEmpty)
    }

    @Test("a parked question has no place: another runs in its stead, and it waits for one when its reader is back")
    func parking() {
        var scheduler = Scheduler(maxRunningQuestions: 2)
        let ids = (1...4).map { RequestID(UInt64($0)) }
        for id in ids { _ = scheduler.addQuestion(id) }
        #expect(scheduler.next() == .questions([ids[0], ids[1]]))
        #expect(scheduler.setParked(ids[0], true) == [.start(ids[2])])
        #expect(scheduler.setParked(ids[0], true) == [], "twice is once")
        #expect(scheduler.next() == .questions([ids[1], ids[2]]))
        #expect(scheduler.setParked(ids[0], false) == [])
        #expect(scheduler.pausedQuestions == [ids[0]])
        #expect(scheduler.next() == .questions([ids[1], ids[2]]))
        // Those that are begun go before those that are not.
        #expect(scheduler.remove(ids[2]) == [])
        #expect(scheduler.next() == .questions([ids[0], ids[1]]))
        #expect(scheduler.setParked(ids[0], true) == [.start(ids[3])])
        for id in [ids[1], ids[3]] { #expect(scheduler.setParked(id, true) == []) }
        #expect(scheduler.next() == .idle)
        #expect(!scheduler.isEmpty)
        _ = scheduler.setParked(ids[1], false)
        #expect(scheduler.next() == .questions([ids[1]]))
        #expect(scheduler.setParked(RequestID(9), true) == [] && scheduler.setParked(RequestID(9), false) == [])
    }

    @Test("slow readers of one user leave others their places, and a quarter of what may be in memory")
    func slowReaders() {
        var scheduler = Scheduler(maxRunningQuestions: 4)
        var last: UInt64 = 0
        func ask(_ user: UInt32) -> [SchedulerAction] {
            last += 1
            return scheduler.addQuestion(RequestID(last), user: user)
        }
        for _ in 0..<20 {
            for case .start(let id) in ask(1) { _ = scheduler.setParked(id, true) }
        }
        #expect(scheduler.parkedQuestions.count == 6)
        #expect(scheduler.waitingQuestions.count == 14)
        for place in 1...2 {
            #expect(ask(2) == [.start(RequestID(last))])
            #expect(scheduler.runningQuestions.count == place)
        }
        #expect(ask(2) == [], "memory holds no more")
        #expect(scheduler.begunQuestions == scheduler.maxBegunQuestions)
        #expect(scheduler.remove(RequestID(1)).count == 1)
    }

    @Test("a user's hundred questions give way to another's before the next step, and get their places back")
    func burst() {
        var scheduler = Scheduler(maxRunningQuestions: 4)
        let ids = (1...100).map { RequestID(UInt64($0)) }
        for id in ids { _ = scheduler.addQuestion(id, user: 1) }
        #expect(scheduler.next() == .questions(Array(ids[..<4])))
        let (first, second, third) = (RequestID(101), RequestID(102), RequestID(103))
        #expect(scheduler.addQuestion(first, user: 2) == [.start(first)])
        #expect(scheduler.next() == .questions(ids[..<3] + [first]))
        #expect(scheduler.addQuestion(second, user: 2) == [.start(second)])
        #expect(scheduler.addQuestion(third, user: 2) == [], "they have equally many by now")
        #expect(scheduler.next() == .questions(ids[..<2] + [first, second]))
        #expect(scheduler.remove(first) == [.start(third)])
        #expect(scheduler.remove(second) == [])
        #expect(scheduler.next() == .questions(ids[..<3] + [third]))
        #expect(scheduler.remove(third) == [])
        #expect(scheduler.next() == .questions(Array(ids[..<4])))
    }

    @Test("a document that is being written needs no work and keeps its place until it is there")
    func writing() {
        var scheduler = Scheduler(maxRunningQuestions: 1)
        let (first, second, question) = (RequestID(1), RequestID(2), RequestID(3))
        _ = scheduler.addDocument(first)
        #expect(scheduler.addDocument(second) == [])
        scheduler.setWritten(first)
        #expect(scheduler.next() == .idle)
        #expect(!scheduler.isEmpty)
        _ = scheduler.addQuestion(question)
        for _ in 0...Scheduler.stepsBetweenTiles { #expect(scheduler.next() == .questions([question])) }
        #expect(scheduler.remove(first) == [.start(second)])
        #expect(scheduler.writtenDocument == nil)
        #expect(scheduler.next() == .document(second))
    }

    @Test("draining rejects what waits and what comes, and finishes what runs")
    func draining() {
        var scheduler = Scheduler(maxRunningQuestions: 1)
        let ids = (1...5).map { RequestID(UInt64($0)) }
        _ = scheduler.addQuestion(ids[0])
        _ = scheduler.addDocument(ids[1])
        _ = scheduler.addDocument(ids[2])
        _ = scheduler.addQuestion(ids[3])
        #expect(scheduler.drain() == [.reject(ids[2]), .reject(ids[3])])
        #expect(scheduler.addQuestion(ids[4]) == [.reject(ids[4])])
        #expect(!scheduler.isEmpty)
        _ = scheduler.remove(ids[0])
        #expect(scheduler.next() == .document(ids[1]))
        _ = scheduler.remove(ids[1])
        #expect(scheduler.isEmpty)
    }

    @Test("over random histories every request ends once and nothing starves", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func simulation(seed: UInt64) {
        var random = SplitMix(state: seed)
        var scheduler = Scheduler(maxRunningQuestions: Int(1 + seed % 4))
        var work: [RequestID: Int] = [:]  // units left
        var started: Set<RequestID> = []
        var ended: Set<RequestID> = []
        var sinceServed: [RequestID: Int] = [:]
        var last: UInt64 = 0

        func apply(_ actions: [SchedulerAction]) {
            for action in actions {
                switch action {
                case .start(let id):
                    #expect(started.insert(id).inserted, "started twice, seed \(seed)")
                    sinceServed[id] = 0
                case .reject(let id):
                    #expect(ended.insert(id).inserted, "ended twice, seed \(seed)")
                    work[id] = nil
                }
            }
        }
        func end(_ id: RequestID) {
            #expect(ended.insert(id).inserted, "ended twice, seed \(seed)")
            work[id] = nil
            sinceServed[id] = nil
            apply(scheduler.remove(id))
        }
        for step in 0..<100_000 {
            switch random.next() % 10 {
            case 0 where work.count < 40:
                last += 1
                work[RequestID(last)] = Int(random.next() % 20) + 1
                apply(scheduler.addQuestion(RequestID(last), user: UInt32(random.next() % 3)))
            case 1 where work.count < 40:
                last += 1
                work[RequestID(last)] = Int(random.next() % 30) + 1
                apply(scheduler.addDocument(RequestID(last)))
            case 2 where step % 7 == 0:
                if let id = work.keys.sorted().randomElement(using: &random) { end(id) }
            default:
                let served: [RequestID] =
                    switch scheduler.next() {
                    case .questions(let ids): ids
                    case .document(let id): [id]
                    case .idle: []
                    }
                #expect(served.isEmpty == work.isEmpty, "idle with work left, seed \(seed), step \(step)")
                #expect(scheduler.begunQuestions <= scheduler.maxBegunQuestions)
                for id in scheduler.pausedQuestions { sinceServed[id] = 0 }
                #expect(served.count <= scheduler.maxRunningQuestions)
                for id in sinceServed.keys { sinceServed[id, default: 0] += 1 }
                for id in served {
                    #expect(started.contains(id) && !ended.contains(id))
                    sinceServed[id] = 0
                    work[id, default: 0] -= 1
                    if work[id] == 0 { end(id) }
                }
                let longest = sinceServed.values.max() ?? 0
                #expect(longest <= Scheduler.stepsBetweenTiles + 1, "a running request starved, seed \(seed)")
            }
        }
        apply(scheduler.drain())
        #expect(ended.count + work.count == Int(last))
    }
}

/// A small seeded generator, so that a failure can be replayed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
