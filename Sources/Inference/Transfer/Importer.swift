// Takes an imported document into the store: what the file says is compared with the model before anything is believed.

import API
import CAKE
import CacheStore
import EngineInterface
import Locks
import Transformer

/// One import, from its first byte to its commit.
final class Importer: @unchecked Sendable {
    // Unchecked: one caller at a time has it, whoever holds the turn.
    private let turn = Mutex(())
    private let store: DocumentStore
    private let loaded: LoadedModel
    private let owner: UInt32
    private let options: ImportOptions
    private let ticket: Ticket
    private let noteReclaimed: @Sendable ([Reclaim]) -> Void
    private var reader = ImportReader()
    private var manifest: Manifest?
    private var staged: StagedDocument?

    init(
        store: DocumentStore, loaded: LoadedModel, owner: UInt32, options: ImportOptions, ticket: Ticket,
        noteReclaimed: @escaping @Sendable ([Reclaim]) -> Void
    ) {
        (self.store, self.loaded, self.owner, self.options, self.ticket) = (store, loaded, owner, options, ticket)
        self.noteReclaimed = noteReclaimed
    }

    deinit { if let staged { noteReclaimed(staged.reclaimed) } }

    func append(_ bytes: [UInt8]) throws(EngineError) {
        try turn.withLock { _ throws(EngineError) in try read(bytes) }
    }

    func finish() throws(EngineError) -> Document {
        try turn.withLock { _ throws(EngineError) in try commit() }
    }

    private func read(_ bytes: [UInt8]) throws(EngineError) {
        do {
            try reader.append(bytes) { part in
                switch part {
                case .manifest(let manifest): try begin(manifest)
                case .text(let text): try take(text)
                case .layer(let layer, let part):
                    guard let staged else { throw EngineError.damagedExport("its header is missing") }
                    try unsafe part.withHeads { heads throws(StoreError) in
                        try unsafe staged.stage(layer: layer, heads: heads)
                    }
                }
            }
        } catch let error as EngineError {
            throw error
        } catch let error as StoreError {
            throw EngineError(error)
        } catch ImportReader.Refusal.notAnExport {
            throw .invalid(
                code: "not_an_export", message: "this is no document that caked exported, or another version's",
                parameter: nil)
        } catch ImportReader.Refusal.damaged(let problem) {
            throw .damagedExport(problem)
        } catch {
            throw .internalFailure(message: "\(error)")
        }
    }

    private func commit() throws(EngineError) -> Document {
        guard reader.isDone, let staged, let manifest else { throw .damagedExport("it ends too early") }
        defer { ticket.giveUp() }
        do throws(StoreError) {
            return Document(try staged.commit(manifest), loaded, withLayers: true)
        } catch {
            throw EngineError(error)
        }
    }

    // Everything that the rest depends on, before any of it is read.
    private func begin(_ found: Manifest) throws(EngineError) {
        if let difference = Manifest.difference(stored: found.fingerprint, current: loaded.fingerprint.fields) {
            throw EngineError(difference)
        }
        let (shape, model) = (found.shape, loaded.model.configuration)
        guard shape.layers == model.layers, shape.kvHeads == model.kvHeads, shape.headWidth == model.headWidth,
            shape.rows != .f32, shape.capacities == model.capacities(tokens: shape.tokens)
        else { throw .damagedExport("its shape is not the model's") }
        guard (1...loaded.card.contextLength - ReadingPlan.answerReserveTokens).contains(shape.tokens) else {
            throw .damagedExport("it has \(shape.tokens) tokens, which the model's context cannot hold")
        }
        // No token is longer, so no text of so many tokens is.
        guard found.textBytes / loaded.longestTokenBytes <= shape.tokens else {
            throw .damagedExport("its text is longer than its tokens")
        }
        guard found.writtenBy != nil else {
            throw .invalid(
                code: "unknown_method",
                message: """
                    the exported document does not say by which rules of method "\(found.method)" its entries were \
                    chosen, or \
                    by rules of another version; export it again with this version
                    """,
                parameter: nil)
        }
        var manifest = ExportFormat.travelling(found)
        (manifest.ttlSeconds, manifest.pinned) = (options.ttlSeconds, options.pinned)
        self.manifest = manifest
        do throws(StoreError) {
            let key = try DocumentKey(owner: owner, name: options.name ?? found.name)
            staged = try store.begin(key, shape: shape)
        } catch {
            throw EngineError(error)
        }
    }

    // The text has to be the one that was read: it gives the tokens again, in number and in the template's place.
    private func take(_ text: [UInt8]) throws(EngineError) {
        guard let manifest, let staged else { throw .damagedExport("its header is missing") }
        guard let document = String(validating: text, as: UTF8.self) else {
            throw .damagedExport("its text is not UTF-8")
        }
        var hash = Hash128()
        hash.update(text)
        guard hash.hex == manifest.textHash,
            let (tokens, prefixTokens, prefix) = try? loaded.documentTokens(
                document, readBehind: manifest.templatePrefix),
            tokens.count == manifest.shape.tokens, prefixTokens == manifest.prefixTokens,
            prefix == manifest.templatePrefix
        else { throw .damagedExport("its text is not the one that was read") }
        do throws(StoreError) {
            try staged.stageText(text)
            try staged.stageTokens(tokens)
        } catch {
            throw EngineError(error)
        }
    }
}

extension EngineError {
    /// A file that is not what was exported, and what of it is wrong.
    static func damagedExport(_ problem: String) -> EngineError {
        .invalid(
            code: "damaged_export", message: "the exported document is damaged: \(problem); export it again",
            parameter: nil)
    }
}
