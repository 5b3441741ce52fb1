import HTTPTypes
import Model
import ObjectStore

/// A request that was parsed and whose sender is known: what the operations work on.
struct S3Call: Sendable {
    let head: HTTPRequest
    let target: RequestTarget
    let identity: Identity
    let requestID: String
    let payload: PayloadForm
    let body: any RequestBody
    /// The sender's address, in numbers.
    var peer: (@Sendable () -> String?)?
    /// "TLSv1.3"; `nil` without TLS.
    var tlsVersion: String?
    /// The body, where it was read before the operation was begun.
    var readDocument: [UInt8]?
    /// What the body says, by the condition keys that ask for it; `nil` where it decides nothing.
    var bodyConditions: [String: [String]]?
    /// What an access log is to tell besides the request itself; `nil` where no bucket logs.
    var trail: AccessTrail?
    /// Told of each step; `nil` for a request that nobody watches.
    var watch: RequestWatch?
    /// When the bucket was made that the sender was let into: another bucket of its name is not meant.
    var bucketCreated: SequenceNumber?
    /// How the form was signed that the call was made of.
    var formSignature: SignatureFacts?

    var headers: HTTPFields { head.headerFields }
    var query: Query { target.query }
    var actor: Actor {
        Actor(id: identity.userID, displayName: identity.displayName, requestID: requestID)
    }

    /// - Throws: `InvalidBucketName`.
    func bucket() throws -> BucketName {
        do { return try BucketName(target.bucket ?? "") } catch {
            throw S3Error(.invalidBucketName, "\(error).", details: [("BucketName", target.bucket ?? "")])
        }
    }

    /// - Throws: `KeyTooLongError`, `InvalidURI`.
    func key() throws -> ObjectKey { try Self.key(target.key ?? "") }

    static func key(_ key: String) throws -> ObjectKey {
        guard key.utf8.count <= ObjectKey.maximumByteCount else {
            throw S3Error(
                .keyTooLong, "Your key is too long.",
                details: [
                    ("Size", String(key.utf8.count)), ("MaxSizeAllowed", String(ObjectKey.maximumByteCount)),
                ])
        }
        do { return try ObjectKey(key) } catch { throw S3Error(.invalidURI, "\(error).") }
    }

    /// The version that the query names.
    func version() throws -> VersionSelector {
        guard let wire = query["versionId"] else { return .current }
        guard let selector = VersionSelector(wire: wire) else {
            throw S3Error(
                .invalidArgument, "Invalid version id specified",
                details: [("ArgumentName", "versionId"), ("ArgumentValue", wire)])
        }
        return selector
    }

    /// - Throws: `InvalidArgument` for anything but a number in `range`.
    func number(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = query[name] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw S3Error(
                .invalidArgument,
                "\(name) must be a number from \(range.lowerBound) to \(range.upperBound).",
                details: [("ArgumentName", name), ("ArgumentValue", text)])
        }
        return value
    }
}
