// The options of a document: every form of them says the same, and what cannot be meant is refused in each alike.

import API
import Testing

@Suite("Document options") struct DocumentOptionsTests {
    private static let depth = 64
    private static let many = DocumentOptions(
        keep: .percent(12.5), method: "cake", effort: "fast", probes: ["Who?", "A & b=c%20"], rows: "q8_0",
        ttlSeconds: 60, pinned: true, detached: true, check: false)

    private func refusal(_ work: () throws -> Void) -> RequestError? {
        do {
            try work()
            return nil
        } catch {
            return error as? RequestError
        }
    }

    @Test(
        "what is written is read again, as a query and as JSON",
        arguments: [
            DocumentOptions(), many, DocumentOptions(keep: .auto), DocumentOptions(keep: .budget(512)),
            DocumentOptions(keep: .percent(1e-5)), DocumentOptions(keep: .percent(100), check: true),
            DocumentOptions(probes: ["Grüße?", "+ "]), DocumentOptions(ttlSeconds: DocumentOptions.maximumTTLSeconds),
        ])
    func roundTrip(_ options: DocumentOptions) throws {
        #expect(try DocumentOptions(query: options.query) == options)
        let body = PutBody(text: "x\u{0}\"", options: options)
        #expect(try JSONText.request(PutBody.self, from: JSONText.encode(body), maxDepth: Self.depth) == body)
    }

    @Test("what is not given is not written")
    func absent() throws {
        #expect(DocumentOptions().query == "")
        #expect(try JSONText.encode(DocumentOptions()) == Array("{}".utf8))
        #expect(try JSONText.encode(DocumentChange()) == Array("{}".utf8))
        let change = DocumentChange(ttlSeconds: .some(nil), keep: .budget(3))
        #expect(try JSONText.encode(change) == Array(#"{"budget":3,"ttl_seconds":null}"#.utf8))
    }

    @Test(
        "a value that cannot be meant is refused alike in JSON, in a query, in a change and where it comes as a value",
        arguments: [
            (DocumentOptions(keep: .percent(0)), "invalid_budget", "keep"),
            (DocumentOptions(keep: .percent(100.5)), "invalid_budget", "keep"),
            (DocumentOptions(keep: .percent(.nan)), "invalid_budget", "keep"),
            (DocumentOptions(keep: .budget(0)), "invalid_budget", "budget"),
            (DocumentOptions(effort: "most"), "unknown_effort", "effort"),
            (DocumentOptions(rows: "f32"), "unknown_rows", "rows"),
            (DocumentOptions(rows: ""), "unknown_rows", "rows"),
            (DocumentOptions(ttlSeconds: 0), "invalid_parameter", "ttl_seconds"),
            (DocumentOptions(ttlSeconds: DocumentOptions.maximumTTLSeconds + 1), "invalid_parameter", "ttl_seconds"),
        ])
    func refused(_ options: DocumentOptions, _ code: String, _ param: String) throws {
        let found = try #require(refusal { try options.validate() })
        #expect(found.code == code && found.param == param)
        let body = try JSONText.encode(PutBody(text: "x", options: options))
        #expect(refusal { _ = try JSONText.request(PutBody.self, from: body, maxDepth: Self.depth) } == found)
        let query = try #require(refusal { _ = try DocumentOptions(query: options.query) })
        #expect(query.code == code && query.param == (param == "ttl_seconds" ? "ttl" : param))
        guard options.effort == nil, options.rows == nil else { return }
        let change = DocumentChange(ttlSeconds: options.ttlSeconds.map { $0 }, keep: options.keep)
        #expect(refusal { try change.validate() } == found)
    }

    @Test(
        "a text is UTF-8 with something to read",
        arguments: [
            ([], "empty_document"), (Array(" \n\t".utf8), "empty_document"), ([65, 0xC3, 0x28], "not_utf8"),
            ([0xFF], "not_utf8"), (Array("a\u{0}Grüße".utf8), nil),
        ] as [([UInt8], String?)])
    func texts(_ text: [UInt8], _ code: String?) {
        let error = refusal { try PutBody.check(text: text) }
        #expect(error?.code == code && error?.param == code.map { _ in "text" })
        if text.count == 3, code == "not_utf8" { #expect(error?.message.contains("first wrong byte at 1") == true) }
    }

    @Test("the words of an option are named when another is given")
    func words() {
        #expect(Effort.wanted == "auto, learned, fast, balanced or best")
        #expect(StoredRows.wanted == "auto, f16, q8_0 or q4")
        let error = refusal { try DocumentOptions(rows: "q4_0").validate() }
        #expect(error?.message == "unknown row type \"q4_0\"; use auto, f16, q8_0 or q4")
    }

    @Test(
        "how much to keep is a percentage, a share or auto, whichever way it is written",
        arguments: [
            ("10%", .percent(10)), ("0.1", .percent(10)), ("1", .percent(100)), ("100%", .percent(100)),
            ("0.5%", .percent(0.5)), ("auto", .auto), ("10", .percent(10)), ("1.5", .percent(1.5)), ("101", nil),
            ("0", nil), ("0%", nil), ("101%", nil), ("", nil),
            ("%", nil), ("nan", nil), ("Auto", nil), ("-5%", nil),
        ] as [(String, Keep?)])
    func keep(_ text: String, _ expected: Keep?) {
        #expect(Keep(text) == expected)
    }

    @Test(
        "a share is the same as text, as a number and in a query",
        arguments: [#""10%""#, #""10""#, #""0.1""#, "10", "0.1", "1e1", "10.0"])
    func keepForms(_ value: String) throws {
        let body = Array(#"{"text":"x","keep":\#(value)}"#.utf8)
        #expect(try JSONText.request(PutBody.self, from: body, maxDepth: 4).options.keep == .percent(10))
        let query = "keep=" + value.filter { $0 != "\"" }
        #expect(try DocumentOptions(query: query).keep == .percent(10))
        let change = Array(#"{"keep":\#(value)}"#.utf8)
        #expect(try JSONText.request(DocumentChange.self, from: change, maxDepth: 4).keep == .percent(10))
    }

    @Test(
        "what a share, a budget and a time to live must be is said, whatever is wrong with them",
        arguments: [
            (#""keep":1e400"#, "keep", Keep.wanted), (#""keep":-1"#, "keep", Keep.wanted),
            (#""keep":true"#, "keep", Keep.wanted), (#""keep":100.5"#, "keep", Keep.wanted),
            (#""keep":"""#, "keep", Keep.wanted),
            (#""budget":1.5"#, "budget", "a whole number of entries, 1 to 9223372036854775807"),
            (#""budget":1e400"#, "budget", "a whole number of entries, 1 to 9223372036854775807"),
            (#""budget":"5""#, "budget", "a whole number of entries, 1 to 9223372036854775807"),
            (#""budget":0"#, "budget", "a whole number of entries, 1 to 9223372036854775807"),
            (#""ttl_seconds":1.5"#, "ttl_seconds", "a whole number of seconds from 1 to 3162240000"),
            (#""ttl_seconds":1e400"#, "ttl_seconds", "a whole number of seconds from 1 to 3162240000"),
            (#""ttl_seconds":3162240001"#, "ttl_seconds", "a whole number of seconds from 1 to 3162240000"),
            (#""ttl_seconds":-1"#, "ttl_seconds", "a whole number of seconds from 1 to 3162240000"),
        ])
    func numbers(field: String, param: String, wanted: String) throws {
        let body = Array(#"{"text":"x",\#(field)}"#.utf8)
        let error = try #require(refusal { _ = try JSONText.request(PutBody.self, from: body, maxDepth: 4) })
        #expect(error.param == param && error.message == "`\(param)` must be \(wanted)")
    }

    @Test("an import's options are read as they are written, and take a document's name only")
    func imports() throws {
        let options = ImportOptions(name: "a.b-c_d", ttlSeconds: 60, pinned: true)
        #expect(options.query == "name=a.b-c_d&ttl=60&pin=true")
        #expect(try ImportOptions(query: options.query) == options)
        #expect(try ImportOptions(query: "").query == "")
        #expect(refusal { _ = try ImportOptions(query: "name=a%2Fb") }?.code == "invalid_name")
    }

    @Test(
        "a query's escapes are decoded, and a sign that begins none stands for itself",
        arguments: [
            ("method=a%20b", "a b"), ("method=a+b", "a b"), ("method=100%", "100%"), ("method=%zz", "%zz"),
            ("method=%C3%BC", "ü"), ("method=a=b", "a=b"), ("%6dethod=x", "x"), ("method", ""),
        ])
    func escapes(_ query: String, _ method: String) throws {
        #expect(try DocumentOptions(query: query).method == method)
    }
}
