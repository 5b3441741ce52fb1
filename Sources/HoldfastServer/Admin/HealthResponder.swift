import HTTPTypes
import Model
import NIOHTTP1
import ObjectStore
import S3

/// Answers probes: whether the process is alive, whether it can be sent requests, and how its volumes stand.
///
/// Probes need no credential and learn no name, path or address. Those of the S3 listener run on the workers of requests: a
/// server whose threads all hang does not answer them. The admin listener has threads of its own, on which nothing reads a
/// disk, so that an operator is answered when nobody else is; what hangs is seen there by the commit thread.
package struct HealthResponder: Sendable {
    /// Where probes are on the S3 listener. No bucket can have a name that begins with `_`, so nothing is hidden by it;
    /// MinIO has them below `/minio/`, which it keeps from being a bucket.
    static let prefix = "/_holdfast"

    /// Of an operation on volumes, their deadline; the commit thread may need some of them, one after the other.
    private static let deadlinesOfBatch = 6
    /// Bytes that the state directory's file system has to have left: without the catalog nothing can be changed.
    private static let stateReserve: UInt64 = 64 * 1024 * 1024

    private let store: ObjectStore
    private let volumeDeadline: Duration
    private let domains: [String]
    private let isDraining: @Sendable () -> Bool

    /// - Parameters:
    ///   - volumeDeadline: how long a volume may take: the setting `deadline-seconds`.
    ///   - domains: under which the first label of a host is a bucket: there, the path is a key.
    ///   - isDraining: whether the server has been told to stop.
    package init(
        store: ObjectStore, volumeDeadline: Duration, domains: [String],
        isDraining: @escaping @Sendable () -> Bool
    ) {
        self.store = store
        self.volumeDeadline = volumeDeadline
        self.domains = domains
        self.isDraining = isDraining
    }

    /// The answer to a probe that comes in by the S3 listener; `nil` for any other request.
    func probe(_ request: ServiceRequest) -> ServiceResponse? {
        let head = request.head
        // What cannot be read is no probe, and the service says why.
        guard Self.isProbe(head), let path = head.path,
            let target = request.target
                ?? (try? RequestTarget(uri: path, host: head.authority, domains: domains)),
            target.bucket == String(Self.prefix.dropFirst())
        else { return nil }
        return answer(head, String(path.dropFirst(Self.prefix.count)), tellsReasons: false)
            ?? Self.text(.notFound, "there are \(Self.prefix)/health/live, /ready and /cluster\n")
    }

    /// Whether a path looks like a probe's; cheap, since every request is asked.
    static func isProbe(_ head: HTTPRequest) -> Bool {
        head.path?.utf8.starts(with: "/_holdfast/".utf8) == true
    }

    /// Whether a path is a probe's, which is answered however much there is to do, unless the host is a bucket's.
    static func isProbe(_ head: HTTPRequestHead) -> Bool {
        head.uri.utf8.starts(with: "/_holdfast/health/".utf8) && (head.method == .GET || head.method == .HEAD)
    }

    /// Whether a probe waits for the state directory's disk; the others know what they say.
    static func readsDisk(_ path: String) -> Bool {
        path.split(separator: "?", maxSplits: 1).first == "/health/ready"
    }

    /// - Parameters:
    ///   - path: with its query; without a prefix.
    ///   - tellsReasons: why a volume is out of service, which may name directories.
    /// - Returns: `nil` if there is no such probe.
    package func answer(_ head: HTTPRequest, _ path: String, tellsReasons: Bool) -> ServiceResponse? {
        let parts = path.split(separator: "?", maxSplits: 1)
        let probe: () -> ServiceResponse
        switch parts.first {
        case "/health/live": probe = live
        case "/health/ready": probe = { ready(tellsReasons) }
        case "/health/cluster":
            let query = parts.count > 1 ? parts[1] : ""
            let isMaintenance = query.split(separator: "&").contains("maintenance=true")
            probe = { cluster(isMaintenance: isMaintenance, tellsReasons) }
        default: return nil
        }
        guard head.method == .get || head.method == .head else {
            return Self.text(.methodNotAllowed, "only GET and HEAD\n")
        }
        return probe()
    }

    static func text(
        _ status: HTTPResponse.Status, _ text: String, type: String = "text/plain"
    ) -> ServiceResponse {
        ServiceResponse(status, headers: [.contentType: type], body: .bytes(Array(text.utf8)))
    }

    private struct Volume: Encodable {
        let volume: Int
        let standing: String
        let reason: String?
    }

    private func volumes(_ tellsReasons: Bool) -> [Volume] {
        store.volumeStatuses.map {
            Volume(
                volume: $0.index, standing: $0.standing.rawValue, reason: tellsReasons ? $0.reason : nil)
        }
    }

    private var inService: Int { store.volumeStatuses.count { $0.standing == .inService } }

    // MARK: Life

    /// Longer than any batch takes whose volumes answer, or are set aside for not answering.
    private var isStuck: Bool { store.commitBusyTime > volumeDeadline * Self.deadlinesOfBatch + .seconds(30) }

    /// Alive: this thread answers, and the thread that commits is not stuck. A server that is not should be restarted; one
    /// without its volumes should not, for that brings none of them back.
    private func live() -> ServiceResponse {
        guard isStuck else { return Self.text(.ok, "ok\n") }
        let seconds = store.commitBusyTime.components.seconds
        return Self.text(.serviceUnavailable, "the commit thread has been stuck for \(seconds) s\n")
    }

    // MARK: Readiness

    private struct Readiness: Encodable {
        let status: String
        /// Why no requests should be sent here; none if they may.
        let reason: String?
        /// The last event, and the last that was re-read and verified.
        let sequence: UInt64
        let confirmed: UInt64
        let volumes: [Volume]
    }

    /// Why changes cannot be acknowledged, or will not be for long; `nil` if they can.
    private func obstacle() -> String? {
        if isDraining() { return "draining: the server stops" }
        let inService = inService
        guard inService >= Limits.writeQuorum else {
            return "\(inService) of \(Limits.volumeCount) volumes are in service"
        }
        if store.commitObstacle != nil { return "the log takes no events until it is opened again" }
        if isStuck { return "the commit thread is stuck" }
        // Where the disk does not say, the catalog fails first.
        if let free = try? store.inspection.stateSpace().free, free < Self.stateReserve {
            return "the state directory has \(free >> 20) MiB left: the catalog cannot grow"
        }
        return nil
    }

    private func ready(_ tellsReasons: Bool) -> ServiceResponse {
        do {
            let obstacle = obstacle()
            let status =
                obstacle != nil ? "unavailable" : inService == Limits.volumeCount ? "ok" : "degraded"
            let line = Readiness(
                status: status, reason: obstacle, sequence: store.head.sequence.rawValue,
                confirmed: try store.confirmedThrough().rawValue, volumes: volumes(tellsReasons))
            return Self.text(
                obstacle == nil ? .ok : .serviceUnavailable, try CommandJSON.line(line) + "\n",
                type: "application/json")
        } catch {
            return Self.text(
                .serviceUnavailable, tellsReasons ? "\(error)\n" : "the catalog cannot be read\n")
        }
    }

    // MARK: Quorum

    private struct Cluster: Encodable {
        let status: String
        let inService: Int
        let writeQuorum: Int
        /// Volumes that may leave while writes go on.
        let tolerates: Int
        let volumes: [Volume]
    }

    /// As MinIO's: 200 while there is a write quorum, or else 503; asked with `maintenance=true`, 412 if there would be none
    /// with one volume less.
    ///
    /// Source: MinIO, "Healthcheck probe", of which `maintenance` asks about a node; here it is a volume, of which each
    /// stands on a disk or a node of its own.
    private func cluster(isMaintenance: Bool, _ tellsReasons: Bool) -> ServiceResponse {
        let inService = inService
        let tolerates = inService - Limits.writeQuorum
        let status: HTTPResponse.Status =
            tolerates < 0 ? .serviceUnavailable : isMaintenance && tolerates == 0 ? .preconditionFailed : .ok
        let line = Cluster(
            status: tolerates < 0 ? "unavailable" : tolerates == 0 ? "degraded" : "ok", inService: inService,
            writeQuorum: Limits.writeQuorum, tolerates: max(0, tolerates), volumes: volumes(tellsReasons))
        do {
            return Self.text(status, try CommandJSON.line(line) + "\n", type: "application/json")
        } catch {
            preconditionFailure("numbers and names can be encoded: \(error)")
        }
    }
}
