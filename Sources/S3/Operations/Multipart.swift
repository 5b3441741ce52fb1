import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore

/// The part that a request is about.
struct PartDestination {
    let bucket: BucketName
    let key: ObjectKey
    let upload: MultipartUpload
    let part: UploadTarget.Part
}

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func createMultipartUpload(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        let key = try call.key()
        var metadata = try ObjectMetadata.parse(call.headers)
        let place = try store.bucket(bucket)
        let owner = try settleAccess(&metadata, in: place, call)
        try lockUpload(metadata, in: place)
        let (algorithm, isComposite) = try checksumOfUpload(call.headers)
        let encryption = try encryption(call, in: place)
        let created = try await store.createUpload(
            bucket, key, metadata: metadata, checksumAlgorithm: algorithm, composite: isComposite,
            encryption: encryption?.record, actor: call.actor, owner: owner)
        let xml = XMLWriter("InitiateMultipartUploadResult") { xml in
            xml.element("Bucket", bucket.rawValue)
            xml.element("Key", key.rawValue)
            xml.element("UploadId", created.value.uploadID.description)
        }
        var response = ServiceResponse(xml: xml)
        if algorithm != .unspecified {
            response.headers[.amzChecksumAlgorithm] = algorithm.wireName
            response.headers[.amzChecksumType] = isComposite ? "COMPOSITE" : "FULL_OBJECT"
        }
        if let encryption {
            showEncryption(encryption.record, call, in: &response.headers)
            response.headers[.amzEncryptionContext] = call.headers[.amzEncryptionContext]
        }
        response.stamp(created.commit)
        return response
    }

    /// The algorithm asked for, and whether the object's checksum is to be made of its parts' checksums.
    private func checksumOfUpload(_ headers: HTTPFields) throws -> (EventChecksumAlgorithm, Bool) {
        guard let name = headers[.amzChecksumAlgorithm] else {
            guard headers[.amzChecksumType] == nil else {
                throw S3Error(
                    .invalidRequest,
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                )
            }
            return (.unspecified, false)
        }
        guard let algorithm = EventChecksumAlgorithm(wireName: name) else {
            throw S3Error(
                .invalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        }
        let standard = algorithm == .crc64Nvme ? "FULL_OBJECT" : "COMPOSITE"
        let type = headers[.amzChecksumType]?.uppercased() ?? standard
        switch type {
        case "COMPOSITE" where algorithm != .crc64Nvme: return (algorithm, true)
        case "FULL_OBJECT" where algorithm.combines: return (algorithm, false)
        default:
            throw S3Error(
                .invalidRequest,
                "The \(type) checksum type cannot be used with the \(algorithm.wireName.lowercased()) checksum algorithm."
            )
        }
    }

    /// The algorithm of a part's checksum: the upload's, or the one that came with the part, or what Amazon S3
    /// adds.
    static func partAlgorithm(
        _ upload: MultipartUpload, announced: AnnouncedChecksum?
    ) -> EventChecksumAlgorithm {
        if upload.record.checksumAlgorithm != .unspecified { return upload.record.checksumAlgorithm }
        return announced?.algorithm ?? .crc64Nvme
    }

    func part(_ call: S3Call) throws -> PartDestination {
        guard let number = try call.number("partNumber", in: 1...Limits.partCount) else {
            throw S3Error.invalidArgument(
                "Part number must be an integer between 1 and \(Limits.partCount), inclusive",
                name: "partNumber", value: "")
        }
        let bucket = try call.bucket()
        let key = try call.key()
        let id = try uploadID(call)
        let upload = try store.upload(bucket, key, id)
        return PartDestination(
            bucket: bucket, key: key, upload: upload, part: .init(uploadID: id, number: number))
    }

    private func uploadID(_ call: S3Call) throws -> UploadID {
        let text = call.query["uploadId"] ?? ""
        guard let id = UploadID(text) else {
            _ = try store.bucket(try call.bucket())
            throw S3Error(
                .noSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
                details: [("UploadId", text)])
        }
        return id
    }

    func uploadPart(_ call: S3Call) async throws -> ServiceResponse {
        let destination = try part(call)
        let claims = try BodyClaims(call.headers, call.payload)
        let algorithm = Self.partAlgorithm(destination.upload, announced: claims.checksum)
        if let announced = claims.checksum, announced.algorithm != algorithm {
            throw S3Error(
                .invalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: \(algorithm.wireName.lowercased()), actual checksum Type: \(announced.algorithm.wireName.lowercased())"
            )
        }
        var target = UploadTarget(
            bucket: destination.bucket, key: destination.key,
            metadata: destination.upload.record.metadata, actor: call.actor, part: destination.part,
            expectedLength: claims.length, checksum: algorithm,
            owner: ObjectOwner(
                id: destination.upload.record.owner,
                displayName: destination.upload.record.ownerDisplayName))
        target.encryption = try encryption(call, ofPartOf: destination.upload.record)
        let (upload, digests) = try await call.receive(claims, target, store)
        let step = call.watch?.begin(RequestWatch.Step.commit)
        do {
            let checksum = digests.checksum.map { EventChecksum(algorithm, $0) }
            let published = try await store.publishPart(upload, checksum: checksum)
            step?.end()
            var response = ServiceResponse(.ok, headers: [.eTag: "\"\(published.value.etag)\""])
            if let checksum { response.headers[algorithm.header] = checksum.text(partCount: 0) }
            if let encryption = target.encryption {
                showEncryption(encryption.record, call, in: &response.headers)
            }
            response.stamp(published.commit)
            return response
        } catch {
            step?.fail(error)
            await upload.discard()
            throw error
        }
    }

    func abortMultipartUpload(_ call: S3Call) async throws -> ServiceResponse {
        let commit = try await store.abortUpload(
            try call.bucket(), try call.key(), try uploadID(call), actor: call.actor)
        var response = ServiceResponse(.noContent)
        response.stamp(commit)
        return response
    }

    func listParts(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try call.bucket()
        let key = try call.key()
        let id = try uploadID(call)
        let upload = try store.upload(bucket, key, id)
        let query = try ListingQuery(call, limitName: "max-parts")
        let marker = try call.number("part-number-marker", in: 0...Int(Int32.max)) ?? 0
        let found = try store.parts(of: id, after: marker, limit: query.limit + 1)
        let parts = found.prefix(query.limit)
        let xml = XMLWriter("ListPartsResult") { xml in
            xml.element("Bucket", bucket.rawValue)
            xml.element("Key", query.name(key.rawValue))
            xml.element("UploadId", id.description)
            Self.owner(upload.initiator.id, upload.initiator.name, "Initiator", &xml)
            Self.owner(upload.record.owner, upload.record.ownerDisplayName, "Owner", &xml)
            xml.element("StorageClass", upload.record.metadata.storageClass)
            xml.element("PartNumberMarker", marker)
            xml.element("NextPartNumberMarker", parts.last?.number ?? marker)
            xml.element("MaxParts", query.limit)
            xml.element("IsTruncated", found.count > parts.count && query.limit > 0)
            let algorithm = upload.record.checksumAlgorithm.wireName
            if !algorithm.isEmpty {
                xml.element("ChecksumAlgorithm", algorithm)
                xml.element("ChecksumType", upload.record.checksumComposite ? "COMPOSITE" : "FULL_OBJECT")
            }
            for part in parts { Self.write(part, &xml) }
        }
        return ServiceResponse(xml: xml)
    }

    private static func write(_ part: UploadedPart, _ xml: inout XMLWriter) {
        xml.element("Part") { xml in
            xml.element("PartNumber", part.number)
            xml.element("LastModified", part.modified)
            xml.element("ETag", "\"\(part.etag)\"")
            xml.element("Size", part.piece.contentLength)
            if part.piece.hasChecksum {
                let checksum = part.piece.checksum
                xml.element(
                    named: "Checksum\(checksum.algorithm.wireName)", checksum.text(partCount: 0))
            }
        }
    }

    // MARK: Completing

    func completeMultipartUpload(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        let key = try call.key()
        let id = try uploadID(call)
        let document = try XMLElement.parse(
            try await document(call, checksumIsOfBody: false), root: "CompleteMultipartUpload")
        let named = try document.all("Part").map(NamedPart.init)
        guard (1...Limits.partCount).contains(named.count) else {
            throw S3Error.malformedDocument("it names \(named.count) parts")
        }
        let held = try store.bucket(bucket)
        let versioning = held.versioning
        let checksums = try checksums(bucket, key, id, named, call)
        let step = call.watch?.begin(RequestWatch.Step.commit)
        let completed: Committed<ObjectVersion>
        do {
            completed = try await store.completeUpload(
                bucket, key, id, parts: named.map { CompletedPart(number: $0.number, etag: $0.etag) },
                checksums: checksums, defaultRetention: try defaultRetention(in: held),
                conditions: WriteConditions(call.headers), actor: call.actor)
            step?.end()
        } catch {
            step?.fail(error)
            throw error
        }
        let xml = XMLWriter("CompleteMultipartUploadResult") { xml in
            xml.element("Location", "/\(bucket)/\(PercentEncoding.encode(key.rawValue, keepsSlash: true))")
            xml.element("Bucket", bucket.rawValue)
            xml.element("Key", key.rawValue)
            xml.element("ETag", "\"\(completed.value.etag)\"")
            Self.writeChecksums(of: completed.value, &xml)
        }
        var response = ServiceResponse(xml: xml)
        if versioning != .off { response.headers[.amzVersionID] = completed.value.wireVersionID }
        try showExpiration(of: completed.value, in: held, &response.headers)
        if completed.value.record.hasEncryption {
            showEncryption(completed.value.record.encryption, call, in: &response.headers)
        }
        response.stamp(completed.commit)
        return response
    }

    /// The checksums of the object that the parts make, checked against what the request says of it and of
    /// them. The commit checks the parts once more, by their ETags.
    private func checksums(
        _ bucket: BucketName, _ key: ObjectKey, _ id: UploadID, _ named: [NamedPart], _ call: S3Call
    ) throws -> [EventChecksum] {
        let upload: MultipartUpload
        do { upload = try store.upload(bucket, key, id) } catch StoreError.noSuchUpload {
            return []  // completed before, perhaps: the store tells
        }
        if upload.record.checksumComposite {
            let algorithm = upload.record.checksumAlgorithm
            for part in named where !part.checksums.contains(where: { $0.algorithm == algorithm }) {
                throw S3Error(
                    .invalidRequest,
                    "The upload was created using a \(algorithm.wireName.lowercased()) checksum. The complete request must include the checksum for each part. It was missing for part \(part.number) in the request."
                )
            }
        }
        // A completion need not bring the customer's key; one that it brings must be the upload's.
        if EncryptionRequest.isNamed(in: call.headers) {
            _ = try encryption(call, ofPartOf: upload.record)
        }
        let stored = Dictionary(
            uniqueKeysWithValues: try store.parts(of: id, after: 0, limit: Limits.partCount).map {
                ($0.number, $0)
            })
        var parts: [UploadedPart] = []
        for name in named {
            guard let part = stored[name.number], name.matches(part) else {
                throw StoreError.invalidPart(number: name.number)
            }
            parts.append(part)
        }
        let size = parts.reduce(UInt64(0)) { $0 + $1.piece.contentLength }
        if let text = call.headers[.amzObjectSize], text != String(size) {
            throw S3Error(
                .invalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was computed: \(size).")
        }
        let checksum = ObjectChecksum.combine(parts, upload.record)
        try check(call.headers, against: checksum, partCount: parts.count)
        return checksum.map { [$0] } ?? []
    }

    /// What a completion says of the object's checksum must be so; what cannot be checked is refused and not
    /// dropped.
    private func check(_ headers: HTTPFields, against checksum: EventChecksum?, partCount: Int) throws {
        if let type = headers[.amzChecksumType]?.uppercased(), type != checksum?.typeName {
            throw S3Error(
                .invalidRequest,
                "The upload was created using the \(checksum?.typeName ?? "no") checksum mode. The complete request must use the same checksum mode."
            )
        }
        for algorithm in EventChecksumAlgorithm.known {
            guard let expected = headers[algorithm.header] else { continue }
            guard let checksum, checksum.algorithm == algorithm else {
                let known = checksum?.algorithm.wireName ?? "no"
                throw S3Error(
                    .invalidRequest,
                    "Checksum Type mismatch occurred, expected checksum Type: \(known.lowercased()), actual checksum Type: \(algorithm.wireName.lowercased())"
                )
            }
            // Clients may leave out the count of parts.
            guard
                expected == checksum.text(partCount: partCount)
                    || expected == checksum.value.base64EncodedString()
            else {
                throw S3Error(
                    .badDigest,
                    "The \(algorithm.wireName) you specified did not match the calculated checksum.")
            }
        }
    }
}

/// A part as the body of a completion names it.
private struct NamedPart {
    let number: Int
    let etag: String
    let checksums: [(algorithm: EventChecksumAlgorithm, text: String)]

    init(_ element: XMLElement) throws {
        guard let text = element.value("PartNumber"), let number = Int(text),
            let etag = element.value("ETag")
        else {
            throw S3Error.malformedDocument
        }
        self.number = number
        self.etag = ETagCondition.tag(etag)
        checksums = EventChecksumAlgorithm.known.compactMap { algorithm in
            element.value("Checksum\(algorithm.wireName)").map { (algorithm, $0) }
        }
    }

    func matches(_ part: UploadedPart) -> Bool {
        checksums.allSatisfy {
            part.piece.hasChecksum && part.piece.checksum.algorithm == $0.algorithm
                && part.piece.checksum.text(partCount: 0) == $0.text
        }
    }
}
