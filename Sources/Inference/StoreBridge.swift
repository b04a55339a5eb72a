// Between the store's words and the engine's: manifests to documents, records to rows, errors to what a client is told.

import API
import CAKE
import CacheStore
import EngineInterface
import FoundationEssentials
import Tokenizers
import Transformer

extension DocumentKey {
    /// A checked name in the caller's namespace.
    init(checking name: String, owner: UInt32) throws(EngineError) {
        do throws(StoreError) {
            try self.init(owner: owner, name: name)
        } catch {
            throw EngineError(error)
        }
    }
}

extension EngineError {
    /// What a client is told about a store that refused.
    init(_ error: StoreError) {
        self =
            switch error {
            case .invalidName:
                .invalid(code: "invalid_name", message: error.description, parameter: "id")
            case .notFound(let name): .noDocument(name)
            case .nameTaken: .conflict(code: "name_taken", message: error.description)
            case .mismatch:
                .conflict(code: "fingerprint_mismatch", message: error.description)
            case .reclaimed(_, let tombstone):
                .gone(
                    code: tombstone.reason == .expired ? "document_expired" : "document_reclaimed",
                    message: error.description)
            case .corrupt(let name, let problem), .quarantined(let name, let problem):
                .damaged(name, problem, canRebuild: false)
            case .full, .diskFull, .overQuota, .overPinShare, .diskReserved:
                .insufficientStorage(message: error.description)
            case .lost(let problem): .unavailable(code: "store_lost", message: problem)
            case .tooManyReaders: .busy(message: error.description, retryAfterSeconds: 2)
            default: .internalFailure(message: error.description)
            }
    }

    /// The same of a user's document, in the store that it is in: of a damaged one, what mends it.
    init(_ error: StoreError, owner: UInt32, in store: DocumentStore) {
        switch error {
        case .corrupt(let name, let problem), .quarantined(let name, let problem):
            let key = try? DocumentKey(owner: owner, name: name)
            self = .damaged(name, problem, canRebuild: key.map(store.hasReadableText) ?? false)
        default: self.init(error)
        }
    }

    /// What is said when the store cannot be opened at start.
    init(opening error: StoreError) {
        let code = if case .inUse = error { "store_in_use" } else { "unusable_store" }
        self = .invalid(code: code, message: error.description, parameter: nil)
    }

    /// A document of which not everything is what was written; `canRebuild` where its text is.
    static func damaged(_ name: String, _ problem: String, canRebuild: Bool) -> EngineError {
        let mend =
            canRebuild
            ? """
            read it again from its stored text with "cakectl rebuild \(name)" or POST \
            /v1/documents/\(name)/rebuild, or delete it
            """
            : """
            it cannot be read again from what is stored; remove it with "cakectl rm \(name)" or DELETE \
            /v1/documents/\(name), and put it again
            """
        return .gone(code: "document_damaged", message: "document \"\(name)\" is damaged (\(problem)); \(mend)")
    }

    /// No such document in the caller's namespace.
    static func noDocument(_ name: String) -> EngineError {
        .notFound(
            code: "document_not_found", message: "there is no document \"\(name)\"; put it first, or list what is there"
        )
    }
}

extension BaseRows {
    /// The rows of an open document, where they lie in the memory map.
    ///
    /// The base keeps the document open.
    package init(_ document: OpenDocument) {
        let shape = document.manifest.shape
        self.init(
            rows: KVRows(shape.rows), layers: shape.layers, kvHeads: shape.kvHeads, headWidth: shape.headWidth,
            tokens: shape.tokens, owner: document)
        for layer in 0..<shape.layers {
            for head in 0..<shape.kvHeads {
                let segments = unsafe document.segments(layer: layer, head: head)
                for index in unsafe segments.indices {
                    let segment = unsafe segments[index]
                    unsafe append(
                        keys: segment.keys, values: segment.values, positions: segment.positions,
                        count: segment.count, layer: layer, head: head)
                }
            }
        }
    }
}

extension StagedDocument {
    /// Stages one layer of a finished cache.
    package func stage(layer: Int, of cache: CompactCache) throws(StoreError) {
        let heads = (0..<cache.kvHeads).map { cache.rows(layer: layer, head: $0) }
        try unsafe stage(layer: layer, heads: heads[...], from: 0, staged: [])
    }

    // The store wants all heads of a layer at once, each array's buffer valid only inside its closure: one closure a
    // head.
    private func stage(
        layer: Int, heads: ArraySlice<CompactCache.Rows>, from head: Int, staged: [StagedHead]
    ) throws(StoreError) {
        guard let rows = heads.first else { return try unsafe stage(layer: layer, heads: staged) }
        try unsafe rows.positions.withUnsafeBufferPointer { positions throws(StoreError) in
            try unsafe rows.indicators.withUnsafeBufferPointer { indicators throws(StoreError) in
                let next = unsafe StagedHead(
                    head: head, positions: positions, indicators: indicators, keys: rows.keys, values: rows.values)
                try unsafe stage(layer: layer, heads: heads.dropFirst(), from: head + 1, staged: staged + [next])
            }
        }
    }
}

extension Document {
    /// A stored document as the API shows it.
    ///
    /// One that the loaded model cannot go on from is outdated, and says in what it differs.
    init(_ manifest: Manifest, _ loaded: LoadedModel, withLayers: Bool) {
        self.init(manifest, model: loaded.card.id)
        if withLayers {
            layers = manifest.counts.indices.map { layer in
                DocumentLayer(
                    budget: manifest.layerBudget(layer), preference: manifest.finitePreference(layer),
                    entries: manifest.counts[layer])
            }
        }
        if let difference = Manifest.difference(stored: manifest.fingerprint, current: loaded.fingerprint.fields) {
            state = .outdated
            problem = difference.description
        } else if withLayers {
            promptChange = loaded.documentOpening().flatMap { PromptChange(read: manifest.templatePrefix, now: $0) }
        }
    }

    private init(_ manifest: Manifest, model: String) { self.init(DocumentLine(manifest), model: model) }

    /// A stored document as a list shows it, where it is known that the loaded model can go on from it.
    init(_ line: DocumentLine, model: String) {
        self.init(id: line.name, model: model)
        setEntries(line.entries, of: line.fullEntries)
        (created, lastUsed, hits) = (line.createdSeconds, line.lastUsedSeconds, line.hits)
        (tokens, prefixTokens) = (line.tokens, line.prefixTokens)
        (budget, method, rows) = (line.budget, line.method, line.rows.rawValue)
        (bytes, bytesFull) = (line.bytes, line.fullBytes)
        (textBytes, prefillSeconds) = (line.textBytes, line.prefillSeconds)
        (pinned, ttlSeconds, expires) = (line.pinned, line.ttlSeconds, line.expiresSeconds)
        (shrunkFrom, shrunkAt) = (line.shrinkage?.originalBudget, line.shrinkage?.seconds)
        shrunkFor = line.shrinkage?.reason?.rawValue
        (preferenceFellBack, check) = (line.preferenceFellBack, line.check)
    }

    /// A document that the store deleted.
    init(_ name: String, _ tombstone: Tombstone, model: String) {
        self.init(id: name, model: model)
        state = .deleted
        (deletedAt, lastUsed, bytes) = (tombstone.seconds, tombstone.lastUsedSeconds, tombstone.bytes)
        problem = StoreError.reclaimed(name: name, tombstone).description
    }

    /// A document that was found damaged, with what is known of it.
    init(damaged name: String, _ manifest: Manifest?, problem: String, model: String) {
        if let manifest {
            self.init(manifest, model: model)
        } else {
            // Its manifest is what is damaged: only its name is known.
            self.init(id: name, model: model)
        }
        state = .damaged
        self.problem = problem
    }
}

extension Manifest {
    /// The method that chose the document's entries, as it was then: it decides what a smaller budget keeps.
    ///
    /// Nil where the manifest does not say, or says what no method can be.
    var writtenBy: Method? {
        guard let text = methodDefinition,
            let stored = try? JSONDecoder().decode(StoredMethod.self, from: Data(text.utf8))
        else { return nil }
        return stored.usable.flatMap { $0.name == method ? $0 : nil }
    }

    /// Notes the method that chose the document's entries.
    package mutating func note(_ method: Method) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        methodDefinition = (try? encoder.encode(StoredMethod(method))).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A layer's budget; 0 when the manifest, an imported one, does not say.
    func layerBudget(_ layer: Int) -> Double { layerBudgets.isEmpty ? 0 : layerBudgets[layer] }

    /// A layer's preference as JSON can say it: 0 for one that was no number.
    func finitePreference(_ layer: Int) -> Double {
        preferences.isEmpty || !preferences[layer].isFinite ? 0 : preferences[layer]
    }
}

extension DocumentRetention {
    /// Which positions an open document kept, ascending.
    init(_ document: OpenDocument) throws(StoreError) {
        let manifest = document.manifest
        var layers: [Layer] = []
        for layer in 0..<manifest.shape.layers {
            var heads: [Head] = []
            for head in 0..<manifest.shape.kvHeads {
                heads.append(Head(positions: try document.positions(layer: layer, head: head).sorted()))
            }
            layers.append(
                Layer(budget: manifest.layerBudget(layer), preference: manifest.finitePreference(layer), heads: heads))
        }
        self.init(tokens: manifest.shape.tokens, layers: layers)
    }
}

extension DocumentSource {
    /// The text of an open document; offsets only if the loaded model cuts text as the one that read it did.
    init(_ document: OpenDocument, loaded: LoadedModel) {
        let (bytes, ids) = (document.text(), document.tokens())
        var offsets: [Int]?
        if loaded.fingerprint.hasTokenizer(of: document.manifest.fingerprint), !ids.isEmpty {
            offsets = TokenPlaces.offsets(
                of: ids.map(loaded.tokenizer.bytes), in: bytes, prefixTokens: document.manifest.prefixTokens)
        }
        self.init(
            tokens: document.manifest.shape.tokens, text: String(decoding: bytes, as: UTF8.self), offsets: offsets)
    }
}
