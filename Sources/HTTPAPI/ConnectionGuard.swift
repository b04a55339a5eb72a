// What one connection may do: malformed HTTP gets an error object, a reader that does not read is cut off, and so is a
// client that sends on and on after its answer.

import CLinux
import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOPosix

/// Stands between the HTTP codec and Hummingbird's handler, on the connection's event loop.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: ServerLimits
    private let metrics: Metrics
    private var requestIsArriving = false
    private var responseIsLeaving = false
    private var answered = false
    private var surplusBytes = 0
    /// The client, while more is written than it has taken.
    private var reader: WriteProgress?
    private var nextLook: Scheduled<Void>?

    init(limits: ServerLimits, metrics: Metrics) {
        self.limits = limits
        self.metrics = metrics
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: requestIsArriving = true
        case .body(let part) where answered:
            surplusBytes += part.readableBytes
            if surplusBytes > limits.surplusBytes { return context.close(promise: nil) }
        case .body: break
        case .end:
            requestIsArriving = false
            answered = false
            surplusBytes = 0
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): responseIsLeaving = head.status.kind != .informational
        case .body: break
        case .end:
            responseIsLeaving = false
            answered = requestIsArriving
        }
        context.write(data, promise: promise)
    }

    // Unread bytes fill the kernel's buffer, then NIO's; from then on its reader is watched until half of NIO's has
    // drained.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            nextLook?.cancel()
            (reader, nextLook) = (nil, nil)
        } else if reader == nil {
            reader = WriteProgress(deadline: writeDeadline, unread: Self.unread(context), now: .now())
            scheduleLook(context)
        }
        context.fireChannelWritabilityChanged()
    }

    private func scheduleLook(_ context: ChannelHandlerContext) {
        let pause = TimeAmount.nanoseconds(max(1, writeDeadline.nanoseconds / WriteProgress.looksPerDeadline))
        nextLook = context.eventLoop.assumeIsolated().scheduleTask(in: pause) {
            guard self.reader?.hasStopped(Self.unread(context), now: .now()) == true else {
                return self.scheduleLook(context)
            }
            self.metrics.countStreamFailure(code: "write_deadline")
            context.close(promise: nil)
        }
    }

    private var writeDeadline: TimeAmount { .nanoseconds(Int64(limits.writeDeadlineSeconds * 1e9)) }

    private static func unread(_ context: ChannelHandlerContext) -> WriteProgress.Unread {
        let pipeline = context.pipeline.syncOperations
        let queued = try? pipeline.withUnsafeTransportIfAvailable { (socket: NIOBSDSocket.Handle) in
            caked_unread_bytes(socket)
        }
        let buffered = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        return WriteProgress.Unread(buffered: buffered ?? 0, queued: Int(queued ?? 0))
    }

    func handlerRemoved(context: ChannelHandlerContext) { nextLook?.cancel() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !(error is IOError), !(error is ChannelError), context.channel.isActive, !responseIsLeaving else {
            return context.fireErrorCaught(error)
        }
        let refusal =
            error as? HTTPParserError == .headerOverflow
            ? APIError(
                .requestHeaderFieldsTooLarge, "headers_too_large",
                "the request's header is larger than \(limits.headerBytes) bytes or \(limits.headerFields) fields")
            : APIError(.badRequest, "invalid_request", "this is not an HTTP/1.1 request: \(error)")
        metrics.countAnswer(route: "none", status: refusal.status.code)
        var response = refusal.response
        response.headers[.connection] = "close"
        responseIsLeaving = true
        context.write(wrapOutboundOut(.head(response.head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: refusal.body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
