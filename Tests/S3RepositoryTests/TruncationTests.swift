import S3Repository
import Testing
import Volumes

/// A file of several objects at an endpoint, whose end is taken off: as of the log when its end is damaged.
@Suite struct TruncationTests {
    private static let name = "log/00000000000000000001.log"
    private static let path = "\(SimulatedEndpoint.directory)/\(name)"
    private static let whole = (0..<1900).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 3) }

    /// What waits is put before this is.
    private func put(_ name: String, _ fileSystem: ObjectFileSystem) throws {
        try fileSystem.replaceFile("\(SimulatedEndpoint.directory)/snapshots/\(name)", with: [1])
    }

    private func append(_ bytes: [UInt8], _ fileSystem: ObjectFileSystem) throws {
        let file = try fileSystem.open(Self.path, .write, permissions: 0)
        defer { file.close() }
        try file.write(bytes, at: try file.size())
        try put("\(try file.size()).json", fileSystem)
    }

    private func truncate(_ size: Int, _ fileSystem: ObjectFileSystem) throws {
        let file = try fileSystem.open(Self.path, .write, permissions: 0)
        defer { file.close() }
        try file.truncate(to: UInt64(size))
    }

    /// Objects of 1000, 300, 300 and 300 bytes.
    private func endpoint(keepsVersions: Bool) throws -> SimulatedEndpoint {
        let endpoint = SimulatedEndpoint(keepsVersions: keepsVersions)
        let fileSystem = try endpoint.fileSystem()
        try fileSystem.replaceFile(Self.path, with: Array(Self.whole[..<1000]))
        for start in [1000, 1300, 1600] { try append(Array(Self.whole[start..<start + 300]), fileSystem) }
        #expect(try endpoint.fileSystem().contents(of: Self.path) == Self.whole)
        #expect(endpoint.versions.keys.filter { $0.hasPrefix(Self.name) }.count == 4)
        return endpoint
    }

    /// - Returns: whether it came to its end.
    private func cut(_ size: Int, _ fileSystem: ObjectFileSystem) throws -> Bool {
        do { try truncate(size, fileSystem) } catch is FileSystemError { return false }
        return true
    }

    /// Inside each object and between them, cut off before each change or behind it.
    @Test(arguments: [false, true], [false, true])
    func aCutThatIsCutOffLosesNothingThatIsToStay(keepsVersions: Bool, makesLast: Bool) throws {
        let endpoint = try endpoint(keepsVersions: keepsVersions)
        let tail = [UInt8](repeating: 9, count: 300)
        for size in [400, 1000, 1100, 1300, 1599, 1600, 1700] {
            let kept = Array(Self.whole[..<size])
            var point = 0
            var isDone = false
            while !isDone {
                let struck = endpoint.clone()
                let fileSystem = try struck.fileSystem()
                #expect(try fileSystem.contents(of: Self.path) == Self.whole)
                struck.stop(afterChanges: point, makesLast: makesLast)
                isDone = try cut(size, fileSystem)
                let survivor = struck.clone()
                let again = try survivor.fileSystem()
                let left = try again.contents(of: Self.path)
                #expect(left.count >= size && Self.whole.starts(with: left), "\(size), \(point)")
                if isDone {
                    #expect(left == kept)
                    struck.goOn()
                    #expect(try fileSystem.contents(of: Self.path) == kept)
                }
                // It is done again, and the file goes on.
                try truncate(size, again)
                #expect(try again.contents(of: Self.path) == kept, "\(size), \(point)")
                try append(tail, again)
                #expect(
                    try survivor.clone().fileSystem().contents(of: Self.path) == kept + tail,
                    "\(size), \(point)")
                point += 1
            }
            #expect(point > 1)
        }
    }

    @Test(arguments: [1000, 1700]) func whatIsLockedStaysAsItWas(size: Int) throws {
        let endpoint = try endpoint(keepsVersions: true)
        endpoint.lockAll()
        let before = endpoint.versions.mapValues { $0.map(\.id) }
        let fileSystem = try endpoint.fileSystem()
        do {
            try truncate(size, fileSystem)
            Issue.record("it was cut")
        } catch let error as FileSystemError { #expect(error.isRetained) }
        #expect(try fileSystem.contents(of: Self.path) == Self.whole)
        #expect(endpoint.versions.mapValues { $0.map(\.id) } == before)
    }

    /// Where versions are kept the first one of an object counts: whoever has the keys hides nothing by writing over it.
    @Test func whatSomebodyElseHasPutOverACutObjectGoesWithIt() throws {
        let endpoint = try endpoint(keepsVersions: true)
        for (offset, size) in [(1300, 1700), (1600, 1700), (1600, 1600), (1600, 1400)] {
            let struck = endpoint.clone()
            struck.put(RemoteTree.extentName(Self.name, at: UInt64(offset)), [7, 7, 7])
            try truncate(size, try struck.fileSystem())
            #expect(try struck.fileSystem().contents(of: Self.path) == Array(Self.whole[..<size]))
        }
    }
}
