import Foundation
import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method, and "POST Object".
extension S3Service {
    /// Whether a request may be a browser's form, whose signature is among its fields.
    static func mayBeForm(_ head: HTTPRequest, _ target: RequestTarget) -> Bool {
        head.method == .post && target.bucket != nil && target.key == nil && target.query.items.isEmpty
            && head.headerFields[.authorization] == nil
    }

    /// Puts the file of a browser's form. Its sender, and what it may, is known when its fields are read.
    func postObject(_ call: S3Call) async throws -> ServiceResponse {
        let signed = SignedForm(call)
        let form = try FormReader(signed ?? call.body, contentType: call.headers[.contentType])
        guard let length = call.headers[.contentLength].flatMap({ UInt64($0) }) else {
            throw S3Error(.missingContentLength, "You must provide the Content-Length HTTP header.")
        }
        guard length <= Limits.uploadByteCount + UInt64(FormReader.fieldByteLimit) else {
            throw StoreError.entityTooLarge(limit: Limits.uploadByteCount)
        }
        let bucket = try store.bucket(try call.bucket()).name
        let sent = try await form.fields()
        let (sender, policy) = try call.watch.step(RequestWatch.Step.signature) {
            try authenticator.authenticate(form: sent)
        }
        call.trail?.isSent(by: sender)
        call.watch?.isFrom(sender)
        let fields = sent.namingFile()
        guard let key = fields["key"] else {
            throw S3Error.invalidArgument(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
                name: "key", value: "")
        }
        guard !key.isEmpty else {
            throw S3Error.invalidArgument(
                "User key must have a length greater than 0.", name: "key", value: "")
        }
        let lengths = try policy?.check(fields, bucket: bucket.rawValue, now: clock())
        var put = try call.put(
            key, in: bucket, headers: try fields.headers(), identity: policy == nil ? call.identity : sender,
            body: FormFile(form, lengths, whole: signed))
        put.formSignature = policy == nil ? call.signature : SignatureFacts(sent)
        put.watch = call.watch
        put.bucketCreated = try authorize(.putObject, put)
        let stored = try await putObject(put)
        return try Self.answer(to: fields, key: key, in: bucket, stored, call)
    }

    /// What the form wants to be answered.
    private static func answer(
        to fields: FormFields, key: String, in bucket: BucketName, _ stored: ServiceResponse, _ call: S3Call
    ) throws -> ServiceResponse {
        let etag = stored.headers[.eTag] ?? ""
        var headers = stored.headers
        let target = fields["success_action_redirect"] ?? fields["redirect"] ?? ""
        if let redirect = redirect(target, key: key, in: bucket, etag: etag) {
            headers[.location] = redirect
            return ServiceResponse(.seeOther, headers: headers)
        }
        let location = call.location(of: key, in: bucket)
        headers[.location] = location
        switch fields["success_action_status"] {
        case "200": return ServiceResponse(.ok, headers: headers)
        case "201":
            let xml = XMLWriter("PostResponse", isNamespaced: false) { xml in
                xml.element("Location", location)
                xml.element("Bucket", bucket.rawValue)
                xml.element("Key", key)
                xml.element("ETag", etag)
            }
            headers[.contentType] = "application/xml"
            return ServiceResponse(.created, headers: headers, body: .bytes(xml.bytes))
        default: return ServiceResponse(.noContent, headers: headers)
        }
    }

    /// The address of a page with what was stored in its query; `nil` if it is none, which S3 passes over.
    package static func redirect(
        _ address: String, key: String, in bucket: BucketName, etag: String
    ) -> String? {
        guard let parts = URLComponents(string: address), let host = parts.host, !host.isEmpty,
            ["http", "https"].contains(parts.scheme?.lowercased()),
            address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let halves = address.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let page = halves[0]
        var text = String(page)
        text += !page.contains("?") ? "?" : page.hasSuffix("?") || page.hasSuffix("&") ? "" : "&"
        func encode(_ text: String) -> String { PercentEncoding.encode(text, keepsSlash: false) }
        text += "bucket=\(encode(bucket.rawValue))&key=\(encode(key))&etag=\(encode(etag))"
        return halves.count == 2 ? "\(text)#\(halves[1])" : text
    }
}

extension S3Call {
    /// The call that puts the same object without a form.
    fileprivate func put(
        _ key: String, in bucket: BucketName, headers: HTTPFields, identity: Identity, body: any RequestBody
    ) throws -> S3Call {
        let path = "/\(bucket)/\(PercentEncoding.encode(key, keepsSlash: true))"
        var all = headers
        // What the browser says of itself and of the page; of the rest, the form's fields alone count.
        for name in [HTTPField.Name.userAgent, .referer, .origin] { all[name] = self.headers[name] }
        let head = HTTPRequest(
            method: .put, scheme: head.scheme, authority: head.authority, path: path, headerFields: all)
        return S3Call(
            head: head, target: try RequestTarget(uri: path, host: nil, domains: []), identity: identity,
            requestID: requestID, payload: .form, body: body, peer: peer,
            tlsVersion: tlsVersion)
    }

    fileprivate func location(of key: String, in bucket: BucketName) -> String {
        let place = target.isVirtualHosted ? "" : "/\(bucket)"
        return
            "\(head.scheme ?? "http")://\(head.authority ?? "")\(place)/\(PercentEncoding.encode(key, keepsSlash: true))"
    }
}
