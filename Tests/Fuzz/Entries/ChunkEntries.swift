import Digests
import ObjectStore
import S3

/// The framing of `aws-chunked` bodies, which must come to the same however the bytes arrive.
enum ChunkEntries {
    private struct Outcome: Equatable {
        var content: [UInt8] = []
        var trailers: [String] = []
        var code: String?
    }

    /// The first byte says where to split, the second whether there is a trailer.
    static func chunks(_ input: [UInt8]) async throws { try await compare(input, signer: nil) }

    static func signedChunks(_ input: [UInt8]) async throws {
        let signer = ChunkSigner(
            key: Array("key".utf8), time: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request",
            seed: String(repeating: "0", count: 64))
        try await compare(input, signer: signer)
    }

    private static func compare(_ input: [UInt8], signer: ChunkSigner?) async throws {
        let step = Int(input.first ?? 0) % 17 + 1
        let hasTrailer = input.dropFirst().first.map { $0 & 1 == 1 } ?? false
        let body = Array(input.dropFirst(2))
        let whole = await read([body], signer, hasTrailer)
        let split = await read(PieceBody.pieces(of: body, step), signer, hasTrailer)
        try require(
            whole.code == split.code, "\(whole.code ?? "good") whole, \(split.code ?? "good") in pieces")
        try require(whole.content.count <= body.count, "no more comes out than went in")
        // A body that is refused may have handed out more before, or less.
        try require(whole.code != nil || whole == split, "the same content in pieces of \(step)")
        try require(whole.code != "InternalError", "an error of the client's")
    }

    private static func read(_ pieces: [[UInt8]], _ signer: ChunkSigner?, _ hasTrailer: Bool) async -> Outcome
    {
        let body = ChunkedBody(PieceBody(pieces), signer: signer, hasTrailer: hasTrailer)
        var outcome = Outcome()
        do {
            while let chunk = try await body.next() {
                chunk.withUnsafeBytes { outcome.content.append(contentsOf: $0) }
            }
            outcome.trailers = body.trailers.map { "\($0.name)=\($0.value)" }
        } catch { outcome.code = (error as? S3Error)?.code.name ?? "InternalError" }
        return outcome
    }
}
