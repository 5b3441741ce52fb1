import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getObjectAttributes(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?attributes")
    }
}
