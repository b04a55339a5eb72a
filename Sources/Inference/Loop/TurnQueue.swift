// A queue in which users take turns, so that a burst of one waits behind its own beginning only.

import DequeModule

/// Elements of each user in order, the users in turns.
package struct TurnQueue<Element> {
    private var waiting: [UInt32: Deque<Element>] = [:]
    /// Users with elements, the one whose turn is next first.
    private var turns = Deque<UInt32>()

    /// An empty queue.
    package init() {}

    /// Adds an element behind those of its user.
    package mutating func append(_ element: consuming Element, of user: UInt32) {
        if waiting[user] == nil { turns.append(user) }
        waiting[user, default: []].append(element)
    }

    /// Takes the next element of the user whose turn it is; nil when there is none.
    package mutating func popFirst() -> Element? {
        guard let user = turns.popFirst() else { return nil }
        let element = waiting[user]?.popFirst()
        if waiting[user]?.isEmpty == false { turns.append(user) } else { waiting[user] = nil }
        return element
    }
}
