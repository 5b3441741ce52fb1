import Foundation
import Model

/// A page of the list of buckets.
///
/// Source: Amazon S3 API Reference, "ListBuckets".
struct BucketPage {
    let buckets: [Bucket]
    let prefix: String?
    /// What the next page begins behind; `nil` on the last.
    let nextToken: String?

    /// - Parameter all: in the order of their names.
    /// - Throws: `InvalidArgument`.
    init(_ all: [Bucket], _ call: S3Call) throws {
        prefix = call.query["prefix"]
        let limit = try call.number("max-buckets", in: 1...10_000)
        let region = call.query["bucket-region"]
        let after = try call.query["continuation-token"].map(Self.name(ofToken:))
        let prefix = Array((prefix ?? "").utf8)
        let rest = all.filter { bucket in
            bucket.name.rawValue.utf8.starts(with: prefix)
                && region.map { $0 == bucket.region } ?? true
                && after.map { $0.utf8.lexicographicallyPrecedes(bucket.name.rawValue.utf8) } ?? true
        }
        buckets = Array(rest.prefix(limit ?? rest.count))
        nextToken =
            buckets.count < rest.count
            ? buckets.last.map { Data($0.name.rawValue.utf8).base64EncodedString() } : nil
    }

    private static func name(ofToken token: String) throws -> String {
        guard let data = Data(base64Encoded: token), !data.isEmpty,
            let name = String(validating: data, as: UTF8.self)
        else {
            throw S3Error.invalidArgument(
                "The continuation token provided is incorrect", name: "continuation-token", value: token)
        }
        return name
    }
}
