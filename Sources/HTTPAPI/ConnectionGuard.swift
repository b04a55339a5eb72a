// What one connection may do: it gets a place or is told that there is none, malformed HTTP gets an error object, a
// client that stalls in its request or reads nothing of its answer is cut off, and so is one that sends on after it.

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
    private let door: Door
    private var isRefused = false
    private var requestIsArriving = false
    private var unanswered = 0
    private var responseIsLeaving = false
    private var answered = false
    private var surplusBytes = 0
    /// How fast a body comes, while one does.
    private var pace: BodyPace?
    private var nextPatience: Scheduled<Void>?
    /// The client, while more is written than it has taken.
    private var reader: WriteProgress?
    private var nextLook: Scheduled<Void>?

    init(limits: ServerLimits, metrics: Metrics, door: Door) {
        self.limits = limits
        self.metrics = metrics
        self.door = door
    }

    func channelActive(context: ChannelHandlerContext) {
        do {
            isRefused = try !door.enter(context.channel)
            if isRefused { refuse(.noPlace, context) }
        } catch {
            context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .head:
            requestIsArriving = true
            unanswered += 1
            noteBusy(context)
            pace = BodyPace(graceSeconds: limits.bodyGraceSeconds, bytesPerSecond: limits.bodyBytesPerSecond)
        case .body(let part):
            pace?.take(bytes: part.readableBytes, now: .now())
            if answered { surplusBytes += part.readableBytes }
            if surplusBytes > limits.surplusBytes { return context.close(promise: nil) }
        case .end:
            pace = nil
            requestIsArriving = false
            answered = false
            surplusBytes = 0
            noteBusy(context)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pace?.rest(now: .now())
        context.fireChannelReadComplete()
    }

    // Asked for whenever there is room for more of the request; behind it the body is waited for.
    func read(context: ChannelHandlerContext) {
        pace?.wait(now: .now())
        if nextPatience == nil { schedulePatience(context) }
        context.read()
    }

    private func schedulePatience(_ context: ChannelHandlerContext) {
        guard let deadline = pace?.deadline else { return }
        nextPatience = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.nextPatience = nil
            guard let deadline = self.pace?.deadline, deadline <= .now() else { return self.schedulePatience(context) }
            self.pace = nil
            // A client that has its answer, or some of it, knows enough.
            if self.responseIsLeaving || self.answered { return context.close(promise: nil) }
            self.refuse(.slowBody(self.limits), context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): responseIsLeaving = head.status.kind != .informational
        case .body: break
        case .end:
            responseIsLeaving = false
            answered = requestIsArriving
            unanswered -= 1
            noteBusy(context)
        }
        context.write(data, promise: promise)
    }

    private func noteBusy(_ context: ChannelHandlerContext) {
        door.setBusy(context.channel, requestIsArriving || unanswered > 0)
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

    func handlerRemoved(context: ChannelHandlerContext) {
        nextLook?.cancel()
        nextPatience?.cancel()
        door.leave(context.channel)
    }

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
        refuse(refusal, context)
    }

    /// Answers what never was a request, and closes.
    private func refuse(_ refusal: APIError, _ context: ChannelHandlerContext) {
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
