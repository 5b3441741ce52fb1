import ArgumentParser
import Foundation
import Integrity
import Model

/// Damages a test store on purpose and says exactly what it did. It works on the files, by their formats, beside a
/// server that runs or does not.
@main
struct Inject: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-inject",
        abstract: "Plant a fault in a test store.",
        discussion: """
            Refused in a store that was not made as a test store: 'holdfast init --test-store', or 'holdfast serve --set \
            test-store=true' on an empty directory.
            The class "any" takes, with --count, any of those that leave two good replicas.
            Exit status: 0 planted, 3 the object has no such part, 1 could not be planted.

            Example:
              holdfast-inject flip-data /tmp/store --bucket photos --key a.jpg --replica 2 --seed 7 --json
            """)

    @Argument(help: "The class of fault; --list shows them.") var fault: String?
    @Argument(help: "The store's directory.") var directory: String?
    @Option(help: "Only objects of this bucket.") var bucket: String?
    @Option(help: "The object.") var key: String?
    @Option(help: "The blob, if not an object.") var blob: String?
    @Option(help: "The event, for faults of the log.") var sequence: UInt64?
    @Option(help: "1, 2, 3 or all.") var replica = "1"
    @Option(help: "Makes the same choices again.") var seed: UInt64 = 1
    @Option(help: "So many faults, each in another object.") var count: Int?
    @Flag(help: "Show the classes, and the finding each must make.") var list = false
    @Flag(help: "Print one JSON object for each thing that was done.") var json = false

    /// Those that a store mends by itself, whichever replica has them.
    private static let anyReplica: [FaultClass] = [
        .missing, .flipData, .flipTable, .flipDescriptor, .flipFooter, .truncateByte, .truncateBlock,
        .truncateZero, .extend, .hole, .foreignReplica, .unreadable,
    ]

    func run() throws {
        if list { return try showClasses() }
        guard let fault, let directory else {
            throw ValidationError("it takes a class and a store's directory")
        }
        do {
            let store = try TestStore(directory)
            for planted in try plant(fault, store) { print(try line(planted)) }
        } catch let refusal as Refusal {
            FileHandle.standardError.write(Data("holdfast-inject: \(refusal)\n".utf8))
            throw ExitCode(refusal.status)
        }
    }

    private func line(_ planted: Planted) throws -> String {
        guard json else { return planted.text }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(planted), as: UTF8.self)
    }

    private func showClasses() throws {
        for fault in FaultClass.allCases {
            print(
                json
                    ? "{\"class\":\"\(fault.rawValue)\",\"code\":\"\(fault.code.number)\",\"name\":\"\(fault.code.rawValue)\"}"
                    : "\(fault.code.number)  \(fault.code.rawValue)  \(fault.rawValue)")
        }
    }

    private func volumes() throws -> [Int] {
        if replica == "all" { return [1, 2, 3] }
        guard let number = Int(replica), (1...3).contains(number) else {
            throw ValidationError("--replica is 1, 2, 3 or all")
        }
        return [number]
    }

    private func plant(_ name: String, _ store: TestStore) throws -> [Planted] {
        if let count { return try plantMany(name, count, store) }
        guard let fault = FaultClass(rawValue: name) else {
            throw Refusal(description: "there is no class '\(name)'; --list shows them")
        }
        let volumes = try volumes()
        if fault.kind == .volume {
            return try volumes.flatMap { try VolumeFaults(store: store).plant(fault, $0) }
        }
        let map = try StoreMap(store)
        let target = try target(map, fault)
        var made: [Planted] = []
        for volume in fault.kind == .catalog ? [1] : volumes {
            made += try plant(fault, target, volume, store, map, Seeded(seed &* 31 &+ UInt64(volume)))
        }
        return made
    }

    /// The piece that is meant; the first that fits where none is named.
    private func target(_ map: StoreMap, _ fault: FaultClass) throws -> Target? {
        if bucket != nil, key == nil, blob == nil, fault.kind == .replica {
            return try map.pieces(bucket: bucket, key: nil).first { $0.blob != nil }
        }
        let pieces = try map.pieces(bucket: bucket, key: key)
        if let blob {
            guard let found = pieces.first(where: { $0.blob?.description == blob }) else {
                throw Refusal.notApplicable("no current version has blob \(blob)")
            }
            return found
        }
        if key == nil, fault.kind != .catalog { return pieces.first { $0.blob != nil } ?? pieces.first }
        return pieces.first
    }

    private func plant(
        _ fault: FaultClass, _ target: Target?, _ volume: Int, _ store: TestStore, _ map: StoreMap,
        _ random: Seeded
    ) throws -> [Planted] {
        func needed() throws -> Target {
            guard let target else { throw Refusal.notApplicable("the store has no object") }
            return target
        }
        switch fault.kind {
        case .replica:
            let target = try needed()
            if target.blob == nil {
                guard let inLog = fault.inLog else {
                    throw Refusal.notApplicable("\(target.bucket)/\(target.key) stands in the log")
                }
                return try plant(inLog, target, volume, store, map, random)
            }
            var faults = ReplicaFaults(store: store, map: map, random: random)
            return try faults.plant(fault, target, volume)
        case .file:
            var faults = FileFaults(store: store, map: map, random: random)
            return try faults.plant(fault, target, volume)
        case .log:
            var faults = LogFaults(store: store, map: map, random: random)
            let event = sequence.map { SequenceNumber($0) } ?? target?.payloadSequence ?? SequenceNumber(1)
            return try faults.plant(fault, event, volume).map { planted in
                var owned = planted
                if sequence == nil, let target { (owned.bucket, owned.key) = (target.bucket, target.key) }
                return owned
            }
        case .catalog: return try CatalogFaults(store: store).plant(fault, try needed())
        case .volume: return try VolumeFaults(store: store).plant(fault, volume)
        }
    }

    /// Faults in so many objects, each in one replica: all of them can be mended.
    private func plantMany(_ name: String, _ count: Int, _ store: TestStore) throws -> [Planted] {
        let classes: [FaultClass]
        if name == "any" {
            classes = Self.anyReplica
        } else if let fault = FaultClass(rawValue: name), fault.kind == .replica {
            classes = [fault]
        } else {
            throw Refusal(description: "--count goes with a class of replicas, or with 'any'")
        }
        let map = try StoreMap(store)
        var random = Seeded(seed)
        let pieces = try map.pieces(bucket: bucket, key: nil).shuffled(using: &random)
        var made: [Planted] = []
        var planted = 0
        for piece in pieces where planted < count {
            let volume = Int.random(in: 1...3, using: &random)
            let possible =
                piece.blob != nil
                ? classes
                : classes.filter {
                    $0.inLog != nil && ($0.inLog != .framePayload || piece.piece.length > 0)
                }
            guard let fault = possible.randomElement(using: &random) else { continue }
            made += try plant(fault, piece, volume, store, map, Seeded(random.next()))
            planted += 1
        }
        guard planted == count else {
            throw Refusal.notApplicable("only \(planted) objects could be damaged, not \(count)")
        }
        return made
    }
}
