import EventLog
import Foundation
import Model
import ObjectStore
import S3Repository
import TestSupport
import Testing
import Volumes

/// A repository's log at an endpoint, a segment of which is several objects, and is written afresh as one.
@Suite struct ReplacedSegmentTests {
    /// A store, and what a repository has of its log.
    private struct Stage {
        static let directory = "\(SimulatedEndpoint.directory)/log"

        let storeID: StoreID
        let endpoint: SimulatedEndpoint
        let head: SequenceNumber

        /// A log of three segments, copied an event or two at a time.
        init(keepsVersions: Bool) async throws {
            let started = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
            endpoint = SimulatedEndpoint(keepsVersions: keepsVersions)
            storeID = started.store.storeID
            let log = started.store.inspection.log
            let fileSystem = try endpoint.fileSystem()
            let copy = try LogCopy(storeID: storeID, fileSystem: fileSystem, directory: Self.directory)
            for number in 0..<14 {
                let body = [UInt8](repeating: UInt8(number), count: 20_000)
                try await started.store.put(started.bucket, "k\(number)", body)
                try copy.extend(from: log, through: log.head.sequence) { _, _ in }
                // What waits is put before this is.
                try fileSystem.replaceFile(
                    "\(SimulatedEndpoint.directory)/snapshots/\(number).json", with: [UInt8(number)])
            }
            head = copy.head.sequence
            started.store.close()
        }

        func copy(_ fileSystem: ObjectFileSystem) throws -> LogCopy {
            try LogCopy(storeID: storeID, fileSystem: fileSystem, directory: Self.directory)
        }

        /// As a prune does it.
        func prune(_ endpoint: SimulatedEndpoint) throws -> (strays: Int, payloads: UInt64) {
            let fileSystem = try endpoint.fileSystem()
            let copy = try copy(fileSystem)
            let strays = try copy.removeStrays()
            let dropping = try copy.dropPayloads(
                through: head, share: 4,
                as: LogMirror(
                    fileSystem: fileSystem, directory: Self.directory,
                    quarantine: "\(Self.directory)/quarantine",
                    index: 0, lane: InlineLane()), isNeeded: { _ in false }, pace: { _ in })
            return (strays, dropping.payloads)
        }

        /// The log's objects, by their names.
        func objects(_ endpoint: SimulatedEndpoint) -> [String: [[UInt8]]] {
            endpoint.versions.filter { $0.key.hasPrefix("log/") }.mapValues { $0.map(\.bytes) }
        }
    }

    /// Cut off before each request that changes something, or behind it.
    @Test(arguments: [false, true], [false, true])
    func whatAPruneThatIsCutOffLeavesTheNextOneRemoves(keepsVersions: Bool, makesLast: Bool) async throws {
        let stage = try await Stage(keepsVersions: keepsVersions)
        let done = stage.endpoint.clone()
        let whole = try stage.prune(done)
        #expect(whole.strays == 0 && whole.payloads >= 8)
        let expected = stage.objects(done)
        #expect(expected.count < stage.objects(stage.endpoint).count)
        var point = 0
        var strays = 0
        var isDone = false
        while !isDone {
            let struck = stage.endpoint.clone()
            struck.stop(afterChanges: point, makesLast: makesLast)
            do {
                isDone = try stage.prune(struck).payloads == whole.payloads
            } catch is FileSystemError {}  // It was cut off, as it is to be.
            struck.goOn()
            let events = try stage.copy(try struck.fileSystem()).events(
                from: SequenceNumber(1), limit: Int(stage.head.rawValue))
            #expect(events.count == Int(stage.head.rawValue), "\(point)")
            strays += try stage.prune(struck).strays
            #expect(stage.objects(struck) == expected, "\(point)")
            point += 1
        }
        #expect(point > 4 && strays > 0)
    }

    /// An object between others is lost: what is behind it may be all that is left.
    @Test func whatIsBehindAGapIsNotRemoved() async throws {
        let stage = try await Stage(keepsVersions: false)
        let names = stage.objects(stage.endpoint).keys.sorted().filter { $0.contains("~") }
        let lost = try #require(names.first)
        let file = String(try #require(lost.split(separator: "~").first))
        #expect(names.filter { $0.hasPrefix(file) }.count > 1)
        let fileSystem = try stage.endpoint.fileSystem()
        #expect(try !fileSystem.hasStrays(of: "\(SimulatedEndpoint.directory)/\(file)"))
        stage.endpoint.lose(lost)
        let left = try stage.endpoint.fileSystem()
        #expect(try left.hasStrays(of: "\(SimulatedEndpoint.directory)/\(file)"))
        // The segment has no seal then: no prune begins.
        #expect(throws: LogError.self) { try stage.prune(stage.endpoint) }
        #expect(
            stage.objects(stage.endpoint).keys.sorted().filter { $0.contains("~") }
                == names.filter { $0 != lost })
    }

    // MARK: A moment that is past

    @Test func aMomentBeforeASegmentWasWrittenAfreshIsRefusedWithTheSegmentAndTheTime() async throws {
        let stage = try await Stage(keepsVersions: true)
        let endpoint = stage.endpoint
        let before = endpoint.second
        #expect(try stage.copy(try endpoint.fileSystem(at: before)).head.sequence == stage.head)
        _ = try stage.prune(endpoint)
        #expect(try stage.copy(try endpoint.fileSystem(at: endpoint.second)).head.sequence == stage.head)
        let first = try #require(stage.objects(endpoint).keys.min())
        // All that was there then is the last segment, which nothing leads to.
        do {
            _ = try stage.copy(try endpoint.fileSystem(at: before))
            Issue.record("the log has a gap, and is shown")
        } catch let error as FileSystemError {
            #expect(error.path == "\(SimulatedEndpoint.directory)/\(first)", "\(error)")
            #expect("\(error)".contains("written afresh at 20"), "\(error)")
        }
        // Of the time before there was a second segment, the log looks as if it had none.
        let early = try stage.copy(try endpoint.fileSystem(at: 2))
        #expect(early.head == .start)
        #expect(throws: FileSystemError.self) { try early.requireWhole { SequenceNumber(3) } }
        try early.requireWhole { .zero }
        // As it is now nothing is asked.
        try stage.copy(try endpoint.fileSystem()).requireWhole { SequenceNumber(1_000_000) }
    }
}
