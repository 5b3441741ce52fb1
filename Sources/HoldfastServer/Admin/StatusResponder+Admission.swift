import Model
import ObjectStore

extension StatusResponder {
    /// Who is let in, who is not, and what is kept for those who come again.
    func addAdmission(to page: inout MetricPage) {
        let standings = admission?.standings ?? []
        func byClass(
            _ value: (AdmissionControl.Standing) -> Double
        ) -> [(labels: MetricPage.Labels, value: Double)] {
            standings.map { ([("class", $0.kind.word)], value($0)) }
        }
        page.gauge(
            "holdfast_admission_limit", "Requests that may be worked at at once.",
            byClass { Double($0.limit) })
        page.gauge(
            "holdfast_admission_in_flight",
            "Requests that are worked at, without those that wait for their client.",
            byClass { Double($0.inFlight) })
        page.gauge(
            "holdfast_admission_queue_length", "Requests that wait to be let in.",
            byClass { Double($0.queued) })
        page.gauge(
            "holdfast_admission_overloaded", "1 while the queue does not drain, and the newest come first.",
            byClass { $0.isOverloaded ? 1 : 0 })
        page.counter(
            "holdfast_admission_admitted_requests", "Requests that were let in.",
            byClass { Double($0.admitted) })
        page.counter(
            "holdfast_admission_refused_requests", "Requests that were answered SlowDown at their head.",
            standings.flatMap { standing in
                standing.refused.map { refused in
                    (
                        [("class", standing.kind.word), ("reason", refused.reason.word)],
                        Double(refused.count)
                    )
                }
            })
        page.histogram(
            "holdfast_admission_wait_seconds", "How long requests waited that were let in from the queue.",
            standings.map { ([("class", $0.kind.word)], $0.waitSeconds) })
        let memory = admission?.memory
        page.gauge(
            "holdfast_body_memory_bytes", "Memory that is set aside for bodies of requests and answers.",
            memory.map { Double($0.held) })
        page.gauge(
            "holdfast_body_memory_limit_bytes", "How much may be.", memory.map { Double($0.limit) })
        let tracked = admission?.tracked
        page.gauge(
            "holdfast_rate_limits_tracked", "Access keys and buckets whose rates are tracked.",
            tracked.map { [([("by", "key")], Double($0.keys)), ([("by", "bucket")], Double($0.buckets))] }
                ?? [])
        page.counter(
            "holdfast_refused_connections", "Connections more than there may be, answered SlowDown.",
            connectionCounts.refusedConnections)
        page.counter(
            "holdfast_slow_clients", "Connections that were given up because the client was too slow.",
            connectionCounts.slowClients.map { ([("with", $0.slow.word)], Double($0.count)) })
        addCache(to: &page)
    }

    private func addCache(to page: inout MetricPage) {
        let cache = store.payloadCacheCounts
        page.counter(
            "holdfast_cache_hits", "Small objects that were answered from memory.", cache?.hits ?? 0)
        page.counter(
            "holdfast_cache_misses", "Small objects that were not in memory.", cache?.misses ?? 0)
        page.counter(
            "holdfast_cache_evictions", "Small objects that made room for others.", cache?.evictions ?? 0)
        page.counter(
            "holdfast_cache_invalidations", "Small objects that were dropped for an event of the log.",
            cache?.invalidations ?? 0)
        page.gauge(
            "holdfast_cache_bytes", "Memory that small objects take.", Double(cache?.byteCount ?? 0))
        page.gauge(
            "holdfast_cache_limit_bytes", "How much they may; 0 if none are kept.",
            Double(cache?.byteLimit ?? 0))
    }
}
