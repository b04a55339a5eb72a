// What files are called as documents, and which files are in a folder.

import API
import Glibc

/// A file and what it is called as a document.
public struct NamedFile: Equatable, Sendable {
    /// The document's name.
    public var name: String
    /// Where the file is.
    public var path: String

    /// Both.
    public init(name: String, path: String) { (self.name, self.path) = (name, path) }

    /// Files that one folder may have: as many documents as a list has on ten pages.
    public static let maximumFiles = 10_000

    /// A file under its own name, or all files of a folder under their paths in it.
    ///
    /// What begins with a dot is left out of folders.
    public static func files(at path: String) throws(TextFileError) -> [NamedFile] {
        guard FileReading.isFolder(path) else {
            return [NamedFile(name: documentName(of: lastPart(of: path)), path: path)]
        }
        var files: [NamedFile] = []
        try collect(path, prefix: "", of: path, into: &files)
        return files
    }

    /// Files under names of their own, or the error that names two that have the same.
    public static func distinct(_ files: [NamedFile]) throws(TextFileError) -> [NamedFile] {
        var known: [String: String] = [:]
        for file in files {
            if let other = known.updateValue(file.path, forKey: file.name) {
                throw .sameName(other, file.path, name: file.name)
            }
        }
        return files
    }

    private static func collect(
        _ folder: String, prefix: String, of root: String, into files: inout [NamedFile]
    ) throws(TextFileError) {
        for name in FileReading.names(in: folder) where !name.hasPrefix(".") {
            let path = folder + "/" + name
            if FileReading.isFolder(path, followingLinks: false) {
                try collect(path, prefix: prefix + name + "-", of: root, into: &files)
            } else if FileReading.isFile(path) {
                guard files.count < maximumFiles else { throw .tooManyFiles(root, limit: maximumFiles) }
                files.append(NamedFile(name: documentName(of: prefix + name), path: path))
            }
        }
    }

    private static func lastPart(of path: String) -> String {
        String(path.split(separator: "/").last ?? "")
    }

    /// A document's name made of a file's: what a name may not have is a hyphen.
    public static func documentName(of file: String) -> String {
        var name = ""
        for scalar in file.unicodeScalars {
            let character = Character(scalar)
            if DocumentName.isPossible("a\(character)") {
                name.append(character)
            } else if name.last != "-" {
                name.append("-")
            }
        }
        let trimmed = String(name.drop { $0 == "." || $0 == "-" }.prefix(DocumentName.maximumBytes))
        return trimmed.isEmpty ? "document" : trimmed
    }
}
