import Foundation
import Volumes

/// The members of one sink in the settings file, read by what they must be.
package struct SinkMembers {
    /// Bytes: more than a secret ever has.
    private static let secretLimit = 64 * 1024

    private let values: [String: Any]
    package let name: String
    /// The settings file.
    private let file: String
    private let environment: [String: String]

    /// - Throws: ``SettingError`` if it has no name.
    package init(_ values: [String: Any], file: String, environment: [String: String]) throws {
        guard let name = values["name"] as? String, Self.isName(name) else {
            throw SettingError(
                setting: SinkSetting.name, source: file,
                reason: "takes sinks with a name of 1 to 64 letters, digits, '-' and '_'")
        }
        self.values = values
        self.name = name
        self.file = file
        self.environment = environment
    }

    /// It names files, too, and is the last part of an ARN.
    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            }
    }

    /// - Parameter reason: what follows upon "setting 'sinks' (FILE)", without the sink.
    func bad(_ reason: String) -> SettingError {
        SettingError(setting: SinkSetting.name, source: file, reason: "\(reason), of sink '\(name)'")
    }

    func has(_ member: String) -> Bool { values[member] != nil }

    /// - Throws: ``SettingError``, which names the first member that is none of these.
    func refuseOthers(than known: [String]) throws {
        guard let other = values.keys.sorted().first(where: { !known.contains($0) }) else { return }
        throw bad("has a member '\(other)', which \(NearestName.hint(other, among: known.sorted()))")
    }

    func text(_ member: String) throws -> String? {
        guard let value = values[member] else { return nil }
        guard let text = value as? String else { throw bad("has a \(member) that is no string") }
        return text
    }

    func list(_ member: String) throws -> [String] {
        guard let value = values[member] else { return [] }
        guard let list = value as? [String] else { throw bad("has \(member) that are no list of strings") }
        return list
    }

    func flag(_ member: String) throws -> Bool {
        guard let value = values[member] else { return false }
        guard let flag = value as? Bool else { throw bad("has a \(member) that is neither true nor false") }
        return flag
    }

    func number(_ member: String, _ range: ClosedRange<Int>, default number: Int) throws -> Int {
        guard let value = values[member] else { return number }
        guard let number = value as? Int, range.contains(number) else {
            throw bad("has \(member) that are not \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A file that is there, beside the settings file or absolute.
    func file(_ member: String) throws -> String? {
        guard let path = try text(member).map(path) else { return nil }
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw bad("names a \(member) \(path) that cannot be read")
        }
        return path
    }

    /// A file of secrets, which others may not open.
    func secretFile(_ member: String) throws -> String? {
        guard let path = try file(member) else { return nil }
        do {
            if let refusal = try SecretFile(at: path, isGiven: true)?.refusal(at: path) { throw refusal }
        } catch { throw refused(member, error) }
        return path
    }

    private func refused(_ member: String, _ error: any Error) -> SettingError {
        SettingError(
            setting: SinkSetting.name, source: file,
            reason: "has a \(member) of sink '\(name)' that is refused: \(error)")
    }

    private func path(_ name: String) -> String {
        URL(fileURLWithPath: name, relativeTo: URL(fileURLWithPath: file)).standardizedFileURL.path
    }

    /// What `secret-file` or `secret-environment` leads to.
    func secret() throws -> String? {
        let variable = try text("secret-environment")
        guard let file = try text("secret-file") else {
            guard let variable else { return nil }
            guard let secret = environment[variable], !secret.isEmpty else {
                throw bad("names a secret-environment '\(variable)' that is not set")
            }
            return secret
        }
        guard variable == nil else { throw bad("has both a secret-file and a secret-environment") }
        let path = path(file)
        let bytes: [UInt8]
        do {
            bytes = try SecretFile.contents(of: path, limit: Self.secretLimit)
        } catch let error as OpenSecretError {
            throw refused("secret-file", error)
        } catch {
            throw bad("names a secret-file \(path) that cannot be read")
        }
        guard bytes.count <= Self.secretLimit, let text = String(validating: bytes, as: UTF8.self) else {
            throw bad("names a secret-file \(path) that is no text of \(Self.secretLimit) bytes at most")
        }
        let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !secret.isEmpty else { throw bad("names a secret-file \(path) that is empty") }
        return secret
    }
}
