import Foundation
import HoldfastServer
import Model
import Volumes

/// A store that may be damaged: one that was made as a test store.
struct TestStore {
    let directory: String
    let volumePaths: [String]
    let fileSystem = RealFileSystem()

    /// - Throws: ``Refusal`` without the mark in the store's directory.
    init(_ directory: String) throws {
        let settings = try ServerSettings.load(
            directory: directory, environment: ProcessInfo.processInfo.environment, flags: [])
        guard try StoreDirectory.isTestStore(settings) else {
            throw Refusal(
                description:
                    "\(settings.directory) is not marked as a test store: faults are planted only in stores made with 'holdfast init --test-store'"
            )
        }
        self.directory = settings.directory
        volumePaths = settings.volumePaths
    }

    func path(_ volume: Int, _ relative: String) -> String { volumePaths[volume - 1] + "/" + relative }
    var catalogPath: String { directory + "/state/catalog.sqlite" }

    static func path(of id: BlobID) -> String {
        let digits = id.description
        return "blobs/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(2))/\(digits)"
    }

    func read(_ volume: Int, _ relative: String) throws -> [UInt8] {
        try fileSystem.contents(of: path(volume, relative))
    }

    /// A segment, without the zeros that it was allocated with: a mebibyte of them is its end.
    func readUsed(_ volume: Int, _ relative: String) throws -> [UInt8] {
        let file = try fileSystem.open(path(volume, relative), [], permissions: 0)
        defer { file.close() }
        var bytes: [UInt8] = []
        while true {
            let chunk = try file.bytes(1024 * 1024, at: UInt64(bytes.count))
            guard chunk.contains(where: { $0 != 0 }) else { return bytes }
            bytes += chunk
        }
    }

    func size(_ volume: Int, _ relative: String) throws -> UInt64 {
        guard let status = try fileSystem.status(of: path(volume, relative)) else {
            throw Refusal.notApplicable("\(path(volume, relative)) is not there")
        }
        return status.size
    }

    /// Changes bytes in place.
    func change(
        _ volume: Int, _ relative: String, at offset: UInt64, to bytes: [UInt8]
    ) throws -> (before: String, after: String) {
        let file = try fileSystem.open(path(volume, relative), .write, permissions: 0)
        defer { file.close() }
        let before = try file.bytes(bytes.count, at: offset)
        try file.write(bytes, at: offset)
        return (digest(before), digest(bytes))
    }

    /// Changes one bit of one byte: done twice, it is undone.
    func flip(
        _ volume: Int, _ relative: String, at offset: UInt64, bit: UInt8
    ) throws -> (before: String, after: String) {
        let file = try fileSystem.open(path(volume, relative), .write, permissions: 0)
        defer { file.close() }
        let before = try file.bytes(1, at: offset)
        guard before.count == 1 else { throw Refusal.notApplicable("\(relative) ends before byte \(offset)") }
        let after = [before[0] ^ (1 << (bit % 8))]
        try file.write(after, at: offset)
        return (digest(before), digest(after))
    }

    func truncate(_ volume: Int, _ relative: String, to size: UInt64) throws {
        let file = try fileSystem.open(path(volume, relative), .write, permissions: 0)
        defer { file.close() }
        try file.truncate(to: size)
    }

    /// Puts a whole file in a place, whatever was there.
    func place(_ bytes: [UInt8], _ volume: Int, _ relative: String) throws {
        let path = path(volume, relative)
        try FileManager.default.createDirectory(
            atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path,
            withIntermediateDirectories: true)
        // Beside and renamed: a reader that has the old file open goes on with it.
        try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
