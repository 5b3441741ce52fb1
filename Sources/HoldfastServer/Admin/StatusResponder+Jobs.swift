import Model

/// What the metrics say of the jobs.
extension StatusResponder {
    func jobsExposition() -> [String] {
        var lines: [String] = []
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(String, String)]) {
            guard !samples.isEmpty else { return }
            lines.append("# HELP \(name) \(help)")
            lines.append("# TYPE \(name) \(type)")
            lines += samples.map { "\(name){\($0.0)} \($0.1)" }
        }
        let statuses = jobs.statuses()
        let now = Timestamp.now()
        func label(_ status: JobStatus) -> String { "job=\"\(status.name)\"" }
        family(
            "holdfast_job_state", "gauge", "1 for the state that the job is in.",
            statuses.map { ("\(label($0)),state=\"\($0.state.rawValue)\"", "1") })
        family(
            "holdfast_job_runs_total", "counter", "Runs of the job, by what they came to.",
            statuses.filter { !$0.kind.rule.isContinuous }.flatMap { status -> [(String, String)] in
                let job = label(status)
                return [
                    ("\(job),result=\"good\"", "\(status.runs.good)"),
                    ("\(job),result=\"bad\"", "\(status.runs.bad)"),
                    ("\(job),result=\"failed\"", "\(status.runs.failed)"),
                ]
            })
        family(
            "holdfast_job_consecutive_failures", "gauge", "Runs in a row that did not come to their end.",
            statuses.map { (label($0), "\($0.record.failures)") })
        family(
            "holdfast_job_last_duration_seconds", "gauge", "How long the last run took that came to its end.",
            statuses.compactMap { status in status.record.seconds.map { (label(status), "\($0)") } })
        func repositories(_ kind: JobKind, _ value: (JobStatus) -> String?) -> [(String, String)] {
            statuses.filter { $0.kind == kind }.compactMap { status in
                value(status).map { ("repository=\"\(status.repository ?? "")\"", $0) }
            }
        }
        family(
            "holdfast_snapshot_age_seconds", "gauge", "How long ago the newest snapshot was begun.",
            repositories(.snapshot) { status in
                status.record.succeeded.map { "\(now.seconds(since: Timestamp(microseconds: $0)))" }
            })
        family(
            "holdfast_drill_last_success_timestamp_seconds", "gauge",
            "When the last drill began in which everything came back as it was.",
            repositories(.drill) { status in
                status.record.succeeded.map { "\(Double($0) / 1_000_000)" }
            })
        family(
            "holdfast_drill_last_good", "gauge", "1 if everything came back as it was in the last drill.",
            repositories(.drill) { status in status.record.isGood.map { $0 ? "1" : "0" } })
        return lines
    }
}
