import Foundation
import Logging
import Model
import NIOCore
import NIOSSL
import Synchronization
import Volumes

/// The certificate and the key of a listener, as their files have them.
///
/// Both files are looked at again and again, and whenever what they hold has changed the new pair serves the
/// connections that begin from then on; those that are open keep what they began with. A pair that cannot be used,
/// such as a new certificate whose key has not been written yet, is told of once, and the old one stays. So is a key that
/// others may read.
final class TLSCertificates: Sendable {
    private struct Files: Equatable {
        let certificate: [UInt8]
        let key: [UInt8]
    }

    /// What was last found in the files.
    private enum Seen: Equatable {
        case files(Files)
        case unreadable(String)
    }

    /// More than a chain ever has.
    private static let byteLimit = 1024 * 1024

    private let certificatePath: String
    private let keyPath: String
    private let logger: Logger
    private let context: ReadMostly<NIOSSLContext>
    private let seen: Mutex<Seen>

    /// - Throws: ``SettingError`` if the pair cannot be used.
    init(certificate: String, key: String, _ logger: Logger) throws {
        certificatePath = certificate
        keyPath = key
        self.logger = logger
        let files = try Self.read(certificate, key)
        context = ReadMostly(try Self.context(of: files, certificate, key))
        seen = Mutex(.files(files))
    }

    /// Makes a connection a TLS connection.
    func configure(_ pipeline: ChannelPipeline.SynchronousOperations) throws {
        try pipeline.addHandler(NIOSSLServerHandler(context: context.read { $0 }))
        try pipeline.addHandler(HandshakeDeadline())
    }

    /// Looks at the files; it waits for their disk.
    /// - Parameter isForced: tells what is wrong with them even if it was told before.
    func reload(isForced: Bool = false) {
        seen.withLock { seen in
            do {
                let files = try Self.read(certificatePath, keyPath)
                guard isForced || seen != .files(files) else { return }
                seen = .files(files)
                let new = try Self.context(of: files, certificatePath, keyPath)
                context.change { $0 = new }
                logger.notice("TLS: new connections use the certificate that is now in \(certificatePath)")
            } catch {
                let reason = "\(error)"
                if error is Unreadable {
                    guard isForced || seen != .unreadable(reason) else { return }
                    seen = .unreadable(reason)
                }
                logger.error("TLS: the certificate stays as it was: \(reason)")
            }
        }
    }

    /// A file that cannot be read, or is not to be, by the setting that names it.
    struct Unreadable: Error, CustomStringConvertible {
        let setting: SettingError
        var description: String { setting.description }
    }

    private static func read(_ certificate: String, _ key: String) throws -> Files {
        Files(
            certificate: try read(certificate, setting: .tlsCertificate) { path in
                let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
                // Closed with the handle.
                return [UInt8](try file.read(upToCount: byteLimit + 1) ?? Data())
            },
            key: try read(key, setting: .tlsKey) { try SecretFile.contents(of: $0, limit: byteLimit) })
    }

    private static func read(
        _ path: String, setting: SettingName, _ bytes: (String) throws -> [UInt8]
    ) throws -> [UInt8] {
        func fail(_ reason: String) -> Unreadable {
            Unreadable(setting: SettingError(setting: setting.rawValue, source: path, reason: reason))
        }
        do {
            let bytes = try bytes(path)
            guard bytes.count <= byteLimit else { throw fail("is larger than \(byteLimit) bytes") }
            return bytes
        } catch let error as Unreadable {
            throw error
        } catch let error as OpenSecretError {
            throw fail("is refused: \(error)")
        } catch {
            throw fail("cannot be read: \((error as NSError).localizedDescription)")
        }
    }

    private static func context(of files: Files, _ certificate: String, _ key: String) throws -> NIOSSLContext
    {
        func fail(_ setting: SettingName, _ source: String, _ reason: String) -> SettingError {
            SettingError(setting: setting.rawValue, source: source, reason: reason)
        }
        let chain: [NIOSSLCertificate]
        do { chain = try NIOSSLCertificate.fromPEMBytes(files.certificate) } catch {
            throw fail(.tlsCertificate, certificate, "is no chain of certificates in PEM form")
        }
        guard !chain.isEmpty else { throw fail(.tlsCertificate, certificate, "has no certificate in it") }
        let privateKey: NIOSSLPrivateKey
        do { privateKey = try NIOSSLPrivateKey(bytes: files.key, format: .pem) } catch {
            throw fail(.tlsKey, key, "is no private key in PEM form without a passphrase")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        // A client that does not say goodbye is not waited for longer, nor a server that stops held up.
        configuration.shutdownTimeout = .seconds(1)
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw fail(.tlsKey, key, "is not the key of the certificate in \(certificate): \(error)")
        }
    }
}
