import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getObjectLockConfiguration(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?object-lock")
    }

    func putObjectLockConfiguration(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?object-lock")
    }

    func getObjectRetention(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?retention")
    }

    func putObjectRetention(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?retention")
    }

    func getObjectLegalHold(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?legal-hold")
    }

    func putObjectLegalHold(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?legal-hold")
    }
}
