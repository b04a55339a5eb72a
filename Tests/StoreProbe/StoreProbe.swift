// Reads damaged copies of a store in a process of its own, so that a test can tell a refusal from a crash.
//
//     storeprobe mutate WORK FIRST COUNT
//
// prints a line for each mutation: what was damaged and what came of it. "WRONG" is what must never be; a mutation
// without a line killed the process.

import CacheStore
import Glibc

@main
enum StoreProbe {
    static let documents = 6

    static func main() {
        let arguments = CommandLine.arguments
        if arguments.count == 3, arguments[1] == "sweep" { return FaultSweep.sweep(arguments[2]) }
        if arguments.count == 5, arguments[1] == "work", let number = Int(arguments[3]) {
            return FaultSweep.work(arguments[2], at: number, mode: arguments[4])
        }
        guard arguments.count == 5, arguments[1] == "mutate", let first = Int(arguments[3]),
            let count = Int(arguments[4])
        else {
            print("usage: storeprobe mutate WORK FIRST COUNT | storeprobe sweep WORK")
            exit(64)
        }
        do throws(StoreError) {
            try run(arguments[2], first: first, count: count)
        } catch {
            print("no sound store to begin with: \(error)")
            exit(1)
        }
    }

    private static func run(_ work: String, first: Int, count: Int) throws(StoreError) {
        let base = "\(work)/base"
        _ = unsafe mkdir(work, 0o700)
        try make(base)
        guard let bytes = read("\(base)/data.mdb") else {
            print("no data file")
            exit(1)
        }
        for number in first..<first + count {
            let mutation = Mutation(number: number, fileBytes: bytes.count)
            let copy = "\(work)/copy"
            _ = unsafe mkdir(copy, 0o700)
            unsafe unlink("\(copy)/lock.mdb")
            write(mutation(bytes), to: "\(copy)/data.mdb")
            report("\(number) \(mutation): \(outcome(copy))")
        }
    }

    /// Prints a line at once: the next mutation may be the last.
    private static func report(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = unsafe Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }

    /// A store with documents, and with pages that deleted ones left free.
    private static func make(_ directory: String) throws(StoreError) {
        let store = try DocumentStore(directory: directory, mapBytes: 64 << 20)
        for number in 0..<documents * 2 { try SeededDocument(number).put(in: store) }
        for number in documents..<documents * 2 { _ = try store.delete(SeededDocument(number).key) }
    }

    /// Opens a store, reads every document, deletes what is damaged, writes anew: what a daemon does in its life.
    private static func outcome(_ directory: String) -> String {
        do throws(StoreError) {
            let store = try DocumentStore(directory: directory, mapBytes: 64 << 20)
            var (sound, refused) = (0, 0)
            for number in 0..<documents {
                let document = try SeededDocument(number)
                do throws(StoreError) {
                    let open = try store.open(document.key, fingerprint: SeededDocument.fingerprint)
                    if let difference = try document.difference(open) {
                        return "WRONG \(difference) of \(document.key.name)"
                    }
                    sound += 1
                } catch {
                    refused += 1
                }
            }
            return "\(sound) sound, \(refused) refused; then \(goesOn(store))"
        } catch {
            return "refused at start: \(error)"
        }
    }

    /// A damaged store may refuse to write, but what it says it wrote is there.
    private static func goesOn(_ store: DocumentStore) -> String {
        do throws(StoreError) {
            for number in stride(from: 0, to: documents, by: 2) { _ = try store.delete(SeededDocument(number).key) }
            let document = try SeededDocument(100)
            try document.put(in: store)
            let open = try store.open(document.key, fingerprint: SeededDocument.fingerprint)
            if let difference = try document.difference(open) { return "WRONG \(difference) of a new document" }
            for number in stride(from: 1, to: documents, by: 2) {
                let document = try SeededDocument(number)
                guard let open = try? store.open(document.key, fingerprint: SeededDocument.fingerprint) else {
                    continue
                }
                if let difference = try document.difference(open) { return "WRONG \(difference) after writing" }
            }
            return "writes"
        } catch {
            return "refuses to write: \(error)"
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 32 << 20)
        let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        guard unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            print("cannot write \(path)")
            exit(1)
        }
    }
}
