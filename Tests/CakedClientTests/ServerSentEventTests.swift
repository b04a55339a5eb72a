// The parser of event streams, against the cases of the specification and every way to cut them.
import CakedClient
import Testing

@Suite("Server-sent events") struct ServerSentEventTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var stream: String
        var events: [ServerSentEvent]
        var testDescription: String { stream.debugDescription }
    }

    static let cases = [
        Case(stream: "", events: []),
        Case(stream: "data: a\n\n", events: [.init(data: "a")]),
        Case(stream: "data:a\n\n", events: [.init(data: "a")]),
        Case(stream: "data:  a \n\n", events: [.init(data: " a ")]),
        Case(stream: "data: a\r\n\r\ndata: b\r\n\r\n", events: [.init(data: "a"), .init(data: "b")]),
        Case(stream: "data: a\r\rdata: b\r\r", events: [.init(data: "a"), .init(data: "b")]),
        Case(stream: "data: a\r\n\ndata: b\n\r\n", events: [.init(data: "a"), .init(data: "b")]),
        Case(stream: "data: a\ndata: b\ndata\n\n", events: [.init(data: "a\nb\n")]),
        Case(stream: "data\n\n", events: [.init(data: "")]),
        Case(stream: "event: progress\ndata: {}\n\n", events: [.init(name: "progress", data: "{}")]),
        Case(stream: "data: {}\nevent: progress\n\n", events: [.init(name: "progress", data: "{}")]),
        Case(stream: "event: x\n\ndata: a\n\n", events: [.init(data: "a")]),
        Case(stream: ": keep-alive\n\n:\n\ndata: a\n\n", events: [.init(data: "a")]),
        Case(stream: "id: 1\nretry: 5\nunknown: 2\nno colon\ndata: a\n\n", events: [.init(data: "a")]),
        Case(stream: "\n\n\ndata: a\n\n\n\n", events: [.init(data: "a")]),
        Case(stream: "\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n", events: [.init(data: "a")]),
        Case(stream: "data: a\n\ndata: cut off", events: [.init(data: "a")]),
        Case(stream: "data: a\n\ndata: cut off\n", events: [.init(data: "a")]),
        Case(stream: "data: Käse, 日本, 🎂\n\n", events: [.init(data: "Käse, 日本, 🎂")]),
        Case(stream: "data: [DONE]\n\n", events: [.init(data: "[DONE]")]),
    ]

    @Test("are the same however the stream is cut in two", arguments: cases)
    func splitAnywhere(_ it: Case) throws {
        let bytes = Array(it.stream.utf8)
        for cut in 0...bytes.count {
            var parser = ServerSentEventParser()
            let events = try parser.append(bytes[..<cut]) + parser.append(bytes[cut...])
            #expect(events == it.events, "cut at \(cut)")
        }
    }

    @Test("are the same byte by byte", arguments: cases)
    func byteByByte(_ it: Case) throws {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        for byte in it.stream.utf8 { events += try parser.append([byte]) }
        #expect(events == it.events)
    }

    @Test("come out as soon as they are complete")
    func prompt() throws {
        var parser = ServerSentEventParser()
        #expect(try parser.append("data: a\n".utf8) == [])
        #expect(try parser.append("\n".utf8) == [.init(data: "a")])
    }

    @Test("repair bytes that are not UTF-8")
    func repairs() throws {
        var parser = ServerSentEventParser()
        #expect(try parser.append(Array("data: a".utf8) + [0xFF, 0x0A, 0x0A]) == [.init(data: "a\u{FFFD}")])
    }

    @Test(
        "are refused beyond the limit, in one line or in many",
        arguments: ["data: " + String(repeating: "a", count: 95), String(repeating: "data: aaaa\n", count: 11)])
    func refusesLarge(_ stream: String) {
        var parser = ServerSentEventParser(maximumEventBytes: 100)
        #expect(throws: ClientError.responseTooLarge(what: "an event of the daemon's answer", limitBytes: 100)) {
            try parser.append(stream.utf8)
        }
    }

    @Test("have a limit each, which comments and earlier events do not use up")
    func limitIsPerEvent() throws {
        var parser = ServerSentEventParser(maximumEventBytes: 100)
        for _ in 0..<50 {
            #expect(try parser.append(": prefilling 41 %\n\n: prefilling 42 %\n".utf8) == [])
            #expect(try parser.append("data: \(String(repeating: "a", count: 94))\n\n".utf8).count == 1)
        }
    }
}
