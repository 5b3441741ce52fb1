import Foundation
import Model

/// What the fields of a form must be, as somebody with a key has signed it: a document that expires, and conditions
/// that cover every field.
///
/// Source: Amazon S3 API Reference, "Creating a POST policy".
package struct PostPolicy: Sendable {
    /// Bytes that the file may have.
    package struct Lengths: Sendable, Equatable {
        package var minimum: UInt64
        package var maximum: UInt64

        package init(minimum: UInt64, maximum: UInt64) {
            self.minimum = minimum
            self.maximum = maximum
        }
    }

    private enum Condition: Sendable {
        case equals(field: String, value: String)
        case startsWith(field: String, prefix: String)
        case length(Lengths)

        /// As S3 shows it.
        var text: String {
            switch self {
            case .equals(let field, let value): "[\"eq\", \"$\(field)\", \"\(value)\"]"
            case .startsWith(let field, let prefix): "[\"starts-with\", \"$\(field)\", \"\(prefix)\"]"
            case .length(let lengths):
                "[\"content-length-range\", \(lengths.minimum), \(lengths.maximum)]"
            }
        }
    }

    /// Seconds since 1970.
    private let expiration: UInt64
    private let conditions: [Condition]

    /// - Throws: `InvalidPolicyDocument`.
    package init(base64: String) throws {
        guard let data = Data(base64Encoded: base64, options: .ignoreUnknownCharacters), !data.isEmpty else {
            throw Self.invalid("Invalid Base64 Encoding")
        }
        let document: PolicyText
        do {
            document = try JSONDecoder().decode(PolicyText.self, from: Data(Self.plain(Array(data))))
        } catch let error as S3Error {
            throw error
        } catch DecodingError.keyNotFound(let key, _) where key.stringValue == "expiration" {
            throw Self.invalid("Policy missing expiration.")
        } catch DecodingError.keyNotFound(let key, _) where key.stringValue == "conditions" {
            throw Self.invalid("Policy missing conditions.")
        } catch {
            throw Self.invalid("Invalid JSON.")
        }
        guard let expiration = HTTPDate.seconds(document.expiration) else {
            throw Self.invalid("Invalid 'expiration' value: '\(document.expiration)'")
        }
        self.expiration = expiration
        conditions = try document.conditions.flatMap(Self.conditions)
    }

    /// JSON, without the two escapes that S3 has besides JSON's: `\$` and `\v`.
    private static func plain(_ text: [UInt8]) -> [UInt8] {
        var plain: [UInt8] = []
        plain.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            guard text[index] == UInt8(ascii: "\\"), index + 1 < text.count else {
                plain.append(text[index])
                index += 1
                continue
            }
            switch text[index + 1] {
            case UInt8(ascii: "$"): plain.append(UInt8(ascii: "$"))
            case UInt8(ascii: "v"): plain += "\\u000b".utf8
            case let other: plain += [UInt8(ascii: "\\"), other]
            }
            index += 2
        }
        return plain
    }

    private static func conditions(_ text: PolicyText.Condition) throws -> [Condition] {
        switch text {
        case .members(let members):
            guard !members.isEmpty else { throw invalid("Invalid Condition: empty") }
            return members.sorted { $0.key < $1.key }.map {
                .equals(field: $0.key.lowercased(), value: $0.value.text)
            }
        case .list(let list):
            guard list.count == 3 else { throw invalid("Invalid Condition: it has \(list.count) members.") }
            let (name, first, second) = (list[0].text.lowercased(), list[1].text, list[2].text)
            switch name {
            case "content-length-range":
                guard let minimum = UInt64(first), let maximum = UInt64(second) else {
                    throw invalid("Invalid content-length-range: a length is a number.")
                }
                return [.length(Lengths(minimum: minimum, maximum: maximum))]
            case "eq", "starts-with":
                guard first.utf8.first == UInt8(ascii: "$") else {
                    throw invalid("Invalid Condition: '\(first)' names no field.")
                }
                let field = first.dropFirst().lowercased()
                return [
                    name == "eq"
                        ? .equals(field: field, value: second) : .startsWith(field: field, prefix: second)
                ]
            default: throw invalid("Invalid Condition: unknown operation '\(list[0].text)'.")
            }
        }
    }

    private static func invalid(_ reason: String) -> S3Error {
        S3Error(S3ErrorCode("InvalidPolicyDocument", 400), "Invalid Policy: \(reason)")
    }

    // MARK: Checking

    /// Fields that need no condition.
    private static let uncovered: Set<String> = [
        "awsaccesskeyid", "file", "policy", "signature", "x-amz-signature",
    ]

    /// - Returns: what the file's length must be, if anything is said of it.
    /// - Throws: `AccessDenied`.
    package func check(_ fields: FormFields, bucket: String, now: Timestamp) throws -> Lengths? {
        guard now.seconds < expiration else { throw Self.denied("Policy expired.") }
        var values = fields.values
        values["bucket"] = bucket
        var covered = Self.uncovered
        var lengths: Lengths?
        for condition in conditions {
            var holds = true
            switch condition {
            case .equals(let field, let value):
                // By bytes: texts that only look the same are not.
                holds = (values[field] ?? "").utf8.elementsEqual(value.utf8)
                covered.insert(field)
            case .startsWith(let field, let prefix):
                holds = Self.starts(values[field] ?? "", with: prefix, field: field)
                covered.insert(field)
            case .length(let more):
                lengths = Lengths(
                    minimum: max(lengths?.minimum ?? 0, more.minimum),
                    maximum: min(lengths?.maximum ?? .max, more.maximum))
            }
            guard holds else { throw Self.denied("Policy Condition failed: \(condition.text)") }
        }
        let extra = values.keys.filter { !covered.contains($0) && !$0.hasPrefix("x-ignore-") }.sorted()
        guard extra.isEmpty else {
            throw Self.denied("Extra input fields: \(extra.joined(separator: ", "))")
        }
        return lengths
    }

    /// Of a content type that is a list, every one.
    private static func starts(_ value: String, with prefix: String, field: String) -> Bool {
        func starts(_ text: some StringProtocol) -> Bool { text.utf8.starts(with: prefix.utf8) }
        guard field == "content-type", value.contains(",") else { return starts(value) }
        return value.split(separator: ",").allSatisfy { starts($0.trimmingBlanks()) }
    }

    private static func denied(_ reason: String) -> S3Error {
        S3Error(.accessDenied, "Invalid according to Policy: \(reason)")
    }
}

/// The JSON of a policy.
private struct PolicyText: Decodable {
    let expiration: String
    let conditions: [Condition]

    /// A text, or a number by its digits.
    struct Scalar: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            // Which of them it is, is found by trying.
            if let text = try? value.decode(String.self) {
                self.text = text
            } else {
                text = String(try value.decode(Int64.self))
            }
        }
    }

    enum Condition: Decodable {
        case members([String: Scalar])
        case list([Scalar])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            // As above.
            if let list = try? value.decode([Scalar].self) {
                self = .list(list)
            } else {
                self = .members(try value.decode([String: Scalar].self))
            }
        }
    }
}
