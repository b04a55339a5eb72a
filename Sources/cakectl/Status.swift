// cakectl status: what the daemon is doing.
import ArgumentParser
import CakedClient

/// Shows the daemon's state.
struct Status: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the daemon's model, store and work under way.",
        discussion: """
              cakectl status
              cakectl --json status | jq .queue
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let status = try await client().status()
        if printsJSON { return try Terminal.print(json: status) }
        var lines = ["caked    \(status.version)"]
        if let seconds = status.uptimeSeconds { lines[0] += ", up \(Formats.duration(seconds))" }
        if let threads = status.threads { lines[0] += ", \(counted(threads, "thread"))" }
        lines.append("model    \(status.model)")
        if let length = status.contextLength { lines[1] += ", \(Formats.count(length)) tokens of context" }
        if let documents = status.documents {
            lines.append("store    \(counted(documents, "document"))")
            if let bytes = status.storeBytes { lines[2] += ", \(Formats.bytes(bytes))" }
            if let file = status.fileBytes, let map = status.mapBytes {
                lines[2] += " (file \(Formats.bytes(file)), at most \(Formats.bytes(map)))"
            }
        }
        lines += Self.space(of: status)
        if let running = status.running { lines.append("running  \(Self.work(running))") }
        if let queue = status.queue { lines.append("waiting  \(Self.work(queue))") }
        if let jobs = status.jobs, jobs.durable + jobs.interrupted > 0 {
            lines.append(
                "durable  \(counted(jobs.durable, "document")), \(Formats.count(jobs.interrupted)) interrupted")
        }
        for line in lines { Terminal.print(line) }
    }

    private static func space(of status: DaemonStatus) -> [String] {
        var parts: [String] = []
        if let quota = status.quotaBytes { parts.append("quota \(Formats.bytes(quota))") }
        if let free = status.freeBytes { parts.append("\(Formats.bytes(free)) of the file free") }
        if let open = status.openDocuments, open > 0 {
            parts.append("\(open) open, the longest for \(Formats.duration(status.oldestReaderSeconds ?? 0))")
        }
        var lines = parts.isEmpty ? [] : ["space    " + parts.joined(separator: ", ")]
        if let damaged = status.quarantinedDocuments, damaged > 0 {
            lines.append("damaged  \(counted(damaged, "document")); \"cakectl ls\" names yours")
        }
        if let done = status.reclaimed, done.expired.count + done.shrunk.count + done.deleted.count > 0 {
            let bytes = done.expired.bytes + done.shrunk.bytes + done.deleted.bytes
            lines.append(
                "freed    \(Formats.bytes(bytes)): \(done.expired.count) expired, \(done.shrunk.count) shrunk, "
                    + "\(done.deleted.count) deleted")
        }
        return lines
    }

    private static func work(_ work: DaemonStatus.Work) -> String {
        "\(counted(work.documents, "document")), \(counted(work.questions, "question"))"
    }
}
