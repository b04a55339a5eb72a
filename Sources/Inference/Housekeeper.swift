// Keeps the store in order between requests, and says what was done to documents for the sake of space.

import CacheStore
import Logging

/// Housekeeping, on the clerk's thread or while no other uses the store.
struct Housekeeper: Sendable {
    let store: DocumentStore
    let totals: EngineTotals
    let logger: Logger

    /// Writes the usage noted so far, and reclaims what has expired or exceeds the quota.
    func keepHouse() {
        do throws(StoreError) {
            try store.flushUsage()
            note(try store.maintain())
        } catch {
            logger.warning("the store's housekeeping failed", metadata: ["error": "\(error)"])
        }
    }

    /// Logs and counts what was done to documents for the sake of space.
    func note(_ acts: [Reclaim]) {
        for act in acts {
            totals.reclaimed(act)
            logger.notice("\(act)")
        }
    }
}
