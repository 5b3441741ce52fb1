import Foundation
import HTTPTypes
import Model
import ObjectStore

/// What `x-amz-copy-source` names.
package struct CopySource {
    package let bucket: BucketName
    package let key: ObjectKey
    package let version: VersionSelector

    /// `[/]bucket/key[?versionId=…]`, percent-encoded.
    /// - Throws: `InvalidArgument`.
    init(_ call: S3Call) throws { try self.init(header: call.headers[.amzCopySource] ?? "") }

    package init(header text: String) throws {
        let malformed = S3Error.invalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            name: "x-amz-copy-source", value: text)
        var path = text[...]
        var wire: String?
        if let mark = text.range(of: "?versionId=") {
            path = text[..<mark.lowerBound]
            wire = String(text[mark.upperBound...])
        }
        guard let decoded = PercentEncoding.decode(path, plusIsSpace: false) else { throw malformed }
        guard !decoded.hasPrefix("arn:") else {
            throw S3Error.notImplemented("Copying from an access point (header x-amz-copy-source)")
        }
        let rest = decoded.hasPrefix("/") ? decoded.dropFirst() : decoded[...]
        guard let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")),
            let bucket = try? BucketName(String(rest[..<slash])),
            let key = try? ObjectKey(String(rest[rest.utf8.index(after: slash)...]))
        else { throw malformed }
        self.bucket = bucket
        self.key = key
        guard let wire else {
            version = .current
            return
        }
        guard let selector = VersionSelector(wire: wire) else {
            throw S3Error.invalidArgument(
                "Invalid version id specified", name: "x-amz-copy-source", value: wire)
        }
        version = selector
    }
}

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    /// The version to copy from, with the request's conditions on it checked.
    private func source(_ call: S3Call) throws -> (version: ObjectVersion, isVersioned: Bool) {
        let source = try CopySource(call)
        let bucket = try store.bucket(source.bucket)
        let version: ObjectVersion
        do { version = try store.version(source.bucket, source.key, source.version) } catch StoreError
            .isDeleteMarker
        {
            throw S3Error(
                .invalidRequest,
                "The source of a copy request may not specifically refer to a delete marker by version id."
            )
        }
        call.trail?.found(size: version.size)
        guard case .holds = ReadConditions(copySource: call.headers).check(version) else {
            throw StoreError.preconditionFailed("x-amz-copy-source-If-*")
        }
        return (version, bucket.versioning != .off)
    }

    func copyObject(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        let key = try call.key()
        let (source, isVersioned) = try source(call)
        guard source.size <= Limits.uploadByteCount else {
            throw S3Error(
                .invalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: \(Limits.uploadByteCount)"
            )
        }
        var metadata = try metadata(of: source, isVersioned: isVersioned, to: bucket, key, call)
        VersionLock.clear(&metadata)
        try VersionLock.read(call.headers, into: &metadata)
        let place = try store.bucket(bucket)
        let versioning = place.versioning
        let owner = try settleAccess(&metadata, in: place, call)
        try lock(&metadata, in: place, hasDigest: nil)
        let encryption = try encryption(call, in: place)
        let copied = try await copy(
            source, to: bucket, key, metadata: metadata, checksums: checksums(ofCopyOf: source, call),
            encryption: encryption, owner: owner, call)
        let xml = XMLWriter("CopyObjectResult") { xml in
            xml.element("LastModified", copied.value.published)
            xml.element("ETag", "\"\(copied.value.etag)\"")
            Self.writeChecksums(of: copied.value, &xml)
        }
        var response = ServiceResponse(xml: xml)
        if versioning != .off { response.headers[.amzVersionID] = copied.value.wireVersionID }
        if isVersioned { response.headers[.amzCopySourceVersionID] = source.wireVersionID }
        try showExpiration(of: copied.value, in: place, &response.headers)
        if let encryption {
            showEncryption(encryption.record, call, in: &response.headers)
            response.headers[.amzEncryptionContext] = call.headers[.amzEncryptionContext]
        }
        response.stamp(copied.commit)
        return response
    }

    private func metadata(
        of source: ObjectVersion, isVersioned: Bool, to bucket: BucketName, _ key: ObjectKey, _ call: S3Call
    ) throws -> EventMetadata {
        let directives = try CopyDirectives(call.headers)
        let isItself = source.record.bucket == bucket.rawValue && source.key.utf8.elementsEqual(key.utf8)
        // A version that is named comes back as the current one: that is how an older one is restored.
        let restores = isVersioned && call.headers[.amzCopySource]?.contains("?versionId=") == true
        guard !isItself || restores || directives.changesItself(call.headers) else {
            throw S3Error(
                .invalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            )
        }
        return directives.metadata(
            copying: source.record.metadata, given: try ObjectMetadata.parse(call.headers))
    }

    static func writeChecksums(of version: ObjectVersion, _ xml: inout XMLWriter) {
        for checksum in version.record.checksums where !checksum.algorithm.wireName.isEmpty {
            xml.element(
                named: "Checksum\(checksum.algorithm.wireName)",
                checksum.text(partCount: version.record.pieces.count))
            xml.element("ChecksumType", checksum.typeName)
        }
    }

    /// A part whose bytes are read from an object, verified and written anew: it need not begin where a blob
    /// does.
    func uploadPartCopy(_ call: S3Call) async throws -> ServiceResponse {
        let (source, isVersioned) = try source(call)
        let destination = try part(call)
        let range = try copyRange(call.headers[.amzCopySourceRange], size: source.size)
        guard UInt64(range.count) <= Limits.uploadByteCount else {
            throw StoreError.entityTooLarge(limit: Limits.uploadByteCount)
        }
        let algorithm = Self.partAlgorithm(destination.upload, announced: nil)
        let sourceKey = try dataKey(of: source, call, isCopySource: true)
        var target = UploadTarget(
            bucket: destination.bucket, key: destination.key,
            metadata: destination.upload.record.metadata, actor: call.actor, part: destination.part,
            expectedLength: UInt64(range.count), checksum: algorithm)
        target.encryption = try encryption(call, ofPartOf: destination.upload.record)
        let upload = store.beginUpload(target)
        do {
            let reader = store.reader(of: source, range: range, dataKey: sourceKey)
            while reader.remaining > 0 { try await upload.write(try await Self.piece(of: reader)) }
            let digests = try await upload.finish()
            let checksum = digests.checksum.map { EventChecksum(algorithm, $0) }
            let published = try await store.publishPart(upload, checksum: checksum)
            let xml = XMLWriter("CopyPartResult") { xml in
                xml.element("LastModified", published.value.modified)
                xml.element("ETag", "\"\(published.value.etag)\"")
                if let checksum {
                    xml.element(named: "Checksum\(algorithm.wireName)", checksum.text(partCount: 0))
                }
            }
            var response = ServiceResponse(xml: xml)
            if isVersioned { response.headers[.amzCopySourceVersionID] = source.wireVersionID }
            if let encryption = target.encryption {
                showEncryption(encryption.record, call, in: &response.headers)
            }
            response.stamp(published.commit)
            return response
        } catch {
            await upload.discard()
            throw error
        }
    }

    static func piece(of reader: ObjectReader) async throws -> [UInt8] {
        let piece = PieceBuffer(count: Int(min(reader.remaining, 1024 * 1024)))
        let count = try await reader.read(into: piece.bytes)
        return Array(piece.bytes[0..<count])
    }

    private func copyRange(_ header: String?, size: UInt64) throws -> Range<UInt64> {
        guard let header else { return 0..<size }
        let halves =
            header.hasPrefix("bytes=")
            ? header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false) : []
        guard halves.count == 2, halves.joined().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let first = UInt64(halves[0]), let last = UInt64(halves[1]), first <= last
        else {
            throw S3Error.invalidArgument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
                name: "x-amz-copy-source-range", value: header)
        }
        guard last < size else {
            throw S3Error.invalidArgument(
                "Range specified is not valid for source object of size: \(size)",
                name: "x-amz-copy-source-range", value: header)
        }
        return first..<last + 1
    }
}

/// Memory that lives across suspensions.
private final class PieceBuffer: @unchecked Sendable {  // raw memory of the one task that made it
    let bytes: UnsafeMutableRawBufferPointer
    init(count: Int) { bytes = .allocate(byteCount: count, alignment: 4096) }
    deinit { bytes.deallocate() }
}
