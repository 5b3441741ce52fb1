import Model
import ObjectStore

extension AccessLogs {
    /// How often a batch is tried before it is given up, and how long between.
    private static let attemptLimit = 30
    private static let retryDelay = Duration.seconds(10)

    /// Why a batch can never be delivered.
    private struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    /// Writes what is due to the target buckets.
    /// - Returns: what went wrong, a sentence each.
    public func deliver(olderThan age: Duration) async -> [String] {
        var problems: [String] = []
        for batch in take(olderThan: age) {
            if let problem = await deliver(batch, isLast: false) { problems.append(problem) }
        }
        let dropped = takeDropped()
        if dropped > 0 { problems.append("\(dropped) records were dropped") }
        return problems
    }

    /// Writes everything; what cannot be written now is lost.
    public func deliverAll() async -> [String] {
        var problems: [String] = []
        for batch in takeAll() {
            if let problem = await deliver(batch, isLast: true) { problems.append(problem) }
        }
        let dropped = takeDropped()
        if dropped > 0 { problems.append("\(dropped) records were dropped") }
        return problems
    }

    private func deliver(_ batch: Batch, isLast: Bool) async -> String? {
        let place = "bucket \(batch.destination.source), to bucket \(batch.destination.rules.target)"
        do {
            try await put(batch)
            release(batch)
            return nil
        } catch {
            let isFinal: Bool
            switch error {
            case StoreError.noSuchBucket, is Refused, is InvalidName: isFinal = true
            default: isFinal = isLast || batch.attempts >= Self.attemptLimit
            }
            guard isFinal else {
                putBack(batch, after: Self.retryDelay)
                return "\(place): \(error); it will be tried again"
            }
            release(batch)
            return "\(place): \(error); \(batch.count) records are lost"
        }
    }

    private func put(_ batch: Batch) async throws {
        let destination = batch.destination
        let target = try store.bucket(try BucketName(destination.rules.target))
        // The bucket may be another one by now, and the records are for the owner of the source alone.
        guard target.owner == destination.owner else {
            throw Refused(description: "the target bucket has another owner")
        }
        let name = destination.rules.key(
            owner: destination.owner, region: destination.region, source: destination.source.rawValue,
            events: batch.events, delivery: .now(), unique: Self.unique())
        var metadata = EventMetadata()
        metadata.contentType = "text/plain"
        // A bucket that got a default retention since then keeps the log as it keeps all else: nothing is lost.
        if let standard = try ObjectLockConfiguration.of(target)?.defaultRetention {
            metadata.retention = standard.retention(from: .now())
        }
        var place = UploadTarget(
            bucket: target.name, key: try ObjectKey(name), metadata: metadata,
            actor: Actor(id: target.owner, displayName: "", requestID: ""), part: nil,
            expectedLength: UInt64(batch.records.count), checksum: .crc64Nvme)
        place.encryption = try encryption.standard(of: target)
        let upload = store.beginUpload(place)
        do {
            try await upload.write(batch.records)
            let digests = try await upload.finish()
            let checksums = digests.checksum.map { [EventChecksum(.crc64Nvme, $0)] } ?? []
            _ = try await store.publish(upload, conditions: .none, checksums: checksums)
        } catch {
            await upload.discard()
            throw error
        }
    }

    private static func unique() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
