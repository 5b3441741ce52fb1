import Model
import ObjectStore
import TestSupport
import Testing

/// Delete markers that come from elsewhere.
@Suite struct ImportedMarkerTests {
    @Test func aMarkerHidesOnlyWhatWasSeenWhenItWasDecided() async throws {
        let started = try await StartedStore()
        _ = try await started.store.configureBucket(
            started.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        func publish(_ conditions: WriteConditions) async throws {
            let marker = ArrivingVersion(
                bucket: started.bucket, key: try ObjectKey("k"),
                owner: ObjectOwner(id: tester.id, displayName: tester.displayName), metadata: EventMetadata(),
                versionID: .random(), reason: "imported from elsewhere")
            _ = try await started.store.publishMarker(marker, conditions: conditions)
        }
        let seen = try await started.store.put(started.bucket, "k", [1]).value
        // Somebody writes between the look and the publishing of the marker.
        try await started.store.put(started.bucket, "k", [2])
        for conditions in [
            WriteConditions(ifMatch: .tags([seen.etag])), WriteConditions(ifNoneMatch: .any),
        ] {
            await #expect(throws: StoreError.self) { try await publish(conditions) }
        }
        #expect(try await started.store.get(started.bucket, "k") == [2])
        let now = try started.store.version(started.bucket, try ObjectKey("k"), .current)
        try await publish(WriteConditions(ifMatch: .tags([now.etag])))
        #expect(throws: StoreError.self) {
            try started.store.version(started.bucket, try ObjectKey("k"), .current)
        }
        // A marker above a marker hides nothing.
        try await publish(WriteConditions(ifNoneMatch: .any))
        started.store.close()
    }
}
