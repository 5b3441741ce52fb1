import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// The same claims on a disk and on tmpfs, which may refuse direct I/O.
@Suite struct RealFileSystemTests {
    static let roots = [FileManager.default.temporaryDirectory.path, "/dev/shm", "/var/tmp"].filter {
        FileManager.default.isWritableFile(atPath: $0)
    }
    let fileSystem = RealFileSystem()

    func withDirectory(_ root: String, _ body: (String) throws -> Void) throws {
        let path = "\(root)/holdfast-test-\(UUID().uuidString)"
        try fileSystem.createDirectory(path, permissions: 0o755)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    func code(_ body: () throws -> Void) -> Int32? {
        do {
            try body()
            return nil
        } catch {
            return (error as? FileSystemError)?.code
        }
    }

    @Test(arguments: roots)
    func aVolumeIsOpenedByOneProcessAtATime(root: String) throws {
        try withDirectory(root) { path in
            let identity = VolumeIdentity(
                storeID: .random(), volumeID: .random(), index: 2, created: Timestamp(microseconds: 1))
            let volume = try DirectoryVolume.create(identity, at: path + "/volume", fileSystem: fileSystem)
            #expect(volume.isPresent())
            #expect(try volume.space().total > 0)
            #expect(throws: VolumeError.inUse(path: path + "/volume")) {
                try DirectoryVolume.open(path + "/volume", fileSystem: fileSystem)
            }
            volume.close()
            let again = try DirectoryVolume.open(path + "/volume", fileSystem: fileSystem)
            #expect(again.identity == identity)
            again.close()
        }
    }

    @Test(arguments: roots)
    func directFilesAreWrittenAndReadAligned(root: String) throws {
        try withDirectory(root) { path in
            let file = try fileSystem.open(path + "/f", [.createNew, .write, .direct], permissions: 0o600)
            let buffer = AlignedBuffer(capacity: 8192)
            for index in 0..<8192 { buffer.bytes[index] = UInt8(index % 251) }
            try file.allocate(size: 16_384)
            try file.write(UnsafeRawBufferPointer(buffer.bytes), at: 4096)
            try file.sync()
            #expect(try file.size() == 16_384)
            try file.truncate(to: 12_288)
            let target = AlignedBuffer(capacity: 16_384)
            #expect(try file.read(into: target.bytes, at: 0) == 12_288)
            #expect(target.bytes[4095] == 0)
            #expect(target.bytes[4096..<12_288].elementsEqual(buffer.bytes))
            try file.dropCache()
            file.close()
            file.close()
            #expect(code { _ = try file.size() } == EBADF)
        }
    }

    @Test func errorsNameTheCallThePathAndTheReason() throws {
        try withDirectory(Self.roots[0]) { path in
            let error = #expect(throws: FileSystemError.self) {
                try fileSystem.open(path + "/none", [], permissions: 0)
            }
            #expect(error?.description == "open \(path)/none: No such file or directory")
            let file = try fileSystem.open(path + "/f", [.createNew], permissions: 0o600)
            #expect(code { try fileSystem.link(path + "/f", to: path + "/f") } == EEXIST)
            #expect(code { _ = try fileSystem.open(path + "/f", [.createNew], permissions: 0) } == EEXIST)
            #expect(code { try fileSystem.createDirectory(path, permissions: 0o755) } == EEXIST)
            #expect(code { _ = try fileSystem.list(path + "/f") } == ENOTDIR)
            #expect(code { try fileSystem.syncDirectory(path + "/f") } == ENOTDIR)
            #expect(code { try fileSystem.remove(path + "/none") } == ENOENT)
            #expect(code { try fileSystem.removeDirectory(path) } == ENOTEMPTY)
            // Opened for reading only.
            #expect(
                code { try [UInt8](arrayLiteral: 1).withUnsafeBytes { try file.write($0, at: 0) } } == EBADF)
            #expect(try fileSystem.status(of: path + "/none") == nil)
            #expect(try fileSystem.status(of: path + "/f/below") == nil)
        }
    }

    @Test func namesAndLinksAreWhatTheyAreOnTheSimulator() throws {
        // One list of steps, two file systems: the simulator's promises are held against the kernel's.
        func steps(_ fileSystem: any FileSystem, _ root: String) throws -> [String] {
            var seen: [String] = []
            func attempt(_ name: String, _ body: () throws -> Void) {
                seen.append("\(name): \(code(body).map { String($0) } ?? "done")")
            }
            attempt("open") {
                _ = try fileSystem.open(root + "/b", [.createNew, .write], permissions: 0o640)
            }
            attempt("mkdir") { try fileSystem.createDirectory(root + "/d", permissions: 0o755) }
            attempt("mkdir below a file") {
                try fileSystem.createDirectory(root + "/b/d", permissions: 0o755)
            }
            attempt("link") { try fileSystem.link(root + "/b", to: root + "/d/a") }
            attempt("link again") { try fileSystem.link(root + "/b", to: root + "/d/a") }
            attempt("link a directory") { try fileSystem.link(root + "/d", to: root + "/e") }
            attempt("link nothing") { try fileSystem.link(root + "/x", to: root + "/e") }
            attempt("rename over a directory") { try fileSystem.rename(root + "/b", to: root + "/d") }
            attempt("rename nothing") { try fileSystem.rename(root + "/x", to: root + "/y") }
            attempt("rename to itself") { try fileSystem.rename(root + "/b", to: root + "/d/a") }
            attempt("rename") { try fileSystem.rename(root + "/b", to: root + "/d/c") }
            attempt("rmdir full") { try fileSystem.removeDirectory(root + "/d") }
            attempt("remove a directory") { try fileSystem.remove(root + "/d") }
            attempt("open a directory for writing") {
                _ = try fileSystem.open(root + "/d", [.write], permissions: 0)
            }
            attempt("open or create") {
                _ = try fileSystem.open(root + "/d/z", [.write, .createIfMissing], permissions: 0o600)
            }
            seen.append(try fileSystem.list(root + "/d").joined(separator: " "))
            seen.append("\(try fileSystem.status(of: root + "/d/a")?.linkCount ?? 0) links")
            let first = try fileSystem.lock(root + "/lock")
            seen.append("second lock: \(try fileSystem.lock(root + "/lock") == nil ? "refused" : "given")")
            first?.close()
            seen.append("after close: \(try fileSystem.lock(root + "/lock") == nil ? "refused" : "given")")
            return seen
        }
        try withDirectory(Self.roots[0]) { path in
            let simulated = SimulatedFileSystem()
            try simulated.createDirectory("/root", permissions: 0o755)
            #expect(try steps(fileSystem, path) == steps(simulated, "/root"))
        }
    }

    @Test func cachedReadsComeFromThePageCache() throws {
        try withDirectory(Self.roots[0]) { path in
            let file = try fileSystem.open(path + "/f", [.createNew, .write], permissions: 0o600)
            try [UInt8](repeating: 7, count: 10_000).withUnsafeBytes { try file.write($0, at: 0) }
            var bytes = [UInt8](repeating: 0, count: 20_000)
            let count = try bytes.withUnsafeMutableBytes { try file.readIfCached(into: $0, at: 0) }
            // A file system that cannot tell gives nil; one that can has just written these pages.
            #expect(count == nil || count == 10_000)
        }
    }
}
