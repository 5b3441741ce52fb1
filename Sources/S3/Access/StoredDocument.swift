import Model

/// A setting of a bucket that does not read any more: stored by a server that was less strict, or damaged.
///
/// It is the operator's to see and to mend, and no client's fault: clients are answered `InternalError`.
struct UnreadableSetting: Error, CustomStringConvertible {
    let bucket: BucketName
    let setting: String
    let reason: String

    var description: String {
        "bucket \(bucket): its stored setting '\(setting)' cannot be read, put or delete it: \(reason)"
    }
}

/// What a stored document says, or why it says nothing; found out once, either way.
private enum StoredDocument<Meaning: Sendable>: Sendable {
    case readable(Meaning)
    case unreadable(String)

    init(_ bytes: [UInt8], _ read: ([UInt8]) throws -> Meaning) {
        do { self = .readable(try read(bytes)) } catch let error as S3Error {
            self = .unreadable(error.message)
        } catch { self = .unreadable("\(error)") }
    }
}

extension Bucket {
    /// What one of its settings says; `nil` if it has none.
    /// - Throws: ``UnreadableSetting``.
    func stored<Meaning: Sendable>(
        _ setting: String, _ read: ([UInt8]) throws -> Meaning
    ) throws -> Meaning? {
        switch settings.meaning(of: setting, { StoredDocument($0, read) }) {
        case nil: nil
        case .readable(let meaning)?: meaning
        case .unreadable(let reason)?:
            throw UnreadableSetting(bucket: name, setting: setting, reason: reason)
        }
    }
}
