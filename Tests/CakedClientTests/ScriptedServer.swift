// An HTTP server on a temporary socket that parses requests for real and answers from a script, byte by byte if need
// be.
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What the server got.
struct ReceivedRequest: Sendable {
    var method: HTTPMethod
    var target: String
    var headers: HTTPHeaders
    var body: [UInt8]
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// What the server does with a connection once it has a request.
enum Step: Sendable {
    case send([UInt8])
    /// Lets the client read what came before on its own.
    case pause
    case close
    /// Waits until the client has gone.
    case hold

    static func text(_ text: String) -> Step { .send(Array(text.utf8)) }
}

/// Answers every request with the steps that `script` gives for it, then closes.
final class ScriptedServer: Sendable {
    let socketPath: String
    private let folder: TemporaryFolder
    private let channel: any Channel
    private let log = Log()

    /// Requests in the order of their arrival.
    var requests: [ReceivedRequest] { log.requests.withLock { $0 } }
    /// Yields once for every connection that ended.
    var closed: AsyncStream<Void> { log.closed }

    /// `answersEarly`: the script runs when the request's head is there, and the body is never read.
    init(answersEarly: Bool = false, _ script: @escaping @Sendable (ReceivedRequest) -> [Step]) async throws {
        folder = try TemporaryFolder()
        socketPath = folder.path + "/caked.sock"
        let log = log
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(HTTPRequestDecoder()),
                        ScriptHandler(script: script, log: log, answersEarly: answersEarly))
                }
            }
            .bind(unixDomainSocketPath: socketPath).get()
    }

    deinit { channel.close(promise: nil) }
}

private final class Log: Sendable {
    let requests = Mutex<[ReceivedRequest]>([])
    let closed: AsyncStream<Void>
    let noteClosed: AsyncStream<Void>.Continuation

    init() { (closed, noteClosed) = AsyncStream.makeStream() }
}

private final class ScriptHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private let script: @Sendable (ReceivedRequest) -> [Step]
    private let log: Log
    private let answersEarly: Bool
    private var request: ReceivedRequest?

    init(script: @escaping @Sendable (ReceivedRequest) -> [Step], log: Log, answersEarly: Bool) {
        (self.script, self.log, self.answersEarly) = (script, log, answersEarly)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = ReceivedRequest(method: head.method, target: head.uri, headers: head.headers, body: [])
            if answersEarly { answer(context.channel) }
        case .body(let buffer): request?.body += buffer.readableBytesView
        case .end: if !answersEarly { answer(context.channel) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) { log.noteClosed.yield() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ channel: any Channel) {
        guard let request else { return }
        log.requests.withLock { $0.append(request) }
        let steps = script(request)
        Task {
            for step in steps {
                switch step {
                case .send(let bytes): try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
                case .pause: try await Task.sleep(for: .milliseconds(20))
                case .close: try await channel.close()
                case .hold: try await channel.closeFuture.get()
                }
            }
            try await channel.close()
        }
    }
}

extension [Step] {
    /// A whole answer with a JSON body.
    static func json(_ json: String, status: String = "200 OK", headers: String = "") -> [Step] {
        [
            .text("HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(json.utf8.count)\r\n"),
            .text(headers + "\r\n" + json),
        ]
    }

    /// The API's error object.
    static func error(_ code: String, _ message: String, status: String, headers: String = "") -> [Step] {
        json(
            #"{"error":{"message":"\#(message)","type":"invalid_request_error","param":null,"code":"\#(code)"}}"#,
            status: status, headers: headers)
    }

    /// A chunked stream of events, each piece in a chunk of its own; without its end when `breaksOff`.
    static func events(_ pieces: [[UInt8]], breaksOff: Bool = false) -> [Step] {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        let chunks: [Step] = pieces.flatMap { piece in
            [.text("\(String(piece.count, radix: 16))\r\n"), .send(piece), .text("\r\n"), .pause]
        }
        return [.text(head)] + chunks + (breaksOff ? [] : [.text("0\r\n\r\n")])
    }

    static func events(_ text: String..., breaksOff: Bool = false) -> [Step] {
        events(text.map { [UInt8]($0.utf8) }, breaksOff: breaksOff)
    }
}

/// Answers of the API.
enum Sample {
    static let document = #"""
        {"id":"manual","object":"document","state":"ready","created":1700000000,"tokens":12480,"prefix_tokens":5,\#
        "entries":29952,"entries_full":299520,"kept":0.1,"budget":1248,"method":"cake-reconstruct","rows":"f16",\#
        "bytes":7864320,"bytes_full":76677120,"text_bytes":51234,"prefill_seconds":14.25,"model":"needle",\#
        "pinned":false,\#
        "ttl_seconds":null,"expires":null,"last_used":1700000000,"hits":3,"preference_fell_back":false,\#
        "field_of_a_newer_daemon":[1],"layers":[{"budget":1248.5,"preference":0.25,"entries":[1200,1296]}]}
        """#
    /// Every field that a daemon sends, in its order.
    static let whole = #"""
        {"budget":1,"bytes":64,"bytes_full":640,"check":{"agreement":0.5,"budget":4,"kl":0.25,"known":40,"places":8,\#
        "recall":0.925,"right":0.75,"right_full":1,"target":0.9,"tokens":192},"created":1000,"entries":8,\#
        "entries_full":80,"expires":1060,"hits":3,"id":"manual","kept":0.1,"last_used":1000,"layers":[{"budget":1,\#
        "entries":[4,4],"preference":2}],"method":"cake","model":"tiny","object":"document","pinned":true,\#
        "preference_fell_back":true,"prefill_seconds":0.5,"prefix_tokens":3,"problem":"torn","progress":{"fraction":\#
        0.25,"layer":3,"layers":6,"phase":"prefill"},"rows":"f16","shrunk_at":1001,"shrunk_from":9,"state":"ready",\#
        "text_bytes":5,"tokens":10,"ttl_seconds":60}
        """#
    static let status = #"""
        {"cleared_readers":1,"context_length":4096,"documents":3,"file_bytes":5,"free_bytes":6,"jobs":{"durable":1,\#
        "interrupted":2},"kernels":{"multiplies_bfloats":false,"multiplies_bytes":true,"set":"avx2"},\#
        "learning":{"documents":2,"finished":false},"map_bytes":7,"model":"tiny",\#
        "oldest_reader_seconds":1.5,"open_documents":2,\#
        "quarantined_documents":1,"queue":{"documents":1,"questions":2},"quota_bytes":9,"reclaimed":{"deleted":\#
        {"bytes":1,"count":2},"expired":{"bytes":3,"count":4},"shrunk":{"bytes":5,"count":6}},"running":\#
        {"documents":1,"questions":0},"store_bytes":8,"tails":{"bytes":10,\#
        "count":1,"hits":2,"limit_bytes":11,"saved_tokens":12},"threads":2,"uptime_seconds":3.5,"version":"0.1.0"}
        """#
    static let usage = #"""
        {"prompt_tokens":12500,"completion_tokens":3,"total_tokens":12503,\#
        "prompt_tokens_details":{"cached_tokens":12480},"timings":{"prefill_seconds":0.05,"decode_seconds":0.1}}
        """#

    private static let chunk = #"{"id":"c","object":"chat.completion.chunk","created":1,"model":"needle""#

    /// A chat completion stream of these texts.
    static func answer(_ texts: String..., ends: Bool = true) -> String {
        let texts = texts.map {
            #"data: \#(chunk),"choices":[{"index":0,"delta":{"content":"\#($0)"}}]}"# + "\n\n"
        }
        let end =
            #"data: \#(chunk),"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"# + "\n\n"
            + #"data: \#(chunk),"choices":[],"usage":\#(usage)}"# + "\n\ndata: [DONE]\n\n"
        return ": waiting\n\n" + texts.joined() + (ends ? end : "")
    }
}
