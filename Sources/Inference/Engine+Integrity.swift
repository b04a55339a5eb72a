// What happens to documents after they are stored: changed, shrunk, verified, read again when they are damaged.

import API
import CAKE
import CacheStore
import EngineInterface
import Synchronization

extension Engine {
    /// Changes the time to live, the pin, how much is kept, and the name.
    public func update(
        _ name: String, owner: UInt32, _ change: DocumentChange
    ) throws(EngineError) -> Document {
        do throws(RequestError) { try change.validate() } catch { throw EngineError(error) }
        let old = try manifest(name, owner: owner)
        let key = try DocumentKey(checking: name, owner: owner)
        defer { loop.wake() }
        // A refused budget changes nothing else either.
        if let keep = change.keep {
            let budget = try Self.budget(keep, of: old)
            let act = try fromStore(of: owner) { () throws(StoreError) in try store.shrink(key, toBudget: budget) }
            services.housekeeper.note(act.map { [$0] } ?? [])
        }
        let new = try fromStore(of: owner) { () throws(StoreError) in
            try store.update(key, ttlSeconds: change.ttlSeconds ?? old.ttlSeconds, pinned: change.pinned ?? old.pinned)
        }
        guard let name = change.name, name != key.name else { return Document(new, loaded, withLayers: true) }
        let renamed = try fromStore(of: owner) { () throws(StoreError) in
            try store.rename(key, to: try DocumentKey(owner: owner, name: name))
        }
        return Document(renamed, loaded, withLayers: true)
    }

    /// The budget that a stored document is to be shrunk to.
    private static func budget(_ keep: Keep, of manifest: Manifest) throws(EngineError) -> Int {
        let (tokens, prefix) = (manifest.shape.tokens, manifest.prefixTokens)
        guard let method = manifest.writtenBy else {
            throw .conflict(
                code: "cannot_shrink",
                message: """
                    the document does not say by which rules its entries were chosen; rebuild it, or put it again
                    """)
        }
        guard method.allocation != .everything else {
            throw .conflict(
                code: "cannot_shrink",
                message: "method \(manifest.method) keeps every entry; put the document again with another method")
        }
        guard
            let budget = method.budget(keep, of: CacheExtent(manifest))
        else {
            throw .invalidBudget(
                "auto compares with the full cache, which is gone: put the document again with keep auto",
                parameter: "keep")
        }
        guard budget <= manifest.budget else {
            throw .conflict(
                code: "cannot_grow",
                message: """
                    the document is kept with a budget of \(manifest.budget), and entries that were evicted do not \
                    come back: \
                    put it again for a budget of \(budget)
                    """)
        }
        // A document that is small as it is stays so.
        if budget != manifest.budget { try method.check(budget: budget, tokens: tokens, prefixTokens: prefix) }
        return budget
    }

    /// What is known of a document that was found damaged; nil when it was not.
    func damagedDocument(_ key: DocumentKey) throws(EngineError) -> Document? {
        let manifest: Manifest?
        let problem: String
        do throws(StoreError) {
            guard let mark = store.quarantine(key) else { return nil }
            (manifest, problem) = (try store.manifest(key), mark.reason)
        } catch .quarantined(_, let reason) {
            (manifest, problem) = (nil, reason)
        } catch {
            throw EngineError(error)
        }
        var document = Document(damaged: key.name, manifest, problem: problem, model: loaded.card.id)
        document.canRebuild = store.hasReadableText(key)
        return document
    }

    // MARK: Reading again

    /// Reads a document again from its stored text, with the options it has.
    ///
    /// Where its manifest is what is damaged nobody knows them any more, and it gets what is configured.
    public func rebuild(_ name: String, owner: UInt32, user: UInt32) -> EventStream<PutEvent> {
        put(user: user) { [self] () throws(EngineError) in
            let key = try DocumentKey(checking: name, owner: owner)
            var request = PutRequest(owner: owner, name: name, text: try storedText(key), user: user)
            if let manifest = try knownManifest(key) {
                // Another model may cut the text into other tokens: then the share is what counts.
                request.options.keep =
                    manifest.fingerprint == loaded.fingerprint.fields
                    ? .budget(manifest.budget)
                    : .percent(100 * CacheExtent(manifest).share(ofBudget: manifest.budget))
                request.options.method = manifest.method
                // A name without an effort is that of the best one, whatever is configured now.
                request.options.effort = manifest.method.contains(":") ? nil : Effort.best.rawValue
                request.options.rows = manifest.shape.rows.rawValue
                request.options.probes = manifest.probes ?? []
                request.options.check = manifest.check != nil ? true : nil
                (request.options.ttlSeconds, request.options.pinned) = (manifest.ttlSeconds, manifest.pinned)
            }
            return request
        }
    }

    private func storedText(_ key: DocumentKey) throws(EngineError) -> [UInt8] {
        do throws(StoreError) {
            let text = try store.text(key)
            guard !text.isEmpty else {
                throw StoreError.corrupt(name: key.name, problem: "no text is stored with it")
            }
            return text
        } catch .corrupt(_, let problem) {
            throw .damaged(key.name, problem, canRebuild: false)
        } catch {
            throw EngineError(error)
        }
    }

    private func knownManifest(_ key: DocumentKey) throws(EngineError) -> Manifest? {
        do throws(StoreError) { return try store.manifest(key) } catch .quarantined { return nil } catch {
            throw EngineError(error)
        }
    }

    // MARK: Verifying

    /// Compares everything that is stored of the caller's documents, or of one, with its checksums.
    ///
    /// On a thread of its own, one document after the other; dropping the stream stops it after the one it is at.
    public func verify(_ name: String?, owner: UInt32, user: UInt32) -> EventStream<VerifyEvent> {
        guard let ticket = verifyAdmission.ticket(user: user) else {
            return .failing(.busy(message: "too many verifications wait", retryAfterSeconds: 10))
        }
        let (stream, feed) = EventStream<VerifyEvent>.make(wake: {})
        let isAccepted = verifier.enqueue { [self] in
            var verification = Verification()
            var number = 0
            do throws(EngineError) {
                if let name { _ = try DocumentKey(checking: name, owner: owner) }
                try fromStore(of: owner) { () throws(StoreError) in
                    try store.verify(owner: owner, name: name) { result, total in
                        number += 1
                        let document = VerifiedDocument(
                            id: result.key.name, bytes: result.bytes, problem: result.problem)
                        verification.add(document)
                        if !feed.isFull {
                            feed.send(.checked(CheckedDocument(document: document, number: number, total: total)))
                        }
                        return !feed.isCancelled && !isShuttingDown.load(ordering: .relaxed)
                    }
                }
                if isShuttingDown.load(ordering: .relaxed) { throw .shuttingDown }
                ticket.giveUp()
                feed.send(.finished(verification))
                feed.finish()
            } catch {
                ticket.giveUp()
                feed.finish(throwing: error)
            }
        }
        if !isAccepted { feed.finish(throwing: .shuttingDown) }
        return stream
    }
}

/// What giving a store's free space back to the disk did.
public struct CompactedStore: Equatable, Sendable {
    /// The size of its file before.
    public var bytesBefore: Int
    /// Its size now.
    public var bytesAfter: Int
}

extension Engine {
    /// Gives the free space of a store that no daemon has open back to the disk.
    ///
    /// Throws `EngineError` with the codes that opening it has, or `insufficientStorage`.
    public static func compactStore(_ configuration: EngineConfiguration) throws(EngineError) -> CompactedStore {
        do throws(StoreError) {
            guard DocumentStore.exists(in: configuration.stateDirectory) else {
                throw StoreError.notAStore(path: configuration.stateDirectory)
            }
            let compaction = try DocumentStore.compact(
                directory: configuration.stateDirectory, mapBytes: configuration.storeMapBytes,
                limits: StoreLimits(configuration))
            return CompactedStore(bytesBefore: compaction.bytesBefore, bytesAfter: compaction.bytesAfter)
        } catch .diskReserved(let directory, let needed, let available) {
            throw .insufficientStorage(
                message: """
                    compacting writes a copy of \(needed) bytes beside the store, and the disk of \(directory) has \
                    \(available) to spare; free some space first
                    """)
        } catch {
            throw EngineError(opening: error)
        }
    }
}

extension StoreLimits {
    /// The configured bounds in the store's words.
    init(_ configuration: EngineConfiguration) {
        self.init(
            quotaBytes: configuration.quotaBytes > 0 ? configuration.quotaBytes : nil,
            userShare: configuration.userShare,
            minimumFreeDiskBytes: configuration.minimumFreeDiskBytes, shrinkFloor: configuration.shrinkFloor,
            compactsAtStart: configuration.compactsAtStart, tombstoneSeconds: Int(configuration.tombstoneSeconds))
    }
}
