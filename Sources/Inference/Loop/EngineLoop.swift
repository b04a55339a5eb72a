// The engine's thread: takes what other threads tell it from its mailbox, asks the machine, and has the work done.

import Locks

import struct Synchronization.Atomic

/// Runs a machine over the work that it was made with, on a thread of its own.
///
/// The machine and the work belong to that thread; the mailbox is the only way in.
package final class EngineLoop<Work: EngineWork>: Sendable {
    /// What other threads tell the loop.
    package enum Message: Sendable {
        case request(Work.Request)
        /// Something that was handed to another thread comes back.
        case returned(Work.Returned, RequestID)
        /// Take nothing new, finish what runs.
        case drain
        /// Fail everything that is left, now.
        case abort
    }

    /// What a turn came to.
    package enum Turn: Equatable, Sendable { case worked, idle, ended }

    private struct Mailbox {
        var messages: [Message] = []
        var isClosed = false
    }

    private let mailbox = Mutex(Mailbox())
    private let signal = WakeSignal()
    private let ended = WakeSignal()
    private let beats = Atomic<UInt64>(0)

    /// A loop that waits to be started.
    package init() {}

    /// Starts the thread; `make` is called on it, and what it makes stays there.
    package func start(maxRunningQuestions: Int, _ make: @escaping @Sendable () -> Work) {
        startThread(name: "caked-engine") { [self] in
            var core = EngineCore(machine: EngineMachine(maxRunningQuestions: maxRunningQuestions), work: make())
            while true {
                beats.add(1, ordering: .relaxed)
                switch core.turn(takeMessages()) {
                case .worked: continue
                case .idle: signal.wait(milliseconds: EngineCore<Work>.idleMilliseconds)
                case .ended: if close() { return ended.raise() }
                }
            }
        }
    }

    /// Hands the loop a message; false when it has ended.
    @discardableResult
    package func post(_ message: Message) -> Bool {
        let isAccepted = mailbox.withLock { box in
            guard !box.isClosed else { return false }
            box.messages.append(message)
            return true
        }
        signal.raise()
        return isAccepted
    }

    /// Lets the loop look again at readers that went away or caught up.
    package func wake() { signal.raise() }

    /// Grows while the thread lives.
    package var heartbeat: UInt64 { beats.load(ordering: .relaxed) }

    /// Returns when the thread has ended.
    package func join() { ended.wait() }

    private func takeMessages() -> [Message] {
        mailbox.withLock { box in
            defer { box.messages = [] }
            return box.messages
        }
    }

    // Closes the mailbox unless something came in meanwhile, so that no request is ever left unanswered.
    private func close() -> Bool {
        mailbox.withLock { box in
            guard box.messages.isEmpty else { return false }
            box.isClosed = true
            return true
        }
    }
}

/// Machine and work without a thread: what one turn of the loop does.
package struct EngineCore<Work: EngineWork> {
    /// How long the thread sleeps at most when nothing happens, so that the watchdog sees it alive.
    static var idleMilliseconds: Int { 1000 }
    /// How often usage is written, and what has expired or exceeds the quota is reclaimed.
    package static var maintenanceInterval: Duration { .seconds(60) }

    private var machine: EngineMachine
    private let work: Work
    private let now: () -> ContinuousClock.Instant
    private var lastMaintenance: ContinuousClock.Instant
    private var lastID: UInt64 = 0

    /// Joins a machine and its work; `now` is the clock that housekeeping goes by.
    package init(
        machine: EngineMachine, work: Work, now: @escaping () -> ContinuousClock.Instant = { ContinuousClock().now }
    ) {
        (self.machine, self.work, self.now) = (machine, work, now)
        lastMaintenance = now()
    }

    /// Takes messages, does what follows from them, and then one unit of work.
    package mutating func turn(_ messages: [EngineLoop<Work>.Message]) -> EngineLoop<Work>.Turn {
        for message in messages {
            switch message {
            case .request(let request):
                lastID += 1
                handle([work.accept(request, as: RequestID(lastID))])
            case .returned(let returned, let id): handle(work.take(returned, for: id))
            case .drain: handle([.drain])
            case .abort: handle([.abort])
            }
        }
        handle(work.look())
        work.note(runningQuestions: machine.running.questions, runsDocument: machine.running.document)
        if now() - lastMaintenance > Self.maintenanceInterval {
            lastMaintenance = now()
            work.keepHouse()
        }
        let next = machine.next()
        switch next {
        case .idle: return .idle
        case .stop: return .ended
        case .questions, .read, .check:
            handle(work.perform(next))
            return .worked
        }
    }

    /// Lets the machine take events, and those that its actions lead to, until there are none left.
    private mutating func handle(_ events: [EngineMachine.Event]) {
        var events = events[...]
        while let event = events.popFirst() {
            for action in machine.handle(event) { events += work.perform(action) }
        }
    }
}
