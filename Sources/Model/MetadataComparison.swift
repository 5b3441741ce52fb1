import SwiftProtobuf

extension EventMetadata {
    /// Whether all of it is the same, byte for byte: to `==`, two Unicode forms of a text are one.
    public func hasSameBytes(as other: EventMetadata) throws -> Bool {
        guard self == other else { return false }
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        let bytes: [UInt8] = try serializedBytes(options: options)
        return try bytes == other.serializedBytes(options: options)
    }
}
