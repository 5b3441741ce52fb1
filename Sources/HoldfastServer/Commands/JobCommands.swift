import Model

/// What is asked of the jobs.
public enum JobAction: Codable, Sendable {
    case list
    case pause(String)
    case resume(String)
    /// Lets one run now.
    case run(String)
}

/// A job, as commands print it.
struct JobLine: Encodable {
    let job: String
    let state: String
    let waitingFor: String?
    let activity: String?
    let progress: Double?
    let lastStart: String?
    let lastSeconds: Double?
    let lastResult: String?
    let lastGood: Bool?
    let lastSuccess: String?
    let failures: Int
    let error: String?
    let next: String?

    init(_ status: JobStatus) {
        job = status.name
        state = status.state.rawValue
        waitingFor = status.waitingFor
        activity = status.activity
        progress = status.progress
        lastStart = status.record.begun.map { Timestamp(microseconds: $0).description }
        lastSeconds = status.record.seconds
        lastResult = status.record.result
        lastGood = status.record.isGood
        lastSuccess = status.record.succeeded.map { Timestamp(microseconds: $0).description }
        failures = status.record.failures
        error = status.record.error
        next = status.next?.description
    }

    var text: String {
        var text = "\(job): \(state)"
        if let waitingFor { text += " for \(waitingFor)" }
        if let activity { text += ", \(activity)" }
        if let progress { text += ", \(Int(progress * 100)) %" }
        if let lastStart {
            text += "; last run \(lastStart)"
            if let lastSeconds { text += " took \(Int(lastSeconds.rounded(.up))) s" }
            if let lastResult { text += ": \(lastGood == false ? "FAILED, " : "")\(lastResult)" }
        }
        if let error {
            text +=
                "; last error\(failures > 0 ? " (\(counted(failures, "failure")) in a row)" : ""): \(error)"
        }
        if let next { text += "; next run \(next)" }
        return text.printable
    }
}

extension CommandRunner {
    func jobs(_ action: JobAction, json: Bool, _ output: any CommandOutput) throws {
        switch action {
        case .list: break
        case .pause(let name): try jobs.pause(name)
        case .resume(let name): try jobs.resume(name)
        case .run(let name): try jobs.ask(name)
        }
        for status in jobs.statuses() {
            let line = JobLine(status)
            try output.line(json ? try CommandJSON.line(line) : line.text)
        }
    }
}
