// swift-tools-version: 6.1
import PackageDescription

// One target per layer. A target may import only what stands below it; the list is in that order, and a
// dependency that is not named here does not compile.

let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Tests run once and are compiled each time: they are not optimised, what they test is.
let tested: [SwiftSetting] = strict + [.unsafeFlags(["-Onone"])]

/// Set by `Scripts/fuzz`: libFuzzer's runtime, which `holdfast-fuzz` is then linked with.
let fuzzer = Context.environment["HOLDFAST_FUZZ"]
let instrumented: [SwiftSetting] =
    strict + (fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer"]), .define("HOLDFAST_LIBFUZZER")])

/// What is depended on only by builds that have a trait.
func when(_ trait: String, _ target: String) -> [Target.Dependency] {
    [.target(name: target, condition: .when(traits: [trait]))]
}

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "holdfast", targets: ["holdfast"])
    ],
    // Brokers that notifications go to, each over a library of its own: a build without them needs none.
    traits: [
        .trait(name: "Kafka", description: "Sinks that are topics of Kafka, over librdkafka."),
        .trait(name: "AMQP", description: "Sinks that are exchanges of AMQP 0-9-1, over librabbitmq."),
        .trait(name: "NATS", description: "Sinks that are streams of NATS JetStream, over its C client."),
    ],
    dependencies: [
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // System libraries and C.
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CAMQP", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
        .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
        .target(name: "CDigests"),
        .target(name: "CFileSystem"),

        // The engine, lowest layer first.
        .target(name: "Model", dependencies: [protobuf], swiftSettings: strict),
        .target(
            name: "Digests", dependencies: ["CDigests", "COpenSSL", "CZlib"], swiftSettings: strict),
        .target(name: "Encryption", dependencies: ["COpenSSL"], swiftSettings: strict),
        .target(
            name: "Volumes", dependencies: ["Model", "Digests", "CFileSystem"],
            swiftSettings: instrumented),
        .target(
            name: "EventLog", dependencies: ["Model", "Digests", "Volumes"], swiftSettings: instrumented),
        .target(
            name: "Catalog", dependencies: ["Model", grdb, sqlite, protobuf], swiftSettings: strict),
        .target(
            name: "ObjectStore",
            dependencies: ["Model", "Digests", "Encryption", "Volumes", "EventLog", "Catalog"],
            swiftSettings: strict),
        .target(
            name: "Integrity",
            dependencies: ["Model", "Digests", "Volumes", "EventLog", "Catalog", "ObjectStore", protobuf],
            swiftSettings: instrumented),
        .target(
            name: "Snapshots",
            dependencies: [
                "CZlib", "Model", "Digests", "Volumes", "EventLog", "Catalog", "ObjectStore",
            ],
            swiftSettings: strict),

        // The protocol, the server and the command line.
        .target(
            name: "S3", dependencies: ["Model", "Digests", "Encryption", "ObjectStore", httpTypes],
            swiftSettings: instrumented),
        // Another S3 endpoint, as its client: a repository there, and a source to import from.
        .target(
            name: "S3Repository",
            dependencies: ["Model", "Digests", "Volumes", "S3", httpClient, nioCore, nioHTTP1, nioSSL],
            swiftSettings: strict),
        // What comes from elsewhere: directory trees, other S3 servers' buckets.
        .target(
            name: "Importing",
            dependencies: [
                "Model", "Digests", "Volumes", "Catalog", "ObjectStore", "S3", "S3Repository",
            ],
            swiftSettings: strict),
        // Whom the store tells of what happens.
        .target(
            name: "Notifications",
            dependencies: [
                "Model", "Digests", "Volumes", "EventLog", "ObjectStore", "S3", httpClient, nioCore, nioHTTP1,
            ],
            swiftSettings: strict),
        .target(
            name: "KafkaSink", dependencies: ["Notifications"] + when("Kafka", "CKafka"),
            swiftSettings: strict),
        .target(
            name: "AMQPSink", dependencies: ["Notifications"] + when("AMQP", "CAMQP"), swiftSettings: strict),
        .target(
            name: "NATSSink", dependencies: ["Notifications"] + when("NATS", "CNATS"), swiftSettings: strict),
        .target(
            name: "HoldfastServer",
            dependencies: [
                "Model", "Digests", "Encryption", "Volumes", "EventLog", "Catalog", "ObjectStore",
                "Integrity", "Snapshots", "S3", "S3Repository", "Importing", "Notifications", httpTypes,
                protobuf, logging,
                nioCore, nioPosix, nioHTTP1,
                nioTLS, nioSSL,
            ] + when("Kafka", "KafkaSink") + when("AMQP", "AMQPSink") + when("NATS", "NATSSink"),
            swiftSettings: strict),
        .executableTarget(
            name: "holdfast",
            dependencies: [
                "EventLog", "ObjectStore", "Snapshots", "Importing", "HoldfastServer", "Volumes", logging,
                arguments,
            ],
            swiftSettings: strict),

        // Damage on purpose, for tests: Documentation/fault-matrix.md.
        .executableTarget(
            name: "holdfast-inject",
            dependencies: [
                "Model", "Digests", "Volumes", "EventLog", "Integrity", "HoldfastServer", arguments, grdb,
                protobuf,
            ],
            swiftSettings: strict),

        // Speed, measured: Benchmarks/README.md.
        .executableTarget(
            name: "holdfast-bench", dependencies: ["Digests", "CFileSystem", arguments],
            path: "Benchmarks/holdfast-bench", swiftSettings: strict),

        // Tests: units beside each target, and the simulated file system they share.
        .target(
            name: "TestSupport", dependencies: ["Model", "Digests", "Volumes", "ObjectStore"],
            path: "Tests/TestSupport", swiftSettings: strict),
        // What fuzzers drive: `Scripts/fuzz`.
        .target(
            name: "FuzzEntries",
            dependencies: [
                "S3", "Digests", "Model", "ObjectStore", "Catalog", "EventLog", "Integrity", "Volumes",
                "TestSupport", httpTypes,
            ],
            path: "Tests/Fuzz/Entries", swiftSettings: instrumented),
        .executableTarget(
            name: "holdfast-fuzz", dependencies: ["FuzzEntries"], path: "Tests/Fuzz/holdfast-fuzz",
            swiftSettings: strict + (fuzzer == nil ? [] : [.define("HOLDFAST_LIBFUZZER")]),
            linkerSettings: fuzzer.map { [.unsafeFlags([$0]), .linkedLibrary("stdc++")] } ?? []),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzEntries", "TestSupport"], swiftSettings: tested),
        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: tested),
        .testTarget(name: "DigestsTests", dependencies: ["Digests"], swiftSettings: tested),
        .testTarget(
            name: "EncryptionTests", dependencies: ["Encryption", "TestSupport"], swiftSettings: tested),
        .testTarget(
            name: "VolumesTests", dependencies: ["Volumes", "TestSupport"], swiftSettings: tested),
        .testTarget(
            name: "EventLogTests", dependencies: ["EventLog", "TestSupport"], swiftSettings: tested),
        .testTarget(
            name: "FormatsTests",
            dependencies: [
                "EventLog", "Catalog", "Encryption", "HoldfastServer", "S3", "Snapshots", "TestSupport", grdb,
                logging, protobuf,
            ],
            swiftSettings: tested),
        .testTarget(
            name: "CatalogTests",
            dependencies: ["Catalog", "Model", "TestSupport", grdb, sqlite, protobuf],
            swiftSettings: tested),
        .testTarget(
            name: "ObjectStoreTests",
            dependencies: ["Encryption", "Integrity", "ObjectStore", "TestSupport"],
            swiftSettings: tested),
        .testTarget(
            name: "IntegrityTests", dependencies: ["Integrity", "TestSupport"], swiftSettings: tested
        ),
        .testTarget(
            name: "SnapshotsTests",
            dependencies: [
                "Catalog", "Integrity", "ObjectStore", "Snapshots", "TestSupport", "Volumes", grdb,
            ],
            swiftSettings: tested),
        .testTarget(
            name: "S3RepositoryTests",
            dependencies: [
                "Model", "Digests", "EventLog", "ObjectStore", "Snapshots", "S3Repository", "TestSupport",
                "Volumes",
            ],
            swiftSettings: tested),
        .testTarget(
            name: "ImportingTests",
            dependencies: [
                "Catalog", "Importing", "Integrity", "Model", "ObjectStore", "S3", "S3Repository",
                "TestSupport", "Volumes",
            ],
            swiftSettings: tested),
        .testTarget(
            name: "NotificationsTests",
            dependencies: ["Model", "Notifications", "ObjectStore", "TestSupport", "Volumes"],
            swiftSettings: tested),
        .testTarget(
            name: "S3Tests",
            dependencies: ["S3", "Digests", "Encryption", "Model", "ObjectStore", "TestSupport", httpTypes],
            swiftSettings: tested),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Encryption", "HoldfastServer", "Integrity", "Model", "ObjectStore", "S3", "Snapshots",
                "TestSupport", "Volumes",
                httpTypes, logging, nioCore, nioHTTP1,
            ],
            swiftSettings: tested),
    ]
)
