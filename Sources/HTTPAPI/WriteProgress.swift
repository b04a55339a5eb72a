// Whether a client still reads what it is sent: a slow reader is not one that has stopped.

import NIOCore

/// When bytes last left for a client, wherever the rest of them waits.
package struct WriteProgress {
    /// Looks in the time that a client may leave everything unread: it is cut off a tenth of it late at most.
    static let looksPerDeadline: Int64 = 10

    /// Bytes on their way to a client.
    package struct Unread: Equatable {
        /// Written, and not in the kernel yet.
        package var buffered: Int
        /// In the kernel, and not read yet.
        package var queued: Int

        /// Both parts.
        package init(buffered: Int, queued: Int) { (self.buffered, self.queued) = (buffered, queued) }
    }

    private let deadline: TimeAmount
    private var unread: Unread
    private var lastProgress: NIODeadline

    /// Begins at `now` with what is unread then.
    package init(deadline: TimeAmount, unread: Unread, now: NIODeadline) {
        (self.deadline, self.unread, lastProgress) = (deadline, unread, now)
    }

    /// Takes a look at what is unread now; whether nothing of it has left for as long as a client may leave it.
    package mutating func hasStopped(_ unread: Unread, now: NIODeadline) -> Bool {
        // What the kernel took from the buffer it had room for because something was read.
        if unread.buffered < self.unread.buffered || unread.queued < self.unread.queued { lastProgress = now }
        self.unread = unread
        return now - lastProgress >= deadline
    }
}
