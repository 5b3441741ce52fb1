import Foundation
import Logging
import ObjectStore
import Volumes

/// Files of secrets that a server makes by itself, in its state directory, and may mend: kubelet, for one, lets a pod's
/// `fsGroup` write to all files of a volume each time it is mounted, unless it is told not to.
package struct OwnSecrets {
    let paths: [String]

    package init(_ settings: ServerSettings) {
        let state = settings.store.stateDirectory + "/"
        paths = [state + "keys.json"] + [settings.masterKeysPath].filter { $0.hasPrefix(state) }
    }

    /// What others may open that they should not.
    func open() throws -> [OpenSecretError] {
        try paths.compactMap { try SecretFile(at: $0, isGiven: false)?.refusal(at: $0) }
    }

    /// Lets nobody but the server open them.
    package func close(_ logger: Logger) throws {
        for secret in try open() {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret.path)
            logger.warning("\(secret.finding); it has mode 600 now")
        }
    }
}
