import Foundation
import Model
import ObjectStore
import S3

/// Forms of browsers, which must come to the same however the bytes arrive, and the policies in them.
enum FormEntries {
    private struct Outcome: Equatable {
        var fileName: String?
        var content: [UInt8] = []
        var code: String?
    }

    /// The first byte says where to split.
    static func form(_ input: [UInt8]) async throws {
        let step = Int(input.first ?? 0) % 17 + 1
        let body = Array(input.dropFirst())
        let whole = await read([body])
        let split = await read(PieceBody.pieces(of: body, step))
        try require(
            whole.code == split.code, "\(whole.code ?? "good") whole, \(split.code ?? "good") in pieces")
        try require(whole.code != nil || whole == split, "the same content in pieces of \(step)")
        try require(whole.content.count <= body.count, "no more comes out than went in")
        try require(whole.code != "InternalError", "an error of the client's")
    }

    private static func read(_ pieces: [[UInt8]]) async -> Outcome {
        var outcome = Outcome()
        do {
            let reader = try FormReader(PieceBody(pieces), contentType: "multipart/form-data; boundary=b")
            let fields = try await reader.fields()
            outcome.fileName = fields.fileName
            _ = try fields.headers()
            while let chunk = try await reader.next() {
                chunk.withUnsafeBytes { outcome.content.append(contentsOf: $0) }
            }
        } catch { outcome.code = (error as? S3Error)?.code.name ?? "InternalError" }
        return outcome
    }

    /// The document, before it is base64.
    static func postPolicy(_ input: [UInt8]) throws {
        let policy = try PostPolicy(base64: Data(input).base64EncodedString())
        _ = try policy.check(
            FormFields(), bucket: "examplebucket", now: Timestamp(microseconds: 1_400_000_000_000_000))
    }
}
