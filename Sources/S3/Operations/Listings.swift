import Foundation
import HTTPTypes
import Model
import ObjectStore

/// What all listings ask for.
struct ListingQuery {
    let prefix: String
    let delimiter: String
    let limit: Int
    /// Names are percent-encoded: XML cannot carry all of them.
    let isEncoded: Bool

    /// - Throws: `InvalidArgument`.
    init(_ call: S3Call, limitName: String) throws {
        prefix = call.query["prefix"] ?? ""
        delimiter = call.query["delimiter"] ?? ""
        let asked = try call.number(limitName, in: 0...Int(Int32.max)) ?? 1000
        limit = min(asked, 1000)
        switch call.query["encoding-type"] {
        case nil, "": isEncoded = false
        case "url": isEncoded = true
        case let other?:
            throw S3Error.invalidArgument(
                "Invalid Encoding Method specified in Request", name: "encoding-type", value: other)
        }
    }

    func name(_ text: String) -> String {
        isEncoded ? PercentEncoding.encode(text, keepsSlash: true) : text
    }

    func describe(_ bucket: BucketName, limitElement: StaticString, _ xml: inout XMLWriter) {
        if !delimiter.isEmpty { xml.element("Delimiter", name(delimiter)) }
        xml.element(limitElement, limit)
        if isEncoded { xml.element("EncodingType", "url") }
    }
}

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func listObjects(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try call.bucket()
        let query = try ListingQuery(call, limitName: "max-keys")
        let marker = call.query["marker"] ?? ""
        let page = try listCurrent(bucket, query, after: marker)
        let xml = XMLWriter("ListBucketResult") { xml in
            xml.element("Name", bucket.rawValue)
            xml.element("Prefix", query.name(query.prefix))
            xml.element("Marker", query.name(marker))
            query.describe(bucket, limitElement: "MaxKeys", &xml)
            xml.element("IsTruncated", page.isTruncated)
            // Amazon S3 names the next marker only with a delimiter; without, it is the last key.
            if page.isTruncated, let last = page.lastName { xml.element("NextMarker", query.name(last)) }
            write(page, query, showsOwner: true, &xml)
        }
        return ServiceResponse(xml: xml)
    }

    func listObjectsV2(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try call.bucket()
        let query = try ListingQuery(call, limitName: "max-keys")
        let startAfter = call.query["start-after"] ?? ""
        let token = call.query["continuation-token"]
        let after = try token.map(Self.name(ofToken:)) ?? startAfter
        let page = try listCurrent(bucket, query, after: after)
        let xml = XMLWriter("ListBucketResult") { xml in
            xml.element("Name", bucket.rawValue)
            xml.element("Prefix", query.name(query.prefix))
            if !startAfter.isEmpty { xml.element("StartAfter", query.name(startAfter)) }
            if let token { xml.element("ContinuationToken", token) }
            query.describe(bucket, limitElement: "MaxKeys", &xml)
            xml.element("KeyCount", page.items.count)
            xml.element("IsTruncated", page.isTruncated)
            if page.isTruncated, let last = page.lastName {
                xml.element("NextContinuationToken", Data(last.utf8).base64EncodedString())
            }
            write(page, query, showsOwner: call.query["fetch-owner"] == "true", &xml)
        }
        return ServiceResponse(xml: xml)
    }

    /// An empty token is as bad as a damaged one: Amazon S3 never gives one.
    private static func name(ofToken token: String) throws -> String {
        guard let data = Data(base64Encoded: token), !data.isEmpty,
            let name = String(validating: data, as: UTF8.self)
        else {
            throw S3Error.invalidArgument(
                "The continuation token provided is incorrect", name: "continuation-token", value: token)
        }
        return name
    }

    private func listCurrent(
        _ bucket: BucketName, _ query: ListingQuery, after: String
    ) throws -> ListingPage {
        guard query.limit > 0 else {
            _ = try store.bucket(bucket)
            return ListingPage(items: [], isTruncated: false)
        }
        return try store.listCurrent(
            bucket, prefix: query.prefix, delimiter: query.delimiter, after: after, limit: query.limit)
    }

    private func write(
        _ page: ListingPage, _ query: ListingQuery, showsOwner: Bool, _ xml: inout XMLWriter
    ) {
        for case .version(let version) in page.items {
            xml.element("Contents") { xml in
                xml.element("Key", query.name(version.key.rawValue))
                xml.element("LastModified", version.modified)
                xml.element("ETag", "\"\(version.etag)\"")
                Self.checksum(version, &xml)
                xml.element("Size", version.size)
                if showsOwner { Self.owner(version.owner, "", "Owner", &xml) }
                xml.element("StorageClass", version.storageClass)
            }
        }
        writePrefixes(page, query, &xml)
    }

    private func writePrefixes(_ page: ListingPage, _ query: ListingQuery, _ xml: inout XMLWriter) {
        for case .prefix(let prefix) in page.items {
            xml.element("CommonPrefixes") { $0.element("Prefix", query.name(prefix)) }
        }
    }

    private static func checksum(_ version: ListedVersion, _ xml: inout XMLWriter) {
        guard let checksum = version.checksum else { return }
        xml.element("ChecksumAlgorithm", checksum.algorithm.wireName)
        xml.element("ChecksumType", checksum.composite ? "COMPOSITE" : "FULL_OBJECT")
    }

    func listObjectVersions(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try call.bucket()
        let query = try ListingQuery(call, limitName: "max-keys")
        let keyMarker = call.query["key-marker"] ?? ""
        let versionMarker = call.query["version-id-marker"] ?? ""
        guard versionMarker.isEmpty || !keyMarker.isEmpty else {
            throw S3Error.invalidArgument(
                "A version-id marker cannot be specified without a key marker.",
                name: "version-id-marker", value: versionMarker)
        }
        let selector = VersionSelector(wire: versionMarker)
        guard versionMarker.isEmpty || selector != nil else {
            throw S3Error.invalidArgument(
                "Invalid version id specified", name: "version-id-marker", value: versionMarker)
        }
        _ = try store.bucket(bucket)
        let page =
            query.limit > 0
            ? try store.listVersions(
                bucket, prefix: query.prefix, delimiter: query.delimiter, keyMarker: keyMarker,
                versionMarker: selector, limit: query.limit)
            : ListingPage(items: [], isTruncated: false)
        let xml = XMLWriter("ListVersionsResult") { xml in
            xml.element("Name", bucket.rawValue)
            xml.element("Prefix", query.name(query.prefix))
            xml.element("KeyMarker", query.name(keyMarker))
            xml.element("VersionIdMarker", versionMarker)
            query.describe(bucket, limitElement: "MaxKeys", &xml)
            xml.element("IsTruncated", page.isTruncated)
            if page.isTruncated, let last = page.lastName {
                xml.element("NextKeyMarker", query.name(last))
                if case .version(let version) = page.items.last {
                    xml.element("NextVersionIdMarker", version.wireVersionID)
                }
            }
            for case .version(let version) in page.items { writeVersion(version, query, &xml) }
            writePrefixes(page, query, &xml)
        }
        return ServiceResponse(xml: xml)
    }

    private func writeVersion(_ version: ListedVersion, _ query: ListingQuery, _ xml: inout XMLWriter) {
        xml.element(version.isDeleteMarker ? "DeleteMarker" : "Version") { xml in
            xml.element("Key", query.name(version.key.rawValue))
            xml.element("VersionId", version.wireVersionID)
            xml.element("IsLatest", version.isLatest)
            xml.element("LastModified", version.modified)
            if !version.isDeleteMarker {
                xml.element("ETag", "\"\(version.etag)\"")
                Self.checksum(version, &xml)
                xml.element("Size", version.size)
            }
            Self.owner(version.owner, "", "Owner", &xml)
            if !version.isDeleteMarker { xml.element("StorageClass", version.storageClass) }
        }
    }

    func listMultipartUploads(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try call.bucket()
        let query = try ListingQuery(call, limitName: "max-uploads")
        let keyMarker = call.query["key-marker"] ?? ""
        let uploadMarker = call.query["upload-id-marker"] ?? ""
        _ = try store.bucket(bucket)
        let page =
            query.limit > 0
            ? try store.listUploads(
                bucket, prefix: query.prefix, delimiter: query.delimiter, keyMarker: keyMarker,
                uploadMarker: keyMarker.isEmpty ? nil : UploadID(uploadMarker), limit: query.limit)
            : UploadsPage(items: [], isTruncated: false)
        let xml = XMLWriter("ListMultipartUploadsResult") { xml in
            xml.element("Bucket", bucket.rawValue)
            xml.element("KeyMarker", query.name(keyMarker))
            xml.element("UploadIdMarker", uploadMarker)
            xml.element("Prefix", query.name(query.prefix))
            query.describe(bucket, limitElement: "MaxUploads", &xml)
            xml.element("IsTruncated", page.isTruncated)
            if page.isTruncated {
                switch page.items.last {
                case .upload(let upload):
                    xml.element("NextKeyMarker", query.name(upload.record.key))
                    xml.element("NextUploadIdMarker", upload.uploadID.description)
                case .prefix(let prefix): xml.element("NextKeyMarker", query.name(prefix))
                case nil: break
                }
            }
            for item in page.items {
                switch item {
                case .upload(let upload): writeUpload(upload, query, &xml)
                case .prefix(let prefix):
                    xml.element("CommonPrefixes") { $0.element("Prefix", query.name(prefix)) }
                }
            }
        }
        return ServiceResponse(xml: xml)
    }

    private func writeUpload(_ upload: MultipartUpload, _ query: ListingQuery, _ xml: inout XMLWriter) {
        xml.element("Upload") { xml in
            xml.element("Key", query.name(upload.record.key))
            xml.element("UploadId", upload.uploadID.description)
            Self.owner(upload.initiator.id, upload.initiator.name, "Initiator", &xml)
            Self.owner(upload.record.owner, upload.record.ownerDisplayName, "Owner", &xml)
            xml.element("StorageClass", upload.record.metadata.storageClass)
            xml.element("Initiated", upload.initiated)
            let algorithm = upload.record.checksumAlgorithm.wireName
            if !algorithm.isEmpty {
                xml.element("ChecksumAlgorithm", algorithm)
                xml.element("ChecksumType", upload.record.checksumComposite ? "COMPOSITE" : "FULL_OBJECT")
            }
        }
    }
}

extension ListingPage {
    /// What the next page begins behind.
    var lastName: String? {
        switch items.last {
        case .version(let version): version.key.rawValue
        case .prefix(let prefix): prefix
        case nil: nil
        }
    }
}
