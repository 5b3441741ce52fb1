import Digests
import Model
import ObjectStore

/// Part of somebody's bytes.
struct ChunkSlice: ByteChunk {
    let base: any ByteChunk
    let range: Range<Int>

    var count: Int { range.count }
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try base.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}

/// A body in `aws-chunked` encoding, without its frames: each chunk's signature and the trailer's are checked
/// as they end, so the bytes handed out are good only when the end has come.
///
/// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload
/// in Multiple Chunks" and "… including trailing headers".
package final class ChunkedBody: RequestBody, @unchecked Sendable {
    // Its state belongs to the one task that asks.
    private enum State {
        case header
        case data(remaining: Int)
        case dataEnd
        case trailer
        case done
    }

    private static let lineLimit = 16 * 1024
    private static let trailerLimit = 16

    private let source: any RequestBody
    private let signer: ChunkSigner?
    private let hasTrailer: Bool
    private var state = State.header
    private var input: (chunk: any ByteChunk, position: Int)?
    private var line: [UInt8] = []
    private var signature: String
    private var claimed = ""
    private var hash = SHA256()
    /// Trailing headers, names in lower case; complete when ``next()`` has returned `nil`.
    package private(set) var trailers: [(name: String, value: String)] = []

    package init(_ source: any RequestBody, signer: ChunkSigner?, hasTrailer: Bool) {
        self.source = source
        self.signer = signer
        self.hasTrailer = hasTrailer
        signature = signer?.seed ?? ""
    }

    package func next() async throws -> (any ByteChunk)? {
        while true {
            if case .done = state {
                try await expectEnd()
                return nil
            }
            if case .data(let remaining) = state {
                guard let (chunk, position) = try await available() else { throw Self.incomplete }
                let count = min(remaining, chunk.count - position)
                let slice = ChunkSlice(base: chunk, range: position..<position + count)
                input = (chunk, position + count)
                state = remaining == count ? .dataEnd : .data(remaining: remaining - count)
                if signer != nil { slice.withUnsafeBytes { hash.update($0) } }
                return slice
            }
            guard let text = try await readLine() else { throw Self.incomplete }
            switch state {
            case .header: try begin(text)
            case .dataEnd:
                guard text.isEmpty else { throw Self.malformed("a chunk is longer than its header says") }
                try checkSignature("AWS4-HMAC-SHA256-PAYLOAD", hash.finalize(), empty: true)
                hash = SHA256()
                state = .header
            case .trailer: try readTrailer(text)
            case .data, .done: preconditionFailure("these were dealt with above")
            }
        }
    }

    private func available() async throws -> (chunk: any ByteChunk, position: Int)? {
        while true {
            if let input, input.position < input.chunk.count { return input }
            guard let chunk = try await source.next() else { return nil }
            input = (chunk, 0)
        }
    }

    /// A line without its CRLF; `nil` if the body ends before the line does.
    private func readLine() async throws -> String? {
        line.removeAll(keepingCapacity: true)
        while let (chunk, position) = try await available() {
            var end = position
            let isComplete = chunk.withUnsafeBytes { bytes in
                while end < bytes.count {
                    let byte = bytes[end]
                    end += 1
                    if byte == 0x0A { return true }
                    line.append(byte)
                }
                return false
            }
            input = (chunk, end)
            guard line.count <= Self.lineLimit else { throw Self.malformed("a chunk header is too long") }
            if isComplete {
                guard line.last == 0x0D else { throw Self.malformed("a line does not end with CR and LF") }
                line.removeLast()
                guard let text = String(validating: line, as: UTF8.self) else {
                    throw Self.malformed("a chunk header is not text")
                }
                return text
            }
        }
        return nil
    }

    /// `size[;chunk-signature=…]`
    private func begin(_ text: String) throws {
        let fields = text.split(separator: ";", omittingEmptySubsequences: false)
        guard let digits = fields.first, (1...16).contains(digits.utf8.count),
            let size = Int(digits, radix: 16), size >= 0, digits.utf8.first != UInt8(ascii: "-"),
            digits.utf8.first != UInt8(ascii: "+")
        else { throw Self.malformed("'\(text.prefix(40))' is no chunk header") }
        claimed = ""
        for field in fields.dropFirst() where field.hasPrefix("chunk-signature=") {
            claimed = String(field.dropFirst("chunk-signature=".count))
        }
        guard size == 0 else {
            state = .data(remaining: size)
            return
        }
        try checkSignature("AWS4-HMAC-SHA256-PAYLOAD", SHA256.hash([UInt8]()), empty: true)
        state = .trailer
    }

    private func readTrailer(_ text: String) throws {
        if text.isEmpty {
            if hasTrailer { try checkTrailerSignature() }
            state = .done
            return
        }
        guard hasTrailer else { throw Self.malformed("there are bytes behind the last chunk") }
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty, trailers.count < Self.trailerLimit else {
            throw S3Error(
                S3ErrorCode("MalformedTrailerError", 400),
                "The request contained trailing data that was not well-formed or did not conform to our published schema."
            )
        }
        trailers.append((halves[0].lowercased(), halves[1].trimmingBlanks()))
    }

    private func checkSignature(_ kind: String, _ digest: [UInt8], empty: Bool) throws {
        guard let signer else { return }
        let middle = empty ? SignatureV4.emptyHash + "\n" : ""
        let text =
            "\(kind)\n\(signer.time)\n\(signer.scope)\n\(signature)\n\(middle)\(digest.hexadecimal)"
        let expected = HMACSHA256.authenticate(Array(text.utf8), key: signer.key).hexadecimal
        guard constantTimeEqual(Array(expected.utf8), Array(claimed.utf8)) else {
            throw S3Error(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
                details: [("StringToSign", text), ("SignatureProvided", claimed)])
        }
        signature = expected
    }

    private func checkTrailerSignature() throws {
        guard signer != nil else { return }
        claimed = trailers.first { $0.name == "x-amz-trailer-signature" }?.value ?? ""
        trailers.removeAll { $0.name == "x-amz-trailer-signature" }
        let text = trailers.map { "\($0.name):\($0.value)\n" }.joined()
        try checkSignature("AWS4-HMAC-SHA256-TRAILER", SHA256.hash(Array(text.utf8)), empty: false)
    }

    private func expectEnd() async throws {
        while let (chunk, position) = try await available() {
            guard position == chunk.count else {
                throw Self.malformed("there are bytes behind the last chunk")
            }
        }
    }

    private static let incomplete = S3Error(
        .incompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header: the body ends within a chunk."
    )

    private static func malformed(_ reason: String) -> S3Error {
        S3Error(.invalidRequest, "The aws-chunked body is malformed: \(reason).")
    }
}

extension StringProtocol {
    func trimmingBlanks() -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var rest = self[...]
        while let first = rest.first, isBlank(first) { rest.removeFirst() }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}
