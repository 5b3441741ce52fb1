import Foundation

/// A file system whose files can be kept from being removed for a time: objects under object lock.
public protocol RetainingFileSystem: FileSystem {
    /// Sees to it that files are kept for as long as its settings say, from now on. That it was done is written down when
    /// all of it is: one that is cut off is done again.
    /// - Parameter give: calls its argument with the files, some at a time.
    /// - Throws: ``FileSystemError``; what `give` throws.
    func retain(_ give: (_ paths: @escaping ([String]) throws -> Void) throws -> Void) throws
    /// Until when some part of a file is kept from being removed, or what has to happen; `nil` if none is, as far as is known.
    func lockEnd(of path: String) throws(FileSystemError) -> String?
}

extension FileSystemError {
    private static let retainedOperation = "DELETE"

    /// A file that cannot be removed yet.
    /// - Parameter until: a time, or what has to happen.
    public static func retained(path: String, until: String) -> FileSystemError {
        FileSystemError(
            operation: retainedOperation, path: path, code: EPERM, detail: "it is locked until \(until)")
    }

    /// Whether the file is kept from being removed by a lock, and not by a failure.
    public var isRetained: Bool { operation == Self.retainedOperation && code == EPERM }
}
