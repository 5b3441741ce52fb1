import Digests
import Model
import ObjectStore

/// The body of a form whose request is signed as any other is, in a header or in the query: what the signature says
/// of the body holds for all of it, that which stands around the file included.
final class SignedForm: RequestBody, @unchecked Sendable {
    // Its state belongs to the one task that asks.
    private let source: any RequestBody
    private let hash: [UInt8]?
    private var digest = SHA256()

    /// - Returns: `nil` for a request that says nothing of its body.
    init?(_ call: S3Call) {
        switch call.payload {
        case .unsigned, .form: return nil
        case .hash(let hash):
            self.hash = hash
            source = call.body
        case .chunks(let signer, let hasTrailer):
            hash = nil
            source = ChunkedBody(call.body, signer: signer, hasTrailer: hasTrailer)
        }
    }

    func next() async throws -> (any ByteChunk)? {
        guard let chunk = try await source.next() else { return nil }
        if hash != nil { chunk.withUnsafeBytes { digest.update($0) } }
        return chunk
    }

    /// Reads what stands behind the file.
    /// - Throws: `XAmzContentSHA256Mismatch`, and what the signatures of chunks throw.
    func finish() async throws {
        while try await next() != nil {}
        guard let hash else { return }
        let found = digest.finalize()
        guard hash == found else {
            throw S3Error(
                .contentSHA256Mismatch,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                details: [
                    ("ClientComputedContentSHA256", hash.hexadecimal),
                    ("S3ComputedContentSHA256", found.hexadecimal),
                ])
        }
    }
}
