import Foundation
import Model
import S3Repository
import Snapshots

/// Where a repository is: a directory, or a place at an S3 endpoint.
public enum RepositoryPlace {
    /// What a person wrote, as whoever carries the command out understands it: another process has another working
    /// directory.
    public static func absolute(_ text: String) -> String {
        S3Location.isLocation(text) ? text : URL(fileURLWithPath: text).path
    }

    /// What stands between the store and a repository at an S3 endpoint; `nil` for a directory.
    static func gate(_ place: String) -> EndpointGate? {
        guard S3Location.isLocation(place) else { return nil }
        // One that makes no sense was refused when the settings were read.
        guard let location = try? S3Location(place) else { return nil }
        return .of(location)
    }

    /// - Throws: ``SnapshotError``, ``S3LocationError``, ``FileSystemError``, ``VolumeError``.
    public static func open(
        _ place: String, of storeID: StoreID?, creates: Bool = false
    ) throws -> Repository {
        guard S3Location.isLocation(place) else {
            return try Repository.open(place, of: storeID, creates: creates)
        }
        let location = try S3Location(place)
        return try Repository.open(
            location.directory, of: storeID, creates: creates, fileSystem: try ObjectFileSystem(location))
    }
}
