// What jinja2 makes of small templates, one fact a template (Facts/make_facts.py).

import Foundation
import Jinja
import Testing

@Suite struct FactTests {
    struct Fact: Sendable {
        let template: String
        /// nil: jinja2 raises an error.
        let output: String?
    }

    private static let file: Datum = {
        guard let url = Bundle.module.url(forResource: "facts", withExtension: "json", subdirectory: "Facts"),
            let data = try? Data(contentsOf: url)
        else { return .none }
        return JSONDatum.read(String(decoding: data, as: UTF8.self))
    }()

    static let facts: [Fact] = (file["facts"]?.elements ?? []).compactMap { fact in
        fact["template"]?.string.map { Fact(template: $0, output: fact["output"]?.string) }
    }

    static let now = Moment(year: 2026, month: 11, day: 28, hour: 15, minute: 4, second: 5)

    @Test("the table has several hundred facts, and errors among them")
    func table() {
        #expect(Self.facts.count > 700)
        #expect(Self.facts.count { $0.output == nil } > 50)
    }

    @Test("a template writes what jinja2 has it write, and fails where jinja2 fails")
    func equal() {
        let context = Self.file["context"]?.entries ?? []
        #expect(!context.isEmpty)
        for fact in Self.facts {
            let output = try? Template(fact.template).render(context, now: Self.now).string
            #expect(
                output.map { Array($0.unicodeScalars) } == fact.output.map { Array($0.unicodeScalars) },
                "\(fact.template)")
        }
    }
}
