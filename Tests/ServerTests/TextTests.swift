import Foundation
import HoldfastServer
import Integrity
import Model
import Testing

@Suite struct EventTextTests {
    private static let id = Data(VersionID(high: 0, low: 0xAB).bytes)
    private static let hexadecimal = "000000000000000000000000000000ab"

    private static func event(_ change: EventRecord.OneOf_Change?) -> LoggedEvent {
        var record = EventRecord()
        record.actor = "me"
        record.change = change
        return LoggedEvent(
            sequence: SequenceNumber(7), epoch: 2, time: Timestamp(microseconds: 784_111_777_123_000),
            chain: .genesis, record: record, payloadLength: 3)
    }

    private static func make<Message>(_ message: Message, _ set: (inout Message) -> Void) -> Message {
        var message = message
        set(&message)
        return message
    }

    private static func account(_ name: String, restored: UInt64 = 0, failed: UInt64 = 0)
        -> EventRestoreAccount
    {
        make(EventRestoreAccount()) {
            $0.ownerDisplayName = name
            $0.restored = restored
            $0.restoredBytes = 9 * restored
            $0.present = 3
            $0.newer = 4
            $0.failed = failed
        }
    }

    private static let sentences: [(EventRecord.OneOf_Change?, String, bucket: String?)] = [
        (
            .epochOpened(
                make(EventEpochOpened()) {
                    $0.epoch = 2
                    $0.volumes = [1, 3]
                    $0.software = "holdfast 1"
                }), "epoch 2 opened on volumes 1, 3 by holdfast 1", nil
        ),
        (.bucketCreated(make(EventBucketCreated()) { $0.bucket = "b" }), "bucket b created", "b"),
        (.bucketDeleted(make(EventBucketDeleted()) { $0.bucket = "b" }), "bucket b deleted", "b"),
        (
            .bucketConfigured(
                make(EventBucketConfigured()) {
                    $0.bucket = "b"
                    $0.setting = "versioning"
                }), "bucket b: versioning set", "b"
        ),
        (
            .bucketConfigured(
                make(EventBucketConfigured()) {
                    $0.bucket = "b"
                    $0.setting = "policy"
                    $0.removed = true
                }), "bucket b: policy removed", "b"
        ),
        (.versionPublished(version { $0.nullVersion = true }), "b/k: version null, 5 bytes, ETag e", "b"),
        (.versionPublished(version { _ in }), "b/k: version \(hexadecimal), 5 bytes, ETag e", "b"),
        (.versionPublished(version { $0.deleteMarker = true }), "b/k: delete marker \(hexadecimal)", "b"),
        (
            .versionRemoved(
                make(EventVersionRemoved()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.publishedSequence = 3
                }), "b/k: version of event 3 removed", "b"
        ),
        (
            .versionAmended(
                make(EventVersionAmended()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.publishedSequence = 3
                }), "b/k: metadata of the version of event 3 changed", "b"
        ),
        (
            .uploadCreated(
                make(EventUploadCreated()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.uploadID = id
                }), "b/k: upload \(hexadecimal) created", "b"
        ),
        (
            .uploadAmended(
                make(EventUploadAmended()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.uploadID = id
                }), "b/k: data key of upload \(hexadecimal) wrapped afresh", "b"
        ),
        (
            .partPublished(
                make(EventPartPublished()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.partNumber = 4
                    $0.piece.length = 9
                }), "b/k: part 4, 9 bytes", "b"
        ),
        (
            .uploadAborted(
                make(EventUploadAborted()) {
                    $0.bucket = "b"
                    $0.key = "k"
                    $0.uploadID = id
                }), "b/k: upload \(hexadecimal) aborted", "b"
        ),
        (
            .uploadsConfirmed(
                make(EventUploadsConfirmed()) {
                    $0.count = 2
                    $0.bytes = 9
                    $0.throughSequence = 6
                    $0.volumes = [1, 2, 3]
                }), "2 uploads of events 0 to 6 confirmed: 9 bytes read back from volumes 1, 2, 3", nil
        ),
        (
            .findingRecorded(make(EventFindingRecorded()) { $0.finding = finding }),
            "finding replica.missing: it is not there", nil
        ),
        (
            .replicaRepaired(make(EventReplicaRepaired()) { $0.finding = finding }),
            "repaired replica.missing on volume 2: blobs/x", nil
        ),
        (
            .volumeSetAside(
                make(EventVolumeSetAside()) {
                    $0.volume = 2
                    $0.reason = "EIO"
                }), "volume 2 set aside: EIO", nil
        ),
        (
            .volumeReturned(
                make(EventVolumeReturned()) {
                    $0.volume = 2
                    $0.events = 8
                }), "volume 2 back in service: 8 events caught up", nil
        ),
        (
            .snapshotTaken(
                make(EventSnapshotTaken()) {
                    $0.snapshot = "monday"
                    $0.repository = "nas"
                    $0.sequence = 40
                    $0.versions = 3
                }), "snapshot monday of event 40 taken into nas: 3 versions", nil
        ),
        (
            .snapshotTaken(
                make(EventSnapshotTaken()) {
                    $0.snapshot = "monday"
                    $0.repository = "nas"
                    $0.sequence = 40
                    $0.versions = 3
                    $0.lostBlobs = 1
                    $0.lostPayloads = 2
                }),
            "snapshot monday of event 40 taken into nas: 3 versions, without 1 blob and the bytes of 2 events",
            nil
        ),
        (
            .restoreEnded(
                make(EventRestoreEnded()) {
                    $0.snapshot = "monday"
                    $0.repository = "nas"
                    $0.unit = "what is damaged"
                    $0.incident = 5
                    $0.target = .inPlace
                    $0.total = account("", restored: 2, failed: 1)
                    $0.owners = [account("Anna", restored: 2), account("", failed: 1)]
                }),
            "restore of what is damaged from snapshot monday in nas, in place, of incident 5, NOT COMPLETE: "
                + "2 restored of 18 bytes, 3 there already, 4 newer in the store, 1 failed; "
                + "owner Anna: 2 restored of 18 bytes, 3 there already, 4 newer in the store, 0 failed; "
                + "of nobody: 0 restored of 0 bytes, 3 there already, 4 newer in the store, 1 failed", nil
        ),
        (
            .restoreEnded(
                make(EventRestoreEnded()) {
                    $0.sequence = 40
                    $0.unit = "bucket photos"
                    $0.target = .bucket
                    $0.targetName = "copy"
                    $0.overwrites = true
                    $0.complete = true
                    $0.total = account("", restored: 1)
                    $0.furtherOwners = 2
                }),
            "restore of bucket photos from the store at event 40, into bucket copy, over what is newer, complete: "
                + "1 restored of 9 bytes, 3 there already, 4 newer in the store, 0 failed; 2 more owners", nil
        ),
        (.volumeReplaced(make(EventVolumeReplaced()) { $0.volume = 2 }), "volume 2 replaced", nil),
        (
            .partsReleased(
                make(EventPartsReleased()) {
                    $0.uploadID = id
                    $0.throughPart = 512
                }), "upload \(hexadecimal): parts up to 512 released", nil
        ),
        (
            .healingActed(
                make(EventHealingActed()) {
                    $0.action = "restart-job"
                    $0.subject = "job drill:nas"
                    $0.reason = "it hung"
                }), "job drill:nas: restart-job (it hung)", nil
        ),
        (
            .reclaimPlanned(make(EventReclaimPlanned()) { $0.blobIds = [id, id] }),
            "to reclaim: 2 blobs, 0 payloads", nil
        ),
        (
            .reclaimed(make(EventReclaimed()) { $0.payloadSequences = [1] }),
            "reclaimed: 0 blobs, 1 payload",
            nil
        ),
        (nil, "a change that this Holdfast does not know", nil),
    ]

    private static func version(_ set: (inout EventVersionPublished) -> Void) -> EventVersionPublished {
        var change = EventVersionPublished()
        change.bucket = "b"
        change.key = "k"
        change.versionID = id
        change.size = 5
        change.etag = "e"
        set(&change)
        return change
    }

    private static let finding: EventFinding = {
        var finding = EventFinding()
        finding.code = "replica.missing"
        finding.volume = 2
        finding.path = "blobs/x"
        finding.evidence = "it is not there"
        return finding
    }()

    @Test func everyEventHasItsSentenceAndItsBucket() {
        for (change, sentence, bucket) in Self.sentences {
            let event = Self.event(change)
            #expect(event.text() == "7  1994-11-06T08:49:37.123Z  me  \(sentence)")
            #expect(event.bucket == bucket)
        }
    }

    @Test func everyEventIsOneLineOfJSON() throws {
        for (change, _, _) in Self.sentences {
            let line = try Self.event(change).json()
            #expect(!line.contains("\n"))
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["sequence"] as? Int == 7 && object["epoch"] as? Int == 2)
            #expect(object["time"] as? String == "1994-11-06T08:49:37.123Z")
            #expect(object["chain"] as? String == String(repeating: "0", count: 64))
            #expect(object["payloadLength"] as? Int == 3)
            let event = try #require(object["event"] as? [String: Any])
            #expect(event["actor"] as? String == "me")
            #expect(event.count == (change == nil ? 1 : 2))
        }
    }

    @Test func aKeyCannotBreakTheLineOrWriteOnTheTerminal() {
        let change = Self.version { $0.key = "a\n\r\t\u{1B}[31m\u{9B}\u{7F}\u{202E}e\u{301}\u{0}" }
        #expect(
            Self.event(.versionPublished(change)).text().contains(
                "b/a\\n\\r\\t\\u{1b}[31m\\u{9b}\\u{7f}\\u{202e}e\u{301}\\u{0}: version"))
    }
}

@Suite struct FindingTextTests {
    private static func finding(isRepaired: Bool = false, key: String = "k") -> Finding {
        var finding = Finding(
            .corruptBlock, volume: 2, path: "blobs/x", evidence: "block 3 is damaged", repair: "copy it")
        finding.bucket = "b"
        finding.key = key
        finding.versionID = "null"
        finding.isRepaired = isRepaired
        return finding
    }

    @Test func aFindingSaysWhatWhereWhoseAndWhatToDo() {
        #expect(
            Self.finding().text == """
                HF002  replica.corrupt-block  volume 2  blobs/x
                    object: b/k version null
                    block 3 is damaged
                    to repair: copy it
                """)
        #expect(Self.finding(isRepaired: true).text.hasSuffix("\n    repaired"))
        #expect(!Self.finding(key: "").text.contains("object:"))
        #expect(Self.finding(key: "a\nb").text.contains("object: b/a\\nb version"))
    }

    @Test func aLineOfJSONHasTheFieldsThatScriptsRead() throws {
        let data = try JSONEncoder().encode(FindingLine(Self.finding()))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(
            Set(object.keys) == [
                "code", "class", "volume", "path", "bucket", "key", "versionId", "evidence", "repair",
                "repaired",
            ])
        #expect(
            object["code"] as? String == "HF002" && object["class"] as? String == "replica.corrupt-block")
        #expect(object["volume"] as? Int == 2 && object["versionId"] as? String == "null")
        #expect(object["repaired"] as? Bool == false)
    }

    @Test(
        arguments: [
            (0, 0, "clean", 0), (2, 2, "2 findings, all corrected", 1), (3, 1, "3 findings, 2 left", 4),
            (1, 0, "1 finding, 1 left", 4),
        ] as [(Int, Int, String, Int32)])
    func aSummarySaysHowItCameOutInWordsAndStatus(findings: Int, repaired: Int, text: String, status: Int32)
        throws
    {
        var summary = CheckSummary()
        summary.sequence = SequenceNumber(9)
        summary.blobs = 4
        summary.replicas = 12
        summary.findings = findings
        summary.repaired = repaired
        #expect(summary.text == "checked through event 9, 4 blobs in 12 replicas: \(text)")
        #expect(summary.exitStatus == status)
        let data = try JSONEncoder().encode(SummaryLine(summary))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["summary"] as? Bool == true && object["exitStatus"] as? Int == Int(status))
        #expect(object["sequence"] as? Int == 9 && object["findings"] as? Int == findings)
    }

    @Test func everyCodeIsAClassAndAName() {
        for code in FindingCode.allCases {
            let halves = code.rawValue.split(separator: ".")
            #expect(halves.count == 2)
            #expect(code.number.wholeMatch(of: /HF\d{3}/) != nil)
        }
        #expect(Set(FindingCode.allCases.map(\.number)).count == FindingCode.allCases.count)
    }
}
