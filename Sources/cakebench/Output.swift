// What subcommands print: JSON with sorted keys, fixed decimals, and medians of repeated runs.

import ArgumentParser
import FoundationEssentials
import Glibc

/// A measured figure: the median of several runs, with the extremes.
struct Figure: Encodable {
    let median: Double
    let min: Double
    let max: Double
    let runs: Int

    /// Summarises runs; there must be at least one.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        median =
            sorted.count.isMultiple(of: 2)
            ? (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2 : sorted[sorted.count / 2]
        min = sorted[0]
        max = sorted[sorted.count - 1]
        runs = sorted.count
    }

    private init(median: Double, min: Double, max: Double, runs: Int) {
        (self.median, self.min, self.max, self.runs) = (median, min, max, runs)
    }

    /// The figure in another unit.
    func scaled(by factor: Double) -> Figure {
        Figure(median: median * factor, min: min * factor, max: max * factor, runs: runs)
    }

    /// "median [min–max]".
    func text(_ decimals: Int) -> String {
        "\(fixed(median, decimals)) [\(fixed(min, decimals))–\(fixed(max, decimals))]"
    }
}

func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let rounded = (abs(value) * scale).rounded()
    guard rounded < 1e15 else { return "\(value)" }
    let digits = String(Int(rounded))
    let sign = value < 0 && rounded > 0 ? "-" : ""
    if decimals == 0 { return sign + digits }
    let padded = String(repeating: "0", count: Swift.max(0, decimals + 1 - digits.count)) + digits
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
}

/// Text filled up with spaces to a column's width.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: Swift.max(0, width - text.count))
}

/// Prints a value as one JSON object.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Prints a line to standard error.
func printError(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

enum StandardInput {
    /// Text a bench is fed at most: far more than any context.
    static let limitBytes = 1 << 30

    static func readAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            guard count > 0 else { throw ValidationError("standard input cannot be read") }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= limitBytes else { throw ValidationError("standard input is over 1 GiB") }
        }
    }
}

/// The bytes of a file.
func readFile(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }
