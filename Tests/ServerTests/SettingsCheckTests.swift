import Foundation
import HoldfastServer
import Logging
import Model
import Testing
import Volumes

@Suite final class SettingsCheckTests {
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/holdfast-check-\(BlobID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func check(
        _ file: String = "{}", _ environment: [String: String] = [:],
        _ flags: [(name: String, value: String)] = []
    ) throws -> SettingsCheck {
        try file.write(toFile: directory + "/holdfast.json", atomically: true, encoding: .utf8)
        return SettingsCheck(directory: directory, environment: environment, flags: flags)
    }

    @Test func goodSettingsHaveNoProblem() throws {
        let check = try check(#"{"region": "eu-1"}"#)
        #expect(check.isGood && check.problems.isEmpty && check.refusal == nil)
        #expect(check.settings.region == "eu-1")
    }

    @Test func everyProblemIsToldInOnePass() throws {
        let check = try check(
            #"{"workers": 0, "lisn": "x", "region": {}, "users": 1}"#, ["HOLDFAST_ADMIN": "nonsense"],
            [("drain-seconds", "-1")])
        #expect(
            check.problems.map(\.setting).sorted() == [
                "admin", "drain-seconds", "lisn", "region", "users", "workers",
            ])
        #expect(check.refusal?.description.split(separator: "\n").count == 6)
    }

    @Test func everyUserSinkAndRepositoryThatMakesNoSenseIsTold() throws {
        let check = try check(
            #"""
            {"users": [{"name": "a"}, {"name": "b", "access-key": "ACCESSKEYOFB", "secret-key": "secret of b of 16"}, {"nme": "c"}],
             "sinks": [{"name": "one", "webhook": "http://127.0.0.1:1/", "evnts": []},
                       {"name": "two", "webhook": "http://127.0.0.1:1/"}, {"name": "no name"}],
             "repositories": {"nas": {"directory": ""}, "good": {"directory": "/nas"}, "other": {"s3": "x"}}}
            """#)
        #expect(
            check.problems.map(\.setting).sorted() == [
                "repositories", "repositories", "sinks", "sinks", "users", "users",
            ])
    }

    @Test(arguments: [
        ("lisn", "listen"), ("log_level", "log-level"), ("TLS-KEYS", "tls-key"), ("wrokers", "workers"),
        ("sink", "sinks"), ("rate-limit", "rate-limits"), ("repository", "repositories"),
        ("job-window", "job-windows"),
    ])
    func anUnknownNameIsAnsweredWithTheNearest(name: String, nearest: String) throws {
        let problem = try #require(try check("{}", [:], [(name, "x")]).problems.first)
        #expect(problem.problem.hasPrefix("is unknown; the nearest is '\(nearest)'"))
    }

    @Test(arguments: [
        (#"{"sinks": [{"name": "one", "webhook": "http://127.0.0.1:1/", "evnts": ["s3:*"]}]}"#, "events"),
        (#"{"users": [{"name": "a", "access-key": "KEYOFA", "secret": "x"}]}"#, "secret-key"),
        (#"{"rate-limits": {"each-keys": {"requests": 1}}}"#, "each-key"),
        (#"{"rate-limits": {"each-key": {"request": "many"}}}"#, "requests"),
        (#"{"repositories": {"nas": {"directory": "/nas", "keep-dayly": 7}}}"#, "keep-daily"),
    ])
    func anUnknownMemberIsAnsweredWithTheNearest(file: String, nearest: String) throws {
        let problem = try #require(try check(file).problems.first)
        #expect(problem.problem.contains("which is unknown; the nearest is '\(nearest)'; there are "))
    }

    @Test func whatIsMoreThanATextStandsInTheFileAlone() throws {
        let problem = try #require(try check("{}", [:], [("sinks", "x")]).problems.first)
        #expect(problem.setting == "sinks" && problem.problem.contains("holdfast.json alone"))
    }

    @Test func aNumberMayHaveAFraction() throws {
        let check = try check(#"{"trace-ratio": 0.05, "workers": 3}"#)
        #expect(check.problems == [] && check.settings.watching.traceRatio == 0.05)
        let refused = try #require(try self.check(#"{"workers": 1.5}"#).problems.first)
        #expect(refused.problem.hasPrefix("is '1.5': it must be a number from 1"))
    }

    @Test func whatLoadsThrowsTheFirstProblemWithTheOthers() throws {
        _ = try check(#"{"workers": 0, "connections": 0}"#)
        let error = #expect(throws: SettingError.self) {
            try ServerSettings.load(directory: self.directory, environment: [:], flags: [])
        }
        #expect(error?.setting == "connections" && error?.others.map(\.setting) == ["workers"])
        #expect(error?.description.split(separator: "\n").count == 2)
    }

    @Test func aDirectoryWhoseSocketsWouldHaveTooLongAPathIsNamed() {
        let long = directory + "/" + String(repeating: "d", count: 107)
        let problems = SettingsCheck(directory: long, environment: [:], flags: []).problems
        #expect(problems.map(\.setting) == ["directory"])
        #expect(problems.first?.problem.contains("the socket \(long)/state/holdfast.sock has ") == true)
        let short = "/tmp/" + String(repeating: "d", count: 107 - "/tmp//state/takeover.sock".count)
        #expect(SettingsCheck(directory: short, environment: [:], flags: []).isGood)
        #expect(!SettingsCheck(directory: short + "d", environment: [:], flags: []).isGood)
    }

    @Test func aFileOfSecretsThatOthersMayReadIsRefusedWithTheModeItMayHave() throws {
        let settings = #"""
            {"tls-certificate": "chain.pem", "tls-key": "key.pem",
             "users": [{"name": "alice", "access-key": "ALICESKEY", "secret-key": "alices-secret"}],
             "sinks": [{"name": "hook", "webhook": "http://127.0.0.1:1/", "secret-file": "hook.secret"}]}
            """#
        let secrets = [
            ("holdfast.json", settings, "users"), ("key.pem", "no key", "tls-key"),
            ("hook.secret", "hush", "sinks"),
        ]
        try write("chain.pem", "no chain", mode: 0o644)
        func problems(openName: String?) throws -> [SettingsCheck.Problem] {
            for (name, text, _) in secrets { try write(name, text, mode: name == openName ? 0o644 : 0o600) }
            return SettingsCheck(directory: directory, environment: [:], flags: []).problems
        }
        // What is in the files of the certificate is looked at once they may be read.
        let others = ["tls-certificate"]
        #expect(try problems(openName: nil).map(\.setting) == others)
        for (name, _, setting) in secrets {
            let found = try problems(openName: name)
            #expect(
                found.map(\.setting).sorted() == (name == "key.pem" ? [setting] : others + [setting]).sorted()
            )
            let told = try #require(found.first { $0.setting == setting })
            #expect(told.severity == .error)
            #expect(told.problem.contains("\(directory)/\(name) has mode 644"), "\(told)")
            #expect(told.problem.contains("; chmod 6"), "\(told)")
        }
    }

    /// Whoever mounts its volume may have widened the mode, at each start anew.
    @Test func filesThatAreTheServersOwnAreClosedByAStartAndKeepItFromNothing() throws {
        try FileManager.default.createDirectory(
            atPath: directory + "/state", withIntermediateDirectories: false)
        let files = [
            try write("state/keys.json", #"{"format": 3, "users": [], "keys": []}"#, mode: 0o660),
            try write("state/master-keys.json", #"{"format": 1, "keys": []}"#, mode: 0o640),
        ]
        let check = try check("{}")
        #expect(check.isGood && check.problems.map(\.severity) == [.warning, .warning])
        #expect(check.problems.map(\.source) == files)
        #expect(check.problems[0].problem.contains("has mode 660"))
        try OwnSecrets(check.settings).close(Logger(label: "test"))
        for file in files { #expect(try SecretFile(at: file, isGiven: false)?.permissions == 0o600) }
        #expect(try self.check("{}").problems == [])
    }

    @Test func masterKeysThatAreGivenAreNot() throws {
        let path = try write("given.json", #"{"format": 1, "keys": []}"#, mode: 0o644)
        let problem = try #require(try check(#"{"master-keys": "\#(path)"}"#).problems.first)
        #expect(problem.severity == .error && problem.setting == "master-keys")
        #expect(problem.problem.contains("; chmod 6"), "\(problem)")
    }

    @discardableResult
    private func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func repository(_ query: String) -> String {
        #"{"repositories": {"vault": {"s3": "s3://vault?endpoint=https://vault.example\#(query)"}}}"#
    }

    @Test func keysOfARepositoryThatAreNotThereAreTold() throws {
        let missing = directory + "/none.json"
        let problem = try #require(try check(repository("&credentials=\(missing)")).problems.first)
        #expect(problem.severity == .error && problem.setting == "repositories")
        #expect(problem.problem.contains("'vault'") && problem.problem.contains(missing))
        let variables = try #require(try check(repository("")).problems.first)
        #expect(variables.problem.contains("HOLDFAST_S3_ACCESS_KEY"))
    }

    @Test func keysOfARepositoryThatAreThereAreGood() throws {
        let keys = #"{"access-key": "of-the-file", "secret-key": "secret-of-the-file"}"#
        let path = try write("keys.json", keys)
        #expect(try check(repository("&credentials=\(path)")).problems == [])
        let environment = ["HOLDFAST_S3_ACCESS_KEY": "a", "HOLDFAST_S3_SECRET_KEY": "s"]
        #expect(try check(repository(""), environment).problems == [])
        let open = try write("open.json", keys, mode: 0o644)
        let problem = try #require(try check(repository("&credentials=\(open)")).problems.first)
        #expect(
            problem.problem.contains("has mode 644") && !problem.problem.contains("secret-of-the-file"))
    }

    @Test func certificatesThatARepositoryTrustsAreRead() throws {
        let environment = ["HOLDFAST_S3_ACCESS_KEY": "a", "HOLDFAST_S3_SECRET_KEY": "s"]
        for path in [directory + "/none.pem", try write("empty.pem", "no certificate\n")] {
            let problem = try #require(try check(repository("&ca=\(path)"), environment).problems.first)
            #expect(problem.severity == .error && problem.problem.contains(path))
        }
    }

    /// What Kubernetes and others put beside a service is none of ours, unless it looks like a slip.
    @Test func variablesOfOthersAreLeftAlone() throws {
        let others = [
            "HOLDFAST_PORT": "tcp://10.0.0.1:9000", "HOLDFAST_SERVICE_HOST": "10.0.0.1", "PATH": "/bin",
        ]
        #expect(try check("{}", others).problems.isEmpty)
        let slip = try check("{}", ["HOLDFAST_LISTNE": "127.0.0.1:1"])
        #expect(slip.isGood && slip.problems.map(\.severity) == [.warning])
    }

    @Test func aListHasEachSettingOnceAndNoSecret() throws {
        let check = try check(
            #"{"users": [{"name": "alice", "access-key": "ALICESKEY", "secret-key": "alices-secret"}]}"#)
        let lines = check.settings.lines(environment: [
            "HOLDFAST_ROOT_ACCESS_KEY": "ROOTSKEY", "HOLDFAST_ROOT_SECRET_KEY": "roots-secret",
        ])
        let names = lines.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(SettingName.allCases.map(\.rawValue)).isSubset(of: names))
        let text = lines.map { "\($0)" }.joined(separator: "\n")
        for secret in ["alices-secret", "roots-secret", "ROOTSKEY", "ALICESKEY"] {
            #expect(!text.contains(secret))
        }
        for line in lines where line.source == "default" {
            #expect(line.value == line.defaultValue, "\(line.name)")
        }
    }
}
