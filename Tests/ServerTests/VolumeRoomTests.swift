import Foundation
import HoldfastServer
import ObjectStore
import TestSupport
import Testing

/// The simulated volumes are nowhere in the machine's own file system: who asked there would find no room at all.
@Suite struct VolumeRoomTests {
    private static let capacity: UInt64 = 1 << 30

    @Test func roomIsThatOfTheFileSystemThatTheStoreWritesTo() async throws {
        let started = try await StartedStore()
        started.disk.setCapacity(Self.capacity)
        let rooms = VolumeRoom.ofVolumes(in: started.store)
        #expect(rooms.map(\.index) == [1, 2, 3])
        #expect(rooms.allSatisfy { $0.sizeBytes == Double(Self.capacity) })
        #expect(rooms.allSatisfy { $0.freeBytes > 0 && $0.freeBytes < $0.sizeBytes })
        started.store.close()
    }

    @Test func aVolumeThatCannotTellItsRoomHasNone() async throws {
        let started = try await StartedStore()
        started.disk.inject(Fault(.fail(EIO), on: [.space], times: nil) { $0 == "/volume-2" })
        #expect(VolumeRoom.ofVolumes(in: started.store).map(\.index) == [1, 3])
        started.store.close()
    }
}
