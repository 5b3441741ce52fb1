import Foundation
import HoldfastServer
import Integrity
import Testing

@Suite final class JobWindowsTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/holdfast-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func load(_ windows: String) throws -> JobWindows {
        let text = #"{"repositories": {"nas": {"directory": "/nas"}}, "job-windows": \#(windows)}"#
        try text.write(toFile: directory + "/holdfast.json", atomically: true, encoding: .utf8)
        return try ServerSettings.load(directory: directory, environment: [:], flags: []).jobWindows
    }

    private func window(_ kind: JobKind, _ repository: String? = nil, in windows: JobWindows) -> String {
        let job = JobDefinition(kind, repository: repository, .never) { _ in JobOutcome("") }
        return windows.applied(to: job).window.description
    }

    @Test func aJobHasTheHoursOfItsNameBeforeThoseOfItsKind() throws {
        let windows = try load(
            #"{"reclaim": "01:00-05:00", "verify": "22:00-06:00", "verify:nas": "always", "drill:nas": "03:00-04:00"}"#
        )
        #expect(window(.reclaim, in: windows) == "01:00-05:00")
        #expect(window(.verify, "nas", in: windows) == "always")
        #expect(window(.verify, "other", in: windows) == "22:00-06:00")
        #expect(window(.drill, "nas", in: windows) == "03:00-04:00")
        #expect(window(.drill, "other", in: windows) == "always")
        #expect(window(.lifecycle, in: windows) == "always")
    }

    @Test(arguments: [
        ("[]", "is no object"), (#"{"verfy": "always"}"#, "the nearest is 'verify'"),
        (#"{"verify:nsa": "always"}"#, "the nearest is 'verify:nas'"),
        (#"{"reclaim:nas": "always"}"#, "is no job"),
        (#"{"reclaim": "1-5"}"#, "HH:MM-HH:MM"), (#"{"reclaim": 5}"#, "HH:MM-HH:MM"),
        (#"{"scrub": "always"}"#, "'scrub-window'"), (#"{"snapshot:nas": "always"}"#, "'snapshot-window'"),
        (#"{"repair": "always"}"#, "all the time"),
    ])
    func whatMakesNoSenseIsRefusedByName(text: String, reason: String) {
        #expect { _ = try load(text) } throws: { error in
            guard let error = error as? SettingError else { return false }
            return error.setting == "job-windows" && error.reason.contains(reason)
        }
    }
}
