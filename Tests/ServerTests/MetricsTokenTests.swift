import Foundation
import HoldfastServer
import Model
import Testing

@Suite final class MetricsTokenTests {
    private static let token = "a-token-of-some-length"
    private let directory = FileManager.default.temporaryDirectory.path + "/holdfast-token-\(BlobID.random())"

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func made(_ content: String, mode: Int = 0o600) throws -> MetricsToken? {
        let path = directory + "/token"
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return try MetricsToken(
            try ServerSettings.load(
                directory: directory, environment: [:], flags: [("metrics-token", "token")]))
    }

    @Test func whoShowsTheTokenIsLetInAndNobodyElse() throws {
        let token = try #require(try made(Self.token + "\n"))
        #expect(token.admits(authorization: "Bearer \(Self.token)"))
        #expect(token.admits(authorization: "bearer  \(Self.token)"))
        for wrong in [
            nil, "", "Bearer", "Bearer ", Self.token, "Basic \(Self.token)", "Bearer \(Self.token)x",
            "Bearer \(Self.token.dropLast())", "Bearer \(Self.token) \(Self.token)",
        ] {
            #expect(!token.admits(authorization: wrong), "\(wrong ?? "no header")")
        }
    }

    @Test func withoutASettingThereIsNone() throws {
        let settings = try ServerSettings.load(directory: directory, environment: [:], flags: [])
        let token = try MetricsToken(settings)
        #expect(token == nil)
    }

    @Test(arguments: ["", "short", "two words of a token", "späte-wörter-sind-keine"])
    func whatIsNoTokenIsRefusedByTheFilesName(_ content: String) throws {
        let error = #expect(throws: SettingError.self) { _ = try self.made(content) }
        #expect(error?.setting == "metrics-token" && error?.source.hasSuffix("/token") == true)
        #expect(error?.reason.contains("visible characters") == true)
    }

    @Test func aFileThatOthersMayReadIsRefused() throws {
        let error = #expect(throws: SettingError.self) { _ = try self.made(Self.token, mode: 0o644) }
        #expect(error?.reason.contains("mode 644") == true)
        #expect(error?.reason.contains(Self.token) == false)
    }
}
