import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing

private func isLocked(_ error: any Error) -> Bool {
    if case StoreError.locked = error { true } else { false }
}

@Suite struct LockTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    private static func retain(_ mode: EventRetention.Mode, until: UInt64)
        -> @Sendable (inout EventMetadata)
        -> Void
    {
        { metadata in
            metadata.retention.mode = mode
            metadata.retention.untilMicroseconds = until
        }
    }

    @Test(arguments: [VersioningState.off, .suspended])
    func aLockedNullVersionIsNeitherReplacedNorHiddenNorRemoved(state: VersioningState) async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        if state == .suspended {
            _ = try await store.configureBucket(
                bucket, setting: "versioning", value: Array("Suspended".utf8), actor: tester)
        }
        let key = try ObjectKey("k")
        let held = try await store.put(bucket, "k", Self.large).value
        _ = try await store.amend(held, actor: tester) { $0.legalHold = true }
        let attempts: [@Sendable () async throws -> Void] = [
            { try await store.put(bucket, "k", [1]) },
            { try await store.put(bucket, "k", Self.large.reversed()) },
            { _ = try await store.delete(bucket, key, .current, conditions: .none, actor: tester) },
            { _ = try await store.delete(bucket, key, .null, conditions: .none, actor: tester) },
            {
                _ = try await store.delete(
                    bucket, key, .id(held.versionID), conditions: .none, bypassesGovernance: true,
                    actor: tester)
            },
            {
                _ = try await store.copy(
                    held, to: bucket, key, metadata: EventMetadata(), checksums: [], conditions: .none,
                    actor: tester)
            },
            {
                let upload = try await store.createUpload(
                    bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
                    actor: tester
                ).value
                let part = try await store.putPart(bucket, "k", upload.uploadID, 1, [1])
                _ = try await store.completeUpload(
                    bucket, key, upload.uploadID, parts: [.init(number: 1, etag: part.etag)], checksums: [],
                    conditions: .none, actor: tester)
            },
        ]
        for attempt in attempts {
            do {
                try await attempt()
                Issue.record("a locked version went")
            } catch { #expect(isLocked(error), "\(error)") }
        }
        #expect(try await store.get(bucket, "k") == Self.large)
        // Nothing refused has left bytes behind, and the space of nothing locked is given back.
        stage.fixture.advance(seconds: 30 * 86_400)
        while try await store.reclaim() {}
        #expect(try await store.get(bucket, "k") == Self.large)
        var findings: [String] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            findings.append("\($0.code)")
        }
        #expect(findings == [])
        store.close()
    }

    @Test func aLockOutlivesTheCatalogAndEndsByTheStoresClock() async throws {
        let stage = try await StartedStore()
        let key = try ObjectKey("k")
        let put = try await stage.store.put(stage.bucket, "k", Self.large).value
        let end: UInt64 = 100 * 86_400_000_000
        _ = try await stage.store.amend(put, actor: tester, Self.retain(.compliance, until: end))
        stage.store.close()
        try stage.fixture.forgetCatalog()
        let store = try await stage.fixture.open(stage.disk)
        stage.fixture.advance(seconds: 99 * 86_400)
        do {
            _ = try await store.delete(
                stage.bucket, key, .current, conditions: .none, bypassesGovernance: true, actor: tester)
            Issue.record("a locked version went")
        } catch { #expect(isLocked(error), "\(error)") }
        while try await store.reclaim() {}
        #expect(try await store.get(stage.bucket, "k") == Self.large)
        stage.fixture.advance(seconds: 86_400)
        _ = try await store.delete(stage.bucket, key, .current, conditions: .none, actor: tester)
        store.close()
    }

    @Test(arguments: [
        // Retention in force, what it is to become, and whether that passes without and with a bypass.
        (EventRetention.Mode.compliance, EventRetention.Mode?.some(.compliance), 1, true, true),
        (.compliance, .compliance, 0, true, true), (.compliance, .compliance, -1, false, false),
        (.compliance, .governance, 1, false, false), (.compliance, nil, 0, false, false),
        (.governance, .governance, 1, true, true), (.governance, .governance, -1, false, true),
        (.governance, .compliance, 1, false, true), (.governance, nil, 0, false, true),
    ])
    func retentionInForceIsOnlyLengthened(
        mode: EventRetention.Mode, new: EventRetention.Mode?, by change: Int, plain: Bool, bypassed: Bool
    ) async throws {
        let stage = try await StartedStore()
        for (bypasses, passes) in [(false, plain), (true, bypassed)] {
            let put = try await stage.store.put(stage.bucket, "k-\(bypasses)", [1]).value
            let end: UInt64 = 1 << 50
            _ = try await stage.store.amend(put, actor: tester, Self.retain(mode, until: end))
            do {
                _ = try await stage.store.amend(put, actor: tester, bypassesGovernance: bypasses) {
                    metadata in
                    guard let new else { return metadata.clearRetention() }
                    metadata.retention.mode = new
                    metadata.retention.untilMicroseconds = UInt64(Int(end) + change)
                }
                #expect(passes, "bypass \(bypasses)")
            } catch { #expect(isLocked(error) && !passes, "bypass \(bypasses): \(error)") }
        }
        stage.store.close()
    }

    @Test func aBucketWithObjectLockStaysVersioned() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        func refused(_ setting: String, _ value: String?) async throws -> Bool {
            do {
                _ = try await store.configureBucket(
                    stage.bucket, setting: setting, value: value.map { Array($0.utf8) }, actor: tester)
                return false
            } catch StoreError.invalidState { return true }
        }
        #expect(try await refused("object-lock", "<x/>"))
        #expect(try await !refused("versioning", "Enabled"))
        #expect(try await !refused("object-lock", "<x/>"))
        #expect(try await refused("versioning", "Suspended"))
        #expect(try await refused("object-lock", nil))
        store.close()
    }
}
