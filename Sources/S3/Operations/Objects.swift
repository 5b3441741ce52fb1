import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    // MARK: Putting

    func putObject(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        let key = try call.key()
        var metadata = try ObjectMetadata.parse(call.headers)
        let claims = try BodyClaims(call.headers, call.payload)
        let place = try store.bucket(bucket)
        let versioning = place.versioning
        let owner = try settleAccess(&metadata, in: place, call)
        try lock(&metadata, in: place, hasDigest: claims.md5 != nil || claims.checksum != nil)
        // Without a checksum of the client's, Amazon S3 adds this one.
        let algorithm = claims.checksum?.algorithm ?? .crc64Nvme
        var target = UploadTarget(
            bucket: bucket, key: key, metadata: metadata, actor: call.actor, part: nil,
            expectedLength: claims.length, checksum: algorithm, owner: owner)
        target.bucketCreated = call.bucketCreated
        target.encryption = try encryption(call, in: place)
        let (upload, digests) = try await call.receive(claims, target, store)
        let checksums = digests.checksum.map { [EventChecksum(algorithm, $0)] } ?? []
        let step = call.watch?.begin(RequestWatch.Step.commit)
        do {
            let published = try await store.publish(
                upload, conditions: WriteConditions(call.headers), checksums: checksums)
            step?.end()
            var response = ServiceResponse(.ok, headers: [.eTag: "\"\(published.value.etag)\""])
            Self.showChecksums(of: published.value, in: &response.headers)
            if let encryption = target.encryption {
                showEncryption(encryption.record, call, in: &response.headers)
                response.headers[.amzEncryptionContext] = call.headers[.amzEncryptionContext]
            }
            if versioning != .off { response.headers[.amzVersionID] = published.value.wireVersionID }
            try showExpiration(of: published.value, in: place, &response.headers)
            response.stamp(published.commit)
            return response
        } catch {
            // What comes after the commit fails for other reasons, and has its own step.
            step?.fail(error)
            await upload.discard()
            throw error
        }
    }

    static func showChecksums(of version: ObjectVersion, in headers: inout HTTPFields) {
        for checksum in version.record.checksums where !checksum.algorithm.wireName.isEmpty {
            headers[checksum.algorithm.header] = checksum.text(partCount: version.record.pieces.count)
            headers[.amzChecksumType] = checksum.typeName
        }
    }

    // MARK: Getting

    func getObject(_ call: S3Call) throws -> ServiceResponse { try object(call, sendsBody: true) }
    func headObject(_ call: S3Call) throws -> ServiceResponse { try object(call, sendsBody: false) }

    private func object(_ call: S3Call, sendsBody: Bool) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let version = try call.watch.step(RequestWatch.Step.catalog) {
            try store.version(bucket.name, try call.key(), try call.version())
        }
        let dataKey = try dataKey(of: version, call, sendsBody: sendsBody)
        var headers = ObjectMetadata.headers(of: version, isVersioned: bucket.versioning != .off)
        if !call.query.has("versionId") { try showExpiration(of: version, in: bucket, &headers) }
        if version.record.hasEncryption { showEncryption(version.record.encryption, call, in: &headers) }
        switch ReadConditions(call.headers).check(version) {
        case .holds: break
        case .failed(let condition): throw StoreError.preconditionFailed(condition)
        case .notModified:
            headers[.contentType] = nil
            return ServiceResponse(.notModified, headers: headers)
        }
        try IntegrityHeader.show(version, of: store, in: &headers)
        let part = try call.number("partNumber", in: 1...Limits.partCount)
        let asked = call.headers[.range]
        let range: Range<UInt64>?
        if let part {
            guard asked == nil else {
                throw S3Error(
                    .invalidRequest, "Cannot specify both Range header and partNumber query parameter")
            }
            let found = try Self.range(ofPart: part, of: version, &headers)
            range = found.isEmpty ? nil : found  // no range of bytes has none in it
        } else {
            range = try ByteRange.parse(
                asked == nil ? nil : ReadConditions.range(call.headers, of: version), size: version.size)
        }
        let bytes = range ?? 0..<version.size
        if let range, !range.isEmpty {
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(version.size)"
        }
        if call.headers[.amzChecksumMode]?.uppercased() == "ENABLED" {
            Self.showChecksums(
                of: version, part: part, isWhole: bytes.count == version.size, in: &headers)
        }
        try Self.override(&headers, call)
        let length = UInt64(bytes.count)
        headers[.contentLength] = String(length)
        let body: ServiceResponse.Body =
            sendsBody && length > 0
            ? .object(store.reader(of: version, range: bytes, dataKey: dataKey), length: length) : .none
        return ServiceResponse(range == nil ? .ok : .partialContent, headers: headers, body: body)
    }

    private static func range(
        ofPart number: Int, of version: ObjectVersion, _ headers: inout HTTPFields
    ) throws -> Range<UInt64> {
        let parts = version.record.pieces.filter { $0.partNumber > 0 }
        guard !parts.isEmpty else {
            guard number == 1 else { throw noSuchPart(number) }
            return 0..<version.size
        }
        // Parts are counted from 1 in the order of the object, whatever numbers they were uploaded with.
        guard number <= parts.count else { throw noSuchPart(number) }
        headers[.amzPartsCount] = String(parts.count)
        let start = parts[..<(number - 1)].reduce(UInt64(0)) { $0 + $1.contentLength }
        return start..<start + parts[number - 1].contentLength
    }

    private static func noSuchPart(_ number: Int) -> S3Error {
        S3Error(
            S3ErrorCode("InvalidPartNumber", 416), "The requested partnumber is not satisfiable",
            details: [("PartNumberRequested", String(number))])
    }

    private static let overrides: [(item: String, name: HTTPField.Name)] = [
        ("response-content-type", .contentType), ("response-content-language", .contentLanguage),
        ("response-expires", .expires), ("response-cache-control", .cacheControl),
        ("response-content-disposition", .contentDisposition),
        ("response-content-encoding", .contentEncoding),
    ]

    private static func override(_ headers: inout HTTPFields, _ call: S3Call) throws {
        guard !call.query.items.isEmpty else { return }
        for (item, name) in overrides {
            guard let value = call.query[item] else { continue }
            guard !call.identity.isAnonymous else {
                throw S3Error(
                    .invalidRequest,
                    "Request specific response headers cannot be used for anonymous GET requests.")
            }
            guard HTTPField.isValidValue(value) else {
                throw S3Error.invalidArgument("\(item) is no header's value.", name: item, value: value)
            }
            headers[name] = value
        }
    }

    // MARK: Deleting

    func deleteObject(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        try checkBypass(call, in: bucket)
        let step = call.watch?.begin(RequestWatch.Step.commit)
        let deletion: Deletion
        do {
            deletion = try await store.delete(
                bucket, try call.key(), try call.version(),
                conditions: WriteConditions(deleting: call.headers),
                bypassesGovernance: call.bypassesGovernance, actor: call.actor)
            step?.end()
        } catch {
            step?.fail(error)
            throw error
        }
        var response = ServiceResponse(.noContent)
        if let version = deletion.versionID { response.headers[.amzVersionID] = version }
        if deletion.isDeleteMarker { response.headers[.amzDeleteMarker] = "true" }
        response.stamp(deletion.commit)
        return response
    }

    func deleteObjects(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try call.bucket()
        let checksum = try AnnouncedChecksum(call.headers)
        guard call.headers[.contentMD5] != nil || checksum != nil else {
            throw S3Error(
                .invalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        }
        try checkBypass(call, in: bucket)
        let document = try XMLElement.parse(try await document(call), root: "Delete")
        let objects = document.all("Object")
        guard objects.allSatisfy({ $0.child("Key") != nil }) else {
            throw S3Error.malformedDocument("an object has no key")
        }
        guard (1...1000).contains(objects.count) else {
            throw S3Error.malformedDocument("it names \(objects.count) objects, not 1 to 1000")
        }
        _ = try store.bucket(bucket)
        let isQuiet = document.value("Quiet") == "true"
        let step = call.watch?.begin(RequestWatch.Step.commit)
        let outcomes = await delete(objects, from: bucket, call)
        step?.end()
        if let trail = call.trail {
            for (object, outcome) in zip(objects, outcomes) {
                let told: S3Error? = if case .failure(let error) = outcome { S3Error(error) } else { nil }
                trail.deleted(
                    .init(
                        key: object.child("Key")?.text ?? "", versionID: object.value("VersionId"),
                        status: told?.code.status ?? 204, errorCode: told?.code.name))
            }
        }
        var last: Commit?
        let xml = XMLWriter("DeleteResult") { xml in
            for (object, outcome) in zip(objects, outcomes) {
                switch outcome {
                case .success(let deletion):
                    if last.map({ $0.sequence < deletion.commit.sequence }) ?? true { last = deletion.commit }
                    if !isQuiet { Self.write(deletion, of: object, &xml) }
                case .failure(let error): write(error, of: object, call, &xml)
                }
            }
        }
        var response = ServiceResponse(xml: xml)
        if let last { response.stamp(last) }
        return response
    }

    /// Deletes many keys, so many at a time that they share commits.
    private func delete(
        _ objects: [XMLElement], from bucket: BucketName, _ call: S3Call
    ) async -> [Result<Deletion, any Error>] {
        let width = 64
        var outcomes: [Result<Deletion, any Error>] = []
        outcomes.reserveCapacity(objects.count)
        for start in stride(from: 0, to: objects.count, by: width) {
            outcomes += await deleteTogether(
                Array(objects[start..<min(start + width, objects.count)]), from: bucket, call)
        }
        return outcomes
    }

    private func deleteTogether(
        _ objects: [XMLElement], from bucket: BucketName, _ call: S3Call
    ) async -> [Result<Deletion, any Error>] {
        await withTaskGroup { tasks in
            for (index, object) in objects.enumerated() {
                tasks.addTask { (index, await outcome(of: object, from: bucket, call)) }
            }
            var outcomes: [Int: Result<Deletion, any Error>] = [:]
            while let (index, outcome) = await tasks.next() { outcomes[index] = outcome }
            return objects.indices.compactMap { outcomes[$0] }
        }
    }

    private func outcome(
        of object: XMLElement, from bucket: BucketName, _ call: S3Call
    ) async -> Result<Deletion, any Error> {
        do { return .success(try await delete(object, from: bucket, call)) } catch { return .failure(error) }
    }

    private func delete(
        _ object: XMLElement, from bucket: BucketName, _ call: S3Call
    ) async throws -> Deletion {
        let text = object.child("Key")?.text ?? ""
        guard !text.isEmpty else {
            throw S3Error(S3ErrorCode("UserKeyMustBeSpecified", 400), "You must specify a key.")
        }
        let key = try S3Call.key(text)
        var selector = VersionSelector.current
        if let wire = object.value("VersionId"), !wire.isEmpty {
            guard let named = VersionSelector(wire: wire) else { throw StoreError.noSuchVersion(key, wire) }
            selector = named
        }
        try authorizeDeletion(of: key, selector, call)
        return try await store.delete(
            bucket, key, selector, conditions: try WriteConditions(deleting: object),
            bypassesGovernance: call.bypassesGovernance, actor: call.actor)
    }

    private static func write(_ deletion: Deletion, of object: XMLElement, _ xml: inout XMLWriter) {
        xml.element("Deleted") { xml in
            xml.element("Key", object.child("Key")?.text ?? "")
            let named = object.value("VersionId") ?? ""
            if !named.isEmpty { xml.element("VersionId", named) }
            if deletion.isDeleteMarker {
                xml.element("DeleteMarker", true)
                if let version = deletion.versionID { xml.element("DeleteMarkerVersionId", version) }
            }
        }
    }

    private func write(
        _ error: any Error, of object: XMLElement, _ call: S3Call, _ xml: inout XMLWriter
    ) {
        if S3Error.isFault(error) { onFault(call.requestID, "DeleteObjects", "\(error)") }
        let told = S3Error(error)
        xml.element("Error") { xml in
            xml.element("Key", object.child("Key")?.text ?? "")
            if let version = object.value("VersionId") { xml.element("VersionId", version) }
            xml.element("Code", told.code.name)
            xml.element("Message", told.message)
        }
    }
}
