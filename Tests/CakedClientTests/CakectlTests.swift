// The built program, run as people run it, against the scripted server: what it prints, where, and how it exits.
import Foundation
import NIOHTTP1
import Synchronization
import Testing

// Minutes, because a test waits for threads that other suites hold.
@Suite("cakectl", .timeLimit(.minutes(5))) struct CakectlTests {
    /// Runs `cakectl --socket … arguments` to its end.
    private func run(
        _ arguments: [String], socket: String, input: String = "", interruptAfter: (@Sendable () async -> Void)? = nil
    ) async throws -> (output: String, error: String, status: Int32) {
        let process = Process()
        // The products of a package lie beside its test bundle.
        process.executableURL = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appending(path: "cakectl")
        process.arguments = ["--socket", socket] + arguments
        let (output, error, standardInput) = (Pipe(), Pipe(), Pipe())
        (process.standardOutput, process.standardError, process.standardInput) = (output, error, standardInput)
        let (exited, noteExited) = AsyncStream<Void>.makeStream()
        process.terminationHandler = { _ in noteExited.finish() }
        // Written before the program starts: one that refuses its arguments ends without reading, which would break a
        // later write. Inputs here are shorter than a pipe, and so are outputs.
        try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try process.run()
        try standardInput.fileHandleForWriting.close()
        if let interruptAfter {
            await interruptAfter()
            kill(process.processIdentifier, SIGINT)
        }
        for await _ in exited {}
        func text(_ pipe: Pipe) throws -> String {
            String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        }
        return (try text(output), try text(error), process.terminationStatus)
    }

    @Test("put prints what was kept on standard output and no progress where there is no terminal")
    func put() async throws {
        let server = try await ScriptedServer { _ in
            .events(
                "event: progress\ndata: {\"phase\":\"prefill\",\"layer\":1,\"layers\":6,\"fraction\":0.25}\n\n",
                "event: document\ndata: \(Sample.document)\n\n")
        }
        let result = try await run(
            ["put", "manual", "-", "--keep", "12.5%", "--ttl", "2h"], socket: server.socketPath, input: "text")
        #expect(
            result.output == """
                manual: 12,480 tokens read in 14 s
                kept 29,952 of 299,520 entries (10.0 %), 7.5 MiB of 73.1 MiB, by cake-reconstruct

                """)
        #expect((result.error, result.status) == ("", 0))
        #expect(server.requests.first?.target == "/v1/documents/manual?keep=12.5%25&ttl=7200")
        #expect(server.requests.first?.text == "text")
    }

    @Test("put takes a share as the daemon does", arguments: ["10%", "10", "0.1"])
    func share(_ text: String) async throws {
        let server = try await ScriptedServer { _ in .json(Sample.document) }
        let result = try await run(["put", "manual", "-", "--keep", text], socket: server.socketPath, input: "text")
        #expect(result.status == 0)
        #expect(server.requests.map(\.target) == ["/v1/documents/manual?keep=10%25"])
    }

    @Test(
        "put and show say in one line what a check found",
        arguments: [
            (
                #"{"budget":1248,"places":8,"tokens":192,"known":40,"recall":0.925,"target":0.9}"#,
                "recalls 92.5 % of what the full cache knows at 8 places", ""
            ),
            (
                #"{"budget":2000,"places":8,"tokens":192,"known":40,"recall":0.5,"target":0.9}"#,
                "recalls 50.0 % of what the full cache knows at 8 places, less than the 90.0 % asked for",
                " (checked at a budget of 2,000, shrunk since)"
            ),
            (
                #"{"budget":1248,"places":8,"tokens":192,"known":3}"#,
                "nothing to tell by: of 192 tokens asked for, the full cache knows 3", ""
            ),
            (
                #"{"budget":1248,"places":0,"tokens":0,"known":0}"#,
                "not possible: the text is too short, or fills the model's context", ""
            ),
        ])
    func check(figures: String, line: String, since: String) async throws {
        let server = try await ScriptedServer { _ in
            .json(Sample.document.dropLast() + #","check":"# + figures + "}")
        }
        let put = try await run(
            ["put", "manual", "-", "--keep", "auto", "--check"], socket: server.socketPath, input: "text")
        #expect(put.output.split(separator: "\n").last.map(String.init) == "check: " + line)
        #expect(server.requests.first?.target == "/v1/documents/manual?keep=auto&check=true")
        let show = try await run(["show", "manual"], socket: server.socketPath)
        let shown = show.output.split(separator: "\n").first { $0.hasPrefix("check") }
        #expect(shown?.drop { $0 != " " }.drop { $0 == " " } == line[...] + since)
    }

    @Test("--json prints one object on one line, before or after the command")
    func json() async throws {
        let server = try await ScriptedServer { _ in .json(Sample.document) }
        let before = try await run(["--json", "show", "manual"], socket: server.socketPath)
        let after = try await run(["show", "manual", "--json"], socket: server.socketPath)
        #expect(before == after)
        #expect(before.output.split(separator: "\n").count == 1)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(before.output.utf8)) as? [String: Any])
        #expect(object["entries_full"] as? Int == 299520)
    }

    @Test(
        "--json prints what the daemon says as it came",
        arguments: [
            (["show", "manual"], Sample.whole), (["put", "manual", "-"], Sample.whole.dropLast() + made),
            (["ls"], #"{"data":[\#(Sample.whole)],"object":"list"}"#), (["status"], Sample.status),
            (
                ["models"],
                #"{"data":[{"context_length":4096,"created":7,"id":"tiny","object":"model","owned_by":"caked","#
                    + #""parameters":1000}],"object":"list"}"#
            ),
        ] as [([String], String)])
    func jsonAsItCame(_ arguments: [String], _ answer: String) async throws {
        let server = try await ScriptedServer { request in
            .json(request.method == .PUT ? Sample.whole : answer, status: "201 Created")
        }
        let result = try await run(["--json"] + arguments, socket: server.socketPath, input: "text")
        #expect((result.output, result.error, result.status) == (answer + "\n", "", 0))
    }

    private static let made = #","was_created":true}"#

    @Test("ask streams the answer, ends its line, and says what it cost when asked to")
    func ask() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("The port ", "is 7411.")) }
        let result = try await run(
            ["ask", "manual", "Which port?", "--seed", "1", "--verbose"], socket: server.socketPath)
        #expect((result.output, result.status) == ("The port is 7411.\n", 0))
        #expect(
            result.error
                == "12,500 prompt tokens, 12,480 of them cached; question read in 50.0 ms; 3 tokens written, 30.0 "
                + "tokens/s\n"
        )
    }

    @Test("an answer that breaks off is a failure, with its beginning printed")
    func brokenAnswer() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("The port", ends: false), breaksOff: true) }
        let result = try await run(["ask", "manual", "Which port?"], socket: server.socketPath)
        #expect((result.output, result.status) == ("The port\n", 1))
        #expect(result.error.hasPrefix("cakectl: the daemon closed the connection in the middle of its answer"))
    }

    @Test("chat takes a question per line and keeps the conversation")
    func chat() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("Yes.")) }
        let result = try await run(["chat", "manual"], socket: server.socketPath, input: "One?\n\n  \nTwo?")
        #expect((result.output, result.error, result.status) == ("Yes.\nYes.\n", "", 0))
        #expect(server.requests.count { $0.method == .POST } == 2)
        #expect(
            server.requests.last?.text.contains(
                #"[{"content":"One?","role":"user"},{"content":"Yes.","role":"assistant"},{"content":"Two?","#
                    + #""role":"user"}]"#
            )
                == true)
    }

    @Test("chat forgets, goes on with another document and ends as its lines say; a path is a question")
    func chatCommands() async throws {
        let server = try await ScriptedServer { request in
            request.method == .GET ? .json(Sample.document) : .events(Sample.answer("Yes."))
        }
        let lines = ["One?", "/reset", "Two?", "/frob", "/doc novel", "/etc/hosts is what?", "/exit", "Never?"]
        let result = try await run(
            ["chat", "manual"], socket: server.socketPath, input: lines.joined(separator: "\n"))
        #expect((result.output, result.status) == ("Yes.\nYes.\nYes.\n", 0))
        #expect(result.error.contains("/frob is no command here"), "\(result.error)")
        #expect(server.requests.map(\.method) == [.POST, .POST, .GET, .POST])
        #expect(server.requests[1].text.contains(#""messages":[{"content":"Two?","role":"user"}]"#))
        #expect(server.requests[2].target == "/v1/documents/novel")
        #expect(server.requests[3].text.contains(#""document":"novel""#))
        #expect(server.requests[3].text.contains(#"[{"content":"/etc/hosts is what?","role":"user"}]"#))
    }

    @Test("chat leaves out the older half when the daemon says that it is too much, and says so in a line")
    func chatTooLong() async throws {
        let server = try await ScriptedServer { request in
            request.text.contains("One?") && request.text.contains("Three?")
                ? .error("context_length_exceeded", "too long", status: "400 Bad Request")
                : .events(Sample.answer("Yes."))
        }
        let result = try await run(["chat", "manual"], socket: server.socketPath, input: "One?\nTwo?\nThree?\nFour?")
        #expect((result.output, result.status) == ("Yes.\nYes.\nYes.\nYes.\n", 0))
        #expect(
            result.error
                == "The conversation nears the model's context: its oldest question is left out from here on.\n")
        let last = try #require(server.requests.last).text
        #expect(!last.contains("One?") && last.contains("Two?") && last.contains("Four?"))
    }

    /// The sample's answers come to 12,503 tokens, 12,480 of which are the document's.
    @Test(
        "chat leaves out the older half before there is no room for an answer",
        arguments: [(12_510, true), (12_509, false), (13_000, true)])
    func chatNearlyFull(_ context: Int, _ isEnough: Bool) async throws {
        let server = try await ScriptedServer { request in
            switch (request.method, request.target) {
            case (.GET, "/v1/status"):
                .json(Sample.status.replacing(#""context_length":4096"#, with: "\"context_length\":\(context)"))
            case (.GET, _): .json(Sample.document)
            default: .events(Sample.answer("Yes."))
            }
        }
        let result = try await run(["chat", "manual"], socket: server.socketPath, input: "One?\nTwo?")
        #expect((result.output, result.status) == ("Yes.\nYes.\n", 0))
        let line = "The conversation nears the model's context: its oldest question is left out from here on.\n"
        #expect(result.error == (isEnough ? "" : line))
        #expect(server.requests.last?.text.contains("One?") == isEnough)
    }

    @Test("a question that alone is too long for the model's context fails")
    func chatHopeless() async throws {
        let server = try await ScriptedServer { _ in
            .error("context_length_exceeded", "too long", status: "400 Bad Request")
        }
        let result = try await run(["chat", "manual"], socket: server.socketPath, input: "One?")
        #expect(result.status != 0 && result.error.contains("too long") && server.requests.count == 1)
    }

    @Test("ask says how much of the document is to be read")
    func askBudget() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("Yes.")) }
        let result = try await run(["ask", "manual", "Is it?", "--budget", "40"], socket: server.socketPath)
        #expect((result.output, result.status) == ("Yes.\n", 0))
        #expect(server.requests.first?.text.contains(#""budget":40"#) == true)
    }

    @Test("shrink asks for a budget or a share, and says what is kept")
    func shrink() async throws {
        let server = try await ScriptedServer { _ in .json(Sample.document) }
        let result = try await run(["shrink", "manual", "--keep", "10%"], socket: server.socketPath)
        #expect(result.output == "manual: kept 29,952 of 299,520 entries (10.0 %), 7.5 MiB of 73.1 MiB\n")
        _ = try await run(["shrink", "manual", "--budget", "40"], socket: server.socketPath)
        #expect(server.requests.map(\.text) == [#"{"keep":"10.0%"}"#, #"{"budget":40}"#])
        #expect(server.requests.map(\.target) == ["/v1/documents/manual", "/v1/documents/manual"])
    }

    @Test("verify names what is damaged and fails; with nothing damaged it says so")
    func verify() async throws {
        let server = try await ScriptedServer { request in
            let damaged = request.target == "/v1/verify" ? #"[{"id":"b","bytes":0,"problem":"a checksum"}]"# : "[]"
            return .events(
                "event: checked\ndata: {\"id\":\"a\",\"bytes\":2048,\"number\":1,\"total\":2}\n\n",
                "event: verification\ndata: {\"object\":\"verification\",\"documents\":2,\"bytes\":2048,"
                    + "\"damaged\":\(damaged)}\n\n"
            )
        }
        let all = try await run(["verify"], socket: server.socketPath)
        #expect(
            (all.output, all.error, all.status) == ("b: damaged, a checksum\n2 documents, 2.0 KiB: 1 damaged\n", "", 1))
        let one = try await run(["verify", "a"], socket: server.socketPath)
        #expect((one.output, one.error, one.status) == ("2 documents, 2.0 KiB: all sound\n", "", 0))
        let json = try await run(["--json", "verify"], socket: server.socketPath)
        #expect(json.output.hasPrefix(#"{"bytes":2048,"damaged":[{"bytes":0,"id":"b","problem":"a checksum"}]"#))
        #expect(server.requests.map(\.target) == ["/v1/verify", "/v1/documents/a/verify", "/v1/verify"])
    }

    @Test("rebuild reads a document again and says what was kept")
    func rebuild() async throws {
        let server = try await ScriptedServer { _ in .events("event: document\ndata: \(Sample.document)\n\n") }
        let result = try await run(["rebuild", "manual"], socket: server.socketPath)
        #expect(result.output.hasPrefix("manual: 12,480 tokens read in 14 s\nkept 29,952 of"))
        #expect(server.requests.map(\.target) == ["/v1/documents/manual/rebuild"])
    }

    @Test("rm goes on after a name that is not there, and fails")
    func remove() async throws {
        let server = try await ScriptedServer { request in
            request.target.hasSuffix("/b")
                ? .error("document_not_found", "no document b", status: "404 Not Found")
                : .json(#"{"id":"x","object":"document.deleted","deleted":true}"#)
        }
        let result = try await run(["rm", "a", "b", "c"], socket: server.socketPath)
        #expect((result.output, result.error, result.status) == ("", "cakectl: b: no document b\n", 1))
        #expect(server.requests.map(\.target) == ["/v1/documents/a", "/v1/documents/b", "/v1/documents/c"])
    }

    @Test("ls is a table that fits 80 columns for names up to 27 characters")
    func list() async throws {
        let server = try await ScriptedServer { _ in .json(#"{"object":"list","data":[\#(Sample.document)]}"#) }
        let result = try await run(["ls"], socket: server.socketPath)
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("NAME    TOKENS    KEPT     SIZE"))
        #expect(lines[1].hasPrefix("manual  12,480  10.0 %  7.5 MiB"))
        #expect(lines.allSatisfy { $0.count <= 80 - 27 + "manual".count })
    }

    @Test("map draws layers and text without colour where there is no terminal, and JSON of what survived")
    func map() async throws {
        let server = try await ScriptedServer { request in
            request.target.hasSuffix("/text")
                ? .json(#"{"tokens":4,"text":"a \u001b[2Jb","offsets":[0,0,1,2,7]}"#)
                : .json(#"{"tokens":4,"layers":[{"budget":2,"preference":1,"heads":[{"positions":[0,1]}]}]}"#)
        }
        let result = try await run(["map", "manual", "--width", "40"], socket: server.socketPath)
        #expect((result.error, result.status) == ("", 0))
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.first == "0 |██  |    50 %")
        #expect(lines.dropFirst(4) == ["a \u{FFFD}[2Jb", "█", ""])
        let json = try await run(["map", "manual", "--json"], socket: server.socketPath)
        #expect(json.output == #"{"kept":0.5,"offsets":[0,0,1,2,7],"survival":[1,1,0,0],"tokens":4}"# + "\n")
        let folder = try TemporaryFolder()
        let path = try folder.file("map.html", [])
        let page = try await run(["map", "manual", "--html", path], socket: server.socketPath)
        #expect((page.output, page.error, page.status) == ("", "", 0))
        #expect(try String(contentsOfFile: path, encoding: .utf8).contains("What is kept of manual"))
        let nowhere = try await run(["map", "manual", "--svg", "/nonexistent/x"], socket: server.socketPath)
        #expect(nowhere.error == "cakectl: cannot write /nonexistent/x: No such file or directory\n")
    }

    @Test(
        "exit codes tell the causes apart",
        arguments: [
            ("429 Too Many Requests", "busy", 75), ("503 Service Unavailable", "shutting_down", 75),
            ("403 Forbidden", "forbidden", 77), ("404 Not Found", "document_not_found", 1),
            ("507 Insufficient Storage", "insufficient_storage", 1),
        ])
    func exitCodes(_ status: String, _ code: String, _ exit: Int32) async throws {
        let server = try await ScriptedServer { _ in .error(code, "no", status: status, headers: "Retry-After: 7\r\n") }
        let result = try await run(["show", "manual", "--wait", "0"], socket: server.socketPath)
        #expect(result.error == (exit == 75 ? "cakectl: no; try again in 7 s\n" : "cakectl: no\n"))
        #expect((result.output, result.status) == ("", exit))
    }

    @Test("a request that a daemon refuses or drops while it is started again is repeated until it is answered")
    func repeated() async throws {
        let asked = Counter()
        let server = try await ScriptedServer { _ in
            switch asked.next() {
            case 1: .error("shutting_down", "no", status: "503 Service Unavailable", headers: "Retry-After: 1\r\n")
            case 2: [.close]
            case 3: .events("data: {\"error\":{\"code\":\"shutting_down\",\"message\":\"no\"}}\n\n")
            default: .events(Sample.answer("yes"))
            }
        }
        let result = try await run(["ask", "manual", "Well?", "--wait", "100"], socket: server.socketPath)
        #expect((result.output, result.error, result.status) == ("yes\n", "", 0))
        #expect(server.requests.count == 4)
    }

    @Test(
        "what is not known to do no harm, or does not pass by itself, is not repeated",
        arguments: [
            (["rm", "manual"], [.close], 1),
            (
                ["ask", "manual", "Well?"],
                .error("busy", "no", status: "429 Too Many Requests", headers: "Retry-After: 1\r\n"), 75
            ),
            (["ls"], .error("store_lost", "no", status: "503 Service Unavailable", headers: "Retry-After: 1\r\n"), 75),
            (
                ["ask", "manual", "Well?"],
                .events(
                    Sample.answer("half", ends: false)
                        + "data: {\"error\":{\"code\":\"shutting_down\",\"message\":\"no\"}}\n\n"), 75
            ),
        ] as [([String], [Step], Int32)])
    func notRepeated(arguments: [String], steps: [Step], exit: Int32) async throws {
        let server = try await ScriptedServer { _ in steps }
        let result = try await run(arguments + ["--wait", "100"], socket: server.socketPath)
        #expect(result.status == exit)
        #expect(server.requests.count == 1)
    }

    @Test("a daemon whose backlog is full is busy: 75")
    func fullBacklog() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/s"
        let listening = try FullSocket(path)
        let result = try await run(["ls", "--wait", "0"], socket: path)
        #expect(result.status == 75)
        #expect(result.error.contains("is busy: too many clients wait"))
        withExtendedLifetime(listening) {}
    }

    @Test("a daemon that is not there, and does not come, is 69, with the mend", arguments: ["0", "1"])
    func unreachable(wait: String) async throws {
        let result = try await run(["ls", "--wait", wait], socket: "/tmp/no such caked.sock")
        #expect(result.status == 69)
        #expect(
            result.error.hasPrefix("cakectl: cannot reach the daemon at /tmp/no such caked.sock (there is no socket)"))
    }

    @Test(
        "wrong usage is 64 and reaches no server",
        arguments: [
            ["put"], ["put", "-"], ["put", "a", "b", "-"],
            ["put", "a", "-", "--keep", "1"], ["put", "a", "-", "--keep", "101%"],
            ["put", "a", "-", "--keep", "5%", "--budget", "5"], ["put", "a", "-", "--budget", "0"],
            ["put", "a", "-", "--ttl", "5"], ["put", "a", "-", "--rows", "f8"], ["put", "../a", "-"],
            ["ask", "a", " "], ["ask", "a", "b", "--temperature", "-1"], ["ask", "a", "b", "--max-tokens", "0"],
            ["rm"], ["rm", ""], ["frobnicate"], ["ls", "--frobnicate"], ["ls", "--timeout", "0"],
            ["shrink", "a"], ["shrink", "a", "--keep", "5%", "--budget", "5"], ["shrink", "a", "--budget", "0"],
            ["ask", "a", "b", "--budget", "0"], ["rebuild"], ["verify", "a", "b"],
            ["map", "a", "--width", "3"], ["map", "a", "--lines", "-1"], ["set", "a"],
            ["set", "a", "--pin", "--unpin"], ["set", "a", "--ttl", "1h", "--no-ttl"], ["mv", "a"],
            ["mv", "a", "../b"],
        ])
    func usage(_ arguments: [String]) async throws {
        let server = try await ScriptedServer { _ in .json("{}") }
        let result = try await run(arguments, socket: server.socketPath, input: "text")
        #expect((result.output, result.status) == ("", 64))
        #expect(result.error.hasPrefix("cakectl: "))
        #expect(server.requests.isEmpty)
    }

    @Test("SIGINT closes the connection and exits with 130")
    func interrupt() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("a", ends: false)).dropLast() + [.hold] }
        let result = try await run(["ask", "manual", "?"], socket: server.socketPath) {
            while server.requests.isEmpty { await Task.yield() }
        }
        #expect(result.status == 130)
        for await _ in server.closed { break }
    }
}

/// Counts from 1.
private final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

/// A socket that listens, accepts nobody, and has no room for another client.
private final class FullSocket: Sendable {
    private let descriptors: [CInt]

    init(_ path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        func apply(_ call: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
            unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe call($0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        func make() -> CInt {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        }
        let listening = make()
        guard unsafe apply({ unsafe bind(listening, $0, $1) }) == 0, listen(listening, 0) == 0 else {
            throw POSIXError(.init(rawValue: errno) ?? .EIO)
        }
        var all = [listening]
        repeat {
            all.append(make())
        } while unsafe apply { [last = all[all.count - 1]] in unsafe connect(last, $0, $1) } == 0
        descriptors = all
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
