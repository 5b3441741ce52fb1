import Glibc

/// Reads one HTTP/1.1 response out of the bytes that come, and throws its body away.
///
/// It knows `Content-Length` and nothing else: what the server sends to every request of a benchmark.
struct ResponseReader {
    private static let headLimit = 64 * 1024

    private var head: [UInt8] = []
    /// Bytes of the body that are still to come; -1 before the head is complete.
    private var remaining = -1
    private(set) var status = 0
    private(set) var bodyCount = 0

    init() { head.reserveCapacity(1024) }

    mutating func reset() {
        head.removeAll(keepingCapacity: true)
        remaining = -1
    }

    /// The first bytes of what came, as text: for the message about a response that was not wanted.
    var beginning: String { String(decoding: head.prefix(1024), as: UTF8.self) }

    /// - Returns: whether the response is complete.
    mutating func take(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
        if remaining >= 0 {
            remaining -= bytes.count
        } else {
            let known = head.count
            head.append(contentsOf: bytes.prefix(Self.headLimit))
            guard let end = endOfHead(from: max(0, known - 3)) else {
                guard head.count < Self.headLimit else {
                    throw LoadError("the head of a response has no end")
                }
                return false
            }
            try readHead(end)
            remaining = bodyCount - (known + bytes.count - end)
        }
        guard remaining >= 0 else { throw LoadError("a response is longer than its Content-Length") }
        return remaining == 0
    }

    private func endOfHead(from start: Int) -> Int? {
        head.withUnsafeBufferPointer { head in
            var index = start
            while index + 3 < head.count {
                if head[index + 3] == 10, head[index + 2] == 13, head[index + 1] == 10, head[index] == 13 {
                    return index + 4
                }
                index += 1
            }
            return nil
        }
    }

    private mutating func readHead(_ end: Int) throws {
        // "HTTP/1.1 200 OK"
        guard end > 16, let code = number(at: 9, end) else { throw LoadError("not a response: \(beginning)") }
        status = code
        guard status != 204 && status != 304 else {
            bodyCount = 0
            return
        }
        guard let field = place(of: Self.contentLength, before: end), let count = number(at: field, end)
        else {
            throw LoadError("a response without Content-Length: \(beginning)")
        }
        bodyCount = count
    }

    private static let contentLength = Array("\ncontent-length:".utf8)

    /// Where the value of a header begins; `name` is in lower case.
    private func place(of name: [UInt8], before end: Int) -> Int? {
        head.withUnsafeBufferPointer { head in
            name.withUnsafeBufferPointer { name in
                var start = 0
                while start + name.count < end {
                    var length = 0
                    while length < name.count, lowered(head[start + length]) == name[length] { length += 1 }
                    if length == name.count { return start + length }
                    start += 1
                }
                return nil
            }
        }
    }

    private func lowered(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte + 32 : byte }

    private func number(at start: Int, _ end: Int) -> Int? {
        var index = start
        while index < end, head[index] == 32 { index += 1 }
        var value: Int?
        while index < end, case let digit = Int(head[index]) - 48, (0...9).contains(digit) {
            value = (value ?? 0) * 10 + digit
            index += 1
        }
        return value
    }
}

/// Why a measurement could not be made.
struct LoadError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// A system call that failed.
    init(call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
