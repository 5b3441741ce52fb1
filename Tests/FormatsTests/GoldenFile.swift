import Foundation
import Testing

/// A file in `Fixtures/` that stands for a format: it is read to values that are known, and what is written
/// today is the same to the byte.
///
/// `Scripts/make-fixtures` sets `HOLDFAST_MAKE_FIXTURES`; then it is written instead of compared.
struct GoldenFile {
    let name: String

    private var url: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)")
    }

    static var isBeingMade: Bool { ProcessInfo.processInfo.environment["HOLDFAST_MAKE_FIXTURES"] != nil }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: url)) }

    /// What is written today is what was written when the format was made.
    func expect(_ written: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) throws {
        if Self.isBeingMade {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(written).write(to: url)
        }
        let golden = try bytes()
        let difference = zip(golden, written).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        #expect(
            golden == written,
            "\(name): \(golden.count) and \(written.count) bytes, first different at \(difference ?? min(golden.count, written.count))",
            sourceLocation: sourceLocation)
    }
}
