import Model
import S3Repository
import TestSupport
import Testing

@Suite struct RemoteTreeTests {
    private static let log = "log/00000000000000000001.log"

    /// A version of an object, as a listing shows it.
    private func version(
        _ id: String?, _ size: UInt64 = 1, at seconds: UInt64 = 0, isMarker: Bool = false
    ) -> ListedObject {
        ListedObject(
            key: "", size: isMarker ? 0 : size, etag: "e-\(id ?? "")", versionID: id,
            modified: Timestamp(microseconds: seconds * 1_000_000), isDeleteMarker: isMarker)
    }

    private func versions(_ tree: RemoteTree, _ file: String) -> [String?] {
        tree.file(file)?.extents.map(\.versionID) ?? []
    }

    @Test func objectsBelowAPrefixAreFilesInDirectories() {
        let tree = RemoteTree(
            ["volume.json": [version("a")], "blobs/3f/a9/x": [version("b")], "blobs/3f/y": [version("c")]],
            at: nil)
        #expect(tree.names(in: "") == ["volume.json", "blobs"])
        #expect(tree.names(in: "blobs/3f") == ["a9", "y"] && tree.names(in: "blobs/3f/a9") == ["x"])
        #expect(tree.isDirectory("") && tree.isDirectory("blobs/3f") && !tree.isDirectory("blobs/3f/y"))
    }

    @Test func whatWasAppendedIsBehindWhatWasThere() {
        let tree = RemoteTree(
            [
                RemoteTree.extentName(Self.log, at: 30): [version("c", 5)],
                Self.log: [version("a", 10)],
                RemoteTree.extentName(Self.log, at: 10): [version("b", 20)],
            ], at: nil)
        #expect(versions(tree, Self.log) == ["a", "b", "c"] && tree.file(Self.log)?.size == 35)
        #expect(tree.names(in: "log") == ["00000000000000000001.log"])
    }

    @Test func whatIsBehindAGapDoesNotCountAndGoesWithTheFile() {
        let tree = RemoteTree(
            [Self.log: [version("a", 10)], RemoteTree.extentName(Self.log, at: 11): [version("b", 20)]],
            at: nil)
        #expect(versions(tree, Self.log) == ["a"])
        #expect(tree.file(Self.log)?.others.map(\.versionID) == ["b"])
    }

    @Test func withoutItsBeginningThereIsNoFile() {
        let tree = RemoteTree([RemoteTree.extentName(Self.log, at: 10): [version("b", 20)]], at: nil)
        #expect(tree.file(Self.log) == nil && !tree.isDirectory("log"))
    }

    @Test(arguments: ["a~1", "a~0000000000000000000x", "~", "a~000000000000000000011"])
    func aNameThatOnlyLooksLikeAnAppendIsItsOwnFile(name: String) {
        let tree = RemoteTree([name: [version("a")]], at: nil)
        #expect(versions(tree, name) == ["a"])
    }

    // MARK: Which version counts

    @Test func whatAThiefPutsAboveHidesNothing() {
        let tree = RemoteTree(
            ["blobs/x": [version("marker", isMarker: true), version("theirs", 7), version("ours", 9)]],
            at: nil)
        #expect(versions(tree, "blobs/x") == ["ours"] && tree.file("blobs/x")?.size == 9)
        #expect(tree.file("blobs/x")?.others.map(\.versionID) == ["marker", "theirs"])
    }

    @Test(arguments: ["snapshots/verified", "snapshots/retained", "snapshots/damaged", "snapshots/pruned"])
    func ofWhatIsWrittenAgainTheNewestCounts(name: String) {
        #expect(RemoteTree.isRewritten(name) && !RemoteTree.isRewritten("snapshots/one.json"))
        let tree = RemoteTree(
            [name: [version("marker", isMarker: true), version("new"), version("old")]], at: nil)
        #expect(versions(tree, name) == ["new"])
    }

    private func tree(_ all: [String: [ListedObject]], at seconds: UInt64) -> RemoteTree {
        RemoteTree(all, at: Timestamp(microseconds: seconds * 1_000_000))
    }

    @Test func atAMomentTheSameCountsOfWhatWasThereThen() {
        let all = [
            version("theirs", at: 30), version("marker", at: 20, isMarker: true), version("ours", at: 10),
        ]
        func seen(_ name: String, at seconds: UInt64) -> [String?] {
            versions(tree([name: all], at: seconds), name)
        }
        #expect(seen("x", at: 9) == [] && seen("x", at: 10) == ["ours"])
        #expect(seen("x", at: 20) == ["ours"] && seen("x", at: 30) == ["ours"])
        let again = "snapshots/damaged"
        #expect(
            seen(again, at: 9) == [] && seen(again, at: 20) == ["ours"] && seen(again, at: 30) == ["theirs"])
    }

    /// A segment that is locked and could not be written afresh is the same file at each moment, with what was appended to it.
    @Test func versionsOfTwoTimesAreNeverOneFile() {
        let appended = RemoteTree.extentName(Self.log, at: 10)
        let all = [
            Self.log: [version("afresh", 10, at: 30), version("a", 10, at: 10)],
            appended: [version("b", 5, at: 20)],
        ]
        #expect(versions(tree(all, at: 10), Self.log) == ["a"])
        #expect(versions(tree(all, at: 20), Self.log) == ["a", "b"])
        #expect(versions(tree(all, at: 30), Self.log) == ["a", "b"])
    }

    @Test func whatWasWrittenLaterWhereAFileEndsIsKnown() {
        let appended = RemoteTree.extentName(Self.log, at: 10)
        let all = [
            Self.log: [version("theirs", at: 50), version("a", 10, at: 10)],
            appended: [version("marker", at: 40, isMarker: true), version("b", at: 30)],
            "log/other": [version("c", at: 30)], "log/gone": [version("m", at: 20, isMarker: true)],
        ]
        func later(_ file: String, at seconds: UInt64) -> UInt64? {
            tree(all, at: seconds).laterWrite(file).map { $0.microseconds / 1_000_000 }
        }
        #expect(
            later(Self.log, at: 9) == 10 && later(Self.log, at: 10) == 30 && later(Self.log, at: 30) == nil)
        #expect(later("log/other", at: 10) == 30 && later("log/other", at: 30) == nil)
        #expect(later("log/gone", at: 10) == nil && later("log/none", at: 10) == nil)
        #expect(RemoteTree(all, at: nil).laterWrite(Self.log) == nil)
    }

    @Test func whatIsDeletedForGoodIsNoFile() {
        #expect(RemoteTree(["x": [version("m", isMarker: true)]], at: nil).file("x") == nil)
    }

    // MARK: Changes

    @Test func filesComeGrowAndGo() {
        var tree = RemoteTree()
        func extent(_ name: String, _ offset: UInt64, _ size: UInt64) -> Extent {
            Extent(
                name: name, offset: offset, size: size, etag: "", versionID: name,
                modified: Timestamp(microseconds: 0))
        }
        tree.put("log/a", [extent("log/a", 0, 10)])
        tree.append(extent("log/a~", 10, 5), to: "log/a")
        #expect(tree.file("log/a")?.size == 15 && tree.names(in: "log") == ["a"])
        tree.put("top", [extent("top", 0, 1)])
        #expect(tree.names(in: "") == ["log", "top"])
        tree.remove("log/a")
        tree.remove("top")
        // A directory stays, empty, as an emptied one does.
        #expect(tree.file("log/a") == nil && tree.file("top") == nil)
        #expect(tree.names(in: "") == ["log"] && tree.names(in: "log") == [])
        #expect(tree.isDirectory("log"))
    }

    // MARK: Blobs

    private static let blob = "blobs/3f/a9/3fa90000000000000000000000000007"

    @Test func aBlobIsAFileLikeAnyOther() {
        var tree = RemoteTree([Self.blob: [version("ours", 9, at: 3)]], at: nil)
        let found = tree.file(Self.blob)
        #expect(versions(tree, Self.blob) == ["ours"] && found?.size == 9 && found?.others.isEmpty == true)
        #expect(found?.extents.first?.name == Self.blob && found?.extents.first?.etag == "e-ours")
        #expect(found?.extents.first?.modified == Timestamp(microseconds: 3_000_000))
        #expect(tree.names(in: "") == ["blobs"] && tree.names(in: "blobs") == ["3f"])
        #expect(tree.names(in: "blobs/3f") == ["a9"])
        #expect(tree.names(in: "blobs/3f/a9") == ["3fa90000000000000000000000000007"])
        #expect(tree.names(in: "blobs/3F/A9") == [] && tree.names(in: "blobs/3f/aa") == [])
        tree.remove(Self.blob)
        #expect(tree.file(Self.blob) == nil && tree.names(in: "blobs/3f/a9") == [])
        #expect(tree.isDirectory("blobs/3f/a9") && !tree.isDirectory(Self.blob))
    }

    @Test(arguments: [nil, "", "36-bytes-as-a-uuid-has-with-hyphens-", String(repeating: "long", count: 30)])
    func whateverAnEndpointCallsTheVersionOfABlobItIsKept(id: String?) {
        var tree = RemoteTree()
        func put(_ id: String?, _ etag: String) {
            let extent = Extent(
                name: Self.blob, offset: 0, size: 5, etag: etag, versionID: id,
                modified: Timestamp(microseconds: 8))
            tree.put(Self.blob, [extent])
        }
        for etag in ["", "0123456789abcdef0123456789abcdef-10000", String(repeating: "x", count: 100)] {
            put(id, etag)
            #expect(versions(tree, Self.blob) == [id] && tree.file(Self.blob)?.extents.first?.etag == etag)
            #expect(tree.names(in: "blobs/3f/a9").count == 1)
            put("other", "e")
            #expect(versions(tree, Self.blob) == ["other"] && tree.names(in: "blobs/3f/a9").count == 1)
        }
        tree.remove(Self.blob)
        #expect(tree.file(Self.blob) == nil && tree.names(in: "blobs/3f/a9").isEmpty)
    }

    @Test func ofABlobTooTheFirstVersionCountsWhateverStandsAboveIt() {
        for above in [version("theirs", 7), version("marker", isMarker: true)] {
            let tree = RemoteTree([Self.blob: [above, version("ours", 9)]], at: nil)
            #expect(versions(tree, Self.blob) == ["ours"] && tree.file(Self.blob)?.size == 9)
            #expect(tree.file(Self.blob)?.others.map(\.versionID) == [above.versionID])
        }
        let all = [version("late", at: 30), version("then", at: 10)]
        func seen(at seconds: UInt64) -> [String?] {
            versions(
                RemoteTree([Self.blob: all], at: Timestamp(microseconds: seconds * 1_000_000)), Self.blob)
        }
        #expect(seen(at: 9) == [] && seen(at: 10) == ["then"] && seen(at: 30) == ["then"])
    }

    @Test func atAMomentNothingIsKeptOfWhatCameToABlobLater() {
        let all = [
            version("late", at: 40), version("marker", at: 30, isMarker: true), version("above", at: 20),
            version("ours", 9, at: 10),
        ]
        let before = tree([Self.blob: all], at: 9)
        #expect(before.file(Self.blob) == nil && !before.isDirectory("blobs"))
        #expect(before.laterWrite(Self.blob) == nil)
        let first = tree([Self.blob: all], at: 10).file(Self.blob)
        #expect(first?.extents.map(\.versionID) == ["ours"] && first?.size == 9)
        #expect(first?.others.isEmpty == true)
        for seconds in [UInt64(20), 30, 40] {
            #expect(versions(tree([Self.blob: all], at: seconds), Self.blob) == ["ours"])
        }
        let marked = tree([Self.blob: [version("marker", at: 5, isMarker: true)]], at: 10)
        #expect(marked.file(Self.blob) == nil)
        // A version's id that fits no record makes no difference.
        let long = String(repeating: "long", count: 30)
        let kept = [version("late", at: 40), version(long, at: 10)]
        #expect(versions(tree([Self.blob: kept], at: 10), Self.blob) == [long])
        #expect(tree([Self.blob: kept], at: 9).file(Self.blob) == nil)
    }

    @Test func manyBlobsComeAndGoInAnyOrder() {
        var random = SeededGenerator(seed: SeededGenerator.seed(standard: 11))
        let names = (0..<60).map { _ in
            let digits = BlobID(
                high: UInt64.random(in: 0..<3, using: &random) << 48
                    | UInt64.random(in: 0..<9, using: &random),
                low: UInt64.random(in: 0..<9, using: &random)
            ).description
            return "blobs/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(2))/\(digits)"
        }
        var tree = RemoteTree()
        var expected: [String: UInt64] = [:]
        for step in UInt64(0)..<2000 {
            let name = names[Int.random(in: 0..<names.count, using: &random)]
            if Bool.random(using: &random) {
                let extent = Extent(
                    name: name, offset: 0, size: step, etag: "e", versionID: "v",
                    modified: Timestamp(microseconds: step))
                let isPlain = Bool.random(using: &random)
                tree.put(name, [extent], others: isPlain ? [] : [(name, "old")])
                expected[name] = step
            } else {
                tree.remove(name)
                expected[name] = nil
            }
            #expect(tree.file(name)?.size == expected[name])
        }
        for name in names { #expect(tree.file(name)?.size == expected[name]) }
        let listed = (0..<3).flatMap { tree.names(in: "blobs/00/0\($0)") }
        #expect(Set(listed) == Set(expected.keys.map { String($0.suffix(32)) }))
    }
}
