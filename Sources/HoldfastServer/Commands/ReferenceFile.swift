import Catalog
import Foundation
import Integrity
import ObjectStore

/// An application's records, read and sorted for a comparison: a scratch file that goes with this object.
public final class ReferenceFile: Sendable {
    private let directory: String
    public let path: String
    public let rowCount: Int

    /// - Parameters:
    ///   - source: a file's path, or `-` for the standard input.
    ///   - bucket: the bucket of rows that name none; empty if each must.
    /// - Throws: ``ReferenceFlaw`` for a row that cannot be understood, ``StoreError`` if `source` cannot be read.
    public init(_ source: String, bucket: String) throws {
        let input: FileHandle
        do {
            input =
                source == "-"
                ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(fileURLWithPath: source))
        } catch {
            throw StoreError.invalidState("\(source) cannot be read: \(error.localizedDescription)")
        }
        directory = NSTemporaryDirectory() + "/holdfast-refs-\(UUID().uuidString.lowercased())"
        path = directory + "/rows.sqlite"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        do {
            let reader = ReferenceReader(defaultBucket: bucket) { count in
                Array(try input.read(upToCount: count) ?? Data())
            }
            rowCount = try ReferenceTable(creating: path).fill(reader.next)
        } catch {
            Self.remove(directory)
            throw error
        }
    }

    deinit { Self.remove(directory) }

    /// What cannot be removed is a copy in the directory for temporary files.
    private static func remove(_ directory: String) { try? FileManager.default.removeItem(atPath: directory) }
}
