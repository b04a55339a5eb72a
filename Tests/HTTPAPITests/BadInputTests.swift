import API
import Foundation
import HTTPAPI
import Synchronization
import Testing

/// A request that must be refused, and how.
struct Refusal: Sendable, CustomTestStringConvertible {
    var name: String
    var method = "POST"
    var target = "/v1/chat/completions"
    var headers: [String: String] = [:]
    var body: [UInt8]
    var status = 400
    var code: String
    var param: String?

    var testDescription: String { name }

    static func chat(_ name: String, _ field: String, _ code: String, param: String? = nil, status: Int = 400)
        -> Refusal
    {
        Refusal(
            name: name, body: Array(#"{"messages":[{"role":"user","content":"q"}],\#(field)}"#.utf8), status: status,
            code: code, param: param)
    }

    static func messages(_ name: String, _ messages: String, _ code: String, param: String?) -> Refusal {
        Refusal(name: name, body: Array(#"{"messages":\#(messages)}"#.utf8), code: code, param: param)
    }

    static func put(_ name: String, _ query: String = "", body: [UInt8] = [65], _ code: String, param: String?)
        -> Refusal
    {
        Refusal(name: name, method: "PUT", target: "/v1/documents/a" + query, body: body, code: code, param: param)
    }

    static func putJSON(_ name: String, _ body: String, _ code: String, param: String?) -> Refusal {
        Refusal(
            name: name, method: "PUT", target: "/v1/documents/a", headers: ["Content-Type": "application/json"],
            body: Array(body.utf8), code: code, param: param)
    }

    static func path(_ name: String, _ id: String) -> Refusal {
        Refusal(
            name: name, method: "PUT", target: "/v1/documents/" + id, body: [65], code: "invalid_name", param: "id")
    }
}

@Suite struct BadInputTests {
    static let limits = {
        var limits = ServerLimits()
        limits.documentBodyBytes = 100_000
        limits.chatBodyBytes = 300_000
        return limits
    }()

    static let questions: [Refusal] = [
        .chat("tools", #""tools":[{"type":"function"}]"#, "unsupported_parameter", param: "tools"),
        .chat("tool_choice", #""tool_choice":"required""#, "unsupported_parameter", param: "tool_choice"),
        .chat("n", #""n":9"#, "invalid_parameter", param: "n"),
        .chat("n 0", #""n":0"#, "invalid_parameter", param: "n"),
        .chat("best_of", #""best_of":2"#, "unsupported_parameter", param: "best_of"),
        .chat("logprobs", #""logprobs":3"#, "invalid_parameter", param: "logprobs"),
        .chat("top_logprobs", #""logprobs":true,"top_logprobs":21"#, "invalid_parameter", param: "top_logprobs"),
        .chat("top_logprobs alone", #""top_logprobs":2"#, "invalid_parameter", param: "top_logprobs"),
        .chat(
            "JSON mode", #""response_format":{"type":"json_object"}"#, "unsupported_parameter", param: "response_format"
        ),
        .chat("presence", #""presence_penalty":2.5"#, "invalid_parameter", param: "presence_penalty"),
        .chat("frequency", #""frequency_penalty":"much""#, "invalid_parameter", param: "frequency_penalty"),
        .chat("bias of a word", #""logit_bias":{"word":1}"#, "invalid_parameter", param: "logit_bias"),
        .chat("bias below", #""logit_bias":{"5":-101}"#, "invalid_parameter", param: "logit_bias"),
        .chat("biases in a list", #""logit_bias":[1]"#, "invalid_parameter", param: "logit_bias"),
        .chat("audio", #""audio":{"voice":"x"}"#, "unsupported_parameter", param: "audio"),
        .chat("temperature below", #""temperature":-0.1"#, "invalid_parameter", param: "temperature"),
        .chat("temperature above", #""temperature":2.1"#, "invalid_parameter", param: "temperature"),
        .chat("temperature NaN", #""temperature":NaN"#, "invalid_json"),
        .chat("temperature 1e400", #""temperature":1e400"#, "invalid_parameter", param: "temperature"),
        .chat("temperature text", #""temperature":"hot""#, "invalid_parameter", param: "temperature"),
        .chat("top_p", #""top_p":1.01"#, "invalid_parameter", param: "top_p"),
        .chat("top_p 0", #""top_p":0"#, "invalid_parameter", param: "top_p"),
        .chat("budget 0", #""document":"d","budget":0"#, "invalid_parameter", param: "budget"),
        .chat("budget alone", #""budget":5"#, "invalid_parameter", param: "budget"),
        .chat("top_k", #""top_k":-1"#, "invalid_parameter", param: "top_k"),
        .chat("min_p", #""min_p":2"#, "invalid_parameter", param: "min_p"),
        .chat(
            "template arguments", #""chat_template_kwargs":[1]"#, "invalid_parameter", param: "chat_template_kwargs"),
        .chat("penalty", #""repetition_penalty":0"#, "invalid_parameter", param: "repetition_penalty"),
        .chat("max_tokens", #""max_tokens":0"#, "invalid_parameter", param: "max_tokens"),
        .chat("max_tokens huge", #""max_tokens":99999999999999999999"#, "invalid_parameter", param: "max_tokens"),
        .chat("seed", #""seed":1.5"#, "invalid_parameter", param: "seed"),
        .chat("stream", #""stream":"yes""#, "invalid_parameter", param: "stream"),
        .chat(
            "17 stops", #""stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"]"#,
            "invalid_parameter", param: "stop"),
        .chat("empty stop", #""stop":"""#, "invalid_parameter", param: "stop"),
        .chat("documents", #""documents":["a"]"#, "unknown_parameter", param: "documents"),
        .chat("dokument", #""dokument":"a""#, "unknown_parameter", param: "dokument"),
        .chat("a document's id", #""doc_id":"a""#, "unknown_parameter", param: "doc_id"),
        .chat("a misspelt field", #""max_token":5"#, "unknown_parameter", param: "max_token"),
        .chat("another spelling", #""topP":0.5"#, "unknown_parameter", param: "topP"),
        .chat(
            "a misspelt option of the stream", #""stream_options":{"include_usag":true}"#, "unknown_parameter",
            param: "include_usag"),
        .chat("effort", #""reasoning_effort":"high""#, "unsupported_parameter", param: "reasoning_effort"),
        .chat("model", #""model":"gpt-4""#, "model_not_found", param: "model", status: 404),
        .chat("document path", #""document":"../etc""#, "invalid_name", param: "document"),
        .messages("no messages", "[]", "invalid_parameter", param: "messages"),
        .messages("messages as text", #""hello""#, "invalid_parameter", param: "messages"),
        .messages("unknown role", #"[{"role":"king","content":"q"}]"#, "invalid_parameter", param: "messages[0].role"),
        .messages("tool role", #"[{"role":"tool","content":"q"}]"#, "unsupported_parameter", param: "messages[0].role"),
        .messages("no role", #"[{"content":"q"}]"#, "invalid_parameter", param: "messages[0].role"),
        .messages("no content", #"[{"role":"user"}]"#, "invalid_parameter", param: "messages[0].content"),
        .messages(
            "an image", #"[{"role":"user","content":[{"type":"image_url"}]}]"#, "unsupported_parameter",
            param: "messages[0].content[0].type"),
        Refusal(name: "empty body", body: [], code: "invalid_json"),
        Refusal(name: "not JSON", body: Array("hello".utf8), code: "invalid_json"),
        Refusal(name: "an array", body: Array("[]".utf8), code: "invalid_parameter"),
        Refusal(name: "half an object", body: Array(#"{"messages":["#.utf8), code: "invalid_json"),
        Refusal(name: "bytes", body: [0xff, 0xfe, 0, 1], code: "invalid_json"),
        Refusal(name: "depth bomb", body: Array(repeating: UInt8(ascii: "["), count: 100_000), code: "json_too_deep"),
        Refusal(
            name: "depth bomb in a field", body: Array((#"{"x":"# + String(repeating: #"{"a":"#, count: 20_000)).utf8),
            code: "json_too_deep"),
        Refusal(name: "large chat", body: Array(repeating: 32, count: 300_001), status: 413, code: "body_too_large"),
        Refusal(
            name: "no prompt", target: "/v1/completions", body: Array("{}".utf8), code: "invalid_parameter",
            param: "prompt"),
        Refusal(
            name: "two prompts", target: "/v1/completions", body: Array(#"{"prompt":["a","b"]}"#.utf8),
            code: "unsupported_parameter", param: "prompt"),
    ]

    static let documents: [Refusal] = [
        .put("empty", body: [], "empty_document", param: "text"),
        .put("not UTF-8", body: [65, 0xc3, 0x28], "not_utf8", param: "text"),
        .put("keep zero", "?keep=0", "invalid_budget", param: "keep"),
        .put("keep 101%", "?keep=101%25", "invalid_budget", param: "keep"),
        .put("keep words", "?keep=much", "invalid_budget", param: "keep"),
        .put("keep nan", "?keep=nan", "invalid_budget", param: "keep"),
        .put("budget zero", "?budget=0", "invalid_budget", param: "budget"),
        .put("budget words", "?budget=1e3", "invalid_budget", param: "budget"),
        .put("both", "?budget=5&keep=5%25", "invalid_budget", param: "budget"),
        .put("ttl", "?ttl=-1", "invalid_parameter", param: "ttl"),
        .put("pin", "?pin=maybe", "invalid_parameter", param: "pin"),
        .put("detach", "?detach=2", "invalid_parameter", param: "detach"),
        .putJSON("no text", "{}", "invalid_parameter", param: "text"),
        .putJSON("empty text", #"{"text":""}"#, "empty_document", param: "text"),
        .putJSON("text a number", #"{"text":5}"#, "invalid_parameter", param: "text"),
        .putJSON("keep a list", #"{"text":"x","keep":[1]}"#, "invalid_parameter", param: "keep"),
        .put("a query's misspelt name", "?kep=10%25", "unknown_parameter", param: "kep"),
        .put("JSON's name in a query", "?ttl_seconds=60", "unknown_parameter", param: "ttl_seconds"),
        .putJSON("a query's name in JSON", #"{"text":"x","ttl":60}"#, "unknown_parameter", param: "ttl"),
        .putJSON("a misspelt field", #"{"text":"x","bugdet":60}"#, "unknown_parameter", param: "bugdet"),
        Refusal(
            name: "a change's misspelt field", method: "PATCH", target: "/v1/documents/a",
            body: Array(#"{"pinned":true}"#.utf8), code: "unknown_parameter", param: "pinned"),
        Refusal(
            name: "a list's misspelt item", method: "GET", target: "/v1/documents?stat=all", body: [],
            code: "unknown_parameter", param: "stat"),
        Refusal(
            name: "a rebuild with options", target: "/v1/documents/a/rebuild?keep=20%25", body: [],
            code: "unsupported_parameter", param: "query"),
        .putJSON("keep 101", #"{"text":"x","keep":101}"#, "invalid_budget", param: "keep"),
        .putJSON(
            "ttl huge", #"{"text":"x","ttl_seconds":9223372036854775807}"#, "invalid_parameter", param: "ttl_seconds"),
        .path("encoded parent", "..%2f..%2fetc%2fpasswd"), .path("dot dot", ".."), .path("hidden", ".a"),
        .path("NUL", "a%00b"), .path("4 KB", String(repeating: "a", count: 4096)),
        .path("129 bytes", String(repeating: "a", count: 129)), .path("space", "a%20b"), .path("look-alike", "%D0%B0"),
        Refusal(
            name: "gzip", method: "PUT", target: "/v1/documents/a", headers: ["Content-Encoding": "gzip"], body: [65],
            code: "unsupported_parameter", param: "Content-Encoding"),
        Refusal(
            name: "a form", method: "PUT", target: "/v1/documents/a",
            headers: ["Content-Type": "multipart/form-data; boundary=x"], body: [65],
            code: "unsupported_parameter", param: "Content-Type"),
        Refusal(
            name: "what curl -d says", method: "PUT", target: "/v1/documents/a",
            headers: ["Content-Type": "application/x-www-form-urlencoded"], body: Array(#"{"text":"x"}"#.utf8),
            code: "unsupported_parameter", param: "Content-Type"),
        Refusal(
            name: "options in address and body", method: "PUT", target: "/v1/documents/a?keep=20%25",
            headers: ["Content-Type": "application/json"], body: Array(#"{"text":"x"}"#.utf8),
            code: "unsupported_parameter", param: "query"),
        Refusal(
            name: "another model", method: "GET", target: "/v1/models/huge", body: [], status: 404,
            code: "model_not_found", param: "model"),
        Refusal(
            name: "patch ttl", method: "PATCH", target: "/v1/documents/a", body: Array(#"{"ttl_seconds":0}"#.utf8),
            code: "invalid_parameter", param: "ttl_seconds"),
        Refusal(name: "unknown path", method: "GET", target: "/v2/x", body: [], status: 404, code: "route_not_found"),
        Refusal(
            name: "slashes", method: "GET", target: "/v1/documents/a/../../x", body: [], status: 404,
            code: "route_not_found"),
        Refusal(
            name: "wrong method", method: "DELETE", target: "/v1/documents", body: [], status: 405,
            code: "method_not_allowed"),
        Refusal(
            name: "wrong method on one", method: "POST", target: "/v1/documents/a", body: [], status: 405,
            code: "method_not_allowed"),
    ]

    @Test("is refused with its code, and the server lives on", arguments: questions + documents)
    func refused(_ refusal: Refusal) async throws {
        let service = ScriptedService()
        try await withServer(service, limits: Self.limits) { server async throws in
            let answer = try await server.send(
                refusal.method, refusal.target, headers: refusal.headers, body: refusal.body)
            #expect(answer.status == refusal.status)
            #expect(answer.code == refusal.code)
            #expect(answer.param == refusal.param)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.error["message"] as? String != "")
            #expect(answer.error["type"] is String)
            #expect(try await server.send("GET", "/healthz").text == #"{"status":"ok"}"#)
        }
        service.state.withLock { #expect($0.puts.isEmpty && $0.questions.isEmpty && $0.updates.isEmpty) }
    }

    @Test(
        "what a number must be is said of each, whatever is wrong with it",
        arguments: [
            ("max_tokens", "a whole number from 1 to 9223372036854775807", ["0", "-1", "1.5", "1e400", "\"5\"", "[]"]),
            ("max_completion_tokens", "a whole number from 1 to 9223372036854775807", ["0", "1e400"]),
            ("temperature", "a number from 0 to 2", ["-0.001", "2.001", "1e39", "1e400", "\"NaN\"", "true"]),
            ("top_p", "a number above 0 and at most 1", ["0", "1.001", "-1", "1e39"]),
            ("top_k", "a whole number from 0 to 1000000", ["-1", "1000001", "0.5", "1e400"]),
            ("min_p", "a number from 0 to 1", ["-0.1", "1.1", "1e39"]),
            ("repetition_penalty", "a number from 0.1 to 10", ["0", "10.1", "1e400"]),
            (
                "seed", "a whole number from -9223372036854775808 to 9223372036854775807",
                ["9223372036854775808", "-9223372036854775809", "1.5", "1e400"]
            ),
            ("budget", "a whole number from 1 to 2147483647", ["0", "-1", "1.5", "2147483648", "1e400"]),
        ])
    func numbers(field: String, wanted: String, values: [String]) async throws {
        try await withServer { server async throws in
            for value in values {
                let answer = try await server.json(
                    "POST", "/v1/chat/completions",
                    #"{"document":"d","messages":[{"role":"user","content":"q"}],"\#(field)":\#(value)}"#)
                #expect(answer.status == 400 && answer.code == "invalid_parameter" && answer.param == field)
                #expect(answer.error["message"] as? String == "`\(field)` must be \(wanted)", "\(value)")
            }
        }
    }

    @Test("the largest and the smallest of every number are taken")
    func extremes() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            for fields in [
                #""max_tokens":9223372036854775807,"temperature":2,"top_p":1,"top_k":1000000,"min_p":1"#
                    + #","repetition_penalty":10,"seed":9223372036854775807,"budget":2147483647"#,
                #""max_tokens":1,"temperature":0,"top_p":1e-45,"top_k":0,"min_p":0"#
                    + #","repetition_penalty":0.1,"seed":-9223372036854775808,"budget":1"#,
            ] {
                let answer = try await server.json(
                    "POST", "/v1/chat/completions",
                    #"{"document":"d","messages":[{"role":"user","content":"q"}],\#(fields)}"#)
                #expect(answer.status == 200, "\(answer.text)")
            }
        }
    }

    @Test("a NaN, which JSON does not have, is named", arguments: ["NaN", "-Infinity", "Infinity"])
    func noNumber(value: String) async throws {
        try await withServer { server async throws in
            let answer = try await server.json("POST", "/v1/chat/completions", #"{"temperature": \#(value)}"#)
            #expect(answer.code == "invalid_json")
            #expect(answer.text.contains("no NaN and no Infinity"))
            let other = try await server.json("POST", "/v1/chat/completions", #"{"a":"NaN", "b": }"#)
            #expect(other.code == "invalid_json" && !other.text.contains("NaN"))
        }
    }

    @Test("fields of other engines are named in the answer's warnings, and refused where that is configured")
    func unknownFields() async throws {
        let fields = #""messages":[{"role":"user","content":"q"}],"mirostat":2,"top_a":0.5,"user":"u","store":false"#
        let warnings = ["`mirostat` is unknown and has no effect", "`top_a` is unknown and has no effect"]
        try await withServer { server async throws in
            let whole = try await server.json("POST", "/v1/chat/completions", "{\(fields)}")
            #expect(whole.status == 200 && whole.object["warnings"] as? [String] == warnings)
            let stream = try await server.json("POST", "/v1/chat/completions", #"{\#(fields),"stream":true}"#)
            #expect(stream.text.components(separatedBy: "has no effect").count == 3, "once in a stream")
            let known = try await server.json(
                "POST", "/v1/chat/completions", #"{"messages":[{"role":"user","content":"q"}],"user":"u"}"#)
            #expect(!known.text.contains("warnings"))
            let put = try await server.send("PUT", "/v1/documents/a?compression=9", body: [65])
            #expect(put.status == 201)
            #expect(put.object["warnings"] as? [String] == ["`compression` is unknown and has no effect"])
            let patch = try await server.json("PATCH", "/v1/documents/a", #"{"pin":true,"colour":1}"#)
            #expect(patch.object["warnings"] as? [String] == ["`colour` is unknown and has no effect"])
        }
        var limits = ServerLimits()
        limits.unknownFields = .refuse
        try await withServer(limits: limits) { server async throws in
            let answer = try await server.json("POST", "/v1/chat/completions", "{\(fields)}")
            #expect(answer.status == 400 && answer.code == "unknown_parameter" && answer.param == "mirostat")
            #expect(try await server.send("PUT", "/v1/documents/a?compression=9", body: [65]).status == 400)
        }
    }

    @Test("a message whose content is neither text nor parts is told what it may be", arguments: ["null", "3", "{}"])
    func contentType(content: String) async throws {
        try await withServer { server async throws in
            let answer = try await server.json(
                "POST", "/v1/chat/completions", #"{"messages":[{"role":"user","content":\#(content)}]}"#)
            #expect(answer.status == 400)
            #expect(answer.param == "messages[0].content")
            #expect(answer.text.contains("must be a text or an array of text parts"))
        }
    }

    @Test("a 405 names the methods the path takes")
    func allow() async throws {
        try await withServer { server async throws in
            let answer = try await server.send("POST", "/v1/documents/a")
            #expect(answer.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE")
        }
    }

    @Test(
        "what is not HTTP is an error object too, and the connection is closed",
        arguments: [
            ("GARBAGE\r\n\r\n", 400, "invalid_request"),
            ("GET /a\0b HTTP/1.1\r\n\r\n", 400, "invalid_request"),
            ("PUT /v1/documents/a HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400, "invalid_request"),
            ("PUT /v1/documents/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "invalid_request"),
            ("GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 40_000) + "\r\n\r\n", 431, "headers_too_large"),
            ("GET / HTTP/1.1\r\n" + String(repeating: "X: a\r\n", count: 200) + "\r\n", 431, "headers_too_large"),
        ])
    func malformed(bytes: String, status: Int, code: String) async throws {
        try await withServer { server async throws in
            let (answer, rest) = try await offLoop {
                let connection = try Connection(server.path)
                connection.send(Array(bytes.utf8))
                let answer = try connection.answer()
                return (answer, connection.rest())
            }
            #expect(answer.status == status)
            #expect(answer.code == code)
            #expect(rest.isEmpty)
            #expect(try await server.send("GET", "/healthz").status == 200)
        }
    }

    @Test("a body at the limit is taken, one byte more is 413, declared or in chunks", arguments: [0, 1])
    func bodyLimit(surplus: Int) async throws {
        try await withServer(limits: Self.limits) { server async throws in
            let body = [UInt8](repeating: 65, count: 100_000 + surplus)
            let wanted = surplus == 0 ? 201 : 413
            #expect(try await server.send("PUT", "/v1/documents/a", body: body).status == wanted)
            let chunked = try await offLoop {
                let connection = try Connection(server.path)
                connection.send(
                    TestServer.request("PUT", "/v1/documents/b", headers: ["Transfer-Encoding": "chunked"]))
                connection.send(Array("\(String(body.count, radix: 16))\r\n".utf8) + body + Array("\r\n0\r\n\r\n".utf8))
                return try connection.answer()
            }
            #expect(chunked.status == wanted)
            #expect(chunked.code == (surplus == 0 ? nil : "body_too_large"))
        }
    }

    @Test("bodies that together exceed the memory for them are refused with 429, and taken once there is room")
    func bodiesTogether() async throws {
        var limits = ServerLimits()
        limits.documentBodyBytes = 200_000
        limits.documentBodiesBytes = 300_000
        try await withServer(limits: limits) { server async throws in
            let stalled = try Connection(server.path)
            let body = [UInt8](repeating: 65, count: 200_000)
            stalled.send(TestServer.request("PUT", "/v1/documents/a", body: body).dropLast(1).map { $0 })
            // Refused as soon as most of the first body has arrived.
            var answer = try await server.send("PUT", "/v1/documents/b", body: body)
            for _ in 0..<500 where answer.status != 429 {
                answer = try await server.send("PUT", "/v1/documents/b", body: body)
            }
            #expect(answer.status == 429)
            #expect(answer.code == "busy")
            #expect(answer.headers["retry-after"] == "5")
            #expect(try await server.send("PUT", "/v1/documents/b", body: [65]).status == 201)
            stalled.send([65])
            #expect(try await offLoop { try stalled.answer() }.status == 201)
            for _ in 0..<500 where answer.status != 201 {
                answer = try await server.send("PUT", "/v1/documents/b", body: body)
            }
            #expect(answer.status == 201)
        }
    }

    @Test("uploads that one user stalls a byte short leave another user's share of the memory alone")
    func bodiesOfOneUser() async throws {
        var limits = ServerLimits()
        limits.documentBodyBytes = 100_000
        limits.documentBodiesBytes = 200_000
        try await withServer(limits: limits, peers: [1, 1, 2]) { server async throws in
            let stalled = try Connection(server.path)
            let body = [UInt8](repeating: 65, count: 100_000)
            stalled.send(
                TestServer.request("GET", "/healthz")
                    + TestServer.request("PUT", "/v1/documents/a", body: body).dropLast(1))
            #expect(try await offLoop { try stalled.answer() }.status == 200)
            let own = try Connection(server.path)
            own.send(TestServer.request("GET", "/healthz"))
            #expect(try await offLoop { try own.answer() }.status == 200)
            let other = try Connection(server.path)
            for (connection, wanted) in [(own, 429), (other, 201)] {
                var answer: Answer?
                for _ in 0..<500 where answer?.status != wanted {
                    answer = try await offLoop {
                        connection.send(TestServer.request("PUT", "/v1/documents/b", body: body))
                        return try connection.answer()
                    }
                }
                #expect(answer?.status == wanted)
            }
            stalled.send([65])
            #expect(try await offLoop { try stalled.answer() }.status == 201)
        }
    }

    @Test("a body that stalls is refused with 408, and its connection closed")
    func stalledBody() async throws {
        var limits = ServerLimits()
        limits.bodyGraceSeconds = 0.2
        try await withServer(limits: limits) { server async throws in
            let connection = try Connection(server.path)
            let put = TestServer.request("PUT", "/v1/documents/a", body: [UInt8](repeating: 65, count: 1000))
            connection.send(put.dropLast(1).map { $0 })
            let (answer, rest) = try await offLoop { (try connection.answer(), connection.rest()) }
            #expect(answer.status == 408)
            #expect(answer.code == "request_timeout")
            #expect(answer.headers["connection"] == "close")
            #expect(rest.isEmpty)
        }
    }

    @Test("an endless body is answered, then cut off")
    func endlessBody() async throws {
        var limits = Self.limits
        limits.surplusBytes = 1 << 20
        try await withServer(limits: limits) { server async throws in
            let (answer, wasCut) = try await offLoop {
                let connection = try Connection(server.path)
                connection.send(
                    TestServer.request("PUT", "/v1/documents/b", headers: ["Transfer-Encoding": "chunked"]))
                let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 65, count: 65536) + Array("\r\n".utf8)
                var sent = 0
                while sent < 1000, connection.send(chunk) { sent += 1 }
                return (try connection.answer(), sent < 1000)
            }
            #expect(answer.status == 413)
            #expect(wasCut)
            #expect(try await server.send("GET", "/healthz").status == 200)
        }
    }

    @Test("a client that waits for leave to send hears 100 Continue, or the refusal")
    func expectContinue() async throws {
        try await withServer(limits: Self.limits) { server async throws in
            let (first, refusal) = try await offLoop {
                let connection = try Connection(server.path)
                let expects = ["Expect": "100-continue", "Content-Length": "3"]
                connection.send(TestServer.request("PUT", "/v1/documents/a", headers: expects))
                try connection.waitFor("HTTP/1.1 100 Continue\r\n\r\n")
                connection.send([65, 66, 67])
                let first = try connection.answer()
                let other = try Connection(server.path)
                other.send(
                    TestServer.request(
                        "PUT", "/v1/documents/a", headers: ["Expect": "100-continue", "Content-Length": "100001"]))
                return (first, try other.answer())
            }
            #expect(first.status == 201)
            #expect(refusal.status == 413)
        }
    }
}
