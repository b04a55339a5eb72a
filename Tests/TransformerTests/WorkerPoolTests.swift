// The worker pool: every task once, region after region.

import Synchronization
import Testing
import Transformer

@Suite("Worker pool")
struct WorkerPoolTests {
    @Test("runs every task once, in every region", arguments: [1, 2, 3, 8])
    func everyTask(_ threads: Int) throws {
        let pool = try WorkerPool(threads: threads)
        #expect(pool.threads == threads)
        var counts = [Int](repeating: 0, count: 1_000)
        for _ in 0..<200 {
            unsafe counts.withUnsafeMutableBufferPointer { buffer in
                var base = buffer.baseAddress!
                unsafe pool.run(1_000, on: &base) { base, task, _ in unsafe base.pointee[task] += 1 }
            }
        }
        #expect(counts.allSatisfy { $0 == 200 })
    }

    @Test("names workers below the number of threads")
    func workers() throws {
        let pool = try WorkerPool(threads: 3)
        var workers = [Int](repeating: -1, count: 500)
        unsafe workers.withUnsafeMutableBufferPointer { buffer in
            var base = buffer.baseAddress!
            unsafe pool.run(500, on: &base) { base, task, worker in unsafe base.pointee[task] = worker }
        }
        #expect(workers.allSatisfy { (0..<3).contains($0) })
    }

    @Test("a number of threads out of range is refused", arguments: [0, -1, 257])
    func refused(_ threads: Int) {
        #expect(throws: ModelError.self) { try WorkerPool(threads: threads) }
    }
}
