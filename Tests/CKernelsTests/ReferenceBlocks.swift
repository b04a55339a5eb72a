// Blocks and the floats they stand for, by another implementation than ours: Fixtures/blocks.json, made by
// Fixtures/blocks.py.

import Foundation
import Testing

struct ReferenceBlocks: Sendable, CustomTestStringConvertible {
    /// A type's blocks as hexadecimal bytes, and the bit patterns of their floats.
    private struct Recorded: Decodable {
        let stored: String
        let weights: [UInt32]
    }

    let format: Format
    let bytes: [UInt8]
    let expected: [UInt32]

    var testDescription: String { "\(format)" }

    static let all: [ReferenceBlocks] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/blocks.json")
        guard let data = try? Data(contentsOf: file),
            let recorded = try? JSONDecoder().decode([String: Recorded].self, from: data)
        else { return [] }
        return Format.allCases.compactMap { format in
            recorded["\(format)"].map {
                ReferenceBlocks(format: format, bytes: Self.bytes($0.stored), expected: $0.weights)
            }
        }
    }()

    private static func bytes(_ text: String) -> [UInt8] {
        let characters = Array(text)
        return stride(from: 0, to: characters.count, by: 2).compactMap {
            UInt8(String(characters[$0..<$0 + 2]), radix: 16)
        }
    }
}
