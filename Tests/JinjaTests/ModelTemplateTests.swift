// The templates of published models, compared with what jinja2 makes of them.

import Foundation
import Jinja
import Testing

@Suite struct ModelTemplateTests {
    /// The shared fixtures, which are not in the tree: `CAKED_FIXTURES`, or beside the package.
    static let folder: URL = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let fixtures = ProcessInfo.processInfo.environment["CAKED_FIXTURES"].map { URL(filePath: $0) }
        return (fixtures ?? root.deletingLastPathComponent().appending(path: "shared/fixtures"))
            .appending(path: "templates")
    }()

    static let expected: Datum =
        (try? Data(contentsOf: folder.appending(path: "expected.json")))
        .map { JSONDatum.read(String(decoding: $0, as: UTF8.self)) } ?? .none

    static let names = expected["templates"]?.entries.map(\.key) ?? []

    static let hasFixtures = !names.isEmpty

    @Test(
        "a model's template writes what jinja2 has it write",
        .enabled(if: hasFixtures, "fixtures/templates is missing"),
        arguments: names)
    func equal(name: String) throws {
        let source = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        let template = try Template(source)
        let facts = try #require(Self.expected["templates"]?[name])
        let date = try #require(Self.expected["date"]?.string).split(separator: "-").compactMap { Int($0) }
        for conversation in facts["rendered"]?.entries ?? [] {
            let messages = try #require(Self.expected["conversations"]?[conversation.key])
            let variables: [Datum.Entry] = [
                .init("messages", messages), .init("bos_token", facts["bos"] ?? .none),
                .init("eos_token", facts["eos"] ?? .none), .init("add_generation_prompt", .bool(true)),
            ]
            let moment = Moment(year: date[0], month: date[1], day: date[2])
            do {
                let text = try template.render(variables, now: moment).string
                let wanted = conversation.value.string ?? "an error: \(conversation.value)"
                #expect(Array(text.unicodeScalars) == Array(wanted.unicodeScalars), "\(conversation.key)")
            } catch {
                let wanted = conversation.value["error"]?.string
                let cause = (error as? JinjaError)?.message ?? ""
                #expect(
                    wanted?.contains(cause.prefix(100)) == true,
                    "\(conversation.key): \(error), not \(wanted ?? "text")")
            }
        }
    }
}
