import HTTPTypes
import Model

/// The groups that an access control list can name.
///
/// Source: Amazon S3 User Guide, "Access control list (ACL) overview".
package enum GranteeGroup {
    package static let allUsers = "http://acs.amazonaws.com/groups/global/AllUsers"
    package static let authenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
    package static let logDelivery = "http://acs.amazonaws.com/groups/s3/LogDelivery"

    static let all = [allUsers, authenticatedUsers, logDelivery]
    static let open = [allUsers, authenticatedUsers]
}

/// Who may do what with a bucket or an object, besides what policies say.
///
/// A list that nobody set is not kept: it grants the owner everything and nobody else anything.
package struct AccessControlList: Sendable, Equatable {
    /// Grants of one list at most.
    package static let limit = 100

    package var grants: [EventGrant]

    package init(_ grants: [EventGrant]) { self.grants = grants }

    /// Full control for one user.
    package init(owner: String, _ name: String = "") {
        grants = [EventGrant(.fullControl, to: owner, name)]
    }

    /// Whether a grant is to everybody, or to everybody with an access key.
    package var isPublic: Bool { grants.contains { GranteeGroup.open.contains($0.grantee) } }

    /// - Parameters:
    ///   - user: the sender's canonical id; `nil` for an anonymous sender.
    ///   - ignoresOpen: the bucket ignores grants to the open groups.
    package func allows(_ permission: EventGrant.Permission, to user: String?, ignoresOpen: Bool) -> Bool {
        grants.contains { grant in
            guard grant.permission == permission || grant.permission == .fullControl else { return false }
            return switch grant.grantee {
            case GranteeGroup.allUsers: !ignoresOpen
            case GranteeGroup.authenticatedUsers: !ignoresOpen && user != nil
            case let grantee: grantee == user
            }
        }
    }

    /// Whether nobody but `owner` has rights.
    package func isOnly(_ owner: String) -> Bool { grants.allSatisfy { $0.grantee == owner } }
}

extension EventGrant {
    init(_ permission: Permission, to grantee: String, _ name: String = "") {
        self.init()
        self.permission = permission
        self.grantee = grantee
        displayName = name
    }
}

extension EventGrant.Permission {
    /// The name that S3 has for it; `nil` for none of S3's.
    var wireName: String? {
        switch self {
        case .read: "READ"
        case .write: "WRITE"
        case .readAcp: "READ_ACP"
        case .writeAcp: "WRITE_ACP"
        case .fullControl: "FULL_CONTROL"
        case .unspecified, .UNRECOGNIZED: nil
        }
    }

    init?(wireName: String) {
        guard
            let found = [.read, .write, .readAcp, .writeAcp, .fullControl].first(where: { (known: Self) in
                known.wireName == wireName
            })
        else { return nil }
        self = found
    }
}

/// What a list is made for.
package struct ACLSubject: Sendable {
    /// Canonical id and name of whoever owns the bucket or the object.
    package let owner: String
    package let ownerName: String
    package let bucketOwner: String
    package let isBucket: Bool

    package init(owner: String, ownerName: String, bucketOwner: String, isBucket: Bool) {
        self.owner = owner
        self.ownerName = ownerName
        self.bucketOwner = bucketOwner
        self.isBucket = isBucket
    }
}

extension AccessControlList {
    /// The list that a canned ACL stands for.
    ///
    /// Source: Amazon S3 User Guide, "Canned ACL".
    /// - Throws: `InvalidArgument`, `NotImplemented`.
    package init(canned name: String, _ subject: ACLSubject) throws {
        self.init(owner: subject.owner, subject.ownerName)
        func grant(_ permission: EventGrant.Permission, _ grantee: String) {
            grants.append(EventGrant(permission, to: grantee))
        }
        switch name {
        case "private": break
        case "public-read": grant(.read, GranteeGroup.allUsers)
        case "public-read-write":
            grant(.read, GranteeGroup.allUsers)
            grant(.write, GranteeGroup.allUsers)
        case "authenticated-read": grant(.read, GranteeGroup.authenticatedUsers)
        // Of a bucket, Amazon S3 passes over these two.
        case "bucket-owner-read":
            if !subject.isBucket, subject.bucketOwner != subject.owner { grant(.read, subject.bucketOwner) }
        case "bucket-owner-full-control":
            if !subject.isBucket, subject.bucketOwner != subject.owner {
                grant(.fullControl, subject.bucketOwner)
            }
        case "log-delivery-write" where subject.isBucket:
            grant(.write, GranteeGroup.logDelivery)
            grant(.readAcp, GranteeGroup.logDelivery)
        case "aws-exec-read": throw S3Error.notImplemented("The canned ACL aws-exec-read")
        default: throw S3Error.invalidArgument("There is no such canned ACL.", name: "x-amz-acl", value: name)
        }
    }

    private static let grantHeaders: [(name: HTTPField.Name, permission: EventGrant.Permission)] = [
        (.fixed("x-amz-grant-read"), .read), (.fixed("x-amz-grant-write"), .write),
        (.fixed("x-amz-grant-read-acp"), .readAcp), (.fixed("x-amz-grant-write-acp"), .writeAcp),
        (.fixed("x-amz-grant-full-control"), .fullControl),
    ]

    /// Whether a request's headers say anything of access: every PUT asks.
    static func areNamed(in headers: HTTPFields) -> Bool {
        headers.contains {
            let name = $0.name.canonicalName
            return name.utf8.count >= 9 && (name == "x-amz-acl" || name.hasPrefix("x-amz-grant-"))
        }
    }

    /// The list that a request's headers ask for; `nil` if they ask for none.
    /// - Parameter displayName: finds a user by canonical id.
    /// - Throws: `InvalidRequest`, `InvalidArgument`, `UnresolvableGrantByEmailAddress`.
    package init?(
        _ headers: HTTPFields, _ subject: ACLSubject, displayName: (String) -> String?
    ) throws {
        guard Self.areNamed(in: headers) else { return nil }
        var grants: [EventGrant] = []
        var hasGrants = false
        for (name, permission) in Self.grantHeaders {
            guard let value = headers[name] else { continue }
            hasGrants = true
            grants += try Self.grantees(value, header: name.canonicalName).map {
                EventGrant(permission, to: $0.grantee, $0.name)
            }
        }
        if let canned = headers[.amzACL] {
            guard !hasGrants else {
                throw S3Error(
                    .invalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
            }
            try self.init(canned: canned, subject)
            return
        }
        guard hasGrants else {
            throw S3Error(.invalidArgument, "There is no such header that grants access.")
        }
        self.init(grants)
        try settle(displayName)
    }

    /// `id="…", uri="…", emailAddress="…"`
    private static func grantees(_ value: String, header: String) throws -> [(grantee: String, name: String)]
    {
        try value.split(separator: ",", omittingEmptySubsequences: false).map { item in
            let halves = item.split(separator: "=", maxSplits: 1).map { $0.trimmingBlanks() }
            guard halves.count == 2 else {
                throw S3Error.invalidArgument("Argument format not recognized", name: header, value: value)
            }
            var grantee = halves[1][...]
            if grantee.count >= 2, grantee.hasPrefix("\""), grantee.hasSuffix("\"") {
                grantee = grantee.dropFirst().dropLast()
            }
            switch halves[0].lowercased() {
            case "id": return (String(grantee), "")
            case "uri": return (try group(String(grantee)), "")
            case "emailaddress": throw unresolvable(String(grantee))
            default:
                throw S3Error.invalidArgument("Argument format not recognized", name: header, value: value)
            }
        }
    }

    static func group(_ uri: String) throws -> String {
        guard GranteeGroup.all.contains(uri) else {
            throw S3Error.invalidArgument("Invalid group uri", name: "uri", value: uri)
        }
        return uri
    }

    static func unresolvable(_ address: String) -> S3Error {
        S3Error(
            .unresolvableGrant, "The e-mail address you provided does not match any account on record.",
            details: [("EmailAddress", address)])
    }

    /// Finds the grantees' names, and refuses what cannot be kept.
    mutating func settle(_ displayName: (String) -> String?) throws {
        guard grants.count <= Self.limit else {
            throw S3Error.malformedDocument("there are more than \(Self.limit) grants", .malformedACL)
        }
        for index in grants.indices where !GranteeGroup.all.contains(grants[index].grantee) {
            let id = grants[index].grantee
            guard let name = displayName(id) else {
                throw S3Error.invalidArgument("Invalid id", name: "CanonicalUser/ID", value: id)
            }
            grants[index].displayName = name
        }
    }
}

extension S3ErrorCode {
    static let unresolvableGrant = S3ErrorCode("UnresolvableGrantByEmailAddress", 400)
    static let malformedACL = S3ErrorCode("MalformedACLError", 400)
    static let accessControlListNotSupported = S3ErrorCode("AccessControlListNotSupported", 400)
}
