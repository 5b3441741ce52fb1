import Catalog
import Foundation
import Integrity
import ObjectStore
import Volumes

/// Rows of a person's file, sorted, in a scratch file that goes with this object.
///
/// It stands in the store's state directory: a server that has the store opens it there, which may see no other directory for
/// temporary files than its own, and may be of another user than the command line is.
final class ScratchTable: Sendable {
    private static let fileName = "rows.sqlite"
    /// Bytes that stay free where the catalog is: without some no request that changes anything could be answered.
    private static let reserve: UInt64 = 512 * 1024 * 1024
    /// Rows after which the room is looked at again.
    private static let stride = 8192

    private let directory: StateScratch.TableDirectory
    var path: String { directory.path + "/" + Self.fileName }
    let rowCount: Int

    /// - Parameters:
    ///   - state: the store's state directory; without one there is no server either.
    ///   - next: gives the rows; `nil` at the end.
    /// - Throws: what `next` throws; ``StoreError`` if the rows would take the room that the catalog needs.
    init(in state: String, _ next: () throws -> ReferenceRow?) throws {
        var count = 0
        directory = try StateScratch.TableDirectory(in: state) { directory in
            _ = try ReferenceTable(creating: directory + "/" + Self.fileName).fill {
                if count > 0, count.isMultiple(of: Self.stride) { try Self.checkRoom(in: directory) }
                let row = try next()
                if row != nil { count += 1 }
                return row
            }
        }
        rowCount = count
    }

    private static func checkRoom(in directory: String) throws {
        let free = try RealFileSystem().space(at: directory).free
        guard free < reserve else { return }
        throw StoreError.invalidState(
            "the rows are sorted in \(directory), where \(free >> 20) MiB are free, which the store needs: divide them among several files, or give the state directory more room"
        )
    }

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
    ///   - state: the store's state directory.
    /// - Throws: ``ReferenceFlaw`` for a row that cannot be understood, ``StoreError`` if `source` cannot be read.
    public init(_ source: String, bucket: String, in state: String) throws {
        let input = try ScratchTable.open(source)
        let reader = ReferenceReader(defaultBucket: bucket) { count in
            Array(try input.read(upToCount: count) ?? Data())
        }
        scratch = try ScratchTable(in: state, reader.next)
    }
}
