import Digests
import Foundation

/// What a phase asks of the server.
enum LoadOperation: Sendable {
    /// Each request puts a new key.
    case put(size: Int)
    /// Each request gets the next of `keys` objects.
    case get(size: Int, keys: Int)
    /// Each request lists `page` keys that come after one of many places among `keys`.
    case list(page: Int, keys: Int)
    case createBucket
}

/// The requests of a phase.
struct LoadPlan: Sendable {
    let operation: LoadOperation
    let endpoint: Endpoint
    let credentials: RequestSigner.Credentials
    let bucket: String
    /// What the keys begin with, before eight digits.
    let prefix: String
    let payload: RequestSigner.Payload
    let body: RandomBody
    var connections: Int
    var threads = 1
    /// The phase ends when this many requests were made, or else after so many seconds.
    var requestLimit = Int.max
    var seconds = Double.infinity

    init(
        _ operation: LoadOperation, _ endpoint: Endpoint, _ credentials: RequestSigner.Credentials,
        bucket: String, prefix: String, connections: Int, isSigned: Bool = true
    ) {
        self.operation = operation
        self.endpoint = endpoint
        self.credentials = credentials
        self.bucket = bucket
        self.prefix = prefix
        self.connections = connections
        if case .put(let size) = operation {
            body = RandomBody(byteCount: size)
            payload = isSigned ? .hash(SHA256.hash(body.bytes).hexadecimal) : .unsigned
        } else {
            body = RandomBody(byteCount: 0)
            payload = .empty
        }
    }

    static func key(_ prefix: String, _ number: Int) -> String { prefix + String(format: "%08d", number) }

    /// The different requests, where they repeat: they are signed before the clock runs.
    func signedAhead() -> [[UInt8]] {
        var signer = RequestSigner(credentials, host: endpoint.description)
        switch operation {
        case .put: return []
        case .get(_, let keys):
            return (0..<keys).map {
                signer.head("GET", path: path($0), bodyCount: 0, payload: payload)
            }
        case .list(let page, let keys):
            let places = 200
            return (0..<places).map {
                let after = Self.key(prefix, ($0 * 7919 % places) * max(0, keys - page) / places)
                return signer.head(
                    "GET", path: "/\(bucket)",
                    query: "list-type=2&max-keys=\(page)&start-after=\(after)", bodyCount: 0, payload: payload
                )
            }
        case .createBucket: return [signer.head("PUT", path: "/\(bucket)", bodyCount: 0, payload: payload)]
        }
    }

    /// The head of a request that was not signed ahead.
    func head(_ number: Int, _ signer: inout RequestSigner) -> [UInt8] {
        signer.head("PUT", path: path(number), bodyCount: body.bytes.count, payload: payload)
    }

    private func path(_ number: Int) -> String { "/\(bucket)/\(Self.key(prefix, number))" }

    /// The bytes of the object in a good response; `nil` where any length is good.
    var responseByteCount: Int? { if case .get(let size, _) = operation { size } else { nil } }
}

/// Bytes that no disk and no file system compresses, the same for all requests of a phase.
final class RandomBody: @unchecked Sendable {  // written in init only
    let bytes: UnsafeRawBufferPointer

    init(byteCount: Int) {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: (byteCount + 7) & ~7, alignment: 4096)
        // SplitMix64 (Steele, Lea, Flood): the system's generator takes a call for each eight bytes.
        var state = UInt64.random(in: 0 ... .max)
        for offset in stride(from: 0, to: memory.count - 7, by: 8) {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            memory.storeBytes(of: value ^ (value >> 31), toByteOffset: offset, as: UInt64.self)
        }
        bytes = UnsafeRawBufferPointer(rebasing: memory[..<byteCount])
    }

    deinit { bytes.deallocate() }
}
