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

/// Set by `Scripts/fuzz`: libFuzzer's runtime, which `holdfast-fuzz` is then linked with.
let fuzzer = Context.environment["HOLDFAST_FUZZ"]
let instrumented: [SwiftSetting] =
    strict + (fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer"]), .define("HOLDFAST_LIBFUZZER")])

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "holdfast", targets: ["holdfast"])
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
        // Whom the store tells of what happens.
        .target(
            name: "Notifications",
            dependencies: [
                "Model", "Digests", "Volumes", "EventLog", "ObjectStore", "S3", httpClient, nioCore, nioHTTP1,
            ],
            swiftSettings: strict),
        .target(
            name: "HoldfastServer",
            dependencies: [
                "Model", "Digests", "Encryption", "Volumes", "EventLog", "Catalog", "ObjectStore",
                "Integrity", "Snapshots", "S3", "S3Repository", "Notifications", httpTypes, protobuf, logging,
                nioCore, nioPosix, nioHTTP1,
                nioTLS, nioSSL,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "holdfast",
            dependencies: [
                "EventLog", "ObjectStore", "Snapshots", "HoldfastServer", "Volumes", logging, arguments,
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
            name: "FuzzTests", dependencies: ["FuzzEntries", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: strict),
        .testTarget(name: "DigestsTests", dependencies: ["Digests"], swiftSettings: strict),
        .testTarget(
            name: "EncryptionTests", dependencies: ["Encryption", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "VolumesTests", dependencies: ["Volumes", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EventLogTests", dependencies: ["EventLog", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "FormatsTests",
            dependencies: [
                "EventLog", "Catalog", "Encryption", "HoldfastServer", "S3", "TestSupport", grdb, logging,
                protobuf,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CatalogTests",
            dependencies: ["Catalog", "Model", "TestSupport", grdb, sqlite, protobuf],
            swiftSettings: strict),
        .testTarget(
            name: "ObjectStoreTests",
            dependencies: ["Encryption", "Integrity", "ObjectStore", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "IntegrityTests", dependencies: ["Integrity", "TestSupport"], swiftSettings: strict
        ),
        .testTarget(
            name: "SnapshotsTests",
            dependencies: ["Catalog", "Integrity", "ObjectStore", "Snapshots", "TestSupport", "Volumes"],
            swiftSettings: strict),
        .testTarget(
            name: "NotificationsTests",
            dependencies: ["Model", "Notifications", "ObjectStore", "TestSupport", "Volumes"],
            swiftSettings: strict),
        .testTarget(
            name: "S3Tests",
            dependencies: ["S3", "Digests", "Encryption", "Model", "ObjectStore", "TestSupport", httpTypes],
            swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Encryption", "HoldfastServer", "Integrity", "Model", "ObjectStore", "S3", "TestSupport",
                "Volumes",
                logging, nioCore, nioHTTP1,
            ],
            swiftSettings: strict),
    ]
)
