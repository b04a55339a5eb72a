// Space, with the real programs: smaller budgets, a quota, an oversized document, a full disk, compaction.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct SpaceTests {
    /// A daemon with these settings.
    private func daemon(_ settings: String, extra: [String] = []) async throws -> Daemon {
        let file = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).yaml")
        try Data(settings.utf8).write(to: file)
        return try await Daemon(["--config", file.path] + extra)
    }

    private func put(
        _ name: String, _ document: HeldOut.Document, _ daemon: Daemon, _ options: DocumentOptions = DocumentOptions()
    ) async throws -> Document {
        try await daemon.client.put(name, DocumentText(Array(document.text.utf8)), options: options)
    }

    private func answers(
        _ name: String, _ document: HeldOut.Document, _ daemon: Daemon, budget: Int? = nil
    ) async throws -> [String] {
        var answers: [String] = []
        for question in document.questions.prefix(6) {
            var request = CompletionBody(document: name, question: question.question)
            request.budget = budget
            answers.append(try await daemon.client.complete(request).text)
        }
        return answers
    }

    private func code(_ body: () async throws -> Void) async -> (status: Int, code: String, message: String) {
        do {
            try await body()
            return (200, "", "")
        } catch {
            guard case .api(let status, let code, let message, _, _)? = error as? ClientError else {
                return (0, "\(error)", "")
            }
            return (status, code, message)
        }
    }

    @Test(
        "a smaller budget asked for and a shrunk document answer exactly as one written with it; it grows by a put only"
    )
    func smallerBudgets() async throws {
        let heldOut = try HeldOut.load().documents[0]
        let daemon = try await daemon("")
        let large = try await put("large", heldOut, daemon, DocumentOptions(keep: .percent(20)))
        let budget = 60
        _ = try await put("small", heldOut, daemon, DocumentOptions(keep: .budget(budget)))
        let expected = try await answers("small", heldOut, daemon)
        #expect(try await answers("large", heldOut, daemon, budget: budget) == expected)
        let whole = try await answers("large", heldOut, daemon)
        #expect(whole != expected, "the budget makes no difference here, so equal answers prove nothing")
        #expect(try await answers("large", heldOut, daemon, budget: 1_000_000) == whole)
        #expect(try await answers("large", heldOut, daemon, budget: 1).count == 6)

        let asked = try daemon.cakectl(["ask", "large", heldOut.questions[0].question, "--budget", "\(budget)"])
        #expect(asked.output == expected[0] + "\n", "\(asked)")

        let shrunk = try daemon.cakectl(["--json", "shrink", "large", "--budget", "\(budget)"])
        #expect(shrunk.status == 0, "\(shrunk)")
        #expect(try await answers("large", heldOut, daemon) == expected)
        let (now, fresh) = (try await daemon.client.document("large"), try await daemon.client.document("small"))
        #expect(now.shrunkFrom == large.budget && now.shrunkAt != nil && now.budget == budget)
        #expect(now.layers == fresh.layers && now.bytes == fresh.bytes)
        #expect(try await daemon.client.retention("large") == daemon.client.retention("small"))
        #expect(try daemon.cakectl(["show", "large"]).output.contains("shrunk"))

        let grown = await code {
            _ = try await daemon.client.update("large", DocumentChange(keep: .budget(budget + 1)))
        }
        #expect((grown.status, grown.code) == (409, "cannot_grow") && grown.message.contains("put it again"))
        let tiny = await code { _ = try await daemon.client.update("large", DocumentChange(keep: .budget(1))) }
        #expect((tiny.status, tiny.code) == (400, "invalid_budget") && tiny.message.contains("at least"))
        #expect(try await daemon.client.update("large", DocumentChange(keep: .budget(budget))).budget == budget)

        // The same request again asks for what is no longer there.
        let again = try await put("large", heldOut, daemon, DocumentOptions(keep: .percent(20)))
        #expect(again.wasCreated == true && again.shrunkFrom == nil)
        #expect(try await answers("large", heldOut, daemon) == whole)

        _ = try await put("all", heldOut, daemon, DocumentOptions(method: "full"))
        let full = await code { _ = try await daemon.client.update("all", DocumentChange(keep: .percent(10))) }
        #expect((full.status, full.code) == (409, "cannot_shrink"))
    }

    @Test(
        "a quota holds: the least recently used are shrunk, then deleted; pinned ones stay, and all of it is told"
    )
    func quota() async throws {
        let heldOut = try HeldOut.load()
        let quota = 3 << 20
        let daemon = try await daemon("quota_bytes: 3M\nquota_per_user: 100%\nshrink_floor: 50%\n")
        let pinned = try await put("pinned", heldOut.documents[0], daemon, DocumentOptions(pinned: true))
        let before = try await answers("pinned", heldOut.documents[0], daemon)
        for number in 1...9 {
            // Mixed sizes.
            let keep = Keep.percent(number % 3 == 0 ? 20 : 10)
            let document = heldOut.documents[number % heldOut.documents.count]
            _ = try await put("d\(number)", document, daemon, DocumentOptions(keep: keep, method: "cake"))
            let status = try await daemon.client.status()
            #expect(try #require(status.storeBytes) <= quota)
            #expect(status.quotaBytes == quota)
            _ = try await answers("d\(number)", document, daemon)
            // Times are whole seconds.
            try await Task.sleep(for: .milliseconds(1100))
        }
        let documents = try await daemon.client.documents()
        #expect(documents.contains { $0.id == "d9" } && !documents.contains { $0.id == "d1" })
        let kept = try #require(documents.first { $0.id == "pinned" })
        #expect(kept.entries == pinned.entries && kept.shrunkFrom == nil)
        #expect(try await answers("pinned", heldOut.documents[0], daemon) == before)
        let done = try await daemon.client.status().reclaimed
        #expect(done.shrunk.count > 0 && done.deleted.count > 0 && done.expired.count == 0)
        #expect(done.shrunk.bytes > 0 && done.deleted.bytes > 0)
        let log = try String(contentsOf: daemon.folder.appending(path: "log"), encoding: .utf8)
        #expect(log.contains("was shrunk from a budget of") && log.contains("least recently used, was deleted"))
        let shown = try daemon.cakectl(["status"]).output
        #expect(shown.contains("quota 3.0 MiB") && shown.contains("deleted"), "\(shown)")

        // Its owner is told of every one: what was shrunk says for what, what was deleted says when and why.
        #expect(documents.contains { $0.shrunkFor == "quota" && $0.shrunkAt != nil })
        #expect(documents.reduce(0) { $0 + $1.bytes } == (try await daemon.client.status().storeBytes))
        let gone = try #require(try await daemon.client.documents(everything: true).first { $0.id == "d1" })
        #expect(gone.state == .deleted && gone.deletedAt != nil && gone.bytes > 0)
        #expect(gone.problem?.contains("another of its owner's documents needed the room") == true)
        #expect(try daemon.cakectl(["ls"]).output.contains("deleted"))
        let asked = try daemon.cakectl(["ask", "d1", "Who?"])
        #expect(asked.status != 0 && asked.errors.contains(gone.problem ?? "?"), "\(asked)")
        let answer = await code { _ = try await daemon.client.document("d1") }
        #expect((answer.status, answer.code) == (410, "document_reclaimed"))
        try await daemon.client.delete("d1")
        #expect(await code { _ = try await daemon.client.document("d1") }.status == 404)

        // One that cannot fit is refused before it is read, and costs nobody anything.
        let read = try await daemon.metric("caked_prefilled_tokens_total")
        let ids = Set(try await daemon.client.documents().map(\.id))
        let text = heldOut.documents.prefix(6).map(\.text).joined(separator: "\n\n")
        let refused = await code {
            _ = try await daemon.client.put(
                "huge", DocumentText(Array(text.utf8)), options: DocumentOptions(keep: .percent(100)))
        }
        #expect((refused.status, refused.code) == (507, "insufficient_storage"))
        #expect(refused.message.contains("MiB and the store's quota leaves"), "\(refused.message)")
        #expect(try await daemon.metric("caked_prefilled_tokens_total") == read)
        #expect(Set(try await daemon.client.documents().map(\.id)) == ids)
    }

    /// `CAKED_DISK_CYCLES=100` makes this the long run.
    @Test("on a full disk a put is refused with 507 and questions are answered; with room again the next put succeeds")
    func fullDisk() async throws {
        let cycles = ProcessInfo.processInfo.environment["CAKED_DISK_CYCLES"].flatMap { Int($0) } ?? 3
        let mount = "/tmp/caked-disk-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: mount) }
        let mounted = try run(
            URL(filePath: "/bin/mount"), ["-t", "tmpfs", "-o", "size=24M,mode=700", "tmpfs", mount])
        guard mounted.status == 0 else {
            print("no small disk can be mounted here, so a full one is not tried: \(mounted.errors)")
            return
        }
        defer { _ = try? run(URL(filePath: "/bin/umount"), ["-l", mount]) }
        let heldOut = try HeldOut.load().documents[0]
        let daemon = try await daemon("min_free_disk_bytes: 0\n", extra: ["--state", mount + "/state"])
        _ = try await put("kept", heldOut, daemon, DocumentOptions(method: "cake", pinned: true))
        let expected = try await answers("kept", heldOut, daemon)
        for cycle in 0..<cycles {
            let filler = mount + "/filler"
            _ = try run(URL(filePath: "/bin/dd"), ["if=/dev/zero", "of=\(filler)", "bs=64k"])
            // So that it is really full: whatever free pages the store's file has are taken first.
            var (refused, taken) = ((status: 200, code: "", message: ""), 0)
            while refused.status == 200, taken < 200 {
                refused = await code {
                    _ = try await put(
                        "more-\(taken)", heldOut, daemon,
                        DocumentOptions(keep: .percent(20), method: "cake", pinned: true))
                }
                taken += 1
            }
            #expect((refused.status, refused.code) == (507, "insufficient_storage"), "cycle \(cycle): \(refused)")
            #expect(try await answers("kept", heldOut, daemon) == expected)
            try FileManager.default.removeItem(atPath: filler)
            let next = await code { _ = try await put("next", heldOut, daemon, DocumentOptions(method: "cake")) }
            #expect(next.status == 200, "cycle \(cycle): \(next)")
            for document in try await daemon.client.documents() where document.id != "kept" {
                try await daemon.client.delete(document.id)
            }
        }
        #expect(try daemon.cakectl(["verify"]).status == 0)
    }

    @Test("caked --compact refuses while a daemon runs, then gives free space back and changes no answer")
    func compact() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await daemon("compact_at_start: off\n")
        for number in 0..<3 {
            _ = try await put("d\(number)", heldOut.documents[number], daemon, DocumentOptions(method: "cake"))
        }
        let expected = try await answers("d0", heldOut.documents[0], daemon)
        for name in ["d1", "d2"] { try await daemon.client.delete(name) }
        let compact = ["--compact", "--state", daemon.state]
        let running = try run(Project.program("caked"), compact)
        #expect(running.status == 75 && running.errors.contains("in use"), "\(running)")
        let before = try await daemon.client.status()
        daemon.stop(SIGTERM)
        let done = try run(Project.program("caked"), compact)
        #expect(done.status == 0, "\(done)")
        #expect(done.output.hasPrefix("\(daemon.state): \(before.fileBytes) bytes before, "), "\(done)")
        let nowhere = try run(Project.program("caked"), ["--compact", "--state", daemon.folder.path + "/nowhere"])
        #expect(nowhere.status == 65 && nowhere.errors.contains("there is no store"), "\(nowhere)")
        try await daemon.start()
        let after = try await daemon.client.status()
        #expect(try #require(after.fileBytes) < #require(before.fileBytes) / 2)
        #expect(try await answers("d0", heldOut.documents[0], daemon) == expected)
    }
}

extension Daemon {
    /// A sample of the metrics without labels.
    func metric(_ name: String) throws -> Double {
        let text = try run(URL(filePath: "/usr/bin/curl"), ["-s", "--unix-socket", socket, "http://x/metrics"]).output
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return Double(line?.split(separator: " ").last ?? "") ?? .nan
    }
}
