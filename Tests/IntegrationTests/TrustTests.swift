// Documents that are checked, given the budget they need, or refused: with the real programs.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct TrustTests {
    private static func text() throws -> String { try HeldOut.load().documents[0].text }

    private func daemon(_ settings: String) async throws -> Daemon {
        let file = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).yaml")
        try Data(settings.utf8).write(to: file)
        return try await Daemon(["--config", file.path])
    }

    private func put(
        _ daemon: Daemon, _ name: String, _ text: String, _ options: DocumentOptions = DocumentOptions()
    ) async throws -> Document {
        try await daemon.client.put(name, DocumentText(Array(text.utf8)), options: options)
    }

    @Test("a check is made where it is asked for, once, and stays with the document")
    func check() async throws {
        let daemon = try await Daemon()
        let text = try Self.text()
        let plain = try await put(daemon, "a", text)
        #expect(plain.check == nil)
        let first = try daemon.cakectl(["put", "a", "-", "--check"], input: text)
        #expect(first.status == 0 && first.output.contains("check: recalls "), "\(first.output)\(first.errors)")
        // Checked or not, the same is kept.
        let checked = try await daemon.client.document("a")
        #expect(checked.layers == (try await put(daemon, "b", text).layers))
        let found = try #require(checked.check)
        #expect(found.budget == checked.budget && found.places == 8 && found.tokens == 192 && found.target == nil)
        #expect(found.known >= 8 && (found.recall ?? 0) > 0.3 && (found.rightFull ?? 0) > (found.right ?? 1))
        // What has been checked need not be again, nor read for somebody who does not ask.
        for options in [DocumentOptions(check: true), DocumentOptions()] {
            let again = try await put(daemon, "a", text, options)
            #expect(again.wasCreated == false && again.check == found)
        }
        daemon.stop(SIGTERM)
        try await daemon.start()
        let shown = try daemon.cakectl(["show", "a"])
        #expect(shown.output.contains("recalls ") && shown.output.contains(" at 8 places"))
    }

    @Test("with nothing evicted there is nothing to miss")
    func whole() async throws {
        let daemon = try await Daemon()
        for options in [
            DocumentOptions(keep: .percent(100), check: true), DocumentOptions(method: "full", check: true),
        ] {
            let check = try #require(try await put(daemon, "a", Self.text(), options).check)
            #expect(check.recall == 1 && (check.agreement ?? 0) > 0.97 && (check.kl ?? 1) < 1e-3, "\(check)")
        }
    }

    @Test("auto keeps as little as reaches the target, at most half, and says when that is not enough")
    func auto() async throws {
        let text = try Self.text()
        var kept: [Double] = []
        for target in [0.5, 0.9] {
            let daemon = try await daemon("check_target: \(target)\nkeep: auto\n")
            let document = try await put(daemon, "a", text)
            let check = try #require(document.check)
            #expect(check.target == target && check.budget == document.budget)
            #expect((check.recall ?? 0) >= target || document.kept > 0.49)
            kept.append(document.kept)
            let again = try await put(daemon, "a", text, DocumentOptions(keep: .auto))
            #expect(again.wasCreated == false && again.budget == document.budget)
            #expect(
                try await daemon.client.complete(
                    CompletionBody(document: "a", question: "What is the registration number for Havana?")
                ).text.isEmpty == false)
        }
        #expect(kept[0] < kept[1] && kept[1] <= 0.51)

        let daemon = try await daemon("check_target: 1\n")
        let missed = try daemon.cakectl(["put", "a", "-", "--keep", "auto", "--method", "streamingllm"], input: text)
        #expect(missed.status == 0 && missed.output.contains(", less than the 100.0 % asked for"), "\(missed.output)")
    }

    @Test("a document below the floor is refused with its figure and the mend, and nothing of it is stored")
    func refuse() async throws {
        let daemon = try await daemon("check_floor: 0.8\n")
        let result = try daemon.cakectl(
            ["put", "a", "-", "--keep", "5%", "--method", "streamingllm"], input: try Self.text())
        #expect(result.status == 1)
        for part in ["below the configured floor", "80.0 %", "auto"] { #expect(result.errors.contains(part)) }
        #expect(try await daemon.client.documents(everything: true).isEmpty)
        // Nor read again and again where nobody waits for it: it stands there with its problem until the daemon stops.
        let options = DocumentOptions(keep: .percent(5), method: "streamingllm", detached: true)
        _ = try await put(daemon, "alone", Self.text(), options)
        var alone = try await daemon.client.document("alone")
        for _ in 0..<3000 where [.queued, .reading].contains(alone.state) {
            try await Task.sleep(for: .milliseconds(20))
            alone = try await daemon.client.document("alone")
        }
        #expect(alone.state == .interrupted && alone.problem?.contains("below the configured floor") == true)
        daemon.stop(SIGTERM)
        try await daemon.start()
        #expect(try await daemon.client.documents(everything: true).isEmpty)
        // What cannot be checked is not held against a document.
        let short = try await put(daemon, "short", "The access code for Lisbon is 58213.")
        #expect(short.check?.places == 0 && short.check?.recall == nil)
        #expect(try await put(daemon, "whole", Self.text(), DocumentOptions(keep: .percent(100))).check?.recall == 1)
    }

    @Test("or it gets the next larger budget that is not below the floor, and asking again reads nothing")
    func enlarge() async throws {
        let daemon = try await daemon("check_floor: 0.7\nbelow_floor: enlarge\nkeep: 4%\n")
        let text = try Self.text()
        let document = try await put(daemon, "a", text)
        #expect((document.check?.recall ?? 0) >= 0.7 && document.kept > 0.045 && document.kept < 0.51)
        #expect(try await put(daemon, "a", text).wasCreated == false)
        let enough = try await put(daemon, "b", text, DocumentOptions(keep: .percent(90), rows: "q8_0"))
        #expect(abs(enough.kept - 0.9) < 0.01)
    }
}
