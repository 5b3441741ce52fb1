import AsyncHTTPClient
import Foundation
import Model
import NIOCore
import NIOHTTP1
import NIOSSL
import S3
import Synchronization
import Volumes

/// What an endpoint answered.
package struct S3Response: Sendable {
    package let status: Int
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package func header(_ name: String) -> String? {
        headers.first { $0.name == name }?.value
    }
}

/// Asks an S3 endpoint, and waits for its answer: for threads that may wait for disks, as those of commands may.
///
/// A request that fails for a reason that may pass is made again, after a pause that doubles, is drawn at random below
/// its bound, and is never shorter than what the endpoint asks for. Requests are such that making them twice does what
/// making them once does. When all attempts have failed, the endpoint is left alone for a while: ``EndpointGate``.
package final class S3Client: Sendable {
    /// Bounds of what a client waits for.
    package struct Patience: Sendable {
        package var attempts = 7
        package var firstPause = 0.1
        package var longestPause = 10.0
        /// For one attempt with its body and its answer, in seconds.
        package var deadline: Int64 = 120
        /// No attempt begins when so many seconds have passed since the first.
        package var total = 180.0

        package init() {}
    }

    /// Bytes of an answer that are taken into memory.
    static let answerByteCount = 64 * 1024 * 1024

    package let location: S3Location
    /// Gives the answer to a request, of whatever status.
    private let exchange: @Sendable (S3Request) throws -> S3Response
    private let patience: Patience
    private let gate: EndpointGate
    private let retryCount = Mutex(0)

    package init(
        _ location: S3Location, _ credentials: S3Credentials, patience: Patience = Patience()
    ) throws {
        self.location = location
        let signer = RequestSigner(location: location, credentials: credentials)
        let http = try Self.connections(location.authoritiesPath)
        exchange = { try Self.exchange($0, location, signer, http, seconds: patience.deadline) }
        self.patience = patience
        gate = .of(location)
    }

    /// Asks an endpoint that is no server.
    package init(
        _ location: S3Location, patience: Patience = Patience(),
        exchange: @escaping @Sendable (S3Request) throws -> S3Response
    ) {
        self.location = location
        self.exchange = exchange
        self.patience = patience
        gate = .of(location)
    }

    /// Requests that were made again.
    package var retries: Int { retryCount.withLock { $0 } }

    // MARK: Connections

    /// One pool for each set of certificates, for as long as the process runs.
    private static let pools = Mutex<[String: HTTPClient]>([:])

    private static func connections(_ authorities: String?) throws -> HTTPClient {
        if let client = pools.withLock({ $0[authorities ?? ""] }) { return client }
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorities { tls.additionalTrustRoots = [.file(authorities)] }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(10), read: .seconds(60)),
            connectionPool: .init(
                idleTimeout: .seconds(30), concurrentHTTP1ConnectionsPerHostSoftLimit: 16),
            proxy: nil, ignoreUncleanSSLShutdown: false, decompression: .disabled)
        configuration.httpVersion = .http1Only
        let made = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let (kept, spare) = pools.withLock { pools -> (HTTPClient, HTTPClient?) in
            if let first = pools[authorities ?? ""] { return (first, made) }
            pools[authorities ?? ""] = made
            return (made, nil)
        }
        try spare?.syncShutdown()
        return kept
    }

    // MARK: Requests

    /// - Returns: an answer of the class 2xx.
    package func send(_ request: S3Request) throws(S3ClientError) -> S3Response {
        let isProbe = try admit(request)
        let begun = ProcessInfo.processInfo.systemUptime
        var attempt = 1
        while true {
            do throws(S3ClientError) {
                let response = try once(request, attempt: attempt)
                gate.succeed()
                return response
            } catch {
                // A refusal is an answer, too: whoever gives it is there.
                guard error.isTransient else {
                    gate.succeed()
                    throw error
                }
                let isLate = ProcessInfo.processInfo.systemUptime - begun > patience.total
                guard !isProbe, !isLate, attempt < patience.attempts, gate.state != .open else {
                    gate.fail(error.description)
                    throw error
                }
                retryCount.withLock { $0 += 1 }
                let bound = min(
                    patience.longestPause, patience.firstPause * Double(1 << min(attempt, 20)))
                let drawn = Double.random(in: bound / 2...bound)
                Thread.sleep(forTimeInterval: max(drawn, min(error.retryAfter ?? 0, 60)))
                attempt += 1
            }
        }
    }

    /// - Returns: whether it is the one request that finds out whether the endpoint answers again.
    private func admit(_ request: S3Request) throws(S3ClientError) -> Bool {
        switch gate.admit() {
        case .goOn: return false
        case .probe: return true
        case .refused(let seconds, let reason):
            throw S3ClientError(
                method: request.method, place: place(request.key), status: nil, code: "",
                message: "not asked: it failed before (\(reason)), and is asked again in \(seconds) s",
                attempts: 0)
        }
    }

    package func place(_ key: String?) -> String {
        "s3://\(location.bucket)\(key.map { "/\($0)" } ?? "") at \(location.endpoint)"
    }

    private func once(_ request: S3Request, attempt: Int) throws(S3ClientError) -> S3Response {
        func failure(_ message: String, timeout: Bool = false) -> S3ClientError {
            S3ClientError(
                method: request.method, place: place(request.key), status: nil, code: "", message: message,
                attempts: attempt, isTimeout: timeout)
        }
        guard gate.enter(seconds: patience.deadline) else {
            throw failure("\(EndpointGate.requestCount) requests to it have not ended", timeout: true)
        }
        defer { gate.leave() }
        let response: S3Response
        do { response = try exchange(request) } catch let error as HTTPClientError {
            let timeouts: [HTTPClientError] = [
                .connectTimeout, .readTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout,
            ]
            throw failure("\(error)", timeout: timeouts.contains(error))
        } catch { throw failure("\(error)") }
        if request.method != "HEAD", let length = response.header("content-length"),
            length != String(response.body.count)
        {
            throw failure("the answer was cut off at \(response.body.count) of \(length) bytes")
        }
        guard (200..<300).contains(response.status) else {
            throw Self.refusal(request, response, place(request.key), attempt)
        }
        return response
    }

    private static func exchange(
        _ request: S3Request, _ location: S3Location, _ signer: RequestSigner, _ http: HTTPClient,
        seconds: Int64
    ) throws -> S3Response {
        let signed = signer.sign(request, at: Timestamp.now().seconds)
        var headers = HTTPHeaders()
        for (name, value) in signed.headers { headers.add(name: name, value: value) }
        let hasBody = request.method == "PUT" || request.method == "POST"
        let outgoing = try HTTPClient.Request(
            url: location.endpoint + signed.target, method: HTTPMethod(rawValue: request.method),
            headers: headers, body: hasBody ? .bytes(request.body) : nil)
        let accumulator = ResponseAccumulator(request: outgoing, maxBodySize: answerByteCount)
        let answer = try http.execute(
            request: outgoing, delegate: accumulator, deadline: .now() + .seconds(seconds)
        ).wait()
        return S3Response(
            status: Int(answer.status.code),
            headers: answer.headers.map { ($0.name.lowercased(), $0.value) },
            body: answer.body.map { Array($0.readableBytesView) } ?? [])
    }

    private static func refusal(
        _ request: S3Request, _ response: S3Response, _ place: String, _ attempt: Int
    ) -> S3ClientError {
        // An answer of something that is no S3 server, a proxy's page, has a status and nothing more.
        let document = try? XMLElement.parse(response.body, root: "Error")
        return S3ClientError(
            method: request.method, place: place, status: response.status,
            code: document?.value("Code") ?? (response.status == 404 ? "NotFound" : ""),
            message: document?.value("Message") ?? "", attempts: attempt,
            retryAfter: response.header("retry-after").flatMap(Double.init))
    }
}
