import ObjectStore
import S3

/// Pieces that are all there. Its state belongs to the one task that asks.
final class PieceBody: RequestBody, @unchecked Sendable {
    private var pieces: [[UInt8]]

    init(_ pieces: [[UInt8]]) { self.pieces = pieces.reversed() }

    static func pieces(of body: [UInt8], _ step: Int) -> [[UInt8]] {
        stride(from: 0, to: body.count, by: step).map { Array(body[$0..<min($0 + step, body.count)]) }
    }

    func next() async throws -> (any ByteChunk)? { pieces.popLast() }
}
