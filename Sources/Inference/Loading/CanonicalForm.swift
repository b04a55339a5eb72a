// A value as names and bytes that depend on its fields alone: what two values are compared by across programs and
// years.

/// An encoded value: a number, truth or text, a list, or fields by name.
///
/// Made from `Encodable`, so that a new field of a type is in it by construction. Its bytes are tagged, and sizes stand
/// before what they count, so that different values have different bytes; fields stand in the order of their names.
package indirect enum CanonicalForm {
    /// Nothing was encoded.
    case none
    case scalar(Scalar)
    case list([CanonicalForm])
    case texts([String])
    case fields([String: CanonicalForm])

    /// A value without parts.
    package enum Scalar {
        case integer(Int64)
        case unsigned(UInt64)
        case truth(Bool)
        case text(String)
        /// The bits of a double; a float is widened exactly.
        case number(UInt64)
    }

    /// The form of a value; types of ours encode without errors.
    package init(_ value: some Encodable) {
        if let texts = value as? [String] {
            // A vocabulary's half million texts, without a box for each.
            self = .texts(texts)
            return
        }
        let node = CanonicalNode()
        do { try value.encode(to: CanonicalEncoder(node: node, codingPath: [])) } catch {
            preconditionFailure("\(error)")
        }
        self = node.form
    }

    /// The value's fields; empty for what has none.
    var fields: [String: CanonicalForm] { if case .fields(let fields) = self { fields } else { [:] } }

    /// The value in a word a message can show: numbers and short texts themselves, the hash of everything else.
    var summary: String {
        switch self {
        case .none: "none"
        case .scalar(.integer(let value)): String(value)
        case .scalar(.unsigned(let value)): String(value)
        case .scalar(.truth(let value)): value ? "true" : "false"
        case .scalar(.number(let bits)): Self.plain(Double(bitPattern: bits)) ?? "0x" + String(bits, radix: 16)
        case .scalar(.text(let text))
        where text.utf8.count <= 64 && text.utf8.allSatisfy { (0x20..<0x7f).contains($0) }:
            text
        case .scalar, .list, .texts, .fields: hash
        }
    }

    /// The hash of its bytes, 32 hexadecimal digits.
    package var hash: String {
        var hash = Hash128()
        update(&hash)
        return hash.hex
    }

    /// A whole number of a size that doubles hold exactly, as digits.
    private static func plain(_ value: Double) -> String? {
        Int64(exactly: value).flatMap { abs($0) < 1 << 53 ? String($0) : nil }
    }

    private func update(_ hash: inout Hash128) {
        func tag(_ letter: Unicode.Scalar, _ size: UInt64) {
            hash.update([UInt8(ascii: letter)])
            unsafe withUnsafeBytes(of: size.littleEndian) { unsafe hash.update($0) }
        }
        func text(_ text: String) {
            tag("s", UInt64(text.utf8.count))
            hash.update(text.utf8)
        }
        switch self {
        case .none: tag("0", 0)
        case .scalar(.integer(let value)): tag("i", UInt64(bitPattern: value))
        case .scalar(.unsigned(let value)): tag("u", value)
        case .scalar(.truth(let value)): tag("t", value ? 1 : 0)
        case .scalar(.number(let bits)): tag("n", bits)
        case .scalar(.text(let value)): text(value)
        case .list(let items):
            tag("l", UInt64(items.count))
            for item in items { item.update(&hash) }
        case .texts(let texts):
            tag("l", UInt64(texts.count))
            for value in texts { text(value) }
        case .fields(let fields):
            tag("f", UInt64(fields.count))
            for (name, value) in fields.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                text(name)
                value.update(&hash)
            }
        }
    }
}

/// A place that an encoder fills: as a scalar, as a list or by fields, whichever it asks for.
private final class CanonicalNode {
    private var whole = CanonicalForm.none
    private var list: [CanonicalNode]?
    private var fields: [String: CanonicalNode]?

    var form: CanonicalForm {
        if let list { return .list(list.map(\.form)) }
        if let fields { return .fields(fields.mapValues(\.form)) }
        return whole
    }

    var count: Int { list?.count ?? 0 }

    func set(_ scalar: CanonicalForm.Scalar) { whole = .scalar(scalar) }

    func set(_ value: some Encodable) { whole = CanonicalForm(value) }

    func becomeList() { list = list ?? [] }

    func becomeFields() { fields = fields ?? [:] }

    func append() -> CanonicalNode {
        let node = CanonicalNode()
        list?.append(node)
        return node
    }

    func field(_ name: String) -> CanonicalNode {
        let node = fields?[name] ?? CanonicalNode()
        fields?[name] = node
        return node
    }
}

/// Swift's encoding protocols over a node; the three kinds of containers are one type.
private struct CanonicalEncoder: Encoder {
    let node: CanonicalNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeFields()
        return KeyedEncodingContainer(Keyed(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeList()
        return Unkeyed(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Single(node: node, codingPath: codingPath) }

    private struct Single: SingleValueEncodingContainer {
        let node: CanonicalNode
        let codingPath: [any CodingKey]

        func encodeNil() {}
        func encode(_ value: Bool) { node.set(.truth(value)) }
        func encode(_ value: String) { node.set(.text(value)) }
        func encode(_ value: Double) { node.set(.number(value.bitPattern)) }
        func encode(_ value: Float) { node.set(.number(Double(value).bitPattern)) }
        func encode(_ value: Int) { node.set(.integer(Int64(value))) }
        func encode(_ value: Int8) { node.set(.integer(Int64(value))) }
        func encode(_ value: Int16) { node.set(.integer(Int64(value))) }
        func encode(_ value: Int32) { node.set(.integer(Int64(value))) }
        func encode(_ value: Int64) { node.set(.integer(value)) }
        func encode(_ value: UInt) { node.set(.unsigned(UInt64(value))) }
        func encode(_ value: UInt8) { node.set(.unsigned(UInt64(value))) }
        func encode(_ value: UInt16) { node.set(.unsigned(UInt64(value))) }
        func encode(_ value: UInt32) { node.set(.unsigned(UInt64(value))) }
        func encode(_ value: UInt64) { node.set(.unsigned(value)) }
        func encode(_ value: some Encodable) { node.set(value) }
    }

    private struct Unkeyed: UnkeyedEncodingContainer {
        let node: CanonicalNode
        let codingPath: [any CodingKey]
        var count: Int { node.count }

        func encodeNil() { _ = node.append() }
        func encode(_ value: some Encodable) throws { node.append().set(value) }
        func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
            CanonicalEncoder(node: node.append(), codingPath: codingPath).container(keyedBy: type)
        }
        func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
            CanonicalEncoder(node: node.append(), codingPath: codingPath).unkeyedContainer()
        }
        func superEncoder() -> any Encoder { CanonicalEncoder(node: node.append(), codingPath: codingPath) }
    }

    private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let node: CanonicalNode
        let codingPath: [any CodingKey]

        func encodeNil(forKey key: Key) { _ = node.field(key.stringValue) }
        func encode(_ value: some Encodable, forKey key: Key) throws { node.field(key.stringValue).set(value) }
        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) -> KeyedEncodingContainer<Nested> {
            CanonicalEncoder(node: node.field(key.stringValue), codingPath: codingPath).container(keyedBy: type)
        }
        func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            CanonicalEncoder(node: node.field(key.stringValue), codingPath: codingPath).unkeyedContainer()
        }
        func superEncoder() -> any Encoder { superEncoder(named: "super") }
        func superEncoder(forKey key: Key) -> any Encoder { superEncoder(named: key.stringValue) }
        private func superEncoder(named name: String) -> any Encoder {
            CanonicalEncoder(node: node.field(name), codingPath: codingPath)
        }
    }
}
