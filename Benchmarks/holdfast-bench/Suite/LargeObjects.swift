import Digests
import Foundation

/// Objects of 64 MiB: one stream in, one out, and the check of what is stored.
extension Suite {
    private static let size = 64 << 20
    private static let bucket = "large"
    private static let prefix = "large-"

    mutating func largeObjects(_ server: ServerProcess) throws {
        let target = server.target
        try target.createBucket(Self.bucket)
        digests()
        try puts(target)
        try gets(target)
        try largeChecks(server)
    }

    private mutating func digests() {
        let seconds = scale.limit / 2
        add(.limit("MD5, one thread", bytesPerSecond: DigestLimits.measure({ MD5() }, seconds: seconds)))
        add(
            .limit(
                "SHA-256, one thread", bytesPerSecond: DigestLimits.measure({ SHA256() }, seconds: seconds)))
        add(
            .limit("CRC32C, one thread", bytesPerSecond: DigestLimits.measure({ CRC32C() }, seconds: seconds))
        )
    }

    /// The PUTs between two measurements of what bounds them: the better counts.
    private mutating func puts(_ target: LoadTarget) throws {
        let before = try putLimits()
        let load = try target.measure(
            .put(size: Self.size), bucket: Self.bucket, prefix: Self.prefix, connections: 1,
            seconds: .infinity, requestLimit: scale.largeCount)
        let after = try putLimits()
        let hashing = min(before.hashing, after.hashing)
        let writing = min(before.writing, after.writing)
        add(limit("MD5 beside SHA-256 on two threads, 64 MiB", seconds: hashing))
        add(limit("64 MiB to 3 files, O_DIRECT + sync", seconds: writing))
        let slower = max(hashing, writing) * 1000
        try add(
            "PUT 64 MiB, 1 conn.", load,
            [.atMost(1.3, load.medianMilliseconds / slower, "× hashing or writing it")])
    }

    private func putLimits() throws -> (hashing: Double, writing: Double) {
        let rounds = max(3, Int(scale.limit * 2))
        var writing: [Double] = []
        for _ in 0..<rounds {
            writing.append(try DiskLimits.write(Self.size, in: directory, name: "write"))
            DiskLimits.remove(in: directory, name: "write")
        }
        return (try DigestLimits.bothOnce(rounds: rounds), writing.sorted()[rounds / 2])
    }

    private func limit(_ name: String, seconds: Double) -> Table.Row {
        var row = Table.Row.limit(name, perSecond: 1 / seconds, bytesPerSecond: Double(Self.size) / seconds)
        row.medianMilliseconds = seconds * 1000
        return row
    }

    private mutating func gets(_ target: LoadTarget) throws {
        let keys = 4  // few enough to stay in the page cache
        try target.warm(keys, of: Self.size, bucket: Self.bucket, prefix: Self.prefix)
        let load = try target.measure(
            .get(size: Self.size, keys: keys), bucket: Self.bucket, prefix: Self.prefix, connections: 1,
            seconds: scale.phase)
        try add(
            "GET 64 MiB, 1 conn., page cache", load,
            [.atLeast(1500, load.megabytesPerSecond, "MB/s, verified")])
    }

    /// Deep from a cold disk and again from the page cache, beside raw reads of as many bytes.
    private mutating func largeChecks(_ server: ServerProcess) throws {
        let byteCount = scale.largeCount * Self.size
        _ = try DiskLimits.write(byteCount, in: directory, name: "read")
        defer { DiskLimits.remove(in: directory, name: "read") }
        let buffered = try DiskLimits.read(in: directory, name: "read", .cached)
        let direct = try DiskLimits.read(in: directory, name: "read", .direct)
        let cached = try DiskLimits.readCached(in: directory, name: "read", seconds: scale.limit)
        add(.limit("3 files read from disk, page cache emptied", bytesPerSecond: buffered))
        add(.limit("3 files read from disk, O_DIRECT", bytesPerSecond: direct))
        add(.limit("page cache read, one thread", bytesPerSecond: cached))

        let name = "\(scale.largeCount) × 64 MiB"
        let objects = scale.largeCount
        add(try check("fsck, \(name)", server, deep: false, objects: objects, byteCount: nil))
        try PageCache.drop(below: store("large"))
        add(
            try check(
                "fsck --deep, \(name), disk", server, deep: true, objects: objects, byteCount: 3 * byteCount
            ) {
                [
                    .atLeast(
                        0.8, Double(3 * byteCount) / $0 / max(buffered, direct), "× the read rate from disk")
                ]
            })
        add(
            try check(
                "fsck --deep, \(name), page cache", server, deep: true, objects: objects,
                byteCount: 3 * byteCount))
    }
}
