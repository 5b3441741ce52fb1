import Catalog
import Foundation
import Integrity
import ObjectStore

/// Rows of a person's file, sorted, in a scratch file that goes with this object.
final class ScratchTable: Sendable {
    private let directory: String
    let path: String
    let rowCount: Int

    /// - Parameter next: gives the rows; `nil` at the end.
    init(_ next: () throws -> ReferenceRow?) throws {
        directory = NSTemporaryDirectory() + "/holdfast-refs-\(UUID().uuidString.lowercased())"
        path = directory + "/rows.sqlite"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        do {
            rowCount = try ReferenceTable(creating: path).fill(next)
        } catch {
            Self.remove(directory)
            throw error
        }
    }

    deinit { Self.remove(directory) }

    /// What cannot be removed is a copy in the directory for temporary files.
    private static func remove(_ directory: String) { try? FileManager.default.removeItem(atPath: directory) }

    /// - Parameter source: a file's path, or `-` for the standard input.
    /// - Throws: ``StoreError`` if it cannot be read.
    static func open(_ source: String) throws -> FileHandle {
        guard source != "-" else { return FileHandle.standardInput }
        do { return try FileHandle(forReadingFrom: URL(fileURLWithPath: source)) } catch {
            throw StoreError.invalidState("\(source) cannot be read: \(error.localizedDescription)")
        }
    }
}

/// An application's records, read and sorted for a comparison: a scratch file that goes with this object.
public final class ReferenceFile: Sendable {
    private let scratch: ScratchTable
    public var path: String { scratch.path }
    public var rowCount: Int { scratch.rowCount }

    /// - Parameters:
    ///   - source: a file's path, or `-` for the standard input.
    ///   - bucket: the bucket of rows that name none; empty if each must.
    /// - Throws: ``ReferenceFlaw`` for a row that cannot be understood, ``StoreError`` if `source` cannot be read.
    public init(_ source: String, bucket: String) throws {
        let input = try ScratchTable.open(source)
        let reader = ReferenceReader(defaultBucket: bucket) { count in
            Array(try input.read(upToCount: count) ?? Data())
        }
        scratch = try ScratchTable(reader.next)
    }
}
