import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func postObject(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("A browser upload with POST")
    }
}
