import NIOCore
import NIOHTTP1
import Synchronization

/// A request in the queue of its class.
struct WaitingTurn {
    let kind: RequestClass
    let id: UInt64
}

/// Whether a request is taken on, is decided when its head is there, before anything is done for it.
extension HTTPConnection {
    /// For how long nothing is read from a connection whose request was refused. A client that asks again at once, and does
    /// not care for Retry-After, would otherwise have the server read and refuse as fast as it sends; so it is refused five times
    /// a second at most, and the rest waits in its own socket. Well below the second that Retry-After asks for.
    private static let holdTime = TimeAmount.milliseconds(200)

    func askForAdmission(_ body: IncomingBody, _ context: ChannelHandlerContext) {
        guard let head else { preconditionFailure("a request begins with its head") }
        listener.requests.wrappingAdd(1, ordering: .relaxed)
        guard let admission = listener.admission, !admission.isProbe(head) else {
            return start(body, nil, context)
        }
        let answer = admission.ask(head) {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            let eventLoop = context.eventLoop
            return { verdict in
                eventLoop.execute { bound.value.0.waited(verdict, body, bound.value.1) }
            }
        }
        switch answer {
        case .decided(let verdict): obey(verdict, body, context)
        case .waits(let kind, let id): waitingTurn = WaitingTurn(kind: kind, id: id)
        }
    }

    /// The queue has decided.
    private func waited(
        _ verdict: AdmissionControl.Verdict, _ body: IncomingBody, _ context: ChannelHandlerContext
    ) {
        guard waitingTurn != nil else {
            // The connection ended meanwhile.
            if case .admitted(let permit) = verdict {
                permit.end()
                permit.settle(.nothing)
            }
            return
        }
        waitingTurn = nil
        obey(verdict, body, context)
        readOn(context)
    }

    private func obey(
        _ verdict: AdmissionControl.Verdict, _ body: IncomingBody, _ context: ChannelHandlerContext
    ) {
        switch verdict {
        case .admitted(let permit): start(body, permit, context)
        case .refused(let refusal): refuse(refusal, context)
        }
    }

    private func refuse(_ refusal: Refusal, _ context: ChannelHandlerContext) {
        guard let head else { preconditionFailure("a request begins with its head") }
        listener.requests.wrappingSubtract(1, ordering: .relaxed)
        let goesOn = canGoOn()
        var answer = refusal.head(date: listener.dateText())
        if !goesOn || isLastAnswer() { answer.headers.add(name: "Connection", value: "close") }
        write(.head(answer), context)
        if let body = refusal.body(for: head.method) { write(.body(.byteBuffer(body)), context) }
        holdsNext = true
        finish(goesOn: goesOn, context)
        listener.responder.refused(
            RefusedRequest(head, refusal.outline, refusal.reason, from: context.remoteAddress),
            listener.workers)
    }

    /// Reads nothing for a while.
    func hold(_ context: ChannelHandlerContext) {
        holdsNext = false
        isHeld = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.holdTime) {
            let (connection, context) = bound.value
            connection.isHeld = false
            connection.askIfBegun(context)
            connection.readOn(context)
        }
    }

    /// The connection ends while its request may be in the queue.
    func endWaiting() {
        guard let turn = waitingTurn else { return }
        waitingTurn = nil
        listener.requests.wrappingSubtract(1, ordering: .relaxed)
        // If it is too late for that, the verdict finds nobody who waits for it.
        _ = listener.admission?.cancel(turn.kind, id: turn.id)
    }
}
