import Model

/// The encryption that a bucket's objects get where a request asks for none.
///
/// Source: Amazon S3 API Reference, "ServerSideEncryptionConfiguration".
package struct EncryptionRule: Sendable {
    static let setting = "encryption"

    /// `.s3` or `.kms`.
    let kind: EventEncryption.Kind
    let keyID: String?
    let usesBucketKey: Bool

    init(kind: EventEncryption.Kind, keyID: String?, usesBucketKey: Bool) {
        self.kind = kind
        self.keyID = keyID
        self.usesBucketKey = usesBucketKey
    }

    /// - Throws: `MalformedXML`, `InvalidArgument`, `NotImplemented`.
    package init(_ document: [UInt8]) throws {
        let root = try XMLElement.parse(document, root: "ServerSideEncryptionConfiguration")
        let rules = root.all("Rule")
        guard rules.count == 1, let rule = rules.first else { throw S3Error.malformedDocument }
        if let blocked = rule.child("BlockedEncryptionTypes"),
            blocked.all("EncryptionType").contains(where: { $0.text != "NONE" })
        {
            throw S3Error.notImplemented("Blocking encryption types (BlockedEncryptionTypes)")
        }
        guard let apply = rule.child("ApplyServerSideEncryptionByDefault"),
            let algorithm = apply.value("SSEAlgorithm")
        else { throw S3Error.malformedDocument }
        let named = apply.value("KMSMasterKeyID").flatMap { $0.isEmpty ? nil : $0 }
        switch rule.value("BucketKeyEnabled") {
        case "true": usesBucketKey = true
        case "false", nil: usesBucketKey = false
        default: throw S3Error.malformedDocument
        }
        switch algorithm {
        case "AES256":
            guard named == nil else {
                throw S3Error.invalidArgument(
                    "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                    name: "ApplyServerSideEncryptionByDefault", value: algorithm)
            }
            kind = .s3
        case "aws:kms": kind = .kms
        case "aws:kms:dsse": throw S3Error.notImplemented("Dual-layer encryption (aws:kms:dsse)")
        default: throw S3Error.malformedDocument
        }
        keyID = named
    }

    package var document: [UInt8] {
        XMLWriter("ServerSideEncryptionConfiguration") { xml in
            xml.element("Rule") { xml in
                xml.element("ApplyServerSideEncryptionByDefault") { xml in
                    xml.element("SSEAlgorithm", kind == .s3 ? "AES256" : "aws:kms")
                    if let keyID { xml.element("KMSMasterKeyID", keyID) }
                }
                xml.element("BucketKeyEnabled", usesBucketKey)
            }
        }.bytes
    }
}
