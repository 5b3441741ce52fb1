import HTTPTypes
import Model
import ObjectStore

extension HTTPField.Name {
    static let amzExpiration = fixed("x-amz-expiration")
    static let amzTransitionMinimum = fixed("x-amz-transition-default-minimum-object-size")
}

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketLifecycle(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let configuration = try Self.lifecycle(of: bucket) else {
            throw S3Error(
                .noSuchLifecycleConfiguration, "The lifecycle configuration does not exist",
                details: [("BucketName", bucket.name.rawValue)])
        }
        var response = ServiceResponse(xml: configuration.xml())
        response.headers[.amzTransitionMinimum] = configuration.transitionMinimum
        return response
    }

    func putBucketLifecycle(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        try call.requireDigest()
        var configuration = try LifecycleConfiguration(try await document(call))
        let minimum = call.headers[.amzTransitionMinimum] ?? LifecycleConfiguration.standardMinimum
        guard [LifecycleConfiguration.standardMinimum, "varies_by_storage_class"].contains(minimum) else {
            throw S3Error.invalidArgument(
                "Invalid value for x-amz-transition-default-minimum-object-size",
                name: HTTPField.Name.amzTransitionMinimum.canonicalName, value: minimum)
        }
        configuration.transitionMinimum = minimum
        return try await configure(
            bucket.name, LifecycleConfiguration.setting, configuration.document, call,
            answering: ServiceResponse(.ok, headers: [.amzTransitionMinimum: minimum]))
    }

    func deleteBucketLifecycle(_ call: S3Call) async throws -> ServiceResponse {
        return try await configure(
            try call.bucket(), LifecycleConfiguration.setting, nil, call,
            answering: ServiceResponse(.noContent))
    }

    static func lifecycle(of bucket: Bucket) throws -> LifecycleConfiguration? {
        try bucket.stored(LifecycleConfiguration.setting) { try LifecycleConfiguration($0) }
    }

    /// Says when the current version will expire, if a rule makes it.
    func showExpiration(of version: ObjectVersion, in bucket: Bucket, _ headers: inout HTTPFields) throws {
        guard !bucket.settings.documents.isEmpty else { return }
        let found: LifecycleConfiguration?
        // The pass that would carry the rules out tells of it; that a version expires nobody can say.
        do { found = try Self.lifecycle(of: bucket) } catch is UnreadableSetting { return }
        guard let rules = found,
            let (time, rule) = rules.expiration(
                of: version, LifecycleCalendar(daySeconds: settings.lifecycleDaySeconds))
        else { return }
        let name = PercentEncoding.encode(rule.id, keepsSlash: false)
        headers[.amzExpiration] = "expiry-date=\"\(HTTPDate.string(time))\", rule-id=\"\(name)\""
    }
}
