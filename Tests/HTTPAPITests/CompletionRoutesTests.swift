import API
import EngineInterface
import Foundation
import HTTPAPI
import Synchronization
import Testing

@Suite struct CompletionRoutesTests {
    static let question = #"{"document":"a","messages":[{"role":"user","content":"who?"}]"#

    @Test("a whole chat completion has OpenAI's form, with cached tokens in its usage")
    func whole() async throws {
        try await withServer { server async throws in
            let answer = try await server.json("POST", "/v1/chat/completions", Self.question + "}")
            #expect(answer.status == 200)
            #expect(answer.object["object"] as? String == "chat.completion")
            #expect(answer.object["model"] as? String == "tiny")
            let choice = try #require((answer.object["choices"] as? [[String: Any]])?.first)
            #expect((choice["message"] as? [String: Any])?["content"] as? String == "Grüße/\"x\"\n")
            #expect((choice["message"] as? [String: Any])?["role"] as? String == "assistant")
            #expect(choice["finish_reason"] as? String == "stop")
            #expect(
                answer.text.hasSuffix(
                    #""usage":{"completion_tokens":2,"prompt_tokens":120,"#
                        + #""prompt_tokens_details":{"cached_tokens":100},"#
                        + #""timings":{"decode_seconds":0.25,"prefill_seconds":0.5},"total_tokens":122}}"#))
        }
    }

    @Test("a streamed chat completion, byte for byte", arguments: [false, true])
    func streamed(includesUsage: Bool) async throws {
        try await withServer { server async throws in
            let options = includesUsage ? #","stream_options":{"include_usage":true}}"# : "}"
            let answer = try await server.json(
                "POST", "/v1/chat/completions", Self.question + #","stream":true"# + options)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/event-stream")
            let first = try #require(answer.text.split(separator: "\n\n").first?.dropFirst(6))
            let object = try #require(try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any])
            let (id, created) = (try #require(object["id"] as? String), try #require(object["created"] as? Int))
            #expect(id.hasPrefix("chatcmpl-"))
            func chunk(_ choices: String, usage: String = "null") -> String {
                #"data: {"choices":[\#(choices)],"created":\#(created),"id":"\#(id)","model":"tiny","#
                    + #""object":"chat.completion.chunk""# + (includesUsage ? #","usage":\#(usage)}"# : "}") + "\n\n"
            }
            func choice(_ delta: String, _ reason: String = "null") -> String {
                #"{"delta":\#(delta),"finish_reason":\#(reason),"index":0,"logprobs":null}"#
            }
            var expected =
                chunk(choice(#"{"content":"","role":"assistant"}"#)) + chunk(choice(#"{"content":"Grüße"}"#))
                + chunk(choice(#"{"content":"/\"x\"\n"}"#)) + chunk(choice("{}", #""stop""#))
            if includesUsage {
                expected += chunk(
                    "",
                    usage: #"{"completion_tokens":2,"prompt_tokens":120,"prompt_tokens_details":{"cached_tokens":100},"#
                        + #""timings":{"decode_seconds":0.25,"prefill_seconds":0.5},"total_tokens":122}"#)
            }
            #expect(answer.text == expected + "data: [DONE]\n\n")
        }
    }

    @Test("a plain completion continues a prompt, whole and streamed")
    func plain() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let whole = try await server.json("POST", "/v1/completions", #"{"prompt":"once","model":"tiny"}"#)
            #expect(whole.object["object"] as? String == "text_completion")
            #expect((whole.object["choices"] as? [[String: Any]])?.first?["text"] as? String == "Grüße/\"x\"\n")
            let stream = try await server.json("POST", "/v1/completions", #"{"prompt":["once"],"stream":true}"#)
            #expect(stream.text.hasSuffix("data: [DONE]\n\n"))
            #expect(stream.text.contains(#""text":"Grüße""#))
        }
        #expect(service.state.withLock { $0.questions.map(\.prompt) } == [.text("once"), .text("once")])
    }

    @Test("several answers are told apart by their index, whole and in chunks, and cost their prompt once")
    func several() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let ask = Self.question + #","n":3,"seed":-1"#
            let whole = try await server.json("POST", "/v1/chat/completions", ask + "}")
            let choices = try #require(whole.object["choices"] as? [[String: Any]])
            #expect(choices.map { $0["index"] as? Int } == [0, 1, 2])
            #expect(choices.allSatisfy { ($0["message"] as? [String: Any])?["content"] as? String == "Grüße/\"x\"\n" })
            let usage = try #require(whole.object["usage"] as? [String: Any])
            #expect(usage["prompt_tokens"] as? Int == 120 && usage["completion_tokens"] as? Int == 6)
            #expect(usage["total_tokens"] as? Int == 126)
            let options = #","stream":true,"stream_options":{"include_usage":true}}"#
            let stream = try await server.json("POST", "/v1/chat/completions", ask + options)
            var texts = ["", "", ""]
            var ends = 0
            for line in stream.text.split(separator: "\n\n") where line.hasPrefix("data: {") {
                let chunk = try JSONDecoder().decode(Completion.self, from: Data(line.dropFirst(6).utf8))
                for choice in chunk.choices {
                    texts[choice.index] += choice.delta?.content ?? ""
                    if choice.finishReason != nil { ends += 1 }
                }
                if let usage = chunk.usage.value { #expect(usage.completionTokens == 6 && ends == 3) }
            }
            #expect(texts == Array(repeating: "Grüße/\"x\"\n", count: 3) && ends == 3)
            #expect(stream.text.hasSuffix("data: [DONE]\n\n"))
        }
        let seeds = service.state.withLock { $0.questions.map(\.sampling.seed) }
        #expect(seeds.count == 6 && Set(seeds) == [.max, 0, 1])
    }

    @Test("where one of several answers fails, the request does")
    func oneOfSeveralFails() async throws {
        let count = Mutex(0)
        let service = ScriptedService(onQuestion: { _, feed in
            if count.withLock({
                $0 += 1; return $0
            }) == 2 {
                feed.finish(throwing: .busy(message: "m", retryAfterSeconds: 3))
            } else {
                ScriptedService.answer(feed)
            }
        })
        try await withServer(service) { server async throws in
            let whole = try await server.json("POST", "/v1/chat/completions", Self.question + #","n":2}"#)
            #expect(whole.status == 429 && whole.code == "busy")
        }
    }

    private static func answerWithTokens(_ feed: ScriptedService.Feed) {
        func token(_ text: String, _ logprob: Double) -> TokenProbability {
            TokenProbability(
                bytes: Array(text.utf8), logprob: logprob, top: [.init(bytes: Array("x".utf8), logprob: -.infinity)])
        }
        feed.send(.started(promptTokens: 120, cachedTokens: 100))
        feed.send(.tokens([token("Grü", -0.5), token("ße", -1)]))
        feed.send(.text("Grüße"))
        feed.send(.tokens([token("!", -2)]))
        feed.send(.text("!"))
        feed.send(.finished(reason: .stop, usage: ScriptedService.usage))
        feed.finish()
    }

    @Test("how likely the tokens were is told in the form of each endpoint, whole and in chunks, if it is asked for")
    func logprobs() async throws {
        let service = ScriptedService(onQuestion: { _, feed in Self.answerWithTokens(feed) })
        @Sendable func token(_ text: String, _ bytes: String, _ logprob: String) -> String {
            #"{"bytes":[\#(bytes)],"logprob":\#(logprob),"token":"\#(text)","top_logprobs":"#
                + #"[{"bytes":[120],"logprob":-9999,"token":"x"}]}"#
        }
        let (first, second) = (token("Grü", "71,114,195,188", "-0.5"), token("ße", "195,159,101", "-1"))
        try await withServer(service) { server async throws in
            let ask = Self.question + #","logprobs":true,"top_logprobs":1"#
            let chat = try await server.json("POST", "/v1/chat/completions", ask + "}")
            #expect(chat.text.contains(#""logprobs":{"content":[\#(first),\#(second),\#(token("!", "33", "-2"))]}"#))
            let chunks = try await server.json("POST", "/v1/chat/completions", ask + #","stream":true}"#)
            #expect(chunks.text.contains(#""logprobs":{"content":[\#(first),\#(second)]}"#))
            #expect(chunks.text.contains(#""logprobs":{"content":[\#(token("!", "33", "-2"))]}"#))
            let plain = try await server.json("POST", "/v1/completions", #"{"prompt":"once","logprobs":1}"#)
            #expect(
                plain.text.contains(
                    #""logprobs":{"text_offset":[0,3,5],"token_logprobs":[-0.5,-1,-2],"tokens":["Grü","ße","!"],"#
                        + #""top_logprobs":[{"x":-9999},{"x":-9999},{"x":-9999}]}"#))
            let parts = try await server.json(
                "POST", "/v1/completions", #"{"prompt":"once","logprobs":1,"stream":true}"#)
            #expect(parts.text.contains(#""text_offset":[0,3]"#) && parts.text.contains(#""text_offset":[5]"#))
            let without = try await server.json("POST", "/v1/chat/completions", Self.question + "}")
            #expect(without.text.contains(#""logprobs":null"#))
            let tooMany = try await server.json("POST", "/v1/completions", #"{"prompt":"once","logprobs":6}"#)
            #expect(tooMany.status == 400 && tooMany.param == "logprobs")
        }
        #expect(service.state.withLock { $0.questions.map(\.alternatives) } == [1, 1, 1, 1, nil])
    }

    @Test("what a request asks for reaches the engine, in both forms of content")
    func request() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let body = #"""
                {"model":"tiny","document":"d1","messages":[{"role":"developer","content":"be brief"},
                {"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}],"name":"x"},
                {"role":"assistant","content":"hm"},{"role":"user","content":"so?"}],
                "max_completion_tokens":7,"max_tokens":9,"temperature":0.5,"top_p":0.25,"top_k":40,"min_p":0.125,
                "repetition_penalty":1.5,"seed":-1,"stop":["a","b"],"n":1,"logprobs":false,"tools":[],"user":"me",
                "response_format":{"type":"text"},"presence_penalty":0.5,"frequency_penalty":-2,
                "logit_bias":{"7":-100,"8":0.5},"modalities":["text"],
                "chat_template_kwargs":{"enable_thinking":true,"n":1,"x":1.5,"none":null,"list":["a",{"b":[]}]}}
                """#
            let answer = try await server.json("POST", "/v1/chat/completions", body)
            #expect(answer.status == 200)
        }
        let asked = try #require(service.state.withLock { $0.questions.first })
        #expect(asked.owner == 1000)
        #expect(asked.document == "d1")
        #expect(asked.maxTokens == 7)
        #expect(asked.stop == ["a", "b"])
        #expect(
            asked.templateArguments == [
                "enable_thinking": .flag(true), "n": .integer(1), "x": .number(1.5), "none": .none,
                "list": .list([.text("a"), .object(["b": .list([])])]),
            ])
        #expect(
            asked.sampling
                == SamplingRequest(
                    temperature: 0.5, topK: 40, topP: 0.25, minP: 0.125, repetitionPenalty: 1.5, presencePenalty: 0.5,
                    frequencyPenalty: -2, biases: [7: -100, 8: 0.5], seed: .max))
        #expect(
            asked.prompt
                == .messages([
                    .init(.system, "be brief"), .init(.user, "one two"),
                    .init(.assistant, "hm"), .init(.user, "so?"),
                ]))
    }

    @Test(
        "the engine's errors have their status, and tell clients whether to come back",
        arguments: [
            (EngineError.notFound(code: "document_not_found", message: "m"), 404, "not_found_error"),
            (.busy(message: "m", retryAfterSeconds: 3), 429, "rate_limit_error"),
            (.shuttingDown, 503, "server_error"),
            (.conflict(code: "fingerprint_mismatch", message: "m"), 409, "invalid_request_error"),
            (.gone(code: "document_damaged", message: "m"), 410, "invalid_request_error"),
            (.unacceptable(code: "below_floor", message: "m"), 422, "invalid_request_error"),
            (
                .invalid(code: "context_length_exceeded", message: "m", parameter: "messages"), 400,
                "invalid_request_error"
            ),
            (.insufficientStorage(message: "m"), 507, "server_error"),
            (.internalFailure(message: "m"), 500, "server_error"),
        ])
    func errors(error: EngineError, status: Int, type: String) async throws {
        let service = ScriptedService(onQuestion: { _, feed in feed.finish(throwing: error) })
        try await withServer(service) { server async throws in
            for stream in ["}", #","stream":true}"#] {
                let answer = try await server.json("POST", "/v1/chat/completions", Self.question + stream)
                #expect(answer.status == status)
                #expect(answer.code == error.code)
                #expect(answer.error["type"] as? String == type)
                #expect(answer.param == error.parameter)
                #expect(answer.headers["retry-after"] == [429: "3", 503: "5"][status])
                #expect(answer.headers["x-should-retry"] == (status == 409 ? "false" : nil))
            }
        }
    }

    @Test("what a model thinks is a field of its own, whole and in chunks, and in no answer without it")
    func reasoning() async throws {
        let service = ScriptedService(onQuestion: { _, feed in
            feed.send(.started(promptTokens: 120, cachedTokens: 100))
            for piece in ["Who", "?"] { feed.send(.reasoning(piece)) }
            feed.send(.text("Alice"))
            feed.send(.finished(reason: .stop, usage: ScriptedService.usage))
            feed.finish()
        })
        try await withServer(service) { server async throws in
            let whole = try await server.json("POST", "/v1/chat/completions", Self.question + "}")
            let choice = try #require((whole.object["choices"] as? [[String: Any]])?.first)
            let message = try #require(choice["message"] as? [String: String])
            #expect(message == ["role": "assistant", "content": "Alice", "reasoning_content": "Who?"])
            let stream = try await server.json("POST", "/v1/chat/completions", Self.question + #","stream":true}"#)
            let deltas = stream.text.matches(of: /"delta":({[^}]*})/).map { String($0.1) }
            #expect(
                deltas == [
                    #"{"content":"","role":"assistant"}"#, #"{"reasoning_content":"Who"}"#,
                    #"{"reasoning_content":"?"}"#, #"{"content":"Alice"}"#, "{}",
                ])
        }
        try await withServer { server async throws in
            let answer = try await server.json("POST", "/v1/chat/completions", Self.question + "}")
            #expect(!answer.text.contains("reasoning_content"))
        }
    }

    @Test(
        "a client of HTTP/1.0 is answered in its version, without chunks, and the connection closes",
        arguments: ["", "\"stream\":true,"], ["", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n"])
    func earlierHTTP(stream: String, header: String) async throws {
        try await withServer { server async throws in
            let body = "{\(stream)\"messages\":[{\"role\":\"user\",\"content\":\"who?\"}]}"
            let answer = try await offLoop {
                let connection = try Connection(server.path)
                let head = "POST /v1/chat/completions HTTP/1.0\r\n\(header)Content-Length: \(body.utf8.count)\r\n\r\n"
                connection.send(Array((head + body).utf8))
                // Our side stays open.
                return String(decoding: connection.rest(), as: UTF8.self)
            }
            #expect(answer.hasPrefix("HTTP/1.0 200 ") && answer.lowercased().contains("connection: close\r\n"))
            #expect(!answer.lowercased().contains("transfer-encoding"), "\(answer)")
            let text = answer.split(separator: "\r\n\r\n", maxSplits: 1).last ?? ""
            #expect(text.hasPrefix(stream.isEmpty ? "{\"choices\"" : "data: {"), "\(answer)")
            #expect(text.hasSuffix(stream.isEmpty ? "}" : "data: [DONE]\n\n"))
        }
    }

    @Test("a model is shown by its id") func model() async throws {
        try await withServer { server async throws in
            let model = try await server.send("GET", "/v1/models/tiny")
            #expect(model.status == 200 && model.object["id"] as? String == "tiny")
            #expect(model.object["object"] as? String == "model")
        }
    }

    @Test(
        "a document is named by `document`, by the model or in a header, and by one of them only",
        arguments: [
            (#""document":"a""#, "", "a"), (#""model":"caked/a""#, "", "a"), ("", "a", "a"),
            (#""model":"tiny""#, "", ""),
            (#""model":"caked/a","document":"a""#, "a", "a"),
            (#""model":"caked/a","document":"b""#, "", "400 invalid_parameter model"),
            (#""document":"a""#, "b", "400 invalid_parameter X-Caked-Document"),
            (#""model":"caked/.a""#, "", "400 invalid_name model"),
            (#""model":"caked/""#, "", "400 invalid_name model"),
            (#""model":"other""#, "", "404 model_not_found model"),
        ])
    func documentChoice(_ fields: String, _ header: String, _ wanted: String) async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let body = #"{"messages":[{"role":"user","content":"q"}]"# + (fields.isEmpty ? "" : "," + fields) + "}"
            let headers = ["Content-Type": "application/json"].merging(
                header.isEmpty ? [:] : ["X-Caked-Document": header]
            ) { $1 }
            let answer = try await server.send(
                "POST", "/v1/chat/completions", headers: headers, body: Array(body.utf8))
            let asked = service.state.withLock { $0.questions.map { $0.document ?? "" } }
            if answer.status == 200 {
                #expect(asked == [wanted])
            } else {
                let error = try #require(answer.object["error"] as? [String: Any])
                let told = ["code", "param"].compactMap { error[$0] as? String }.joined(separator: " ")
                #expect("\(answer.status) \(told)" == wanted, "\(answer.text)")
                #expect(asked.isEmpty)
            }
        }
    }

    @Test("the caller's documents are listed and shown as models, and nobody else's")
    func documentModels() async throws {
        try await withServer { server async throws in
            _ = try await server.send("PUT", "/v1/documents/a.txt", body: Array("text".utf8))
            let list = try await server.send("GET", "/v1/models")
            let ids = (list.object["data"] as? [[String: Any]])?.compactMap { $0["id"] as? String }
            #expect(ids == ["tiny", "caked/a.txt"])
            for path in ["caked/a.txt", "caked%2Fa.txt"] {
                let model = try await server.send("GET", "/v1/models/" + path)
                #expect(model.status == 200 && model.object["id"] as? String == "caked/a.txt", "\(path)")
            }
            #expect(try await server.send("GET", "/v1/models/caked/b").status == 404)
        }
    }

    @Test("an answer that breaks off ends with an error event and no [DONE]")
    func failsMidStream() async throws {
        let service = ScriptedService(onQuestion: { _, feed in
            feed.send(.started(promptTokens: 1, cachedTokens: 0))
            feed.send(.text("half"))
            feed.finish(throwing: .internalFailure(message: "broken"))
        })
        try await withServer(service) { server async throws in
            let answer = try await server.json("POST", "/v1/chat/completions", Self.question + #","stream":true}"#)
            #expect(answer.status == 200)
            #expect(
                answer.text.hasSuffix(
                    "data: {\"error\":{\"code\":\"internal\",\"message\":\"broken\",\"param\":null,"
                        + "\"type\":\"server_error\"}}\n\n"))
            #expect(!answer.text.contains("[DONE]"))
        }
    }

    @Test("a stream that has nothing to say is kept alive by comments, before and after its first event")
    func keepAlive() async throws {
        var limits = ServerLimits()
        limits.keepAliveSeconds = 0.05
        let service = ScriptedService(onQuestion: { _, _ in })
        try await withServer(service, limits: limits) { server async throws in
            let connection = try await offLoop {
                let connection = try Connection(server.path)
                connection.send(
                    TestServer.request(
                        "POST", "/v1/chat/completions", body: Array((Self.question + #","stream":true}"#).utf8)))
                try connection.waitFor(": keep-alive\n\n")
                return connection
            }
            ScriptedService.answer(try #require(service.state.withLock { $0.questionFeeds.first }))
            let answer = try await offLoop { try connection.answer() }
            #expect(answer.text.hasSuffix("data: [DONE]\n\n"))
        }
    }

    @Test("connections are used again, also after a stream")
    func keepsConnections() async throws {
        try await withServer { server async throws in
            let statuses = try await offLoop {
                let connection = try Connection(server.path)
                return try [#","stream":true}"#, "}", #","stream":true}"#].map { end in
                    connection.send(
                        TestServer.request("POST", "/v1/chat/completions", body: Array((Self.question + end).utf8)))
                    return try connection.answer().status
                }
            }
            #expect(statuses == [200, 200, 200])
        }
    }
}
