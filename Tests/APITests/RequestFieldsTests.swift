// Which names are taken for known ones, and what is said of the others.

import API
import Testing

@Suite struct RequestFieldsTests {
    private func meant(_ name: String, _ fields: RequestFields) -> String? {
        do {
            _ = try fields.warnings(about: [name], .warn)
            return nil
        } catch {
            return error.message.split(separator: "`").dropFirst(2).first.map(String.init)
        }
    }

    @Test(
        "a name that is close to a known one, or speaks of documents, is refused by the name that is meant",
        arguments: [
            ("dokument", "document"), ("documents", "document"), ("Document", "document"), ("doc", "document"),
            ("document_id", "document"), ("temprature", "temperature"), ("maxTokens", "max_tokens"),
            ("top-p", "top_p"), ("sed", "seed"), ("message", "messages"), ("streem", "stream"), ("bugdet", "budget"),
            ("response_fromat", "response_format"), ("mirostat", nil), ("num_ctx", nil), ("top_a", nil),
            ("n_keep", nil), ("x", nil), ("repeat_penalty", nil), ("stop_token_ids", nil), ("user", nil),
            ("metadata", nil), ("temperature", nil), ("", nil), (String(repeating: "document", count: 99), nil),
        ] as [(String, String?)])
    func questions(name: String, field: String?) {
        #expect(meant(name, .completion) == field)
    }

    @Test(
        "in requests about documents a name that only begins alike is taken for the known one, too",
        arguments: [
            ("kep", "keep"), ("keep_percent", "keep"), ("ttl", "ttl_seconds"), ("pinned", "pin"), ("probe", "probes"),
            ("methods", "method"), ("colour", nil), ("text", nil), ("k", nil),
        ] as [(String, String?)])
    func documents(name: String, field: String?) {
        #expect(meant(name, .put) == field)
    }

    @Test("a query has its own names, and so has a change")
    func queries() throws {
        #expect(meant("ttl_seconds", .putQuery) == "ttl")
        #expect(meant("method", .change) != "method")
        #expect(try RequestFields.change.warnings(about: ["pin", "keep", "budget", "ttl_seconds"], .refuse) == [])
        #expect(try RequestFields.importQuery.warnings(query: "name=a&ttl=5&pin=1", .refuse) == [])
        #expect(try RequestFields.putQuery.warnings(query: "a=1&b", .warn).count == 2)
        #expect(throws: RequestError.self) { try RequestFields.putQuery.warnings(query: "a=1", .refuse) }
    }

    @Test("a request with a flood of unknown fields is refused, and no long name is shown whole")
    func floods() throws {
        let many = (0..<1000).map { "x\($0)y" }
        #expect(throws: RequestError.self) { try RequestFields.completion.warnings(about: many, .warn) }
        let long = String(repeating: "z", count: 1_000_000)
        #expect(try RequestFields.completion.warnings(about: [long], .warn).first?.utf8.count ?? 0 < 200)
    }
}
