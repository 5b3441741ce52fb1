import HTTPTypes
import Model
import S3
import Testing

@Suite struct AccessControlListTests {
    private static let subject = ACLSubject(
        owner: "id-bob", ownerName: "Bob", bucketOwner: "id-alice", isBucket: false)
    private static let bucket = ACLSubject(
        owner: "id-alice", ownerName: "Alice", bucketOwner: "id-alice", isBucket: true)

    private static func text(_ list: AccessControlList) -> [String] {
        list.grants.map { "\($0.grantee.split(separator: "/").last ?? "") \($0.permission)" }
    }

    private static func code(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return (error as? S3Error)?.code.name ?? "\(error)" }
        return nil
    }

    @Test(arguments: [
        ("private", ["id-bob fullControl"]), ("public-read", ["id-bob fullControl", "AllUsers read"]),
        ("public-read-write", ["id-bob fullControl", "AllUsers read", "AllUsers write"]),
        ("authenticated-read", ["id-bob fullControl", "AuthenticatedUsers read"]),
        ("bucket-owner-read", ["id-bob fullControl", "id-alice read"]),
        ("bucket-owner-full-control", ["id-bob fullControl", "id-alice fullControl"]),
    ])
    func aCannedListStandsForItsGrants(name: String, grants: [String]) throws {
        #expect(Self.text(try AccessControlList(canned: name, Self.subject)) == grants)
    }

    @Test func whatIsOfObjectsSaysNothingOfBucketsAndTheOtherWayRound() throws {
        for name in ["private", "bucket-owner-read", "bucket-owner-full-control"] {
            #expect(Self.text(try AccessControlList(canned: name, Self.bucket)) == ["id-alice fullControl"])
        }
        let logs = try AccessControlList(canned: "log-delivery-write", Self.bucket)
        #expect(Self.text(logs) == ["id-alice fullControl", "LogDelivery write", "LogDelivery readAcp"])
        let ofObject = Self.code { _ = try AccessControlList(canned: "log-delivery-write", Self.subject) }
        #expect(ofObject == "InvalidArgument")
    }

    @Test func headersGrantWhatTheySayAndNoMore() throws {
        var headers = HTTPFields()
        headers[name("x-amz-grant-read")] =
            "id=\"id-bob\", uri=\"http://acs.amazonaws.com/groups/global/AllUsers\",id=id-alice"
        headers[name("x-amz-grant-write-acp")] = " ID = \"id-bob\""
        let list = try #require(
            try AccessControlList(
                headers, Self.subject, displayName: { $0 == "id-x" ? nil : "name of \($0)" }))
        #expect(
            Self.text(list) == ["id-bob read", "AllUsers read", "id-alice read", "id-bob writeAcp"])
        #expect(list.grants[0].displayName == "name of id-bob" && list.isPublic)
        #expect(try AccessControlList(HTTPFields(), Self.subject, displayName: { $0 }) == nil)
    }

    /// Who has a right: the permission itself or full control, to the user or a group of which the user is one.
    @Test(
        arguments: [
            ("id-bob", EventGrant.Permission.read, true), ("id-bob", .writeAcp, true),
            ("id-carol", .read, true),
            ("id-carol", .write, false), (nil, .read, false), (nil, .readAcp, false),
        ] as [(String?, EventGrant.Permission, Bool)])
    func aRightComesFromTheUserOrAGroup(user: String?, permission: EventGrant.Permission, has: Bool) throws {
        let list = try AccessControlList(canned: "authenticated-read", Self.subject)
        #expect(list.allows(permission, to: user, ignoresOpen: false) == has)
        let isOwner = user == "id-bob"
        #expect(list.allows(permission, to: user, ignoresOpen: true) == isOwner)
    }

    private static func document(_ grants: String, owner: String = "id-bob") -> [UInt8] {
        Array(
            "<AccessControlPolicy><Owner><ID>\(owner)</ID></Owner><AccessControlList>\(grants)</AccessControlList></AccessControlPolicy>"
                .utf8)
    }

    @Test func aDocumentIsRead() throws {
        let list = try AccessControlList(
            document: Self.document(
                """
                <Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">\
                <ID>id-carol</ID><DisplayName>Carol</DisplayName></Grantee><Permission>WRITE_ACP</Permission></Grant>\
                <Grant><Grantee><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee>\
                <Permission>READ</Permission></Grant>
                """), owner: "id-bob")
        #expect(Self.text(list) == ["id-carol writeAcp", "LogDelivery read"])
    }

    @Test(arguments: [
        ("<Grant/>", "MalformedACLError"), ("<Other/>", "MalformedACLError"),
        ("<Grant><Grantee><ID>x</ID></Grantee></Grant>", "MalformedACLError"),
        ("<Grant><Grantee><ID>x</ID></Grantee><Permission>ALL</Permission></Grant>", "MalformedACLError"),
        ("<Grant><Grantee/><Permission>READ</Permission></Grant>", "MalformedACLError"),
        ("<Grant><Grantee><URI>x</URI></Grantee><Permission>READ</Permission></Grant>", "InvalidArgument"),
        (
            "<Grant><Grantee><EmailAddress>a@b</EmailAddress></Grantee><Permission>READ</Permission></Grant>",
            "UnresolvableGrantByEmailAddress"
        ), ("<", "MalformedXML"),
    ])
    func aBadGrantIsRefused(grants: String, code: String) {
        #expect(
            Self.code { _ = try AccessControlList(document: Self.document(grants), owner: "id-bob") } == code)
    }

    @Test func aDocumentCannotChangeTheOwner() {
        let other = Self.code {
            _ = try AccessControlList(document: Self.document("", owner: "id-eve"), owner: "id-bob")
        }
        #expect(other == "AccessDenied")
    }

    @Test(arguments: ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"])
    func ownershipSurvivesItsDocument(name: String) throws {
        let ownership = try #require(ObjectOwnership(rawValue: name))
        #expect(try ObjectOwnership(document: ownership.document) == ownership)
    }

    @Test func aBlockSurvivesItsDocument() throws {
        for bits in 0..<16 {
            let block = PublicAccessBlock(
                blocksPublicACLs: bits & 1 != 0, ignoresPublicACLs: bits & 2 != 0,
                blocksPublicPolicy: bits & 4 != 0, restrictsPublicBuckets: bits & 8 != 0)
            #expect(try PublicAccessBlock(document: block.document) == block)
        }
    }
}
