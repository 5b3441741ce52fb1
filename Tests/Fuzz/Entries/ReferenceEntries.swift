import Catalog
import Integrity

/// An application's records, which must come to the same however the bytes arrive.
enum ReferenceEntries {
    private struct Outcome: Equatable {
        var rows: [ReferenceRow] = []
        var flaw: String?
    }

    /// The first byte says where to split.
    static func references(_ input: [UInt8]) throws {
        let step = Int(input.first ?? 0) % 17 + 1
        let text = Array(input.dropFirst())
        let whole = try read([text])
        let split = try read(PieceBody.pieces(of: text, step))
        try require(whole == split, "the same rows in pieces of \(step): \(whole), \(split)")
        try require(
            zip(whole.rows, whole.rows.dropFirst()).allSatisfy { $0.line < $1.line }, "a row has its own line"
        )
    }

    private static func read(_ pieces: [[UInt8]]) throws -> Outcome {
        var left = pieces.filter { !$0.isEmpty }.reversed().map { $0 }
        let reader = ReferenceReader(defaultBucket: "bucket") { _ in left.popLast() ?? [] }
        var outcome = Outcome()
        do {
            while let row = try reader.next() { outcome.rows.append(row) }
        } catch let flaw as ReferenceFlaw { outcome.flaw = flaw.description }
        return outcome
    }
}
