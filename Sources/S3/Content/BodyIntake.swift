import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore

/// What a request announces of its body, and the check that it came so.
struct BodyClaims: Sendable {
    /// Bytes of the content, frames not counted; `nil` if not announced.
    let length: UInt64?
    let md5: [UInt8]?
    let sha256: [UInt8]?
    let checksum: AnnouncedChecksum?
    let payload: PayloadForm

    /// - Parameter checksumIsOfBody: whether `x-amz-checksum-*` speaks of the body; of a completion's it speaks of
    ///   the object.
    /// - Throws: `InvalidDigest`, `InvalidRequest`, `InvalidArgument` for a header that makes no sense.
    init(_ headers: HTTPFields, _ payload: PayloadForm, checksumIsOfBody: Bool = true) throws {
        self.payload = payload
        let name: HTTPField.Name = payload.isChunked ? .amzDecodedContentLength : .contentLength
        if let text = headers[name] {
            guard let value = UInt64(text) else {
                throw S3Error.invalidArgument(
                    "\(name.canonicalName) is no number of bytes.", name: name.canonicalName, value: text)
            }
            length = value
        } else {
            length = nil
        }
        if let text = headers[.contentMD5] {
            guard let data = Data(base64Encoded: text), data.count == 16 else {
                throw S3Error(
                    .invalidDigest, "The Content-MD5 you specified was invalid.",
                    details: [("Content-MD5", text)])
            }
            md5 = Array(data)
        } else {
            md5 = nil
        }
        if case .hash(let hash) = payload { sha256 = hash } else { sha256 = nil }
        checksum = checksumIsOfBody ? try AnnouncedChecksum(headers) : nil
    }

    /// The content of a request, without the frames it may stand in.
    func content(of body: any RequestBody) -> any RequestBody {
        guard case .chunks(let signer, let hasTrailer) = payload else { return body }
        return ChunkedBody(body, signer: signer, hasTrailer: hasTrailer)
    }

    /// - Throws: `IncompleteBody`, `XAmzContentSHA256Mismatch`, `BadDigest`.
    func check(_ digests: ContentDigests, trailers: [(name: String, value: String)]) throws {
        if let length, digests.length != length {
            throw S3Error(
                .incompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
                details: [("Announced", String(length)), ("Received", String(digests.length))])
        }
        if let sha256, sha256 != digests.sha256 {
            throw S3Error(
                .contentSHA256Mismatch,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                details: [
                    ("ClientComputedContentSHA256", sha256.hexadecimal),
                    ("S3ComputedContentSHA256", digests.sha256.hexadecimal),
                ])
        }
        if let md5, md5 != digests.md5 {
            throw S3Error(
                .badDigest, "The Content-MD5 you specified did not match what we received.",
                details: [
                    ("ExpectedDigest", Data(md5).base64EncodedString()),
                    ("CalculatedDigest", Data(digests.md5).base64EncodedString()),
                ])
        }
        guard let checksum else { return }
        var expected = checksum.value
        if expected == nil {
            let name = checksum.algorithm.header.canonicalName
            guard let text = trailers.first(where: { $0.name == name })?.value else {
                throw S3Error(
                    S3ErrorCode("MalformedTrailerError", 400),
                    "The request announced the trailing header \(name) and did not send it.")
            }
            expected = try AnnouncedChecksum.value(text, checksum.algorithm, name: name)
        }
        guard expected == digests.checksum else {
            throw S3Error(
                .badDigest,
                "The \(checksum.algorithm.wireName) you specified did not match the calculated checksum.")
        }
    }
}

extension S3Call {
    /// Streams the request's body to the store, checked against everything that the request says of it. The
    /// upload that comes back is finished and not yet published.
    func receive(
        _ claims: BodyClaims, _ target: UploadTarget, _ store: ObjectStore
    ) async throws -> (Upload, ContentDigests) {
        // The file of a form ends where its frame does.
        let isForm = if case .form = payload { true } else { false }
        guard let length = claims.length ?? (isForm ? Limits.uploadByteCount : nil) else {
            throw S3Error(.missingContentLength, "You must provide the Content-Length HTTP header.")
        }
        guard length <= Limits.uploadByteCount else {
            throw S3Error(
                .entityTooLarge, "Your proposed upload exceeds the maximum allowed size",
                details: [
                    ("ProposedSize", String(length)), ("MaxSizeAllowed", String(Limits.uploadByteCount)),
                ])
        }
        let upload = store.beginUpload(target)
        let step = watch?.begin(RequestWatch.Step.volumes)
        do {
            let content = claims.content(of: body)
            var received: UInt64 = 0
            while let chunk = try await content.next() {
                received += UInt64(chunk.count)
                guard received <= length else {
                    if isForm { throw StoreError.entityTooLarge(limit: length) }
                    throw S3Error(
                        .incompleteBody, "The body is longer than the \(length) bytes announced for it.")
                }
                try await upload.write(chunk)
            }
            guard received == length || isForm else {
                throw S3Error(
                    .incompleteBody,
                    "You did not provide the number of bytes specified by the Content-Length HTTP header",
                    details: [("Announced", String(length)), ("Received", String(received))])
            }
            let digests = try await upload.finish()
            try claims.check(digests, trailers: (content as? ChunkedBody)?.trailers ?? [])
            step?.end()
            return (upload, digests)
        } catch {
            step?.fail(error)
            await upload.discard()
            throw error
        }
    }

    /// The whole of a small body, an XML document, checked against everything that the request says of it.
    /// - Throws: `MaxMessageLengthExceeded` beyond 4 MiB.
    func document(checksumIsOfBody: Bool = true) async throws -> [UInt8] {
        if let readDocument { return readDocument }
        let limit = 4 * 1024 * 1024
        let claims = try BodyClaims(headers, payload, checksumIsOfBody: checksumIsOfBody)
        let content = claims.content(of: body)
        var bytes: [UInt8] = []
        while let chunk = try await content.next() {
            guard bytes.count + chunk.count <= limit else {
                throw S3Error(
                    .maxMessageLengthExceeded, "Your request was too big.",
                    details: [("MaxMessageLengthBytes", String(limit))])
            }
            chunk.withUnsafeBytes { bytes.append(contentsOf: $0) }
        }
        let digests = ContentDigests(
            length: UInt64(bytes.count), md5: MD5.hash(bytes), sha256: SHA256.hash(bytes),
            checksum: claims.checksum?.algorithm.digest(bytes))
        try claims.check(digests, trailers: (content as? ChunkedBody)?.trailers ?? [])
        return bytes
    }
}
