// Everything an administrator may set: what it is when nobody says, and who may say it.

import API
import CAKE
import HTTPAPI
import Inference
import Logging
import Transformer

/// A setting that cannot be used: where it stands, what it is, and what would be right.
struct ConfigurationProblem: Error, Equatable, CustomStringConvertible {
    /// "caked.yaml:12", "CAKED_THREADS" or "--threads".
    var source: String
    var key: String?
    var value: String?
    var wanted: String

    var description: String {
        let subject = key.map { " \($0)" } ?? ""
        let given = value.map { " is `\($0)`, but" } ?? " is not set:"
        return "\(source):\(subject)\(given) wanted is \(wanted)"
    }
}

/// The daemon's configuration.
struct CakedConfiguration: Equatable, Sendable {
    var modelPath = ""
    var socketPath: String
    var access = Access.user
    var logLevel = Logger.Level.info
    var engine: EngineConfiguration
    var limits = ServerLimits()
    /// Where each setting that somebody made stands: "caked.yaml:12", "CAKED_MODEL" or "--model".
    var sources: [String: String] = [:]

    /// What holds where nobody says otherwise.
    ///
    /// A user's own daemon lives in the user's directories, root's and systemd's in the system's.
    init(environment: [String: String], isRoot: Bool) {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let managed = variable("STATE_DIRECTORY").flatMap { $0.split(separator: ":").first.map(String.init) }
        let isSystem = isRoot || managed != nil
        let runtime = isSystem ? nil : variable("XDG_RUNTIME_DIR")
        socketPath = runtime.map { $0 + "/caked.sock" } ?? "/run/caked/caked.sock"
        let home = isSystem ? nil : variable("XDG_STATE_HOME") ?? variable("HOME").map { $0 + "/.local/state" }
        engine = EngineConfiguration(
            modelPath: "", stateDirectory: managed ?? home.map { $0 + "/caked" } ?? "/var/lib/caked")
    }
}

/// One key of the configuration.
struct Setting: Sendable {
    /// Its name in the file; upper case after `CAKED_` in the environment.
    var key: String
    /// What a value must be, for errors.
    var wanted: String
    /// The flag that sets it, if there is one.
    var flag: String?
    /// Sets it from a text; false if the text will not do.
    var apply: @Sendable (inout CakedConfiguration, String) -> Bool

    /// Its name in the environment.
    var variable: String { "CAKED_" + key.uppercased() }

    /// Every key there is; config/caked.yaml documents each in place.
    static let all: [Setting] = [
        .text("model", \.modelPath, wanted: "the path of a GGUF file", flag: "--model"),
        Setting(
            key: "template",
            wanted: "the name of a chat template: \(EngineConfiguration.templateNames.joined(separator: ", "))"
        ) {
            $0.engine.template = $1
            return EngineConfiguration.templateNames.contains($1)
        },
        Setting(key: "chat_template_kwargs", wanted: #"a JSON object such as {"enable_thinking": true}"#) {
            guard let values = try? JSONText.request([String: TemplateValue].self, from: Array($1.utf8), maxDepth: 16)
            else {
                return false
            }
            $0.engine.templateArguments = values
            return true
        },
        .text("socket", \.socketPath, wanted: "the path of the Unix socket", flag: "--socket"),
        .text("state", \.engine.stateDirectory, wanted: "the path of the store's directory", flag: "--state"),
        .choice("access", \.access, Access.allCases),
        .choice("log_level", \.logLevel, Logger.Level.allCases),
        .number("threads", \.engine.threads, 0...1024, flag: "--threads"),
        Setting(key: "kernels", wanted: KernelSet.wanted) {
            // The variable may be set to nothing, as it is for the other programs.
            $0.engine.kernels = $1.isEmpty ? KernelSet.automatic : $1
            return KernelSet.knows($0.engine.kernels)
        },
        .choice("repack", \.engine.repacking, Repacking.allCases),
        Setting(key: "keep", wanted: Keep.wanted) {
            guard let keep = Keep($1) else { return false }
            $0.engine.defaultKeep = keep
            return true
        },
        Setting(key: "method", wanted: "the name of a method such as cake-global") {
            $0.engine.defaultMethod = $1
            return (try? Method.preset($1)) != nil
        },
        .choice("effort", \.engine.defaultEffort, Effort.allCases, wanted: Effort.wanted),
        .choice("rows", \.engine.defaultRows, StoredRows.allCases, wanted: StoredRows.wanted),
        .share("check_target", \.engine.checkTarget),
        .share("check_floor", \.engine.checkFloor),
        .choice("below_floor", \.engine.belowFloor, BelowFloor.allCases),
        .bytes("store_map_bytes", \.engine.storeMapBytes, (64 << 20)...(1 << 46)),
        .bytes("quota_bytes", \.engine.quotaBytes, 0...(1 << 46)),
        Setting(key: "quota_per_user", wanted: "auto, a share of the quota such as 25%, or a size such as 2G") {
            if $1 == "auto" {
                $0.engine.userShare = .equal
            } else if $1.hasSuffix("%") {
                guard let percent = Keep.percent($1) else { return false }
                $0.engine.userShare = .fraction(percent / 100)
            } else {
                guard let bytes = byteCount($1), bytes > 0 else { return false }
                $0.engine.userShare = .bytes(bytes)
            }
            return true
        },
        .seconds("tombstone_seconds", \.engine.tombstoneSeconds, 0...31_536_000),
        .bytes("min_free_disk_bytes", \.engine.minimumFreeDiskBytes, 0...(1 << 46)),
        Setting(key: "shrink_floor", wanted: Keep.wantedShare) {
            guard let percent = Keep.percent($1) else { return false }
            $0.engine.shrinkFloor = percent / 100
            return true
        },
        Setting(key: "compact_at_start", wanted: "on or off") {
            guard let isOn = ["on": true, "true": true, "off": false, "false": false][$1] else { return false }
            $0.engine.compactsAtStart = isOn
            return true
        },
        .number("max_queued_documents", \.engine.maxQueuedDocuments, 0...10_000),
        .number("max_queued_questions", \.engine.maxQueuedQuestions, 0...10_000),
        .number("max_running_questions", \.engine.maxRunningQuestions, 0...256),
        Setting(key: "tail_bytes", wanted: "auto, or a size such as 512M, or 0 for none") {
            if $1 == "auto" {
                $0.engine.tailBytes = nil
            } else {
                guard let bytes = byteCount($1), (0...(1 << 46)).contains(bytes) else { return false }
                $0.engine.tailBytes = bytes
            }
            return true
        },
        .seconds("max_answer_seconds", \.engine.maxAnswerSeconds, 1...86_400),
        .seconds("checkpoint_seconds", \.engine.checkpointSeconds, 0...86_400),
        .number("max_generated_tokens", \.engine.maxGeneratedTokens, 1...1_000_000),
        .bytes("max_document_bytes", \.limits.documentBodyBytes, 1...(1 << 30)),
        .bytes("max_chat_bytes", \.limits.chatBodyBytes, 1...(1 << 30)),
        .choice("unknown_fields", \.limits.unknownFields, UnknownFields.allCases),
        .number("max_connections", \.limits.connections, 1...100_000),
        .seconds("write_deadline_seconds", \.limits.writeDeadlineSeconds, 0.1...3600),
        .seconds("idle_seconds", \.limits.idleSeconds, 1...86_400),
        .seconds("drain_seconds", \.limits.drainSeconds, 0...3600),
    ]

    private static func text(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, String> & Sendable, wanted: String,
        flag: String? = nil
    ) -> Setting {
        Setting(key: key, wanted: wanted, flag: flag) {
            $0[keyPath: path] = $1
            return !$1.isEmpty && !$1.utf8.contains(0)
        }
    }

    private static func choice<T: RawRepresentable<String> & Sendable>(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, T> & Sendable, _ choices: [T],
        wanted: String? = nil
    ) -> Setting {
        Setting(key: key, wanted: wanted ?? "one of " + choices.map(\.rawValue).joined(separator: ", ")) {
            guard let choice = T(rawValue: $1) else { return false }
            $0[keyPath: path] = choice
            return true
        }
    }

    private static func number(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, Int> & Sendable, _ range: ClosedRange<Int>,
        flag: String? = nil
    ) -> Setting {
        Setting(
            key: key, wanted: "a whole number from \(range.lowerBound) to \(range.upperBound)", flag: flag
        ) {
            guard let number = Int($1), range.contains(number) else { return false }
            $0[keyPath: path] = number
            return true
        }
    }

    private static func bytes(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, Int> & Sendable, _ range: ClosedRange<Int>
    ) -> Setting {
        Setting(
            key: key,
            wanted: "a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 67108864, 64M or 2G"
        ) {
            guard let bytes = byteCount($1), range.contains(bytes) else { return false }
            $0[keyPath: path] = bytes
            return true
        }
    }

    private static func share(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, Double> & Sendable
    ) -> Setting {
        Setting(key: key, wanted: "a share from 0 to 1, such as 0.9") {
            guard let share = Double($1), (0...1).contains(share) else { return false }
            $0[keyPath: path] = share
            return true
        }
    }

    private static func seconds(
        _ key: String, _ path: any WritableKeyPath<CakedConfiguration, Double> & Sendable,
        _ range: ClosedRange<Double>
    ) -> Setting {
        Setting(key: key, wanted: "a number of seconds from \(range.lowerBound) to \(range.upperBound)") {
            guard let seconds = Double($1), range.contains(seconds) else { return false }
            $0[keyPath: path] = seconds
            return true
        }
    }

    /// "4096", "64K", "64M", "2G", "1T"; the letters are powers of 1024.
    private static func byteCount(_ text: String) -> Int? {
        let shifts: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
        guard let last = text.last, let shift = shifts[last] else { return Int(text) }
        guard let number = Int(text.dropLast()) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }
}

extension Setting {
    init(
        key: String, wanted: String, apply: @escaping @Sendable (inout CakedConfiguration, String) -> Bool
    ) {
        self.init(key: key, wanted: wanted, flag: nil, apply: apply)
    }
}
