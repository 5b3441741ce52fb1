/// A data key that was just made, and how it may be kept.
public struct MadeDataKey: Sendable {
    public let key: SecretKey
    /// The master key's id, which never changes.
    public let keyID: String
    public let wrapped: [UInt8]

    public init(key: SecretKey, keyID: String, wrapped: [UInt8]) {
        self.key = key
        self.keyID = keyID
        self.wrapped = wrapped
    }
}

/// Which master key wraps a data key.
public enum MasterKeyChoice: Sendable, Hashable {
    /// The store's own, for SSE-S3.
    case store
    /// For SSE-KMS: the key that a client named, by id, alias or ARN; the default one if it named none.
    case named(String?)
}

/// Where master keys are: envelope encryption, so that no object's bytes are ever sealed with one.
///
/// Calls may wait for a disk, or for a service elsewhere.
public protocol KeyProvider: Sendable {
    /// A new data key. The master key that wraps it is on stable storage by then: an object must never be
    /// written that a crash would leave without its key.
    /// - Parameter context: bound to the wrapped key.
    /// - Throws: ``KeyProviderError``.
    func makeDataKey(_ choice: MasterKeyChoice, context: String) throws -> MadeDataKey

    /// - Throws: ``KeyProviderError``.
    func dataKey(wrapped: [UInt8], keyID: String, context: String) throws -> SecretKey

    /// The same data key, wrapped with the newest generation of its master key.
    /// - Returns: `nil` if it is so already.
    /// - Throws: ``KeyProviderError``.
    func rewrapped(_ wrapped: [UInt8], keyID: String, context: String) throws -> [UInt8]?
}

/// Why a master key does not serve. No case holds a key.
public enum KeyProviderError: Error, CustomStringConvertible {
    case noSuchKey(String)
    case disabled(String)
    /// The wrapped key names a generation that the provider does not have.
    case noSuchGeneration(keyID: String, generation: UInt32)
    /// The wrapped key does not open: it, or what it is bound to, was changed.
    case damaged(keyID: String)
    case nameTaken(String)
    case invalidName(String)
    case unreadable(path: String, reason: String)

    public var description: String {
        switch self {
        case .noSuchKey(let name):
            "there is no encryption key \(name); 'holdfast encryption-key list' shows those there are"
        case .disabled(let name): "encryption key \(name) is disabled"
        case .noSuchGeneration(let id, let generation):
            "encryption key \(id) has no generation \(generation) here: is this the file of master keys of this store, and the newest one?"
        case .damaged(let id): "a data key wrapped with encryption key \(id) does not open: it was changed"
        case .nameTaken(let name): "there is an encryption key \(name) already"
        case .invalidName(let name):
            "'\(name)' is no name for an encryption key: it takes 1 to 128 letters, digits, '-', '_' and '/'"
        case .unreadable(let path, let reason): "the master keys in \(path) cannot be read: \(reason)"
        }
    }
}
