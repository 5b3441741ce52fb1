import NIOSSL

extension S3Location {
    /// Looks for the keys as the first request does, and asks the endpoint nothing.
    /// - Throws: ``S3LocationError``, ``FileSystemError``.
    package func checkCredentials(environment: [String: String]) throws {
        _ = try S3Credentials.find(for: self, environment: environment)
    }

    /// - Throws: ``S3LocationError`` if the certificates that are to be trusted cannot be read.
    package func checkAuthorities() throws(S3LocationError) {
        guard let authoritiesPath else { return }
        do { _ = try NIOSSLCertificate.fromPEMFile(authoritiesPath) } catch {
            throw S3LocationError("its ca \(authoritiesPath) is no file of certificates that can be read")
        }
    }
}
