import EventLog
import Foundation
import Integrity
import Model
import ObjectStore

/// The metrics of a store: what it holds, how its writes are doing, and what is known of its integrity. Each family is
/// in Documentation/metrics.md.
struct StoreMetrics {
    let store: ObjectStore
    let scrub: ScrubService
    let sampler: MetricSampler

    func add(to page: inout MetricPage) {
        writes(&page)
        volumes(&page)
        integrity(&page)
        counted(&page)
        scrubbing(&page)
        size(&page)
    }

    private static func volume(_ index: Int) -> MetricPage.Labels { [("volume", String(index))] }

    private func writes(_ page: inout MetricPage) {
        let metrics = store.commitMetrics
        page.gauge(
            "holdfast_commit_queue_depth", "Changes that wait for their commit.",
            Double(store.commitQueueDepth))
        page.histogram(
            "holdfast_commit_batch_size", "Changes that were committed together.",
            [([], metrics.batchSizes)])
        page.histogram(
            "holdfast_commit_duration_seconds",
            "From a batch of changes being taken to its callers being answered.", [([], metrics.seconds)])
        page.histogram(
            "holdfast_catalog_hold_seconds",
            "How long a transaction of the store's own maintenance held the catalog's writer.",
            [([], metrics.maintenanceHoldSeconds)])
        page.counter(
            "holdfast_commit_failed_batches", "Batches that did not become durable, or not for certain.",
            metrics.failedBatches)
        page.histogram(
            "holdfast_log_append_duration_seconds",
            "Appending a batch to a volume's log and having it on stable storage.",
            store.logTimings.appendSeconds.map { (Self.volume($0.volume), $0.seconds) })
        let head = store.head.sequence.rawValue
        page.gauge("holdfast_log_sequence", "Sequence of the last event.", Double(head))
        // An unreadable catalog leaves the sample out.
        let confirmed = try? store.confirmedThrough().rawValue
        page.gauge(
            "holdfast_confirmed_sequence", "Events up to here were read back and verified.",
            confirmed.map { Double($0) })
        page.gauge(
            "holdfast_unconfirmed_events", "Events that were not read back yet.",
            confirmed.map { Double(head - min($0, head)) })
    }

    private func volumes(_ page: inout MetricPage) {
        let statuses = store.volumeStatuses
        page.gauge(
            "holdfast_volume_in_service", "1 for a volume in good standing, 0 for one set aside.",
            statuses.map { (Self.volume($0.index), $0.standing == .inService ? 1 : 0) })
        page.gauge(
            "holdfast_volume_queue_depth", "Work queued on the volume's threads.",
            statuses.map { (Self.volume($0.index), Double($0.queued)) })
        let rooms = sampler.sample?.volumes ?? []
        page.gauge(
            "holdfast_volume_free_bytes", "Room left on the volume's file system.",
            rooms.map { (Self.volume($0.index), $0.freeBytes) })
        page.gauge(
            "holdfast_volume_size_bytes", "Size of the volume's file system.",
            rooms.map { (Self.volume($0.index), $0.sizeBytes) })
        let state = sampler.sample?.state
        page.gauge(
            "holdfast_state_free_bytes",
            "Room left on the state directory's file system, where the catalog is.",
            state.map { Double($0.free) })
        page.gauge(
            "holdfast_state_size_bytes", "Size of the state directory's file system.",
            state.map { Double($0.total) })
        let refills = statuses.compactMap { status in
            store.refillProgress(of: status.index).map { (Self.volume(status.index), $0) }
        }
        page.gauge(
            "holdfast_refill_done_ratio", "Part of what the volume missed that it has again.",
            refills.map { ($0.0, $0.1.part) })
        page.gauge(
            "holdfast_refill_seconds_left", "How long the rest takes if it goes on as so far.",
            refills.compactMap { labels, progress in progress.secondsLeft(at: .now()).map { (labels, $0) } })
    }

    private func integrity(_ page: inout MetricPage) {
        // An unreadable catalog leaves the samples out.
        let health = try? scrub.health()
        let classes = try? scrub.openFindingClasses()
        page.gauge(
            "holdfast_green", "1 if everything was verified within the scrub's period and nothing is open.",
            health.map { $0.isGreen ? 1 : 0 })
        page.gauge(
            "holdfast_unconfirmed_seconds", "Age of the oldest upload that was not read back yet.",
            health.map { $0.unconfirmedSeconds ?? 0 })
        page.gauge(
            "holdfast_open_findings", "Findings that were recorded and not mended.",
            health.map { Double($0.openFindings) })
        page.gauge(
            "holdfast_open_findings_by_class", "The same, by class of fault.",
            (classes ?? [:]).sorted { $0.key < $1.key }.map { ([("class", $0.key)], Double($0.value)) })
        page.gauge(
            "holdfast_replicas_missing", "Replicas that were found missing and are not made again.",
            classes.map { Double($0["replica.missing"] ?? 0) })
        page.gauge(
            "holdfast_oldest_unverified_seconds", "No replica on the volume was verified longer ago.",
            (health?.volumes ?? []).compactMap { volume in
                volume.ageSeconds.map { (Self.volume(volume.index), $0) }
            })
        page.gauge(
            "holdfast_volume_healed", "1 if all that was brought to the volume was read back.",
            (health?.volumes ?? []).map { (Self.volume($0.index), $0.state == .healed ? 1 : 0) })
        page.gauge(
            "holdfast_open_incidents", "Incidents that are not closed.",
            (try? IncidentReport(store).openCount).map { Double($0) })  // as above
    }

    private func counted(_ page: inout MetricPage) {
        let counts = store.integrityCounts
        // Every class from the start: the first finding of one is an increase that a rule sees.
        func byClass(_ counts: [String: UInt64]) -> [(labels: MetricPage.Labels, value: Double)] {
            FindingCode.allCases.map(\.rawValue).sorted().map { ([("class", $0)], Double(counts[$0] ?? 0)) }
        }
        page.counter(
            "holdfast_findings", "Findings recorded by this process.", byClass(counts.findings))
        page.counter("holdfast_repairs", "Repairs made by this process.", byClass(counts.repairs))
        let reads = counts.damagedReads
        page.counter(
            "holdfast_damaged_reads", "Replicas that a read found damaged, and read from another volume.",
            store.volumeStatuses.map { (Self.volume($0.index), Double(reads[$0.index] ?? 0)) })
        let affected = sampler.sample?.affected
        let states: [EventAffectedVersion.State] = [
            .detected, .repairing, .repaired, .restored, .olderAvailable, .lost, .removed,
        ]
        page.gauge(
            "holdfast_affected_versions", "Versions that damage has touched, by how they stand.",
            affected.map { affected in
                states.map { ([("state", $0.word)], Double(affected[$0]?.versions ?? 0)) }
            } ?? [])
        page.gauge(
            "holdfast_affected_bytes", "Their bytes.",
            affected.map { affected in
                states.map { ([("state", $0.word)], Double(affected[$0]?.bytes ?? 0)) }
            } ?? [])
    }

    private func scrubbing(_ page: inout MetricPage) {
        page.counter("holdfast_scrub_read_bytes", "Bytes that this process has read back.", scrub.bytesRead)
        page.gauge(
            "holdfast_scrub_share_ratio",
            "Part of the time in which the scrub, and jobs that have time, may work.", scrub.pace.share)
        page.gauge("holdfast_scrub_paused", "1 if the scrub is paused.", scrub.isPaused ? 1 : 0)
        page.gauge(
            "holdfast_scrub_done_ratio", "Part of what the scrub does now that is done.",
            scrub.activity.map { activity in
                [
                    (
                        [("volume", String(activity.volume)), ("activity", activity.kind.rawValue)],
                        activity.part
                    )
                ]
            } ?? [])
    }

    private func size(_ page: inout MetricPage) {
        let sample = sampler.sample
        page.gauge(
            "holdfast_catalog_rows", "Rows of the catalog, by table.",
            (sample?.rows ?? []).map { ([("table", $0.table)], Double($0.rows)) })
        page.gauge(
            "holdfast_catalog_size_bytes", "Size of the catalog's files.",
            sample.map { Double($0.catalogBytes) })
        page.gauge(
            "holdfast_sample_timestamp_seconds",
            "When rows, affected versions and room on the volumes were looked at last, since 1970.",
            sample.map { Double($0.taken.microseconds) / 1_000_000 })
    }
}
