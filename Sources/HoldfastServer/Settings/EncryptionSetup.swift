import Encryption
import ObjectStore
import S3

extension ServerSettings {
    /// Where the master keys are. Losing that file loses every object that they encipher.
    public var masterKeysPath: String { masterKeys ?? store.stateDirectory + "/master-keys.json" }

    /// What the protocol is told of encryption.
    func encryption(_ masterKeys: MasterKeyStore) -> EncryptionSettings {
        var settings = EncryptionSettings()
        settings.keys = masterKeys
        settings.allowsCustomerKeysOverHTTP = allowsCustomerKeysOverHTTP
        settings.encryptsNewBuckets = encryptsNewBuckets
        return settings
    }
}
