import Model
import S3

/// An upload in parts that was begun, and is neither finished nor given up.
struct UnfinishedUpload: Sendable {
    let key: String
    let id: String
    /// To the second; `nil` where the endpoint does not say.
    let begun: Timestamp?
}

extension S3Client {
    /// - Parameter prefix: of the keys.
    func unfinishedUploads(_ prefix: String) throws(S3ClientError) -> [UnfinishedUpload] {
        var uploads: [UnfinishedUpload] = []
        var place: (key: String, id: String)?
        while true {
            var query = [
                ("uploads", ""), ("prefix", prefix), ("encoding-type", "url"), ("max-uploads", "1000"),
            ]
            if let place { query += [("key-marker", place.key), ("upload-id-marker", place.id)] }
            let response = try send(S3Request("GET", query: query.map { (name: $0.0, value: $0.1) }))
            let document = try parsed(response, "ListMultipartUploadsResult", "GET", nil)
            uploads += document.children.filter { $0.name == "Upload" }.compactMap(Self.upload)
            guard document.value("IsTruncated") == "true" else { return uploads }
            let next = (
                key: Self.decoded(document.value("NextKeyMarker") ?? ""),
                id: document.value("NextUploadIdMarker") ?? ""
            )
            // One that does not get on would be asked for ever.
            guard !next.key.isEmpty, place.map({ $0 != next }) ?? true else {
                throw S3ClientError(
                    method: "GET", place: self.place(nil), status: response.status, code: "",
                    message: "the list of uploads is cut off, and does not say where it goes on", attempts: 1)
            }
            place = next
        }
    }

    private static func upload(_ element: XMLElement) -> UnfinishedUpload? {
        guard let key = element.child("Key")?.text, let id = element.value("UploadId") else { return nil }
        let begun = time(element.value("Initiated") ?? "")
        return UnfinishedUpload(
            key: decoded(key), id: id, begun: begun > Timestamp(microseconds: 0) ? begun : nil)
    }

    private static func decoded(_ text: String) -> String {
        PercentEncoding.decode(text, plusIsSpace: true) ?? text
    }

    /// Removes the parts of an upload, for good. One that is gone, or was finished meanwhile, is no error.
    func giveUp(_ upload: UnfinishedUpload) throws(S3ClientError) {
        do {
            _ = try send(S3Request("DELETE", upload.key, query: [(name: "uploadId", value: upload.id)]))
        } catch {
            guard error.code == "NoSuchUpload" else { throw error }
        }
    }
}
