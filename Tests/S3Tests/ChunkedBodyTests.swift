import Digests
import Foundation
import Model
import ObjectStore
import S3
import Testing

/// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
/// Multiple Chunks" and "… Including Trailing Headers": the signatures are those that AWS publishes.
@Suite struct ChunkedBodyTests {
    private static func signer(_ seed: String) -> ChunkSigner {
        ChunkSigner(key: Signer().key, time: Signer().time, scope: Signer().scope, seed: seed)
    }

    private static let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    private static let trailerSeed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"

    private static func chunk(_ size: String, _ signature: String, _ data: [UInt8]) -> [UInt8] {
        Array("\(size);chunk-signature=\(signature)\r\n".utf8) + data + Array("\r\n".utf8)
    }

    private static let exampleContent = [UInt8](repeating: UInt8(ascii: "a"), count: 66_560)
    private static let example =
        chunk(
            "10000", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            Array(exampleContent[..<65_536]))
        + chunk(
            "400", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            Array(exampleContent[65_536...]))
        + chunk("0", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", [])

    private static let trailerExample =
        chunk(
            "10000", "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            Array(exampleContent[..<65_536]))
        + chunk(
            "400", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            Array(exampleContent[65_536...]))
        + Array(
            ("0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
                + "x-amz-checksum-crc32c:sOO8/Q==\r\n"
                + "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n")
                .utf8)

    private struct Outcome: Equatable {
        var content: [UInt8] = []
        var trailers: [String] = []
        /// The S3 error code; `nil` for a good body.
        var code: String?
    }

    private static func read(_ pieces: [[UInt8]], _ signer: ChunkSigner?, hasTrailer: Bool) async -> Outcome {
        let body = ChunkedBody(Pieces(pieces), signer: signer, hasTrailer: hasTrailer)
        var outcome = Outcome()
        do {
            while let chunk = try await body.next() {
                chunk.withUnsafeBytes { outcome.content.append(contentsOf: $0) }
            }
            outcome.trailers = body.trailers.map { "\($0.name)=\($0.value)" }
        } catch { outcome.code = (error as? S3Error)?.code.name ?? "\(error)" }
        return outcome
    }

    private static func unsigned(_ text: String, hasTrailer: Bool = true) async -> Outcome {
        await read([Array(text.utf8)], nil, hasTrailer: hasTrailer)
    }

    @Test func theExampleOfMultipleChunks() async {
        #expect(Self.example.count == 66_824, "the Content-Length of the example")
        let outcome = await Self.read([Self.example], Self.signer(Self.seed), hasTrailer: false)
        #expect(outcome == Outcome(content: Self.exampleContent))
    }

    @Test func theExampleOfTrailingHeaders() async {
        let outcome = await Self.read(
            [Self.trailerExample], Self.signer(Self.trailerSeed), hasTrailer: true)
        #expect(
            outcome == Outcome(content: Self.exampleContent, trailers: ["x-amz-checksum-crc32c=sOO8/Q=="]))
    }

    /// A short body with two chunks and a trailer, signed.
    private static func short() -> [UInt8] {
        let signer = Signer()
        let first = signer.chunk(Array("hello".utf8), after: seed)
        let second = signer.chunk(Array("w".utf8), after: first)
        let last = signer.chunk([], after: second)
        let trailer = "x-amz-checksum-crc32:AAAAAA==\n"
        return chunk("5", first, Array("hello".utf8)) + chunk("1", second, Array("w".utf8))
            + Array(
                "0;chunk-signature=\(last)\r\nx-amz-checksum-crc32: AAAAAA==\r\nx-amz-trailer-signature:\(signer.trailer(trailer, after: last))\r\n\r\n"
                    .utf8)
    }

    private static let shortOutcome = Outcome(
        content: Array("hellow".utf8), trailers: ["x-amz-checksum-crc32=AAAAAA=="])

    @Test func everySplitOfABodyGivesTheSame() async {
        let body = Self.short()
        for split in 0...body.count {
            let outcome = await Self.read(
                [Array(body[..<split]), [], Array(body[split...])], Self.signer(Self.seed), hasTrailer: true)
            #expect(outcome == Self.shortOutcome, "split at \(split)")
        }
        let single = await Self.read(body.map { [$0] }, Self.signer(Self.seed), hasTrailer: true)
        #expect(single == Self.shortOutcome)
    }

    @Test func aBodyThatEndsAnywhereBeforeItsEndIsIncomplete() async {
        let body = Self.short()
        for end in 0..<body.count {
            let outcome = await Self.read(
                [Array(body[..<end])], Self.signer(Self.seed), hasTrailer: true)
            #expect(outcome.code == "IncompleteBody", "cut at \(end)")
        }
    }

    @Test func everyByteOfASignedBodyCounts() async {
        let body = Self.short()
        for index in body.indices {
            var changed = body
            changed[index] ^= 1
            let outcome = await Self.read([changed], Self.signer(Self.seed), hasTrailer: true)
            // The CR of a line end, and the case of a trailer's name or the blank before its value, say nothing.
            if outcome.code == nil {
                #expect(outcome == Self.shortOutcome, "byte \(index)")
                Issue.record("byte \(index), '\(UnicodeScalar(body[index]))', was changed and nobody saw it")
            }
        }
    }

    @Test func aChunkCannotBeMovedLeftOutOrRepeated() async {
        let signer = Signer()
        let first = signer.chunk([1], after: Self.seed)
        let second = signer.chunk([2], after: first)
        let last = signer.chunk([], after: second)
        let chunks = [
            Self.chunk("1", first, [1]), Self.chunk("1", second, [2]), Self.chunk("0", last, []),
        ]
        for order in [[1, 0, 2], [0, 2], [1, 2], [0, 0, 1, 2], [2], [0, 1, 1, 2]] {
            let outcome = await Self.read(
                order.map { chunks[$0] }, Self.signer(Self.seed), hasTrailer: false)
            #expect(outcome.code == "SignatureDoesNotMatch", "\(order)")
        }
        let good = await Self.read(chunks, Self.signer(Self.seed), hasTrailer: false)
        #expect(good == Outcome(content: [1, 2]))
    }

    @Test func aTrailerThatIsNotTheOneSignedIsRefused() async {
        let text = String(decoding: Self.trailerExample, as: UTF8.self)
        for (old, new) in [("sOO8/Q==", "sOO8/g=="), ("x-amz-trailer-signature", "x-amz-other")] {
            let changed = Array(text.replacingOccurrences(of: old, with: new).utf8)
            let outcome = await Self.read([changed], Self.signer(Self.trailerSeed), hasTrailer: true)
            #expect(outcome.code == "SignatureDoesNotMatch")
        }
    }

    @Test func anUnsignedBodyWithATrailer() async {
        let outcome = await Self.unsigned(
            "3\r\nabc\r\n0002\r\nde\r\n0\r\nX-Amz-Checksum-CRC32:  AAAA \r\nother:1:2\r\n\r\n")
        #expect(
            outcome
                == Outcome(
                    content: Array("abcde".utf8), trailers: ["x-amz-checksum-crc32=AAAA", "other=1:2"]))
        #expect(await Self.unsigned("0\r\n\r\n") == Outcome())
        #expect(await Self.unsigned("A\r\n0123456789\r\n0\r\n\r\n").content.count == 10)
        #expect(await Self.unsigned("a;x=y\r\n0123456789\r\n0\r\n\r\n").content.count == 10)
    }

    @Test(arguments: [
        ("\r\n", "InvalidRequest"), ("g\r\n", "InvalidRequest"), ("-1\r\n", "InvalidRequest"),
        ("+1\r\na\r\n0\r\n\r\n", "InvalidRequest"), (" 1\r\n", "InvalidRequest"),
        ("0x1\r\n", "InvalidRequest"),
        ("10000000000000000\r\n", "InvalidRequest"), ("ffffffffffffffff\r\n", "InvalidRequest"),
        ("1;\r\nab\r\n0\r\n\r\n", "InvalidRequest"), ("2\r\na\r\n0\r\n\r\n", "InvalidRequest"),
        ("1\r\na0\r\n\r\n", "InvalidRequest"), ("1\r\na\r\n\r\n0\r\n\r\n", "InvalidRequest"),
        ("0\r\n\r\nmore", "InvalidRequest"), ("0\r\n\r\n0\r\n\r\n", "InvalidRequest"),
        ("0\r\nno colon\r\n\r\n", "MalformedTrailerError"), ("0\r\n:value\r\n\r\n", "MalformedTrailerError"),
        ("", "IncompleteBody"), ("1\r\na", "IncompleteBody"), ("0\r\n", "IncompleteBody"),
        ("7fffffffffffffff\r\na", "IncompleteBody"),
    ])
    func eachBadFramingHasItsError(body: String, code: String) async {
        #expect(await Self.unsigned(body).code == code)
    }

    @Test func linesAndTrailersAreLimited() async {
        let long = String(repeating: "1", count: 20_000)
        #expect(await Self.unsigned("1;\(long)\r\n").code == "InvalidRequest")
        #expect(await Self.unsigned("0\r\na:\(long)\r\n").code == "InvalidRequest")
        let many = (0..<17).map { "name-\($0):1\r\n" }.joined()
        #expect(await Self.unsigned("0\r\n\(many)\r\n").code == "MalformedTrailerError")
        #expect(
            await Self.read([Array("1;".utf8), [0xFF, 0x0D, 0x0A]], nil, hasTrailer: true).code
                == "InvalidRequest")
    }

    @Test func aTrailerThatWasNotAnnouncedIsRefused() async {
        #expect(await Self.unsigned("0\r\na:b\r\n\r\n", hasTrailer: false).code == "InvalidRequest")
        #expect(await Self.unsigned("0\r\n\r\n", hasTrailer: false).code == nil)
    }

    @Test func theEndIsTheEndHoweverOftenItIsAskedFor() async throws {
        let body = ChunkedBody(Pieces([Array("0\r\n\r\n".utf8)]), signer: nil, hasTrailer: false)
        for _ in 0..<3 { #expect(try await body.next() == nil) }
    }
}
