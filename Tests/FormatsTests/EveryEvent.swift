import Foundation
import Model

/// One event of every kind in `event.proto`, every field of it set.
enum EveryEvent {
    static let storeID = StoreID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)

    static func id(_ byte: UInt8) -> Data { Data(repeating: byte, count: 16) }
    static func digest(_ byte: UInt8) -> Data { Data(repeating: byte, count: 32) }

    /// In the order of the schema, with the payloads of those that carry one.
    static var all: [(record: EventRecord, payload: [UInt8])] {
        let changes: [(EventRecord.OneOf_Change, [UInt8])] = [
            (.epochOpened(epochOpened), []), (.bucketCreated(bucketCreated), []),
            (.bucketDeleted(bucketDeleted), []), (.bucketConfigured(bucketConfigured), []),
            (.versionPublished(versionPublished), Array("bytes in the log".utf8)),
            (.versionRemoved(versionRemoved), []), (.versionAmended(versionAmended), []),
            (.uploadCreated(uploadCreated), []), (.partPublished(partPublished), Array("a part".utf8)),
            (.uploadAborted(uploadAborted), []), (.uploadsConfirmed(uploadsConfirmed), []),
            (.findingRecorded(findingRecorded), []), (.replicaRepaired(replicaRepaired), []),
            (.volumeSetAside(volumeSetAside), []), (.volumeReturned(volumeReturned), []),
            (.volumeReplaced(volumeReplaced), []), (.reclaimPlanned(reclaimPlanned), []),
            (.reclaimed(reclaimed), []), (.uploadAmended(uploadAmended), []),
        ]
        return (changes + ofIntegrity).enumerated().map { number, change in
            var record = EventRecord()
            record.operationID = id(UInt8(0xA0 + number))
            record.actor = "actor-\(number)"
            record.requestID = "request-\(number)"
            record.change = change.0
            return (record, change.1)
        }
    }

    static var metadata: EventMetadata {
        var value = EventMetadata()
        value.contentType = "text/plain"
        value.contentEncoding = "gzip"
        value.contentLanguage = "de"
        value.contentDisposition = "attachment"
        value.cacheControl = "no-cache"
        value.expires = "Thu, 01 Dec 1994 16:00:00 GMT"
        // Several, so that the order of a map's entries shows.
        value.user = ["zebra": "1", "ant": "2", "mouse": "3", "ölfaß": "4"]
        value.tags = ["team": "blue", "cost": "7", "area": "north"]
        value.websiteRedirectLocation = "/elsewhere"
        value.storageClass = "STANDARD"
        value.retention.mode = .compliance
        value.retention.untilMicroseconds = 1_893_456_000_000_000  // 2030-01-01T00:00:00Z
        value.legalHold = true
        value.accessControl.grants = [
            grant(.fullControl, "owner", "Owner"),
            grant(.read, "http://acs.amazonaws.com/groups/global/AllUsers", "everybody"),
        ]
        value.extensions = ["legal-hold": Data("ON".utf8), "acl": Data("private".utf8)]
        return value
    }

    private static func grant(
        _ permission: EventGrant.Permission, _ grantee: String, _ name: String
    ) -> EventGrant {
        var value = EventGrant()
        value.permission = permission
        value.grantee = grantee
        value.displayName = name
        return value
    }

    /// Of no one kind: each kind has some of the fields only.
    static var encryption: EventEncryption {
        var value = EventEncryption()
        value.kind = .kms
        value.keyID = "0123456789abcdef"
        value.wrappedKey = Data((0..<60).map { UInt8($0) })
        value.keyCheck = digest(0x51)
        value.keyMd5 = id(0x52)
        value.context = "c0ffee"
        value.bucketKey = true
        return value
    }

    static var checksum: EventChecksum {
        var value = EventChecksum()
        value.algorithm = .crc64Nvme
        value.value = Data([1, 2, 3, 4, 5, 6, 7, 8])
        value.composite = true
        return value
    }

    private static func piece(_ part: UInt32) -> EventPiece {
        var value = EventPiece()
        value.blobID = id(0x3F)
        value.payloadSequence = 4
        value.length = 16
        value.sha256 = digest(0x11)
        value.partNumber = part
        value.checksum = checksum
        value.keySalt = id(0x53)
        return value
    }

    private static var epochOpened: EventEpochOpened {
        var value = EventEpochOpened()
        value.epoch = 1
        value.storeID = Data(storeID.bytes)
        value.software = "holdfast 1.0"
        value.volumes = [1, 2, 3]
        return value
    }

    private static var bucketCreated: EventBucketCreated {
        var value = EventBucketCreated()
        value.bucket = "photos"
        value.owner = "owner"
        value.region = "us-east-1"
        value.settings = ["publicAccessBlock": Data("all".utf8), "ownershipControls": Data("enforced".utf8)]
        return value
    }

    private static var bucketDeleted: EventBucketDeleted {
        var value = EventBucketDeleted()
        value.bucket = "photos"
        value.createdSequence = 2
        return value
    }

    private static var bucketConfigured: EventBucketConfigured {
        var value = EventBucketConfigured()
        value.bucket = "photos"
        value.setting = "versioning"
        value.value = Data("Enabled".utf8)
        value.removed = true
        return value
    }

    private static var versionPublished: EventVersionPublished {
        var value = EventVersionPublished()
        value.bucket = "photos"
        value.key = "2026/ölfaß.jpg"
        value.versionID = id(0x21)
        value.nullVersion = true
        value.deleteMarker = true
        value.size = 32
        value.etag = "0123456789abcdef0123456789abcdef-2"
        value.owner = "owner"
        value.metadata = metadata
        value.checksums = [checksum, checksum]
        value.pieces = [piece(1), piece(2)]
        value.uploadID = id(0x22)
        value.replacedSequence = 3
        value.copiedFrom = "photos/old.jpg?versionId=null"
        value.ownerDisplayName = "Owner"
        value.encryption = encryption
        value.reason = "lifecycle: old"
        return value
    }

    private static var versionRemoved: EventVersionRemoved {
        var value = EventVersionRemoved()
        value.bucket = "photos"
        value.key = "key"
        value.versionID = id(0x21)
        value.publishedSequence = 5
        value.reason = "lifecycle"
        return value
    }

    private static var versionAmended: EventVersionAmended {
        var value = EventVersionAmended()
        value.bucket = "photos"
        value.key = "key"
        value.versionID = id(0x21)
        value.publishedSequence = 5
        value.metadata = metadata
        value.encryption = encryption
        value.setting = "tagging"
        value.removed = true
        return value
    }

    private static var uploadCreated: EventUploadCreated {
        var value = EventUploadCreated()
        value.bucket = "photos"
        value.key = "large"
        value.uploadID = id(0x22)
        value.owner = "owner"
        value.metadata = metadata
        value.checksumAlgorithm = .sha256
        value.checksumComposite = true
        value.ownerDisplayName = "Owner"
        value.encryption = encryption
        value.initiator = "initiator"
        value.initiatorDisplayName = "Initiator"
        return value
    }

    private static var uploadAmended: EventUploadAmended {
        var value = EventUploadAmended()
        value.bucket = "photos"
        value.key = "large"
        value.uploadID = id(0x22)
        value.encryption = encryption
        return value
    }

    private static var partPublished: EventPartPublished {
        var value = EventPartPublished()
        value.bucket = "photos"
        value.key = "large"
        value.uploadID = id(0x22)
        value.partNumber = 7
        value.etag = "0123456789abcdef0123456789abcdef"
        value.piece = piece(7)
        value.replacedSequence = 6
        return value
    }

    private static var uploadAborted: EventUploadAborted {
        var value = EventUploadAborted()
        value.bucket = "photos"
        value.key = "large"
        value.uploadID = id(0x22)
        value.reason = "lifecycle"
        value.keepsParts = true
        return value
    }

    private static var uploadsConfirmed: EventUploadsConfirmed {
        var exception = EventConfirmationException()
        exception.sequence = 5
        exception.volume = 2
        exception.reason = "the file is missing"
        var value = EventUploadsConfirmed()
        value.throughSequence = 9
        value.fromSequence = 1
        value.volumes = [1, 3]
        value.exceptions = [exception]
        value.count = 4
        value.bytes = 48
        return value
    }

    static var finding: EventFinding {
        var value = EventFinding()
        value.code = "HF-101"
        value.faultClass = "corrupt-block"
        value.volume = 2
        value.path = "blobs/3f/3f/3f3f"
        value.bucket = "photos"
        value.key = "key"
        value.versionID = "2121"
        value.blobID = id(0x3F)
        value.sequence = 5
        value.evidence = "block 0"
        return value
    }

    private static var findingRecorded: EventFindingRecorded {
        var value = EventFindingRecorded()
        value.finding = finding
        return value
    }

    private static var replicaRepaired: EventReplicaRepaired {
        var value = EventReplicaRepaired()
        value.finding = finding
        value.source = "volumes 1 and 3"
        value.quarantined = "quarantine/3f3f-9"
        return value
    }

    private static var volumeSetAside: EventVolumeSetAside {
        var value = EventVolumeSetAside()
        value.volume = 2
        value.reason = "no answer"
        return value
    }

    private static var volumeReturned: EventVolumeReturned {
        var value = EventVolumeReturned()
        value.volume = 2
        value.events = 3
        value.blobs = 1
        value.bytes = 4096
        return value
    }

    private static var volumeReplaced: EventVolumeReplaced {
        var value = EventVolumeReplaced()
        value.volume = 2
        value.oldVolumeID = id(0x31)
        value.newVolumeID = id(0x32)
        return value
    }

    private static var reclaimPlanned: EventReclaimPlanned {
        var value = EventReclaimPlanned()
        value.blobIds = [id(0x3F), id(0x40)]
        value.payloadSequences = [5, 9]
        return value
    }

    private static var reclaimed: EventReclaimed {
        var value = EventReclaimed()
        value.blobIds = [id(0x3F), id(0x40)]
        value.payloadSequences = [5, 9]
        value.bytes = 16
        return value
    }
}
