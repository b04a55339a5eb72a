// What the arguments of put mean: names, files and folders.
import ArgumentParser
import Glibc
import TextFiles

/// The files of a put, and what each is called.
struct PutFiles {
    private let arguments: [String]
    private let name: String?

    init(_ arguments: [String], name: String?) { (self.arguments, self.name) = (arguments, name) }

    /// Every file under its name.
    ///
    /// Throws a `ValidationError` where it is not clear what is meant, or a `TextFileError`.
    func named() throws -> [NamedFile] {
        if let name {
            guard arguments.count == 1, !Self.isFolder(arguments[0]) else {
                throw ValidationError("--name is for one file; without it each is called by its own name.")
            }
            return [NamedFile(name: name, path: arguments[0])]
        }
        if arguments.count == 2, let file = try Self.fileAfterName(arguments) { return [file] }
        if arguments == ["-"] {
            throw ValidationError("Standard input has no name; give one: put NAME -, or --name NAME.")
        }
        guard !arguments.contains("-") else {
            throw ValidationError("Standard input is put alone: put NAME -.")
        }
        return try NamedFile.distinct(arguments.flatMap { try NamedFile.files(at: $0) })
    }

    /// `NAME FILE`: where there is no file or folder of the first's name.
    private static func fileAfterName(_ arguments: [String]) throws -> NamedFile? {
        let (first, second) = (arguments[0], arguments[1])
        guard exists(first) else {
            guard !first.contains("/") else { return nil }
            guard !isFolder(second) else {
                throw ValidationError("Files of a folder are called by their own names; leave out \"\(first)\".")
            }
            return NamedFile(name: first, path: second)
        }
        // "manual" beside a folder of that name may mean either; "a.txt" or "./manual" is a file.
        if first.contains(where: { $0 == "." || $0 == "/" }) { return nil }
        throw ValidationError(
            "\"\(first)\" is also a file here: say --name \(first) for the name, or ./\(first) for the file.")
    }

    private static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
