// Documents in the order of their last use, each found and moved in constant time.

/// A doubly linked list of keys: the least recently used first.
struct RecencyList {
    private struct Links {
        var previous: DocumentKey?
        var next: DocumentKey?
    }

    private var links: [DocumentKey: Links] = [:]
    /// The least recently used.
    private(set) var first: DocumentKey?
    private var last: DocumentKey?

    /// The key used next after this one; nil at the end.
    func next(after key: DocumentKey) -> DocumentKey? { links[key]?.next }

    /// Puts a key at the end, wherever it was.
    mutating func use(_ key: DocumentKey) {
        remove(key)
        links[key] = Links(previous: last, next: nil)
        if let last { links[last]?.next = key } else { first = key }
        last = key
    }

    /// Takes a key out, if it is there.
    mutating func remove(_ key: DocumentKey) {
        guard let old = links.removeValue(forKey: key) else { return }
        if let previous = old.previous { links[previous]?.next = old.next } else { first = old.next }
        if let next = old.next { links[next]?.previous = old.previous } else { last = old.previous }
    }
}
