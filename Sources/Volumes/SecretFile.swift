import Foundation

/// Who may open a file of secrets, or a directory or a socket that leads to some.
///
/// PostgreSQL's rule for private keys (its manual, libpq, "Client Certificates"): a file is its owner's alone, mode 0600 or
/// stricter; or, if root owns it, its group's to read as well, 0640 or stricter. So an administrator gives a service what
/// it may read and not change, as Kubernetes does with a Secret that is mounted (0440, root's, the pod's group): a group
/// of root's choosing. What the server makes itself is its own alone. Links are followed; what is mounted of a Secret is one.
public struct SecretFile: Sendable {
    public let kind: FileStatus.Kind
    /// Permission bits, as in `chmod(2)`.
    public let permissions: UInt16
    /// Root has given it to a group.
    let isRoots: Bool

    package init(kind: FileStatus.Kind, permissions: UInt16, isRoots: Bool) {
        self.kind = kind
        self.permissions = permissions
        self.isRoots = isRoots
    }

    /// `nil` if there is nothing at the path.
    /// - Parameter isGiven: an administrator makes it; the server makes the others, also one that runs as root.
    public init?(at path: String, isGiven: Bool) throws(FileSystemError) {
        var information = stat()
        guard stat(path, &information) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileSystemError("stat", path)
        }
        self.init(information, isGiven: isGiven)
    }

    private init(_ information: stat, isGiven: Bool) {
        self.init(
            kind: .init(mode: information.st_mode), permissions: UInt16(information.st_mode & 0o7777),
            isRoots: isGiven && information.st_uid == 0)
    }

    /// What it may be opened by at most.
    private var widest: UInt16 {
        switch kind {
        case .directory: 0o700
        case .file: isRoots ? 0o640 : 0o600
        case .other: 0o600
        }
    }

    /// Whether nobody may open it but whom its owner, or root, has chosen.
    public var isPrivate: Bool { permissions & 0o077 & ~widest == 0 }

    /// The mode that it may have at most, as `chmod(1)` takes it.
    public var widestMode: String { String(widest, radix: 8) }

    /// Why it is not taken; `nil` if it is private.
    public func refusal(at path: String) -> OpenSecretError? {
        isPrivate
            ? nil
            : OpenSecretError(path: path, mode: String(permissions, radix: 8), widestMode: widestMode)
    }

    /// What is in a file that an administrator gives: one byte more than the limit, if it has so many.
    /// - Throws: ``OpenSecretError`` if others may read it; what keeps it from being read.
    public static func contents(of path: String, limit: Int) throws -> [UInt8] {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        // The file that is looked at is the one that is read: a link may come to lead to another meanwhile.
        var information = stat()
        guard fstat(file.fileDescriptor, &information) == 0 else { throw FileSystemError("fstat", path) }
        if let refusal = SecretFile(information, isGiven: true).refusal(at: path) { throw refusal }
        // Closed with the handle.
        return [UInt8](try file.read(upToCount: limit + 1) ?? Data())
    }
}

/// A file of secrets, or what leads to some, that others may open.
public struct OpenSecretError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String
    /// As `chmod(1)` takes them.
    public let mode: String
    public let widestMode: String

    public var finding: String { "\(path) has mode \(mode): others than are meant to may open it" }
    public var advice: String {
        "chmod \(widestMode) \(path), and make the secrets in it anew if somebody may have read them"
    }
    public var description: String { "\(finding); \(advice)" }
}
