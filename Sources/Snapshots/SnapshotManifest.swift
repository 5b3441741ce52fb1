import Digests
import Foundation
import Model
import Volumes

/// A snapshot, as `snapshots/NAME.json` says it: a named event of the log, with the chain hash there and the catalog
/// as it was (`Documentation/formats.md`, "Repository").
public struct SnapshotManifest: Codable, Sendable, Equatable {
    /// 2 says what the snapshot lacks of the log, and is written only where it lacks something: whoever knows 1 alone would
    /// take it for damaged.
    static let formats = 1...2

    /// The catalog as of the snapshot, compressed.
    public struct CatalogFile: Codable, Sendable, Equatable {
        public let name: String
        public let byteCount: UInt64
        /// Of the compressed file.
        public let sha256: String
    }

    public let format: Int
    public let name: String
    public let storeID: String
    public let sequence: UInt64
    public let chain: String
    /// When the last event of the snapshot was appended.
    public let time: String
    public let timeMicroseconds: UInt64
    /// When the snapshot was finished.
    public let created: String
    public let createdMicroseconds: UInt64
    /// The snapshot that it was computed from; absent for the first.
    public let parent: String?
    public let buckets: Int
    public let versions: Int
    public let deleteMarkers: Int
    /// Bytes of the versions, as users count them.
    public let versionBytes: UInt64
    public let blobs: Int
    public let blobBytes: UInt64
    /// Of these, which no volume had good when the snapshot was taken, nor the repository.
    public let lostBlobs: Int
    /// Events whose bytes some version or part needs and that nobody had good: absent for none, and in format 1.
    public let lostPayloads: Int?
    public internal(set) var catalog: CatalogFile
    public let software: String

    public var position: SequenceNumber { SequenceNumber(sequence) }

    /// Whether the store had all that the snapshot is of.
    public var isComplete: Bool { lostBlobs == 0 && lostPayloads == nil }

    // MARK: Names

    /// Letters, digits, `.`, `_` and `-`, 1 to 100 of them, the first no dot.
    /// - Throws: ``SnapshotError/badName(_:)``.
    public static func check(name: String) throws(SnapshotError) {
        let isGood = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x2E || byte == 0x5F || byte == 0x2D
        }
        guard isGood, (1...100).contains(name.utf8.count), !name.hasPrefix(".") else { throw .badName(name) }
    }

    /// `2026-11-25T03-42-47Z`, or `2026-11-25T03-42-47Z-2` for the second of one second.
    static func name(at time: Timestamp, besides taken: Set<String> = []) -> String {
        let name = String(time.description.prefix(19)).replacing(":", with: "-") + "Z"
        guard taken.contains(name) else { return name }
        var number = 2
        while taken.contains("\(name)-\(number)") { number += 1 }
        return "\(name)-\(number)"
    }

    // MARK: On disk

    private struct Sealed: Codable {
        let manifest: SnapshotManifest
        /// Of the manifest's JSON with sorted keys and no blanks.
        let sha256: String
    }

    private static func plain(_ manifest: SnapshotManifest) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(manifest)
    }

    package func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let digest = SHA256.hash(Array(try Self.plain(self))).hexadecimal
        return Array(try encoder.encode(Sealed(manifest: self, sha256: digest))) + [UInt8(ascii: "\n")]
    }

    private struct Head: Decodable {
        struct Manifest: Decodable { let format: Int }
        let manifest: Manifest
    }

    /// The format that a manifest has, if it is none that is known.
    static func unknownFormat(of bytes: [UInt8]) -> Int? {
        // What is no manifest at all has no format.
        guard let found = try? JSONDecoder().decode(Head.self, from: Data(bytes)).manifest.format else {
            return nil
        }
        return formats.contains(found) ? nil : found
    }

    /// - Throws: ``SnapshotError/damagedManifest(path:reason:)``, also for a format that is not known.
    package static func decode(_ bytes: [UInt8], path: String) throws(SnapshotError) -> SnapshotManifest {
        do {
            if let found = unknownFormat(of: bytes) {
                throw SnapshotError.damagedManifest(
                    path: path,
                    reason: "it has format \(found); this Holdfast knows formats up to \(formats.upperBound)")
            }
            let sealed = try JSONDecoder().decode(Sealed.self, from: Data(bytes))
            guard SHA256.hash(Array(try plain(sealed.manifest))).hexadecimal == sealed.sha256 else {
                throw SnapshotError.damagedManifest(path: path, reason: "it does not match its SHA-256")
            }
            return sealed.manifest
        } catch let error as SnapshotError {
            throw error
        } catch {
            throw .damagedManifest(path: path, reason: "\(error)")
        }
    }
}

/// What keeps a repository or a snapshot from being used.
public enum SnapshotError: Error, Sendable, CustomStringConvertible {
    case badName(String)
    case exists(String)
    case lockedName(String, String)
    case unknown(String, repository: String)
    case damagedManifest(path: String, reason: String)
    case notARepository(path: String, reason: String)
    case foreignRepository(path: String, found: StoreID, expected: StoreID)
    case inUse(path: String)
    case otherBranch([String], repository: String)
    case lockedBranch(repository: String, reason: String)
    case enciphered(String)
    case cutOff(String)
    case otherBytes(String)
    case empty(repository: String)
    case noMoment(String)
    case outOfReach(String, oldest: String)
    case badOrder(String)
    case noSuchOwner(String, place: String)

    public var description: String {
        switch self {
        case .badName(let name):
            "'\(name)' names no snapshot: letters, digits, '.', '_' and '-', 1 to 100 of them, the first no dot"
        case .exists(let name): "there is a snapshot \(name) already"
        case .lockedName(let name, let reason):
            "what an unfinished snapshot \(name) left is locked; choose another name: \(reason)"
        case .unknown(let name, let repository): "repository \(repository) has no snapshot \(name)"
        case .damagedManifest(let path, let reason): "manifest \(path) cannot be used: \(reason)"
        case .notARepository(let path, let reason): "\(path) is not a repository: \(reason)"
        case .foreignRepository(let path, let found, let expected):
            "repository \(path) belongs to store \(found), not to store \(expected)"
        case .inUse(let path): "repository \(path) is in use by another process"
        case .otherBranch(let names, let repository):
            "\(names.count == 1 ? "snapshot" : "snapshots") \(names.joined(separator: ", ")) of repository \(repository) \(names.count == 1 ? "has" : "have") events that the store's log has not: it was restored as it was before them, or cut, and has gone on otherwise. Nothing was changed. Take snapshots into a new repository; or, if you need \(names.count == 1 ? "it" : "these") no more, give them up with 'holdfast snapshot delete \(repository) \(names.joined(separator: " "))'"
        case .lockedBranch(let repository, let reason):
            "the log in repository \(repository) goes on behind its last snapshot with events that the store's log has not, and they cannot be set aside yet; take snapshots into a new repository: \(reason)"
        case .enciphered(let object):
            "\(object) is enciphered: it is restored into a store, which has or is told its key"
        case .cutOff(let object): "\(object) ends before it should"
        case .otherBytes(let place): "\(place) has another SHA-256 than the log says"
        case .empty(let repository): "repository \(repository) has no snapshot"
        case .noMoment(let reason): reason
        case .outOfReach(let moment, let oldest):
            "the space of what \(moment) shows has been given back since: the oldest moment that can be restored is \(oldest)"
        case .badOrder(let reason): reason
        case .noSuchOwner(let owner, let place):
            "there is no user '\(owner)', and nothing in \(place) is of an owner of that canonical id or display name"
        }
    }
}
