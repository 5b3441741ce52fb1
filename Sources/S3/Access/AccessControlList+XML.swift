import Model

/// The list as S3's documents have it; a bucket's is kept in this form too.
///
/// Source: Amazon S3 API Reference, "PutBucketAcl", "GetBucketAcl".
extension AccessControlList {
    func document(_ owner: String, _ ownerName: String) -> XMLWriter {
        XMLWriter("AccessControlPolicy") { xml in
            S3Service.owner(owner, ownerName, "Owner", &xml)
            xml.element("AccessControlList") { xml in
                for grant in grants {
                    guard let permission = grant.permission.wireName else { continue }  // none of S3's
                    xml.element("Grant") { xml in
                        if GranteeGroup.all.contains(grant.grantee) {
                            xml.group(grant.grantee)
                        } else {
                            xml.grantee(grant.grantee, grant.displayName)
                        }
                        xml.element("Permission", permission)
                    }
                }
            }
        }
    }

    /// - Parameters:
    ///   - owner: who the document must say owns the thing; `nil` for a document that the store wrote.
    /// - Throws: `MalformedACLError`, `MalformedXML`, `AccessDenied` if the document changes the owner.
    package init(document bytes: [UInt8], owner: String?) throws {
        let root = try XMLElement.parse(bytes, root: "AccessControlPolicy")
        guard let named = root.child("Owner")?.value("ID"), let list = root.child("AccessControlList"),
            root.children.count == 2
        else { throw Self.malformed("Owner and AccessControlList are required") }
        if let owner, named != owner { throw S3Error(.accessDenied, "Access Denied") }
        self.init(try list.children.map(Self.grant))
    }

    private static func grant(_ element: XMLElement) throws -> EventGrant {
        guard element.name == "Grant", let grantee = element.child("Grantee"),
            let permission = element.value("Permission").flatMap({
                EventGrant.Permission(wireName: $0)
            })
        else { throw malformed("a Grant takes a Grantee and a Permission") }
        if let id = grantee.value("ID"), !id.isEmpty {
            return EventGrant(permission, to: id, grantee.value("DisplayName") ?? "")
        }
        if let uri = grantee.value("URI") { return EventGrant(permission, to: try group(uri)) }
        if let address = grantee.value("EmailAddress") { throw unresolvable(address) }
        throw malformed("a Grantee takes an ID, a URI or an EmailAddress")
    }

    private static func malformed(_ reason: String) -> S3Error {
        S3Error.malformedDocument(reason, .malformedACL)
    }
}
