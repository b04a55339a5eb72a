// A model file that was changed a little under its name: what the old one read is never answered from.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct IdentityTests {
    /// The bundled model with the bytes behind a metadata key's name and type replaced.
    private func model(_ key: String, _ bytes: [UInt8], in folder: URL) throws -> String {
        var data = try Data(contentsOf: URL(filePath: Project.model))
        let name = try #require(data.range(of: Data(key.utf8)), "the model has no \(key)")
        // A key is followed by the type of its value, 4 bytes, and the value (GGUF specification).
        let value = name.upperBound + 4
        #expect(Array(data[value..<value + bytes.count]) != bytes)
        data.replaceSubrange(value..<value + bytes.count, with: bytes)
        let path = folder.appending(path: "changed.gguf")
        try data.write(to: path)
        return path.path
    }

    private static func float(_ value: Float) -> [UInt8] {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
    }

    @Test(
        "a changed field of the model file is refused by its name, and rebuild reads the document for the new one",
        arguments: [
            ("llama.attention.layer_norm_rms_epsilon", float(0.1), "model.rmsEpsilon"),
            ("llama.rope.freq_base", float(5000), "model.ropeBase"),
            ("tokenizer.ggml.add_bos_token", [1], "tokenizer.addsBeginOfText"),
            ("tokenizer.ggml.eos_token_id", [1, 0, 0, 0], "tokenizer.endOfText"),
        ])
    func changedField(_ key: String, _ bytes: [UInt8], _ field: String) async throws {
        let document = try HeldOut.load().documents[0]
        let daemon = try await Daemon()
        _ = try await daemon.client.put(
            "a", DocumentText(Array(document.text.utf8)), options: DocumentOptions(method: "cake"))
        daemon.stop(SIGTERM)
        daemon.model = try model(key, bytes, in: daemon.folder)
        try await daemon.start()
        let asked = try daemon.cakectl(["ask", "a", document.questions[0].question])
        #expect(asked.status == 1 && asked.errors.contains("another \(field) "), "\(asked)")
        let listed = try await daemon.client.documents(everything: true)
        #expect(listed.map(\.state) == [.outdated] && listed[0].problem?.contains("another \(field) ") == true)
        #expect(try daemon.cakectl(["ls"]).output.contains("outdated"))
        let rebuilt = try daemon.cakectl(["rebuild", "--all"])
        #expect(rebuilt.status == 0 && rebuilt.output.hasPrefix("a: "), "\(rebuilt)")
        #expect(try daemon.cakectl(["rebuild", "--all"]).errors.contains("every document can answer"))
        #expect(try daemon.cakectl(["ask", "a", document.questions[0].question]).status == 0)
        // And back: the same file again, but what is stored now is the changed one's.
        daemon.stop(SIGTERM)
        daemon.model = Project.model
        try await daemon.start()
        #expect(try daemon.cakectl(["ask", "a", document.questions[0].question]).errors.contains(field))
    }
}
