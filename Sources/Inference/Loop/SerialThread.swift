// A thread of its own for work that blocks: reading files, tokenizing, writing to the store.

import CLinux
import Glibc
import Locks

/// Runs blocks one after the other on one POSIX thread, so that nothing that blocks runs on Swift's cooperative pool.
package final class SerialThread: Sendable {
    private struct State {
        var blocks = TurnQueue<@Sendable () -> Void>()
        var isStopping = false
    }

    private let state = Mutex(State())
    private let signal = WakeSignal()
    private let ended = WakeSignal()

    /// Starts the thread; `name` shows in the system's tools, 15 bytes at most.
    package init(name: String) {
        startThread(name: name) { [self] in run() }
    }

    /// Appends a block, in the turn of the user it is for; false when the thread is stopping and it will not run.
    @discardableResult
    package func enqueue(for user: UInt32 = 0, _ block: @escaping @Sendable () -> Void) -> Bool {
        let accepted = state.withLock { state in
            guard !state.isStopping else { return false }
            state.blocks.append(block, of: user)
            return true
        }
        signal.raise()
        return accepted
    }

    /// Returns when all blocks that were accepted before have run, those that are for a user excepted.
    package func waitForBlocks() {
        let reached = WakeSignal()
        if enqueue({ reached.raise() }) { reached.wait() }
    }

    /// Runs what was accepted, ends the thread, and returns when it has ended.
    package func stop() {
        state.withLock { $0.isStopping = true }
        signal.raise()
        ended.wait()
    }

    private func run() {
        while true {
            let (block, stopping) = state.withLock { ($0.blocks.popFirst(), $0.isStopping) }
            if let block {
                block()
            } else if stopping {
                break
            } else {
                signal.wait()
            }
        }
        ended.raise()
    }
}

/// A flag one thread waits for and others raise; raising it twice before the wait counts once.
@safe package final class WakeSignal: @unchecked Sendable {
    // Unchecked: the flag changes under the mutex only.
    // POSIX wants both at fixed addresses for their whole life.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isRaised = false

    package init() {
        unsafe pthread_mutex_init(mutex, nil)
        // The clock that nobody sets: a thread that waits for one second does so when the system's time jumps back.
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Lets one wait return, now or later.
    package func raise() {
        unsafe pthread_mutex_lock(mutex)
        isRaised = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Returns when the flag is raised, and lowers it.
    package func wait() {
        unsafe pthread_mutex_lock(mutex)
        while !isRaised { unsafe pthread_cond_wait(condition, mutex) }
        isRaised = false
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Returns when the flag is raised, and lowers it, or after `milliseconds`.
    package func wait(milliseconds: Int) {
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        unsafe pthread_mutex_lock(mutex)
        while !isRaised {
            if unsafe pthread_cond_timedwait(condition, mutex, &deadline) != 0 { break }
        }
        isRaised = false
        unsafe pthread_mutex_unlock(mutex)
    }
}

private final class ThreadBody {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

/// Starts a detached POSIX thread, named for the system's tools, with a stack for deep recursion in sorts and parsers.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
    let stackBytes = 8 << 20
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setstacksize(&attributes, stackBytes)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let argument = unsafe Unmanaged.passRetained(ThreadBody(name: name, run: body)).toOpaque()
    var thread = pthread_t()
    let code = unsafe pthread_create(
        &thread, &attributes,
        { raw in
            guard let raw = unsafe raw else { return nil }
            let body = unsafe Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue()
            unsafe caked_set_thread_name(body.name)
            body.run()
            return nil
        }, argument)
    unsafe pthread_attr_destroy(&attributes)
    precondition(code == 0, "the system refused a thread (error \(code)) for \(name)")
}
