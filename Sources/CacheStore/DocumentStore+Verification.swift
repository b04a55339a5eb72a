// Checking what is stored, and getting the text out of what is damaged.

import LMDB
import Locks

/// What a check of one document found.
public struct DocumentVerification: Equatable, Sendable {
    /// The document.
    public var key: DocumentKey
    /// Bytes of its records that were read and compared.
    public var bytes: Int
    /// What is damaged; nil when everything is as it was written.
    public var problem: String?
}

extension DocumentStore {
    /// Reads every byte of the documents and compares it with its checksum, one document after the other.
    ///
    /// Damaged documents are quarantined, and quarantined ones in which nothing is wrong any more are released. Each
    /// result is given to `report` with the number of all that are checked, and it says whether to go on; no reader is
    /// open between two documents.
    ///
    /// - Parameters:
    ///   - owner: whose documents; all owners' when nil.
    ///   - name: the one to check; all when nil. Throws `.notFound` when there is none of that name.
    public func verify(
        owner: UInt32? = nil, name: String? = nil, _ report: (DocumentVerification, _ total: Int) -> Bool
    ) throws(StoreError) {
        let keys = try keys(owner: owner).filter { name == nil || $0.name == name }
        if let name, keys.isEmpty { throw .notFound(name: name) }
        for key in keys {
            // Deleted since: there is nothing to say of it.
            guard let result = try verify(key) else { continue }
            guard report(result, keys.count) else { return }
        }
    }

    /// Checks one document; nil when there is none.
    public func verify(_ key: DocumentKey) throws(StoreError) -> DocumentVerification? {
        let transaction = try beginRead()
        var bytes = 0
        do throws(StoreError) {
            guard
                let manifest = try quarantining(
                    key, { () throws(StoreError) in try readManifest(key, in: transaction) })
            else { return nil }
            let snapshot = Snapshot(store: self, transaction: transaction)
            bytes = try quarantining(key, generation: manifest.id) { () throws(StoreError) in
                let document = try OpenDocument(manifest: manifest, snapshot: snapshot)
                try document.verify()
                return document.payloadBytes
            }
            try release(key, generation: manifest.id)
            return DocumentVerification(key: key, bytes: bytes)
        } catch .quarantined(_, let reason) {
            return DocumentVerification(key: key, bytes: bytes, problem: reason)
        }
    }

    /// Lifts the quarantine of a document in which nothing is wrong: what its checksums covered was read wrongly
    /// before.
    private func release(_ key: DocumentKey, generation: UInt64) throws(StoreError) {
        state.withLock { _ = $0.verified.insert(generation) }
        guard quarantine(key) != nil else { return }
        try write { transaction throws(StoreError) in
            do throws(LMDBError) { try removeMark(key, in: &transaction.lmdb) } catch { throw storeError(error) }
        }
        state.withLock { $0.quarantine[key] = nil }
    }

    /// The text a document was written from, also of a quarantined one, so that it can be read again.
    ///
    /// Nothing when none was stored. Throws `.notFound`, or `.corrupt` when the text itself is damaged.
    public func text(_ key: DocumentKey) throws(StoreError) -> [UInt8] {
        let transaction = try beginRead()
        let (generation, total) = try textLocation(key, in: transaction)
        var text: [UInt8] = []
        var part = 0
        while part <= Int(UInt16.max), total.map({ text.count < $0 }) ?? true {
            let recordKey = RecordFormat.recordKey(
                generation: generation, kind: .text, layer: 0, head: 0, part: part)
            let piece: [UInt8]?
            do throws(LMDBError) {
                guard let value = try transaction.value(forKey: recordKey, in: recordsDatabase) else { break }
                piece = RecordHeader.text(in: value, generation: generation, part: part, first: text.count)
            } catch { throw storeError(error) }
            guard let piece, !piece.isEmpty else { throw .corrupt(name: key.name, problem: "its text is damaged too") }
            text += piece
            part += 1
        }
        if let total, text.count != total, part > 0 {
            throw .corrupt(name: key.name, problem: "its text has \(text.count) of \(total) bytes")
        }
        return text
    }

    /// Whether a document, damaged or not, can be read again from its stored text.
    ///
    /// Reads all of the text. What may be otherwise in a moment, such as too many readers, counts as readable: nothing
    /// is to be given up for it.
    public func hasReadableText(_ key: DocumentKey) -> Bool {
        do throws(StoreError) {
            return try !text(key).isEmpty
        } catch .corrupt, .notFound {
            return false
        } catch {
            return true
        }
    }

    /// The generation that holds a document's text, and its length when the manifest can say.
    private func textLocation(
        _ key: DocumentKey, in transaction: borrowing ReadTransaction
    ) throws(StoreError) -> (generation: UInt64, total: Int?) {
        let manifest: Result<Manifest, StoreError>
        let generation: UInt64?
        let inBody: (place: ManifestRecord.TextPlace, isSound: Bool)?
        do throws(LMDBError) {
            guard let value = try transaction.value(forKey: RecordFormat.manifestKey(key), in: manifestsDatabase)
            else { throw .notFound }
            manifest = ManifestRecord.decoded(value, key: key)
            generation = ManifestRecord.generation(of: value)
            inBody = generation == nil ? ManifestRecord.textPlace(in: value, key: key) : nil
        } catch { throw error == .notFound ? .notFound(name: key.name) : storeError(error) }
        if case .success(let manifest) = manifest { return (manifest.id, manifest.textBytes) }
        if let generation { return (generation, nil) }
        // A changed digit would name the text of another document, which may be another user's.
        if let (place, isSound) = inBody {
            let isNamed = try isNamed(generation: place.id, in: transaction)
            if isSound || !isNamed { return (place.id, place.textBytes) }
        }
        throw .corrupt(name: key.name, problem: "its manifest does not say where its text is")
    }

    /// Whether a manifest with a sound header names a generation.
    private func isNamed(
        generation: UInt64, in transaction: borrowing ReadTransaction
    ) throws(StoreError) -> Bool {
        do throws(LMDBError) {
            var cursor = try transaction.cursor(in: manifestsDatabase)
            var found = try cursor.seek(to: [])
            while found {
                if ManifestRecord.generation(of: cursor.value) == generation { return true }
                found = try cursor.next()
            }
            return false
        } catch { throw storeError(error) }
    }
}
