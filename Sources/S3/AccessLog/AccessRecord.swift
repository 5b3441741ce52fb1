import HTTPTypes
import Model

/// One line of an access log: 26 fields with a blank between them, `-` for what is not known or does not apply.
///
/// What a client chose stands between quotes or is percent-encoded. Amazon S3 writes quotes inside of quotes as
/// they are, so that a sender can forge fields; here `"`, blanks outside of quotes and control characters are
/// percent-encoded, and a line has the same number of fields whatever a client sends.
///
/// Source: Amazon S3 User Guide, "Amazon S3 server access log format".
package enum AccessRecord {
    package static func line(
        _ note: AccessNote, _ request: HTTPRequest, _ response: ServiceResponse, _ facts: AccessFacts,
        time: Timestamp
    ) -> [UInt8] {
        var line = Line()
        line.add(note.bucket.owner)
        line.add(note.bucket.name.rawValue)
        line.addRaw("[\(clock(time))]")
        line.add(facts.remoteAddress)
        line.add(note.requester)
        line.add(note.requestID)
        line.add(operation(note, request))
        line.add(note.key.map { PercentEncoding.encode($0, keepsSlash: true) })
        // A key among many has no request of its own, and no time.
        let isOfMany = note.part?.status != nil
        if isOfMany {
            line.add(nil)
        } else {
            line.addQuoted("\(request.method.rawValue) \(RedactedPath.text(request.path ?? "/")) HTTP/1.1")
        }
        line.add(String(note.part?.status ?? response.status.code))
        line.add(isOfMany ? note.part?.errorCode : response.errorCode)
        line.add(note.part != nil || facts.bytesSent == 0 ? nil : String(facts.bytesSent))
        line.add(objectSize(note, request, response))
        line.add(isOfMany ? nil : milliseconds(facts.duration))
        line.add(isOfMany ? nil : milliseconds(facts.turnAround))
        line.addQuoted(request.headerFields[.referer])
        line.addQuoted(request.headerFields[.userAgent])
        line.add(note.versionID)
        line.add(note.hostID)
        let signature = signature(note, request)
        line.add(signature?.version)
        line.add(nil)  // the cipher suite, which the TLS library does not tell
        line.add(signature?.kind)
        line.add(request.authority)
        line.add(facts.tlsVersion)
        line.add(nil)  // the access point
        line.add(nil)  // whether an ACL was needed
        line.bytes.append(UInt8(ascii: "\n"))
        return line.bytes
    }

    private struct Line {
        var bytes: [UInt8] = []

        init() { bytes.reserveCapacity(512) }

        mutating func addRaw(_ text: String) {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
            bytes += text.utf8
        }

        mutating func add(_ text: String?) {
            guard let text, !text.isEmpty else { return addRaw("-") }
            if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
            append(text, keepsBlanks: false)
        }

        mutating func addQuoted(_ text: String?) {
            addRaw("\"")
            if let text, !text.isEmpty { append(text, keepsBlanks: true) } else { bytes += "-".utf8 }
            bytes.append(UInt8(ascii: "\""))
        }

        private mutating func append(_ text: String, keepsBlanks: Bool) {
            for byte in text.utf8 {
                switch byte {
                case 0..<0x20, 0x7F, UInt8(ascii: "\""):
                    bytes += (byte < 0x10 ? "%0" : "%").utf8
                    bytes += String(byte, radix: 16, uppercase: true).utf8
                case 0x20 where !keepsBlanks: bytes += "%20".utf8
                default: bytes.append(byte)
                }
            }
        }
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func clock(_ time: Timestamp) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        let c = time.components
        return
            "\(two(c.day))/\(months[c.month - 1])/\(c.year):\(two(c.hour)):\(two(c.minute)):\(two(c.second)) +0000"
    }

    private static func milliseconds(_ duration: Duration) -> String {
        String(duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000)
    }

    /// Of the whole object, where the request is about one's bytes.
    private static func objectSize(
        _ note: AccessNote, _ request: HTTPRequest, _ response: ServiceResponse
    ) -> String? {
        if let part = note.part { return part.size.map { String($0) } }
        guard (200..<300).contains(response.status.code) else { return nil }
        switch note.operation {
        case .getObject, .headObject:
            if let range = response.headers[.contentRange] {
                return range.split(separator: "/").last.map(String.init)
            }
            return response.headers[.contentLength]
        case .putObject, .uploadPart:
            return request.headerFields[.amzDecodedContentLength] ?? request.headerFields[.contentLength]
        default: return nil
        }
    }

    private static func signature(
        _ note: AccessNote, _ request: HTTPRequest
    ) -> (version: String, kind: String)? {
        if let header = request.headerFields[.authorization] {
            return (header.hasPrefix("AWS4") ? "SigV4" : "SigV2", "AuthHeader")
        }
        guard note.isPresigned else { return nil }
        let isV4 = request.path?.contains("X-Amz-Signature=") ?? false
        return (isV4 ? "SigV4" : "SigV2", "QueryString")
    }

    package static func operation(_ note: AccessNote, _ request: HTTPRequest) -> String {
        note.part?.operation
            ?? note.operation.flatMap { AccessOperation.names[$0] }
            ?? "REST.\(request.method.rawValue).\(note.key == nil ? "BUCKET" : "OBJECT")"
    }
}
