import Foundation
import Integrity
import Model
import ObjectStore

/// What is asked of the scrub.
public enum ScrubAction: Codable, Sendable {
    case status
    /// Reads a volume, or all, now.
    case start(volume: Int?)
    case pause
}

/// The health of a store, as commands and the admin listener print it.
struct HealthLine: Encodable {
    struct Volume: Encodable {
        let volume: Int
        let state: String
        let verified: String?
    }
    let green: Bool
    let reasons: [String]
    let openFindings: Int
    let volumes: [Volume]

    init(_ health: StoreHealth) {
        green = health.isGreen
        reasons = health.reasons
        openFindings = health.openFindings
        volumes = health.volumes.map {
            Volume(volume: $0.index, state: $0.state.rawValue, verified: $0.verified?.description)
        }
    }
}

/// The commands `status`, `scrub` and `volume list`.
extension CommandRunner {
    /// - Returns: 0 if the store is green, 4 if not.
    func status(json: Bool, _ output: any CommandOutput) throws -> Int32 {
        let health = try scrub.health()
        guard !json else {
            try output.line(try CommandJSON.line(HealthLine(health)))
            return health.isGreen ? 0 : 4
        }
        try output.line(health.isGreen ? "green" : "not green")
        for reason in health.reasons { try output.line("  \(reason.printable)") }
        for volume in health.volumes {
            let verified = volume.verified.map { ", every replica verified since \($0)" } ?? ""
            try output.line("volume \(volume.index): \(volume.state.rawValue)\(verified)")
        }
        return health.isGreen ? 0 : 4
    }

    private struct ScrubLine: Encodable {
        let volume: Int
        let pass: UInt64
        let started: String?
        let complete: Bool
        let verified: String?
        let bytes: UInt64
        let findings: UInt64
        let activity: String?
        let part: Double?
        let paused: Bool
    }

    private struct BucketLine: Encodable {
        let bucket: String
        let verified: String?
    }

    func scrub(_ action: ScrubAction, json: Bool, _ output: any CommandOutput) throws {
        switch action {
        case .status: break
        case .pause: try scrub.pause()
        case .start(let volume):
            if let volume, !(1...Limits.volumeCount).contains(volume) {
                throw StoreError.invalidState(
                    "there is no volume \(volume): they are 1 to \(Limits.volumeCount)")
            }
            guard !isStopped else {
                throw StoreError.invalidState(
                    "no server has the store: 'holdfast fsck --deep' reads one that is not served")
            }
            try scrub.start(volume: volume)
        }
        for row in try scrub.rows() {
            let activity = scrub.activity.flatMap { $0.volume == row.volume ? $0 : nil }
            let line = ScrubLine(
                volume: row.volume, pass: row.record?.pass ?? 0,
                started: row.record.map {
                    Timestamp(microseconds: $0.startedMicroseconds).description
                }, complete: row.record?.complete ?? false, verified: row.verified?.description,
                bytes: row.record?.bytes ?? 0, findings: row.record?.findings ?? 0,
                activity: activity?.kind.rawValue, part: activity?.part, paused: scrub.isPaused)
            try output.line(json ? try CommandJSON.line(line) : text(line))
        }
        for bucket in try store.buckets() {
            let verified = try scrub.verified(bucketCreated: bucket.created)?.description
            let line = BucketLine(bucket: bucket.name.rawValue, verified: verified)
            try output.line(
                json
                    ? try CommandJSON.line(line)
                    : "bucket \(line.bucket): \(verified.map { "every replica verified since \($0)" } ?? "not verified on every volume")"
            )
        }
    }

    private func text(_ line: ScrubLine) -> String {
        var text = "volume \(line.volume): "
        if let activity = line.activity {
            text += "\(activity) \(Int((line.part ?? 0) * 100)) %"
        } else if line.pass == 0 {
            text += "no pass yet"
        } else {
            text += "pass \(line.pass) \(line.complete ? "complete" : "begun"), \(line.bytes) bytes read"
        }
        if line.findings > 0 { text += ", \(counted(line.findings, "finding"))" }
        if let verified = line.verified { text += ", every replica verified since \(verified)" }
        return line.paused ? text + "  (paused)" : text
    }

    private struct VolumeLine: Encodable {
        let volume: Int
        let path: String
        let standing: String
        let reason: String?
        /// "set aside", "filling", "verifying" or "healed".
        let state: String
        let verified: String?
        /// Of the filling or the verifying, from 0 to 1.
        let progress: Double?
        let secondsLeft: Double?
    }

    func volumes(json: Bool, _ output: any CommandOutput) throws {
        let health = try scrub.health()
        for (status, volume) in zip(store.volumeStatuses, health.volumes) {
            let refill = store.refillProgress(of: status.index)
            let verifying = scrub.activity.flatMap {
                $0.volume == status.index && $0.kind == .verifying ? $0.part : nil
            }
            let line = VolumeLine(
                volume: status.index, path: status.path, standing: status.standing.rawValue,
                reason: status.reason, state: volume.state.rawValue, verified: volume.verified?.description,
                progress: refill?.part ?? verifying, secondsLeft: refill?.secondsLeft(at: .now()))
            try output.line(json ? try CommandJSON.line(line) : text(line))
        }
    }

    private func text(_ line: VolumeLine) -> String {
        var notes = line.reason.map { [$0] } ?? []
        if line.state == StoreHealth.VolumeState.verifying.rawValue {
            notes.append("what was brought is read back")
        }
        if let progress = line.progress { notes.append("\(Int(progress * 100)) %") }
        if let left = line.secondsLeft { notes.append("\(Int(left.rounded(.up))) s left") }
        let note = notes.isEmpty ? "" : "  (\(notes.joined(separator: ", ")))"
        return "volume \(line.volume): \(line.standing)  \(line.path)\(note)"
    }
}
