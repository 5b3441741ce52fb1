import Digests
import Foundation
import ObjectStore

/// Takes a `multipart/form-data` body apart as it comes in: first its fields, which are small, then the bytes of
/// its file, as a body of their own. What stands behind the file is not looked at, as on Amazon S3.
///
/// The memory that it takes is that of the fields, whose limit S3 sets, and of the piece that came last.
///
/// Source: RFC 7578; RFC 2046, section 5.1.1; Amazon S3 API Reference, "POST Object".
package final class FormReader: RequestBody, @unchecked Sendable {
    // Its state belongs to the one task that asks.

    /// Bytes of everything before the file's content.
    package static let fieldByteLimit = 20 * 1024
    private static let boundaryByteLimit = 200

    private let source: any RequestBody
    /// CR, LF, two dashes, and the boundary.
    private let delimiter: [UInt8]
    /// The line end that the first boundary is missing stands before what comes.
    private var buffer: [UInt8] = [0x0D, 0x0A]
    /// Where in the buffer the next unread byte is; nothing is dropped from the buffer before the file.
    private var position = 0
    private var isFileOver = false

    /// - Throws: `PreconditionFailed` for a body that is no form, `MalformedPOSTRequest` without a boundary.
    package init(_ source: any RequestBody, contentType: String?) throws {
        let type = HeaderParameters(contentType ?? "")
        guard type.value == "multipart/form-data" else {
            throw S3Error(
                .preconditionFailed, "At least one of the pre-conditions you specified did not hold",
                details: [("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")])
        }
        guard let boundary = type["boundary"], (1...Self.boundaryByteLimit).contains(boundary.utf8.count)
        else { throw Self.malformed }
        self.source = source
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    // MARK: Fields

    /// The fields before the file, and the file's name. Called once, and first.
    /// - Throws: `MaxPostPreDataLengthExceeded`, `MalformedPOSTRequest`, `InvalidArgument` without a file.
    package func fields() async throws -> FormFields {
        _ = try await contentUpToDelimiter()
        var fields = FormFields()
        while let (name, fileName) = try await beginPart() {
            if name.lowercased() == "file" {
                fields.fileName = fileName ?? ""
                return fields
            }
            guard let text = String(validating: try await contentUpToDelimiter(), as: UTF8.self) else {
                throw Self.malformed
            }
            try fields.add(name, text)
        }
        throw S3Error.invalidArgument(
            "POST requires exactly one file upload per request.", name: "file", value: "0")
    }

    private func contentUpToDelimiter() async throws -> ArraySlice<UInt8> {
        let start = position
        let end = try await find(delimiter)
        position = end + delimiter.count
        return buffer[start..<end]
    }

    /// The headers of the next part; `nil` behind the last one.
    private func beginPart() async throws -> (name: String, fileName: String?)? {
        while buffer.count < position + 2 { try await fill() }
        if buffer[position..<position + 2].elementsEqual("--".utf8) { return nil }
        guard try await line().trimmingBlanks().isEmpty else { throw Self.malformed }
        var disposition: HeaderParameters?
        while true {
            let line = try await line()
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: ":") else { throw Self.malformed }
            if line[..<colon].lowercased() == "content-disposition" {
                disposition = HeaderParameters(String(line[line.index(after: colon)...]))
            }
        }
        guard let disposition, disposition.value == "form-data", let name = disposition["name"] else {
            throw Self.malformed
        }
        return (Self.unescaped(name), disposition["filename"].map(Self.unescaped))
    }

    /// As the HTML standard has browsers escape names.
    private static func unescaped(_ name: String) -> String {
        guard name.contains("%") else { return name }
        return name.replacingOccurrences(of: "%22", with: "\"").replacingOccurrences(of: "%0D", with: "\r")
            .replacingOccurrences(of: "%0A", with: "\n")
    }

    private func line() async throws -> String {
        let start = position
        let end = try await find([0x0D, 0x0A])
        position = end + 2
        guard let text = String(validating: buffer[start..<end], as: UTF8.self) else { throw Self.malformed }
        return text
    }

    /// Where the bytes stand next.
    private func find(_ bytes: [UInt8]) async throws -> Int {
        var searched = position
        while true {
            if let place = Self.find(bytes, in: buffer, from: searched) {
                guard place <= Self.fieldByteLimit else { throw Self.tooLarge }
                return place
            }
            guard buffer.count <= Self.fieldByteLimit else { throw Self.tooLarge }
            searched = max(position, buffer.count - bytes.count + 1)
            try await fill()
        }
    }

    // MARK: The file

    /// The next bytes of the file; `nil` at its end.
    package func next() async throws -> (any ByteChunk)? {
        guard !isFileOver else { return nil }
        while true {
            if let end = Self.find(delimiter, in: buffer, from: position) {
                let rest = Array(buffer[position..<end])
                position = end + delimiter.count
                isFileOver = true
                try await checkDelimiter()
                buffer = []
                return rest.isEmpty ? nil : rest
            }
            // The last bytes may be the beginning of the delimiter.
            let safe = buffer.count - delimiter.count + 1
            if safe > position {
                let piece = Array(buffer[position..<safe])
                buffer.removeFirst(safe)
                position = 0
                return piece
            }
            try await fill()
        }
    }

    /// What looks like the delimiter ends there, so it was no other line.
    private func checkDelimiter() async throws {
        while buffer.count < position + 2 { try await fill() }
        let end = buffer[position..<position + 2]
        guard end.elementsEqual("--".utf8) || end.elementsEqual([0x0D, 0x0A]) else { throw Self.malformed }
    }

    /// - Throws: `MalformedPOSTRequest` if the body is over: nothing ends a form but its last delimiter.
    private func fill() async throws {
        guard let chunk = try await source.next() else { throw Self.malformed }
        chunk.withUnsafeBytes { buffer.append(contentsOf: $0) }
    }

    private static func find(_ bytes: [UInt8], in buffer: [UInt8], from start: Int) -> Int? {
        buffer.withUnsafeBytes { buffer in
            var start = start
            while start + bytes.count <= buffer.count {
                let room = buffer.count - bytes.count + 1 - start
                guard let base = buffer.baseAddress,
                    let found = memchr(base + start, Int32(bytes[0]), room)
                else { return nil }
                start = UnsafeRawPointer(found) - base
                if buffer[start..<start + bytes.count].elementsEqual(bytes) { return start }
                start += 1
            }
            return nil
        }
    }

    private static let malformed = S3Error(
        .malformedPOSTRequest, "The body of your POST request is not well-formed multipart/form-data.")
    private static let tooLarge = S3Error(
        .maxPostPreDataLengthExceeded,
        "Your POST request fields preceding the upload file were too large.",
        details: [("MaxPostPreDataLengthBytes", String(fieldByteLimit))])
}

/// A form's file, no shorter and no longer than its policy wants it.
final class FormFile: RequestBody, @unchecked Sendable {  // as the reader
    private let reader: FormReader
    private let minimum: UInt64
    private let maximum: UInt64
    /// What is signed as a whole, and read to its end when the file is over.
    private let whole: SignedForm?
    private var byteCount: UInt64 = 0

    init(_ reader: FormReader, _ limits: PostPolicy.Lengths?, whole: SignedForm? = nil) {
        self.reader = reader
        self.whole = whole
        minimum = limits?.minimum ?? 0
        maximum = limits?.maximum ?? .max
    }

    func next() async throws -> (any ByteChunk)? {
        guard let chunk = try await reader.next() else {
            guard byteCount >= minimum else {
                throw S3Error(
                    .entityTooSmall, "Your proposed upload is smaller than the minimum allowed size",
                    details: [("ProposedSize", String(byteCount)), ("MinSizeAllowed", String(minimum))])
            }
            try await whole?.finish()
            return nil
        }
        byteCount += UInt64(chunk.count)
        guard byteCount <= maximum else {
            throw S3Error(
                .entityTooLarge, "Your proposed upload exceeds the maximum allowed size",
                details: [("ProposedSize", String(byteCount)), ("MaxSizeAllowed", String(maximum))])
        }
        return chunk
    }
}
