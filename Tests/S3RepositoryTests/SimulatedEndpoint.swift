import Digests
import Foundation
import Model
import S3Repository
import Synchronization
import Volumes

/// A bucket at an S3 endpoint, in memory, which may keep versions and may stop answering before some change, or behind it.
final class SimulatedEndpoint: Sendable {
    struct Version: Sendable {
        let id: String?
        let bytes: [UInt8]
        /// Seconds since ``beginning``: each version is put in one of its own.
        let second: Int
        var isMarker = false

        var etag: String { Array(SHA256.hash(bytes)).hexadecimal }
    }

    private struct State {
        /// The newest version first.
        var objects: [String: [Version]] = [:]
        var versionCount = 0
        var locked: Set<String> = []
        /// Changes that it makes yet.
        var left: Int?
        var makesLast = false
        var uploads: [Upload] = []
        var uploadRefusal: Int?
    }

    /// One in parts that is not finished.
    struct Upload: Sendable {
        let key: String
        let id: String
        let begun: String
    }

    static let directory = "s3://bucket"
    private static let beginning = Timestamp(microseconds: 1_800_000_000_000_000)

    let keepsVersions: Bool
    private let state: Mutex<State>

    init(keepsVersions: Bool) {
        self.keepsVersions = keepsVersions
        state = Mutex(State())
    }

    /// One with the same objects, which answers.
    func clone() -> SimulatedEndpoint {
        let other = SimulatedEndpoint(keepsVersions: keepsVersions)
        let (objects, count) = state.withLock { ($0.objects, $0.versionCount) }
        other.state.withLock { ($0.objects, $0.versionCount) = (objects, count) }
        return other
    }

    /// The second of the last version that was put.
    var second: Int { state.withLock { $0.versionCount } }

    private static func time(_ second: Int) -> String {
        let moment = Timestamp(microseconds: beginning.microseconds + UInt64(second) * 1_000_000)
        return String(moment.description.prefix(19)) + "Z"
    }

    /// As a process that is started now sees it.
    /// - Parameters:
    ///   - prefix: what it has is below that, with a slash before it.
    ///   - second: as it was then; `nil` for now.
    func fileSystem(
        below prefix: String = "", at second: Int? = nil,
        scratch: String = FileManager.default.temporaryDirectory.path
    ) throws -> ObjectFileSystem {
        let moment = second.map { "&at=\(Self.time($0))" } ?? ""
        let location = try S3Location("s3://bucket\(prefix)?endpoint=http://simulated.invalid\(moment)")
        var patience = S3Client.Patience()
        patience.attempts = 1
        return ObjectFileSystem(
            S3Client(location, patience: patience) { [self] in answer($0) }, scratch: scratch)
    }

    /// It answers nothing more after so many changes.
    /// - Parameter makesLast: it makes the next one all the same, and does not say so.
    func stop(afterChanges count: Int, makesLast: Bool) {
        state.withLock { ($0.left, $0.makesLast) = (count, makesLast) }
    }

    /// It answers again.
    func goOn() { state.withLock { $0.left = nil } }

    /// What is there now cannot be removed.
    func lockAll() {
        state.withLock { $0.locked = Set($0.objects.values.joined().compactMap(\.id)) }
    }

    /// Of every key that has some.
    var versions: [String: [Version]] { state.withLock { $0.objects } }

    /// Puts an object as somebody else would.
    func put(_ key: String, _ bytes: [UInt8]) { state.withLock { _ = put(key, bytes, &$0) } }

    /// Of a key nothing is left.
    func lose(_ key: String) { state.withLock { $0.objects[key] = nil } }

    // MARK: Uploads

    /// Begins an upload in parts that nobody finishes.
    /// - Parameter hours: so long ago; `nil` where the endpoint does not say when.
    func begin(_ key: String, hours: UInt64?) {
        let begun = hours.map {
            Timestamp(microseconds: Timestamp.now().microseconds - $0 * 3_600_000_000).description
        }
        state.withLock {
            $0.uploads.append(Upload(key: key, id: "u\($0.uploads.count)", begun: begun ?? ""))
            $0.uploads.sort { ($0.key, $0.id) < ($1.key, $1.id) }
        }
    }

    /// The keys of those that are not finished.
    var uploads: [String] { state.withLock { $0.uploads.map(\.key) } }

    /// It answers with a status whoever lists uploads; with a list again for `nil`.
    func refuseUploads(_ status: Int?) { state.withLock { $0.uploadRefusal = status } }

    /// As S3 lists them, but two at a time.
    private func uploadListing(_ request: S3Request, _ state: State) -> S3Response {
        if let status = state.uploadRefusal { return S3Response(status: status) }
        func item(_ name: String) -> String { request.query.first { $0.name == name }?.value ?? "" }
        let place = (item("key-marker"), item("upload-id-marker"))
        let left = state.uploads.filter { $0.key.hasPrefix(item("prefix")) && ($0.key, $0.id) > place }
        let page = left.prefix(2)
        var text =
            "<ListMultipartUploadsResult><IsTruncated>\(left.count > 2)</IsTruncated><NextKeyMarker>\(page.last?.key ?? "")</NextKeyMarker><NextUploadIdMarker>\(page.last?.id ?? "")</NextUploadIdMarker>"
        for upload in page {
            text +=
                "<Upload><Key>\(upload.key)</Key><UploadId>\(upload.id)</UploadId><Initiated>\(upload.begun)</Initiated></Upload>"
        }
        return S3Response(status: 200, body: Array((text + "</ListMultipartUploadsResult>").utf8))
    }

    // MARK: Answers

    private func answer(_ request: S3Request) -> S3Response {
        state.withLock { state in
            let isChange = request.method == "PUT" || request.method == "DELETE"
            guard state.left != 0 || isChange && state.makesLast else { return S3Response(status: 400) }
            let isLast = state.left == 0
            if isChange, let left = state.left, left > 0 { state.left = left - 1 }
            let response = answer(request, &state)
            if isLast { state.makesLast = false }
            return isLast ? S3Response(status: 400) : response
        }
    }

    private func answer(_ request: S3Request, _ state: inout State) -> S3Response {
        guard let key = request.key else {
            if request.query.contains(where: { $0.name == "uploads" }) {
                return uploadListing(request, state)
            }
            return request.query.contains { $0.name == "versions" }
                ? S3Response(status: 200, body: Array(listing(state).utf8)) : S3Response(status: 404)
        }
        if request.method == "DELETE", let id = request.query.first(where: { $0.name == "uploadId" })?.value {
            state.uploads.removeAll { $0.key == key && $0.id == id }
            return S3Response(status: 204)
        }
        let id = request.query.first { $0.name == "versionId" }?.value
        switch request.method {
        case "PUT":
            let version = put(key, request.body, &state)
            return S3Response(
                status: 200,
                headers: [("etag", "\"\(version.etag)\"")]
                    + (version.id.map { [("x-amz-version-id", $0)] } ?? []))
        case "DELETE": return delete(key, id, &state)
        default:
            guard let found = state.objects[key]?.first(where: { id == nil || $0.id == id }), !found.isMarker
            else { return S3Response(status: 404) }
            if request.method == "HEAD" {
                let isLocked = found.id.map(state.locked.contains) ?? false
                return S3Response(
                    status: 200,
                    headers: isLocked
                        ? [("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z")] : [])
            }
            return read(found, request)
        }
    }

    private func read(_ version: Version, _ request: S3Request) -> S3Response {
        func header(_ name: String) -> String { request.headers.first { $0.name == name }?.value ?? "" }
        guard header("if-match") == "\"\(version.etag)\"" else { return S3Response(status: 412) }
        let bounds = header("range").dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
        guard bounds.count == 2, bounds[0] < version.bytes.count else { return S3Response(status: 416) }
        return S3Response(
            status: 206,
            body: Array(version.bytes[bounds[0]...min(bounds[1], version.bytes.count - 1)]))
    }

    private func put(_ key: String, _ bytes: [UInt8], _ state: inout State) -> Version {
        state.versionCount += 1
        let version = Version(
            id: keepsVersions ? "v\(state.versionCount)" : nil, bytes: bytes, second: state.versionCount)
        state.objects[key] = [version] + (keepsVersions ? state.objects[key] ?? [] : [])
        return version
    }

    private func delete(_ key: String, _ id: String?, _ state: inout State) -> S3Response {
        if let id, state.locked.contains(id) { return S3Response(status: 403) }
        if keepsVersions, id == nil {
            state.versionCount += 1
            state.objects[key, default: []].insert(
                Version(
                    id: "v\(state.versionCount)", bytes: [], second: state.versionCount, isMarker: true),
                at: 0)
        } else {
            state.objects[key]?.removeAll { $0.id == id }
            if state.objects[key]?.isEmpty == true { state.objects[key] = nil }
        }
        return S3Response(status: 204)
    }

    private func listing(_ state: State) -> String {
        var text = "<ListVersionsResult><IsTruncated>false</IsTruncated>"
        for (key, versions) in state.objects.sorted(by: { $0.key < $1.key }) {
            for version in versions {
                let element = version.isMarker ? "DeleteMarker" : "Version"
                text +=
                    "<\(element)><Key>\(key)</Key><VersionId>\(version.id ?? "null")</VersionId><Size>\(version.bytes.count)</Size><ETag>\(version.etag)</ETag><LastModified>\(Self.time(version.second))</LastModified></\(element)>"
            }
        }
        return text + "</ListVersionsResult>"
    }
}
