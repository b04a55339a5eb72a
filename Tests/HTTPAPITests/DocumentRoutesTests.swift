import API
import EngineInterface
import Foundation
import HTTPAPI
import Synchronization
import Testing

@Suite struct DocumentRoutesTests {
    @Test("a document is put as plain text with options in the query, and as JSON")
    func puts() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let options = "keep=10%&method=cake&effort=fast&probe=Who%3F&probe=A+%26+b&rows=q8_0&ttl=60&pin=true"
            let plain = try await server.send(
                "PUT", "/v1/documents/a.b-c_1?" + options,
                headers: ["Content-Type": "text/plain"], body: Array("hello".utf8))
            #expect(plain.status == 201)
            #expect(plain.object["id"] as? String == "a.b-c_1")
            #expect(plain.object["text_bytes"] as? Int == 5)
            let encoded = try await server.send("PUT", "/v1/documents/b?keep=5%25", body: [65])
            #expect(encoded.status == 201)
            let json = try await server.json(
                "PUT", "/v1/documents/c", #"{"text":"h\u00e9","budget":512,"ttl_seconds":9,"pin":true,"later":{}}"#)
            #expect(json.status == 201)
            let probes = #"{"text":"x","probes":["Who?"],"effort":"best"}"#
            #expect(try await server.json("PUT", "/v1/documents/e", probes).status == 201)
            let share = try await server.json("PUT", "/v1/documents/d", #"{"text":"x","keep":0.1}"#)
            #expect(share.status == 201)
        }
        let puts = service.state.withLock { $0.puts }
        #expect(puts.map(\.options.keep) == [.percent(10), .percent(5), .budget(512), nil, .percent(10)])
        #expect(puts[0].options.method == "cake")
        #expect(puts[0].options.rows == "q8_0")
        #expect(puts.map(\.options.effort) == ["fast", nil, nil, "best", nil])
        #expect(puts.map(\.options.probes) == [["Who?", "A & b"], [], [], ["Who?"], []])
        #expect(puts.map(\.options.ttlSeconds) == [60, nil, 9, nil, nil])
        #expect(puts.map(\.options.pinned) == [true, false, true, false, false])
        #expect(puts[2].text == Array("hé".utf8))
        #expect(puts.allSatisfy { $0.owner == 1000 })
        #expect(puts.allSatisfy { $0.options.check == nil })
    }

    @Test("a check and a budget that is found by it are asked for in query and JSON alike")
    func checks() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            for target in ["/v1/documents/a?keep=auto&check=true", "/v1/documents/a?keep=auto&check"] {
                #expect(try await server.send("PUT", target, body: [65]).status == 201)
            }
            let json = #"{"text":"x","keep":"auto","check":true}"#
            #expect(try await server.json("PUT", "/v1/documents/a", json).status == 201)
            let both = try await server.send("PUT", "/v1/documents/a?keep=auto&budget=5", body: [65])
            #expect(both.code == "invalid_budget" && both.param == "budget")
            let flag = try await server.send("PUT", "/v1/documents/a?check=maybe", body: [65])
            #expect(flag.code == "invalid_parameter" && flag.param == "check")
        }
        let puts = service.state.withLock { $0.puts }
        #expect(puts.map(\.options.keep) == [.auto, .auto, .auto] && puts.map(\.options.check) == [true, true, true])
    }

    @Test("a detached put is answered with 202 as soon as it is safe, and says where the document stands")
    func detached() async throws {
        let service = ScriptedService(onPut: { service, request, feed in
            var document = ScriptedService.document(request.name)
            document.state = .queued
            feed.send(.queued(ahead: 1))
            feed.send(.accepted(document))
            feed.finish()
        })
        try await withServer(service) { server async throws in
            for target in ["/v1/documents/a?detach=true", "/v1/documents/a?detach"] {
                let answer = try await server.send(
                    "PUT", target, headers: ["Accept": "text/event-stream"], body: [65])
                #expect(answer.status == 202)
                #expect(answer.object["state"] as? String == "queued")
            }
            let json = try await server.json("PUT", "/v1/documents/a", #"{"text":"x","detach":true}"#)
            #expect(json.status == 202)
        }
        #expect(service.state.withLock { $0.puts.map(\.options.detached) } == [true, true, true])
        #expect(service.state.withLock { $0.puts.map(\.user) } == [1000, 1000, 1000])
    }

    @Test("HEAD is GET without its body, on every path that has a GET")
    func head() async throws {
        let service = ScriptedService()
        service.store(PutRequest(owner: 1000, name: "a", text: [65]))
        try await withServer(service) { server async throws in
            for (target, status) in [
                ("/v1/documents", 200), ("/v1/documents/a", 200), ("/v1/documents/b", 404), ("/v1/models", 200),
                ("/v1/status", 200), ("/healthz", 200), ("/metrics", 200), ("/v1/documents/a/export", 200),
                ("/v1/chat/completions", 405),
            ] {
                let answer = try await offLoop {
                    let connection = try Connection(server.path)
                    connection.send(TestServer.request("HEAD", target, headers: ["Connection": "close"]))
                    return String(decoding: connection.rest(), as: UTF8.self)
                }
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(target)")
                #expect(answer.hasSuffix("\r\n\r\n"), "\(target)")
            }
        }
    }

    @Test("a document goes out as a file of declared length, and comes in under its own name or another")
    func transfer() async throws {
        let service = ScriptedService()
        service.store(PutRequest(owner: 1000, name: "a", text: [65]))
        try await withServer(service) { server async throws in
            let out = try await server.send("GET", "/v1/documents/a/export")
            #expect(out.status == 200 && out.text == "exported a")
            #expect(out.headers["content-length"] == "10")
            #expect(out.headers["content-type"] == "application/x-caked-document")
            #expect(try await server.send("GET", "/v1/documents/b/export").status == 404)

            let kind = ["Content-Type": "application/x-caked-document"]
            let own = try await server.send("POST", "/v1/documents", headers: kind, body: out.body)
            #expect(own.status == 201 && own.object["id"] as? String == "imported")
            let named = try await server.send("POST", "/v1/documents?name=other", headers: kind, body: out.body)
            #expect(named.object["id"] as? String == "other")
            #expect(named.object["text_bytes"] as? Int == 10)
            let damaged = try await server.send("POST", "/v1/documents", headers: kind, body: [65, 0, 66])
            #expect(damaged.status == 400 && damaged.code == "damaged_export")
            let name = try await server.send("POST", "/v1/documents?name=../x", headers: kind, body: [65])
            #expect(name.code == "invalid_name" && name.param == "name")
            let text = try await server.send(
                "POST", "/v1/documents", headers: ["Content-Type": "text/plain"], body: [65])
            #expect(text.code == "unsupported_parameter" && text.param == "Content-Type")
        }
    }

    @Test("putting the same again is 200")
    func idempotent() async throws {
        let service = ScriptedService(onPut: { service, request, feed in
            feed.send(.finished(service.store(request), created: false))
            feed.finish()
        })
        try await withServer(service) { server async throws in
            #expect(try await server.send("PUT", "/v1/documents/a", body: [65]).status == 200)
        }
    }

    @Test("progress comes as server-sent events, byte for byte")
    func progress() async throws {
        let service = ScriptedService(onPut: { service, request, feed in
            feed.send(.queued(ahead: 2))
            feed.send(.progress(PutProgress(phase: "prefill", layer: 3, layers: 6, fraction: 0.5)))
            feed.send(.finished(service.store(request), created: true))
            feed.finish()
        })
        try await withServer(service) { server async throws in
            let answer = try await server.send(
                "PUT", "/v1/documents/a", headers: ["Accept": "text/event-stream"], body: [65])
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/event-stream")
            #expect(answer.headers["cache-control"] == "no-cache")
            let events = answer.text.components(separatedBy: "\n\n")
            #expect(events[0] == "event: queued\ndata: {\"ahead\":2}")
            #expect(
                events[1]
                    == "event: progress\ndata: {\"fraction\":0.5,\"layer\":3,\"layers\":6,\"phase\":\"prefill\"}")
            #expect(events[2].hasPrefix("event: document\ndata: {\"budget\":1,"))
            #expect(events[2].contains("\"id\":\"a\""))
            #expect(events[2].hasSuffix("\"was_created\":true}"))
            #expect(events[3] == "")
            #expect(events.count == 4)
        }
    }

    @Test("a put that fails at once has its status, one that fails later an error event")
    func failingPut() async throws {
        let early = ScriptedService(onPut: { _, _, feed in
            feed.finish(throwing: .invalid(code: "document_too_long", message: "too long", parameter: "text"))
        })
        try await withServer(early) { server async throws in
            let answer = try await server.send(
                "PUT", "/v1/documents/a", headers: ["Accept": "text/event-stream"], body: [65])
            #expect(answer.status == 400)
            #expect(answer.code == "document_too_long")
        }
        let late = ScriptedService(onPut: { _, _, feed in
            feed.send(.queued(ahead: 0))
            feed.finish(throwing: .insufficientStorage(message: "full"))
        })
        try await withServer(late) { server async throws in
            let answer = try await server.send(
                "PUT", "/v1/documents/a", headers: ["Accept": "text/event-stream"], body: [65])
            #expect(answer.status == 200)
            #expect(
                answer.text
                    == "event: queued\ndata: {\"ahead\":0}\n\nevent: error\ndata: {\"error\":{\"code\":"
                    + "\"insufficient_storage\",\"message\":\"full\",\"param\":null,\"type\":\"server_error\"}}\n\n")
        }
    }

    @Test("documents are listed without layers, shown with them, changed and forgotten")
    func lifecycle() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            _ = try await server.send("PUT", "/v1/documents/a", body: [65])
            let list = try await server.send("GET", "/v1/documents")
            let data = list.object["data"] as? [[String: Any]]
            #expect(list.object["object"] as? String == "list")
            #expect(data?.count == 1)
            #expect(data?[0]["layers"] == nil)
            #expect(try await server.send("GET", "/v1/documents/a").object["layers"] != nil)
            let retention = try await server.send("GET", "/v1/documents/a/retention")
            #expect(
                retention.text
                    == #"{"layers":[{"budget":1,"heads":[{"positions":[0,4]}],"preference":2}],"tokens":10}"#)
            let source = try await server.send("GET", "/v1/documents/a/text")
            #expect(source.text == #"{"offsets":[0,0,7],"text":"Grüße","tokens":2}"#)
            #expect(try await server.send("GET", "/v1/documents/b/text").status == 404)
            #expect(
                try await server.json("PATCH", "/v1/documents/a", #"{"ttl_seconds":5}"#).object["ttl_seconds"] as? Int
                    == 5)
            #expect(
                try await server.json("PATCH", "/v1/documents/a", #"{"ttl_seconds":null,"pin":true}"#).status == 200)
            #expect(try await server.json("PATCH", "/v1/documents/a", "{}").status == 200)
            let gone = try await server.send("DELETE", "/v1/documents/a")
            #expect(gone.text == #"{"deleted":true,"id":"a","object":"document.deleted"}"#)
            let missing = try await server.send("GET", "/v1/documents/a")
            #expect(missing.status == 404)
            #expect(missing.code == "document_not_found")
            #expect(missing.error["type"] as? String == "not_found_error")
        }
        let updates = service.state.withLock { $0.updates }
        #expect(updates[0].ttlSeconds == .some(.some(5)))
        #expect(updates[1].ttlSeconds == .some(.none))
        #expect(updates[2].ttlSeconds == .none)
        #expect(updates.map(\.pinned) == [nil, true, nil])
    }

    @Test("a document is shrunk by PATCH, by a budget or a share, never by both")
    func shrinks() async throws {
        let service = ScriptedService()
        service.store(PutRequest(owner: 1000, name: "a", text: [65]))
        try await withServer(service) { server async throws in
            let shrunk = try await server.json("PATCH", "/v1/documents/a", #"{"budget":1}"#)
            #expect(shrunk.object["shrunk_from"] as? Int == 1)
            #expect(try await server.json("PATCH", "/v1/documents/a", #"{"keep":"5%"}"#).status == 200)
            #expect(try await server.json("PATCH", "/v1/documents/a", #"{"keep":0.5,"pin":true}"#).status == 200)
            for body in [#"{"budget":0}"#, #"{"budget":5,"keep":"5%"}"#, #"{"keep":"none"}"#, #"{"budget":1.5}"#] {
                #expect(try await server.json("PATCH", "/v1/documents/a", body).status == 400, "\(body)")
            }
        }
        let updates = service.state.withLock { $0.updates }
        #expect(updates.map(\.keep) == [.budget(1), .percent(5), .percent(50)])
        #expect(updates.map(\.pinned) == [nil, nil, true])
    }

    @Test("rebuild answers as a put does, whole or with progress")
    func rebuilds() async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let whole = try await server.send("POST", "/v1/documents/a/rebuild")
            #expect((whole.status, whole.object["id"] as? String) == (201, "a"))
            let events = try await server.send(
                "POST", "/v1/documents/b/rebuild", headers: ["Accept": "text/event-stream"])
            #expect(events.text.contains("event: document\ndata: {"))
            #expect(try await server.send("GET", "/v1/documents/a/rebuild").status == 405)
            #expect(try await server.send("POST", "/v1/documents/%2F/rebuild").status == 400)
        }
        #expect(service.state.withLock(\.rebuilt) == ["a", "b"])
    }

    @Test("verify says what is damaged, of one document or all of the caller's, whole or as it goes")
    func verifies() async throws {
        let service = ScriptedService()
        for name in ["bad", "good"] { service.store(PutRequest(owner: 1000, name: name, text: [65])) }
        service.store(PutRequest(owner: 7, name: "other", text: [65]))
        try await withServer(service) { server async throws in
            let whole = try await server.send("POST", "/v1/verify")
            #expect(
                whole.text
                    == #"{"bytes":128,"damaged":[{"bytes":64,"id":"bad","problem":"a checksum"}],"documents":2,"#
                    + #""object":"verification"}"#)
            let events = try await server.send(
                "POST", "/v1/documents/good/verify", headers: ["Accept": "text/event-stream"])
            #expect(
                events.text.contains("event: checked\ndata: {\"bytes\":64,\"id\":\"good\",\"number\":2,\"total\":2}"))
            #expect(events.text.contains("event: verification\ndata: {"))
            // A document may be called so.
            #expect(try await server.send("PUT", "/v1/documents/verify", body: [65]).status == 201)
        }
        #expect(service.state.withLock(\.verified) == [nil, "good"])
    }

    @Test("every user sees only their own documents; with shared access everybody sees the daemon's")
    func owners() async throws {
        let service = ScriptedService()
        try await withServer(service, peers: [1, 2, 1]) { server async throws in
            #expect(try await server.send("PUT", "/v1/documents/a", body: [65]).status == 201)
            #expect(try await server.send("GET", "/v1/documents/a").status == 404)
            #expect(try await server.send("GET", "/v1/documents/a").status == 200)
        }
        let shared = ScriptedService()
        try await withServer(shared, access: .group, peers: [1, 2]) { server async throws in
            #expect(try await server.send("PUT", "/v1/documents/a", body: [65]).status == 201)
            #expect(try await server.send("GET", "/v1/documents/a").status == 200)
        }
        #expect(shared.state.withLock { Array($0.documents.keys) } == [7777])
    }

    @Test("a user the kernel cannot name is refused everything but health")
    func unmappedUser() async throws {
        try await withServer(peers: [65534, 65534, 65534]) { server async throws in
            let list = try await server.send("GET", "/v1/documents")
            #expect(list.status == 403)
            #expect(list.code == "forbidden")
            #expect(try await server.send("GET", "/metrics").status == 403)
            #expect(try await server.send("GET", "/healthz").status == 200)
        }
    }

    @Test(
        "what is no text is refused with 415 and stored nowhere",
        arguments: [
            ("application/pdf", "text"), ("image/png", "text"), ("application/zip; x=y", "text"),
            ("text/plain", "%PDF-1.4 ASCII only"), ("text/plain", "x\n%PDF-1.7"), ("text/plain", #"{\rtf1"#),
            ("application/json", #"{"text":"%PDF-1.4"}"#),
        ])
    func media(_ type: String, _ body: String) async throws {
        let service = ScriptedService()
        try await withServer(service) { server async throws in
            let answer = try await server.send(
                "PUT", "/v1/documents/a", headers: ["Content-Type": type], body: Array(body.utf8))
            #expect(answer.status == 415 && answer.text.contains("unsupported_media_type"))
            #expect(answer.text.contains("cakectl put FILE"))
            #expect(service.state.withLock { $0.puts.isEmpty })
        }
    }

    @Test(
        "text of any kind of markup is text",
        arguments: ["", "text/markdown", "text/html; charset=utf-8", "image/svg+xml"])
    func markup(_ type: String) async throws {
        try await withServer(ScriptedService()) { server async throws in
            let headers = type.isEmpty ? [:] : ["Content-Type": type]
            let answer = try await server.send("PUT", "/v1/documents/a", headers: headers, body: Array("text".utf8))
            #expect(answer.status == 201, "\(answer)")
        }
    }
}
