// What a list says of a document: a fixed-width copy of its manifest's summary, read without decoding JSON.

import API

/// The summary of a document; stored beside its manifest, written with it, and made again where it is missing.
public struct DocumentLine: Equatable, Sendable {
    /// The document's name.
    public var name: String
    /// The generation: the id under which its records are stored.
    public internal(set) var id: UInt64
    /// A hash of everything that must be equal for the cache to be usable (`Manifest.fingerprint`).
    public var fingerprintHash: UInt64
    /// Unix time of the commit.
    public var createdSeconds: Int
    /// Unix time of the last question, or of the commit.
    public var lastUsedSeconds: Int
    /// Questions answered.
    public var hits: Int
    /// How long the document lives after its last use; nil for ever.
    public var ttlSeconds: Int?
    /// A pinned document neither expires nor is reclaimed.
    public var pinned: Bool
    /// Average entries kept per (layer, KV head).
    public var budget: Int
    /// The preset that chose them.
    public var method: String
    /// How the numbers of a row are stored.
    public var rows: RowType
    /// Tokens of the document, evicted ones and the template's prefix included.
    public var tokens: Int
    /// Tokens of the template before the document.
    public var prefixTokens: Int
    /// Entries kept over all layers and heads.
    public var entries: Int
    /// Entries of the full cache.
    public var fullEntries: Int
    /// What the document takes of the quota: its pages.
    public var bytes: Int
    /// Bytes of the full cache's rows.
    public var fullBytes: Int
    /// Size of the document's text.
    public var textBytes: Int
    /// How long the prefill took.
    public var prefillSeconds: Double
    /// Whether the preferences were unusable and the budgets uniform.
    public var preferenceFellBack: Bool
    /// What became of the document when space was short; nil while it is as it was written.
    public var shrinkage: Shrinkage?
    /// How its cache compared with the full one when it was written; nil when it was not checked.
    public var check: CheckFigures?
    /// What shrinking it to `floor` would give back.
    var shrinkableBytes: Int
    var floor: Double
    /// The checksum of the manifest that the line was made of.
    var manifestChecksum: UInt64

    /// When the document expires unless it is used before; nil for never.
    public var expiresSeconds: Int? { entry.expiresSeconds }

    /// The line of a manifest as the store gives it out.
    public init(_ manifest: Manifest) {
        let shape = manifest.shape
        (name, id, fingerprintHash) = (manifest.name, manifest.id, Manifest.hash(ofFingerprint: manifest.fingerprint))
        (createdSeconds, lastUsedSeconds) = (manifest.createdSeconds, manifest.lastUsedSeconds)
        (hits, ttlSeconds, pinned) = (manifest.hits, manifest.ttlSeconds, manifest.pinned)
        (budget, method, rows) = (manifest.budget, manifest.method, shape.rows)
        (tokens, prefixTokens, textBytes) = (shape.tokens, manifest.prefixTokens, manifest.textBytes)
        (entries, fullEntries) = (manifest.entries, shape.headEntries * shape.kvHeads)
        fullBytes = shape.countedFullBytes
        (prefillSeconds, preferenceFellBack) = (manifest.prefillSeconds, manifest.preferenceFellBack)
        (shrinkage, check) = (manifest.shrinkage, manifest.check)
        bytes = manifest.storedBytes
        (shrinkableBytes, floor, manifestChecksum) = (0, 1, 0)
    }

    /// The line of a manifest that is stored in so many bytes, in a store that shrinks to a floor.
    init(_ manifest: Manifest, manifestBytes: Int, checksum: UInt64, footprint: Footprint, limits: StoreLimits) {
        self.init(manifest)
        bytes = footprint.bytes(of: manifest, manifestBytes: manifestBytes)
        (floor, manifestChecksum) = (limits.shrinkFloor, checksum)
        let first = manifest.shrinkage?.originalBudget ?? manifest.budget
        let share = Double(limits.floor(ofBudget: first)) / Double(max(manifest.budget, 1))
        shrinkableBytes = footprint.shrinkableBytes(of: manifest, bytes: bytes, toShare: share)
    }

    var entry: Shelf.Entry {
        Shelf.Entry(
            generation: id, budget: budget, bytes: bytes, shrinkableBytes: shrinkableBytes,
            lastUsedSeconds: lastUsedSeconds, ttlSeconds: ttlSeconds, isPinned: pinned,
            isTrimming: shrinkage?.isTrimming ?? false)
    }
}

// MARK: The stored form

extension DocumentLine {
    private static let magic: UInt32 = 0x4E4C_4B43
    private static let version: UInt32 = 1
    private static let reasons: [Shrinkage.Reason?] = [nil, .quota, .request]

    // Magic "CKLN" u32, version u32, then the fields in this order, then XXH3-64 of it all.
    var encoded: [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(Self.magic)
        writer.append(Self.version)
        for number in [manifestChecksum, id, fingerprintHash, floor.bitPattern, prefillSeconds.bitPattern] {
            writer.append(number)
        }
        for number in [
            bytes, shrinkableBytes, createdSeconds, lastUsedSeconds, hits, ttlSeconds ?? -1, budget, tokens,
            prefixTokens, entries, fullEntries, fullBytes, textBytes, pinned ? 1 : 0, preferenceFellBack ? 1 : 0,
            Int(rows.code), shrinkage?.originalBudget ?? -1, shrinkage?.seconds ?? 0,
            shrinkage?.isTrimming == true ? 1 : 0, Self.reasons.firstIndex(of: shrinkage?.reason) ?? 0,
            check == nil ? 0 : 1,
        ] { writer.append(Int64(number)) }
        if let check {
            for number in [check.budget, check.places, check.tokens, check.known] { writer.append(Int64(number)) }
            for share in [check.recall, check.agreement, check.kl, check.right, check.rightFull, check.target] {
                writer.append((share ?? .nan).bitPattern)
            }
        }
        let name = Array(method.utf8)
        writer.append(UInt32(truncatingIfNeeded: name.count))
        let covered = writer.bytes + name
        var end = LittleEndianWriter()
        unsafe end.append(RecordFormat.checksum(covered.span.bytes))
        return covered + end.bytes
    }

    /// Reads a line; nil when it is damaged or of another version.
    init?(_ value: RawSpan, key: DocumentKey) {
        guard value.byteCount > 16 else { return nil }
        let covered = value.extracting(0..<value.byteCount - 8)
        guard RecordFormat.number(value, at: value.byteCount - 8) == RecordFormat.checksum(covered),
            RecordFormat.number(value, at: 0) == Self.magic, RecordFormat.number(value, at: 4) == Self.version
        else { return nil }
        var offset = 8
        func word() -> UInt64 {
            defer { offset += 8 }
            return offset + 8 <= covered.byteCount ? RecordFormat.number(covered, at: offset) : 0
        }
        func number() -> Int { Int(truncatingIfNeeded: word()) }
        func share() -> Double? {
            let value = Double(bitPattern: word())
            return value.isNaN ? nil : value
        }
        name = key.name
        (manifestChecksum, id, fingerprintHash) = (word(), word(), word())
        (floor, prefillSeconds) = (Double(bitPattern: word()), Double(bitPattern: word()))
        (bytes, shrinkableBytes, createdSeconds, lastUsedSeconds, hits) = (
            number(), number(), number(), number(), number()
        )
        let ttl = number()
        ttlSeconds = ttl < 0 ? nil : ttl
        (budget, tokens, prefixTokens) = (number(), number(), number())
        (entries, fullEntries, fullBytes, textBytes) = (number(), number(), number(), number())
        (pinned, preferenceFellBack) = (number() == 1, number() == 1)
        guard let rows = RowType(code: UInt16(truncatingIfNeeded: word())) else { return nil }
        self.rows = rows
        let (original, seconds, isTrimming, reason) = (number(), number(), number() == 1, number())
        shrinkage =
            original < 0
            ? nil
            : Shrinkage(
                originalBudget: original, seconds: seconds, isTrimming: isTrimming,
                reason: Self.reasons.indices.contains(reason) ? Self.reasons[reason] : nil)
        if number() == 1 {
            var figures = CheckFigures(budget: number())
            (figures.places, figures.tokens, figures.known) = (number(), number(), number())
            (figures.recall, figures.agreement, figures.kl) = (share(), share(), share())
            (figures.right, figures.rightFull, figures.target) = (share(), share(), share())
            check = figures
        } else {
            check = nil
        }
        guard offset + 4 <= covered.byteCount else { return nil }
        let length = Int(RecordFormat.number(covered, at: offset) as UInt32)
        guard offset + 4 + length == covered.byteCount else { return nil }
        method = String(
            decoding: RecordFormat.copy(covered.extracting(offset + 4..<covered.byteCount)), as: UTF8.self)
    }
}

extension Manifest {
    /// A hash of a fingerprint's fields.
    package static func hash(ofFingerprint fingerprint: [String: String]) -> UInt64 {
        let text = fingerprint.sorted { $0.key < $1.key }.map { "\($0.key)\u{1F}\($0.value)\u{1E}" }.joined()
        return unsafe RecordFormat.checksum(Array(text.utf8).span.bytes)
    }
}
