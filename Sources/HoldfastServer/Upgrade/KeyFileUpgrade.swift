import Foundation
import Model
import Volumes

/// Makes a file of keys one of the newest format, with a copy of it kept beside.
package enum KeyFileUpgrade {
    package struct Done: Equatable, Sendable {
        package let from: Int
        /// Where the file is now as it was.
        package let copy: String
    }

    /// - Returns: `nil` if there is no file, or it is of the newest format.
    /// - Throws: ``KeyError/unreadable(path:reason:)``, ``FileSystemError``.
    package static func run(_ path: String, _ fileSystem: any FileSystem) throws -> Done? {
        var file = try KeyFile.read(path, fileSystem)
        let from = file.format
        guard from < KeyFile.newestFormat, try fileSystem.status(of: path) != nil else { return nil }
        let bytes = try fileSystem.contents(of: path)
        let copy = try copyPath(path, format: from, bytes, fileSystem)
        // Before what it is a copy of changes.
        try fileSystem.replaceFile(copy, with: bytes, permissions: 0o600)
        file.format = KeyFile.newestFormat
        try file.write(path, fileSystem)
        return Done(from: from, copy: copy)
    }

    /// A name that no other copy has.
    private static func copyPath(
        _ path: String, format: Int, _ bytes: [UInt8], _ fileSystem: any FileSystem
    ) throws -> String {
        let usual = "\(path).format-\(format)"
        guard try fileSystem.status(of: usual) != nil else { return usual }
        return try fileSystem.contents(of: usual) == bytes
            ? usual : "\(usual)-\(Timestamp.now().microseconds)"
    }
}
