// Which questions take part in a step: all that write, and of those that are still read as many as make a short step.

/// Keeps a step short for all: one user's burst of questions is read beside another user's question, not before it.
///
/// A question is read in pieces whose lengths depend on itself alone, since products of other lengths round otherwise.
package struct StepRows: Sendable {
    /// Rows of prompts that are read in a step for one user: enough to keep the products busy.
    package static let rowsPerUser = 64
    /// Rows of prompts that are read in a step for all, which bounds the memory of a step and how long it takes.
    package static let rowsPerStep = 256

    /// What a question would do in the step.
    package struct Candidate: Sendable {
        package var user: UInt32
        /// Rows of its next piece.
        package var rows: Int
        /// Whether they are of its prompt; else one of its answer.
        package var isRead: Bool

        /// All three.
        package init(user: UInt32, rows: Int, isRead: Bool) {
            (self.user, self.rows, self.isRead) = (user, rows, isRead)
        }
    }

    /// Users whose questions are read, the one that was served last at the end.
    private var served: [UInt32] = []

    /// Nobody has been served.
    package init() {}

    /// The indices of those that take part, ascending; of questions in order of arrival, each of at most `rowsPerUser`
    /// rows.
    package mutating func choose(_ candidates: [Candidate]) -> [Int] {
        let reading = candidates.indices.filter { candidates[$0].isRead }
        var chosen = candidates.indices.filter { !candidates[$0].isRead }
        var users: [UInt32] = []
        for index in reading where !users.contains(candidates[index].user) { users.append(candidates[index].user) }
        // Those who have gone without for longest come first, and those who are new before them.
        let old = served.filter(users.contains)
        users = users.filter { !old.contains($0) } + old
        var rows = 0
        var latest: [UInt32] = []
        for user in users {
            var own = 0
            for index in reading where candidates[index].user == user {
                let more = candidates[index].rows
                guard own + more <= Self.rowsPerUser, rows + more <= Self.rowsPerStep else { break }
                (own, rows) = (own + more, rows + more)
                chosen.append(index)
            }
            if own > 0 { latest.append(user) }
        }
        served = users.filter { !latest.contains($0) } + latest
        return chosen.sorted()
    }
}
