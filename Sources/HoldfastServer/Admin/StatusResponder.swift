import Foundation
import HTTPTypes
import Integrity
import Model
import ObjectStore
import S3

/// The admin listener: health and metrics, for probes and for Prometheus.
struct StatusResponder: HTTPResponder {
    let store: ObjectStore
    let metrics: RequestMetrics
    let scrub: ScrubService
    let jobs: JobScheduler
    let connections: @Sendable () -> Int

    private struct Health: Encodable {
        struct Volume: Encodable {
            let volume: Int
            let standing: String
            let reason: String?
        }
        let status: String
        /// The last event, and the last that was re-read and verified.
        let sequence: UInt64
        let confirmed: UInt64
        let volumes: [Volume]
    }

    func respond(to request: ServiceRequest) async -> ServiceResponse {
        guard request.head.method == .get || request.head.method == .head else {
            return text(.methodNotAllowed, "only GET\n")
        }
        switch request.head.path?.split(separator: "?").first {
        case "/health/live": return text(.ok, "ok\n")
        case "/health/ready": return ready()
        case "/health/green": return green()
        case "/metrics": return text(.ok, exposition(), type: "text/plain; version=0.0.4")
        default: return text(.notFound, "there are /health/live, /health/ready, /health/green and /metrics\n")
        }
    }

    func failure(_ error: any Error, _ head: HTTPRequest, replacing response: ServiceResponse)
        -> ServiceResponse
    {
        text(.internalServerError, "\(error)\n")
    }

    func answered(_ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange) {}

    func text(
        _ status: HTTPResponse.Status, _ text: String, type: String = "text/plain"
    ) -> ServiceResponse {
        ServiceResponse(status, headers: [.contentType: type], body: .bytes(Array(text.utf8)))
    }

    /// Ready means that writes can be acknowledged: a quorum of volumes is in service.
    private func ready() -> ServiceResponse {
        let volumes = store.volumeStatuses
        let inService = volumes.count { $0.standing == .inService }
        do {
            let status =
                inService == volumes.count
                ? "ok" : inService >= Limits.writeQuorum ? "degraded" : "unavailable"
            let health = Health(
                status: status, sequence: store.head.sequence.rawValue,
                confirmed: try store.confirmedThrough().rawValue,
                volumes: volumes.map {
                    .init(volume: $0.index, standing: $0.standing.rawValue, reason: $0.reason)
                })
            let body = try CommandJSON.line(health) + "\n"
            return text(
                inService >= Limits.writeQuorum ? .ok : .serviceUnavailable, body, type: "application/json")
        } catch {
            return text(.serviceUnavailable, "\(error)\n")
        }
    }

    /// Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
    private func exposition() -> String {
        var lines: [String] = []
        func family(_ name: String, _ type: String, _ help: String) {
            lines.append("# HELP \(name) \(help)")
            lines.append("# TYPE \(name) \(type)")
        }
        family("holdfast_requests_total", "counter", "S3 requests answered.")
        for (key, sum) in metrics.all {
            lines.append(
                "holdfast_requests_total{operation=\"\(key.operation)\",status=\"\(key.status)\"} \(sum.count)"
            )
        }
        family("holdfast_request_seconds_total", "counter", "Seconds that S3 requests took, summed.")
        for (key, sum) in metrics.all {
            lines.append(
                "holdfast_request_seconds_total{operation=\"\(key.operation)\",status=\"\(key.status)\"} \(sum.seconds)"
            )
        }
        family("holdfast_volume_in_service", "gauge", "1 for a volume in good standing, 0 for one set aside.")
        for volume in store.volumeStatuses {
            lines.append(
                "holdfast_volume_in_service{volume=\"\(volume.index)\"} \(volume.standing == .inService ? 1 : 0)"
            )
        }
        func gauge(_ name: String, _ help: String, _ value: some CustomStringConvertible) {
            family(name, "gauge", help)
            lines.append("\(name) \(value)")
        }
        gauge("holdfast_log_sequence", "Sequence of the last event.", store.head.sequence)
        if let confirmed = try? store.confirmedThrough() {  // an unreadable catalog leaves the sample out
            gauge("holdfast_confirmed_sequence", "Events up to here were re-read and verified.", confirmed)
        }
        gauge("holdfast_commit_queue_depth", "Changes that wait for their commit.", store.commitQueueDepth)
        lines += integrityExposition()
        lines += jobsExposition()
        gauge("holdfast_connections", "Open connections of S3 clients.", connections())
        return lines.joined(separator: "\n") + "\n"
    }
}
