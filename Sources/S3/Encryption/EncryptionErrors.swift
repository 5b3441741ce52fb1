import Encryption

extension S3ErrorCode {
    /// Holdfast's own: the stored bytes are whole, and do not open under the object's data key. Trying again does not
    /// help.
    static let objectUndecipherable = S3ErrorCode("ObjectUndecipherable", 409)
    /// Holdfast's own: the master key that wraps the object's data key is not there, or disabled. It helps to bring
    /// back the file of master keys, or to enable the key.
    static let masterKeyUnavailable = S3ErrorCode("MasterKeyUnavailable", 409)
}

extension S3Error {
    /// What a client is told of a master key that it did not name, and so can do nothing about.
    init(keys error: KeyProviderError) {
        switch error {
        case .noSuchKey, .noSuchGeneration:
            self.init(
                .masterKeyUnavailable,
                "The store does not have the master key that this object is encrypted with. Nothing of it was sent or removed."
            )
        case .disabled:
            self.init(.masterKeyUnavailable, "The master key that this object is encrypted with is disabled.")
        case .damaged:
            self.init(
                .objectUndecipherable,
                "The object's data key does not open. Nothing of it was sent or removed; the operator's log says more."
            )
        case .nameTaken, .invalidName, .unreadable:
            self.init(.internalError, "We encountered an internal error. Please try again.")
        }
    }
}
