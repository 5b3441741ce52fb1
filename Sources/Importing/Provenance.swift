import Digests
import Foundation
import Model
import S3Repository

/// Where an imported version came from, kept with it: by this the next run knows what it need not bring again.
struct Provenance: Codable, Sendable, Equatable {
    /// The key of ``EventMetadata/extensions``.
    private static let name = "import"

    /// The file's name, or `s3://BUCKET/KEY at ENDPOINT`.
    let source: String
    /// Of an object.
    var etag: String?
    var version: String?
    /// The source's time of change: seconds, for an object of its listing.
    var modified: String
    /// The digest that its bytes were compared with, where the source itself has none.
    var digest: String?

    /// - Throws: if it cannot be encoded.
    func store(in metadata: inout EventMetadata) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        metadata.extensions[Self.name] = try encoder.encode(self)
    }

    /// `nil` for what was not imported.
    static func of(_ version: ObjectVersion) -> Provenance? {
        guard let data = version.record.metadata.extensions[name] else { return nil }
        // What a later release wrote is somebody else's for this one.
        return try? JSONDecoder().decode(Provenance.self, from: data)
    }
}

extension ListedObject {
    /// The id that the version has here: its own, where it is one of a Holdfast's; else one that follows from where and
    /// what it is, so that it is the same in every run.
    package func importedID(place: String) -> VersionID {
        if let id = versionID.flatMap({ VersionID($0) }) { return id }
        let text = [
            "holdfast import", place, key, versionID ?? "null \(etag) \(modified.microseconds)",
        ].joined(separator: "\0")
        guard let id = VersionID(bytes: SHA256.hash(Array(text.utf8)).prefix(16)) else {
            preconditionFailure("a SHA-256 has more than 16 bytes")
        }
        return id
    }
}
