import Foundation
import Model

/// Files that no object explains.
struct FileFaults {
    let store: TestStore
    let map: StoreMap
    var random: Seeded

    mutating func plant(_ fault: FaultClass, _ target: Target?, _ volume: Int) throws -> [Planted] {
        let strange = BlobID.random(using: &random)
        func source() throws -> (id: BlobID, bytes: [UInt8]) {
            guard let id = target?.blob else { throw Refusal.notApplicable("it needs a large object") }
            return (id, try store.read(volume, TestStore.path(of: id)))
        }
        let path: String
        let bytes: [UInt8]
        let what: String
        switch fault {
        case .duplicate:
            let (id, replica) = try source()
            (path, bytes, what) = (TestStore.path(of: strange), replica, "a second replica of blob \(id)")
        case .orphan:
            let replica = try source().bytes
            bytes = try forge(replica) { $0.blobID = Data(strange.bytes) }
            (path, what) = (TestStore.path(of: strange), "a whole replica of a blob that no event publishes")
        case .nameCase:
            // The letters of an id may all be digits: another one is tried then.
            var id = strange
            while id.description.uppercased() == id.description { id = BlobID.random(using: &random) }
            let place = TestStore.path(of: id)
            path = place.dropLast(32) + id.description.uppercased()
            (bytes, what) = (Array("?".utf8), "a name in capitals")
        case .leftover:
            (path, bytes, what) = (
                "incoming/\(strange)", Array("half an upload".utf8), "an upload that nobody makes"
            )
        case .foreign:
            path = "blobs/planted-\(strange.description.prefix(8)).txt"
            (bytes, what) = (Array("mine".utf8), "a file of somebody else")
        default: preconditionFailure("\(fault) is no strange file")
        }
        try store.place(bytes, volume, path)
        var made = Planted(fault, volume: volume, path: path, what)
        made.after = digest(bytes)
        return [made]
    }
}
