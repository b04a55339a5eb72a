// Counters and histograms of the interface in Prometheus' text format, never labelled by document or user.

import API
import EngineInterface
import Locks

/// What has been counted since the start.
final class Metrics: Sendable {
    /// A distribution of seconds over fixed bounds.
    struct Histogram: Sendable {
        let bounds: [Double]
        private(set) var counts: [Int]
        private(set) var sum = 0.0

        init(bounds: [Double]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count + 1)
        }

        mutating func observe(_ seconds: Double) {
            counts[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
            sum += seconds
        }
    }

    private struct Answer: Hashable {
        var route: String
        var status: Int
    }

    private struct State {
        var answers: [Answer: Int] = [:]
        var streamFailures: [String: Int] = [:]
        var cachedTokens = 0
        // From an answer about a page on a fast machine to a book on a slow one.
        var documentPrefill = Histogram(bounds: [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000])
        var questionPrefill = Histogram(bounds: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30])
        var firstToken = Histogram(bounds: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100])
        var interToken = Histogram(bounds: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3])
    }

    private let state = Mutex(State())

    func countAnswer(route: String, status: Int) {
        state.withLock { $0.answers[Answer(route: route, status: status), default: 0] += 1 }
    }

    /// A stream that broke off after its head had been sent.
    func countStreamFailure(code: String) { state.withLock { $0.streamFailures[code, default: 0] += 1 } }

    func observeDocument(prefillSeconds: Double) { state.withLock { $0.documentPrefill.observe(prefillSeconds) } }

    func observeFirstToken(seconds: Double) { state.withLock { $0.firstToken.observe(seconds) } }

    func observeInterToken(seconds: Double) { state.withLock { $0.interToken.observe(seconds) } }

    func observe(_ usage: Usage) {
        state.withLock {
            $0.cachedTokens += usage.promptTokensDetails.cachedTokens
            $0.questionPrefill.observe(usage.timings.prefillSeconds)
        }
    }

    /// The text format, version 0.0.4.
    func text(status: EngineStatus) -> String {
        let (state, daemon) = (state.withLock { $0 }, status.daemon)
        var text = MetricsText()
        text.family("caked_build_info", "gauge", "The version that runs and the model it has loaded.")
        text.sample("caked_build_info", [("version", daemon.version), ("model", daemon.model)], 1)
        text.family("caked_requests_total", "counter", "Answers by route and HTTP status.")
        for (answer, count) in state.answers.sorted(by: {
            ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status)
        }) {
            text.sample(
                "caked_requests_total", [("route", answer.route), ("code", String(answer.status))], Double(count))
        }
        text.family("caked_stream_failures_total", "counter", "Event streams that ended with an error, by its code.")
        for (code, count) in state.streamFailures.sorted(by: { $0.key < $1.key }) {
            text.sample("caked_stream_failures_total", [("code", code)], Double(count))
        }
        text.single(
            "caked_cached_tokens_total", "counter", "Tokens of prompts that were not read again, documents' included.",
            state.cachedTokens)
        text.single("caked_prefilled_tokens_total", "counter", "Document tokens read.", status.prefilledTokens)
        text.single("caked_question_tokens_total", "counter", "Question tokens read.", status.questionTokens)
        text.single("caked_generated_tokens_total", "counter", "Tokens generated.", status.generatedTokens)
        text.single("caked_questions_answered_total", "counter", "Questions answered.", status.answeredQuestions)
        text.single("caked_documents_written_total", "counter", "Documents written.", status.writtenDocuments)
        text.single(
            "caked_checkpoints_written_total", "counter", "Checkpoints of documents being read.",
            status.writtenCheckpoints)
        text.family("caked_checkpoint_seconds_total", "counter", "Seconds spent on checkpoints.")
        text.sample("caked_checkpoint_seconds_total", [], status.checkpointSeconds)
        text.single(
            "caked_documents_resumed_total", "counter", "Documents whose reading went on after a restart.",
            status.resumedDocuments)
        text.single(
            "caked_requests_joined_total", "counter", "Requests that joined the reading of the same document.",
            status.joinedRequests)
        text.family("caked_jobs", "gauge", "Unfinished documents that survive a restart.")
        text.sample("caked_jobs", [("state", "durable")], Double(daemon.jobs.durable))
        text.sample("caked_jobs", [("state", "interrupted")], Double(daemon.jobs.interrupted))
        text.family("caked_queue_depth", "gauge", "Requests that wait.")
        text.sample("caked_queue_depth", [("kind", "document")], Double(daemon.queue.documents))
        text.sample("caked_queue_depth", [("kind", "question")], Double(daemon.queue.questions))
        text.family("caked_running", "gauge", "Requests being worked on.")
        text.sample("caked_running", [("kind", "document")], Double(daemon.running.documents))
        text.sample("caked_running", [("kind", "question")], Double(daemon.running.questions))
        tails(daemon.tails, in: &text)
        text.single("caked_documents", "gauge", "Documents in the store.", daemon.documents)
        text.single("caked_store_bytes", "gauge", "Bytes of the documents' caches.", daemon.storeBytes)
        text.single("caked_store_map_bytes", "gauge", "Bytes of the store's address space.", daemon.mapBytes)
        text.single("caked_store_file_bytes", "gauge", "Bytes of the store's file.", daemon.fileBytes)
        store(daemon, in: &text)
        text.single("caked_threads", "gauge", "Compute threads.", daemon.threads)
        text.family(
            "caked_kernels", "gauge", "The instruction set in use, and whether it multiplies bytes and bfloats.")
        text.sample(
            "caked_kernels",
            [
                ("set", daemon.kernels.set), ("bytes", "\(daemon.kernels.multipliesBytes)"),
                ("bfloats", "\(daemon.kernels.multipliesBfloats)"),
            ], 1)
        text.family("caked_uptime_seconds", "gauge", "Seconds since the start.")
        text.sample("caked_uptime_seconds", [], daemon.uptimeSeconds)
        text.histogram("caked_prefill_seconds", "Time to read a document.", state.documentPrefill)
        text.histogram("caked_question_prefill_seconds", "Time to read a question.", state.questionPrefill)
        text.histogram(
            "caked_time_to_first_token_seconds", "Time from a question to its first text.", state.firstToken)
        text.histogram("caked_inter_token_seconds", "Time between pieces of an answer's text.", state.interToken)
        return text.text
    }

    private func tails(_ tails: DaemonStatus.Tails, in text: inout MetricsText) {
        text.single("caked_tails", "gauge", "Ended conversations whose tails are kept.", tails.count)
        text.single("caked_tail_bytes", "gauge", "Bytes of the kept tails.", tails.bytes)
        text.single("caked_tail_limit_bytes", "gauge", "The most that kept tails may take.", tails.limitBytes)
        text.single("caked_tail_hits_total", "counter", "Questions that went on from a kept tail.", tails.hits)
        text.single(
            "caked_tail_saved_tokens_total", "counter", "Tokens that they did not read again.", tails.savedTokens)
    }

    private func store(_ daemon: DaemonStatus, in text: inout MetricsText) {
        text.single(
            "caked_store_free_bytes", "gauge", "Bytes of the file that later documents will use.", daemon.freeBytes)
        if let quota = daemon.quotaBytes {
            text.single("caked_store_quota_bytes", "gauge", "The most that documents may take.", quota)
        }
        text.single(
            "caked_quarantined_documents", "gauge", "Documents that were found damaged.", daemon.quarantinedDocuments)
        text.single("caked_open_documents", "gauge", "Documents open for reading.", daemon.openDocuments)
        text.family("caked_oldest_reader_seconds", "gauge", "How long the oldest open document has been open.")
        text.sample("caked_oldest_reader_seconds", [], daemon.oldestReaderSeconds)
        text.single(
            "caked_cleared_readers_total", "counter", "Readers that died without ending and were cleared.",
            daemon.clearedReaders)
        let acts = [
            ("expired", daemon.reclaimed.expired), ("shrunk", daemon.reclaimed.shrunk),
            ("deleted", daemon.reclaimed.deleted),
        ]
        text.family("caked_reclaimed_total", "counter", "What was done to documents for the sake of space.")
        for (act, done) in acts { text.sample("caked_reclaimed_total", [("act", act)], Double(done.count)) }
        text.family("caked_reclaimed_bytes_total", "counter", "Bytes that were freed so.")
        for (act, done) in acts { text.sample("caked_reclaimed_bytes_total", [("act", act)], Double(done.bytes)) }
    }
}

// The exposition format: families, then their samples.
private struct MetricsText {
    var text = ""

    mutating func family(_ name: String, _ kind: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let pairs = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        text += name + (pairs.isEmpty ? "" : "{\(pairs)}") + " \(Self.number(value))\n"
    }

    mutating func single(_ name: String, _ kind: String, _ help: String, _ value: Int) {
        family(name, kind, help)
        sample(name, [], Double(value))
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Metrics.Histogram) {
        family(name, "histogram", help)
        var cumulative = 0
        for (bound, count) in zip(histogram.bounds.map(Self.number) + ["+Inf"], histogram.counts) {
            cumulative += count
            sample(name + "_bucket", [("le", bound)], Double(cumulative))
        }
        sample(name + "_sum", [], histogram.sum)
        sample(name + "_count", [], Double(cumulative))
    }

    static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }

    static func escaped(_ value: String) -> String {
        var escaped = ""
        for character in value {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
