import HTTPTypes
import Logging
import S3

/// The S3 listener's responder: the protocol, with a line for the log and a count for each request.
struct S3Responder: HTTPResponder {
    let service: S3Service
    let metrics: RequestMetrics
    let logger: Logger

    func respond(to request: ServiceRequest) async -> ServiceResponse { await service.respond(to: request) }

    func failure(_ error: any Error, _ head: HTTPRequest, replacing response: ServiceResponse)
        -> ServiceResponse
    {
        service.failure(error, head, replacing: response)
    }

    func answered(_ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange) {
        metrics.count(response.operation, status: response.status.code, exchange.duration)
        if let note = response.access {
            service.accessLogs.record(note, request, response, exchange.facts)
        }
        logger.debug(
            "\(request.method.rawValue) \(request.path ?? "") \(response.status.code) \(response.errorCode ?? "-") \(exchange.duration)"
        )
    }
}
