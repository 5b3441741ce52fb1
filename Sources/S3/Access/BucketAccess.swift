import Model

/// Whose an object becomes, and whether access control lists count.
///
/// Source: Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket".
package enum ObjectOwnership: String, Sendable {
    /// Everything is the bucket owner's; lists do not count.
    case bucketOwnerEnforced = "BucketOwnerEnforced"
    /// An object whose writer gives the bucket's owner full control becomes the bucket owner's.
    case bucketOwnerPreferred = "BucketOwnerPreferred"
    case objectWriter = "ObjectWriter"

    /// - Throws: `MalformedXML`.
    package init(document bytes: [UInt8]) throws {
        let root = try XMLElement.parse(bytes, root: "OwnershipControls")
        let rules = root.all("Rule")
        guard rules.count == 1, root.children.count == 1,
            let found = rules[0].value("ObjectOwnership").flatMap(Self.init(rawValue:))
        else { throw S3Error.malformedDocument }
        self = found
    }

    package var document: [UInt8] {
        XMLWriter("OwnershipControls") { xml in
            xml.element("Rule") { $0.element("ObjectOwnership", rawValue) }
        }.bytes
    }
}

/// What keeps a bucket from being opened to everybody by mistake.
///
/// Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage".
package struct PublicAccessBlock: Sendable, Equatable {
    /// No list that opens something is taken.
    package var blocksPublicACLs = false
    /// Grants to the open groups do not count.
    package var ignoresPublicACLs = false
    /// No policy that opens the bucket is taken.
    package var blocksPublicPolicy = false
    /// A policy that opens the bucket counts for the store's users only.
    package var restrictsPublicBuckets = false

    package static let none = PublicAccessBlock()
    package static let all = PublicAccessBlock(
        blocksPublicACLs: true, ignoresPublicACLs: true, blocksPublicPolicy: true,
        restrictsPublicBuckets: true)

    package init(
        blocksPublicACLs: Bool = false, ignoresPublicACLs: Bool = false, blocksPublicPolicy: Bool = false,
        restrictsPublicBuckets: Bool = false
    ) {
        self.blocksPublicACLs = blocksPublicACLs
        self.ignoresPublicACLs = ignoresPublicACLs
        self.blocksPublicPolicy = blocksPublicPolicy
        self.restrictsPublicBuckets = restrictsPublicBuckets
    }

    private static let elements: [(name: String, field: any WritableKeyPath<Self, Bool> & Sendable)] = [
        ("BlockPublicAcls", \.blocksPublicACLs), ("IgnorePublicAcls", \.ignoresPublicACLs),
        ("BlockPublicPolicy", \.blocksPublicPolicy), ("RestrictPublicBuckets", \.restrictsPublicBuckets),
    ]

    /// - Throws: `MalformedXML`.
    package init(document bytes: [UInt8]) throws {
        let root = try XMLElement.parse(bytes, root: "PublicAccessBlockConfiguration")
        self.init()
        for child in root.children {
            guard let known = Self.elements.first(where: { $0.name == child.name }),
                root.all(child.name).count == 1
            else { throw S3Error.malformedDocument }
            switch root.value(child.name)?.lowercased() {
            case "true": self[keyPath: known.field] = true
            case "false": self[keyPath: known.field] = false
            default: throw S3Error.malformedDocument
            }
        }
    }

    package var document: [UInt8] {
        XMLWriter("PublicAccessBlockConfiguration") { xml in
            for (name, field) in Self.elements {
                xml.element(named: name, self[keyPath: field] ? "true" : "false")
            }
        }.bytes
    }
}

/// What a bucket's settings say of access. A bucket without a setting is as all were before 2023: its writers
/// own what they write, lists count, and nothing is blocked.
struct BucketAccess: Sendable {
    let owner: String
    let ownership: ObjectOwnership
    let block: PublicAccessBlock
    let policy: PolicyDocument?
    /// Why the policy cannot be read: it may deny anything.
    let policyFlaw: UnreadableSetting?
    /// `nil` if nobody set one.
    let list: AccessControlList?
    /// What else cannot be read, and is taken as its strictest.
    let flaws: [UnreadableSetting]

    /// The names that the settings are kept under: S3's subresources.
    static let ownershipName = "ownershipControls"
    static let blockName = "publicAccessBlock"
    static let policyName = "policy"
    static let listName = "acl"

    init(_ bucket: Bucket) {
        owner = bucket.owner
        var flaws: [UnreadableSetting] = []
        func read<Meaning>(_ meaning: () throws -> Meaning, strictest: Meaning) -> Meaning {
            do { return try meaning() } catch {
                if let flaw = error as? UnreadableSetting { flaws.append(flaw) }
                return strictest
            }
        }
        ownership = read({ try Self.storedOwnership(of: bucket) }, strictest: .bucketOwnerEnforced)
        block = read(
            { try bucket.stored(Self.blockName) { try PublicAccessBlock(document: $0) } ?? .none },
            strictest: .all)
        list = read({ try Self.list(of: bucket) }, strictest: nil)
        self.flaws = flaws
        flaws = []
        policy = read({ try Self.policy(of: bucket) }, strictest: nil)
        policyFlaw = flaws.first
    }

    /// - Throws: ``UnreadableSetting``.
    static func policy(of bucket: Bucket) throws -> PolicyDocument? {
        try bucket.stored(policyName) {
            try PolicyDocument($0, kind: .bucket(bucket.name), isStored: true)
        }
    }

    /// - Throws: ``UnreadableSetting``.
    static func list(of bucket: Bucket) throws -> AccessControlList? {
        try bucket.stored(listName) { try AccessControlList(document: $0, owner: nil) }
    }

    private static func storedOwnership(of bucket: Bucket) throws -> ObjectOwnership {
        try bucket.stored(ownershipName) { try ObjectOwnership(document: $0) } ?? .objectWriter
    }

    /// Where it cannot be read, everything is the bucket owner's.
    static func ownership(of bucket: Bucket) -> ObjectOwnership {
        do { return try storedOwnership(of: bucket) } catch { return .bucketOwnerEnforced }
    }

    var isEnforced: Bool { ownership == .bucketOwnerEnforced }

    /// What the policy says; a policy that opens a restricted bucket says nothing to strangers.
    func verdict(on request: PolicyRequest) -> Verdict {
        guard let policy else { return .silent }
        let verdict = policy.verdict(on: request)
        if verdict == .allowed, block.restrictsPublicBuckets, case .anonymous = request.principal,
            policy.isPublic
        {
            return .silent
        }
        return verdict
    }

    /// Whether the bucket's list gives a right; the owner's own rights do not come from it.
    func grants(_ permission: EventGrant.Permission, to user: String?) -> Bool {
        guard !isEnforced, let list else { return false }
        return list.allows(permission, to: user, ignoresOpen: block.ignoresPublicACLs)
    }
}
