import Foundation
import FuzzEntries
import TestSupport
import Testing

/// Each parser against its corpus, and against mutations of it: what a fuzzer once found stays found, and a few thousand
/// inputs more are tried with every run. `HOLDFAST_SEED` repeats one.
@Suite struct CorpusTests {
    private static let mutationCount = 3000
    /// Far more than an input takes, far less than a hang.
    private static let patience = Duration.seconds(5)

    private static func corpus(_ name: String) throws -> [[UInt8]] {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }
            .map { Array(try Data(contentsOf: $0)) }
    }

    @Test(arguments: FuzzEntry.all.map(\.name))
    func aParserRefusesWhatItCannotReadAndNeverFails(name: String) async throws {
        let entry = try #require(FuzzEntry.named(name))
        let corpus = try Self.corpus(name)
        try #require(!corpus.isEmpty)
        for input in corpus { try await Self.run(entry, input, "of the corpus") }
        let seed = SeededGenerator.seed(standard: UInt64.random(in: 0...UInt64.max))
        print("fuzz \(name): HOLDFAST_SEED=\(seed)")
        var mutator = Mutator(corpus: corpus, seed: seed)
        for _ in 0..<Self.mutationCount {
            try await Self.run(entry, mutator.next(), "HOLDFAST_SEED=\(seed)")
        }
    }

    private static func run(_ entry: FuzzEntry, _ input: [UInt8], _ origin: String) async throws {
        let start = ContinuousClock.now
        do { try await entry.run(input) } catch {
            let place = FileManager.default.temporaryDirectory.appending(path: "holdfast-fuzz-\(entry.name)")
            try Data(input).write(to: place)
            Issue.record("\(error) (\(origin), input in \(place.path))")
        }
        let taken = ContinuousClock.now - start
        #expect(taken < patience, "\(entry.name) took \(taken) for \(input.count) bytes (\(origin))")
    }
}
