import Foundation
import HoldfastServer
import Model
import ObjectStore
import Testing

@Suite final class ServerSettingsTests {
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/holdfast-settings-\(BlobID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private var file: String { directory + "/holdfast.json" }

    private func write(_ text: String) throws {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
    }

    private func load(
        _ environment: [String: String] = [:], _ flags: [(name: String, value: String)] = []
    ) throws -> ServerSettings {
        try ServerSettings.load(directory: directory, environment: environment, flags: flags)
    }

    private func error(
        _ environment: [String: String] = [:], _ flags: [(name: String, value: String)] = []
    ) -> SettingError? {
        do {
            _ = try load(environment, flags)
            return nil
        } catch { return error as? SettingError }
    }

    @Test func withoutAnythingSaidTheStandardsHold() throws {
        let settings = try load()
        #expect(settings.listen.description == "127.0.0.1:9000")
        #expect(settings.admin.description == "127.0.0.1:9001")
        #expect(settings.volumePaths == (1...3).map { "\(settings.directory)/volume-\($0)" })
        #expect(settings.region == "us-east-1" && settings.domains == ["localhost"])
        #expect(settings.store.stateDirectory == settings.directory + "/state")
        #expect(settings.store.historySeconds == 7 * 86_400)
        #expect(settings.store.operationDeadline == .seconds(10))
    }

    @Test func aCertificateAndItsKeyGoTogether() throws {
        let both = [("tls-certificate", "tls/chain.pem"), ("tls-key", "/etc/key.pem")]
        let settings = try load([:], both.map { (name: $0.0, value: $0.1) })
        #expect(settings.tlsCertificate == settings.directory + "/tls/chain.pem")
        #expect(settings.tlsKey == "/etc/key.pem")
        for (present, absent) in [(0, 1), (1, 0)] {
            let told = error([:], [(name: both[present].0, value: both[present].1)])
            #expect(told?.setting == both[absent].0 && told?.source == "not set")
        }
        #expect(try load().tlsCertificate == nil)
    }

    @Test func aFlagCountsBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        try write(
            #"{"region": "file", "workers": 3, "history-hours": 1, "domains": ["A.example", "b.example"]}"#)
        #expect(try load().region == "file")
        #expect(try load().domains == ["a.example", "b.example"])
        let environment = ["HOLDFAST_REGION": "environment", "HOLDFAST_WORKERS": "4"]
        #expect(try load(environment).region == "environment")
        let settings = try load(environment, [("region", "flag")])
        #expect(settings.region == "flag" && settings.workers == 4 && settings.historyHours == 1)
    }

    /// Each setting, with values it takes and values it does not.
    @Test(arguments: [
        ("volumes", ["a,b,c", "/x/1, /x/2 ,/x/3"], ["", "a", "a,b", "a,b,c,d", "a,a,b", "a,./a,b"]),
        (
            "listen", ["0.0.0.0:0", "[::1]:9000", "host:65535"],
            ["", "9000", ":9000", "host:", "host:65536", "host:-1", "host:x", "[]:1"]
        ),
        ("admin", ["127.0.0.1:1"], ["x"]), ("region", ["eu-1"], ["", "a b", "a/b", "é"]),
        ("domains", ["a", ""], []),
        ("scrub-period-days", ["0", "3650"], ["-1", "3651", "x", ""]),
        ("scrub-window", ["always", "22:00-06:00"], ["", "22-6", "24:00-01:00", "10:00-10:00"]),
        ("refill-rate", ["0", "1000000000000"], ["-1", "x", "1.5", ""]),
        ("history-hours", ["0", "87600"], ["-1", "87601", "x", "1.5", ""]),
        ("deadline-seconds", ["1", "3600"], ["0", "3601", "x"]),
        ("workers", ["1", "256"], ["0", "257", "x"]),
        ("connections", ["1", "100000"], ["0", "100001", "x"]),
        ("log-level", ["debug", "error"], ["loud", "", "DEBUG"]),
        ("access-log-seconds", ["1", "86400"], ["0", "86401", "x"]),
        ("admission", ["adaptive", "fixed", "off"], ["", "on", "Fixed"]),
        ("reads-at-once", ["1", "100000"], ["0", "100001", "x"]),
        ("writes-at-once", ["1", "100000"], ["0", "100001", "x"]),
        ("lists-at-once", ["1", "100000"], ["0", "100001", "x"]),
        ("admin-at-once", ["1", "100000"], ["0", "100001", "x"]),
        ("queue-milliseconds", ["0", "60000"], ["-1", "60001", "x"]),
        ("body-memory", ["1048576", "1099511627776"], ["0", "1048575", "x"]),
        ("idle-seconds", ["1", "86400"], ["0", "86401", "x"]),
        ("header-seconds", ["1", "3600"], ["0", "3601", "x"]),
        ("minimum-rate", ["1", "1000000000"], ["0", "x"]),
        ("grace-seconds", ["1", "3600"], ["0", "3601", "x"]),
        ("healing", ["all", "none"], ["", "some", "all,none"]),
        ("heal-returns-per-hour", ["1", "3600"], ["0", "3601", "x"]),
        ("heal-repairs-per-minute", ["1", "1000000"], ["0", "1000001", "x"]),
        ("heal-restarts-per-hour", ["1", "60"], ["0", "61", "x"]),
        ("heal-free-percent", ["0", "99"], ["-1", "100", "x"]),
        ("job-stall-seconds", ["60", "604800"], ["59", "604801", "x"]),
        ("log-format", ["text", "json"], ["", "xml"]),
        ("trace-ratio", ["0", "1", "0.5"], ["-0.1", "1.1", "x"]),
        ("sse-c-over-http", ["true", "false"], ["", "on", "1"]),
        ("cache-bytes", ["0", "1099511627776"], ["-1", "x"]),
    ])
    func eachBadValueIsRefusedNamingTheSettingAndWhereItStands(name: String, good: [String], bad: [String])
        throws
    {
        let variable = try #require(SettingName(rawValue: name)).environmentName
        #expect(variable == "HOLDFAST_" + name.uppercased().replacingOccurrences(of: "-", with: "_"))
        for value in good { #expect(error([:], [(name, value)]) == nil, "\(value)") }
        for value in bad {
            let flag = try #require(error([:], [(name, value)]), "'\(value)'")
            let source = ["volumes", "listen", "admin"].contains(name) ? "--\(name)" : "--set \(name)"
            #expect(flag.setting == name && flag.source == source)
            #expect(flag.description.hasPrefix("setting '\(name)' (\(source)) "))
            let inherited = try #require(error([variable: value]))
            #expect(inherited.setting == name && inherited.source == variable)
        }
    }

    @Test func theFileIsOneObjectOfStringsNumbersAndListsOfStrings() throws {
        for text in ["", "{", "[]", "1", "\"x\"", "{\"region\": }"] {
            try write(text)
            let error = try #require(self.error(), "\(text)")
            #expect(error.source == file)
        }
        for value in ["true", "null", "1.5", "{}", "[1]", "[[\"a\"]]"] {
            try write("{\"workers\": \(value)}")
            let error = try #require(self.error(), "\(value)")
            #expect(error.setting == "workers" && error.source == file, "\(value)")
        }
    }

    @Test func anUnknownSettingIsRefusedWithThoseThereAre() throws {
        try write(#"{"regoin": "x"}"#)
        let error = try #require(self.error())
        #expect(error.setting == "regoin" && error.source == file)
        for name in SettingName.allCases { #expect(error.reason.contains(name.rawValue)) }
        try write("{}")
        #expect(self.error([:], [("no-such", "x")])?.setting == "no-such")
    }

    @Test func volumesAreRelativeToTheStoresDirectory() throws {
        let settings = try load([:], [("volumes", "a,/b/../c,d/./e")])
        #expect(settings.volumePaths == ["\(settings.directory)/a", "/c", "\(settings.directory)/d/e"])
    }

    @Test func aBadNumberIsAnsweredWithTheBounds() throws {
        for (name, bounds) in [
            ("workers", "1 to 256"), ("reads-at-once", "1 to 100000"), ("heal-free-percent", "0 to 99"),
        ] {
            let found = try #require(error([:], [(name, "-1")]))
            #expect(found.reason == "is '-1': it must be a number from \(bounds)")
        }
    }

    @Test func filesAreRelativeToAStoreThatIsNotThereYet() throws {
        let settings = try ServerSettings.load(
            directory: directory + "/new", environment: [:], flags: [("master-keys", "keys")])
        #expect(settings.directory.hasSuffix("/new"))
        #expect(settings.masterKeys == settings.directory + "/keys")
    }

    @Test func aStoreRemembersVolumesThatAreElsewhere() throws {
        let elsewhere = (1...3).map { "\(directory)/disk-\($0)" }
        let settings = try load([:], [("volumes", elsewhere.joined(separator: ","))])
        #expect(try StoreDirectory.isNew(settings))
        try StoreDirectory.create(settings)
        #expect(try load().volumePaths == elsewhere)
        #expect(try !StoreDirectory.isNew(load()))
        #expect(throws: (any Error).self) { try StoreDirectory.create(settings) }
    }

    @Test func aStoreOfUsualVolumesNeedsNoFile() throws {
        try StoreDirectory.create(try load())
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test func healingIsAllOfItUnlessSomebodySaysOtherwise() throws {
        let usual = try load().healing
        #expect(usual.store.allowed == Set(HealingSettings.Action.allCases))
        #expect(usual.store.returnsPerHour == 20 && usual.store.repairsPerMinute == 600)
        #expect(try load([:], [("healing", "none")]).store.healing.allowed == [])
        let some = try load(
            ["HOLDFAST_HEALING": "jobs, space", "HOLDFAST_HEAL_FREE_PERCENT": "0"],
            [("heal-returns-per-hour", "3"), ("job-stall-seconds", "60")])
        #expect(some.store.healing.allowed == [.jobs, .space])
        #expect(some.store.healing.freePercent == 0 && some.store.healing.returnsPerHour == 3)
        #expect(some.healing.stallSeconds == 60)
        for (name, value) in [
            ("healing", "everything"), ("healing", ""), ("healing", "volumes,none"),
            ("heal-returns-per-hour", "0"), ("heal-free-percent", "100"), ("job-stall-seconds", "x"),
        ] {
            #expect(error([:], [(name, value)])?.setting == name, "\(name)=\(value)")
        }
    }
}
