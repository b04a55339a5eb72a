// cakectl status: what the daemon is doing.
import API
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
        var lines = [
            "caked    \(status.version), up \(Formats.duration(status.uptimeSeconds)), "
                + "\(counted(status.threads, "thread")), \(Self.kernels(status.kernels))",
            "model    \(status.model), \(Formats.count(status.contextLength)) tokens of context",
            "store    \(counted(status.documents, "document")), \(Formats.bytes(status.storeBytes)) "
                + "(file \(Formats.bytes(status.fileBytes)), at most \(Formats.bytes(status.mapBytes)))",
        ]
        lines += Self.space(of: status)
        lines.append("running  \(Self.work(status.running))")
        lines.append("waiting  \(Self.work(status.queue))")
        lines += Self.tails(status.tails)
        let learned = counted(status.learning.documents, "document")
        lines.append("learned  " + (status.learning.isFinished ? "from \(learned)" : "not yet, \(learned) so far"))
        let jobs = status.jobs
        if jobs.durable + jobs.interrupted > 0 {
            lines.append(
                "durable  \(counted(jobs.durable, "document")), \(Formats.count(jobs.interrupted)) interrupted")
        }
        for line in lines { Terminal.print(line) }
    }

    private static func kernels(_ kernels: DaemonStatus.Kernels) -> String {
        let products = [("bytes", kernels.multipliesBytes), ("bfloats", kernels.multipliesBfloats)]
            .filter(\.1).map(\.0)
        return "\(kernels.set) kernels"
            + (products.isEmpty ? "" : " with products of \(products.joined(separator: " and "))")
    }

    private static func space(of status: DaemonStatus) -> [String] {
        var parts: [String] = []
        if let quota = status.quotaBytes { parts.append("quota \(Formats.bytes(quota))") }
        parts.append("\(Formats.bytes(status.freeBytes)) of the file free")
        if status.openDocuments > 0 {
            parts.append(
                "\(status.openDocuments) open, the longest for \(Formats.duration(status.oldestReaderSeconds))")
        }
        var lines = ["space    " + parts.joined(separator: ", ")]
        if status.quarantinedDocuments > 0 {
            lines.append("damaged  \(counted(status.quarantinedDocuments, "document")); \"cakectl ls\" names yours")
        }
        let done = status.reclaimed
        if done.expired.count + done.shrunk.count + done.deleted.count > 0 {
            let bytes = done.expired.bytes + done.shrunk.bytes + done.deleted.bytes
            lines.append(
                "freed    \(Formats.bytes(bytes)): \(done.expired.count) expired, \(done.shrunk.count) shrunk, "
                    + "\(done.deleted.count) deleted")
        }
        return lines
    }

    private static func tails(_ tails: DaemonStatus.Tails) -> [String] {
        guard tails.limitBytes > 0 else { return ["tails    none are kept"] }
        let held = "\(Formats.bytes(tails.bytes)) of \(Formats.bytes(tails.limitBytes))"
        let saved = "\(counted(tails.hits, "hit")) saved \(counted(tails.savedTokens, "token"))"
        return ["tails    of \(counted(tails.count, "conversation")), \(held); \(saved)"]
    }

    private static func work(_ work: DaemonStatus.Work) -> String {
        "\(counted(work.documents, "document")), \(counted(work.questions, "question"))"
    }
}
