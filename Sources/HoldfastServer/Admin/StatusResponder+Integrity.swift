import Foundation
import HTTPTypes
import Integrity
import Model
import ObjectStore
import S3

/// What the admin listener says of the store's health: whether it is proved, by when, and what is under way.
extension StatusResponder {
    /// Green is 200, anything else 503: for a probe that pages somebody.
    func green() -> ServiceResponse {
        do {
            let health = try scrub.health()
            let body = try CommandJSON.line(HealthLine(health)) + "\n"
            return text(health.isGreen ? .ok : .serviceUnavailable, body, type: "application/json")
        } catch {
            return text(.serviceUnavailable, "\(error)\n")
        }
    }

    func integrityExposition() -> [String] {
        var lines: [String] = []
        func family(_ name: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            guard !samples.isEmpty else { return }
            lines.append("# HELP \(name) \(help)")
            lines.append("# TYPE \(name) gauge")
            lines += samples.map { "\(name)\($0.labels) \($0.value)" }
        }
        func label(_ volume: Int) -> String { "{volume=\"\(volume)\"}" }
        if let health = try? scrub.health() {  // an unreadable catalog leaves the samples out
            family(
                "holdfast_green",
                "1 if everything was verified within the scrub's period and nothing is open.",
                [("", health.isGreen ? "1" : "0")])
            family(
                "holdfast_open_findings", "Findings that were recorded and not mended.",
                [("", "\(health.openFindings)")])
            family(
                "holdfast_oldest_unverified_seconds",
                "No replica on the volume was verified longer ago.",
                health.volumes.compactMap { volume in
                    volume.ageSeconds.map { (label(volume.index), "\($0)") }
                })
            family(
                "holdfast_volume_healed", "1 if all that was brought to the volume was read back.",
                health.volumes.map { (label($0.index), $0.state == .healed ? "1" : "0") })
        }
        if let open = try? IncidentReport(store).openCount {  // as above
            family("holdfast_open_incidents", "Incidents that are not closed.", [("", "\(open)")])
        }
        family("holdfast_scrub_bytes", "Bytes that this process has read back.", [("", "\(scrub.bytesRead)")])
        family(
            "holdfast_scrub_share", "Part of the time in which the scrub may read.", [("", "\(scrub.share)")])
        if let activity = scrub.activity {
            family(
                "holdfast_scrub_done_ratio", "Part of what the scrub does now that is done.",
                [
                    (
                        "{volume=\"\(activity.volume)\",activity=\"\(activity.kind.rawValue)\"}",
                        "\(activity.part)"
                    )
                ])
        }
        let refills = store.volumeStatuses.compactMap { status in
            store.refillProgress(of: status.index).map { (status.index, $0) }
        }
        family(
            "holdfast_refill_done_ratio", "Part of what the volume missed that it has again.",
            refills.map { (label($0.0), "\($0.1.part)") })
        family(
            "holdfast_refill_seconds_left", "How long the rest takes if it goes on as so far.",
            refills.compactMap { index, progress in
                progress.secondsLeft(at: .now()).map { (label(index), "\($0)") }
            })
        return lines
    }
}
