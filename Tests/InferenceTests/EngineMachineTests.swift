// The life of requests: every event in every order leaves each request ended once, and nothing touched that is
// elsewhere.

import Inference
import Testing

@Suite("Engine machine")
struct EngineMachineTests {
    private let document = RequestID(1)
    private let question = RequestID(2)

    private func machine(places: Int = 2) -> EngineMachine { EngineMachine(maxRunningQuestions: places) }

    @Test("a document is opened, read, checked and written, one after the other")
    func wholeWay() {
        var machine = machine()
        #expect(machine.handle(.document(document, user: 1)) == [.open(document)])
        #expect(machine.handle(.opened(document, .fresh)) == [])
        #expect(machine.next() == .read(document))
        #expect(machine.handle(.read(document, isChecked: true)) == [])
        #expect(machine.next() == .check(document))
        #expect(machine.handle(.checked(document)) == [.write(document)])
        #expect(machine.next() == .idle)
        #expect(machine.handle(.ended(document)) == [])
        #expect(machine.running == (0, false))
    }

    @Test("a document that needs no check is written as soon as it is read")
    func withoutCheck() {
        var machine = machine()
        _ = machine.handle(.document(document, user: 1))
        _ = machine.handle(.opened(document, .fresh))
        #expect(machine.handle(.read(document, isChecked: false)) == [.write(document)])
    }

    @Test("while the clerk has a reading no tile of it is read, and questions go on")
    func withTheClerk() {
        var machine = machine()
        _ = machine.handle(.document(document, user: 1))
        #expect(machine.handle(.opened(document, .checkpointed)) == [.restore(document)])
        #expect(machine.next() == .idle)
        #expect(machine.handle(.question(question, user: 1)) == [.begin(question)])
        for _ in 0..<10 { #expect(machine.next() == .questions([question])) }
        _ = machine.handle(.ended(question))
        #expect(machine.handle(.returned(document)) == [])
        #expect(machine.next() == .read(document))
        #expect(machine.handle(.checkpointDue(document)) == [.checkpoint(document)])
        #expect(machine.next() == .idle)
        // Twice at once is once.
        #expect(machine.handle(.checkpointDue(document)) == [])
        _ = machine.handle(.returned(document))
        #expect(machine.next() == .read(document))
    }

    @Test("draining refuses what waits and what comes, hurries what is read, and stops when all has ended")
    func draining() {
        var machine = machine(places: 1)
        let (waiting, late) = (RequestID(3), RequestID(4))
        _ = machine.handle(.document(document, user: 1))
        _ = machine.handle(.opened(document, .fresh))
        _ = machine.handle(.question(question, user: 1))
        _ = machine.handle(.question(waiting, user: 1))
        #expect(machine.handle(.drain) == [.hurry(document), .reject(waiting)])
        #expect(machine.handle(.question(late, user: 1)) == [.reject(late)])
        #expect(machine.handle(.document(late, user: 1)) == [.reject(late)])
        _ = machine.handle(.ended(question))
        #expect(machine.next() == .read(document))
        #expect(machine.handle(.checkpointDue(document)) == [.checkpoint(document)])
        #expect(machine.next() == .idle)
        _ = machine.handle(.returned(document))
        #expect(machine.next() == .read(document))
        _ = machine.handle(.ended(document))
        #expect(machine.next() == .stop)
    }

    @Test("a drain while the clerk has the reading hurries it, and touches nothing of it")
    func drainWhileCheckpointing() {
        var machine = machine()
        _ = machine.handle(.document(document, user: 1))
        _ = machine.handle(.opened(document, .fresh))
        _ = machine.handle(.checkpointDue(document))
        #expect(machine.handle(.drain) == [.hurry(document)])
        #expect(machine.next() == .idle)
    }

    @Test("aborting fails all but what is being written, whose end is waited for")
    func aborting() {
        var machine = machine()
        let second = RequestID(3)
        _ = machine.handle(.document(document, user: 1))
        _ = machine.handle(.opened(document, .fresh))
        _ = machine.handle(.read(document, isChecked: false))
        _ = machine.handle(.question(question, user: 1))
        _ = machine.handle(.document(second, user: 1))
        #expect(machine.handle(.abort) == [.reject(second), .reject(question)])
        #expect(machine.next() == .idle)
        _ = machine.handle(.ended(document))
        #expect(machine.next() == .stop)
    }

    @Test(
        "whoever goes away is let go of, unless the document is being written",
        arguments: [
            ([], true), ([.opened(RequestID(1), .fresh)], true), ([.opened(RequestID(1), .checkpointed)], true),
            ([.opened(RequestID(1), .fresh), .checkpointDue(RequestID(1))], true),
            ([.opened(RequestID(1), .fresh), .read(RequestID(1), isChecked: true)], true),
            ([.opened(RequestID(1), .fresh), .read(RequestID(1), isChecked: false)], false),
        ] as [([EngineMachine.Event], Bool)])
    func disconnects(_ before: [EngineMachine.Event], _ isDropped: Bool) {
        var machine = machine()
        let next = RequestID(5)
        _ = machine.handle(.document(document, user: 1))
        for event in before { _ = machine.handle(event) }
        _ = machine.handle(.document(next, user: 1))
        #expect(machine.handle(.abandoned(document)) == (isDropped ? [.drop(document), .open(next)] : []))
        // What the clerk gives back later is of no request any more.
        if isDropped {
            for event: EngineMachine.Event in [
                .returned(document), .opened(document, .fresh), .checkpointDue(document), .checked(document),
                .read(document, isChecked: false), .abandoned(document), .ended(document), .parked(document, true),
            ] {
                #expect(machine.handle(event) == [], "\(event)")
            }
            #expect(machine.next() == .idle)
        }
    }

    /// What the world knows of a request in the simulation.
    private enum Place { case waiting, opening, restoring, reading, checkpointing, checking, writing, answering }

    @Test(
        "over random histories every request ends once, is worked on only where it is, and the machine stops",
        arguments: 1...20 as ClosedRange<UInt64>)
    func simulation(seed: UInt64) {
        var random = SplitMix(state: seed)
        var machine = machine(places: 1 + Int(seed % 3))
        var places: [RequestID: Place] = [:]
        var isQuestion: Set<RequestID> = []
        var ended: Set<RequestID> = []
        var last: UInt64 = 0
        var isDraining = false

        func end(_ id: RequestID) {
            #expect(places.removeValue(forKey: id) != nil && ended.insert(id).inserted, "\(id) ended twice")
        }
        func tell(_ event: EngineMachine.Event) {
            var events = [event][...]
            while let event = events.popFirst() {
                for action in machine.handle(event) {
                    switch action {
                    case .begin(let id):
                        #expect(places[id] == .waiting && isQuestion.contains(id))
                        places[id] = .answering
                        if random.next() % 8 == 0 { end(id); events.append(.ended(id)) }
                    case .open(let id):
                        #expect(places[id] == .waiting && !isQuestion.contains(id))
                        places[id] = .opening
                        switch random.next() % 4 {
                        case 0: end(id); events.append(.ended(id))
                        case 1: places[id] = .restoring; events.append(.opened(id, .checkpointed))
                        default: places[id] = .reading; events.append(.opened(id, .fresh))
                        }
                    case .restore(let id): #expect(places[id] == .restoring)
                    case .checkpoint(let id):
                        #expect(places[id] == .reading)
                        places[id] = .checkpointing
                    case .hurry(let id): #expect(isDraining && places[id] != nil)
                    case .write(let id):
                        #expect(places[id] == .reading || places[id] == .checking)
                        places[id] = .writing
                    case .reject(let id):
                        #expect(isDraining)
                        end(id)
                    case .drop(let id):
                        #expect(places[id] != .writing)
                        end(id)
                    }
                }
            }
        }
        func arrive(_ isAQuestion: Bool) {
            last += 1
            let id = RequestID(last)
            places[id] = .waiting
            if isAQuestion { isQuestion.insert(id) }
            tell(isAQuestion ? .question(id, user: UInt32(last % 3)) : .document(id, user: UInt32(last % 3)))
        }
        for step in 0..<3_000 {
            if step == 2_000 {
                isDraining = true
                tell(.drain)
            }
            if step == 2_500 {
                tell(.abort)
                #expect(places.values.allSatisfy { $0 == .writing })
            }
            let away = places.filter { [.restoring, .checkpointing, .writing].contains($0.value) }.keys.sorted()
            switch random.next() % 8 {
            case 0 where places.count < 12: arrive(true)
            case 1 where places.count < 12: arrive(false)
            case 2:
                guard let id = places.keys.sorted().randomElement(using: &random) else { continue }
                tell(.abandoned(id))
            case 3:
                guard let id = away.randomElement(using: &random) else { continue }
                if places[id] == .writing || random.next() % 5 == 0 {
                    end(id)
                    tell(.ended(id))
                } else {
                    places[id] = .reading
                    tell(.returned(id))
                }
            default:
                switch machine.next() {
                case .questions(let ids):
                    for id in ids {
                        #expect(places[id] == .answering)
                        if random.next() % 10 == 0 { end(id); tell(.ended(id)) }
                    }
                case .read(let id):
                    #expect(places[id] == .reading)
                    switch random.next() % 12 {
                    case 0: tell(.checkpointDue(id))
                    case 1: end(id); tell(.ended(id))
                    case 2: tell(.read(id, isChecked: false))
                    case 3:
                        places[id] = .checking
                        tell(.read(id, isChecked: true))
                    default: break
                    }
                case .check(let id):
                    #expect(places[id] == .checking)
                    if random.next() % 3 == 0 { tell(.checked(id)) }
                case .idle: #expect(!places.values.contains { [.answering, .reading, .checking].contains($0) })
                case .stop: #expect(isDraining && places.isEmpty)
                }
            }
        }
        for id in places.keys.sorted() { end(id); tell(.ended(id)) }
        #expect(machine.next() == .stop && ended.count == Int(last))
    }
}
