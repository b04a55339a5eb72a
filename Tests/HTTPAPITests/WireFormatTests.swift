// The bytes of every kind of answer, as they have been since the first version: a client of then reads a daemon of now.

import API
import EngineInterface
import Foundation
import HTTPAPI
import Synchronization
import Testing

@Suite("Wire format") struct WireFormatTests {
    /// A document of which every field is there.
    private static var whole: Document {
        var document = ScriptedService.document("whole")
        document.state = .reading
        document.progress = PutProgress(phase: "prefill", layer: 3, layers: 6, fraction: 0.25)
        document.problem = "it is \"torn\"/"
        (document.ttlSeconds, document.expires, document.pinned) = (60, 1060, true)
        (document.shrunkFrom, document.shrunkAt) = (9, 1001)
        document.preferenceFellBack = true
        var check = CheckFigures(budget: 4)
        (check.places, check.tokens, check.known, check.recall, check.agreement) = (8, 192, 40, 0.925, 0.5)
        (check.kl, check.right, check.rightFull, check.target) = (1e-7, 0.75, 1, 0.9)
        document.check = check
        return document
    }

    /// What differs from run to run, made the same.
    private static func steady(_ text: String) -> String {
        text.replacing(/"id":"(chatcmpl|cmpl)-[0-9a-z]+"/) { "\"id\":\"\($0.1)-ID\"" }
            .replacing(/"created":[0-9]{9,}/, with: "\"created\":NOW")
    }

    @Test("answers have the bytes they always had")
    func answers() async throws {
        let service = ScriptedService(onPut: { service, request, feed in
            var document = ScriptedService.document(request.name)
            feed.send(.queued(ahead: 2))
            feed.send(.progress(PutProgress(phase: "store", layer: 1, layers: 2, fraction: 1)))
            if request.name == "later" {
                document.state = .queued
                feed.send(.accepted(document))
            } else {
                feed.send(.finished(document, created: request.name == "new"))
            }
            feed.finish()
        })
        service.state.withLock { $0.documents[1000] = ["plain": ScriptedService.document("plain"), "bad": Self.whole] }
        let found = Mutex<[String]>([])
        try await withServer(service) { server async throws in
            @Sendable func ask(_ method: String, _ target: String, _ body: String? = nil, events: Bool = false)
                async throws
            {
                var headers = ["Content-Type": target.contains("?") ? "text/plain" : "application/json"]
                if events { headers["Accept"] = "text/event-stream" }
                let answer = try await server.send(method, target, headers: headers, body: body.map { Array($0.utf8) })
                let line = "\(answer.status) " + Self.steady(answer.text).replacing("\n", with: "¶")
                found.withLock { $0.append(line) }
            }
            for path in ["", "/plain", "/bad", "/plain/retention", "/plain/text", "/none", "/.no"] {
                try await ask("GET", "/v1/documents" + path)
            }
            try await ask("PUT", "/v1/documents/new", #"{"text":"x"}"#)
            try await ask("PUT", "/v1/documents/old", #"{"text":"x"}"#, events: true)
            try await ask("PUT", "/v1/documents/later", #"{"text":"x"}"#, events: true)
            try await ask("PATCH", "/v1/documents/bad", #"{"ttl_seconds":null,"budget":3}"#)
            try await ask("POST", "/v1/verify")
            try await ask("POST", "/v1/verify", events: true)
            try await ask("DELETE", "/v1/documents/plain")
            try await ask("GET", "/v1/models")
            try await ask("GET", "/v1/status")
            try await ask("GET", "/healthz")
            let question = #""messages":[{"role":"user","content":"Who?"}]"#
            try await ask("POST", "/v1/chat/completions", "{\(question)}")
            try await ask("POST", "/v1/chat/completions", "{\(question),\"stream\":true}")
            let withUsage = #""stream":true,"stream_options":{"include_usage":true}"#
            try await ask("POST", "/v1/chat/completions", "{\(question),\(withUsage)}")
            try await ask("POST", "/v1/completions", #"{"prompt":"Who?"}"#)
            try await ask("POST", "/v1/completions", "{\"prompt\":\"Who?\",\(withUsage)}")
            // What is refused, field by field.
            for body in Self.refusedPuts { try await ask("PUT", "/v1/documents/a", body) }
            for query in Self.refusedQueries { try await ask("PUT", "/v1/documents/a?" + query, "x") }
            for body in Self.refusedChanges { try await ask("PATCH", "/v1/documents/bad", body) }
            for body in Self.refusedQuestions { try await ask("POST", "/v1/chat/completions", body) }
            try await ask("POST", "/v1/completions", #"{"prompt":["a","b"]}"#)
            try await ask("POST", "/v1/completions", "{}")
        }
        let lines = found.withLock { $0 }
        if let path = ProcessInfo.processInfo.environment["CAKED_WIRE_OUT"] {
            try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        }
        let file = try #require(Bundle.module.url(forResource: "answers", withExtension: "txt", subdirectory: "Wire"))
        let wanted = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
        for (index, line) in lines.enumerated() {
            #expect(line == (index < wanted.count ? wanted[index] : "nothing"), "answer \(index)")
        }
        #expect(lines.count == wanted.count)
    }

    private static let refusedPuts = [
        "{", "[]", "1", #"{}"#, #"{"text":1}"#, #"{"text":""}"#, #"{"text":"x","keep":0}"#, #"{"text":"x","keep":200}"#,
        #"{"text":"x","keep":"101%"}"#, #"{"text":"x","keep":"some"}"#, #"{"text":"x","keep":true}"#,
        #"{"text":"x","budget":0}"#, #"{"text":"x","budget":1.5}"#, #"{"text":"x","budget":"9"}"#,
        #"{"text":"x","budget":99999999999999999999}"#, #"{"text":"x","keep":"5%","budget":5}"#,
        #"{"text":"x","ttl_seconds":0}"#, #"{"text":"x","ttl_seconds":3162240001}"#, #"{"text":"x","ttl_seconds":"9"}"#,
        #"{"text":"x","pin":1}"#, #"{"text":"x","detach":"yes"}"#, #"{"text":"x","check":0}"#,
        #"{"text":"x","probes":"Who?"}"#, #"{"text":"x","probes":[1]}"#, #"{"text":"x","method":1}"#,
        #"{"text":"x","effort":[]}"#, #"{"text":"x","rows":{}}"#,
        String(repeating: "[", count: 70) + String(repeating: "]", count: 70),
    ]
    private static let refusedQueries = [
        "keep=0", "keep=101%25", "keep=much", "budget=x", "budget=-1", "budget=5&keep=5%25", "ttl=x", "ttl=0", "ttl=-1",
        "pin=maybe", "detach=2", "check=perhaps",
    ]
    private static let refusedChanges = [
        "{", "[]", #"{"ttl_seconds":0}"#, #"{"ttl_seconds":1.5}"#, #"{"pin":"on"}"#, #"{"keep":"0%"}"#,
        #"{"keep":"5%","budget":5}"#, #"{"budget":0}"#, #"{"budget":null,"keep":[]}"#,
    ]
    private static let refusedQuestions =
        [
            "{", "{}", #"{"messages":[]}"#, #"{"messages":{}}"#, #"{"messages":[{"role":"user"}]}"#,
            #"{"messages":[{"role":"user","content":"a"},{"role":"critic","content":"a"}]}"#,
            #"{"messages":[{"role":"tool","content":"a"}]}"#, #"{"messages":[{"role":"user","content":7}]}"#,
            #"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
            #"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            #"{"messages":[{"role":"assistant","content":"a","tool_calls":[]}]}"#,
        ]
        + [
            #""tools":[{}]"#, #""n":9"#, #""top_logprobs":3"#, #""response_format":{"type":"json_object"}"#,
            #""presence_penalty":-2.5"#, #""audio":{}"#, #""temperature":3"#, #""temperature":"hot""#, #""top_p":0"#,
            #""top_k":-1"#, #""min_p":2"#, #""repetition_penalty":0"#, #""seed":1.5"#, #""max_tokens":0"#,
            #""max_completion_tokens":-1"#, #""stop":["","x"]"#, #""stop":7"#, #""budget":5"#,
            #""document":"a","budget":0"#, #""document":"a/b""#, #""model":"other""#, #""stream":"yes""#,
            #""stream_options":{"include_usage":1}"#,
        ].map { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\($0)}" }
}
