import Foundation
import S3Repository
import Testing

@Suite final class S3CredentialsTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/holdfast-credentials-\(UUID())"

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func write(_ name: String, mode: Int) throws {
        let text = #"{"access-key": "of-the-file", "secret-key": "s"}"#
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        try FileManager.default.setAttributes(
            [.posixPermissions: mode], ofItemAtPath: "\(directory)/\(name)")
    }

    private func find(_ name: String) throws -> S3Credentials {
        try S3Credentials.find(
            for: try S3Location("s3://backups?credentials=\(directory)/\(name)"), environment: [:])
    }

    /// A Secret that Kubernetes mounts is a link to a file in a directory that is replaced as a whole.
    @Test func aFileBehindLinksIsRead() throws {
        try FileManager.default.createDirectory(
            atPath: directory + "/..1", withIntermediateDirectories: false)
        try write("..1/keys.json", mode: 0o400)
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/..data", withDestinationPath: "..1")
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/keys.json", withDestinationPath: "..data/keys.json")
        #expect(try find("keys.json").accessKey == "of-the-file")
    }

    @Test(arguments: [0o644, 0o604, 0o660]) func aFileThatOthersMayReadIsRefusedWithTheModeItMustHave(
        mode: Int
    )
        throws
    {
        try write("keys.json", mode: mode)
        let error = try #require(throws: S3LocationError.self) { try find("keys.json") }
        #expect("\(error)".contains("\(directory)/keys.json has mode \(String(mode, radix: 8)): others"))
        #expect("\(error)".contains("; chmod 6"))
    }

    @Test func aDirectoryIsNoFileOfCredentials() throws {
        let error = try #require(throws: S3LocationError.self) { try find("") }
        #expect("\(error)".contains("there is no file of credentials"))
    }

    @Test func withoutAFileTheEnvironmentHasThem() throws {
        let place = try S3Location("s3://backups")
        let environment = ["AWS_ACCESS_KEY_ID": "of-the-environment", "AWS_SECRET_ACCESS_KEY": "s"]
        #expect(
            try S3Credentials.find(for: place, environment: environment).accessKey == "of-the-environment")
        #expect(throws: S3LocationError.self) { try S3Credentials.find(for: place, environment: [:]) }
    }
}
