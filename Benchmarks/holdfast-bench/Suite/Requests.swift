/// PUT and GET of three sizes at three numbers of connections.
extension Suite {
    private static let sizes = [(4 << 10, "4 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")]
    private static let connections = [1, 16, 64]
    private static let bucket = "requests"

    mutating func requests(_ target: LoadTarget) throws {
        try target.createBucket(Self.bucket)
        for (size, name) in Self.sizes {
            for connections in Self.connections {
                if size == 4 << 10, connections == 64 {
                    try smallPuts(target)
                } else {
                    try add("PUT \(name), \(connections) conn.", try put(target, size, connections))
                }
            }
            let keys = size <= 64 << 10 ? 1000 : 64
            let prefix = "get-\(size)-"
            try target.put(keys, of: size, bucket: Self.bucket, prefix: prefix)
            try target.warm(keys, of: size, bucket: Self.bucket, prefix: prefix)
            for connections in Self.connections {
                let load = try target.measure(
                    .get(size: size, keys: keys), bucket: Self.bucket, prefix: prefix,
                    connections: connections, seconds: scale.phase)
                try add("GET \(name), \(connections) conn.", load, getVerdicts(size, load))
            }
        }
    }

    private func put(_ target: LoadTarget, _ size: Int, _ connections: Int) throws -> MeasuredLoad {
        try target.measure(
            .put(size: size), bucket: Self.bucket, prefix: "put-\(size)-\(connections)-",
            connections: connections, seconds: scale.phase)
    }

    /// The PUTs that the append limit bounds, between two measurements of it: the better counts.
    private mutating func smallPuts(_ target: LoadTarget) throws {
        let before = try AppendLimit.measure(in: directory, seconds: scale.limit)
        let load = try put(target, 4 << 10, 64)
        let after = try AppendLimit.measure(in: directory, seconds: scale.limit)
        let limit = max(before, after)
        add(
            .limit(
                "append + sync to 3 logs, groups of 64 × 4.5 KiB", perSecond: limit,
                bytesPerSecond: limit * 4096))
        try add(
            "PUT 4 KiB, 64 conn.", load,
            [.atLeast(0.3, load.requestsPerSecond / limit, "× the append limit"), cpu(load, atMost: 120)])
    }

    private func getVerdicts(_ size: Int, _ load: MeasuredLoad) -> [Verdict] {
        size == 4 << 10 ? [cpu(load, atMost: 50)] : []
    }

    private func cpu(_ load: MeasuredLoad, atMost microseconds: Double) -> Verdict {
        .atMost(microseconds, (load.serverSecondsPer1000 ?? 0) * 1000, "µs of server CPU each")
    }
}
