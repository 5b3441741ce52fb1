import Encryption
import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

@Suite struct S3ErrorTests {
    private static func version(isMarker: Bool = false) -> ObjectVersion {
        var record = EventVersionPublished()
        record.bucket = "bucket"
        record.key = "key"
        record.versionID = Data(VersionID(high: 0, low: 1).bytes)
        record.deleteMarker = isMarker
        return ObjectVersion(
            sequence: SequenceNumber(5), published: Timestamp(microseconds: 784_111_777_000_000),
            record: record)
    }

    private static func bucket(_ name: BucketName) -> Bucket {
        Bucket(
            name: name, owner: "o", region: "r", created: Timestamp(microseconds: 0),
            createdSequence: SequenceNumber(1), versioning: .off, settings: BucketSettings())
    }

    @Test func everyErrorOfTheStoreHasItsCodeAndStatus() throws {
        let key = try ObjectKey("key")
        let name = try BucketName("bucket")
        let table: [(StoreError, String, Int, isFault: Bool)] = [
            (.noSuchBucket(name), "NoSuchBucket", 404, false),
            (.bucketExists(Self.bucket(name)), "BucketAlreadyOwnedByYou", 409, false),
            (.bucketNotEmpty(name), "BucketNotEmpty", 409, false),
            (.noSuchKey(key, deleteMarker: nil), "NoSuchKey", 404, false),
            (.noSuchVersion(key, "v"), "NoSuchVersion", 404, false),
            (.isDeleteMarker(Self.version(isMarker: true)), "MethodNotAllowed", 405, false),
            (.preconditionFailed("If-Match"), "PreconditionFailed", 412, false),
            (.noSuchUpload(.random()), "NoSuchUpload", 404, false),
            (.invalidPart(number: 3), "InvalidPart", 400, false),
            (.invalidPartOrder, "InvalidPartOrder", 400, false),
            (.partTooSmall(number: 3, size: 9), "EntityTooSmall", 400, false),
            (.entityTooLarge(limit: 9), "EntityTooLarge", 400, false),
            (.busy("queue"), "SlowDown", 503, false),
            (.unavailable("x"), "ServiceUnavailable", 503, true),
            (.lost(Self.version(), evidence: "x"), "ObjectLost", 500, true),
            (.notReadable(Self.version(), evidence: "x"), "ServiceUnavailable", 503, true),
            (.undecipherable(Self.version(), evidence: "x"), "ObjectUndecipherable", 409, true),
            (.invalidState("x"), "InvalidBucketState", 409, false),
            (.internalFault("x"), "InternalError", 500, true),
        ]
        for (error, code, status, isFault) in table {
            let told = S3Error(error)
            #expect(told.code.name == code && told.code.status == status, "\(error)")
            #expect(S3Error.isFault(error) == isFault, "\(error)")
        }
    }

    @Test func aMasterKeyThatNobodyNamedIsNoInternalError() {
        let table: [(KeyProviderError, String, Int)] = [
            (.noSuchKey("k"), "MasterKeyUnavailable", 409), (.disabled("k"), "MasterKeyUnavailable", 409),
            (.noSuchGeneration(keyID: "k", generation: 3), "MasterKeyUnavailable", 409),
            (.damaged(keyID: "k"), "ObjectUndecipherable", 409),
            (.unreadable(path: "p", reason: "r"), "InternalError", 500),
        ]
        for (error, code, status) in table {
            let told = S3Error(error)
            #expect(told.code.name == code && told.code.status == status, "\(error)")
            #expect(S3Error.isFault(error), "\(error): it is for the operator")
        }
    }

    @Test func aKeyThatIsHiddenNamesTheMarker() throws {
        let error = S3Error(
            StoreError.noSuchKey(try ObjectKey("key"), deleteMarker: Self.version(isMarker: true)))
        #expect(error.headers[name("x-amz-delete-marker")] == "true")
        #expect(error.headers[name("x-amz-version-id")] == "00000000000000000000000000000001")
        let named = S3Error(StoreError.isDeleteMarker(Self.version(isMarker: true)))
        #expect(named.headers[.allow] == "DELETE")
        #expect(named.headers[.lastModified] == "Sun, 06 Nov 1994 08:49:37 GMT")
    }

    @Test func whatPassesSaysWhenToComeAgain() {
        #expect(S3Error(StoreError.busy("x")).headers[.retryAfter] == "1")
        #expect(S3Error(StoreError.unavailable("x")).headers[.retryAfter] == "5")
        #expect(S3Error(StoreError.notReadable(Self.version(), evidence: "x")).headers[.retryAfter] == "5")
    }

    @Test func aReasonThatIsForTheOperatorIsNotShown() {
        struct Secret: Error, CustomStringConvertible { let description = "/srv/volume-1/secret" }
        for error in [StoreError.internalFault("/srv/volume-1/secret"), Secret()] as [any Error] {
            let told = S3Error(error)
            #expect(told.code.name == "InternalError" && S3Error.isFault(error))
            #expect(!told.message.contains("secret"))
            #expect(told.details.allSatisfy { !$0.value.contains("secret") })
        }
    }

    @Test func aBadNameIsTheClientsError() {
        let error = InvalidName(kind: "object key", value: "", reason: "is empty")
        #expect(S3Error(error).code.name == "InvalidArgument" && !S3Error.isFault(error))
    }
}
