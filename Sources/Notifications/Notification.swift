import Foundation
import Model
import S3

/// What a sink is told of one thing that happened: an event record as S3 sends them, or one of Holdfast's own.
///
/// Source: Amazon S3 User Guide, "Event message structure" (version 2.1). `userIdentity` is a canonical id; the address
/// that a request came from is not in the log, and is left empty.
package struct Notification: Sendable, Hashable {
    /// `s3:ObjectCreated:Put`, `holdfast:Upload:Confirmed` …
    package let name: String
    /// The event of the log that it tells of.
    package let sequence: SequenceNumber
    package let time: Timestamp
    package var actor = ""
    package var requestID = ""
    /// Empty for what happens to no bucket.
    package var bucket = ""
    package var key = ""
    package var size: UInt64?
    package var etag: String?
    package var versionID: String?
    /// The event that published the version, where that is another one.
    package var published: SequenceNumber?
    /// The volume, the incident or the finding, and what was seen or done.
    package var detail: [String: String] = [:]

    package init(_ name: String, _ event: LoggedEvent) {
        self.name = name
        sequence = event.sequence
        time = event.time
        actor = event.record.actor
        requestID = event.record.requestID
    }
}

/// Where a notification goes.
struct Addressed: Sendable {
    let notification: Notification
    /// Which of those of its event it is, whatever the sink is told of.
    var index = 0
    /// Of the bucket's rule, or the sink's name.
    let configurationID: String
    let bucketOwner: String
    let region: String
}

/// The records that go to a sink.
enum NotificationDocument {
    private struct Record: Encodable {
        let eventVersion = "2.1"
        let eventSource: String
        let awsRegion: String
        let eventTime: String
        let eventName: String
        let userIdentity: Identity
        let requestParameters = ["sourceIPAddress": ""]
        let responseElements: [String: String]
        let s3: Entity?
        let holdfast: Provenance
    }

    private struct Identity: Encodable { let principalId: String }

    private struct Entity: Encodable {
        struct Bucket: Encodable {
            let name: String
            let ownerIdentity: Identity
            let arn: String
        }
        struct Object: Encodable {
            let key: String
            let size: UInt64?
            let eTag: String?
            let versionId: String?
            let sequencer: String
        }
        let s3SchemaVersion = "1.0"
        let configurationId: String
        let bucket: Bucket
        let object: Object?
    }

    /// Where in the log it stands, so that whoever reads can prove that nothing is missing.
    private struct Provenance: Encodable {
        let sequence: UInt64
        /// The event of the notification before; 0 for the first, and after a replay. Where it is not below
        /// `sequence`, the notification is sent again.
        let previous: UInt64
        let published: UInt64?
        let detail: [String: String]?
    }

    /// - Parameter previous: the event of the last notification that went to the sink before these.
    static func encode(_ all: [Addressed], after previous: SequenceNumber) throws -> Delivery {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var before = previous
        return Delivery(
            try all.map { addressed in
                defer { before = addressed.notification.sequence }
                let told = addressed.notification
                return Delivery.Record(
                    sequence: told.sequence.rawValue, index: addressed.index, name: told.name,
                    place: told.bucket.isEmpty ? nil : told.bucket + "/" + told.key,
                    json: Array(try encoder.encode(record(addressed, after: before))))
            })
    }

    private static func record(_ addressed: Addressed, after previous: SequenceNumber) -> Record {
        let told = addressed.notification
        let parts = told.name.split(separator: ":", maxSplits: 1)
        let sequencer = String(told.sequence.rawValue, radix: 16, uppercase: true)
        let object =
            told.key.isEmpty
            ? nil
            : Entity.Object(
                key: encoded(told.key), size: told.size, eTag: told.etag, versionId: told.versionID,
                sequencer: String(repeating: "0", count: 16 - sequencer.utf8.count) + sequencer)
        let entity =
            told.bucket.isEmpty
            ? nil
            : Entity(
                configurationId: addressed.configurationID,
                bucket: .init(
                    name: told.bucket, ownerIdentity: Identity(principalId: addressed.bucketOwner),
                    arn: "arn:aws:s3:::\(told.bucket)"), object: object)
        return Record(
            eventSource: parts[0] == "s3" ? "aws:s3" : "holdfast", awsRegion: addressed.region,
            eventTime: told.time.description, eventName: parts.count > 1 ? String(parts[1]) : told.name,
            userIdentity: Identity(principalId: told.actor),
            responseElements: ["x-amz-request-id": told.requestID, "x-amz-id-2": ""], s3: entity,
            holdfast: Provenance(
                sequence: told.sequence.rawValue, previous: previous.rawValue,
                published: told.published?.rawValue, detail: told.detail.isEmpty ? nil : told.detail))
    }

    /// As S3 has keys in its records: of a form, with `+` for a blank.
    static func encoded(_ key: String) -> String {
        PercentEncoding.encode(key, keepsSlash: true).replacingOccurrences(of: "%20", with: "+")
    }
}
