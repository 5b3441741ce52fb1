import EventLog
import Foundation
import Integrity
import Logging
import Model
import NIOCore
import NIOPosix
import Notifications
import ObjectStore
import S3
import Synchronization

/// A store that serves: listeners, the completion verifier, the admin socket.
public final class Server: Sendable {
    private let store: ObjectStore
    private let group: MultiThreadedEventLoopGroup
    private let workers: WorkerPool
    /// Threads of the admin listener and socket alone: probes are answered while every other thread is busy.
    private let adminGroup: MultiThreadedEventLoopGroup
    private let adminWorkers: WorkerPool
    private let listener: HTTPListener
    private let admin: HTTPListener
    private let socket: AdminSocket
    private let housekeeping: Housekeeping
    private let sinks: SinkFollowing
    private let accessLogs: AccessLogDelivery
    private let tls: TLSWatch?
    private let traces: TraceExporter?
    private let listeners: Listeners
    private let takeover: TakeoverSocket
    private let isDraining: DrainFlag
    private let logger: Logger

    private init(
        store: ObjectStore, group: MultiThreadedEventLoopGroup, workers: WorkerPool,
        adminGroup: MultiThreadedEventLoopGroup, adminWorkers: WorkerPool, listener: HTTPListener,
        admin: HTTPListener, socket: AdminSocket, housekeeping: Housekeeping, sinks: SinkFollowing,
        accessLogs: AccessLogDelivery, tls: TLSWatch?, traces: TraceExporter?, takeover: TakeoverSocket,
        listeners: Listeners, isDraining: DrainFlag, logger: Logger
    ) {
        self.logger = logger
        self.listeners = listeners
        self.takeover = takeover
        self.isDraining = isDraining
        self.traces = traces
        self.store = store
        self.group = group
        self.workers = workers
        self.adminGroup = adminGroup
        self.adminWorkers = adminWorkers
        self.listener = listener
        self.admin = admin
        self.socket = socket
        self.housekeeping = housekeeping
        self.sinks = sinks
        self.accessLogs = accessLogs
        self.tls = tls
    }

    public var isSecure: Bool { tls != nil }

    /// Looks at once whether the certificate's files have changed.
    public func reloadCertificates() { tls?.reload() }

    public var address: String { listeners.s3.endpoint.description }
    public var adminAddress: String { listeners.admin.endpoint.description }

    /// Opens the store, makes the users whom the settings name, and begins to serve.
    /// - Parameters:
    ///   - listeners: what clients connect to; they stay open when the server stops.
    ///   - takenOver: called once, on a thread that may wait, when another process is ready to take over.
    public static func start(
        _ settings: ServerSettings, on listeners: Listeners, keys: KeyStore, logger: Logger,
        takenOver: @escaping @Sendable (TakeoverHandover) -> Void
    ) async throws -> Server {
        let tls = try settings.tlsCertificate.flatMap { certificate in
            try settings.tlsKey.map { try TLSCertificates(certificate: certificate, key: $0, logger) }
        }
        let store = try await ObjectStore.open(settings.store)
        for note in store.opening.log.notes { logger.notice("opening: \(note)") }
        if let flaw = store.opening.catalogFlaw {
            logger.warning(
                "\(settings.store.catalogPath) was computed anew from \(store.opening.eventsReplayed) events of the log: \(flaw)"
            )
        }
        store.startMaintenance()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let workers = WorkerPool(threads: settings.workers)
        let adminGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let adminWorkers = WorkerPool(threads: 2)
        let admission = AdmissionControl(settings.admission, domains: settings.domains) { delay, body in
            _ = group.any().scheduleTask(in: delay, body)
        }
        try OwnSecrets(settings).close(logger)
        let metricsToken = try MetricsToken(settings)
        let masterKeys = try MasterKeyStore(path: settings.masterKeysPath)
        let s3 = settings.protocolSettings(masterKeys)
        let service = S3Service(store: store, settings: s3, identities: keys) { id, operation, reason in
            logger.error("\(operation) failed: \(reason)", metadata: ["request": "\(id)"])
        }
        let metrics = RequestMetrics()
        let moved = MovedBytes()
        do {
            let tracer = settings.watching.traceEndpoint.map { _ in
                Tracer(ratio: settings.watching.traceRatio)
            }
            let traces = try settings.watching.traceEndpoint.flatMap { endpoint in
                try tracer.map { try TraceExporter($0, endpoint, group: group, logger) }
            }
            try UserSetting.create(settings.users, keys, in: store)
            for warning in try OwnerlessBuckets(store, keys).warnings { logger.warning("\(warning)") }
            let scrub = try ScrubService(
                store, settings.scrubSchedule,
                .init(pace: LoadPace(requests: { metrics.latency }, moved: { moved.total })))
            let space = SpaceWatch(
                percent: settings.healing.store.freePercent, isAllowed: settings.healing.store.allows(.space))
            let jobs = StoreJobs.scheduler(store, settings, scrub, logger, space: space, isServing: true)
            try service.accessLogs.findLoggedBuckets()
            let sinks = Sinks(try settings.sinks.map { try Sink($0, store, region: settings.region) })
            let isDraining = DrainFlag()
            let health = HealthResponder(
                store: store, volumeDeadline: .seconds(settings.deadlineSeconds),
                domains: settings.domains,
                isDraining: { isDraining.isSet })
            let listener = try await HTTPListener.serve(
                listeners.s3, group: group,
                ListenerContext(
                    responder: S3Responder(
                        service: service, metrics: metrics,
                        log: RequestLog(logger, settings.watching.requestLog), tracer: tracer, health: health),
                    workers: workers, connectionLimit: settings.connectionLimit, tls: tls,
                    admission: admission,
                    patience: settings.admission.patience, moved: moved))
            let sampler = MetricSampler(store, logger)
            let incidents = IncidentSampler(store, logger)
            let throughput = ThroughputSampler(metrics)
            let gathering = StatusGathering(
                store: store, scrub: scrub, sampler: sampler, incidents: incidents,
                throughput: throughput, jobs: jobs, sinks: sinks, keys: keys,
                earlyPercent: settings.healing.store.allows(.space)
                    ? settings.healing.store.freePercent : 0,
                directory: settings.directory,
                traffic: {
                    (listener.connectionCount, listener.requestsInFlight, workers.queueDepth)
                })
            let status = StatusResponder(
                store: store, health: health, metrics: metrics, scrub: scrub, sampler: sampler,
                tracer: tracer,
                traces: traces, workers: workers, jobs: jobs, sinks: sinks,
                admission: admission, connectionCounts: listener.counts,
                repositories: settings.repositories,
                page: StatusPageResponder(AdminGate(keys)) { gathering.facts() },
                token: metricsToken,
                connections: { listener.connectionCount },
                requestsInFlight: { listener.requestsInFlight })
            let admin = try await HTTPListener.serve(
                listeners.admin, group: adminGroup,
                ListenerContext(
                    responder: status, workers: adminWorkers, connectionLimit: 64,
                    patience: settings.admission.patience))
            let socket = try await AdminSocket.bind(
                path: AdminSocket.path(settings.store.stateDirectory), group: adminGroup,
                runner: CommandRunner(
                    store: store, keys: keys, masterKeys: masterKeys, s3: s3, scrub: scrub, jobs: jobs,
                    repositories: settings.repositories, sinks: sinks, isStopped: false),
                logger: logger)
            let takeover = try TakeoverSocket(
                path: TakeoverSocket.path(settings.store.stateDirectory), listeners, logger, agreed: takenOver
            )
            traces?.start()
            return Server(
                store: store, group: group, workers: workers, adminGroup: adminGroup,
                adminWorkers: adminWorkers, listener: listener,
                admin: admin, socket: socket,
                housekeeping: Housekeeping(
                    store, settings, masterKeys, jobs, sampler, incidents, throughput, space, logger),
                sinks: SinkFollowing(sinks, logger),
                accessLogs: AccessLogDelivery(
                    service.accessLogs, age: .seconds(settings.accessLogSeconds), logger),
                tls: tls.map(TLSWatch.init), traces: traces, takeover: takeover, listeners: listeners,
                isDraining: isDraining, logger: logger)
        } catch {
            store.close()
            try await group.shutdownGracefully()
            try await adminGroup.shutdownGracefully()
            workers.stop()
            adminWorkers.stop()
            throw error
        }
    }

    /// Lets the requests under way end, and closes the store.
    /// - Parameters:
    ///   - isHandedOver: another process serves in a moment, so nobody need be sent elsewhere: the server stays
    ///     ready to the end.
    ///   - kept: where connections go that are between two requests; `nil` if they are closed.
    public func stop(_ drain: Drain, isHandedOver: Bool = false, kept: KeptConnections? = nil) async throws {
        if !isHandedOver { isDraining.set() }
        housekeeping.endLeisure()
        socket.endCommands()
        takeover.stop()
        let handover = try await handover(of: listener, into: kept?.s3)
        logger.notice("draining")
        try await listener.stop(drain, keepsSocket: isHandedOver, handover)
        try await admin.stop(
            Drain(delay: .zero, deadline: .seconds(1)), keepsSocket: isHandedOver,
            try await self.handover(of: admin, into: kept?.admin))
        try await socket.stop()
        await tls?.stop()
        await accessLogs.stop()
        await traces?.stop()
        housekeeping.cancel()
        sinks.cancel()
        store.close()
        await housekeeping.wait()
        await sinks.wait()
        try await group.shutdownGracefully()
        try await adminGroup.shutdownGracefully()
        workers.stop()
        adminWorkers.stop()
    }

    /// Goes on with connections that the server before this one has left between two requests; they are taken out of `kept`.
    /// Nobody else may go on with them from here on.
    public func adopt(_ kept: KeptConnections) async {
        await listener.adopt(kept.s3.take())
        await admin.adopt(kept.admin.take())
    }

    /// - Returns: `nil` if a listener's connections are to be closed: those with TLS are in any case, for its keys are this
    ///   process's.
    private func handover(of listener: HTTPListener, into sockets: ConnectionSockets?) async throws
        -> ConnectionHandover?
    {
        guard let sockets, !listener.isSecure else { return nil }
        // Whoever is accepted after the look at the descriptors could not be handed over.
        try await listener.stopAccepting()
        do { return try ConnectionHandover(into: sockets) } catch {
            logger.error("connections that clients keep are closed and not handed over: \(error)")
            return nil
        }
    }
}

/// Set once, when the server is told to stop.
private final class DrainFlag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
