import Foundation
import HoldfastServer
import Logging
import ObjectStore
import Synchronization

/// The life of a serving process: from its sockets to its end, or to the process that takes over from it.
struct ServerProcess {
    /// How long a store may be locked whose server cannot be talked to, such as one that is just ending.
    private static let lockPatience = Duration.seconds(60)
    /// What follows a handover that failed: the other process is gone, and its locks in a moment.
    private static let lockPatienceAfterFailure = Duration.seconds(10)
    /// How long connections go on being accepted in a takeover where they cannot be handed over, with TLS or to an earlier
    /// release, each answer saying that it is the last: time for those that clients keep to come to their next request.
    private static let takeoverDelay = Duration.milliseconds(2100)
    /// On a machine that has too much to do, a client that is busy may be silent for longer than one that is idle elsewhere.
    private static let takeoverSilence = Duration.seconds(2)

    private let settings: ServerSettings
    private let environment: [String: String]
    private let logger: Logger
    private let isTakingOver: Bool

    init(
        _ settings: ServerSettings, _ environment: [String: String], _ logger: Logger, isTakingOver: Bool
    ) {
        self.settings = settings
        self.environment = environment
        self.logger = logger
        self.isTakingOver = isTakingOver
    }

    /// Why a server ends.
    private enum Turn: Sendable {
        case signal
        case takeover(TakeoverHandover)
    }

    /// Serves until a signal ends the process or another process has taken over.
    /// - Parameter announce: told of the server when it serves for the first time, with the root key if one was made.
    func run(_ announce: (Server, AccessKey?) throws -> Void) async throws {
        if let reason = OpenFileLimit.raise() {
            logger.warning("the limit of open files stays as it is: \(reason)")
        }
        if !FreeMemory.bound() {
            logger.warning("the C library refuses a bound: memory that is free stays with the process")
        }
        let turns = AsyncStream.makeStream(of: Turn.self, bufferingPolicy: .bufferingOldest(16))
        let signals = StopSignals { turns.continuation.yield(.signal) }
        defer { signals.stop() }
        var next = turns.stream.makeAsyncIterator()

        let takeover = isTakingOver ? try await Takeover.begin(settings) : nil
        let listeners = try await self.listeners(takeover)
        var kept = KeptConnections()
        if let takeover {
            try StoreFormats.requireKnown(settings)
            logger.notice("taking over from \(takeover.release)")
            kept = try await takeover.takeStore()
            logger.notice(
                "the store of \(takeover.release) is closed; \(kept.count) connections came from it")
            try await StoreLock.waitUntilFree(settings.store, deadline: Self.lockPatience)
        } else if try StoreDirectory.isNew(settings) {
            try StoreDirectory.create(settings)
        }
        var isFirst = true
        while true {
            let keys = try KeyStore(
                stateDirectory: settings.store.stateDirectory, environment: environment)
            let server = try await Server.start(settings, on: listeners, keys: keys, logger: logger) {
                turns.continuation.yield(.takeover($0))
            }
            let reload = ReloadSignal { [logger] in
                if server.isSecure {
                    server.reloadCertificates()
                } else if isatty(STDIN_FILENO) == 1 {
                    // The terminal goes away.
                    turns.continuation.yield(.signal)
                } else {
                    logger.notice(
                        "SIGHUP: there is no certificate that could be read again; settings are read at the start"
                    )
                }
            }
            defer { reload.stop() }
            if isFirst {
                isFirst = false
                try await begin(server, keys, takeover, announce)
            }
            // Not before nobody else will: a process that fails until then leaves them to the one that it followed.
            await server.adopt(kept)
            guard case .takeover(let handover) = await next.next() else {
                let drain = Drain(
                    delay: .seconds(settings.drainDelaySeconds), deadline: .seconds(settings.drainSeconds))
                signals.hurry(drain)
                return try await server.stop(drain)
            }
            logger.notice("\(handover.release) takes over")
            let drain = Drain(
                delay: Self.takeoverDelay, deadline: .seconds(settings.drainSeconds),
                silence: Self.takeoverSilence)
            signals.hurry(drain)
            kept = KeptConnections()
            try await server.stop(drain, isHandedOver: true, kept: handover.takesConnections ? kept : nil)
            if await isServed(by: handover, kept) { return }
            try await StoreLock.waitUntilFree(settings.store, deadline: Self.lockPatienceAfterFailure)
        }
    }

    private func listeners(_ takeover: Takeover?) async throws -> Listeners {
        if let takeover { return try takeover.matching(settings) }
        if let activated = try Listeners.activated(settings, environment) { return activated }
        return isTakingOver
            ? try await Listeners.bindWhenFree(settings, patience: Self.lockPatience)
            : try Listeners.bind(settings)
    }

    private func begin(
        _ server: Server, _ keys: KeyStore, _ takeover: Takeover?,
        _ announce: (Server, AccessKey?) throws -> Void
    ) async throws {
        do {
            // Made when nothing can fail any more that keeps it from being printed.
            let made = try keys.makeRootKeyIfNeeded()
            if let takeover {
                do { try takeover.confirm() } catch {
                    logger.notice("the server that was followed has ended by itself: \(error)")
                }
            }
            try announce(server, made)
        } catch {
            try await server.stop(Drain(delay: .zero, deadline: .zero))
            throw error
        }
    }

    private func isServed(by handover: TakeoverHandover, _ kept: KeptConnections) async -> Bool {
        do {
            if try await handover.handOver(kept) { return true }
            logger.error("the process that took over has ended before it served: serving again")
        } catch {
            logger.error("the process that took over is gone, \(error): serving again")
        }
        return false
    }
}

/// SIGHUP, as something to do.
private final class ReloadSignal: @unchecked Sendable {  // its source is made in init and only kept
    private let source: any DispatchSourceSignal

    init(_ body: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
    }

    func stop() { source.cancel() }
}

/// SIGTERM and SIGINT: the first is told of, the second makes what drains hurry, the third ends the process at once.
private final class StopSignals: @unchecked Sendable {  // its sources are made in init and only kept
    /// How many came, and what they are to hurry.
    private final class Count: Sendable {
        private let state = Mutex((count: 0, drain: Drain?.none))

        /// - Returns: the signal's number among those that came.
        func add() -> Int {
            let (count, drain) = state.withLock { state in
                state.count += 1
                return (state.count, state.drain)
            }
            if count > 1 { drain?.hurry() }
            return count
        }

        func hurry(_ drain: Drain) {
            let count = state.withLock { state in
                state.drain = drain
                return state.count
            }
            if count > 1 { drain.hurry() }
        }
    }

    private let count: Count
    private let sources: [any DispatchSourceSignal]

    init(_ first: @escaping @Sendable () -> Void) {
        let count = Count()
        self.count = count
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                guard count.add() > 1 else { return first() }
                for number in [SIGTERM, SIGINT] { signal(number, SIG_DFL) }
            }
            source.resume()
            return source
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// From the second signal on, `drain` has no time.
    func hurry(_ drain: Drain) { count.hurry(drain) }

    func stop() { for source in sources { source.cancel() } }
}
