import Foundation
import HTTPTypes
import Model

extension EventRetention.Mode {
    init?(wire: String) {
        switch wire {
        case "GOVERNANCE": self = .governance
        case "COMPLIANCE": self = .compliance
        default: return nil
        }
    }

    var wire: String { self == .governance ? "GOVERNANCE" : "COMPLIANCE" }
}

extension EventRetention {
    init(_ mode: Mode, until: Timestamp) {
        self.init()
        self.mode = mode
        untilMicroseconds = until.microseconds
    }

    var until: Timestamp { Timestamp(microseconds: untilMicroseconds) }
}

/// The lock of a version, between headers and the store's form.
///
/// Source: Amazon S3 API Reference, "PutObject", "GetObject": the headers `x-amz-object-lock-*`.
package enum VersionLock {
    /// S3 tells a hold that was lifted from one that never was. The store's form has no third value, so the lifted
    /// one is kept beside.
    private static let liftedHold = "legal-hold"

    static func setHold(_ isOn: Bool, _ metadata: inout EventMetadata) {
        metadata.legalHold = isOn
        metadata.extensions[liftedHold] = isOn ? nil : Data("OFF".utf8)
    }

    /// "ON", "OFF", or `nil` if there never was a hold.
    static func hold(_ metadata: EventMetadata) -> String? {
        if metadata.legalHold { return "ON" }
        return metadata.extensions.isEmpty || metadata.extensions[liftedHold] == nil ? nil : "OFF"
    }

    /// Takes away what was copied with the rest of another version's metadata: a lock is no metadata.
    static func clear(_ metadata: inout EventMetadata) {
        metadata.clearRetention()
        metadata.legalHold = false
        metadata.extensions[liftedHold] = nil
    }

    /// Puts into `metadata` what the headers ask for.
    /// - Throws: `InvalidArgument`.
    static func read(_ headers: HTTPFields, into metadata: inout EventMetadata) throws {
        if let text = headers[.amzLegalHold] {
            guard text == "ON" || text == "OFF" else {
                throw S3Error.invalidArgument(
                    "Legal Hold must be either of 'ON' or 'OFF'",
                    name: HTTPField.Name.amzLegalHold.canonicalName,
                    value: text)
            }
            setHold(text == "ON", &metadata)
        }
        switch (headers[.amzLockMode], headers[.amzLockUntil]) {
        case (nil, nil): return
        case (let mode?, let date?):
            guard let known = EventRetention.Mode(wire: mode) else {
                throw S3Error.invalidArgument(
                    "Unknown wormMode directive.", name: HTTPField.Name.amzLockMode.canonicalName, value: mode
                )
            }
            guard let until = date8601(date) else {
                throw S3Error.invalidArgument(
                    "The retain until date must be provided in ISO 8601 format",
                    name: HTTPField.Name.amzLockUntil.canonicalName, value: date)
            }
            metadata.retention = EventRetention(known, until: until)
        default:
            throw S3Error(
                .invalidArgument,
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
        }
    }

    /// A date of ISO 8601 in UTC, a part of a second rounded up to the next: a lock never ends before it was asked
    /// to.
    package static func date8601(_ text: String) -> Timestamp? {
        guard let seconds = HTTPDate.compactSeconds(text.filter { $0 != "-" && $0 != ":" }) else {
            return nil
        }
        let fraction = text.split(separator: ".", maxSplits: 1).dropFirst().first?.dropLast() ?? ""
        guard fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let isWhole = fraction.utf8.allSatisfy { $0 == 0x30 }
        // The second after the last one of 9999 could not be written any more.
        guard isWhole || seconds < UInt64(HTTPDate.lastSecond) else { return nil }
        return Timestamp(microseconds: (seconds + (isWhole ? 0 : 1)) * 1_000_000)
    }

    /// The headers that show a version's lock.
    static func show(_ metadata: EventMetadata, in headers: inout HTTPFields) {
        if metadata.hasRetention {
            headers[.amzLockMode] = metadata.retention.mode.wire
            headers[.amzLockUntil] = metadata.retention.until.description
        }
        if let hold = hold(metadata) { headers[.amzLegalHold] = hold }
    }
}

extension EventMetadata {
    /// Whether a request's headers ask for a lock.
    var asksForLock: Bool { hasRetention || legalHold }
}
