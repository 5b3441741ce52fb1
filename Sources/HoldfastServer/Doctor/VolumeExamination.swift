import CFileSystem
import Foundation
import Model
import Volumes

/// A volume's directory, as a place for bytes that are to stay.
struct VolumeExamination {
    /// The file that is written, synced, read and removed.
    private static let probeName = "doctor-probe"
    private static let syncCount = 20

    private let subject: String
    private let path: String
    /// Seconds after which a volume that does not answer is set aside.
    private let deadline: Double
    private let fileSystem: any FileSystem

    init(subject: String, path: String, deadline: Double, _ fileSystem: any FileSystem) {
        self.subject = subject
        self.path = path
        self.deadline = deadline
        self.fileSystem = fileSystem
    }

    func examine() -> [Diagnosis] {
        do {
            guard let status = try fileSystem.status(of: path) else {
                return [
                    Diagnosis(
                        .fail, subject, "\(path) does not exist",
                        advice:
                            "mount its disk, make the directory, or replace it with 'holdfast volume replace'"
                    )
                ]
            }
            guard status.kind == .directory else {
                return [
                    Diagnosis(.fail, subject, "\(path) is no directory", advice: "check the volumes setting")
                ]
            }
        } catch {
            return [Diagnosis(.fail, subject, "\(error)", advice: "run this as the server's user")]
        }
        return [identity(), space(), kind()].compactMap { $0 } + writing()
    }

    private func identity() -> Diagnosis? {
        do {
            _ = try DirectoryVolume.readIdentity(path, fileSystem: fileSystem)
            return nil
        } catch VolumeError.empty {
            return Diagnosis(
                .warn, subject, "\(path) is empty",
                advice: "fine for a new store; of an old one its disk is not mounted")
        } catch VolumeError.unknownFormat {
            return nil  // told of with the formats
        } catch {
            return Diagnosis(.fail, subject, "\(error)", advice: "check the volumes setting")
        }
    }

    private func space() -> Diagnosis {
        do {
            let (free, total) = try fileSystem.space(at: path)
            let percent = total == 0 ? 0 : Double(free) / Double(total) * 100
            let finding = "\(free >> 20) MiB of \(total >> 20) MiB are free (\(Int(percent)) %)"
            let advice =
                "make room: a volume that is full is set aside, and with two of them nothing can be written"
            if free < 1 << 30 || percent < 2 {
                return Diagnosis(.fail, "\(subject) space", finding, advice: advice)
            }
            if percent < 10 { return Diagnosis(.warn, "\(subject) space", finding, advice: advice) }
            return Diagnosis(.ok, "\(subject) space", finding)
        } catch {
            return Diagnosis(.fail, "\(subject) space", "\(error)", advice: "look at the kernel's log")
        }
    }

    // MARK: What it is on

    private enum Kind {
        case local(String)
        /// Bytes are gone with the machine's memory.
        case memory(String)
        /// A sync may mean less than it says.
        case distant(String)
        case other(String)
    }

    /// Source: statfs(2), "f_type", and the kernel's `include/uapi/linux/magic.h`.
    private static func kind(_ magic: Int64) -> Kind {
        switch magic & 0xFFFF_FFFF {
        case 0xEF53: .local("ext4")
        case 0x5846_5342: .local("xfs")
        case 0x9123_683E: .local("btrfs")
        case 0x2FC1_2FC1: .local("zfs")
        case 0xF2F5_2010: .local("f2fs")
        case 0xCA45_1A4E: .local("bcachefs")
        case 0x0102_1994: .memory("tmpfs")
        case 0x8584_58F6: .memory("ramfs")
        case 0x6969: .distant("nfs")
        case 0xFF53_4D42, 0xFE53_4D42, 0x517B: .distant("smb")
        case 0x00C3_6400: .distant("ceph")
        case 0x6573_5546: .distant("fuse")
        case 0x794C_7630: .other("overlayfs, a container's own layer")
        default: .other("of kind 0x\(String(magic & 0xFFFF_FFFF, radix: 16))")
        }
    }

    private func kind() -> Diagnosis {
        var magic: Int64 = 0
        let subject = "\(subject) file system"
        guard holdfast_file_system_type(path, &magic) == 0 else {
            return Diagnosis(
                .fail, subject, String(cString: strerror(errno)), advice: "look at the kernel's log")
        }
        switch Self.kind(magic) {
        case .local(let name): return Diagnosis(.ok, subject, name)
        case .memory(let name):
            return Diagnosis(
                .fail, subject, "\(name): what is written is gone when the machine restarts",
                advice: "put the volume on a disk")
        case .distant(let name):
            return Diagnosis(
                .warn, subject, "\(name): whether a sync reaches a disk is the other side's business",
                advice: "put the volume on a disk of this machine")
        case .other(let name):
            return Diagnosis(
                .warn, subject, name, advice: "put the volume on a file system of its own: ext4 or xfs")
        }
    }

    // MARK: Writing

    /// Whether bytes can be written and synced, how long that takes, and whether they can be read past the page cache.
    private func writing() -> [Diagnosis] {
        let probe = path + "/" + Self.probeName
        do {
            if try fileSystem.status(of: probe) != nil { try fileSystem.remove(probe) }
            let file = try fileSystem.open(probe, [.write, .createNew], permissions: 0o600)
            let timed = Result { try syncTimes(file) }
            let direct = Result { try directAccess(probe) }
            file.close()
            try fileSystem.remove(probe)
            return [latency(try timed.get()), try direct.get()]
        } catch {
            return [
                Diagnosis(
                    .fail, "\(subject) writing", "\(error)",
                    advice: "run this as the server's user, and look at the kernel's log")
            ]
        }
    }

    /// Seconds, in ascending order.
    private func syncTimes(_ file: any File) throws -> [Double] {
        let page = [UInt8](repeating: 0x5A, count: FileSystemAlignment.bytes)
        return try (0..<Self.syncCount).map { number in
            let start = ContinuousClock.now
            try file.write(page, at: UInt64(number * page.count))
            try file.sync()
            let (seconds, attoseconds) = (ContinuousClock.now - start).components
            return Double(seconds) + Double(attoseconds) * 1e-18
        }.sorted()
    }

    private func latency(_ times: [Double]) -> Diagnosis {
        let (middle, most) = (times[times.count / 2], times[times.count - 1])
        func text(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1000) }
        let finding =
            "of \(times.count) writes of 4 KiB, half took \(text(middle)) or less, and the slowest \(text(most))"
        let subject = "\(subject) sync"
        if most > deadline {
            return Diagnosis(
                .fail, subject, finding,
                advice: "it would be set aside after \(Int(deadline)) s: look at what else its disk does")
        }
        if middle > 0.05 || most > deadline / 2 {
            return Diagnosis(
                .warn, subject, finding,
                advice:
                    "every write waits for two volumes to sync: look at what else its disk does, or take a faster one"
            )
        }
        return Diagnosis(.ok, subject, finding)
    }

    private func directAccess(_ probe: String) throws -> Diagnosis {
        let subject = "\(subject) direct access"
        let advice = "reads and writes go through the page cache, which is slower: use ext4 or xfs"
        let descriptor = open(probe, O_RDONLY | O_CLOEXEC | holdfast_o_direct)
        guard descriptor >= 0 else {
            return Diagnosis(.warn, subject, "O_DIRECT: \(String(cString: strerror(errno)))", advice: advice)
        }
        defer { close(descriptor) }
        let buffer = AlignedBuffer(capacity: FileSystemAlignment.bytes)
        guard
            pread(descriptor, buffer.bytes.baseAddress, FileSystemAlignment.bytes, 0)
                == FileSystemAlignment.bytes
        else {
            return Diagnosis(.warn, subject, "O_DIRECT: \(String(cString: strerror(errno)))", advice: advice)
        }
        return Diagnosis(.ok, subject, "works")
    }
}
