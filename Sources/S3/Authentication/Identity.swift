/// Who holds an access key.
public struct Identity: Sendable, Hashable {
    public let accessKey: String
    public let secretKey: String
    /// The canonical id that owns what the holder makes: 64 hexadecimal digits.
    public let userID: String
    public let displayName: String

    public init(accessKey: String, secretKey: String, userID: String, displayName: String) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.userID = userID
        self.displayName = displayName
    }

    /// Whoever sends a request that is not signed.
    public static let anonymous = Identity(accessKey: "", secretKey: "", userID: "anonymous", displayName: "")

    public var isAnonymous: Bool { accessKey.isEmpty }
}

/// Where access keys are looked up, in memory.
public protocol IdentitySource: Sendable {
    func identity(accessKey: String) -> Identity?
}
