import Encryption
import ObjectStore
import S3

extension ServerSettings {
    /// Where the master keys are. Losing that file loses every object that they encipher.
    public var masterKeysPath: String { masterKeys ?? store.stateDirectory + "/master-keys.json" }

    /// How the protocol is spoken, and what an import keeps to.
    func protocolSettings(_ masterKeys: MasterKeyStore) -> S3Settings {
        var s3 = S3Settings()
        s3.region = region
        s3.domains = domains
        s3.allowsSignatureV2 = allowsSignatureV2
        s3.locksNewBuckets = bucketsStartLocked
        s3.lifecycleDaySeconds = UInt64(lifecycleDaySeconds)
        s3.encryption = encryption(masterKeys)
        return s3
    }

    /// What the protocol is told of encryption.
    private func encryption(_ masterKeys: MasterKeyStore) -> EncryptionSettings {
        var settings = EncryptionSettings()
        settings.keys = masterKeys
        settings.allowsCustomerKeysOverHTTP = allowsCustomerKeysOverHTTP
        settings.encryptsNewBuckets = encryptsNewBuckets
        return settings
    }
}
