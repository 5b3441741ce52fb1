import Foundation
import HTTPTypes
import Model
import S3
import Synchronization

/// Answers for the status page: asks for the administrator's key, and makes the page no more often than it changes,
/// whoever looks and however many they are. On the worker threads, of which it keeps two at most.
final class StatusPageResponder: Sendable {
    /// A page that is not older is shown again.
    private static let freshSeconds = 0.5
    private static let renderLimit = 2

    private struct State {
        var page: (made: Double, page: StatusPage)?
        var rendering = 0
    }

    private let gathering: StatusGathering
    private let gate: AdminGate
    private let state = Mutex(State())

    init(_ gathering: StatusGathering, _ gate: AdminGate) {
        self.gathering = gathering
        self.gate = gate
    }

    /// - Returns: `nil` for a path that is not the page's.
    func respond(to request: ServiceRequest) -> ServiceResponse? {
        let path = request.head.path?.split(separator: "?", omittingEmptySubsequences: false).first ?? ""
        guard ["/", StatusDocument.path, StatusDocument.contentPath].contains(String(path)) else {
            return nil
        }
        switch gate.judge(
            authorization: request.head.headerFields[.authorization], from: request.peer?() ?? "")
        {
        case .admitted: break
        case .refused:
            return refusal(
                .unauthorized, "This page is for the administrator: an access key of root and its secret.\n",
                (.wwwAuthenticate, "Basic realm=\"Holdfast\", charset=\"UTF-8\""))
        case .wait(let seconds):
            return refusal(
                .tooManyRequests, "Too many wrong keys: try again in \(seconds) s.\n",
                (.retryAfter, String(seconds)))
        }
        if path == "/" {
            return ServiceResponse(
                .temporaryRedirect, headers: [.location: StatusDocument.path, .cacheControl: "no-store"])
        }
        guard let page = page() else {
            return refusal(
                .serviceUnavailable, "The page is being made, which takes long: something is slow.\n",
                (.retryAfter, "2"))
        }
        let html = path == StatusDocument.path ? StatusDocument.page(page) : page.content
        return ServiceResponse(
            .ok, headers: StatusDocument.headers, body: .bytes(Array(html.text.utf8)))
    }

    private func refusal(
        _ status: HTTPResponse.Status, _ text: String, _ header: (HTTPField.Name, String)
    ) -> ServiceResponse {
        var headers: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]
        headers[header.0] = header.1
        return ServiceResponse(status, headers: headers, body: .bytes(Array(text.utf8)))
    }

    /// A fresh one, or where as many are being made as may be, the last.
    private func page() -> StatusPage? {
        let now = ProcessInfo.processInfo.systemUptime
        let (known, renders) = state.withLock { state -> (StatusPage?, Bool) in
            if let page = state.page, now - page.made < Self.freshSeconds { return (page.page, false) }
            guard state.rendering < Self.renderLimit else { return (state.page?.page, false) }
            state.rendering += 1
            return (nil, true)
        }
        guard renders else { return known }
        let page = StatusPage(gathering.facts())
        state.withLock { state in
            state.rendering -= 1
            // One that was begun earlier and took longer is older.
            if state.page.map({ $0.made < now }) ?? true { state.page = (now, page) }
        }
        return page
    }
}
