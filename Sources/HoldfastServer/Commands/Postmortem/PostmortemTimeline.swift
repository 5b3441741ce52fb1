import Foundation
import Model

/// What a log says of an incident, in order: what was seen, what was done, what was said. Events of one kind that come
/// close together are one line, so that ten thousand repairs do not hide the volume that failed.
package struct PostmortemTimeline {
    /// What a line is about: the second column.
    package enum Kind: String, Sendable {
        case happened, seen, done, stated, told
    }

    package struct Line: Equatable, Sendable {
        package let first: Timestamp
        package let last: Timestamp
        package let sequence: SequenceNumber
        package let count: Int
        package let kind: Kind
        package let text: String
    }

    /// What makes events one line.
    private struct Group: Hashable {
        let kind: Kind
        let text: String
    }

    private struct Entry {
        let first: Timestamp
        var last: Timestamp
        let sequence: SequenceNumber
        var count: Int
        let group: Group
    }

    /// Events of a kind that come later than this after the one before are another line.
    private static let gapMicroseconds: UInt64 = 60_000_000
    /// Lines that may still grow.
    private static let openLimit = 256

    private let incident: UInt64
    private var open: [Entry] = []

    package init(incident: UInt64) { self.incident = incident }

    /// Takes an event, and returns the lines that no later event can add to, oldest first.
    package mutating func add(_ event: LoggedEvent) -> [Line] {
        var ready: [Line] = []
        for (kind, text, count) in parts(event.record) {
            let group = Group(kind: kind, text: text)
            if let index = open.lastIndex(where: { $0.group == group }),
                event.time.microseconds <= open[index].last.microseconds + Self.gapMicroseconds
            {
                open[index].last = event.time
                open[index].count += count
            } else {
                open.append(
                    Entry(
                        first: event.time, last: event.time, sequence: event.sequence, count: count,
                        group: group))
            }
        }
        // In the order of their first events: a line is out when all before it are.
        while let first = open.first,
            open.count > Self.openLimit
                || event.time.microseconds > first.last.microseconds + Self.gapMicroseconds
        {
            ready.append(Self.line(open.removeFirst()))
        }
        return ready
    }

    /// What is left when the log has ended.
    package mutating func finish() -> [Line] {
        defer { open = [] }
        return open.map(Self.line)
    }

    private static func line(_ entry: Entry) -> Line {
        Line(
            first: entry.first, last: entry.last, sequence: entry.sequence, count: entry.count,
            kind: entry.group.kind, text: entry.group.text)
    }

    private func parts(_ record: EventRecord) -> [(Kind, String, Int)] {
        switch record.change {
        case .epochOpened(let change):
            let volumes = change.volumes.map { "\($0)" }.joined(separator: ", ")
            return [(.happened, "the store was opened by \(change.software), on volumes \(volumes)", 1)]
        case .volumeSetAside(let change):
            return [(.happened, "volume \(change.volume) was set aside: \(change.reason)", 1)]
        case .volumeReturned(let change):
            return [
                (
                    .done,
                    "volume \(change.volume) is back in service: \(counted(change.events, "event")), \(counted(change.blobs, "blob")) and \(counted(change.bytes, "byte")) were brought to it",
                    1
                )
            ]
        case .snapshotTaken(let change):
            return [(.done, "snapshot \(change.snapshot) was taken into \(change.repository)", 1)]
        case .restoreEnded(let change) where change.incident == incident || change.incident == 0:
            return [(.done, change.summary, 1)]
        case .healingActed(let change):
            return [(.done, "\(change.subject): \(change.action): \(change.reason)", 1)]
        case .volumeReplaced(let change): return [(.done, "volume \(change.volume) was replaced", 1)]
        case .findingRecorded(let change):
            return [(.seen, "\(Self.name(change.finding)) on volume \(change.finding.volume)", 1)]
        case .uploadsConfirmed(let change):
            return change.exceptions.isEmpty
                ? []
                : [
                    (
                        .seen, "replicas that were not good when uploads were read back",
                        change.exceptions.count
                    )
                ]
        case .replicaRepaired(let change):
            let source = change.source.isEmpty ? "" : ", from \(change.source)"
            return [
                (
                    .done,
                    "repaired \(Self.name(change.finding)) on volume \(change.finding.volume)\(source)", 1
                )
            ]
        case .repairUndone(let change):
            return [
                (.done, "the repair of event \(change.repairSequence) was undone: \(change.finding.path)", 1)
            ]
        case .scrubAdvanced(let change) where change.complete:
            return [
                (
                    .seen,
                    change.pass == 0
                        ? "volume \(change.volume) is healed: what was brought to it was read back"
                        : "volume \(change.volume) was read from end to end, with \(counted(change.findings, "finding"))",
                    1
                )
            ]
        case .versionsStated(let change) where change.incident == incident:
            return Dictionary(grouping: change.versions, by: \.state.word).sorted { $0.key < $1.key }.map {
                (.stated, "versions are \($0.key)", $0.value.count)
            }
        case .incidentOpened(let change):
            return [(.told, "an incident was opened: \(change.reason)", 1)]
        case .incidentAcknowledged(let change) where change.incident == incident:
            let scope = [change.owner, change.bucket, change.key].filter { !$0.isEmpty }
            let what = scope.isEmpty ? "all of it" : scope.joined(separator: "/")
            return [(.told, "\(what) was acknowledged\(change.note.isEmpty ? "" : ": \(change.note)")", 1)]
        case .incidentClosed(let change):
            return [
                (
                    .told,
                    change.incident == incident
                        ? "the incident was closed: \(change.outcome)"
                        : "incident \(change.incident) was closed", 1
                )
            ]
        default: return []
        }
    }

    private static func name(_ finding: EventFinding) -> String {
        finding.faultClass.isEmpty ? finding.code : "\(finding.code) \(finding.faultClass)"
    }
}
