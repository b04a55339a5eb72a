// What is given to a template: plain values, which nothing refers to.

/// A value a caller gives to a template.
public enum Datum: Sendable, Equatable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(Text)
    case list([Datum])
    /// Keys in their order.
    case dict([Entry])

    /// A key and its value.
    public struct Entry: Sendable, Equatable {
        /// The key.
        public var key: String
        /// Its value.
        public var value: Datum

        /// Creates an entry.
        public init(_ key: String, _ value: Datum) { (self.key, self.value) = (key, value) }
    }

    /// A text of the template's own.
    public static func text(_ string: String) -> Datum { .text(Text(string)) }

    /// The same with every text marked.
    public func marked(_ mark: Text.Mark) -> Datum {
        switch self {
        case .text(let text): .text(Text(text.string, mark: mark))
        case .list(let elements): .list(elements.map { $0.marked(mark) })
        case .dict(let entries): .dict(entries.map { Entry($0.key, $0.value.marked(mark)) })
        default: self
        }
    }

    /// Letters in all texts.
    var letters: Int {
        switch self {
        case .text(let text): text.count
        case .list(let elements): elements.reduce(0) { $0 + $1.letters }
        case .dict(let entries): entries.reduce(0) { $0 + $1.key.unicodeScalars.count + $1.value.letters }
        default: 1
        }
    }
}

/// A time of day and date, as a template may ask for it.
public struct Moment: Sendable, Equatable {
    /// The date, month and day from 1.
    public var year, month, day: Int
    /// The time of day.
    public var hour, minute, second: Int

    /// Creates a moment; the time of day is midnight where it isn't given.
    public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second) = (hour, minute, second)
    }
}
