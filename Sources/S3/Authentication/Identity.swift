/// Who holds an access key.
public struct Identity: Sendable, Hashable {
    public let accessKey: String
    public let secretKey: String
    /// The canonical id that owns what the holder makes: 64 hexadecimal digits.
    public let userID: String
    /// What policies call the user.
    public let userName: String
    public let displayName: String
    /// The administrator of the store, who may do everything.
    public let isRoot: Bool
    /// `nil` for a user without policies, who may do everything with what is theirs.
    public let policies: UserPolicies?

    public init(
        accessKey: String, secretKey: String, userID: String, displayName: String, userName: String? = nil,
        isRoot: Bool = false, policies: UserPolicies? = nil
    ) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.userID = userID
        self.displayName = displayName
        self.userName = userName ?? displayName
        self.isRoot = isRoot
        self.policies = policies
    }

    /// Whoever sends a request that is not signed, by the canonical id that Amazon S3 has for all of them.
    public static let anonymous = Identity(
        accessKey: "", secretKey: "",
        userID: "65a011a29cdf8ec533ec3d1ccaae921c", displayName: "")

    public var isAnonymous: Bool { accessKey.isEmpty }
}

/// The policies of a user, read once for all of the user's keys and requests.
public final class UserPolicies: Hashable, Sendable {
    let documents: [PolicyDocument]
    /// Why one of them, stored before, cannot be read: it may deny anything, so it denies all.
    public let flaw: String?

    /// - Throws: ``S3Error`` with `MalformedPolicy`.
    public init(_ documents: [[UInt8]]) throws {
        self.documents = try documents.map { try PolicyDocument($0, kind: .user) }
        flaw = nil
    }

    /// Policies that were accepted when they were put, perhaps by a server that was less strict.
    public init(stored documents: [(name: String, bytes: [UInt8])], of user: String) {
        var read: [PolicyDocument] = []
        var flaw: String?
        for (name, bytes) in documents {
            do { read.append(try PolicyDocument(bytes, kind: .user, isStored: true)) } catch {
                let reason = (error as? S3Error)?.message ?? "\(error)"
                flaw = "policy '\(name)' of user '\(user)' cannot be read, put or delete it: \(reason)"
            }
        }
        self.documents = read
        self.flaw = flaw
    }

    /// An explicit denial counts before everything.
    func verdict(on request: PolicyRequest) -> Verdict {
        guard flaw == nil else { return .denied }
        var verdict = Verdict.silent
        for document in documents {
            switch document.verdict(on: request) {
            case .denied: return .denied
            case .allowed: verdict = .allowed
            case .silent: break
            }
        }
        return verdict
    }

    public static func == (left: UserPolicies, right: UserPolicies) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Where access keys are looked up, in memory.
public protocol IdentitySource: Sendable {
    func identity(accessKey: String) -> Identity?
    /// The display name of the user who has the canonical id; `nil` if nobody has.
    func displayName(userID: String) -> String?
}

extension IdentitySource {
    public func displayName(userID: String) -> String? { nil }
}
