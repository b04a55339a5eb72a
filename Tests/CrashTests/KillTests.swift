// Eight clients put, delete and ask while the daemon is killed at random moments; an oracle knows what may be there
// after.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

/// A text whose number and right answer are known.
private struct Fact: Sendable {
    /// 1, 2, …; 0 stands for no document.
    let number: Int

    /// The number is told by the length as well, so that a listing gives it away.
    var text: String { "The access code for Lisbon is \(10_000 + number * 7_919 % 90_000)." + filler }
    private var filler: String { String(repeating: ".", count: number) }

    static let shortest = "The access code for Lisbon is 10000.".utf8.count
    /// Different texts; their answers are asked of an undisturbed daemon first.
    static let count = 40
    static let question = "What is the access code for Lisbon?"

    static func number(ofTextBytes bytes: Int) -> Int { bytes - shortest }
}

@Suite(.serialized) struct KillTests {
    /// How many kills; the long run is `CAKED_KILLS=2000`.
    static let kills = Int(ProcessInfo.processInfo.environment["CAKED_KILLS"] ?? "") ?? 100
    static let clients = 8

    /// What the clients of one round saw.
    private struct Seen: Sendable {
        /// What each document may be after the kill.
        var allowed: [String: Set<Int>] = [:]
        var acknowledged = 0
        var answers = 0
        var problems: [String] = []

        mutating func merge(_ other: Seen) {
            allowed.merge(other.allowed) { $0.union($1) }
            acknowledged += other.acknowledged
            answers += other.answers
            problems += other.problems
        }
    }

    @Test("no kill at a random moment loses an acknowledged write, shows half a document or changes an answer")
    func kills() async throws {
        let daemon = try await Daemon()
        let begun = ContinuousClock.now
        let answers = try await undisturbedAnswers(daemon.client)
        // Long enough that the clients, all at once, get some puts through before the kill: on a busy machine more.
        let putMilliseconds = Int((ContinuousClock.now - begun) / .milliseconds(Fact.count))
        let window = min(1_000, max(500, Self.clients * putMilliseconds))
        var all = Seen()
        var allowed: [String: Set<Int>] = [:]
        for round in 0..<Self.kills {
            let seen = await clientsUntilKilled(daemon, within: window, before: allowed, answers: answers)
            all.merge(seen)
            allowed.merge(seen.allowed) { $1 }
            try await daemon.start()
            // A document that was being read may be read on after the start.
            try await daemon.becomesIdle()
            let stored = try await daemon.client.documents()
            for (name, numbers) in allowed {
                let number = stored.first { $0.id == name }.map { Fact.number(ofTextBytes: $0.textBytes) } ?? 0
                if !numbers.contains(number) {
                    all.problems.append("\(name) is \(number), not one of \(numbers), after kill \(round)")
                }
                allowed[name] = [number]
            }
            all.problems += stored.filter { allowed[$0.id] == nil }.map { "\($0.id) was never put" }
            // Every round a few of the documents answer, so that all of them do many times.
            for document in stored.shuffled().prefix(3) {
                let answer = try await ask(daemon.client, document.id)
                let number = Fact.number(ofTextBytes: document.textBytes)
                if answer != answers[number] { all.problems.append("\(document.id) answers \(answer)") }
                all.answers += 1
            }
        }
        #expect(all.problems.isEmpty, "\(all.problems.prefix(10))")
        // A round without a single acknowledged write would prove nothing.
        #expect(all.acknowledged >= Self.kills && all.answers >= Self.kills)
        print("\(Self.kills) kills: \(all.acknowledged) writes acknowledged, \(all.answers) answers compared")
    }

    private func ask(_ client: DaemonClient, _ name: String) async throws(ClientError) -> String {
        var request = CompletionBody(document: name, question: Fact.question)
        request.maxTokens = 12
        return try await client.complete(request).text
    }

    /// The answer to each fact, from documents nothing happens to.
    private func undisturbedAnswers(_ client: DaemonClient) async throws -> [Int: String] {
        var answers: [Int: String] = [:]
        for number in 1...Fact.count {
            let text = try DocumentText(Array(Fact(number: number).text.utf8))
            _ = try await client.put("undisturbed", text, options: Self.options)
            answers[number] = try await ask(client, "undisturbed")
        }
        try await client.delete("undisturbed")
        return answers
    }

    private static let options = DocumentOptions(keep: .percent(100))

    private func clientsUntilKilled(
        _ daemon: Daemon, within milliseconds: Int, before: [String: Set<Int>], answers: [Int: String]
    ) async -> Seen {
        let client = daemon.client
        return await withTaskGroup(of: Seen.self) { group in
            for number in 0..<Self.clients {
                group.addTask { await self.traffic(client, number, before: before, answers: answers) }
            }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 1...milliseconds)))
            daemon.stop(SIGKILL)
            return await group.reduce(into: Seen()) { $0.merge($1) }
        }
    }

    /// One client on two documents of its own, until the daemon is gone.
    private func traffic(
        _ client: DaemonClient, _ number: Int, before: [String: Set<Int>], answers: [Int: String]
    ) async -> Seen {
        var seen = Seen()
        for _ in 0..<10_000 {
            let name = "\(number)-\(Int.random(in: 0...1))"
            let known = seen.allowed[name] ?? before[name] ?? [0]
            do throws(ClientError) {
                if let number = known.first, known.count == 1, number > 0, Int.random(in: 0..<3) == 0 {
                    let answer = try await ask(client, name)
                    if answer != answers[number] { seen.problems.append("\(name), text \(number), says \(answer)") }
                    seen.answers += 1
                    continue
                }
                let now = Int.random(in: 0..<5) == 0 ? 0 : Int.random(in: 1...Fact.count)
                seen.allowed[name] = known.union([now])
                if now == 0 {
                    try await client.delete(name)
                } else {
                    let text = try DocumentText(Array(Fact(number: now).text.utf8))
                    _ = try await client.put(name, text, options: Self.options)
                }
                seen.allowed[name] = [now]
                seen.acknowledged += 1
            } catch .api(404, _, _, _, _) {
                // Only a document that is not there can be missing.
                if !known.contains(0) { seen.problems.append("\(name) is gone") }
                seen.allowed[name] = [0]
            } catch {
                if error.isBusy { continue }
                return seen
            }
        }
        return seen
    }
}
