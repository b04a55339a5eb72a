// The server: accepts connections on the Unix socket, serves each in its own task, and drains them when told to stop.

import EngineInterface
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOExtras
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOPosix
import ServiceLifecycle

/// Serves an `HTTPAPI` on a Unix socket until its service group shuts down gracefully.
public struct UnixServer: Service {
    private typealias Connection = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    private let api: HTTPAPI
    private let socket: ListeningSocket
    private let onAccepting: @Sendable () -> Void
    private let onDraining: @Sendable () -> Void

    /// A server; `onAccepting` is called once connections are accepted, `onDraining` when they no longer are.
    public init(
        api: HTTPAPI, socket: ListeningSocket, onAccepting: @escaping @Sendable () -> Void = {},
        onDraining: @escaping @Sendable () -> Void = {}
    ) {
        self.api = api
        self.socket = socket
        self.onAccepting = onAccepting
        self.onDraining = onDraining
    }

    /// Serves until graceful shutdown, then lets requests finish for `drainSeconds`, fails the rest through the
    /// service, gives their clients `flushSeconds` to hear of it, and closes what is still open.
    public func run() async throws {
        defer { socket.removeFile() }
        let (api, limits) = (api, api.limits)
        let quiescing = ServerQuiescingHelper(group: MultiThreadedEventLoopGroup.singleton)
        let router = api.makeRouter()
        let http = HTTP1Channel(
            responder: { request, writer, channel in
                try await api.respond(to: request, writer, channel, router: router)
            },
            configuration: .init(
                additionalChannelHandlers: [ConnectionGuard(limits: limits, metrics: api.metrics, door: api.door)],
                idleTimeout: .nanoseconds(Int64(limits.idleSeconds * 1e9)),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
                    maxHeaderFieldCount: limits.headerFields)))
        // Half-closed clients count as gone (the default): that is how a disconnect is noticed while nothing is read.
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.maxMessagesPerRead, value: 1)  // so that the connection limit is exact
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    let most = limits.connections + ServerLimits.leavingConnections
                    try pipeline.addHandler(AvailableConnectionsChannelHandler(maxConnections: most))
                    try pipeline.addHandler(quiescing.makeServerChannelHandler(channel: channel))
                }
            }
            .bind(socket.descriptor) { channel in
                http.setup(channel: channel, logger: api.logger).flatMapThrowing { connection in
                    let pipeline = channel.pipeline.syncOperations
                    let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
                    try pipeline.addHandler(EarlierHTTP(), position: .before(codec))
                    return connection
                }
            }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await accept(server, http) }
            group.addTask { await drainOnGracefulShutdown(quiescing) }
            await group.next()
            group.cancelAll()
        }
    }

    // Ends when the server's channel is closed and every connection has ended.
    private func accept(_ server: NIOAsyncChannel<Connection, Never>, _ http: HTTP1Channel) async {
        await withDiscardingTaskGroup { group in
            do {
                try await server.executeThenClose { connections in
                    onAccepting()
                    for try await connection in connections { group.addTask { await serve(connection, http) } }
                }
            } catch {
                api.logger.error("accepting connections failed: \(error)")
            }
        }
    }

    // Whatever a connection's requests are doing is cancelled when its client goes away.
    private func serve(_ connection: Connection, _ http: HTTP1Channel) async {
        defer { api.door.forget(connection.channel) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await http.handle(value: connection, logger: api.logger) }
            group.addTask { try? await connection.channel.closeFuture.get() }
            await group.next()
            group.cancelAll()
        }
    }

    private func drainOnGracefulShutdown(_ quiescing: ServerQuiescingHelper) async {
        do {
            try await gracefulShutdown()
            api.logger.info("draining requests", metadata: ["seconds": "\(api.limits.drainSeconds)"])
            onDraining()
            api.startDraining()
            // While we still answer on it nobody can have put another socket in its place.
            socket.removeFile()
            quiescing.initiateShutdown(promise: nil)
            await api.service.shutdown(graceSeconds: api.limits.drainSeconds)
            try await Task.sleep(for: .seconds(api.limits.flushSeconds))
            api.logger.warning("closing connections whose clients do not read their answers")
        } catch {
            // Cancelled: every connection has ended before the drain was over.
        }
    }
}
