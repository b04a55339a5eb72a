// The structure of a data file, checked before LMDB maps it: LMDB itself trusts every page, and a wrong one sends it
// outside the file (SIGBUS), into an assertion, or to other pages than it wrote.
//
// What is read are the meta pages, every branch and leaf page and the free lists, not the values on overflow pages:
// about one page for each hundred values. Layout: mdb.c of LMDB 0.9, MDB_page, MDB_node, MDB_db, MDB_meta.

import Glibc

/// What a check of a data file found.
public struct DataFileStructure: Equatable, Sendable {
    /// Pages that were read: the cost of the check.
    public var pagesRead = 0
    /// Pages of the trees and their values.
    public var usedPages = 0
    /// Pages that the free lists name.
    public var freePages = 0
    /// Pages that neither a tree nor a free list names: lost space, no danger.
    public var lostPages = 0
}

/// Walks the trees of a data file with `pread`; nothing it reads is trusted.
struct DataFileCheck: ~Copyable {
    private let file: Int32
    private var pageBytes = 0
    private var fileBytes = 0
    private var lastPage = 0
    private var used: [UInt64] = []
    private var structure = DataFileStructure()
    private let names: Set<String>

    /// LMDB's own bound of a tree's depth (`CURSOR_STACK`).
    private static let maximumDepth = 32
    /// Pages that one transaction may have freed before they were ever written; a file lacks no more than these.
    private static let maximumMissingPages = 1 << 20

    /// Checks the data file of a directory; nil when there is none yet.
    static func check(directory: String, databases: [String]) throws(LMDBError) -> DataFileStructure? {
        // O_NONBLOCK: a FIFO with no writer must be refused, not waited for.
        let file = unsafe open(directory + "/data.mdb", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .system(errno: errno)
        }
        defer { close(file) }
        return try check(file: file, databases: databases)
    }

    /// Checks an open data file.
    private static func check(file: Int32, databases: [String]) throws(LMDBError) -> DataFileStructure {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw .system(errno: errno) }
        // LMDB takes an empty file for a new one; here none is ever made, so that its content is lost.
        guard status.st_size > 0 else { throw .truncatedFile(fileBytes: 0, neededBytes: 2 * 512) }
        var check = DataFileCheck(file: file, fileBytes: Int(status.st_size), names: Set(databases))
        try check.run()
        return check.structure
    }

    private init(file: Int32, fileBytes: Int, names: Set<String>) {
        (self.file, self.fileBytes, self.names) = (file, fileBytes, names)
    }

    private mutating func run() throws(LMDBError) {
        let meta = try newestMeta()
        lastPage = meta.lastPage
        guard meta.lastPage >= 1, meta.lastPage < fileBytes / pageBytes + Self.maximumMissingPages else {
            throw truncated(lastPage: meta.lastPage)
        }
        used = [UInt64](repeating: 0, count: lastPage / 64 + 1)
        try take(0, 2)
        var lastFreed = 0
        try walkTree(meta.free, kind: .free) { check, key, value throws(LMDBError) in
            lastFreed = try check.readFreeList(key: key, value, after: lastFreed)
        }
        // Every commit after the first frees at least the page of the main tree that it rewrites, so that the free list
        // tells a meta page whose number was changed.
        guard lastFreed == meta.transaction || (meta.transaction < 2 && lastFreed == 0) else {
            throw damage("meta page of transaction \(meta.transaction), free list up to transaction \(lastFreed)")
        }
        var trees: [Tree] = []
        try walkTree(meta.main, kind: .main) { check, key, value throws(LMDBError) in
            let name = String(decoding: key, as: UTF8.self)
            guard case .tree(let tree) = value, check.names.contains(name) else {
                throw check.damage("a database that was not made here")
            }
            trees.append(tree)
        }
        for tree in trees { try walkTree(tree, kind: .named) { _, _, _ throws(LMDBError) in } }
        try account()
    }

    /// Counts what nobody names; beyond the end of the file every page must be free.
    private mutating func account() throws(LMDBError) {
        let present = fileBytes / pageBytes
        for page in 0...lastPage where used[page / 64] & 1 << (page % 64) == 0 {
            if page >= present { throw truncated(lastPage: lastPage) }
            structure.lostPages += 1
        }
        structure.usedPages = lastPage + 1 - structure.freePages - structure.lostPages
    }

    // MARK: Meta pages

    private struct Tree {
        var flags: Int
        var depth: Int
        var branchPages: Int
        var leafPages: Int
        var overflowPages: Int
        var entries: Int
        /// Nil for an empty tree.
        var root: Int?

        static let byteCount = 48

        init?(_ bytes: borrowing Page, at offset: Int) {
            flags = bytes.u16(offset + 4)
            depth = bytes.u16(offset + 6)
            guard let branches = bytes.count(offset + 8), let leaves = bytes.count(offset + 16),
                let overflows = bytes.count(offset + 24), let entries = bytes.count(offset + 32)
            else { return nil }
            (branchPages, leafPages, overflowPages, self.entries) = (branches, leaves, overflows, entries)
            if bytes.u64(offset + 40) == .max {
                root = nil
            } else {
                guard let page = bytes.count(offset + 40) else { return nil }
                root = page
            }
        }
    }

    private struct Meta {
        var free: Tree
        var main: Tree
        var lastPage: Int
        var transaction: Int
    }

    private mutating func newestMeta() throws(LMDBError) -> Meta {
        // The page size stands in the first meta page; the smallest page holds one.
        pageBytes = 512
        let first = try read(0)
        guard first.u16(10) == 0x08, first.u32(16) == 0xBEEF_C0DE else { throw .invalidFile }
        guard first.u32(20) == 1 else { throw .versionMismatch }
        pageBytes = first.u32(40)
        guard pageBytes >= 512, pageBytes <= 32768, pageBytes & (pageBytes - 1) == 0 else {
            throw damage("a page size of \(pageBytes)")
        }
        let metas = [try meta(0), try meta(1)]
        // Transaction N writes meta page N % 2, so that the two are one apart; both are 0 in a new file.
        let (even, odd) = (metas[0].transaction, metas[1].transaction)
        guard even == 0 && odd == 0 || even % 2 == 0 && odd % 2 == 1 && abs(even - odd) == 1 else {
            throw damage("meta pages of transactions \(even) and \(odd)")
        }
        return even < odd ? metas[1] : metas[0]
    }

    private mutating func meta(_ number: Int) throws(LMDBError) -> Meta {
        let page = try read(number)
        guard page.u64(0) == UInt64(number), page.u16(10) == 0x08, page.u32(16) == 0xBEEF_C0DE, page.u32(20) == 1,
            page.u32(40) == pageBytes
        else { throw damage("meta page \(number)") }
        guard let free = Tree(page, at: 40), let main = Tree(page, at: 88), let last = page.count(136),
            let transaction = page.count(144), free.flags == 0x08, main.flags == 0
        else { throw damage("meta page \(number)") }
        return Meta(free: free, main: main, lastPage: last, transaction: transaction)
    }

    // MARK: Trees

    private enum Kind {
        /// Transaction → page numbers.
        case free
        /// Name → tree.
        case main
        /// Keys and values of the store.
        case named
    }

    private enum Value {
        case bytes([UInt8])
        case overflow(page: Int, bytes: Int)
        case tree(Tree)
    }

    /// What was counted on the way, to be compared with what the tree's record says.
    private struct Counts: Equatable {
        var (branches, leaves, overflows, entries) = (0, 0, 0, 0)
    }

    private typealias Visit = (inout DataFileCheck, _ key: [UInt8], Value) throws(LMDBError) -> Void

    private mutating func walkTree(_ tree: Tree, kind: Kind, _ visit: Visit) throws(LMDBError) {
        guard kind == .free || tree.flags == 0 else { throw damage("a database with flags \(tree.flags)") }
        var counts = Counts()
        if let root = tree.root {
            guard tree.depth >= 1, tree.depth <= Self.maximumDepth else { throw damage("a tree \(tree.depth) deep") }
            try walk(root, levels: tree.depth, kind, from: nil, to: nil, &counts, visit)
        } else if tree.depth != 0 {
            throw damage("an empty tree \(tree.depth) deep")
        }
        let expected = Counts(
            branches: tree.branchPages, leaves: tree.leafPages, overflows: tree.overflowPages, entries: tree.entries)
        guard counts == expected else { throw damage("a tree that has not what its record counts") }
    }

    private mutating func walk(
        _ number: Int, levels: Int, _ kind: Kind, from low: [UInt8]?, to high: [UInt8]?, _ counts: inout Counts,
        _ visit: Visit
    ) throws(LMDBError) {
        try take(number, 1)
        let page = try read(number)
        let isLeaf = levels == 1
        guard page.u64(0) == UInt64(number), page.u16(10) == (isLeaf ? 0x02 : 0x01) else {
            throw damage("page \(number) is not the \(isLeaf ? "leaf" : "branch") it should be")
        }
        let nodes = try self.nodes(of: page, number: number)
        guard nodes.count >= (isLeaf || kind == .free ? 1 : 2) else { throw damage("page \(number) has no entries") }
        try checkOrder(nodes, of: page, isLeaf: isLeaf, kind, from: low, to: high, number)
        if isLeaf {
            counts.leaves += 1
            counts.entries += nodes.count
            for node in nodes { try visit(&self, node.key(in: page), value(of: node, in: page, kind, &counts)) }
        } else {
            counts.branches += 1
            for (index, node) in nodes.enumerated() {
                let next = index + 1 < nodes.count ? nodes[index + 1].key(in: page) : high
                try walk(
                    node.childPage(in: page), levels: levels - 1, kind,
                    from: index == 0 ? low : node.key(in: page), to: next, &counts, visit)
            }
        }
    }

    /// Where a node of a page lies.
    private struct Node {
        var offset: Int
        var keyBytes: Int

        func key(in page: borrowing Page) -> [UInt8] { page.bytes(offset + 8, keyBytes) }

        func childPage(in page: borrowing Page) -> Int {
            page.u16(offset) | page.u16(offset + 2) << 16 | page.u16(offset + 4) << 32
        }

        func dataBytes(in page: borrowing Page) -> Int { page.u16(offset) | page.u16(offset + 2) << 16 }
    }

    /// The nodes of a branch or leaf page, none of which overlaps another or leaves the page.
    private func nodes(of page: borrowing Page, number: Int) throws(LMDBError) -> [Node] {
        let (lower, upper, isLeaf) = (page.u16(12), page.u16(14), page.u16(10) == 0x02)
        guard lower >= 16, lower % 2 == 0, lower <= upper, upper <= pageBytes else {
            throw damage("page \(number) has impossible bounds")
        }
        var (nodes, extents): ([Node], [(start: Int, end: Int)]) = ([], [])
        for index in 0..<(lower - 16) / 2 {
            let offset = page.u16(16 + 2 * index)
            guard offset >= upper, offset % 2 == 0, offset + 8 <= pageBytes else {
                throw damage("page \(number) has an entry out of bounds")
            }
            let node = Node(offset: offset, keyBytes: page.u16(offset + 6))
            var end = offset + 8 + node.keyBytes
            if isLeaf { end += page.u16(offset + 4) & 1 == 1 ? 8 : node.dataBytes(in: page) }
            guard end <= pageBytes else { throw damage("page \(number) has an entry out of bounds") }
            nodes.append(node)
            extents.append((offset, end))
        }
        extents.sort { $0.start < $1.start }
        for (one, next) in zip(extents, extents.dropFirst()) where one.end > next.start {
            throw damage("page \(number) has entries that overlap")
        }
        return nodes
    }

    /// Keys rise, from the key that leads here to the one that leads to the next page.
    private func checkOrder(
        _ nodes: [Node], of page: borrowing Page, isLeaf: Bool, _ kind: Kind, from low: [UInt8]?, to high: [UInt8]?,
        _ number: Int
    ) throws(LMDBError) {
        func precedes(_ one: [UInt8], _ other: [UInt8]) -> Bool {
            // Free lists are keyed by little-endian numbers.
            kind == .free
                ? one.reversed().lexicographicallyPrecedes(other.reversed()) : one.lexicographicallyPrecedes(other)
        }
        var previous = low
        // The first key of a branch is never read.
        for (index, node) in nodes.enumerated() where isLeaf || index > 0 {
            let key = node.key(in: page)
            guard !key.isEmpty, key.count <= 511, kind != .free || key.count == 8 else {
                throw damage("page \(number) has an impossible key")
            }
            if let previous {
                let isFirst = isLeaf && index == 0
                guard precedes(previous, key) || (isFirst && previous == key) else {
                    throw damage("page \(number) has keys out of order")
                }
            }
            previous = key
        }
        if let high, let previous, nodes.count > 0, !precedes(previous, high) {
            throw damage("page \(number) has keys out of order")
        }
    }

    private mutating func value(
        of node: Node, in page: borrowing Page, _ kind: Kind, _ counts: inout Counts
    ) throws(LMDBError) -> Value {
        let (bytes, start) = (node.dataBytes(in: page), node.offset + 8 + node.keyBytes)
        switch page.u16(node.offset + 4) {
        case 0 where kind != .main: return .bytes(kind == .free ? page.bytes(start, bytes) : [])
        case 1 where kind != .main:
            guard let first = page.count(start) else { throw damage("a value on page \(page.u64(start))") }
            let pages = (15 + bytes) / pageBytes + 1
            try take(first, pages)
            guard first + pages <= fileBytes / pageBytes else { throw truncated(lastPage: lastPage) }
            counts.overflows += pages
            return .overflow(page: first, bytes: bytes)
        case 2 where kind == .main && bytes == Tree.byteCount:
            guard let tree = Tree(page, at: start) else { throw damage("a database's record") }
            return .tree(tree)
        default: throw damage("an entry of an unknown kind")
        }
    }

    /// Takes the pages of a free list; returns its transaction.
    private mutating func readFreeList(
        key: [UInt8], _ value: Value, after previous: Int
    ) throws(LMDBError) -> Int {
        let list: Page
        switch value {
        case .bytes(let bytes): list = Page(bytes)
        case .overflow(let first, let bytes):
            // Its pages are freed by what their header says, so the header is read too.
            let pages = (15 + bytes) / pageBytes + 1
            let whole = try read(first, count: pages)
            guard whole.u64(0) == UInt64(first), whole.u16(10) == 0x04, whole.u32(12) == pages else {
                throw damage("page \(first) is not the free list it should be")
            }
            list = Page(whole.bytes(16, bytes))
        case .tree: throw damage("a free list that is none")
        }
        guard let transaction = Page(key).count(0), list.byteCount >= 8, let count = list.count(0),
            count <= list.byteCount / 8 - 1
        else { throw damage("an impossible free list") }
        var last = Int.max
        for index in 0..<count {
            guard let page = list.count(8 * (index + 1)), page < last else { throw damage("an unordered free list") }
            try take(page, 1)
            last = page
        }
        structure.freePages += count
        return transaction
    }

    // MARK: Pages

    /// Notes that pages are in use; none is used twice.
    private mutating func take(_ first: Int, _ count: Int) throws(LMDBError) {
        guard first >= 0, count > 0, first <= lastPage, count <= lastPage + 1 - first else {
            throw damage("page \(first) of \(lastPage + 1) is named")
        }
        for page in first..<first + count {
            guard used[page / 64] & 1 << (page % 64) == 0 else { throw damage("page \(page) is used twice") }
            used[page / 64] |= 1 << (page % 64)
        }
    }

    private mutating func read(_ first: Int, count: Int = 1) throws(LMDBError) -> Page {
        let (offset, bytes) = (first * pageBytes, count * pageBytes)
        guard offset >= 0, offset + bytes <= fileBytes else { throw truncated(lastPage: max(lastPage, first)) }
        var page = [UInt8](repeating: 0, count: bytes)
        var filled = 0
        while filled < bytes {
            let step = unsafe page.withUnsafeMutableBytes { room in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[filled...])
                return unsafe pread(file, rest.baseAddress, rest.count, off_t(offset + filled))
            }
            if step < 0, errno == EINTR { continue }
            guard step >= 0 else { throw .system(errno: errno) }
            guard step > 0 else { throw truncated(lastPage: max(lastPage, first)) }
            filled += step
        }
        structure.pagesRead += count
        return Page(page)
    }

    private func damage(_ problem: String) -> LMDBError { .damagedFile(problem: problem) }

    private func truncated(lastPage: Int) -> LMDBError {
        .truncatedFile(
            fileBytes: fileBytes, neededBytes: (lastPage &+ 1).multipliedReportingOverflow(by: pageBytes).partialValue)
    }
}

/// Bytes that are read at offsets the caller has checked; numbers are little-endian.
private struct Page: ~Copyable {
    private let contents: [UInt8]

    init(_ contents: [UInt8]) { self.contents = contents }

    var byteCount: Int { contents.count }

    func u16(_ offset: Int) -> Int { Int(contents[offset]) | Int(contents[offset + 1]) << 8 }
    func u32(_ offset: Int) -> Int { u16(offset) | u16(offset + 2) << 16 }
    func u64(_ offset: Int) -> UInt64 { UInt64(u32(offset)) | UInt64(u32(offset + 4)) << 32 }

    /// A number that is no more than any count or page number can be.
    func count(_ offset: Int) -> Int? {
        let number = u64(offset)
        return number < 1 << 48 ? Int(number) : nil
    }

    func bytes(_ offset: Int, _ count: Int) -> [UInt8] { Array(contents[offset..<offset + count]) }
}
