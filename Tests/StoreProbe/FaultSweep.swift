// Every call of the write path failed or ended in turn, N = 1, 2, … until none is left.
//
//     storeprobe sweep WORK            runs the sweep; "WRONG" is what must never be
//     storeprobe work DIRECTORY N MODE  one process of it: a day in the life of a store

import CFaults
import CacheStore
import Glibc
import Synchronization

/// What a document may be after a fault: nil for absent, else the number of the content.
private typealias Allowed = Set<Int?>

/// One step of the day.
private enum Step: CaseIterable {
    case putA, putB, putC, replaceA, shrinkB, pinC, use, deleteC, putD, reclaim, compact

    /// Documents by name, and what each holds after this step.
    var results: [String: Int?] {
        switch self {
        case .putA: ["a": 1]
        case .putB: ["b": 2]
        case .putC: ["c": 3]
        case .replaceA: ["a": 4]
        case .deleteC: ["c": nil]
        case .putD: ["d": 5]
        default: [:]
        }
    }
}

enum FaultSweep {
    private static let modes: [(name: String, mode: faults_mode)] = [
        ("fail", FAULTS_FAIL), ("short", FAULTS_SHORT), ("exit", FAULTS_EXIT), ("torn", FAULTS_TORN),
    ]
    private static let limits = StoreLimits(quotaBytes: 64 << 20)

    // MARK: The sweep

    static func sweep(_ work: String) {
        _ = unsafe mkdir(work, 0o700)
        for (name, _) in modes {
            var number = 1
            while true {
                let directory = "\(work)/\(name)-\(number)"
                let log = "\(directory).log"
                guard spawn(["work", directory, "\(number)", name], output: log) else { return }
                let lines = read(log).split(separator: "\n").map(String.init)
                for line in lines where line.hasPrefix("WRONG") { print("\(name) \(number): \(line)") }
                if let problem = check(directory, lines) { print("WRONG \(name) \(number): \(problem)") }
                for file in ["data.mdb", "lock.mdb", "caked.lock", "data.mdb.compacted"] {
                    unsafe unlink("\(directory)/\(file)")
                }
                unsafe rmdir(directory)
                unsafe unlink(log)
                if lines.contains("not reached") {
                    print("\(name): \(number - 1) points")
                    break
                }
                number += 1
            }
        }
    }

    /// What the process said it did is there when the store is opened again; nil when it is.
    private static func check(_ directory: String, _ lines: [String]) -> String? {
        var allowed: [String: Allowed] = [:]
        for step in Step.allCases {
            let (isBegun, isDone) = (lines.contains("begin \(step)"), lines.contains("done \(step)"))
            for (name, content) in step.results where isBegun {
                allowed[name] = isDone ? [content] : allowed[name, default: [nil]].union([content])
            }
        }
        do throws(StoreError) {
            let store = try DocumentStore(directory: directory, mapBytes: 64 << 20, limits: limits)
            for (name, contents) in allowed {
                let found = try content(of: name, in: store)
                if !contents.contains(found) { return "\(name) is \(found ?? 0), not one of \(contents)" }
            }
            guard try store.quarantined().isEmpty else { return "a document is quarantined" }
            _ = try store.maintain()
            try store.verify { _, _ in true }
            return try put(6, as: "new", in: store)
        } catch { return "\(error)" }
    }

    /// Which content a document has, to the byte; 0 for one that nobody wrote.
    private static func content(of name: String, in store: DocumentStore) throws(StoreError) -> Int? {
        let key = try DocumentKey(owner: 1, name: name)
        guard let manifest = try store.manifest(key) else { return nil }
        let open = try store.open(key, fingerprint: SeededDocument.fingerprint)
        for number in 1...6 {
            let document = try SeededDocument(number, named: name)
            if try document.difference(open, share: manifest.budget) == nil { return number }
        }
        return 0
    }

    private static func put(_ number: Int, as name: String, in store: DocumentStore) throws(StoreError) -> String? {
        try SeededDocument(number, named: name).put(in: store)
        return try content(of: name, in: store) == number ? nil : "\(name) is not what was written"
    }

    // MARK: A day

    static func work(_ directory: String, at number: Int, mode name: String) {
        let mode = modes.first { $0.name == name }?.mode ?? FAULTS_FAIL
        faults_arm(Int32(number), mode)
        var store: DocumentStore? = open(directory)
        for step in Step.allCases {
            report("begin \(step)")
            for attempt in 0..<3 {
                do throws(StoreError) {
                    if step == .compact {
                        store = nil  // nobody may have it open
                        _ = try DocumentStore.compact(directory: directory, mapBytes: 64 << 20)
                    } else {
                        if store == nil { store = open(directory) }
                        guard let store else { continue }
                        try run(step, in: store)
                    }
                    report("done \(step)")
                    break
                } catch .failed {
                    store = nil  // writing failed half-way: opened again
                } catch {
                    // A fault strikes once; what failed has not happened and can be done again.
                    if attempt == 2 { report("WRONG \(step) fails for good: \(error)") }
                }
            }
        }
        if faults_count() < number { report("not reached") }
    }

    private static func open(_ directory: String) -> DocumentStore? {
        for attempt in 0..<3 {
            do throws(StoreError) {
                return try DocumentStore(
                    directory: directory, mapBytes: 64 << 20, limits: limits, truncate: SeededDocument.truncate)
            } catch {
                if attempt == 2 { report("WRONG cannot be opened: \(error)") }
            }
        }
        return nil
    }

    private static func run(_ step: Step, in store: DocumentStore) throws(StoreError) {
        func key(_ name: String) throws(StoreError) -> DocumentKey { try DocumentKey(owner: 1, name: name) }
        switch step {
        case .putA: try SeededDocument(1, named: "a").put(in: store)
        case .putB: try SeededDocument(2, named: "b").put(in: store)
        case .putC: try SeededDocument(3, named: "c").put(in: store)
        case .replaceA: try SeededDocument(4, named: "a").put(in: store)
        case .shrinkB: _ = try store.shrink(key("b"), toBudget: 16)
        case .pinC: _ = try store.update(key("c"), ttlSeconds: 60, pinned: true)
        case .use:
            store.touch(try key("a"))
            try store.flushUsage()
        case .deleteC: _ = try store.delete(key("c"))
        case .putD: try SeededDocument(5, named: "d").put(in: store)
        case .reclaim: _ = try store.maintain()
        case .compact: break
        }
    }

    // MARK: Processes

    /// A line written at once, past what may be failing: the next call may be the last.
    private static func report(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = unsafe Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }

    private static func spawn(_ arguments: [String], output: String) -> Bool {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var words = unsafe (["storeprobe"] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var child: pid_t = 0
        guard unsafe posix_spawn(&child, "/proc/self/exe", &actions, nil, &words, environ) == 0 else {
            print("WRONG cannot start a process")
            return false
        }
        var status: Int32 = 0
        unsafe waitpid(child, &status, 0)
        if status & 0x7F != 0 { print("WRONG \(arguments): killed by signal \(status & 0x7F)") }
        return true
    }

    private static func read(_ path: String) -> String {
        let file = unsafe Glibc.open(path, O_RDONLY)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }
}
