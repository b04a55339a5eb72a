// A model in several files, as llama.cpp's gguf-split writes them: how many, and what each is called.

/// The parts that a file says it is split into: one for most files.
///
/// Part n of m is `PREFIX-0000n-of-0000m.gguf` and says so in `split.no` (from 0) and `split.count`; the first part has
/// all other metadata (gguf-split.cpp; llama_split_path of llama.h).
struct SplitFile {
    /// More than any model needs, so that a damaged count opens no thousands of files.
    static let maximumParts = 1_000

    /// How many there are.
    let parts: Int
    /// The first part's path as it was given; what stands before the numbers of all.
    private let path: String?
    private let prefix: String
    /// Tensors of all parts, where that is said.
    private let tensorCount: Int?

    /// Reads what the first part says.
    ///
    /// - Throws: `.splitFile` for one whose other parts cannot be found: in memory, no first part, or under another
    ///   name.
    init(_ metadata: GGUFMetadata, path: String?) throws(GGUFError) {
        let count = try metadata.integer("split.count") ?? 1
        parts = max(count, 1)
        self.path = path
        tensorCount = count > 1 ? try metadata.integer("split.tensors.count") : nil
        guard count > 1 else {
            prefix = ""
            return
        }
        guard count <= Self.maximumParts, try metadata.integer("split.no") ?? 0 == 0, let path,
            path.hasSuffix(Self.ending(of: 0, parts: count))
        else { throw .splitFile(parts: count) }
        prefix = String(path.dropLast(Self.ending(of: 0, parts: count).count))
    }

    /// The path of a part, from 0.
    func path(of part: Int) -> String {
        parts == 1 ? path ?? "" : prefix + Self.ending(of: part, parts: parts)
    }

    /// Refuses a part that is another's.
    func check(_ metadata: GGUFMetadata, number: Int, path: String) throws(GGUFError) {
        let (no, count) = (try metadata.integer("split.no"), try metadata.integer("split.count"))
        guard no == number, count == parts else {
            throw .unusablePart(
                path: path,
                "it says that it is part \(no.map { "\($0 + 1)" } ?? "?") of \(count.map(String.init) ?? "?")")
        }
    }

    /// Refuses parts that have not all the tensors together.
    func check(tensorCount found: Int) throws(GGUFError) {
        guard let tensorCount, tensorCount != found else { return }
        throw .unusablePart(path: path(of: 0), "its parts have \(found) tensors together, and it says \(tensorCount)")
    }

    private static func ending(of part: Int, parts: Int) -> String {
        func digits(_ number: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, 5 - text.count)) + text
        }
        return "-\(digits(part + 1))-of-\(digits(parts)).gguf"
    }
}
