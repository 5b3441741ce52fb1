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

/// A store that serves: listeners, the completion verifier, the admin socket.
public final class Server: Sendable {
    /// How long requests under way may take when the server is told to stop.
    private static let stopDeadline = Duration.seconds(20)

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

    private init(
        store: ObjectStore, group: MultiThreadedEventLoopGroup, workers: WorkerPool,
        adminGroup: MultiThreadedEventLoopGroup, adminWorkers: WorkerPool, listener: HTTPListener,
        admin: HTTPListener, socket: AdminSocket, housekeeping: Housekeeping, sinks: SinkFollowing,
        accessLogs: AccessLogDelivery, tls: TLSWatch?, traces: TraceExporter?
    ) {
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

    public var address: String { listener.address.map(Self.text) ?? "" }
    public var adminAddress: String { admin.address.map(Self.text) ?? "" }

    private static func text(_ address: SocketAddress) -> String {
        ServerSettings.Endpoint(host: address.ipAddress ?? "", port: address.port ?? 0).description
    }

    /// Opens the store, makes the users whom the settings name, and begins to serve.
    public static func start(
        _ settings: ServerSettings, keys: KeyStore, logger: Logger
    ) async throws -> Server {
        let tls = try settings.tlsCertificate.flatMap { certificate in
            try settings.tlsKey.map { try TLSCertificates(certificate: certificate, key: $0, logger) }
        }
        let store = try await ObjectStore.open(settings.store)
        for note in store.opening.log.notes { logger.notice("opening: \(note)") }
        store.startMaintenance()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let workers = WorkerPool(threads: settings.workers)
        let adminGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let adminWorkers = WorkerPool(threads: 2)
        let admission = AdmissionControl(settings.admission, domains: settings.domains) { delay, body in
            _ = group.any().scheduleTask(in: delay, body)
        }
        var s3 = S3Settings()
        s3.region = settings.region
        s3.domains = settings.domains
        s3.allowsSignatureV2 = settings.allowsSignatureV2
        s3.locksNewBuckets = settings.bucketsStartLocked
        s3.lifecycleDaySeconds = UInt64(settings.lifecycleDaySeconds)
        let masterKeys = try MasterKeyStore(path: settings.masterKeysPath)
        s3.encryption = settings.encryption(masterKeys)
        let service = S3Service(store: store, settings: s3, identities: keys) { id, operation, reason in
            logger.error("\(operation) failed: \(reason)", metadata: ["request": "\(id)"])
        }
        let metrics = RequestMetrics()
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
                store, settings.scrubSchedule, .init(load: { metrics.takeLatency() }))
            let jobs = StoreJobs.scheduler(store, settings, scrub, logger, isServing: true)
            try service.accessLogs.findLoggedBuckets()
            let sinks = Sinks(try settings.sinks.map { try Sink($0, store, region: settings.region) })
            let listener = try await HTTPListener.bind(
                host: settings.listen.host, port: settings.listen.port, group: group,
                ListenerContext(
                    responder: S3Responder(
                        service: service, metrics: metrics,
                        log: RequestLog(logger, settings.watching.requestLog), tracer: tracer),
                    workers: workers, connectionLimit: settings.connectionLimit, tls: tls,
                    admission: admission,
                    patience: settings.admission.patience))
            let sampler = MetricSampler(store, logger)
            let status = StatusResponder(
                store: store, metrics: metrics, scrub: scrub, sampler: sampler, tracer: tracer,
                traces: traces, workers: workers, jobs: jobs, sinks: sinks,
                admission: admission, connectionCounts: listener.counts,
                connections: { listener.connectionCount },
                requestsInFlight: { listener.requestsInFlight })
            let admin = try await HTTPListener.bind(
                host: settings.admin.host, port: settings.admin.port, group: adminGroup,
                ListenerContext(
                    responder: status, workers: adminWorkers, connectionLimit: 64,
                    patience: settings.admission.patience))
            let socket = try await AdminSocket.bind(
                path: AdminSocket.path(settings.store.stateDirectory), group: adminGroup,
                runner: CommandRunner(
                    store: store, keys: keys, masterKeys: masterKeys, scrub: scrub, jobs: jobs,
                    repositories: settings.repositories, sinks: sinks, isStopped: false),
                logger: logger)
            traces?.start()
            return Server(
                store: store, group: group, workers: workers, adminGroup: adminGroup,
                adminWorkers: adminWorkers, listener: listener,
                admin: admin, socket: socket,
                housekeeping: Housekeeping(store, settings, masterKeys, jobs, sampler, logger),
                sinks: SinkFollowing(sinks, logger),
                accessLogs: AccessLogDelivery(
                    service.accessLogs, age: .seconds(settings.accessLogSeconds), logger),
                tls: tls.map(TLSWatch.init), traces: traces)
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
    public func stop() async throws {
        try await listener.stop(deadline: Self.stopDeadline)
        try await admin.stop(deadline: .seconds(1))
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
}
