import NIOCore
import S3

/// A request and its answer, as the transport saw them.
struct Exchange: Sendable {
    private let channel: any Channel
    private let tlsVersion: String?
    private let start = ContinuousClock.now
    private(set) var duration = Duration.zero
    /// From the request to the first byte of its answer.
    private(set) var turnAround = Duration.zero
    /// Bytes of the response's body that were handed to the connection.
    var bytesSent: UInt64 = 0
    /// Bytes of the request's body that came in.
    var bytesReceived: UInt64 = 0

    init(_ writer: ResponseWriter) {
        channel = writer.channel
        tlsVersion = writer.tlsVersion
    }

    /// The answer begins.
    mutating func answers() { turnAround = ContinuousClock.now - start }

    mutating func end() { duration = ContinuousClock.now - start }

    /// What an access log says of it.
    var facts: AccessFacts {
        AccessFacts(
            remoteAddress: channel.remoteAddress?.ipAddress, tlsVersion: tlsVersion, bytesSent: bytesSent,
            duration: duration, turnAround: turnAround)
    }
}
