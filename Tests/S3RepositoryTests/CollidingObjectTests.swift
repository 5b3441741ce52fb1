import S3Repository
import Testing
import Volumes

/// A file at an endpoint is its first object and those that join it. What is no part of it must not stand where it ends.
@Suite struct CollidingObjectTests {
    private static let name = "log/00000000000000000001.log"
    private static let path = "\(SimulatedEndpoint.directory)/\(name)"
    private static let whole = (0..<1900).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 3) }

    private func contents(_ endpoint: SimulatedEndpoint) throws -> [UInt8] {
        try endpoint.clone().fileSystem().contents(of: Self.path)
    }

    private func append(_ bytes: [UInt8], _ fileSystem: ObjectFileSystem) throws {
        let file = try fileSystem.open(Self.path, .write, permissions: 0)
        defer { file.close() }
        try file.write(bytes, at: try file.size())
        // What waits is put before this is.
        try fileSystem.replaceFile(
            "\(SimulatedEndpoint.directory)/snapshots/\(try file.size()).json", with: [1])
    }

    /// Objects of 1000, 300, 300 and 300 bytes.
    private func endpoint(keepsVersions: Bool) throws -> SimulatedEndpoint {
        let endpoint = SimulatedEndpoint(keepsVersions: keepsVersions)
        let fileSystem = try endpoint.fileSystem()
        try fileSystem.replaceFile(Self.path, with: Array(Self.whole[..<1000]))
        for start in [1000, 1300, 1600] { try append(Array(Self.whole[start..<start + 300]), fileSystem) }
        #expect(try contents(endpoint) == Self.whole)
        return endpoint
    }

    private func parts(_ endpoint: SimulatedEndpoint) -> [String: Int] {
        endpoint.versions.filter { $0.key.hasPrefix(Self.name) }.mapValues(\.count)
    }

    /// - Returns: whether it came to its end.
    private func replace(with bytes: [UInt8], _ endpoint: SimulatedEndpoint) throws -> Bool {
        do { try endpoint.fileSystem().replaceFile(Self.path, with: bytes) } catch is FileSystemError {
            return false
        }
        return true
    }

    /// It ends where an object of the old one begins, or not; cut off before each change or behind it.
    @Test(arguments: [false, true], [false, true])
    func aFileWrittenAfreshIsTheOldOneOrTheNewOneWhereverItEnds(keepsVersions: Bool, makesLast: Bool) throws {
        let endpoint = try endpoint(keepsVersions: keepsVersions)
        for size in [999, 1000, 1300, 1600] {
            let new = [UInt8](repeating: 7, count: size)
            var point = 0
            var isDone = false
            while !isDone {
                let struck = endpoint.clone()
                struck.stop(afterChanges: point, makesLast: makesLast)
                isDone = try replace(with: new, struck)
                struck.goOn()
                let left = try contents(struck)
                #expect(left == (isDone ? new : left == new ? new : Self.whole), "\(size), \(point)")
                // It is done again.
                #expect(try replace(with: new, struck), "\(size), \(point)")
                #expect(try contents(struck) == new, "\(size), \(point)")
                point += 1
            }
            #expect(point > (keepsVersions ? 4 : 3))
        }
    }

    @Test func whatIsLockedWhereTheNewOneWouldEndKeepsTheOldOne() throws {
        let endpoint = try endpoint(keepsVersions: true)
        endpoint.lockAll()
        let fileSystem = try endpoint.fileSystem()
        do {
            try fileSystem.replaceFile(Self.path, with: [UInt8](repeating: 7, count: 1300))
            Issue.record("it was replaced")
        } catch { #expect(error.isRetained) }
        #expect(try fileSystem.contents(of: Self.path) == Self.whole)
        #expect(try contents(endpoint) == Self.whole)
    }

    /// An object between others is lost, and the file goes on from there: up to where the next one begins, and over it.
    @Test(arguments: [false, true], [[300, 100, 200, 50], [600, 50], [200, 100, 300, 10]])
    func whatIsBehindAGapIsNotTakenForWhatFollows(keepsVersions: Bool, counts: [Int]) throws {
        let endpoint = try endpoint(keepsVersions: keepsVersions)
        endpoint.lose(RemoteTree.extentName(Self.name, at: 1000))
        var expected = Array(Self.whole[..<1000])
        #expect(try contents(endpoint) == expected)
        let fileSystem = try endpoint.fileSystem()
        for count in counts {
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count)
            try append(bytes, fileSystem)
            expected += bytes
            #expect(try fileSystem.contents(of: Self.path) == expected)
            #expect(try contents(endpoint) == expected, "\(expected.count)")
        }
    }

    @Test func whatIsBehindAGapDoesNotJoinAFileThatIsCut() throws {
        let endpoint = try endpoint(keepsVersions: true)
        // Left of a file that had an object more between them.
        endpoint.put(RemoteTree.extentName(Self.name, at: 1750), [9, 9, 9])
        let file = try endpoint.fileSystem().open(Self.path, .write, permissions: 0)
        try file.truncate(to: 1750)
        file.close()
        #expect(try contents(endpoint) == Array(Self.whole[..<1750]))
        #expect(parts(endpoint).count == 4)
    }
}
