// A document's manifest: all that is known of it besides its rows. Its presence makes the document exist.

import API

/// What the store knows of a document; stored as JSON.
public struct Manifest: Codable, Equatable, Sendable {
    /// The generation: the id under which the document's records are stored (set by `commit`).
    public var id: UInt64
    /// The document's name (set by `commit`).
    public var name: String
    /// The user id that the document belongs to (set by `commit`).
    public var owner: UInt32
    /// The version of the record format (set by `commit`).
    public var formatVersion: Int
    /// The dimensions of the cache.
    public var shape: CacheShape
    /// Average entries kept per (layer, KV head).
    public var budget: Int
    /// The preset that chose them.
    public var method: String
    /// All that makes it what it was when it chose, as JSON that the engine reads; nil in documents of older versions.
    public var methodDefinition: String?
    /// All that must be equal for the cache to be usable: field to value.
    public var fingerprint: [String: String]
    /// Entries kept, `[layers][kvHeads]`; a count below what the records hold means their first entries.
    public var counts: [[Int]]
    /// Entries per layer and KV head that each layer was given, `[layers]` or empty.
    public var layerBudgets: [Double]
    /// How much cache each layer wanted (CAKE's P), `[layers]` or empty; not always finite.
    public var preferences: [Double]
    /// Whether the preferences were unusable and the budgets uniform.
    public var preferenceFellBack: Bool
    /// Unix time of the commit (set by `commit` when 0).
    public var createdSeconds: Int
    /// Unix time of the last question, or of the commit.
    public var lastUsedSeconds: Int
    /// Questions answered.
    public var hits: Int
    /// How long the document lives after its last use; nil for ever.
    public var ttlSeconds: Int?
    /// A pinned document neither expires nor is reclaimed.
    public var pinned: Bool
    /// How long the prefill took.
    public var prefillSeconds: Double
    /// Size of the document's text.
    public var textBytes: Int
    /// Hash of the document's text.
    public var textHash: String
    /// Hash of the options it was put with.
    public var optionsHash: String
    /// What the document takes in the store, and of the quota (set by `commit`, and counted anew by every version).
    public var storedBytes: Int
    /// The rendered template text before the document, frozen.
    public var templatePrefix: String
    /// Tokens of that prefix.
    public var prefixTokens: Int
    /// What became of the document when space was short; nil while it is as it was written.
    public var shrinkage: Shrinkage?
    /// The sample questions that helped to choose the entries; nil for none.
    public var probes: [String]?
    /// How its cache compared with the full one when it was written; nil when it was not checked.
    public var check: CheckFigures?

    /// A manifest; what `commit` sets needs no value here.
    public init(
        shape: CacheShape, budget: Int, method: String, fingerprint: [String: String], counts: [[Int]],
        layerBudgets: [Double], preferences: [Double], preferenceFellBack: Bool = false, createdSeconds: Int = 0,
        ttlSeconds: Int? = nil, pinned: Bool = false, prefillSeconds: Double = 0, textBytes: Int = 0,
        textHash: String = "", optionsHash: String = "", templatePrefix: String = "", prefixTokens: Int = 0,
        check: CheckFigures? = nil
    ) {
        (id, name, owner, formatVersion, storedBytes) = (0, "", 0, RecordFormat.version, 0)
        (self.shape, self.budget, self.method, self.fingerprint) = (shape, budget, method, fingerprint)
        (self.counts, self.layerBudgets, self.preferences) = (counts, layerBudgets, preferences)
        (self.preferenceFellBack, self.createdSeconds) = (preferenceFellBack, createdSeconds)
        (lastUsedSeconds, hits) = (createdSeconds, 0)
        (self.ttlSeconds, self.pinned, self.prefillSeconds) = (ttlSeconds, pinned, prefillSeconds)
        (self.textBytes, self.textHash, self.optionsHash) = (textBytes, textHash, optionsHash)
        (self.templatePrefix, self.prefixTokens, self.check) = (templatePrefix, prefixTokens, check)
    }

    /// When the document expires unless it is used before: last use plus TTL; nil for never (no TTL, or pinned).
    public var expiresSeconds: Int? {
        guard !pinned, let ttlSeconds else { return nil }
        let (time, overflow) = lastUsedSeconds.addingReportingOverflow(ttlSeconds)
        return overflow ? nil : time
    }

    /// Whether the document has expired at a Unix time.
    public func isExpired(atSeconds now: Int) -> Bool {
        expiresSeconds.map { $0 <= now } ?? false
    }

    /// Entries kept over all layers and heads.
    public var entries: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }

    /// Whether this is the same writing of the same document, however often it has been used since.
    func isWritten(as other: Manifest) -> Bool {
        id == other.id && budget == other.budget && counts == other.counts
    }

    /// The manifest of the same document with a smaller budget; `.invalidManifest` when it would keep more than now.
    func truncated(_ truncation: Truncation) throws(StoreError) -> Manifest {
        var manifest = self
        (manifest.budget, manifest.counts) = (truncation.budget, truncation.counts)
        (manifest.layerBudgets, manifest.preferenceFellBack) = (truncation.layerBudgets, truncation.preferenceFellBack)
        if let problem = manifest.problem() { throw .invalidManifest(problem) }
        for (now, then) in zip(counts.joined(), truncation.counts.joined()) where then > now {
            throw .invalidManifest("a budget of \(truncation.budget) keeps \(then) entries of a head's \(now)")
        }
        return manifest
    }

    /// Says what makes the manifest impossible, or nil; nothing read from disk is used before this.
    package func problem() -> String? {
        do throws(StoreError) { try shape.validate() } catch { return error.description }
        guard counts.count == shape.layers, counts.allSatisfy({ $0.count == shape.kvHeads }) else {
            return "entry counts are not \(shape.layers) layers of \(shape.kvHeads) heads"
        }
        guard counts.allSatisfy({ $0.allSatisfy { $0 >= 0 && $0 <= shape.tokens } }) else {
            return "an entry count is not 0 to \(shape.tokens)"
        }
        for list in [layerBudgets, preferences] where !list.isEmpty && list.count != shape.layers {
            return "\(list.count) layer budgets or preferences for \(shape.layers) layers"
        }
        guard budget >= 0, hits >= 0, textBytes >= 0, storedBytes >= 0, prefixTokens >= 0, ttlSeconds ?? 0 >= 0 else {
            return "a size is negative"
        }
        guard check?.isPossible ?? true else { return "its check has impossible figures" }
        return nil
    }

    /// The first field, by name, in which two fingerprints differ.
    package static func difference(stored: [String: String], current: [String: String]) -> StoreError? {
        for field in Set(stored.keys).union(current.keys).sorted() where stored[field] != current[field] {
            return .mismatch(field: field, stored: stored[field] ?? "none", current: current[field] ?? "none")
        }
        return nil
    }
}
