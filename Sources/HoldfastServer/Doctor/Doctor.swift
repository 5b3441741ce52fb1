import Foundation
import Model
import ObjectStore
import S3Repository
import Volumes

/// What the doctor says of one thing.
public struct Diagnosis: Encodable, Sendable, Equatable {
    public enum Verdict: String, Encodable, Sendable { case ok, warn, fail }
    public let verdict: Verdict
    /// What was looked at: "settings", "volume 1", "clock" …
    public let subject: String
    public let finding: String
    /// What to do; `nil` if nothing is to be done.
    public let advice: String?

    init(_ verdict: Verdict, _ subject: String, _ finding: String, advice: String? = nil) {
        self.verdict = verdict
        self.subject = subject
        self.finding = finding
        self.advice = advice
    }

    public var text: String {
        let mark = verdict.rawValue.padding(toLength: 5, withPad: " ", startingAt: 0)
        return "\(mark) \(subject): \(finding)" + (advice.map { "\n        \($0)" } ?? "")
    }
}

/// Looks at the machine that a store is on, or is to be on: everything that is no fault of the store and may become one.
///
/// It writes one small file to each volume, which it removes, and changes nothing else. The store may be served meanwhile.
public struct Doctor: Sendable {
    let check: SettingsCheck
    let fileSystem: any FileSystem
    var settings: ServerSettings { check.settings }

    public init(_ check: SettingsCheck) {
        self.check = check
        fileSystem = RealFileSystem()
    }

    public func examine() -> [Diagnosis] {
        var found = settingsFile() + formats()
        for (offset, path) in settings.volumePaths.enumerated() {
            found += VolumeExamination(
                subject: "volume \(offset + 1)", path: path, deadline: Double(settings.deadlineSeconds),
                fileSystem
            ).examine()
        }
        found.append(devices())
        found.append(stateRoom())
        found += permissions()
        found += MachineExamination(connectionLimit: settings.connectionLimit).examine()
        found += clock()
        return found
    }

    // MARK: The store's own files

    private func settingsFile() -> [Diagnosis] {
        guard !check.problems.isEmpty else { return [Diagnosis(.ok, "settings", "make sense")] }
        return check.problems.map {
            Diagnosis(
                $0.severity == .error ? .fail : .warn, "settings", $0.description,
                advice: "mend it, and look again with 'holdfast config check'")
        }
    }

    private func formats() -> [Diagnosis] {
        let lines = StoreFormats.lines(settings, fileSystem)
        var found: [Diagnosis] = []
        for line in lines where line.what != StoreFormats.catalogName {
            let subject = "format of \(line.what)"
            guard let format = line.format else {
                // A volume that is missing is told of as such.
                guard line.reason?.contains(String(cString: strerror(ENOENT))) != true else { continue }
                found.append(
                    Diagnosis(
                        .fail, subject, "\(line.path) cannot be read: \(line.reason ?? "")",
                        advice: "look at it with 'holdfast fsck'"))
                continue
            }
            if format > line.newest {
                found.append(
                    Diagnosis(
                        .fail, subject, "\(line.path) has format \(format), newer than \(line.newest)",
                        advice: "use the release that wrote it, or a newer one"))
            } else if format < line.newest {
                found.append(
                    Diagnosis(
                        .warn, subject, "\(line.path) has format \(format); the newest is \(line.newest)",
                        advice:
                            "'holdfast upgrade' writes it anew when no earlier release is to be gone back to")
                )
            }
        }
        return found.isEmpty ? [Diagnosis(.ok, "formats", "are known to \(Release.name)")] : found
    }

    /// Volumes that share a device are lost together.
    private func devices() -> Diagnosis {
        var volumes: [UInt64: [Int]] = [:]
        for (offset, path) in settings.volumePaths.enumerated() {
            // What cannot be asked is told of where the volume is.
            if let status = try? fileSystem.status(of: path) {
                volumes[status.device, default: []].append(offset + 1)
            }
        }
        let shared = volumes.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
        guard let together = shared.first else {
            return Diagnosis(.ok, "devices", "each volume that is there has one of its own")
        }
        let names = together.map(String.init).joined(separator: ", ")
        return Diagnosis(
            .warn, "devices", "volumes \(names) are on one device, and would be lost together",
            advice: "give each volume a disk of its own; for a trial it does not matter")
    }

    /// The catalog grows with the objects, and what jobs need for a while stands beside it.
    private func stateRoom() -> Diagnosis {
        let path = settings.store.stateDirectory
        do {
            let (free, total) = try fileSystem.space(at: path)
            let finding = "\(free >> 20) MiB of \(total >> 20) MiB are free where the catalog is"
            guard free < 1 << 30 else { return Diagnosis(.ok, "state directory", finding) }
            return Diagnosis(
                .warn, "state directory", finding,
                advice:
                    "make room: with less than 64 MiB the server is not ready, and without any nothing can be changed"
            )
        } catch {
            return Diagnosis(.warn, "state directory", "\(error)", advice: "does \(path) exist?")
        }
    }

    /// What only the server's user may read, and whom root lets: ``SecretFile``.
    private func permissions() -> [Diagnosis] {
        let state = settings.store.stateDirectory
        var own = [state, state + "/keys.json", state + "/holdfast.sock", state + "/takeover.sock"]
        if let copies = try? fileSystem.list(state) {
            own += copies.filter { $0.hasPrefix("keys.json.format-") }.map { state + "/" + $0 }
        }
        var given = [settings.masterKeysPath]
        given += [settings.tlsKey, settings.metricsTokenPath].compactMap(\.self)
        if !settings.users.isEmpty { given.append(settings.directory + "/" + ServerSettings.fileName) }
        // What is no place at all is said of the settings.
        given += settings.repositories.compactMap { try? S3Location($0.place).credentialsPath }
        var found: [Diagnosis] = []
        var lookedAt = 0
        for (path, isGiven) in own.map({ ($0, false) }) + given.map({ ($0, true) }) {
            do {
                guard let secret = try SecretFile(at: path, isGiven: isGiven) else { continue }
                lookedAt += 1
                guard let open = secret.refusal(at: path) else { continue }
                found.append(Diagnosis(.fail, "permissions", open.finding, advice: open.advice))
            } catch {
                found.append(
                    Diagnosis(.fail, "permissions", "\(error)", advice: "run this as the server's user"))
            }
        }
        return found.isEmpty
            ? [Diagnosis(.ok, "permissions", "the \(lookedAt) files with secrets are kept from others")]
            : found
    }

    // MARK: Time

    private func clock() -> [Diagnosis] {
        var found: [Diagnosis] = []
        let now = Timestamp.now()
        let last = settings.volumePaths.compactMap { LastEventTime.find($0 + "/log", fileSystem) }.max()
        if let last, last.microseconds > now.microseconds + 1_000_000 {
            found.append(
                Diagnosis(
                    .fail, "clock", "it says \(now), and the log's last event is of \(last)",
                    advice: "set the clock: events, locks and lifecycle rules go by it"))
        } else {
            found.append(
                Diagnosis(
                    .ok, "clock",
                    "it says \(now)\(last.map { ", after the log's last event, of \($0)" } ?? "")"))
        }
        found.append(MachineExamination.clockKeeping())
        return found
    }
}
