// One HTTP/1.1 exchange over a Unix socket: connect, send a request, read the answer as it comes, close.
import Locks
import NIOCore
import NIOHTTP1
import NIOPosix

/// What is asked.
///
/// The target's query is already percent-encoded.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    package var target: String
    package var headers: [(name: String, value: String)] = []
    package var body: (any RequestBody)?
    /// Whether it may be done a second time when nobody knows whether it was done.
    package var isRepeatable: @Sendable () -> Bool = { true }

    package init(
        _ method: HTTPMethod, _ target: String, headers: [(name: String, value: String)] = [],
        body: (any RequestBody)? = nil
    ) {
        (self.method, self.target, self.headers, self.body) = (method, target, headers, body)
    }
}

/// What a request sends, read piece by piece.
package protocol RequestBody: Sendable {
    /// Bytes in all.
    var byteCount: Int { get }
    /// The next bytes from `offset` on, at least one.
    func chunk(at offset: Int) throws(ClientError) -> [UInt8]
}

extension DocumentText: RequestBody {}

/// The body of an answer, piece by piece.
package struct HTTPResponseBody {
    fileprivate var parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator

    /// The next piece, nil at the end of the answer.
    ///
    /// Throws `ClientError.closedEarly` when the connection ends first.
    package mutating func next() async throws -> ByteBuffer? {
        switch try await parts.next() {
        case .body(let buffer): return buffer
        case .end: return nil
        case .head: throw ClientError.protocolViolation("the daemon answered twice")
        case nil: throw Task.isCancelled ? ClientError.cancelled : .closedEarly("in the middle of its answer")
        }
    }

    /// The whole body.
    ///
    /// Throws `ClientError.responseTooLarge` beyond `limitBytes`.
    package mutating func collect(limitBytes: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let piece = try await next() {
            guard bytes.count + piece.readableBytes <= limitBytes else {
                throw ClientError.responseTooLarge(what: "the daemon's answer", limitBytes: limitBytes)
            }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }
}

/// The way to one daemon.
///
/// Every exchange has its own connection, so that closing it cancels just that request.
package struct HTTPTransport: Sendable {
    /// A local connect is instant unless the daemon's backlog is full.
    private static let connectTimeout = TimeAmount.seconds(5)
    /// A status line and a dozen headers; beyond these the other side is not our daemon.
    private static let maximumHeaderBytes = 64 << 10
    private static let maximumHeaderFields = 100
    /// What the decoder may hold back of an unfinished line.
    private static let maximumUndecodedBytes = 1 << 20

    package let socketPath: String
    package let idleTimeoutSeconds: Int
    package let patience: Patience

    package init(socketPath: String, idleTimeoutSeconds: Int, patience: Patience = .none) {
        (self.socketPath, self.idleTimeoutSeconds, self.patience) = (socketPath, idleTimeoutSeconds, patience)
    }

    private typealias Channel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// Sends `request` and hands the answer to `read`.
    ///
    /// The connection is closed when `read` returns or throws, and when the task is cancelled. The answer is read while
    /// the request is still being sent: a refusal may come early. As long as there is patience a request that failed
    /// without harm is sent again.
    package func exchange<Result: Sendable>(
        _ request: HTTPRequest,
        _ read: @escaping @Sendable (HTTPResponseHead, inout HTTPResponseBody) async throws -> Result
    ) async throws(ClientError) -> Result {
        let clock = ContinuousClock()
        var firstFailure: ContinuousClock.Instant?
        var tries = 0
        while true {
            tries += 1
            let answered = Answered()
            do {
                return try await exchangeOnce(request, answered, read)
            } catch {
                let begun = firstFailure ?? clock.now
                firstFailure = begun
                let failure = Patience.Failure(
                    error, wasAnswered: answered.flag.withLock { $0 }, isRepeatable: request.isRepeatable())
                let elapsed = (clock.now - begun) / .seconds(1)
                guard let pause = patience.pause(after: failure, elapsedSeconds: elapsed, tries: tries) else {
                    throw error
                }
                do { try await Task.sleep(for: .seconds(pause)) } catch { throw ClientError.cancelled }
            }
        }
    }

    /// Whether the head of an answer has come.
    private final class Answered: Sendable {
        let flag = Mutex(false)
    }

    private func exchangeOnce<Result: Sendable>(
        _ request: HTTPRequest, _ answered: Answered,
        _ read: @escaping @Sendable (HTTPResponseHead, inout HTTPResponseBody) async throws -> Result
    ) async throws(ClientError) -> Result {
        let channel = try await connect()
        do {
            return try await channel.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Result?.self) { group in
                    group.addTask {
                        try await send(request, to: outbound)
                        return nil
                    }
                    group.addTask {
                        var body = HTTPResponseBody(parts: inbound.makeAsyncIterator())
                        let head = try await Self.head(&body)
                        answered.flag.withLock { $0 = true }
                        return try await read(head, &body)
                    }
                    defer { group.cancelAll() }
                    while let finished = try await group.next() {
                        if let result = finished { return result }
                    }
                    throw ClientError.closedEarly("without an answer")
                }
            }
        } catch {
            throw failure(error, wasAnswered: answered.flag.withLock { $0 })
        }
    }

    private static func head(_ body: inout HTTPResponseBody) async throws -> HTTPResponseHead {
        switch try await body.parts.next() {
        case .head(let head): return head
        case nil: throw Task.isCancelled ? ClientError.cancelled : .closedEarly("without an answer")
        case .body, .end: throw ClientError.protocolViolation("an answer began without a status line")
        }
    }

    /// Sends head and body.
    ///
    /// A connection that breaks here is left to the reader: what the daemon said before matters more.
    private func send(
        _ request: HTTPRequest, to outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async throws {
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.target)
        head.headers.add(name: "Host", value: "localhost")
        head.headers.add(name: "Connection", value: "close")
        for header in request.headers { head.headers.add(name: header.name, value: header.value) }
        if let body = request.body { head.headers.add(name: "Content-Length", value: String(body.byteCount)) }

        guard (try? await outbound.write(.head(head))) != nil else { return }
        var offset = 0
        while let body = request.body, offset < body.byteCount {
            let chunk = try body.chunk(at: offset)
            offset += chunk.count
            guard (try? await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: chunk))))) != nil else { return }
        }
        try? await outbound.write(.end(nil))
    }

    private func connect() async throws(ClientError) -> Channel {
        guard socketPath.utf8.count <= SocketPath.maximumBytes else {
            throw .socketPathTooLong(path: socketPath, bytes: socketPath.utf8.count)
        }
        let idleTimeoutSeconds = idleTimeoutSeconds
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(Self.connectTimeout)
                .connect(unixDomainSocketPath: socketPath) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        var limits = NIOHTTPDecoderLimitConfiguration()
                        limits.maxHeaderFieldSize = Self.maximumHeaderBytes
                        limits.maxHeaderListSize = Self.maximumHeaderBytes
                        limits.maxHeaderFieldCount = Self.maximumHeaderFields
                        try channel.pipeline.syncOperations.addHandlers([
                            IdleStateHandler(allTimeout: .seconds(Int64(idleTimeoutSeconds))),
                            HTTPRequestEncoder(),
                            StatusLineLimit(bytes: Self.maximumHeaderBytes),
                            ByteToMessageHandler(
                                HTTPResponseDecoder(limitConfiguration: limits),
                                maximumBufferSize: Self.maximumUndecodedBytes),
                            IdleConnectionCloser(timeoutSeconds: idleTimeoutSeconds),
                        ])
                        return try Channel(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as IOError {
            switch error.errnoCode {
            case EACCES, EPERM: throw .permissionDenied(path: socketPath)
            case ENOENT: throw .unreachable(path: socketPath, reason: "there is no socket")
            case EAGAIN: throw .backlogFull(path: socketPath)
            case ECONNREFUSED: throw .unreachable(path: socketPath, reason: "nothing listens there")
            default: throw .unreachable(path: socketPath, reason: systemMessage(error.errnoCode))
            }
        } catch is ChannelError {
            throw .unreachable(path: socketPath, reason: "it does not accept the connection")
        } catch {
            throw failure(error, wasAnswered: false)
        }
    }

    /// What an error of the exchange means to the caller.
    private func failure(_ error: any Error, wasAnswered: Bool) -> ClientError {
        switch error {
        case let error as ClientError: error
        case is CancellationError: .cancelled
        case is IOError, is ChannelError, HTTPParserError.invalidEOFState:
            .closedEarly(wasAnswered ? "in the middle of its answer" : "without an answer")
        case let error as HTTPParserError: .protocolViolation("the answer is not HTTP (\(error))")
        case is ByteToMessageDecoderError.PayloadTooLargeError:
            .responseTooLarge(what: "the head of the daemon's answer", limitBytes: Self.maximumUndecodedBytes)
        default: .protocolViolation("the exchange failed (\(error))")
        }
    }
}

/// Ends a connection on which nothing moves any more.
private final class IdleConnectionCloser: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    private let timeoutSeconds: Int

    init(timeoutSeconds: Int) { self.timeoutSeconds = timeoutSeconds }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        context.fireErrorCaught(ClientError.timedOut(seconds: timeoutSeconds))
        context.close(promise: nil)
    }
}

/// Refuses an answer whose first line does not end; the decoder limits header fields only, and would wait for ever.
private final class StatusLineLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let limitBytes: Int
    private var bytes = 0
    private var hasEnded = false

    init(bytes: Int) { limitBytes = bytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !hasEnded {
            let buffer = unwrapInboundIn(data)
            hasEnded = buffer.readableBytesView.contains(UInt8(ascii: "\n"))
            bytes += buffer.readableBytes
            guard hasEnded || bytes <= limitBytes else {
                context.fireErrorCaught(
                    ClientError.responseTooLarge(what: "the head of the daemon's answer", limitBytes: limitBytes))
                context.close(promise: nil)
                return
            }
        }
        context.fireChannelRead(data)
    }
}
