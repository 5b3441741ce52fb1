import Catalog
import EventLog
import Model
import Volumes

/// Does for a volume what events that it missed say of blobs: copies those that are still needed, removes those that
/// are gone.
struct MissedBlobs {
    /// Threads that copy: they wait for the volume's disk most of the time.
    static let threadCount = 8

    let volume: any Volume
    let catalog: Catalog
    let copier: BlobCopier
    let lane: any Lane
    let sleep: @Sendable (Double) -> Void
    /// How often it is looked whether the catalog has come as far as the events.
    var patience = 400
    private static let pause = 0.005

    /// - Throws: what the volume's directory throws; ``StoreError/busy(_:)`` if the catalog, which says what is needed, stays
    ///   behind the events. That a blob is good nowhere throws nothing.
    func bring(_ events: [LoggedEvent]) throws {
        guard let last = events.last?.sequence else { return }
        try awaitCatalog(last)
        var wanted: [BlobID] = []
        for event in events {
            wanted += event.record.blobPieces.compactMap { BlobID(bytes: $0.blobID) }
            guard case .reclaimed(let change) = event.record.change else { continue }
            for id in change.blobIds.compactMap({ BlobID(bytes: $0) })
            where try catalog.read({ try $0.blob(id) }) == nil {
                try volume.removeBlob(id)
            }
        }
        try bring(wanted)
    }

    /// Removes every blob of a volume that the log says was reclaimed, whenever it says so. A volume that is full has no room for
    /// what it missed first, and would never come to the events that give it some.
    static func removeReclaimed(from volume: any Volume, _ catalog: Catalog, _ log: EventLog) throws {
        var unknown: Set<BlobID> = []
        for byte in UInt8.min...UInt8.max {
            for case .blob(let id) in try volume.listBlobs(firstByte: byte)
            where try catalog.read({ try $0.blob(id) }) == nil { unknown.insert(id) }
        }
        var next = SequenceNumber(1)
        while !unknown.isEmpty {
            let events = try log.events(from: next, limit: 4096)
            guard let last = events.last else { return }
            for case .reclaimed(let change) in events.map(\.record.change) {
                for id in change.blobIds.compactMap({ BlobID(bytes: $0) }) where unknown.remove(id) != nil {
                    try volume.removeBlob(id)
                }
            }
            next = last.sequence.next
        }
    }

    /// The catalog follows the log by a moment.
    private func awaitCatalog(_ sequence: SequenceNumber) throws {
        var looks = 0
        while try catalog.read({ try $0.position() }).sequence < sequence {
            guard looks < patience else {
                throw StoreError.busy("the catalog is being brought up to the log")
            }
            looks += 1
            sleep(Self.pause)
        }
    }

    /// Copies those of the blobs that are still needed and that the volume does not have good.
    func bring(_ ids: [BlobID]) throws {
        var known: Set<BlobID> = []
        let rows = try ids.filter { known.insert($0).inserted }.compactMap { id in
            try catalog.read { try $0.blob(id) }
        }
        _ = try CopyBatch(to: volume, lane: lane).copy(rows.filter { !$0.isReclaiming }, length: \.length) {
            [volume, copier] row in
            let flaws = volume.verify(row.id, length: row.length, sha256: row.sha256, deep: false)
            if flaws.isEmpty { return nil }
            let reason = flaws == [.missing] ? nil : flaws.map(\.description).joined(separator: "; ")
            do {
                return try copier.stage(row.id, content: BlobContent(row), to: volume, replacing: reason)
            } catch is BlobFlaw {
                // No volume in service has it good. What is lost keeps no volume away; it is found when what was brought
                // is read back.
                return nil
            }
        }
    }
}
