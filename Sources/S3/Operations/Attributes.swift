import HTTPTypes
import Model
import ObjectStore

extension HTTPField.Name {
    static let amzObjectAttributes = fixed("x-amz-object-attributes")
    static let amzMaxParts = fixed("x-amz-max-parts")
    static let amzPartNumberMarker = fixed("x-amz-part-number-marker")
}

/// What a request asks to be told of an object.
package enum ObjectAttribute: String, CaseIterable, Sendable {
    case eTag = "ETag"
    case checksum = "Checksum"
    case parts = "ObjectParts"
    case storageClass = "StorageClass"
    case size = "ObjectSize"

    /// - Throws: `InvalidRequest` without any, `InvalidArgument` for a name that is none.
    package static func parse(_ header: String?) throws -> Set<ObjectAttribute> {
        let names = (header ?? "").split(separator: ",").map { $0.trimmingBlanks() }.filter { !$0.isEmpty }
        guard !names.isEmpty else {
            throw S3Error(
                .invalidRequest,
                "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
            )
        }
        return Set(
            try names.map { name in
                guard let attribute = ObjectAttribute(rawValue: name) else {
                    throw S3Error.invalidArgument(
                        "Invalid attribute name specified.", name: "x-amz-object-attributes", value: name)
                }
                return attribute
            })
    }
}

/// Source: Amazon S3 API Reference, "GetObjectAttributes".
extension S3Service {
    func getObjectAttributes(_ call: S3Call) throws -> ServiceResponse {
        let asked = try ObjectAttribute.parse(call.headers[.amzObjectAttributes])
        let limit = min(1000, try number(.amzMaxParts, call) ?? 1000)
        let marker = try number(.amzPartNumberMarker, call) ?? 0
        let bucket = try store.bucket(try call.bucket())
        let version = try store.version(bucket.name, try call.key(), try call.version())
        // As HeadObject: what a customer's key enciphers is told of to who has the key.
        _ = try dataKey(of: version, call, sendsBody: false)
        let xml = XMLWriter("GetObjectAttributesResponse") { xml in
            // Here alone, S3 writes ETags without their quotes.
            if asked.contains(.eTag) { xml.element("ETag", version.etag) }
            if asked.contains(.checksum), !version.record.checksums.isEmpty {
                xml.element("Checksum") { Self.writeChecksums(of: version, &$0) }
            }
            if asked.contains(.parts) { Self.writeParts(of: version, after: marker, limit, &xml) }
            if asked.contains(.storageClass) {
                xml.element("StorageClass", version.record.metadata.storageClass)
            }
            if asked.contains(.size) { xml.element("ObjectSize", version.size) }
        }
        var response = ServiceResponse(xml: xml)
        response.headers[.lastModified] = HTTPDate.string(version.published)
        if bucket.versioning != .off { response.headers[.amzVersionID] = version.wireVersionID }
        return response
    }

    private func number(_ name: HTTPField.Name, _ call: S3Call) throws -> Int? {
        guard let text = call.headers[name] else { return nil }
        guard let value = Int(text), (0...Int(Int32.max)).contains(value) else {
            throw S3Error.invalidArgument(
                "\(name.canonicalName) must be a number from 0 to \(Int32.max).", name: name.canonicalName,
                value: text)
        }
        return value
    }

    /// The parts of an object that was uploaded in parts; nothing of another.
    private static func writeParts(
        of version: ObjectVersion, after marker: Int, _ limit: Int, _ xml: inout XMLWriter
    ) {
        let all = version.record.pieces.filter { $0.partNumber > 0 }
        guard !all.isEmpty else { return }
        let rest = all.drop { Int($0.partNumber) <= marker }
        let shown = rest.prefix(limit)
        xml.element("ObjectParts") { xml in
            xml.element("PartsCount", all.count)
            xml.element("PartNumberMarker", marker)
            xml.element("NextPartNumberMarker", shown.last.map { Int($0.partNumber) } ?? marker)
            xml.element("MaxParts", limit)
            xml.element("IsTruncated", rest.count > shown.count)
            for part in shown {
                xml.element("Part") { xml in
                    xml.element("PartNumber", part.partNumber)
                    xml.element("Size", part.contentLength)
                    guard part.hasChecksum else { return }
                    xml.element(
                        named: "Checksum\(part.checksum.algorithm.wireName)",
                        part.checksum.text(partCount: 0))
                }
            }
        }
    }
}
