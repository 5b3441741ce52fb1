import Digests
import Foundation
import Model
import S3

/// One version of an object, as a listing shows it.
package struct ListedObject: Sendable {
    package let key: String
    package let size: UInt64
    /// Without quotes.
    package let etag: String
    /// `nil` where the bucket keeps no versions.
    package let versionID: String?
    package let modified: Timestamp
    package let isLatest: Bool
    package let isDeleteMarker: Bool
    package let owner: String?
    /// The owner's display name, where the endpoint tells one.
    package let ownerName: String?

    package init(
        key: String, size: UInt64, etag: String, versionID: String?, modified: Timestamp,
        isLatest: Bool = true,
        isDeleteMarker: Bool = false, owner: String? = nil, ownerName: String? = nil
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.versionID = versionID
        self.modified = modified
        self.isLatest = isLatest
        self.isDeleteMarker = isDeleteMarker
        self.owner = owner
        self.ownerName = ownerName
    }
}

/// A page of a listing.
package struct ObjectPage: Sendable {
    /// Where a listing goes on.
    package enum Place: Sendable {
        case token(String)
        case behind(key: String, version: String)
    }

    package let objects: [ListedObject]
    /// `nil` at the end.
    package let next: Place?
}

/// How an object is locked when it is written.
struct ObjectLock: Sendable {
    let mode: S3Location.LockMode
    let days: Int

    var headers: [(name: String, value: String)] {
        let until = Timestamp(microseconds: Timestamp.now().microseconds + UInt64(days) * 86_400_000_000)
        return [
            ("x-amz-object-lock-mode", mode.rawValue),
            ("x-amz-object-lock-retain-until-date", until.description),
        ]
    }
}

extension S3Client {
    /// Objects up to this size go up in one request.
    static let singleByteCount = 16 * 1024 * 1024
    /// Bytes of a part of a larger one: what an upload holds in memory.
    static let partByteCount = 8 * 1024 * 1024

    // MARK: Listing

    /// Every version of every object below a prefix, delete markers too; what is there now where the endpoint tells
    /// no versions.
    /// - Parameter page: called with each page.
    package func list(
        _ prefix: String, versions: Bool, _ page: ([ListedObject]) throws -> Void
    ) throws {
        var hasVersions = versions
        var place: ObjectPage.Place?
        while true {
            let found: ObjectPage
            do { found = try list(prefix, versions: hasVersions, from: place) } catch {
                guard hasVersions, place == nil, error.isOfNoVersions else { throw error }
                hasVersions = false
                continue
            }
            try page(found.objects)
            guard let next = found.next else { return }
            place = next
        }
    }

    /// One page of what is below a prefix, in the order of keys; the versions of a key newest first.
    /// - Parameter place: where the page before ended; `nil` for the first.
    package func list(
        _ prefix: String, versions: Bool, from place: ObjectPage.Place?
    ) throws(S3ClientError) -> ObjectPage {
        var query = [("prefix", prefix), ("encoding-type", "url"), ("max-keys", "1000")]
        query += versions ? [("versions", "")] : [("list-type", "2"), ("fetch-owner", "true")]
        switch place {
        case .token(let token): query.append(("continuation-token", token))
        case .behind(let key, let version): query += [("key-marker", key), ("version-id-marker", version)]
        case nil: break
        }
        let response = try send(S3Request("GET", query: query.map { (name: $0.0, value: $0.1) }))
        let root = versions ? "ListVersionsResult" : "ListBucketResult"
        let document = try parsed(response, root, "GET", nil)
        let objects = document.children.compactMap { element -> ListedObject? in
            switch element.name {
            case "Version", "DeleteMarker": Self.object(element, isVersion: true)
            case "Contents": Self.object(element, isVersion: false)
            default: nil
            }
        }
        guard document.value("IsTruncated") == "true" else { return ObjectPage(objects: objects, next: nil) }
        if let token = document.value("NextContinuationToken") {
            return ObjectPage(objects: objects, next: .token(token))
        }
        guard let key = document.value("NextKeyMarker") else {
            throw S3ClientError(
                method: "GET", place: self.place(nil), status: response.status, code: "",
                message: "the listing is cut off, and does not say where it goes on", attempts: 1)
        }
        return ObjectPage(
            objects: objects,
            next: .behind(
                key: PercentEncoding.decode(key, plusIsSpace: true) ?? key,
                version: document.value("NextVersionIdMarker") ?? ""))
    }

    private static func object(_ element: XMLElement, isVersion: Bool) -> ListedObject? {
        guard let raw = element.child("Key")?.text,
            let key = PercentEncoding.decode(raw, plusIsSpace: true)
        else { return nil }
        let version = element.value("VersionId")
        return ListedObject(
            key: key, size: element.value("Size").flatMap(UInt64.init) ?? 0,
            etag: unquoted(element.value("ETag") ?? ""),
            versionID: isVersion && version != "null" ? version : nil,
            modified: time(element.value("LastModified") ?? ""),
            isLatest: isVersion ? element.value("IsLatest") == "true" : true,
            isDeleteMarker: element.name == "DeleteMarker", owner: element.child("Owner")?.value("ID"),
            ownerName: element.child("Owner")?.value("DisplayName"))
    }

    /// Of `2026-01-31T08:00:00.123Z`, to the second; times without a zone are UTC.
    static func time(_ text: String) -> Timestamp {
        let whole = text.split(separator: ".")[safe: 0].map { $0.hasSuffix("Z") ? String($0) : "\($0)Z" }
        return Timestamp(microseconds: (whole.flatMap(HTTPDate.seconds) ?? 0) * 1_000_000)
    }

    package static func unquoted(_ etag: String) -> String {
        etag.hasPrefix("\"") && etag.hasSuffix("\"") && etag.utf8.count > 1
            ? String(etag.dropFirst().dropLast()) : etag
    }

    func parsed(
        _ response: S3Response, _ root: String, _ method: String, _ key: String?
    ) throws(S3ClientError) -> XMLElement {
        do { return try XMLElement.parse(response.body, root: root) } catch {
            throw S3ClientError(
                method: method, place: place(key), status: response.status, code: "",
                message: "the answer is no \(root)", attempts: 1)
        }
    }

    // MARK: Reading

    /// - Parameter etag: the object's, which must not have changed.
    package func read(
        _ key: String, version: String?, etag: String, _ range: Range<UInt64>
    ) throws(S3ClientError) -> [UInt8] {
        guard !range.isEmpty else { return [] }
        let response = try send(
            S3Request(
                "GET", key, query: version.map { [(name: "versionId", value: $0)] } ?? [],
                headers: [
                    ("if-match", "\"\(etag)\""),
                    ("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"),
                ]))
        guard response.body.count == range.count else {
            throw S3ClientError(
                method: "GET", place: place(key), status: response.status, code: "",
                message: "\(response.body.count) bytes came of \(range.count) asked for", attempts: 1)
        }
        return response.body
    }

    /// - Parameter part: of an object made of parts, from 1: the answer tells of that part alone, and how many there are.
    package func head(
        _ key: String, version: String?, part: Int? = nil
    ) throws(S3ClientError) -> S3Response {
        var query: [(name: String, value: String)] = version.map { [(name: "versionId", value: $0)] } ?? []
        if let part { query.append((name: "partNumber", value: String(part))) }
        return try send(
            S3Request("HEAD", key, query: query, headers: [("x-amz-checksum-mode", "ENABLED")]))
    }

    /// A whole object, small enough for memory, with all that is told of it.
    /// - Parameter etag: the object's, which must not have changed.
    package func get(_ key: String, version: String?, etag: String) throws(S3ClientError) -> S3Response {
        try send(
            S3Request(
                "GET", key, query: version.map { [(name: "versionId", value: $0)] } ?? [],
                headers: [("if-match", "\"\(etag)\""), ("x-amz-checksum-mode", "ENABLED")]))
    }

    package func tags(_ key: String, version: String?) throws -> [String: String] {
        var query = [(name: "tagging", value: "")]
        if let version { query.append((name: "versionId", value: version)) }
        let response = try send(S3Request("GET", key, query: query))
        return try TagSet(try parsed(response, "Tagging", "GET", key), of: .object).byKey
    }

    // MARK: Writing

    /// What became of an upload.
    struct Uploaded {
        let etag: String
        let versionID: String?
    }

    /// Puts an object, in parts if it is large.
    /// - Parameter read: gives the bytes of a range; called again where a request is made again.
    func put(
        _ key: String, size: UInt64, lock: ObjectLock?, read: (Range<UInt64>) throws -> [UInt8]
    ) throws -> Uploaded {
        guard size > UInt64(Self.singleByteCount) else {
            let bytes = try read(0..<size)
            let response = try send(
                S3Request(
                    "PUT", key, headers: Self.digestHeaders(bytes) + (lock?.headers ?? []), body: bytes))
            return uploaded(response)
        }
        return try putParts(key, size: size, lock: lock, read: read)
    }

    static func digestHeaders(_ bytes: [UInt8]) -> [(name: String, value: String)] {
        [
            ("content-md5", Data(MD5.hash(bytes)).base64EncodedString()),
            ("content-type", "application/octet-stream"),
            ("x-amz-checksum-sha256", Data(SHA256.hash(bytes)).base64EncodedString()),
        ]
    }

    private func uploaded(_ response: S3Response) -> Uploaded {
        let version = response.header("x-amz-version-id")
        return Uploaded(
            etag: Self.unquoted(response.header("etag") ?? ""), versionID: version == "null" ? nil : version)
    }

    private func putParts(
        _ key: String, size: UInt64, lock: ObjectLock?, read: (Range<UInt64>) throws -> [UInt8]
    ) throws -> Uploaded {
        let begun = try send(
            S3Request(
                "POST", key, query: [("uploads", "")],
                headers: [
                    ("content-type", "application/octet-stream"), ("x-amz-checksum-algorithm", "SHA256"),
                ] + (lock?.headers ?? [])))
        guard
            let id = try parsed(begun, "InitiateMultipartUploadResult", "POST", key).value("UploadId")
        else {
            throw S3ClientError(
                method: "POST", place: place(key), status: begun.status, code: "",
                message: "the upload that was begun has no id", attempts: 1)
        }
        do {
            return try finishParts(key, id, size: size, read: read)
        } catch {
            // What is left of it would be paid for. That it failed is told by the error that led here.
            do { _ = try send(S3Request("DELETE", key, query: [("uploadId", id)])) } catch {
                throw S3ClientError(
                    method: "DELETE", place: place(key), status: error.status, code: error.code,
                    message: "an upload failed, and its parts could not be removed: \(error.message)",
                    attempts: error.attempts)
            }
            throw error
        }
    }

    private func finishParts(
        _ key: String, _ id: String, size: UInt64, read: (Range<UInt64>) throws -> [UInt8]
    ) throws -> Uploaded {
        // At most 10,000 parts.
        let step = max(UInt64(Self.partByteCount), (size + 9_999) / 10_000)
        var body = "<CompleteMultipartUpload>"
        var digests: [UInt8] = []
        var number = 0
        for start in stride(from: 0, to: size, by: UInt64.Stride(step)) {
            number += 1
            let bytes = try read(start..<min(size, start + step))
            let headers = Self.digestHeaders(bytes).filter { $0.name != "content-type" }
            let response = try send(
                S3Request(
                    "PUT", key, query: [("partNumber", String(number)), ("uploadId", id)], headers: headers,
                    body: bytes))
            let checksum = headers.first { $0.name == "x-amz-checksum-sha256" }?.value ?? ""
            body +=
                "<Part><PartNumber>\(number)</PartNumber><ETag>\(response.header("etag") ?? "")</ETag><ChecksumSHA256>\(checksum)</ChecksumSHA256></Part>"
            digests += MD5.hash(bytes)
        }
        body += "</CompleteMultipartUpload>"
        do throws(S3ClientError) {
            let response = try send(
                S3Request("POST", key, query: [("uploadId", id)], body: Array(body.utf8)))
            let document = try parsed(response, "CompleteMultipartUploadResult", "POST", key)
            let version = response.header("x-amz-version-id")
            return Uploaded(
                etag: Self.unquoted(document.value("ETag") ?? ""),
                versionID: version == "null" ? nil : version)
        } catch {
            guard error.code == "NoSuchUpload" else { throw error }
            // The answer to an earlier attempt may have been lost: then the object is there.
            let found = try head(key, version: nil)
            let outcome = uploaded(found)
            guard outcome.etag == "\(MD5.hash(digests).hexadecimal)-\(number)" else { throw error }
            return outcome
        }
    }

    /// Removes one version of an object for good; where the bucket keeps none, the object.
    func delete(_ key: String, version: String?) throws(S3ClientError) {
        _ = try send(
            S3Request("DELETE", key, query: version.map { [(name: "versionId", value: $0)] } ?? []))
    }

    func copy(
        _ key: String, version: String?, to target: String, lock: ObjectLock?
    ) throws(S3ClientError) -> Uploaded {
        var source =
            "/" + PercentEncoding.encode(location.bucket, keepsSlash: false) + "/"
            + PercentEncoding.encode(key, keepsSlash: true)
        if let version { source += "?versionId=" + PercentEncoding.encode(version, keepsSlash: false) }
        let response = try send(
            S3Request("PUT", target, headers: [("x-amz-copy-source", source)] + (lock?.headers ?? [])))
        let document = try parsed(response, "CopyObjectResult", "PUT", target)
        let version = response.header("x-amz-version-id")
        return Uploaded(
            etag: Self.unquoted(document.value("ETag") ?? ""), versionID: version == "null" ? nil : version)
    }

    // MARK: Locks

    /// How the bucket locks objects: not at all, those that ask for it, or all by a rule of its own.
    enum BucketLock { case none, onRequest, byRule }

    func bucketLock() throws(S3ClientError) -> BucketLock {
        let response: S3Response
        do { response = try send(S3Request("GET", query: [("object-lock", "")])) } catch {
            // S3 answers 404 where there is no lock; other endpoints that know none answer 400, 405 or 501.
            if error.code == "ObjectLockConfigurationNotFoundError" || error.code == "NotImplemented"
                || [400, 404, 405, 501].contains(error.status) && error.code != "NoSuchBucket"
            {
                return .none
            }
            throw error
        }
        let document = try parsed(response, "ObjectLockConfiguration", "GET", nil)
        guard document.value("ObjectLockEnabled") == "Enabled" else { return .none }
        return document.child("Rule") == nil ? .onRequest : .byRule
    }

    /// Until when a version is locked; `nil` if it is not. A legal hold has no end.
    func retention(_ key: String, version: String?) throws(S3ClientError) -> String? {
        let found = try head(key, version: version)
        if found.header("x-amz-object-lock-legal-hold") == "ON" { return "the legal hold on it ends" }
        guard let until = found.header("x-amz-object-lock-retain-until-date"),
            Self.time(until) > .now()
        else { return nil }
        return until
    }

    /// Locks a version for longer; never for less.
    func extendRetention(_ key: String, version: String?, _ lock: ObjectLock) throws(S3ClientError) {
        let until = lock.headers[1].value
        let body = Array(
            "<Retention><Mode>\(lock.mode.rawValue)</Mode><RetainUntilDate>\(until)</RetainUntilDate></Retention>"
                .utf8)
        var query = [(name: "retention", value: "")]
        if let version { query.append((name: "versionId", value: version)) }
        _ = try send(
            S3Request(
                "PUT", key, query: query,
                headers: [("content-md5", Data(MD5.hash(body)).base64EncodedString())], body: body))
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
