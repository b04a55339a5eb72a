// What a daemon that cannot start says to the clients that wait for it: one error, to each of them.

import Glibc
import HTTPTypes

/// Answers every connection of a listening socket with one error, 503.
///
/// Plain system calls: it runs where nothing else does, before there is an engine, an event loop or a configuration.
public struct RefusingServer {
    /// Clients whose requests are read at a time; the others wait in the socket's queue.
    private static let maxClients = 64
    /// A request is answered after so much of it at the latest, whether its head has ended or not.
    private static let maxHeadBytes = 64 << 10
    /// A client that was taken has at least so long to send its request's head, and is then answered unheard.
    public static let patienceSeconds = 2.0

    private struct Client {
        let descriptor: Int32
        var head: [UInt8] = []
        var isAnswered = false
    }

    private let listener: Int32
    private let head: [UInt8]
    private let body: [UInt8]
    private var clients: [Client] = []

    /// A server on `socket` that says `message`, under the code `cannot_start`.
    public init(socket: ListeningSocket, message: String) {
        listener = socket.descriptor
        let error = APIError(.serviceUnavailable, "cannot_start", message)
        body = error.body
        head = Array(
            """
            HTTP/1.1 \(error.status.code) \(error.status.reasonPhrase)\r
            Content-Type: application/json\r
            Content-Length: \(body.count)\r
            Connection: close\r
            \r

            """.utf8)
        let flags = fcntl(listener, F_GETFL)
        if flags >= 0 { _ = fcntl(listener, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Takes clients for `seconds`, and hears those that it has taken for `patienceSeconds` more at most.
    ///
    /// Who connects later stays in the socket's queue for whatever listens next.
    public mutating func run(seconds: Double, patienceSeconds: Double = patienceSeconds) {
        let start = ContinuousClock.now
        takeWaiting()
        turn(until: start + .seconds(seconds), accepting: true)
        turn(until: start + .seconds(seconds + patienceSeconds), accepting: false)
        for index in clients.indices.reversed() { end(index) }
    }

    /// Answers what comes, until a moment, or until every client has its answer where none are taken.
    private mutating func turn(until deadline: ContinuousClock.Instant, accepting: Bool) {
        while accepting || clients.contains(where: { !$0.isAnswered }) {
            let left = (deadline - ContinuousClock.now).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0 else { return }
            var polled = clients.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            // The listener last, so that the others have their clients' indices.
            if accepting, clients.count < Self.maxClients {
                polled.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0))
            }
            guard unsafe poll(&polled, nfds_t(polled.count), Int32(clamping: milliseconds)) >= 0 else {
                if errno == EINTR { continue }
                return
            }
            for index in clients.indices.reversed() where polled[index].revents != 0 { hear(index) }
            if accepting { takeWaiting() }
        }
    }

    private mutating func takeWaiting() {
        while clients.count < Self.maxClients, case let client = accept(listener, nil, nil), client >= 0 {
            clients.append(Client(descriptor: client))
        }
    }

    /// Reads what a client has sent, answers once its request's head is there, and lets it go when it has gone.
    private mutating func hear(_ index: Int) {
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = unsafe recv(clients[index].descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        guard count > 0 else {
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            answer(index)
            _ = close(clients.remove(at: index).descriptor)
            return
        }
        guard !clients[index].isAnswered else { return }
        clients[index].head += bytes[..<count]
        let head = clients[index].head
        if head.count > Self.maxHeadBytes || head.ends(anywhere: "\r\n\r\n") { answer(index) }
    }

    /// Sends the answer, once; it is shorter than a socket's buffer, so that it goes whole or not at all.
    private mutating func answer(_ index: Int) {
        guard !clients[index].isAnswered else { return }
        clients[index].isAnswered = true
        let bytes = clients[index].head.starts(with: "HEAD ".utf8) ? head : head + body
        _ = unsafe send(clients[index].descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        // The client hears the end; what it still sends is read, or it would take the answer for lost.
        _ = shutdown(clients[index].descriptor, Int32(SHUT_WR))
    }

    /// Answers a client by what it has sent so far, and lets it go.
    private mutating func end(_ index: Int) {
        var bytes = [UInt8](repeating: 0, count: Self.maxHeadBytes)
        while case let count = unsafe recv(clients[index].descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT)),
            count > 0
        {
            if !clients[index].isAnswered { clients[index].head += bytes[..<count] }
            answer(index)
        }
        answer(index)
        _ = close(clients.remove(at: index).descriptor)
    }
}

extension Array where Element == UInt8 {
    fileprivate func ends(anywhere end: String) -> Bool {
        let end = Array(end.utf8)
        guard count >= end.count else { return false }
        return (0...count - end.count).contains { self[$0..<$0 + end.count].elementsEqual(end) }
    }
}
