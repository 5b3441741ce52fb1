/// Many small objects: listing, checking, computing the catalog anew.
extension Suite {
    private static let bucket = "small"
    private static let prefix = "small-"
    private static let size = 4 << 10

    mutating func smallObjects(_ server: ServerProcess) throws {
        let target = server.target
        let count = scale.smallCount
        try target.createBucket(Self.bucket)
        try target.put(count, of: Self.size, bucket: Self.bucket, prefix: Self.prefix)
        let list = try target.measure(
            .list(page: 1000, keys: count), bucket: Self.bucket, prefix: Self.prefix, connections: 1,
            seconds: scale.phase)
        try add(
            "list 1,000 of \(name(count)) keys, 1 conn.", list,
            // CPU seconds per 1,000 requests are CPU milliseconds per request.
            [.atMost(5, list.serverSecondsPer1000 ?? 0, "ms of server CPU each")])
        add(
            try check(
                "fsck, \(name(count)) × 4 KiB", server, deep: false, objects: count, byteCount: nil))
        add(
            try check(
                "fsck --deep, \(name(count)) × 4 KiB, page cache", server, deep: true, objects: count,
                byteCount: 3 * count * Self.size
            ) { [.atLeast(100_000, Double(count) / $0, "objects/s")] })
    }

    private func name(_ count: Int) -> String { Table.number(Double(count)) }
}
