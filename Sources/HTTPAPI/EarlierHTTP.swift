// HTTP/1.0: the answer ends where the connection does, and nothing is chunked (RFC 9112, 6.1 and 9.3).

import NIOCore
import NIOHTTP1

/// Answers a client of HTTP/1.0 in its own version, and closes behind the answer; stands behind the HTTP codec.
///
/// Without it such a client is answered in chunks, which it cannot read, on a connection that stays open, so that it
/// never knows where the answer ends.
final class EarlierHTTP: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var isEarlier = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) {
            isEarlier = head.version == .http1_0
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isEarlier else { return context.write(data, promise: promise) }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            // It knows no answers before the answer.
            if head.status.code < 200 {
                promise?.succeed()
                return
            }
            head.version = .http1_0
            head.headers.remove(name: "transfer-encoding")
            head.headers.replaceOrAdd(name: "connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
            context.close(promise: nil)
        }
    }
}

@available(*, unavailable)
extension EarlierHTTP: Sendable {}
