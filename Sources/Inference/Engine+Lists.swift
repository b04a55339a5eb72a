// Documents as their owner sees them: a page of all, or one.

import API
import CacheStore
import EngineInterface

extension Engine {
    /// A page of the caller's documents.
    public func documents(owner: UInt32, _ query: ListQuery) throws(EngineError) -> ObjectList<Document> {
        // One more than asked for tells whether there are more.
        let most = query.limit + 1
        var page = try fromStore(of: owner) { () throws(StoreError) in
            try store.list(owner: owner, after: query.after, limit: most, withDamaged: query.everything)
        }.map { listed throws(EngineError) in try document(listed, owner: owner) }
        if query.everything { page = try adding(to: page, owner: owner, query, most: most) }
        return ObjectList(page: Array(page.prefix(query.limit)), hasMore: page.count > query.limit)
    }

    /// The documents of a page together with those that are being read and those that are gone.
    private func adding(
        to page: [Document], owner: UInt32, _ query: ListQuery, most: Int
    ) throws(EngineError) -> [Document] {
        var all: [String: Document] = [:]
        for (key, tombstone) in try fromStore(
            of: owner,
            { () throws(StoreError) in
                try store.tombstones(owner: owner, after: query.after, limit: most)
            })
        { all[key.name] = Document(key.name, tombstone, model: loaded.card.id) }
        for document in keeper.board.documents(owner: owner) where document.id > query.after ?? "" {
            all[document.id] = document
        }
        for var document in page {
            document.progress = all[document.id]?.progress
            all[document.id] = document
        }
        return Array(all.values.sorted { $0.id < $1.id }.prefix(most))
    }

    private func document(_ listed: ListedDocument, owner: UInt32) throws(EngineError) -> Document {
        switch listed {
        case .damaged(let damaged):
            return Document(
                damaged: damaged.key.name, damaged.manifest, problem: damaged.reason, model: loaded.card.id)
        case .sound(let line):
            let isCurrent = line.fingerprintHash == loaded.fingerprint.hash
            // Only the manifest says in what an outdated one differs; it may have gone since.
            guard !isCurrent, let key = try? DocumentKey(owner: owner, name: line.name),
                let manifest = try? store.manifest(key)
            else { return Document(line, model: loaded.card.id) }
            return Document(manifest, loaded, withLayers: false)
        }
    }

    /// One document.
    public func document(_ name: String, owner: UInt32) throws(EngineError) -> Document {
        let key = try DocumentKey(checking: name, owner: owner)
        let unfinished = keeper.board.document(key)
        if var damaged = try damagedDocument(key) {
            damaged.progress = unfinished?.progress
            return damaged
        }
        guard let manifest = try fromStore(of: owner, { () throws(StoreError) in try store.manifest(key) }) else {
            guard let unfinished else { throw try missing(key) }
            return unfinished
        }
        var document = Document(manifest, loaded, withLayers: true)
        document.progress = unfinished?.progress
        return document
    }

    /// Why a document is not there.
    func missing(_ key: DocumentKey) throws(EngineError) -> EngineError {
        EngineError(try fromStore(of: key.owner) { () throws(StoreError) in try store.missing(key) })
    }
}
