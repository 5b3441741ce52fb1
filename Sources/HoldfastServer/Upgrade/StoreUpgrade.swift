import Foundation
import Model
import ObjectStore
import Volumes

/// `holdfast upgrade`: the one way in which a store comes to be written in a newer format.
public enum StoreUpgrade {
    /// What is done about one file.
    public struct Step: Encodable, Sendable {
        public enum Action: String, Encodable, Sendable {
            /// It has the newest format.
            case none
            /// It gets it now, or would.
            case upgrade
            /// A view of the log, which the store itself brings to the newest schema when it is opened, and which an earlier
            /// release computes anew.
            case computed
            /// It cannot be read; `holdfast fsck` and `doctor` say more.
            case unreadable
        }
        public let what: String
        public let path: String
        public let format: Int?
        public let newest: Int
        public let action: Action
        /// Where the file is as it was.
        public var copy: String?
        public let reason: String?

        public var text: String {
            let found = format.map { "format \($0)" } ?? "no format: \(reason ?? "")"
            let done =
                switch action {
                case .none: "the newest"
                case .unreadable: "cannot be used; the newest is \(newest)"
                case .computed: "becomes \(newest) when the store is opened; computed from the log"
                case .upgrade:
                    copy.map { "now format \(newest), as it was in \($0)" } ?? "would become format \(newest)"
                }
            return "\(what)  \(path)  \(found)  \(done)"
        }
    }

    /// - Parameter isDryRun: nothing is written.
    /// - Throws: ``NewerFormat`` if a newer release wrote the store, ``StoreError/invalidState(_:)`` while it is served.
    public static func run(
        _ settings: ServerSettings, isDryRun: Bool, _ fileSystem: any FileSystem = RealFileSystem()
    ) throws -> [Step] {
        let lock = try StoreLock.take(settings.store)
        defer { lock.close() }
        try StoreFormats.requireKnown(settings, fileSystem)
        return try StoreFormats.lines(settings, fileSystem).map { line in
            var step = Step(
                what: line.what, path: line.path, format: line.format, newest: line.newest,
                action: action(line), reason: line.reason)
            if step.action == .upgrade, !isDryRun {
                step.copy = try KeyFileUpgrade.run(line.path, fileSystem)?.copy
            }
            return step
        }
    }

    private static func action(_ line: FormatLine) -> Step.Action {
        guard let format = line.format else { return .unreadable }
        if format == line.newest { return .none }
        if line.what == StoreFormats.catalogName { return .computed }
        // Of nothing else was there ever an earlier format.
        return line.what == StoreFormats.keysName && format > 0 ? .upgrade : .unreadable
    }
}
