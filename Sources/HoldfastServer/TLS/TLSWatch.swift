/// Looks at the certificate's files every few seconds, on a thread of its own, which may wait for their disk.
final class TLSWatch: Sendable {
    private static let interval = Duration.seconds(2)

    private let certificates: TLSCertificates
    private let threads = WorkerPool(threads: 1)
    private let task: Task<Void, Never>

    init(_ certificates: TLSCertificates) {
        self.certificates = certificates
        task = Task(executorPreference: threads) {
            while !Task.isCancelled {
                // Cancelled while it sleeps, the loop ends above.
                try? await Task.sleep(for: Self.interval)
                if !Task.isCancelled { certificates.reload() }
            }
        }
    }

    /// Looks at once.
    func reload() {
        let certificates = certificates
        Task(executorPreference: threads) { certificates.reload(isForced: true) }
    }

    func stop() async {
        task.cancel()
        await task.value
        threads.stop()
    }
}
