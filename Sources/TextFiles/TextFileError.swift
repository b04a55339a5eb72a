// What can go wrong on the way from a file to its text, each with its cause and the mend.

import CakedClient
import Glibc

/// A file whose text cannot be had.
public enum TextFileError: Error, Equatable, Sendable {
    /// The file or folder cannot be read.
    case unreadable(String, reason: String)
    /// There is no text in such a file.
    case noText(String, kind: String)
    /// The text of it is empty, as of pages that are pictures.
    case emptyText(String, isPDF: Bool)
    /// The program that reads it is not installed.
    case missingProgram(String, package: String)
    /// The program that reads it failed.
    case failed(String, said: String)
    /// The program took too long.
    case tookTooLong(String, seconds: Int)
    /// The text is larger than a document may be.
    case tooLarge(maximumBytes: Int)
    /// No temporary folder can be made.
    case noFolder(String, reason: String)
    /// Two files would have the same name.
    case sameName(String, String, name: String)
    /// A folder has more files than are taken at once.
    case tooManyFiles(String, limit: Int)
    /// The text could not be read or is none.
    case client(ClientError)

    static func message(_ code: CInt) -> String { unsafe String(cString: strerror(code)) }
}

extension TextFileError: CustomStringConvertible {
    /// One sentence for a person.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        case .noText(let path, let kind): "\(path) is \(kind); no text can be got from it"
        case .emptyText(let path, let isPDF):
            isPDF
                ? "there is no text in \(path), its pages may be pictures; --ocr reads them (it takes ocrmypdf)"
                : "there is no text in \(path)"
        case .missingProgram(let program, let package):
            "\(program) is not installed, which reads such files: \"sudo apt install \(package)\""
        case .failed(let program, let said): "\(program) could not read the file; it said: \(said)"
        case .tookTooLong(let program, let seconds):
            "\(program) was stopped after \(seconds) s; convert the file yourself and put its text"
        case .tooLarge(let maximum): "its text is larger than \(maximum >> 20) MiB; put it in parts"
        case .noFolder(let parent, let reason): "cannot make a folder in \(parent): \(reason); set TMPDIR"
        case .sameName(let one, let other, let name):
            "\(one) and \(other) would both be called \"\(name)\"; put one of them with --name"
        case .tooManyFiles(let path, let limit): "\(path) has more than \(limit) files; put parts of it"
        case .client(let error): error.description
        }
    }
}
