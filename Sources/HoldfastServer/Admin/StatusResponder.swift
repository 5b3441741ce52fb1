import Foundation
import HTTPTypes
import Integrity
import Model
import Notifications
import ObjectStore
import S3

/// The admin listener: health and metrics, for probes and for Prometheus, and the status page, for people.
///
/// The listener's own threads answer what is in memory alone, such as whether the process lives. What reads a disk, which may
/// hang, has threads by its kind, so that a page that hangs keeps neither probes nor metrics waiting.
struct StatusResponder: HTTPResponder {
    let store: ObjectStore
    let health: HealthResponder
    let metrics: RequestMetrics
    let scrub: ScrubService
    let sampler: MetricSampler
    let tracer: Tracer?
    let traces: TraceExporter?
    let workers: WorkerPool
    let jobs: JobScheduler
    let sinks: Sinks
    /// `nil` where everybody is let in.
    let admission: AdmissionControl?
    let connectionCounts: ConnectionCounts
    let repositories: [RepositorySetting]
    let page: StatusPageResponder
    /// `nil` where metrics are for everybody who reaches the listener.
    let token: MetricsToken?
    let threads = Threads()
    let connections: @Sendable () -> Int
    let requestsInFlight: @Sendable () -> Int

    /// A scrape every few seconds may hang until the volume of its disk is set aside, and the next ones are to be answered.
    struct Threads: Sendable {
        /// Of probes that read the state directory's disk.
        let probes = AnswerThreads(4)
        /// Of metrics and of health that is proved, which read the log.
        let reports = AnswerThreads(8)
    }

    func respond(to request: ServiceRequest) async -> ServiceResponse {
        guard request.head.method == .get || request.head.method == .head else {
            return text(.methodNotAllowed, "only GET\n")
        }
        if let answer = await probe(request.head) { return answer }
        if let answer = await page.respond(to: request) { return answer }
        let path = request.head.path?.split(separator: "?").first
        if path == "/health/green" || path == "/metrics",
            let token, !token.admits(authorization: request.head.headerFields[.authorization])
        {
            var answer = text(
                .unauthorized,
                "Metrics are for whoever shows the token of the setting 'metrics-token': Authorization: Bearer TOKEN\n"
            )
            answer.headers[.wwwAuthenticate] = "Bearer realm=\"Holdfast\""
            return answer
        }
        switch path {
        case "/health/green": return await threads.reports.run { green() } ?? busy
        case "/metrics":
            let format = MetricPage.Format(accept: request.head.headerFields[.accept])
            return await threads.reports.run { text(.ok, exposition(format), type: format.contentType) }
                ?? busy
        default:
            return text(
                .notFound,
                "there are /status, /health/live, /health/ready, /health/cluster, /health/green and /metrics\n"
            )
        }
    }

    private func probe(_ head: HTTPRequest) async -> ServiceResponse? {
        guard let path = head.path else { return nil }
        guard HealthResponder.readsDisk(path) else {
            return health.answer(head, path, tellsReasons: true)
        }
        return await threads.probes.run { health.answer(head, path, tellsReasons: true) } ?? busy
    }

    private var busy: ServiceResponse {
        text(.serviceUnavailable, "Those who asked before have no answer yet: a disk is slow, or hangs.\n")
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
        HealthResponder.text(status, text, type: type)
    }

    /// Everything that is measured: Documentation/metrics.md.
    private func exposition(_ format: MetricPage.Format) -> String {
        var page = MetricPage(format)
        page.info("holdfast_build", "The release that runs.", [("version", Release.name)])
        let requests = metrics.all
        page.counter(
            "holdfast_requests", "S3 requests answered.",
            metrics.answers.map {
                ([("operation", $0.operation), ("status", String($0.status))], Double($0.count))
            })
        page.histogram(
            "holdfast_request_duration_seconds", "From a request's head to the end of its answer.",
            requests.map { ([("operation", $0.operation)], $0.counts.seconds) })
        page.counter(
            "holdfast_request_received_bytes", "Bytes of the bodies of requests.",
            requests.map { ([("operation", $0.operation)], Double($0.counts.bytesReceived)) })
        page.counter(
            "holdfast_response_sent_bytes", "Bytes of the bodies of answers.",
            requests.map { ([("operation", $0.operation)], Double($0.counts.bytesSent)) })
        page.counter(
            "holdfast_request_errors", "Requests answered with an error, by its S3 code.",
            metrics.errorCodes.map { ([("code", $0.code)], Double($0.count)) })
        page.gauge("holdfast_connections", "Open connections of S3 clients.", Double(connections()))
        page.gauge(
            "holdfast_requests_in_flight", "S3 requests that are worked at.", Double(requestsInFlight()))
        page.gauge(
            "holdfast_worker_queue_depth", "Requests that wait for a thread.", Double(workers.queueDepth))
        page.counter(
            "holdfast_trace_sent_spans", "Spans that the receiver of traces has taken.", traces?.sent ?? 0)
        page.counter(
            "holdfast_trace_dropped_spans", "Spans that did not fit into the queue, or were not taken.",
            tracer?.dropped ?? 0)
        page.gauge(
            "holdfast_trace_queue_depth", "Spans that wait to be sent.", Double(tracer?.waiting ?? 0))
        addAdmission(to: &page)
        StoreMetrics(store: store, scrub: scrub, sampler: sampler).add(to: &page)
        addJobs(to: &page)
        addSinks(to: &page)
        addRepositories(to: &page)
        ProcessMetrics().add(to: &page)
        return page.finish()
    }
}
