// What a bad disk does to a file: flipped bits, zeroed, swapped and repeated pages, cut and torn ends.

/// One damage, the same for the same number.
struct Mutation: CustomStringConvertible {
    private static let pageBytes = 4096
    let description: String
    private let apply: ([UInt8]) -> [UInt8]

    init(number: Int, fileBytes: Int) {
        var random = SeededGenerator(state: UInt64(number))
        let pages = fileBytes / Self.pageBytes
        let (one, other) = (Int.random(in: 0..<pages, using: &random), Int.random(in: 0..<pages, using: &random))
        let offset = Int.random(in: 0..<fileBytes, using: &random)
        // Structure is a small part of the file: half of the flips go to the pages' first bytes.
        let place = number % 2 == 0 ? offset : one * Self.pageBytes + offset % 64
        let seed = random.next()
        switch number % 8 {
        case 0, 1:
            description = "a bit of byte \(place) flipped"
            apply = { $0.with { $0[place] ^= 1 << UInt8(seed % 8) } }
        case 2:
            description = "16 bits flipped from byte \(offset) on"
            apply = { bytes in
                bytes.with { bytes in
                    var random = SeededGenerator(state: seed)
                    for _ in 0..<16 {
                        let at = min(bytes.count - 1, offset + Int.random(in: 0..<8192, using: &random))
                        bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    }
                }
            }
        case 3:
            description = "pages \(one) and \(other) swapped"
            apply = { bytes in
                bytes.with { bytes in
                    for index in 0..<Self.pageBytes {
                        bytes.swapAt(one * Self.pageBytes + index, other * Self.pageBytes + index)
                    }
                }
            }
        case 4:
            let end = number % 16 == 4 ? one * Self.pageBytes : offset
            description = "cut at byte \(end)"
            apply = { Array($0.prefix(end)) }
        case 5:
            description = "page \(one) over page \(other)"
            apply = { bytes in
                bytes.with { bytes in
                    for index in 0..<Self.pageBytes {
                        bytes[other * Self.pageBytes + index] = bytes[one * Self.pageBytes + index]
                    }
                }
            }
        case 6:
            description = "page \(one) zeroed"
            apply = { bytes in
                bytes.with { bytes in
                    for index in 0..<Self.pageBytes { bytes[one * Self.pageBytes + index] = 0 }
                }
            }
        default:
            description = "8 bytes at \(place) overwritten"
            apply = { bytes in
                bytes.with { bytes in
                    for index in 0..<8 where place + index < bytes.count {
                        bytes[place + index] = UInt8(truncatingIfNeeded: seed >> UInt64(index * 8))
                    }
                }
            }
        }
    }

    func callAsFunction(_ bytes: [UInt8]) -> [UInt8] { apply(bytes) }
}

extension [UInt8] {
    fileprivate func with(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var copy = self
        change(&copy)
        return copy
    }
}
