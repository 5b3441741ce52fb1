import HTTPTypes
import Logging
import NIOCore
import S3

/// The S3 listener's responder: the protocol, and for each request a count, a line for the log and spans for a trace,
/// where these are wanted.
struct S3Responder: HTTPResponder {
    let service: S3Service
    let metrics: RequestMetrics
    let log: RequestLog
    /// `nil` where nothing is traced.
    let tracer: Tracer?
    /// Answers probes, which are no requests of S3.
    let health: HealthResponder
    private let watches: Bool
    private let refusalLines = LineBudget()

    init(
        service: S3Service, metrics: RequestMetrics, log: RequestLog, tracer: Tracer?, health: HealthResponder
    ) {
        self.health = health
        self.service = service
        self.metrics = metrics
        self.log = log
        self.tracer = tracer
        watches = log.isUsed || tracer != nil
    }

    func respond(to request: ServiceRequest) async -> ServiceResponse {
        if let answer = health.probe(request) { return answer }
        guard watches else { return await service.respond(to: request) }
        var watched = request
        watched.watch = RequestWatch(companion: tracer?.trace(request.head))
        return await service.respond(to: watched)
    }

    func failure(_ error: any Error, _ head: HTTPRequest, replacing response: ServiceResponse)
        -> ServiceResponse
    {
        service.failure(error, head, replacing: response)
    }

    func refused(_ request: RefusedRequest, _ workers: WorkerPool) {
        metrics.countRefused()
        guard log.isUsed, let leftOut = refusalLines.take(at: .now()) else { return }
        // Whoever takes the log may keep its writer waiting.
        Task(executorPreference: workers) {
            log.write(request, leftOut: leftOut)
            refusalLines.wrote()
        }
    }

    func answered(_ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange) {
        guard !HealthResponder.isProbe(request) || response.kind != nil else { return }
        metrics.count(response, exchange)
        if let note = response.access {
            service.accessLogs.record(note, request, response, exchange.facts)
        }
        guard watches, let watch = response.watch else { return }
        let traced = watch.companion as? TracedRequest
        // A trace that is not recorded here has its id in the log all the same.
        let trace = traced?.traceText ?? TraceContext(request.headerFields[values: .traceparent])?.traceText
        log.write(request, response, exchange, trace: trace)
        if let traced { tracer?.record(traced, watch, request, response, exchange) }
    }
}
