import Model
import Notifications
import S3Repository

/// What the metrics say of the jobs, of the sinks and of repositories that are asked over a network.
extension StatusResponder {
    func addJobs(to page: inout MetricPage) {
        let statuses = jobs.statuses()
        let now = Timestamp.now()
        func label(_ status: JobStatus) -> MetricPage.Labels { [("job", status.name)] }
        page.gauge(
            "holdfast_job_state", "1 for the state that the job is in.",
            statuses.map { (label($0) + [("state", $0.state.rawValue)], 1) })
        page.counter(
            "holdfast_job_runs", "Runs of the job, by what they came to.",
            statuses.filter { !$0.kind.rule.isContinuous }.flatMap { status in
                [("good", status.runs.good), ("bad", status.runs.bad), ("failed", status.runs.failed)].map {
                    (label(status) + [("result", $0.0)], Double($0.1))
                }
            })
        page.gauge(
            "holdfast_job_consecutive_failures", "Runs in a row that did not come to their end.",
            statuses.map { (label($0), Double($0.record.failures)) })
        page.gauge(
            "holdfast_job_last_duration_seconds", "How long the last run took that came to its end.",
            statuses.compactMap { status in status.record.seconds.map { (label(status), $0) } })
        func repositories(
            _ kind: JobKind, _ value: (JobStatus) -> Double?
        ) -> [(labels: MetricPage.Labels, value: Double)] {
            statuses.filter { $0.kind == kind }.compactMap { status in
                value(status).map { ([("repository", status.repository ?? "")], $0) }
            }
        }
        page.gauge(
            "holdfast_snapshot_age_seconds",
            "How long ago the newest snapshot was begun; before the first, how long snapshots have had a schedule.",
            repositories(.snapshot) { status in
                status.record.lastMade.map { now.seconds(since: Timestamp(microseconds: $0)) }
            })
        page.gauge(
            "holdfast_drill_last_success_timestamp_seconds",
            "When the last drill began in which everything came back as it was.",
            repositories(.drill) { status in status.record.succeeded.map { Double($0) / 1_000_000 } })
        page.gauge(
            "holdfast_drill_last_good", "1 if everything came back as it was in the last drill.",
            repositories(.drill) { status in status.record.isGood.map { $0 ? 1 : 0 } })
    }

    func addRepositories(to page: inout MetricPage) {
        let remote = repositories.compactMap { setting in
            RepositoryPlace.gate(setting.place).map { (setting.name, $0) }
        }
        func samples(_ value: (EndpointGate) -> Double) -> [(labels: MetricPage.Labels, value: Double)] {
            remote.map { ([("repository", $0.0)], value($0.1)) }
        }
        page.gauge(
            "holdfast_repository_breaker_open",
            "1 while the repository's endpoint does not answer and is left alone.",
            samples { $0.state == .closed ? 0 : 1 })
        page.gauge(
            "holdfast_repository_requests_in_flight", "Requests to the repository's endpoint.",
            samples { Double($0.requestsInFlight) })
        page.counter(
            "holdfast_repository_refused_requests",
            "Requests that were not made because the endpoint is left alone.", samples { Double($0.refused) })
    }

    func addSinks(to page: inout MetricPage) {
        let standings = sinks.all.map(\.standing)
        func samples(_ value: (Sink.Standing) -> Double) -> [(labels: MetricPage.Labels, value: Double)] {
            standings.map { ([("sink", $0.name)], value($0)) }
        }
        page.gauge(
            "holdfast_sink_lag_events", "Events that the sink was not told of yet.",
            samples { Double($0.lag) })
        page.gauge(
            "holdfast_sink_breaker_open", "1 while the sink's breaker is not closed.",
            samples { $0.breaker == .closed ? 0 : 1 })
        page.gauge("holdfast_sink_paused", "1 while the sink is paused.", samples { $0.isPaused ? 1 : 0 })
        page.counter(
            "holdfast_sink_delivered_records", "Records that the sink has taken since the server began.",
            samples { Double($0.delivered) })
        page.counter(
            "holdfast_sink_dead_letters", "Records that the sink refused for good since the server began.",
            samples { Double($0.deadLetters) })
    }
}
