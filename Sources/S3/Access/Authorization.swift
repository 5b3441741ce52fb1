import HTTPTypes
import Model
import ObjectStore

extension S3Service {
    /// Whether the sender may do what is asked.
    /// - Throws: `AccessDenied`.
    func authorize(_ operation: Operation, _ call: S3Call) throws {
        guard !call.identity.isAnonymous || operation == .preflight else {
            throw S3Error(.accessDenied, "Access Denied")
        }
    }
}
