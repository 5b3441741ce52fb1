import Foundation
import HTTPTypes
import Model
import S3
import Synchronization

/// Answers for the status page: asks for the administrator's key, and makes the page no more often than it changes,
/// whoever looks and however many they are. On threads of its own: it reads the log, whose disk may hang.
package final class StatusPageResponder: Sendable {
    /// A page that is not older is shown again.
    private static let freshSeconds = 0.5
    /// Pages that are made at the same time.
    private static let renderLimit = 2
    private static let threadCount = 8

    private struct State {
        var page: (made: Double, page: StatusPage)?
        var rendering = 0
        /// When the last one was begun.
        var begun = 0.0
    }

    private let facts: @Sendable () -> StatusFacts
    private let gate: AdminGate
    private let threads = AnswerThreads(threadCount)
    private let state = Mutex(State())
    private let patienceSeconds: Double

    /// - Parameters:
    ///   - patienceSeconds: beyond the pages that are made at the same time one more is begun each so many seconds: what hangs
    ///     with a disk may do so long after its volume was set aside, and then a page can be made again.
    ///   - facts: what the page shows; it may wait for disks.
    package init(
        _ gate: AdminGate, patienceSeconds: Double = 5, facts: @escaping @Sendable () -> StatusFacts
    ) {
        self.patienceSeconds = patienceSeconds
        self.facts = facts
        self.gate = gate
    }

    /// - Returns: `nil` for a path that is not the page's.
    package func respond(to request: ServiceRequest) async -> ServiceResponse? {
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
        guard let page = await page() else {
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
    private func page() async -> StatusPage? {
        let now = ProcessInfo.processInfo.systemUptime
        let (known, renders) = state.withLock { state -> (StatusPage?, Bool) in
            if let page = state.page, now - page.made < Self.freshSeconds { return (page.page, false) }
            guard state.rendering < Self.renderLimit || now - state.begun >= patienceSeconds else {
                return (state.page?.page, false)
            }
            state.rendering += 1
            state.begun = now
            return (state.page?.page, true)
        }
        guard renders else { return known }
        let page = await threads.run { [facts] in StatusPage(facts()) }
        return state.withLock { state in
            state.rendering -= 1
            guard let page else { return known }
            // One that was begun earlier and took longer is older.
            if state.page.map({ $0.made < now }) ?? true { state.page = (now, page) }
            return page
        }
    }
}
