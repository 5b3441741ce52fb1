import Model
import Volumes

/// What a copy came to.
package struct CopyReport: Sendable {
    /// Bytes of data written.
    package let bytes: UInt64
    /// Where they came from: "volume 2", "volumes 1 and 3".
    package let source: String
    /// Where the replica went that stood in the copy's place, relative to the volume; empty if none did.
    package let quarantined: String
}

/// A copy whose bytes are all written, and that has no name yet.
package struct StagedCopy: Sendable {
    package let id: BlobID
    package let sink: any BlobSink
    package let bytes: UInt64
    let source: String
}

/// Writes a blob to a volume from a sibling's replica, every block verified on the way and the whole against
/// its SHA-256. Synchronous: runs on a thread that may wait for disks.
struct BlobCopier: Sendable {
    /// Volumes to read from.
    let sources: [any Volume]
    /// Told of each run of bytes that is copied; may wait before the next.
    var copied: (@Sendable (Int) throws -> Void)?

    /// - Throws: ``BlobFlaw`` if no source has a good replica of some block, or what writing throws; nothing
    ///   of the copy stays then.
    /// - Parameters:
    ///   - content: what the log says the blob is; `nil` before any event names it. With it, replicas that are
    ///     whole and something else do not count, and damaged ones are put together if that gives this SHA-256.
    ///   - replacing: why a replica that is there goes to quarantine; `nil` if none is.
    ///   - settles: whether the blob is published: its name in incoming/ goes. Else that stays, for recovery to find
    ///     the copy by.
    ///   - owner: whose the blob is, where no replica can say so any more.
    @discardableResult
    func copy(
        _ id: BlobID, content: BlobContent? = nil, to target: any Volume, replacing: String?,
        settles: Bool = true, owner: () throws -> EventBlobDescriptor? = { nil }
    ) throws -> CopyReport {
        let staged = try stage(id, content: content, to: target, replacing: replacing, owner: owner)
        do {
            try target.publish(staged.sink, as: id)
        } catch {
            try staged.sink.abort()
            throw error
        }
        if settles { try target.settle(id) }
        return CopyReport(
            bytes: staged.bytes, source: staged.source, quarantined: staged.sink.displaced ?? "")
    }

    /// Writes all of the copy, which has its name in `incoming/` then and is not durable.
    func stage(
        _ id: BlobID, content: BlobContent? = nil, to target: any Volume, replacing: String?,
        owner: () throws -> EventBlobDescriptor? = { nil }
    ) throws -> StagedCopy {
        if let content, let source = sources.first,
            let staged = try copy(id, content, from: source, to: target, replacing: replacing)
        {
            return staged
        }
        do {
            let (info, sources) = try proven(id, content)
            return try write(id, info, to: target, replacing: replacing, ProvenBlocks(info, sources))
        } catch let flaw as BlobFlaw {
            guard let content, let blocks = composed(id, content) else { throw flaw }
            guard let descriptor = try blocks.composition.descriptor ?? owner() else { throw flaw }
            let info = BlobInfo(
                id: id, length: content.length, sha256: content.sha256, descriptor: descriptor,
                blockChecksums: [])
            return try write(id, info, to: target, replacing: replacing, blocks)
        }
    }

    /// As it is nearly always: one replica is good from its first byte to its last, and no other is looked at.
    /// - Returns: `nil` if it is not.
    private func copy(
        _ id: BlobID, _ content: BlobContent, from source: any Volume, to target: any Volume,
        replacing: String?
    ) throws -> StagedCopy? {
        do {
            let replica = try source.openReplica(
                id, length: content.length, sha256: content.sha256, mayBeCached: true)
            let blocks = ReplicaBlocks(replica, origin: "volume \(source.index)")
            return try write(id, replica.info, to: target, replacing: replacing, blocks)
        } catch is BlobFlaw {
            return nil  // what is wrong is met again, block by block
        }
    }

    /// Whether the whole blob can be had from the sources, quarantines included. Reads all of it.
    func canRead(_ id: BlobID, _ content: BlobContent) -> Bool {
        let proof = BlobProof(self, id, content)
        while true {
            _ = proof.step()
            if let verdict = proof.verdict { return verdict }
        }
    }

    /// The blocks of replicas that are whole, as far as they say themselves.
    /// - Throws: ``BlobFlaw`` if there is none.
    func blocks(of id: BlobID, _ content: BlobContent) throws -> (info: BlobInfo, blocks: any BlockSource) {
        let (info, sources) = try proven(id, content)
        return (info, ProvenBlocks(info, sources))
    }

    /// Whether damaged replicas can be put together to the blob. Reads all of them.
    func canCompose(_ id: BlobID, _ content: BlobContent) -> Bool { composed(id, content) != nil }

    /// Replicas whose trailers are whole and are of this blob as the log has it.
    private func proven(_ id: BlobID, _ content: BlobContent?) throws -> (BlobInfo, [any Volume]) {
        var flaw: any Error = BlobFlaw.missing
        var first: BlobInfo?
        var good: [any Volume] = []
        for source in sources {
            do {
                let info = try source.info(of: id, length: content?.length)
                guard (content?.sha256 ?? first?.sha256 ?? info.sha256) == info.sha256 else {
                    throw BlobFlaw.wrongContent("its SHA-256 is \(info.sha256.hexadecimal)")
                }
                first = first ?? info
                good.append(source)
            } catch { flaw = error }
        }
        guard let first else { throw flaw }
        return (first, good)
    }

    private func composed(_ id: BlobID, _ content: BlobContent) -> ComposedBlocks? {
        let replicas = sources.flatMap { $0.rawReplicas(of: id, length: content.length) }
        let composition = BlobComposition(content: content, replicas: replicas)
        return composition.find().map { ComposedBlocks(composition: composition, choice: $0) }
    }

    private func write(
        _ id: BlobID, _ info: BlobInfo, to target: any Volume, replacing: String?, _ blocks: some BlockSource
    ) throws -> StagedCopy {
        let sink = try target.beginBlob(id, expectedLength: info.length, replacing: replacing)
        do {
            let filling = BlobFilling(sink, info, blocks, copied)
            while try filling.step() != nil {}
        } catch {
            try sink.abort()
            throw error
        }
        return StagedCopy(
            id: id, sink: sink, bytes: info.length, source: SourceText.list(blocks.origins))
    }

    /// Begins a copy of which whoever asked for it takes the steps: from replicas that are whole, as far as they say
    /// themselves, and are put together from no damaged ones.
    /// - Throws: ``BlobFlaw`` if there is none.
    func begin(
        _ id: BlobID, _ content: BlobContent, to target: any Volume, replacing: String?
    ) throws -> BlobFilling {
        let (info, blocks) = try blocks(of: id, content)
        let sink = try target.beginBlob(id, expectedLength: info.length, replacing: replacing)
        return BlobFilling(sink, info, blocks, copied)
    }
}

/// Gives the blocks of one blob, and remembers where they came from.
protocol BlockSource: AnyObject {
    var origins: [String] { get }
    /// - Returns: how many bytes the blocks have.
    func read(_ blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// Blocks from replicas whose block tables can be believed.
private final class ProvenBlocks: BlockSource {
    private let info: BlobInfo
    private let sources: [any Volume]
    private var used: Set<Int> = []

    init(_ info: BlobInfo, _ sources: [any Volume]) {
        self.info = info
        self.sources = sources
    }

    var origins: [String] { used.sorted().map { "volume \($0)" } }

    /// Whole blocks from the first source that has them good, block by block where none has all.
    func read(_ blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var flaw: any Error = BlobFlaw.missing
        for source in sources {
            do {
                let count = try source.readBlocks(info.id, length: info.length, blocks: blocks, into: buffer)
                used.insert(source.index)
                return count
            } catch { flaw = error }
        }
        guard blocks.count > 1 else { throw flaw }
        var count = 0
        for block in blocks {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            count += try read(block..<block + 1, into: rest)
        }
        return count
    }
}

/// The blocks of one replica, in order.
private final class ReplicaBlocks: BlockSource {
    let origins: [String]
    private let replica: OpenReplica

    init(_ replica: OpenReplica, origin: String) {
        self.replica = replica
        origins = [origin]
    }

    func read(_ blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let (bytes, first) = try replica.next(into: buffer), first == blocks.lowerBound else {
            preconditionFailure("the blocks of a replica are read in order")
        }
        if let flaw = replica.corruptBlocks(in: bytes, from: first).first { throw flaw }
        return bytes.count
    }
}

/// Blocks of a combination that was found to have the blob's SHA-256.
private final class ComposedBlocks: BlockSource {
    let composition: BlobComposition
    private let choice: BlobComposition.Choice

    init(composition: BlobComposition, choice: BlobComposition.Choice) {
        self.composition = composition
        self.choice = choice
    }

    var origins: [String] { Set(choice.replicas).sorted().map { composition.replicas[$0].origin } }

    func read(_ blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var count = 0
        for block in blocks {
            guard let bytes = composition.replicas[choice.replicas[block]].block(block) else {
                throw BlobFlaw.missing  // it was there a moment ago; the next check tries again
            }
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyBytes(from: bytes)
            count += bytes.count
        }
        return count
    }
}

/// "volume 2", "volumes 1 and 3", "volume 1 and the quarantine of volume 2".
enum SourceText {
    static func list(_ origins: [String]) -> String {
        let numbers = origins.filter { $0.hasPrefix("volume ") }.map { String($0.dropFirst(7)) }.sorted()
        let others = Set(origins.filter { !$0.hasPrefix("volume ") }).sorted()
        let volumes = numbers.isEmpty ? [] : [(numbers.count == 1 ? "volume " : "volumes ") + join(numbers)]
        return join(volumes + others)
    }

    private static func join(_ words: [String]) -> String {
        guard let last = words.last else { return "" }
        let before = words.dropLast().joined(separator: ", ")
        return before.isEmpty ? last : "\(before) and \(last)"
    }
}
