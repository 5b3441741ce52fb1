import Model

/// Reads of a version's stored record what a listing shows, and steps over the rest: decoding all of it, pieces
/// and metadata too, was most of the cost of a listing of a thousand objects.
///
/// A record that this cannot read is left to SwiftProtobuf: the two never disagree on what a store writes.
///
/// Source: Protocol Buffers, "Encoding"; the field numbers are those of `event.proto`.
package struct ListedRecord {
    package private(set) var key = ""
    package private(set) var versionID: [UInt8] = []
    package private(set) var isNull = false
    package private(set) var isDeleteMarker = false
    package private(set) var size: UInt64 = 0
    package private(set) var etag = ""
    package private(set) var owner = ""
    package private(set) var storageClass = ""
    /// Of the first checksum: the algorithm's number, and whether it is composite.
    package private(set) var checksum: (algorithm: Int, composite: Bool)?

    /// `nil` if the bytes are not as this reader wants them.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        var fields = WireFields(bytes)
        while let (number, value) = fields.next() {
            switch (number, value) {
            case (2, .bytes(let text)): key = Self.text(text)
            case (3, .bytes(let id)): versionID = Array(id)
            case (4, .number(let flag)): isNull = flag != 0
            case (5, .number(let flag)): isDeleteMarker = flag != 0
            case (6, .number(let number)): size = number
            case (7, .bytes(let text)): etag = Self.text(text)
            case (8, .bytes(let text)): owner = Self.text(text)
            case (9, .bytes(let metadata)): guard read(metadata: metadata) else { return nil }
            case (10, .bytes(let message)):
                guard checksum == nil else { break }
                guard let found = Self.checksum(message) else { return nil }
                checksum = found
            default: break
            }
        }
        guard fields.isAtEnd else { return nil }
    }

    /// The same of a record that SwiftProtobuf decoded.
    init(_ record: EventVersionPublished) {
        key = record.key
        versionID = Array(record.versionID)
        isNull = record.nullVersion
        isDeleteMarker = record.deleteMarker
        size = record.size
        etag = record.etag
        owner = record.owner
        storageClass = record.metadata.storageClass
        checksum = record.checksums.first.map { ($0.algorithm.rawValue, $0.composite) }
    }

    private mutating func read(metadata: UnsafeRawBufferPointer) -> Bool {
        var fields = WireFields(metadata)
        while let (number, value) = fields.next() {
            if case (10, .bytes(let text)) = (number, value) { storageClass = Self.text(text) }
        }
        return fields.isAtEnd
    }

    private static func checksum(_ message: UnsafeRawBufferPointer) -> (algorithm: Int, composite: Bool)? {
        var found = (algorithm: 0, composite: false)
        var fields = WireFields(message)
        while let (number, value) = fields.next() {
            switch (number, value) {
            case (1, .number(let algorithm)): found.algorithm = Int(truncatingIfNeeded: algorithm)
            case (3, .number(let flag)): found.composite = flag != 0
            default: break
            }
        }
        return fields.isAtEnd ? found : nil
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}

/// The fields of an encoded message, in the order they stand.
struct WireFields {
    enum Value {
        case number(UInt64)
        case bytes(UnsafeRawBufferPointer)
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether all of it was read: not so when something could not be.
    var isAtEnd: Bool { position == bytes.count }

    /// The next field of a kind that records have; `nil` at the end, or before what cannot be read.
    mutating func next() -> (number: UInt64, value: Value)? {
        let start = position
        guard let tag = variableNumber() else { return stop(at: start) }
        switch tag & 7 {
        case 0:
            guard let number = variableNumber() else { return stop(at: start) }
            return (tag >> 3, .number(number))
        case 2:
            guard let count = variableNumber(), count <= UInt64(bytes.count - position) else {
                return stop(at: start)
            }
            defer { position += Int(count) }
            return (
                tag >> 3, .bytes(UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)]))
            )
        default: return stop(at: start)
        }
    }

    private mutating func stop(at start: Int) -> (number: UInt64, value: Value)? {
        position = start
        return nil
    }

    private mutating func variableNumber() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
