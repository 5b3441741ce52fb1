import Foundation
import TestSupport
import Testing
import Volumes

@Suite final class SecretFileTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/holdfast-secret-\(UUID())"

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func isPrivate(_ kind: FileStatus.Kind, _ mode: UInt16, isRoots: Bool) -> Bool {
        SecretFile(kind: kind, permissions: mode, isRoots: isRoots).isPrivate
    }

    @Test(arguments: [0o400, 0o600, 0o700] as [UInt16], [false, true])
    func whatIsItsOwnersAloneIsPrivate(mode: UInt16, isRoots: Bool) {
        #expect(isPrivate(.file, mode, isRoots: isRoots))
        #expect(isPrivate(.directory, mode, isRoots: isRoots))
        #expect(isPrivate(.other, mode, isRoots: isRoots))
    }

    /// As Kubernetes mounts a Secret: mode 0440, root's, the pod's group.
    @Test(arguments: [0o440, 0o640, 0o040] as [UInt16])
    func aGroupReadsWhatRootOwnsAndNothingElse(mode: UInt16) {
        #expect(isPrivate(.file, mode, isRoots: true))
        #expect(!isPrivate(.file, mode, isRoots: false))
        #expect(!isPrivate(.directory, mode, isRoots: true))
        #expect(!isPrivate(.other, mode, isRoots: true))
    }

    @Test(arguments: [0o644, 0o604, 0o660, 0o620, 0o610, 0o601, 0o666] as [UInt16])
    func othersAndAGroupThatMayWriteAreKeptOutOfRootsFilesToo(mode: UInt16) {
        #expect(!isPrivate(.file, mode, isRoots: true))
        #expect(!isPrivate(.file, mode, isRoots: false))
    }

    @Test func aLinkIsAsPrivateAsWhatItLeadsTo() throws {
        let (file, link) = (directory + "/data", directory + "/name")
        try Data("secret".utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "data")
        for (mode, isPrivate) in [(0o600, true), (0o400, true), (0o644, false)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
            let found = try #require(try SecretFile(at: link, isGiven: true))
            #expect(found.kind == .file && found.permissions == UInt16(mode))
            #expect(found.isPrivate == isPrivate)
        }
        #expect(try SecretFile(at: directory, isGiven: true)?.kind == .directory)
        #expect(try SecretFile(at: directory + "/nothing", isGiven: true) == nil)
    }

    @Test func aFileThatOthersMayReadIsNotReadAndItsModeIsAskedFor() throws {
        let path = directory + "/key"
        try Data("secret".utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        #expect(try SecretFile.contents(of: path, limit: 6) == Array("secret".utf8))
        #expect(try SecretFile.contents(of: path, limit: 2) == Array("sec".utf8), "one more than the limit")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let error = try #require(throws: OpenSecretError.self) {
            try SecretFile.contents(of: path, limit: 6)
        }
        // As its owner it has whoever runs this, who may be root.
        let asked = getuid() == 0 ? "640" : "600"
        #expect(error.path == path && error.mode == "644" && error.widestMode == asked)
        #expect("\(error)".contains("\(path) has mode 644") && "\(error)".contains("chmod \(asked) \(path)"))
        #expect(throws: (any Error).self) { try SecretFile.contents(of: path + "-none", limit: 6) }
    }

    @Test func theModeThatIsAskedForIsTheWidest() {
        func widest(_ kind: FileStatus.Kind, isRoots: Bool) -> String {
            SecretFile(kind: kind, permissions: 0o777, isRoots: isRoots).widestMode
        }
        #expect(widest(.file, isRoots: false) == "600" && widest(.file, isRoots: true) == "640")
        #expect(widest(.directory, isRoots: true) == "700" && widest(.other, isRoots: true) == "600")
    }
}
