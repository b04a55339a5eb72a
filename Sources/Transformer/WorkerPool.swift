// The process's compute threads: a parallel region runs tasks 0..<n on all of them and on the caller.

import CLinux
import COpenBLAS
import Glibc
import Locks

import struct Synchronization.Atomic

/// Named threads that run parallel regions: spinning briefly for the next one, then asleep on a futex.
///
/// A region is a number of tasks; which thread runs which task is not fixed, so a task must write only what belongs to
/// its index. Then results do not depend on the number of threads. Starting a region allocates nothing.
public final class WorkerPool: Sendable {
    /// Threads that take part in a region, the caller included.
    public let threads: Int

    /// More threads than this gain nothing on one memory bus.
    public static let maximumThreads = 256

    private let region = Region()
    private let turn = Mutex(())

    /// Starts `threads - 1` threads; the caller of a region is the last one.
    ///
    /// OpenBLAS is pinned to one thread a call here: its calls are made from the pool's tasks.
    /// - Throws: `ModelError` also when `CAKED_KERNELS` names a set that this processor has not.
    public init(threads: Int) throws(ModelError) {
        try KernelSet.checkVariable()
        guard (1...Self.maximumThreads).contains(threads) else {
            throw .invalidOption(name: "threads", value: "\(threads)", needed: "from 1 to \(Self.maximumThreads)")
        }
        openblas_set_num_threads(1)
        self.threads = threads
        for worker in 1..<threads {
            let start = unsafe Unmanaged.passRetained(WorkerStart(region: region, worker: worker))
            var thread = pthread_t()
            let status = unsafe pthread_create(&thread, nil, workerMain, start.toOpaque())
            guard status == 0 else {
                unsafe start.release()
                region.stop()
                throw .threadsUnavailable(wanted: threads, errno: status)
            }
            region.started()
            pthread_detach(thread)
        }
    }

    deinit { region.stop() }

    /// Runs `body(context, task, worker)` for every task in `0..<tasks` and returns when all are done.
    ///
    /// `worker` is below `threads` and names the scratch memory that the call may use. `body` captures nothing (it
    /// would be allocated): everything it needs is in `context`. Regions do not nest; callers on several threads take
    /// turns.
    package func run<Context: ~Copyable>(
        _ tasks: Int, on context: inout Context,
        _ body: @escaping @Sendable (UnsafeMutablePointer<Context>, _ task: Int, _ worker: Int) -> Void
    ) {
        unsafe withUnsafeMutablePointer(to: &context) { pointer in
            if threads == 1 || tasks <= 1 {
                for task in 0..<tasks { unsafe body(pointer, task, 0) }
                return
            }
            // Pointers of every type are passed alike, so the type can be forgotten across the region.
            let erased = unsafe unsafeBitCast(body, to: Region.Body.self)
            turn.withLock { _ in unsafe region.run(tasks, UnsafeMutableRawPointer(pointer), erased) }
        }
    }
}

/// What a new thread needs to find its pool.
private final class WorkerStart: Sendable {
    let region: Region
    let worker: Int

    init(region: Region, worker: Int) {
        self.region = region
        self.worker = worker
    }
}

private func workerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    let start = unsafe Unmanaged<WorkerStart>.fromOpaque(argument).takeRetainedValue()
    unsafe caked_set_thread_name("caked-work-\(start.worker)")
    start.region.work(as: start.worker)
    return nil
}

/// The region in progress, shared by the caller and the workers.
@safe private final class Region: @unchecked Sendable {
    // Unchecked: what is no atomic is written before a region begins and read inside it.
    typealias Body = (UnsafeMutableRawPointer, Int, Int) -> Void

    /// Iterations of a spin-wait before sleeping: some ten microseconds, longer than the serial parts between regions.
    private static let spins = 4_000

    /// Grows by two with every region, wrapping around; the workers' wake-up word.
    ///
    /// The lowest bit asks them to end.
    private let generation = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
    /// Workers that have not finished the region in progress; the caller's wake-up word.
    private let busy = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
    private let nextTask = Atomic<Int>(0)
    private static let stopBit: UInt32 = 1
    /// Threads that sleep or are about to: nobody pays for a wake-up call while all are spinning.
    private let sleepers = Atomic<Int>(0)

    // Written by the caller before `generation` grows (release), read by workers after they saw it (acquire).
    private var workers: UInt32 = 0
    private var tasks = 0
    private var context: UnsafeMutableRawPointer?
    private var body: Body = { _, _, _ in }

    init() {
        unsafe generation.initialize(to: Atomic(0))
        unsafe busy.initialize(to: Atomic(0))
    }

    deinit {
        unsafe generation.deinitialize(count: 1).deallocate()
        unsafe busy.deinitialize(count: 1).deallocate()
    }

    /// A worker was started; none runs a region before the first `run`.
    func started() { workers += 1 }

    func stop() {
        unsafe _ = generation.pointee.bitwiseOr(Self.stopBit, ordering: .sequentiallyConsistent)
        unsafe wake(generation)
    }

    func run(_ tasks: Int, _ context: UnsafeMutableRawPointer, _ body: @escaping Body) {
        self.tasks = tasks
        unsafe self.context = unsafe context
        unsafe self.body = body
        nextTask.store(0, ordering: .relaxed)
        unsafe busy.pointee.store(workers, ordering: .relaxed)
        unsafe _ = generation.pointee.wrappingAdd(2, ordering: .sequentiallyConsistent)
        unsafe wake(generation)
        drain(as: 0)
        while true {
            let left = unsafe busy.pointee.load(ordering: .acquiring)
            if left == 0 { break }
            unsafe wait(busy, while: left)
        }
        unsafe self.context = nil
    }

    func work(as worker: Int) {
        var seen: UInt32 = 0
        while true {
            let now = unsafe generation.pointee.load(ordering: .acquiring)
            if now & Self.stopBit != 0 { return }
            if now == seen {
                unsafe wait(generation, while: seen)
                continue
            }
            seen = now
            drain(as: worker)
            if unsafe busy.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0 {
                unsafe wake(busy)
            }
        }
    }

    private func drain(as worker: Int) {
        guard let context = unsafe context else { return }
        let body = unsafe self.body
        let tasks = self.tasks
        while true {
            let task = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
            if task >= tasks { return }
            unsafe body(context, task, worker)
        }
    }

    private func wait(_ word: UnsafeMutablePointer<Atomic<UInt32>>, while value: UInt32) {
        for _ in 0..<Self.spins {
            if unsafe word.pointee.load(ordering: .relaxed) != value { return }
            caked_spin_pause()
        }
        // Whoever changes the word after this sees the sleeper; whoever did before is seen by the futex, which compares
        // the word again: an atomic of 32 bits is its value in memory.
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { sleepers.wrappingSubtract(1, ordering: .relaxed) }
        unsafe _ = caked_futex_wait(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), value, -1)
    }

    private func wake(_ word: UnsafeMutablePointer<Atomic<UInt32>>) {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        unsafe _ = caked_futex_wake(UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt32.self), Int32.max)
    }
}
