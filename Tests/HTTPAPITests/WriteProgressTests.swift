// When a client has stopped to read, and when it is only slow.

import HTTPAPI
import NIOCore
import Testing

@Suite struct WriteProgressTests {
    /// What is unread at a second, and whether the client has stopped by then.
    struct Look: Sendable {
        var second: Int64
        var buffered: Int
        var queued: Int
        var hasStopped: Bool
    }

    @Test(
        "the deadline counts from the last byte that left, out of the buffer or out of the kernel's queue",
        arguments: [
            [Look(second: 9, buffered: 100, queued: 50, hasStopped: false)],
            [Look(second: 10, buffered: 100, queued: 50, hasStopped: true)],
            [
                Look(second: 9, buffered: 99, queued: 50, hasStopped: false),
                Look(second: 18, buffered: 99, queued: 50, hasStopped: false),
                Look(second: 19, buffered: 99, queued: 50, hasStopped: true),
            ],
            [
                Look(second: 9, buffered: 100, queued: 49, hasStopped: false),
                Look(second: 18, buffered: 60, queued: 89, hasStopped: false),
                Look(second: 27, buffered: 60, queued: 89, hasStopped: false),
                Look(second: 28, buffered: 60, queued: 89, hasStopped: true),
            ],
            // More that is written is no sign of a reader.
            [
                Look(second: 5, buffered: 200, queued: 50, hasStopped: false),
                Look(second: 10, buffered: 300, queued: 50, hasStopped: true),
            ],
        ])
    func looks(_ looks: [Look]) {
        func time(_ second: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(second) }
        var progress = WriteProgress(deadline: .seconds(10), unread: .init(buffered: 100, queued: 50), now: time(0))
        for look in looks {
            let hasStopped = progress.hasStopped(
                .init(buffered: look.buffered, queued: look.queued), now: time(look.second))
            #expect(hasStopped == look.hasStopped, "\(look)")
        }
    }
}
