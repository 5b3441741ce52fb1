import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func listBuckets(_ call: S3Call) throws -> ServiceResponse {
        let page = try BucketPage(try visibleBuckets(call), call)
        let xml = XMLWriter("ListAllMyBucketsResult") { xml in
            Self.owner(call.identity.userID, call.identity.displayName, "Owner", &xml)
            xml.element("Buckets") { xml in
                for bucket in page.buckets {
                    xml.element("Bucket") { xml in
                        xml.element("Name", bucket.name.rawValue)
                        xml.element("CreationDate", bucket.created)
                        xml.element("BucketRegion", bucket.region)
                    }
                }
            }
            if let token = page.nextToken { xml.element("ContinuationToken", token) }
            if let prefix = page.prefix { xml.element("Prefix", prefix) }
        }
        return ServiceResponse(xml: xml)
    }

    static func owner(_ id: String, _ name: String, _ element: StaticString, _ xml: inout XMLWriter) {
        xml.element(element) { xml in
            xml.element("ID", id)
            if !name.isEmpty { xml.element("DisplayName", name) }
        }
    }

    func createBucket(_ call: S3Call) async throws -> ServiceResponse {
        let name = try call.bucket()
        let body = try await document(call)
        if !body.isEmpty {
            let document = try XMLElement.parse(body, root: "CreateBucketConfiguration")
            let constraint = document.value("LocationConstraint") ?? settings.region
            guard constraint == settings.region || constraint.isEmpty else {
                throw S3Error(
                    .illegalLocationConstraint,
                    "The specified location-constraint is not valid: this store is in \(settings.region).",
                    details: [("LocationConstraint", constraint)])
            }
        }
        let access = try firstAccess(call)
        let made: Committed<Bucket>
        do {
            made = try await store.createBucket(
                name, region: settings.region,
                settings: settings.encryption.newBucket
                    .merging(access) { $1 }
                    .merging(ObjectLockConfiguration.settings(call.headers)) { $1 },
                actor: call.actor)
        } catch StoreError.bucketExists(let bucket) where bucket.owner != call.identity.userID {
            throw S3Error(
                .bucketAlreadyExists,
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
                details: [("BucketName", name.rawValue)])
        }
        var response = ServiceResponse(.ok, headers: [.location: "/\(name)"])
        response.stamp(made.commit)
        return response
    }

    func deleteBucket(_ call: S3Call) async throws -> ServiceResponse {
        let commit = try await store.deleteBucket(try call.bucket(), actor: call.actor)
        var response = ServiceResponse(.noContent)
        response.stamp(commit)
        return response
    }

    func headBucket(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        return ServiceResponse(
            .ok, headers: [.amzBucketRegion: bucket.region, .contentType: "application/xml"])
    }

    func getBucketLocation(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        // us-east-1 is told by an empty constraint, for reasons of S3's history.
        return ServiceResponse(
            xml: XMLWriter("LocationConstraint") { xml in
                if bucket.region != "us-east-1" { xml.text(bucket.region) }
            })
    }

    func getBucketVersioning(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        return ServiceResponse(
            xml: XMLWriter("VersioningConfiguration") { xml in
                if bucket.versioning != .off { xml.element("Status", bucket.versioning.rawValue) }
            })
    }

    func putBucketVersioning(_ call: S3Call) async throws -> ServiceResponse {
        let name = try call.bucket()
        let document = try XMLElement.parse(try await document(call), root: "VersioningConfiguration")
        if let mfa = document.value("MfaDelete"), mfa != "Disabled" {
            throw S3Error.notImplemented("MFA delete")
        }
        guard let status = document.value("Status"), ["Enabled", "Suspended"].contains(status) else {
            throw S3Error(
                .illegalVersioningConfiguration,
                "The Versioning element must be specified: Enabled or Suspended.")
        }
        return try await configure(name, "versioning", Array(status.utf8), call)
    }

    /// Puts a setting of a bucket, or with `nil` takes it away, and answers with where the change stands in the log.
    func configure(
        _ bucket: BucketName, _ setting: String, _ value: [UInt8]?, _ call: S3Call,
        answering answer: ServiceResponse = ServiceResponse(.ok)
    ) async throws -> ServiceResponse {
        var response = answer
        response.stamp(
            try await store.configureBucket(bucket, setting: setting, value: value, actor: call.actor))
        return response
    }
}
